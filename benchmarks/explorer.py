"""How quickly the page "Trade-off" answers, in real Chromium: `python -m benchmarks.explorer`.

From a click on a control to the new figure (of the view "Ask": to the last new word), from stored
results alone: median and 95th percentile for each control and view, over clicks back and forth
between two choices, which the server remembers; and of all controls the first such click, for which
it has to read and compute. Server and browser share the number of cores given by `--cores`. Other
work on the machine adds to every time. Needs results in assets/results/sweep.parquet.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.watching import (
    desktop,
    report,
    seconds_since_move,
    seconds_to_figures,
    watch,
)
from rsc_snn.cli import exit_code
from rsc_snn.robustness.store import results_folder
from rsc_snn.sweep.transfer import FILE
from tests.browser.driving import control, served_app, settle

GOAL = "< 300 ms"
# Moves a control back or forth; False if it has nothing to choose.
Move = Callable[[Any, str, int], bool]


def press(page: Any, key: str, index: int) -> bool:
    """Click the first or the second button of a row."""
    # The button of a help text, beside the label, has no text of its own.
    buttons = page.locator(f"{control(page, key)} button").filter(has_text=re.compile(r"\S"))
    buttons.first.wait_for()
    if buttons.count() < 2:
        return False
    buttons.nth(index % 2).click()
    return True


def pick(page: Any, key: str, index: int) -> bool:
    """Choose the first or the second option of a list; the click on it is what counts."""
    page.locator(f"{control(page, key)} input").click()
    options = page.get_by_role("option")
    options.first.wait_for()
    if options.count() < 2:
        return False
    options.nth(index % 2).click()
    return True


def swap(page: Any, key: str, index: int) -> bool:
    """Take the last of several chosen things out, or put the first of the others in."""
    box = page.locator(control(page, key))
    if index % 2 == 0:
        chosen = box.locator("button[aria-label^=Remove]:visible")
        if not chosen.count():
            return False
        chosen.last.click()
        return True
    box.locator("input").click()
    page.get_by_role("option").nth(1).click()  # The first one chooses all.
    return True


# What is moved, how, and the page's link.
MOVES: dict[str, tuple[str, Move, str]] = {
    "epsilon": ("tradeoff.epsilon", press, "view=curves"),
    "time steps": ("tradeoff.steps.cifar10", press, "view=curves"),
    "axis": ("tradeoff.axis", press, "view=curves"),
    "view": ("tradeoff.view", press, "view=curves"),
    "models": ("tradeoff.models.cifar10", swap, "view=curves"),
    "attack": ("tradeoff.attack", pick, "view=curves"),
    "single pass or vote": ("tradeoff.predictor", press, "view=curves"),
    "epsilon, plane": ("tradeoff.epsilon", press, "view=plane"),
    "models, plane": ("tradeoff.models.cifar10", swap, "view=plane"),
    "epsilon, map": ("tradeoff.epsilon", press, "view=map"),
    "quantity, map": ("tradeoff.quantity", press, "view=map"),
    "epsilon, epsilon": ("tradeoff.epsilon", press, "view=epsilon"),
    "attack, epsilon": ("tradeoff.attack", pick, "view=epsilon"),
    "epsilon, votes": ("tradeoff.epsilon", press, "view=votes"),
    "setting, votes": ("tradeoff.setting", pick, "view=votes"),
    "epsilon, noise": ("tradeoff.epsilon", press, "view=noise"),
    "epsilon, prices": ("tradeoff.epsilon", press, "view=prices"),
    "single pass or vote, prices": ("tradeoff.predictor", press, "view=prices"),
    "epsilon, ask": ("tradeoff.epsilon", press, "view=ask"),
    "attack, ask": ("tradeoff.attack", pick, "view=ask"),
    "single pass or vote, ask": ("tradeoff.predictor", press, "view=ask"),
}


def answers(
    page: Any, address: str, key: str, move: Move, query: str, count: int
) -> tuple[list[float], list[float]]:
    """Seconds from a move to the last new figure: of the first one, and of `count` after it.

    Both are empty if there is no choice. A view without a figure has answered with its last new
    word.
    """
    figures = "view=ask" not in query
    page.goto(f"{address}/tradeoff?{query}")
    page.wait_for_selector(".js-plotly-plot .draglayer" if figures else "[data-testid=stAlert]")
    settle(page)
    watch(page, words=not figures)
    first: list[float] = []
    for index in (0, 1):  # One may be chosen already; from here on every move changes.
        if not move(page, key, index):
            return [], []
        page.wait_for_timeout(3000)
        settle(page)
        if not first and (passed := seconds_since_move(page)) > 0:
            first.append(passed)
    seconds = []
    for index in range(count):
        move(page, key, index)
        seconds.append(seconds_to_figures(page))
    return first, seconds


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2, help="cores for server and browser")
    parser.add_argument("--clicks", type=int, default=15, help="clicks on each of them")
    parser.add_argument("--assets", type=Path, help="assets other than those that ship")
    arguments = parser.parse_args()
    results = results_folder() if arguments.assets is None else arguments.assets / "results"
    if not (results / FILE).is_file():
        raise SystemExit(
            f"There are no results at {results / FILE}; a sweep with --export makes them."
        )
    with (
        desktop(arguments.cores) as (page, scratch),
        served_app(scratch / "log", arguments.assets) as (address, _),
    ):
        firsts: list[float] = []
        for name, (key, move, query) in MOVES.items():
            first, seconds = answers(page, address, key, move, query, arguments.clicks)
            firsts += first
            if seconds:
                report(name, seconds, GOAL)
            else:
                print(f"{name}: nothing to choose; the results have one value", flush=True)
        if firsts:
            report("the first click on each of them", firsts, GOAL)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
