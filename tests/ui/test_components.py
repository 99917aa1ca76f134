"""Components: what they send to the browser, and what they make of what a browser sends."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image
from streamlit.testing.v1 import AppTest

import rsc_snn.ui.components.painting
import rsc_snn.ui.components.player
import rsc_snn.ui.components.raster
from rsc_snn.errors import PaintError
from rsc_snn.paint import encode_paint
from rsc_snn.ui.components import (
    PaintData,
    PlayerColumn,
    PlayerData,
    RasterBand,
    RasterData,
    painter,
    raster_view,
    time_player,
)
from rsc_snn.ui.components.payload import (
    pack_codes,
    pack_numbers,
    picture_strip,
    stencil_strip,
    unpack_codes,
)
from rsc_snn.ui.components.raster import ORDERS

FOLDER = Path(rsc_snn.ui.components.player.__file__).parent
APP = Path(__file__).parents[1] / "browser" / "components_app.py"
CLASSES = ("cat", "dog", "frog", "horse", "ship")


class Browser:
    """Stands where the browser is: remembers what it was sent and answers with a state."""

    def __init__(self, **state: object) -> None:
        self.state = state
        self.data: dict[str, Any] = {}

    def __call__(self, *, key: str, data: dict[str, Any], **_: object) -> dict[str, object]:
        self.data = data
        return self.state


def column(steps: int, seed: int = 0) -> PlayerColumn:
    rng = np.random.default_rng(seed)
    return PlayerColumn(
        "Original",
        "#2E86D1",
        rng.integers(0, 256, (steps, 5, 6, 3), dtype=np.uint8),
        rng.integers(0, 256, (steps, 4, 3), dtype=np.uint8),
        rng.dirichlet(np.ones(len(CLASSES)), steps),
    )


def raster(rows: int = 7, chosen: int | None = None, order: str = "number") -> RasterData:
    codes = np.random.default_rng(0).integers(0, 4, (3, rows), dtype=np.uint8)
    bands = (RasterBand("first", 2), RasterBand("second", rows - 2))
    return RasterData(codes, bands, np.arange(rows), chosen, order)


def pixels_of(link: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(base64.b64decode(link.split(",")[1]))) as image:
        return np.asarray(image)


def use(monkeypatch: pytest.MonkeyPatch, module: Any, **state: object) -> Browser:
    browser = Browser(**state)
    monkeypatch.setattr(module, "_mount", browser)
    return browser


@given(arrays(np.uint8, array_shapes(max_dims=3, max_side=9), elements=st.integers(0, 3)))
def test_codes_survive_as_text(codes: NDArray[np.uint8]) -> None:
    text = pack_codes(codes)
    decoded = unpack_codes(text, codes.shape)
    assert decoded is not None
    np.testing.assert_array_equal(decoded, codes)
    bits = [code >> bit & 1 for code in codes.ravel().tolist() for bit in (0, 1)]
    expected = np.packbits(bits, bitorder="little").tobytes()
    assert base64.b64decode(text) == expected


@pytest.mark.parametrize("text", ["", "!", "AAAA", "é", "A", pack_codes(np.zeros(17, np.uint8))])
def test_other_text_is_no_codes(text: str) -> None:
    assert unpack_codes(text, (4, 4)) is None


@pytest.mark.parametrize(("most", "size"), [(0, 2), (65535, 2), (65536, 4), (2**32 - 1, 4)])
def test_numbers_take_the_fewest_bytes(most: int, size: int) -> None:
    numbers = np.array([0, 1, most], dtype=np.int64)
    sent = pack_numbers(numbers)
    assert sent["bytes"] == size
    content = base64.b64decode(str(sent["values"]))
    found = [int.from_bytes(content[at : at + size], "little") for at in range(0, 3 * size, size)]
    assert found == numbers.tolist()


def test_strips_hold_every_step() -> None:
    shown = column(3)
    np.testing.assert_array_equal(
        pixels_of(picture_strip(shown.frames)), np.concatenate(list(shown.frames))
    )
    stencil = pixels_of(stencil_strip(shown.maps))
    np.testing.assert_array_equal(stencil[..., 1], np.concatenate(list(shown.maps)))
    assert (stencil[..., 0] == 255).all()


def test_twenty_thousand_neurons_are_small_to_send(monkeypatch: pytest.MonkeyPatch) -> None:
    browser = use(monkeypatch, rsc_snn.ui.components.raster)
    codes = np.random.default_rng(0).integers(0, 4, (8, 20_000), dtype=np.uint8)
    raster_view(RasterData(codes, (RasterBand("one", 20_000),), np.arange(20_000)), key="raster")
    assert len(browser.data["codes"]) + len(browser.data["neurons"]["values"]) < 110_000


def test_rows_are_sent_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    browser = use(monkeypatch, rsc_snn.ui.components.raster)
    data = raster()
    raster_view(data, key="raster")
    sent = unpack_codes(browser.data["codes"], (7, 3))
    assert sent is not None
    np.testing.assert_array_equal(sent, data.codes.T)


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_rows_is_one_of_those_in_the_browser(
    monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    browser = use(monkeypatch, rsc_snn.ui.components.raster)
    raster_view(raster(order=order), key="raster")
    assert browser.data["order"] == order
    html = (FOLDER / "raster.html").read_text(encoding="utf-8")
    assert re.findall(r'<option value="(\w+)"', html) == list(ORDERS)
    with pytest.raises(ValueError, match="order is one of"):
        raster(order="backwards")


def test_answers_are_the_three_likeliest_and_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    browser = use(monkeypatch, rsc_snn.ui.components.player)
    shown = column(6)
    time_player(PlayerData((shown,), CLASSES, truth=2), key="player")
    for probabilities, answers in zip(
        shown.probabilities, browser.data["columns"][0]["answers"], strict=True
    ):
        ranked = sorted(zip(probabilities, CLASSES, strict=True), reverse=True)
        expected = [name for _, name in ranked[:3]]
        expected += [] if "frog" in expected else ["frog"]
        assert [answer["name"] for answer in answers] == expected
        assert [answer["name"] for answer in answers if answer["right"]] == ["frog"]
        for answer in answers:
            share = probabilities[CLASSES.index(answer["name"])]
            assert answer["share"] == pytest.approx(share, abs=1e-4)


@pytest.mark.parametrize(
    ("sent", "step"),
    [(1, 1), (8, 8), (0, None), (9, None), (-1, None), ("3", None), (True, None), (2.5, None)]
    + [(None, None), ([3], None)],
)
def test_only_a_step_that_exists_is_returned(
    monkeypatch: pytest.MonkeyPatch, sent: object, step: int | None
) -> None:
    use(monkeypatch, rsc_snn.ui.components.player, step=sent)
    columns = (column(8), column(1, seed=1))
    assert time_player(PlayerData(columns, CLASSES, truth=0), key="player") == step


@pytest.mark.parametrize(("sent", "row"), [(0, 0), (6, 6), (7, 4), (None, 4), ("x", 4)])
def test_only_a_row_that_exists_is_returned(
    monkeypatch: pytest.MonkeyPatch, sent: object, row: int
) -> None:
    use(monkeypatch, rsc_snn.ui.components.raster, row=sent)
    assert raster_view(raster(chosen=4), key="raster") == row


def test_what_is_painted_comes_back_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = np.random.default_rng(0).integers(-1, 2, (6, 5), dtype=np.int8)
    sent = pack_codes((pattern % 3).astype(np.uint8))
    use(monkeypatch, rsc_snn.ui.components.painting, pattern=sent)
    data = PaintData(np.zeros((6, 5, 3), np.uint8))
    assert painter(data, key="painter") == encode_paint(pattern)


def test_the_start_counts_until_something_that_fits_is_painted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pattern = np.eye(6, dtype=np.int8)
    data = PaintData(np.zeros((6, 6, 3), np.uint8), start=encode_paint(pattern))
    three = pack_codes(np.full((6, 6), 3, np.uint8))
    for sent in (None, 7, "!", three, pack_codes(np.zeros((5, 5), np.uint8))):
        browser = use(monkeypatch, rsc_snn.ui.components.painting, pattern=sent)
        assert painter(data, key="painter") == encode_paint(pattern)
        np.testing.assert_array_equal(unpack_codes(browser.data["start"], (6, 6)), pattern)
    use(monkeypatch, rsc_snn.ui.components.painting, pattern=pack_codes(np.zeros((6, 6), np.uint8)))
    assert painter(data, key="painter") == ""


def test_a_damaged_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, rsc_snn.ui.components.painting)
    with pytest.raises(PaintError):
        painter(PaintData(np.zeros((6, 6, 3), np.uint8), start="AAAA"), key="painter")


@pytest.mark.parametrize(
    "make",
    [
        lambda: RasterData(np.full((2, 3), 4, np.uint8), (RasterBand("a", 3),), np.arange(3)),
        lambda: RasterData(np.zeros((2, 3), np.uint8), (RasterBand("a", 2),), np.arange(3)),
        lambda: RasterData(np.zeros((2, 0), np.uint8), (), np.arange(0)),
        lambda: PlayerData((), CLASSES, 0),
        lambda: PlayerData((column(2),), CLASSES[:3], 0),
        lambda: PlayerColumn("a", "#000000", column(2).frames, column(3).maps, np.ones((2, 5))),
        lambda: PaintData(np.zeros((4, 4), np.uint8)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(make: Any) -> None:
    with pytest.raises(ValueError):
        make()


def test_the_components_run_in_a_page_without_a_browser() -> None:
    app = AppTest.from_file(str(APP), default_timeout=30)
    for _ in range(2):
        app.run()
        assert not app.exception
    assert app.session_state["runs"] == 2
    app.radio(key="steps").set_value(1).run()
    app.radio(key="side").set_value(64).run()
    app.checkbox(key="hide").check().run()
    assert not app.exception


def test_nothing_is_fetched_from_elsewhere() -> None:
    files = [path for path in FOLDER.iterdir() if path.suffix in {".html", ".css", ".js"}]
    assert len(files) > 10
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"https?:|\bimport\b|\bfetch\(|@import|\binnerHTML\b", text), path.name
