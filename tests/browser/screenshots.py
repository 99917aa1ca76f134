"""Screenshots for the README: `python -m tests.browser.screenshots [FOLDER]`.

Serves the app with the models that ship, drives it in Chromium, and writes PNG files to FOLDER
(docs/screenshots).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from rsc_snn.ui.lesson.texts import STEPS
from tests.browser.driving import (
    TIMEOUT,
    find_chromium,
    launch,
    open_playground,
    served_app,
    settle,
)

_DESKTOP = {"width": 1440, "height": 900}
_PHONE = {"width": 390, "height": 844}
TRADEOFF_VIEWS = ("curves", "plane", "map", "prices")
# Three networks on one photograph, and what the attack does to them.
COMPARED = (
    "model=cifar10-snn-rsc-020-at&compare=cifar10-snn-rsc-020,cifar10-ann&image=ship-8&view=rates"
)


def whole_page(page: Any, path: Path) -> None:
    """A picture of all of the page, which scrolls inside an element of the window's height."""
    size = page.viewport_size
    height = page.locator('[data-testid="stMain"]').evaluate("area => area.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": height + 8})
    page.wait_for_timeout(1500)
    page.screenshot(path=path)
    page.set_viewport_size(size)


def shrink(path: Path) -> None:
    """256 colours, which is hard to see and a third of the bytes."""
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def take_tradeoff(page: Any, address: str, out: Path, name: str) -> None:
    """The explorer's views, if there are results to show."""
    for view in TRADEOFF_VIEWS:
        page.goto(f"{address}/tradeoff?view={view}")
        page.wait_for_selector("h1")
        settle(page)
        page.wait_for_timeout(3000)
        if page.locator(".js-plotly-plot").count() == 0:
            return
        whole_page(page, out / f"tradeoff-{view}-{name}.png")


def take_lesson(page: Any, address: str, out: Path, name: str) -> None:
    """Every step of the lesson as far as its glossary, which is the same in all."""
    for step in STEPS:
        page.goto(f"{address}/poisson_coding?step={step}")
        page.wait_for_selector(".rsc-glossary")
        settle(page)
        page.wait_for_timeout(2500)
        size = page.viewport_size
        end = page.locator(".rsc-glossary").evaluate(
            "list => list.getBoundingClientRect().top"
            " + document.querySelector('[data-testid=stMain]').scrollTop"
        )
        page.set_viewport_size({"width": size["width"], "height": int(end)})
        page.wait_for_timeout(1500)
        page.screenshot(path=out / f"lesson-{step}-{name}.png")
        page.set_viewport_size(size)


def take(browser: Any, address: str, out: Path, query: str) -> None:
    """All pictures."""
    for name, size, scheme in (
        ("light", _DESKTOP, "light"),
        ("dark", _DESKTOP, "dark"),
        ("phone", _PHONE, "light"),
        ("phone-dark", _PHONE, "dark"),
    ):
        context = browser.new_context(viewport=size, color_scheme=scheme, device_scale_factor=1)
        context.set_default_timeout(TIMEOUT * 1000)
        page = context.new_page()
        open_playground(page, address, query)
        page.wait_for_timeout(1500)
        page.screenshot(path=out / f"playground-{name}-window.png")
        whole_page(page, out / f"playground-{name}.png")
        open_playground(page, address, COMPARED, figures=2)
        page.wait_for_timeout(1500)
        page.screenshot(path=out / f"compare-{name}-window.png")
        take_tradeoff(page, address, out, name)
        take_lesson(page, address, out, name)
        page.goto(f"{address}/models")
        page.wait_for_selector("table")
        settle(page)
        whole_page(page, out / f"models-{name}.png")
        context.close()


def main() -> None:
    """Parse the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/screenshots"))
    parser.add_argument("--assets", type=Path, help="assets other than those that ship")
    parser.add_argument("--link", default="", help="the Playground's link after the question mark")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        executable = find_chromium(playwright)
        if executable is None:
            raise SystemExit("no Chromium: set RSC_SNN_CHROMIUM, or install chromium")
        with served_app(Path(scratch) / "log", arguments.assets) as (address, _):
            browser = launch(playwright, executable)
            take(browser, address, arguments.folder, arguments.link)
            browser.close()
    for path in arguments.folder.glob("*.png"):
        shrink(path)


if __name__ == "__main__":
    main()
