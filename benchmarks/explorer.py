"""How quickly the page "Trade-off" answers, in real Chromium: `python -m benchmarks.explorer`.

From a click on a control to the new figure, from stored results alone: median and 95th percentile
for each control. Server and browser share the number of cores given by `--cores`. Other work on
the machine adds to every time. Needs results in assets/results/sweep.parquet.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks.playground import report
from rsc_snn.robustness.store import results_folder
from rsc_snn.sweep.transfer import FILE
from tests.browser.driving import TIMEOUT, control, find_chromium, launch, served_app, settle

GOAL = "< 300 ms"
# Notes when something was clicked, and when the figure last changed what it shows.
_WATCH = """
() => {
  const plot = () => document.querySelector('.js-plotly-plot');
  const digest = () => JSON.stringify((plot()?.data || []).map(trace => [trace.x, trace.y]));
  let last = digest();
  window.rscStart = Infinity;
  window.rscChanged = 0;
  document.addEventListener('click', () => { window.rscStart = performance.now(); }, true);
  setInterval(() => {
    const now = digest();
    if (now !== last) {
      last = now;
      requestAnimationFrame(() => { window.rscChanged = performance.now(); });
    }
  }, 5);
}
"""
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
    """Seconds from each of `count` clicks to the last new figure."""
    page.goto(f"{address}/tradeoff?{query}")
    page.wait_for_selector(".js-plotly-plot .draglayer")
    settle(page)
    page.evaluate(_WATCH)
    # The button of a help text, beside the label, has no text of its own.
    buttons = page.locator(f"{control(page, key)} button").filter(has_text=re.compile(r"\S"))
    for index in (0, 1):  # The first may be chosen already; from here on every click changes.
        buttons.nth(index).click()
        page.wait_for_timeout(3000)
        settle(page)
    seconds = []
    for index in range(count):
        buttons.nth(index % 2).click()
        page.wait_for_function("() => window.rscChanged > window.rscStart")
        settle(page)
        page.wait_for_timeout(300)
        settle(page)
        seconds.append(page.evaluate("() => window.rscChanged - window.rscStart") / 1000)
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
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        executable = find_chromium(playwright)
        if executable is None:
            raise SystemExit("no Chromium: set RSC_SNN_CHROMIUM, or install chromium")
        browser = launch(playwright, executable)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(TIMEOUT * 1000)
        with served_app(Path(scratch) / "log", arguments.assets) as (address, _):
            for name, (key, query) in CONTROLS.items():
                report(name, answers(page, address, key, query, arguments.clicks), GOAL)
        browser.close()


if __name__ == "__main__":
    main()
