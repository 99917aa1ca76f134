"""How quickly the page "Trade-off" answers, in real Chromium: `python -m benchmarks.explorer`.

From a click on a control to the new figure, from stored results alone: median and 95th percentile
for each control. Server and browser share the number of cores given by `--cores`. Other work on
the machine adds to every time. Needs results in assets/results/sweep.parquet.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from benchmarks.watching import desktop, report, seconds_to_figures, watch
from rsc_snn.robustness.store import results_folder
from rsc_snn.sweep.transfer import FILE
from tests.browser.driving import control, served_app, settle

GOAL = "< 300 ms"
# The first two buttons of each control are clicked in turn.
CONTROLS = {
    "epsilon": ("tradeoff.epsilon", "view=curves"),
    "time steps": ("tradeoff.steps", "view=curves"),
    "axis": ("tradeoff.axis", "view=curves"),
    "view": ("tradeoff.view", "view=curves"),
    "epsilon, plane": ("tradeoff.epsilon", "view=plane"),
    "epsilon, map": ("tradeoff.epsilon", "view=map"),
    "epsilon, prices": ("tradeoff.epsilon", "view=prices"),
}


def answers(page: Any, address: str, key: str, query: str, count: int) -> list[float]:
    """Seconds from each of `count` clicks to the last new figure; none if there is no choice."""
    page.goto(f"{address}/tradeoff?{query}")
    page.wait_for_selector(".js-plotly-plot .draglayer")
    settle(page)
    watch(page)
    # The button of a help text, beside the label, has no text of its own.
    buttons = page.locator(f"{control(page, key)} button").filter(has_text=re.compile(r"\S"))
    if buttons.count() < 2:
        return []
    for index in (0, 1):  # The first may be chosen already; from here on every click changes.
        buttons.nth(index).click()
        page.wait_for_timeout(3000)
        settle(page)
    seconds = []
    for index in range(count):
        buttons.nth(index % 2).click()
        seconds.append(seconds_to_figures(page))
    return seconds


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2, help="cores for server and browser")
    parser.add_argument("--clicks", type=int, default=15, help="clicks on each control")
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
        for name, (key, query) in CONTROLS.items():
            seconds = answers(page, address, key, query, arguments.clicks)
            if seconds:
                report(name, seconds, GOAL)
            else:
                print(f"{name}: nothing to choose; the results have one value", flush=True)


if __name__ == "__main__":
    main()
