"""The page Trade-off in real Chromium: clicks lead to the Playground, live grids survive."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from rsc_snn.sweep.store import Store
from rsc_snn.sweep.transfer import FILE, export_parquet
from rsc_snn.zoo import Zoo
from tests.app_assets import make_assets
from tests.browser.driving import TIMEOUT, control, served_app, settle
from tests.explorer_results import make_grid, make_results

pytestmark = pytest.mark.browser

GRID = (
    "grid=true&grid_models=tiny-rsc&grid_sigmas=0,0.05,0.1,0.15,0.2,0.25,0.3,0.35,0.4,0.45,0.5"
    "&grid_steps=4,8&grid_attacks=pgd10&grid_epsilons=1,2,4,8,16&grid_images=20&grid_draws=3"
)
GRID_CELLS = 11 * 2 * (1 + 5)


@pytest.fixture(scope="module")
def folder(tiny_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Assets with results that ship, and an environment in which they are all there is."""
    folder = tmp_path_factory.mktemp("tradeoff")
    assets = make_assets(tiny_zoo, folder / "assets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RSC_SNN_ASSETS", str(assets))
        patch.setenv("RSC_SNN_DATA", str(folder / "no-data"))
        patch.setenv("RSC_SNN_STORE", str(folder / "sweep.sqlite"))
        patch.setenv("RSC_SNN_LIMIT_RECONNECT_SECONDS", "60")
        patch.setenv("RSC_SNN_LIMIT_GRID_SECONDS", "1e6")  # Speeds on a busy machine are any.
        grid = make_grid(["tiny-ann", "tiny-rsc"])
        with Store(":memory:") as memory:
            memory.put_all(make_results(grid, Zoo(assets / "models")))
            export_parquet(memory, assets / "results" / FILE)
        yield folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[str]:
    """Where the app with these assets is, for tests that leave it as it was."""
    with served_app(folder / "served.log", folder / "assets") as (address, _):
        yield address


def open_page(page: Any, address: str, query: str) -> None:
    page.goto(f"{address}/tradeoff?{query}")
    page.wait_for_selector(".js-plotly-plot .draglayer")
    settle(page)


def measured(page: Any) -> int:
    """How much of the grid the page says is measured."""
    text = page.get_by_text("of them measured already").inner_text()
    return int(re.search(r"\), ([\d,]+) of them", text)[1])  # type: ignore[index]


