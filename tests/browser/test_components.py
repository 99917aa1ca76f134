"""The components in real Chromium, each by itself: play, zoom, choose, paint, copy."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rsc_snn.figures.style import ADVERSARIAL, CLEAN, NEUTRAL
from rsc_snn.paint import decode_paint
from tests.browser.components_app import raster_data
from tests.browser.driving import control, served_app, settle

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
DARK = {"color_scheme": "dark"}
CALM = {"reduced_motion": "reduce"}
CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}
# Less than the longest wait of a component before it sends (its slider's), with room.
SENT = 800


@pytest.fixture(scope="module")
def small_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the small app is that shows the components."""
    log = tmp_path_factory.mktemp("components") / "log"
    with served_app(log, script="tests/browser/components_app.py") as (where, _):
        yield where


@pytest.fixture
def shown(page: Any, small_app: str) -> Iterator[Any]:
    """A page on which every component is drawn; no script may fail on it."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(small_app)
    page.wait_for_selector("#painted")
    settle(page)
    page.wait_for_selector(".raster canvas[data-view]")
    page.wait_for_function(SHADOW + "() => shadow('.player canvas').width === 32")
    page.wait_for_function(SHADOW + "() => shadow('.painter canvas').width === 768")
    yield page
    assert errors == []


# Components live in shadow trees, which scripts of a page must enter one by one.
SHADOW = """
const shadow = (selector) => [...document.querySelectorAll('*')]
  .map((element) => element.shadowRoot?.querySelector(selector)).find(Boolean);
"""


def returned(page: Any, name: str) -> str:
    """What a component returned in the run last finished."""
    page.wait_for_timeout(SENT)
    settle(page)
    return page.locator(f"#{name}").inner_text()


def becomes(page: Any, name: str, value: str) -> None:
    """Wait until a component returns this."""
    page.wait_for_function(
        "([name, value]) => document.getElementById(name)?.textContent === value",
        arg=[name, value],
    )
    settle(page)


def label(page: Any) -> str:
    return page.locator(".player output").inner_text()


def picture(page: Any, selector: str) -> str:
    return page.locator(selector).first.evaluate("canvas => canvas.toDataURL()")


def set_radio(page: Any, key: str, option: str) -> None:
    page.locator(control(page, key)).get_by_text(option, exact=True).click()
    page.wait_for_timeout(300)
    settle(page)


def saved(page: Any) -> NDArray[np.uint8]:
    """The raster as its button saves it, `[H, W, 3]`."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save PNG").click()
    assert download.value.suggested_filename == "spike-raster.png"
    content = Path(download.value.path()).read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def drag(page: Any, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag between two points given as shares of an element's width and height."""
    area = page.locator(selector)
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=5)
    page.mouse.up()


def test_playing_shows_all_steps_and_reruns_nothing(shown: Any) -> None:
    runs = returned(shown, "runs")
    assert label(shown) == "t = 8 of 8"
    height = shown.locator(".player").bounding_box()["height"]
    shown.locator(".player select").select_option("4")
    shown.get_by_role("button", name="Play").click()
    seen = set()
    for _ in range(40):
        seen.add((label(shown), picture(shown, ".player canvas")))
        shown.wait_for_timeout(50)
    assert {name for name, _ in seen} == {f"t = {step} of 8" for step in range(1, 9)}
    assert len({content for _, content in seen}) == 8
    assert shown.locator("#runs").inner_text() == runs
    shown.get_by_role("button", name="Pause").click()
    stopped = label(shown)
    becomes(shown, "step", stopped.split()[2])
    assert int(returned(shown, "runs")) == int(runs) + 1
    assert label(shown) == stopped
    assert shown.locator(".player").bounding_box()["height"] == height


def test_the_scrubber_by_keyboard(shown: Any) -> None:
    runs = returned(shown, "runs")
    scrubber = shown.get_by_role("slider", name="Time step")
    scrubber.focus()
    for _ in range(3):
        shown.keyboard.press("ArrowLeft")
    assert label(shown) == "t = 5 of 8"
    assert scrubber.get_attribute("aria-valuetext") == "t = 5 of 8"
    becomes(shown, "step", "5")
    assert int(returned(shown, "runs")) == int(runs) + 1
    shown.keyboard.press("Home")
    becomes(shown, "step", "1")
    # Fewer steps than where the visitor stopped: the last one there is.
    shown.keyboard.press("End")
    becomes(shown, "step", "8")
    set_radio(shown, "steps", "4")
    assert (label(shown), returned(shown, "step")) == ("t = 4 of 4", "None")


