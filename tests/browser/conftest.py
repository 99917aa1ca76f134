"""One app and one Chromium for all browser tests; each test has a page of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app_assets import make_assets
from tests.browser.driving import EXCEPTION, TIMEOUT, find_chromium, launch, served_app


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running Chromium, or a skip that says what is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        executable = find_chromium(playwright)
        if executable is None:
            pytest.skip("no Chromium: set RSC_SNN_CHROMIUM, or install chromium")
        browser = launch(playwright, executable)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def assets(tiny_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny assets that the app serves."""
    return make_assets(tiny_zoo, tmp_path_factory.mktemp("served") / "assets")


@pytest.fixture(scope="session")
def address(assets: Path) -> Iterator[str]:
    """Where the app with the tiny assets is."""
    with served_app(assets.parent / "log", assets) as (where, _):
        yield where


@pytest.fixture
def page(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A fresh page; options for the browser's context come as the fixture's parameter."""
    options = {"viewport": {"width": 1440, "height": 900}, **getattr(request, "param", {})}
    context = chromium.new_context(**options)
    context.set_default_timeout(TIMEOUT * 1000)
    page = context.new_page()
    yield page
    shown = page.locator(EXCEPTION).count()
    context.close()
    assert shown == 0, "the page shows an exception"
