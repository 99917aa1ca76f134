"""How quick and how large the app is, in real Chromium: `python -m benchmarks.playground`.

Prints four numbers, each with its goal: the cold start (server process started to all figures
drawn and controls ready), a slider's move (key pressed to new figures, median and worst), PGD-10
on one image, and the server's memory once it has shown every model. Server and browser share the
number of cores given by `--cores`. Other work on the machine adds to every time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.driving import (
    FIGURES,
    TIMEOUT,
    control,
    find_chromium,
    launch,
    open_playground,
    served_app,
    settle,
)

# A digest of what the bar figures show; new figures are those whose digest differs.
_WATCH = """
() => {
  const digest = () => JSON.stringify(
    [...document.querySelectorAll('.js-plotly-plot')]
      .filter(plot => plot.data && plot.data[0].type === 'bar')
      .map(plot => plot.data.map(t => t.orientation === 'h' ? t.x : t.y)));
  window.rscWatch = () => new Promise((resolve, reject) => {
    const before = digest();
    let start = null;
    document.addEventListener('keydown', () => { start = performance.now(); },
                              {once: true, capture: true});
    const look = () => {
      if (start !== null && digest() !== before) {
        requestAnimationFrame(() => resolve(performance.now() - start));
      } else if (start !== null && performance.now() - start > 60000) {
        reject(new Error('no new figures'));
      } else { setTimeout(look, 5); }
    };
    look();
  });
}
"""


def slider_moves(page: Any, key: str, count: int) -> list[float]:
    """Seconds from each of `count` key presses on a slider to the new figures."""
    thumb = page.locator(f"{control(page, key)} [role=slider], {control(page, key)} input").first
    page.evaluate(_WATCH)
    seconds = []
    for _ in range(count):
        page.evaluate("() => { window.rscMove = window.rscWatch(); }")
        thumb.focus()
        page.keyboard.press("ArrowRight")
        seconds.append(page.evaluate("() => window.rscMove") / 1000)
        settle(page)
        page.wait_for_timeout(150)
    return seconds


def memory_of(process: int) -> float:
    """Resident memory of a process in GB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 2**20


def show_every_model(page: Any, address: str, names: list[str]) -> None:
    """Open the Playground with each model in turn."""
    for name in names:
        open_playground(page, address, f"model={name}", FIGURES - 1)


def measure_pgd(count: int) -> list[float]:
    """Seconds of PGD-10 with its scoring on one photograph of the gallery, each with a new seed."""
    import torch

    from rsc_snn.attacks import run_attack
    from rsc_snn.data.gallery import load_gallery
    from rsc_snn.zoo import Zoo

    zoo = Zoo()
    card = next(card for card in map(zoo.card, zoo.names()) if card.config.coding == "rsc")
    model = zoo.load(card.name)
    image = next(image for image in load_gallery() if image.dataset == card.dataset)
    x, label = image.pixels(card.config.image_size), torch.tensor([image.class_index])
    seconds = []
    for seed in range(count + 1):
        start = time.perf_counter()
        run_attack(model, x, label, "pgd", {"steps": 10}, draws=16, seed=seed)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def report(name: str, seconds: list[float], goal: str) -> None:
    """One line."""
    middle, worst = statistics.median(seconds), max(seconds)
    print(f"{name:<34}{middle:8.3f} s   worst of {len(seconds)}: {worst:.3f} s   goal {goal}")


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2, help="cores for server and browser")
    parser.add_argument("--moves", type=int, default=15, help="moves of each slider")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        executable = find_chromium(playwright)
        if executable is None:
            raise SystemExit("no Chromium: set RSC_SNN_CHROMIUM, or install chromium")
        browser = launch(playwright, executable)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(TIMEOUT * 1000)
        start = time.perf_counter()
        with served_app(Path(scratch) / "log") as (address, process):
            open_playground(page, address)
            report("cold start", [time.perf_counter() - start], "< 8 s")
            pooled = []
            for key, low in (("sigma", "0.1"), ("time_steps", "1")):
                open_playground(page, address, f"{key}={low}")
                page.wait_for_timeout(1500)
                moves = slider_moves(page, f"playground.{key}", arguments.moves)
                report(f"slider {key}, up from {low}", moves, "median < 0.5 s")
                pooled += moves
            report("both sliders together", pooled, "median < 0.5 s")
            from rsc_snn.zoo import Zoo

            names = list(Zoo().names())
            show_every_model(page, address, names)
            gigabytes = memory_of(process.pid)
            print(f"{f'memory, {len(names)} models':<34}{gigabytes:8.2f} GB   goal < 1.5 GB")
        browser.close()
    report("PGD-10, one image", measure_pgd(arguments.moves), "< 1 s")


if __name__ == "__main__":
    main()