def test_the_answer_and_the_true_class_of_each_step(shown: Any) -> None:
    rows = shown.locator(".player article").nth(1).locator("li:not(.none)")
    names = [text.split("\n")[0] for text in rows.all_inner_texts()]
    assert names == ["dog", "frog", "horse", "cat ✓"]
    shown.get_by_role("slider", name="Time step").focus()
    shown.keyboard.press("Home")
    assert rows.first.inner_text().split("\n")[0] == "frog"


def test_one_step_has_nothing_to_play(shown: Any) -> None:
    set_radio(shown, "steps", "1")
    assert label(shown) == "t = 1 of 1"
    assert shown.get_by_role("button", name="Play").is_disabled()
    assert shown.get_by_role("slider", name="Time step").is_disabled()
    assert "answer comes at once" in shown.locator(".player .hint").inner_text()


@pytest.mark.parametrize("page", [CALM, {}], indirect=True, ids=["calm", "usual"])
def test_nothing_plays_by_itself(shown: Any) -> None:
    before = (label(shown), picture(shown, ".player canvas"))
    shown.wait_for_timeout(1500)
    assert (label(shown), picture(shown, ".player canvas")) == before


def test_a_player_that_is_gone_stops(shown: Any) -> None:
    shown.locator(".player select").select_option("4")
    shown.get_by_role("button", name="Play").click()
    kept = shown.evaluate_handle(SHADOW + "shadow('.player output')")
    shown.locator(control(shown, "hide")).get_by_text("Hide").click()
    shown.wait_for_selector(".player", state="detached")
    stopped = kept.evaluate("output => output.textContent")
    shown.wait_for_timeout(1000)
    assert kept.evaluate("output => output.textContent") == stopped
    shown.locator(control(shown, "hide")).get_by_text("Hide").click()
    shown.wait_for_selector(".player")
    settle(shown)
    assert label(shown) == "t = 8 of 8"
    shown.get_by_role("button", name="Play").click()
    shown.wait_for_function(SHADOW + "() => shadow('.player output').value === 't = 3 of 8'")


def test_twenty_thousand_neurons_are_drawn_in_no_time(shown: Any) -> None:
    canvas = shown.locator(".raster canvas")
    assert canvas.get_attribute("data-view") == "0-20000"
    for mode in ("Original", "Attacked", "Differences"):
        shown.locator(".raster").get_by_text(mode, exact=True).click()
        assert float(canvas.get_attribute("data-milliseconds")) < 100
    shown.locator(".raster .order").select_option("changes")
    assert float(canvas.get_attribute("data-milliseconds")) < 100


def test_the_raster_draws_the_codes(shown: Any) -> None:
    """At the closest zoom, the middle of every cell has the colour of its code."""
    canvas = shown.locator(".raster canvas")
    canvas.focus()
    shown.keyboard.press("End")
    for _ in range(25):
        shown.keyboard.press("+")
    shown.keyboard.press("End")
    shown.wait_for_timeout(100)
    assert canvas.get_attribute("data-view") == "19992-20000"
    canvas.blur()
    shown.wait_for_timeout(100)
    pixels, codes = saved(shown), raster_data(8).codes[:, -8:]
    height, width = pixels.shape[:2]
    left, bottom = 130, height - 26
    clean, adversarial, both = (
        np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
        for colour in (CLEAN, ADVERSARIAL, NEUTRAL)
    )
    silent = pixels[-2, 2]
    weight = 0.3**0.5
    expected = [silent, clean, adversarial, weight * both + (1 - weight) * silent]
    assert set(codes.ravel()) == {0, 1, 2, 3}
    for step in range(8):
        for row in range(8):
            x = int(left + (step + 0.5) * (width - left) / 8)
            y = int((row + 0.5) * bottom / 8)
            np.testing.assert_allclose(pixels[y, x], expected[codes[step, row]], atol=3)


