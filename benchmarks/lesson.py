"""How quickly the lesson answers, in real Chromium: `python -m benchmarks.lesson`.

Every slider of every step: seconds from a key press to the last changed figure, median and 95th
percentile, with the models that ship and no GPU. Server and browser share the number of cores
given by `--cores`. Other work on the machine adds to every time.
"""

from __future__ import annotations

import argparse
import re
from typing import Any

from benchmarks.watching import desktop, report, slider_moves
from tests.browser.driving import control, served_app, settle

GOAL = "median < 0.2 s"
STEPS = ("pixel", "image", "currents", "neuron", "decision", "bill")
_FIGURES = ".js-plotly-plot .draglayer"
_NOTHING = "[data-testid=stAlert]"


def open_step(page: Any, address: str, step: str, query: str = "") -> bool:
    """Open a step and wait for its figures; False if it has none (the bill without results)."""
    page.goto(f"{address}/poisson_coding?step={step}{query}")
    page.wait_for_selector(".st-key-lesson-question")
    page.locator(f"{_FIGURES}, {_NOTHING}").first.wait_for()
    settle(page)
    return bool(page.locator(_FIGURES).count())


def sliders(page: Any) -> list[str]:
    """The keys of all sliders of the step."""
    names: list[str] = page.locator(
        "[class*=st-key-lesson-]:has([data-testid=stSlider] input:not(:disabled))"
    ).evaluate_all("parts => parts.map(part => part.className)")
    found = [re.search(r"st-key-(lesson-\w+)", name) for name in names]
    return [match[1] for match in found if match]


def measure(page: Any, key: str, moves: int) -> list[float]:
    """Moves of one slider from its left end, as many as it has stops if those are fewer."""
    thumb = page.locator(f"{control(page, key)} [role=slider], {control(page, key)} input").first
    thumb.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(1500)
    settle(page)
    first, last, step = (float(str(thumb.get_attribute(name))) for name in ("min", "max", "step"))
    moves = min(moves, round((last - first) / step))
    return slider_moves(page, key, moves)


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2, help="cores for server and browser")
    parser.add_argument("--moves", type=int, default=10, help="moves of each slider")
    parser.add_argument("--steps", nargs="+", default=STEPS, choices=STEPS, help="of the lesson")
    arguments = parser.parse_args()
    with desktop(arguments.cores) as (page, scratch), served_app(scratch / "log") as (address, _):
        for step in arguments.steps:
            if not open_step(page, address, step):
                print(f"{step}: no figure; there are no stored results", flush=True)
                continue
            for key in sliders(page):
                report(key.removeprefix("lesson-"), measure(page, key, arguments.moves), GOAL)


if __name__ == "__main__":
    main()
