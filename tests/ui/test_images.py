"""Pictures for the browser are the pixels they were made from."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from rsc_snn.ui.images import Panel, amplify, data_link, row_html, to_bytes


def decode(link: str) -> np.ndarray:
    header, content = link.split(",")
    assert header == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        return np.asarray(image)


def test_pixels_survive() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 7), dtype=np.uint8)
    shown = to_bytes(pixels / 255)
    np.testing.assert_array_equal(shown, pixels.transpose(1, 2, 0))
    np.testing.assert_array_equal(decode(data_link(shown)), shown)
    assert max(decode(data_link(shown, side=4)).shape) == 4


def test_one_channel_becomes_grey() -> None:
    shown = to_bytes(np.full((1, 2, 2), 0.5))
    assert shown.shape == (2, 2, 3)
    assert (shown == 128).all()


def test_the_factor_is_the_largest_that_does_not_clip() -> None:
    rng = np.random.default_rng(0)
    for peak in (0.001, 8 / 255, 0.3, 0.5, 0.9):
        change = rng.uniform(-1, 1, (3, 4, 4))
        change *= peak / np.abs(change).max()
        shown, factor = amplify(change)
        assert factor >= 1
        if peak <= 0.5:
            assert factor * peak <= 0.5 + 1e-6 < (factor + 1) * peak + 2e-6
            np.testing.assert_allclose(
                shown.transpose(2, 0, 1) / 255, 0.5 + factor * change, atol=0.5 / 255 + 1e-9
            )


def test_no_change_is_grey_and_factor_one() -> None:
    shown, factor = amplify(np.zeros((3, 2, 2)))
    assert factor == 1
    assert (shown == 128).all()


def test_text_in_the_row_is_escaped() -> None:
    html = row_html([Panel(np.zeros((1, 1, 3), np.uint8), "<b>", 'a "note" & more')])
    assert "<b><b>" not in html
    assert "&lt;b&gt;" in html and "&amp; more" in html