def test_a_neuron_is_chosen_by_click_and_by_keyboard(shown: Any) -> None:
    becomes(shown, "row", "None")
    canvas, runs = shown.locator(".raster canvas"), int(returned(shown, "runs"))
    box = canvas.bounding_box()
    canvas.click(position={"x": 400, "y": box["height"] / 2})
    readout = shown.locator(".raster .readout").inner_text()
    row = int(returned(shown, "row"))
    assert "block 1 · convolution 2" in readout
    assert f"neuron {row - 8192:,}," in readout
    canvas.focus()
    for key in ("Home", *["ArrowLeft"] * 8, "ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        shown.keyboard.press(key)
    words = ["silent", "only in the original", "only when attacked", "in both"]
    readout = shown.locator(".raster .readout").inner_text()
    assert readout.startswith("block 1 · convolution 1, neuron 2, t = 2: ")
    assert readout.endswith(words[raster_data(8).codes[1, 2]])
    becomes(shown, "row", "2")
    assert int(returned(shown, "runs")) == runs + 2


def test_zoom_and_pan_rerun_nothing(shown: Any) -> None:
    canvas, runs = shown.locator(".raster canvas"), returned(shown, "runs")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    shown.mouse.move(box["x"] + 300, box["y"] + 100)
    shown.mouse.move(box["x"] + 310, box["y"] + 110)
    for _ in range(4):
        shown.mouse.wheel(0, -150)
        shown.wait_for_timeout(60)
    top, bottom = map(int, canvas.get_attribute("data-view").split("-"))
    assert bottom - top == pytest.approx(20_000 / 16, abs=2)
    drag(shown, ".raster canvas", (0.6, 0.8), (0.6, 0.3))
    shown.wait_for_timeout(100)
    moved, _ = map(int, canvas.get_attribute("data-view").split("-"))
    assert moved - top == pytest.approx((bottom - top) / 2, rel=0.15)
    shown.get_by_role("button", name="Show all neurons").click()
    assert canvas.get_attribute("data-view") == "0-20000"
    assert (returned(shown, "runs"), returned(shown, "row")) == (runs, "None")


def test_a_page_scrolls_past_the_raster(shown: Any) -> None:
    """A wheel over a raster on which no pointer has moved scrolls the page."""
    canvas = shown.locator(".raster canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    main = shown.locator('[data-testid="stMain"]')
    before = main.evaluate("area => area.scrollTop")
    shown.mouse.move(box["x"] + 300, box["y"] + 100)
    shown.mouse.wheel(0, 200)
    shown.wait_for_timeout(500)
    assert main.evaluate("area => area.scrollTop") > before
    assert canvas.get_attribute("data-view") == "0-20000"


def test_order_within_layers_keeps_the_numbers_of_rows(shown: Any) -> None:
    shown.locator(".raster .order").select_option("spikes")
    shown.locator(".raster canvas").focus()
    for key in ("Home", "Enter"):
        shown.keyboard.press(key)
    row = int(returned(shown, "row"))
    busy = (raster_data(8).codes[:, :8192] > 0).sum(axis=0)
    assert row == int(busy.argmax())


def test_a_rerun_redraws_nothing_that_did_not_change(shown: Any) -> None:
    canvas = shown.locator(".raster canvas")
    canvas.evaluate("canvas => { canvas.dataset.milliseconds = 'kept'; }")
    shown.get_by_role("slider", name="Time step").focus()
    shown.keyboard.press("ArrowLeft")
    becomes(shown, "step", "7")
    assert canvas.get_attribute("data-milliseconds") == "kept"


def test_painting_with_the_mouse(shown: Any) -> None:
    runs = int(returned(shown, "runs"))
    drag(shown, ".painter canvas", (0.25, 0.26), (0.75, 0.26))
    pattern = decode_paint(returned(shown, "pattern"), (32, 32))
    assert int(returned(shown, "runs")) == runs + 1
    expected = np.zeros((32, 32), np.int8)
    expected[7:10, 7:26] = 1
    np.testing.assert_array_equal(pattern, expected)
    shown.locator(".painter").get_by_text("Darker").click()
    shown.locator(".painter input[type=range]").fill("1")
    drag(shown, ".painter canvas", (0.51, 0.1), (0.51, 0.9))
    pattern = decode_paint(returned(shown, "pattern"), (32, 32))
    expected[3:29, 16] = -1
    np.testing.assert_array_equal(pattern, expected)
    shown.locator(".painter").get_by_text("Eraser").click()
    drag(shown, ".painter canvas", (0.51, 0.1), (0.51, 0.9))
    expected[3:29, 16] = 0
    pattern = decode_paint(returned(shown, "pattern"), (32, 32))
    np.testing.assert_array_equal(pattern, expected)
    for left in (80, 57, 0):
        shown.get_by_role("button", name="Undo").click()
        becomes(shown, "painted", str(left))
    assert shown.get_by_role("button", name="Undo").is_disabled()


def test_painting_by_keyboard(shown: Any) -> None:
    shown.locator(".painter canvas").focus()
    shown.keyboard.press("ArrowUp")
    shown.keyboard.down(" ")
    for _ in range(4):
        shown.keyboard.press("ArrowRight")
    shown.keyboard.up(" ")
    expected = np.zeros((32, 32), np.int8)
    expected[14:17, 15:22] = 1
    np.testing.assert_array_equal(decode_paint(returned(shown, "pattern"), (32, 32)), expected)
    shown.keyboard.press("Control+z")
    becomes(shown, "painted", "0")


def test_clear_and_another_size(shown: Any) -> None:
    for _ in range(2):
        drag(shown, ".painter canvas", (0.3, 0.5), (0.6, 0.5))
        assert returned(shown, "painted") != "0"
        shown.get_by_role("button", name="Clear").click()
        becomes(shown, "pattern", "")
    shown.get_by_role("button", name="Undo").click()
    assert returned(shown, "painted") != "0"
    set_radio(shown, "side", "64")
    becomes(shown, "painted", "0")
    shown.wait_for_function(SHADOW + "() => shadow('.painter .painted').textContent[0] === 'N'")
    drag(shown, ".painter canvas", (0.3, 0.5), (0.6, 0.5))
    assert decode_paint(returned(shown, "pattern"), (64, 64)).any()


@pytest.mark.parametrize("page", [CLIPBOARD], indirect=True)
@pytest.mark.parametrize("modern", [True, False])
def test_the_link_is_copied(page: Any, small_app: str, modern: bool) -> None:
    """With the clipboard that safe pages have, and without it, as on plain http."""
    if not modern:
        page.add_init_script(
            "Object.defineProperty(Navigator.prototype, 'clipboard', { value: undefined })"
        )
    page.goto(f"{small_app}/?sigma=0.25")
    page.wait_for_selector("#painted")
    settle(page)
    button = page.locator(".link-button button")
    width = button.bounding_box()["width"]
    button.click()
    page.get_by_text("Copied", exact=True).wait_for(timeout=1500)
    assert page.locator(".link-button [role=status]").inner_text() == "The link is copied."
    assert button.bounding_box()["width"] == width
    page.get_by_text("Copy link", exact=True).wait_for(timeout=4000)
    field = page.get_by_label("Paste here")
    field.focus()
    page.keyboard.press("Control+v")
    assert field.input_value() == f"{small_app}/?sigma=0.25"


@pytest.mark.parametrize("page", [PHONE, PHONE | DARK], indirect=True, ids=["light", "dark"])
def test_on_a_phone(shown: Any) -> None:
    main = shown.locator('[data-testid="stMain"]')
    assert main.evaluate("area => area.scrollWidth <= area.clientWidth + 1")
    for part in (".player", ".raster", ".painter"):
        assert shown.locator(part).evaluate("part => part.scrollWidth <= part.clientWidth")
    rights = shown.locator(".rsc *:visible").evaluate_all(
        "parts => parts.map(part => part.getBoundingClientRect().right)"
    )
    assert max(rights) <= 390
    shown.locator(".painter canvas").tap(position={"x": 100, "y": 100})
    becomes(shown, "painted", "9")
    shown.locator(".raster canvas").tap(position={"x": 200, "y": 100})
    assert returned(shown, "row").isdigit()


@pytest.mark.parametrize("page", [DARK], indirect=True)
def test_in_the_dark(shown: Any) -> None:
    colours = shown.locator(".player .play").evaluate(
        "button => [getComputedStyle(button).color, getComputedStyle(button).backgroundColor]"
    )
    assert colours == ["rgb(232, 237, 242)", "rgb(15, 20, 25)"]
    background = saved(shown)[-2, 2]
    assert background.max() < 60
