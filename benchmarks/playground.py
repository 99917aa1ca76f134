"""How quick and how large the app is, in real Chromium: `python -m benchmarks.playground`.

Prints, each with its goal: the cold start (server process started to figures drawn and controls
ready), a slider's move (key pressed to the last new figure, median and 95th percentile) without
an attack to compute and with one, the drawing of a raster of 20,000 neurons at 8 time steps,
PGD-10 on one image, and the server's memory once it has shown every model. Server and browser
share the number of cores given by `--cores`. Other work on the machine adds to every time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from benchmarks.watching import desktop, report, slider_moves
from tests.browser.driving import control, served_app, settle

# No gradient is computed: what is left is two scorings, two traced passes, and the page itself.
NO_ATTACK = "attack=uniform_noise&epsilon=8"
PGD_MODEL = "cifar10-snn-rsc-020"
COMPONENTS = "tests/browser/components_app.py"
# Components live in shadow trees, which scripts of a page must enter one by one.
_WATCH_RASTER = """
() => {
  const canvas = [...document.querySelectorAll('*')]
    .map(element => element.shadowRoot?.querySelector('.raster canvas')).find(Boolean);
  window.rscStart = Infinity;
  window.rscDrawn = 0;
  document.addEventListener('click', () => { window.rscStart = performance.now(); }, true);
  new MutationObserver(() => { window.rscDrawn = performance.now(); })
    .observe(canvas, {attributes: true, attributeFilter: ['data-milliseconds']});
}
"""


def open_page(page: Any, address: str, query: str = "") -> None:
    """Open the Playground and wait until it shows figures and has run to its end."""
    page.goto(f"{address}/?{query}")
    page.wait_for_function(
        "() => document.querySelectorAll('.js-plotly-plot .draglayer').length > 0"
    )
    settle(page)


def raster_draws(page: Any, address: str, count: int) -> tuple[list[float], list[float]]:
    """Seconds that a raster of 20,000 neurons takes: drawing alone, and from click to drawn.

    The click asks the server for other data: 4 time steps, then 8 again, which is what counts.
    """
    page.goto(address)
    canvas = page.locator(".raster canvas[data-view]")
    canvas.wait_for()
    settle(page)
    page.evaluate(_WATCH_RASTER)
    drawing, arriving = [], []
    for _ in range(count):
        for steps in ("4", "8"):
            page.locator(f"{control(page, 'steps')} label").filter(has_text=steps).last.click()
            page.wait_for_function("() => window.rscDrawn > window.rscStart")
            settle(page)
            page.wait_for_timeout(300)
        arriving.append(page.evaluate("() => window.rscDrawn - window.rscStart") / 1000)
        drawing.append(float(canvas.get_attribute("data-milliseconds")) / 1000)
    return drawing, arriving


def memory_of(process: int) -> float:
    """Resident memory of a process in MB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 2**10


def measure_pgd(count: int) -> list[float]:
    """Seconds of PGD-10 with its scoring on one photograph of the gallery, each with a new seed."""
    import torch

    from rsc_snn.attacks import run_attack
    from rsc_snn.data.gallery import load_gallery
    from rsc_snn.zoo import Zoo

    zoo = Zoo()
    card = zoo.card(PGD_MODEL)
    model = zoo.load(card.name)
    image = next(image for image in load_gallery() if image.dataset == card.dataset)
    x, label = image.pixels(card.config.image_size), torch.tensor([image.class_index])
    seconds = []
    for seed in range(count + 1):
        start = time.perf_counter()
        run_attack(model, x, label, "pgd", {"steps": 10}, draws=16, seed=seed)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def report_sliders(page: Any, address: str, moves: int) -> None:
    """A line for each slider without an attack and with PGD, and one for all without."""
    for name, attack, goal in (
        ("no attack", NO_ATTACK, "median < 0.3 s, 95 % < 0.8 s"),
        ("PGD-10", "attack=pgd&steps=10", "median < 0.5 s"),
    ):
        pooled = []
        for key, low in (("sigma", "0.1"), ("time_steps", "1")):
            open_page(page, address, f"{attack}&{key}={low}")
            page.wait_for_timeout(1500)
            seconds = slider_moves(page, f"playground.{key}", moves)
            report(f"slider {key}, {name}", seconds, goal)
            pooled += seconds
        report(f"both sliders, {name}", pooled, goal)


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2, help="cores for server and browser")
    parser.add_argument("--moves", type=int, default=15, help="moves of each slider")
    arguments = parser.parse_args()
    with desktop(arguments.cores) as (page, scratch):
        start = time.perf_counter()
        with served_app(scratch / "log") as (address, process):
            open_page(page, address)
            report("cold start", [time.perf_counter() - start], "< 8 s")
            report_sliders(page, address, arguments.moves)
            from rsc_snn.zoo import Zoo

            names = list(Zoo().names())
            for name in names:
                open_page(page, address, f"model={name}")
            label = f"memory, {len(names)} models"
            print(f"{label:<40}{memory_of(process.pid) / 1024:.2f} GB   goal: < 1.5 GB")
        with served_app(scratch / "components", script=COMPONENTS) as (address, _):
            drawing, arriving = raster_draws(page, address, arguments.moves)
            report("raster of 20,000 neurons x 8, drawing", drawing, "< 0.5 s")
            report("raster of 20,000 neurons x 8, from click", arriving, "< 0.5 s")
    report(f"PGD-10, one image, {PGD_MODEL}", measure_pgd(arguments.moves), "< 1 s")


if __name__ == "__main__":
    main()
