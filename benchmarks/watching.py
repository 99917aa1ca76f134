"""What a visitor sees of a page's figures, for benchmarks that drive a real browser."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from tests.browser.driving import TIMEOUT, control, find_chromium, launch, settle

# Notes when a key was pressed or something was clicked, and when a figure last drew anything new,
# or when the page's words last changed.
# Of fewer than so many times the slowest is named: their 95th percentile would be nearly that.
_FEW = 20
_WATCH = """
words => {
  const now = () => performance.now();
  window.rscStart = Infinity;
  window.rscChanged = 0;
  for (const type of ['keydown', 'click']) {
    document.addEventListener(type, () => { window.rscStart = now(); }, true);
  }
  document.addEventListener('rsc-drawn', () => {
    requestAnimationFrame(() => { window.rscChanged = now(); });
  });
  if (words) {
    new MutationObserver(() => { window.rscChanged = now(); }).observe(
      document.querySelector('[data-testid="stMainBlockContainer"]'),
      { childList: true, characterData: true, subtree: true },
    );
  }
}
"""


@contextmanager
def desktop(cores: int) -> Iterator[tuple[Any, Path]]:
    """A desktop page of a new Chromium on `cores` cores, and a scratch folder."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        executable = find_chromium(playwright)
        if executable is None:
            raise SystemExit("no Chromium: set RSC_SNN_CHROMIUM, or install chromium")
        browser = launch(playwright, executable)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(TIMEOUT * 1000)
        yield page, Path(scratch)
        browser.close()


def watch(page: Any, *, words: bool = False) -> None:
    """Begin to note, until the page is left; words: new words count as new figures do."""
    page.evaluate(_WATCH, words)


def seconds_since_move(page: Any) -> float:
    """Seconds from the latest key or click to the latest change; below 0 if it changed nothing."""
    return float(page.evaluate("() => window.rscChanged - window.rscStart")) / 1000


def seconds_to_figures(page: Any) -> float:
    """Seconds from the latest key or click to the last figure that it changed."""
    page.wait_for_function("() => window.rscChanged > window.rscStart")
    settle(page)
    page.wait_for_timeout(300)
    settle(page)
    return seconds_since_move(page)


def slider_moves(page: Any, key: str, count: int) -> list[float]:
    """Seconds from each of `count` key presses on a slider to the last new figure."""
    thumb = page.locator(f"{control(page, key)} [role=slider], {control(page, key)} input").first
    watch(page)
    seconds = []
    for _ in range(count):
        thumb.focus()
        page.keyboard.press("ArrowRight")
        seconds.append(seconds_to_figures(page))
    return seconds


def spread(seconds: Sequence[float]) -> tuple[float, float]:
    """Median and 95th percentile."""
    return float(np.median(seconds)), float(np.percentile(seconds, 95))


def report(name: str, seconds: Sequence[float], goal: str) -> None:
    """One line."""
    middle, high = spread(seconds)
    words = "95 % within"
    if len(seconds) < _FEW:
        words, high = "the slowest", max(seconds)
    print(
        f"{name:<40}median {middle:7.3f} s   {words} {high:7.3f} s   n = {len(seconds):<4}"
        f"goal: {goal}",
        flush=True,
    )