def wait_until(page: Any, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < end, "it never came true"
        page.wait_for_timeout(100)


def test_a_clicked_point_opens_in_the_playground(page: Any, served: str) -> None:
    open_page(page, served, "models=tiny-rsc&steps=4&view=plane&attack=pgd-10&epsilon=4")
    page.mouse.click(*first_point(page))
    query = in_playground(page)
    assert (query["model"], query["attack"], query["time_steps"]) == ("tiny-rsc", "pgd", "4")
    assert query["epsilon"] == "4" and query["sigma"] == "0"
    page.get_by_role("link", name="Trade-off").click()
    page.wait_for_selector(".js-plotly-plot .draglayer")
    settle(page)
    link = page.get_by_role("link", name="in the Playground")
    assert "sigma 0, T = 4, PGD-10 at 4/255" in link.inner_text(), "it is still chosen"
    link.click()
    assert in_playground(page)["sigma"] == "0"


@pytest.mark.parametrize("page", [{"has_touch": True, "is_mobile": True}], indirect=True)
def test_a_tap_shows_the_point_and_a_second_one_opens_it(page: Any, served: str) -> None:
    open_page(page, served, "models=tiny-rsc&steps=4&view=plane&attack=pgd-10&epsilon=4")
    place = first_point(page)
    page.touchscreen.tap(*place)
    hover = page.locator(".js-plotly-plot .hoverlayer .hovertext")
    hover.wait_for()
    text = hover.text_content()
    assert "python -m rsc_snn evaluate" in text and "n = 20" in text
    page.wait_for_timeout(1000)
    assert "/tradeoff" in page.url
    page.touchscreen.tap(*place)
    assert in_playground(page)["sigma"] == "0"


def test_a_point_is_chosen_by_keyboard_alone(page: Any, served: str) -> None:
    open_page(page, served, "models=tiny-rsc&steps=4&view=plane&attack=pgd-10&epsilon=4")
    for _ in range(2):  # The way back leads to the same row again.
        page.locator("summary", has_text="The numbers").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector('[data-testid="stDataFrame"] canvas')
        settle(page)
        table = page.get_by_test_id("data-grid-canvas")
        while not table.evaluate("table => table === document.activeElement"):
            page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Shift+Space")
        query = in_playground(page)
        assert (query["model"], query["attack"], query["time_steps"]) == (
            "tiny-rsc",
            "pgd",
            "4",
        )
        page.get_by_role("link", name="Trade-off").click()
        page.wait_for_selector(".js-plotly-plot .draglayer")
        settle(page)
        chosen = page.get_by_role("link", name="in the Playground").inner_text()
        assert f"sigma {query['sigma']}, T = 4, PGD-10 at 4/255" in chosen


def first_point(page: Any) -> tuple[float, float]:
    """Where the point of sigma 0 is on the screen."""
    point = page.locator(".js-plotly-plot .scatterlayer .point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def in_playground(page: Any) -> dict[str, str]:
    """Wait for the Playground; its link."""
    page.wait_for_url(lambda url: "/tradeoff" not in url and "epsilon=" in url)
    settle(page)
    return {name: value[0] for name, value in parse_qs(urlsplit(page.url).query).items()}


def test_a_live_grid_survives_a_reload_and_a_kill(page: Any, folder: Path) -> None:
    with served_app(folder / "log", folder / "assets") as (address, process):
        page.goto(f"{address}/tradeoff?{GRID}")
        page.locator(f"{control(page, 'tradeoff.start')} button").click()
        page.get_by_role("button", name="Cancel").wait_for()
        open_marks = "() => document.querySelector('.js-plotly-plot')?.data?.some(trace => "
        open_marks += "[trace.marker?.symbol].flat().some(s => s?.endsWith('-open')))"
        page.wait_for_function(open_marks)  # Points stream in while the job is under way.
        assert page.get_by_role("button", name="Cancel").count() == 1
        page.reload()
        page.get_by_role("button", name="Cancel").wait_for()
        page.wait_for_function(open_marks)
        first = stored(folder)
        wait_until(page, lambda: stored(folder) > first)
        assert page.get_by_role("button", name="Cancel").count() == 1, "a reload stops nothing"
        process.kill()
        process.wait()
    before = answers(folder)
    known = len(before)
    with served_app(folder / "log", folder / "assets") as (address, _):
        page.goto(f"{address}/tradeoff?{GRID}")
        page.get_by_role("button", name="Go on").wait_for()
        settle(page)
        assert measured(page) == known > first
        page.get_by_role("button", name="Go on").click()
        page.get_by_text(
            f" of {GRID_CELLS - known} measurements"
        ).wait_for()  # No other is measured.
        done = page.get_by_text(re.compile(r"^All \d+ measurements of this grid are done\.$"))
        wait_until(page, lambda: stored(folder) == GRID_CELLS)
        done.wait_for()
        assert f"All {GRID_CELLS} measurements" in done.inner_text()
        settle(page)
    after = answers(folder)
    assert len(after) == GRID_CELLS > known
    assert {key: after[key] for key in before} == before, "it is kept as it was"


def answers(folder: Path) -> dict[str, tuple[bytes, float]]:
    """What is stored, by key: the answers, and the seconds that they took."""
    with Store(folder / "sweep.sqlite", create=False) as store:
        return {r.cell.key: (r.answers.tobytes(), r.seconds) for r in store.results()}


def stored(folder: Path) -> int:
    with Store(folder / "sweep.sqlite", create=False) as store:
        return len(store)
