"""Paint a perturbation onto a photograph by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsc_snn.figures.style import ADVERSARIAL
from rsc_snn.paint import decode_paint, encode_paint
from rsc_snn.ui.components.assets import nothing, register
from rsc_snn.ui.components.payload import pack_codes, unpack_codes
from rsc_snn.ui.images import data_link

# The browser's codes of untouched, lighter and darker cells are the values modulo 3.
_LEVELS = 3

_mount = register("painting")


@dataclass(frozen=True)
class PaintData:
    """The photograph `[H, W, 3]`, and a pattern as text that is there at the start."""

    pixels: NDArray[np.uint8]
    start: str = ""

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.dtype != np.uint8:
            raise ValueError("pixels are bytes [H, W, 3]")


def painter(data: PaintData, *, key: str) -> str:
    """Let the visitor paint; the pattern as `encode_paint` writes it, "" if nothing is painted.

    A stroke reruns the page when it ends. What is painted stays when the photograph changes, unless
    its size does; `data.start` counts until the first stroke. Another `key` starts afresh. Raises
    PaintError if `data.start` is damaged or of another size.
    """
    height, width = data.pixels.shape[:2]
    start = decode_paint(data.start, (height, width))
    state = _mount(key=key, data=_payload(data, start), on_pattern_change=nothing)
    painted = _pattern(state.get("pattern"), (height, width))
    return encode_paint(start if painted is None else painted)


def _payload(data: PaintData, start: NDArray[np.int8]) -> dict[str, Any]:
    height, width = data.pixels.shape[:2]
    return {
        "width": width,
        "height": height,
        "photograph": data_link(data.pixels),
        "start": pack_codes((start % _LEVELS).astype(np.uint8)),
        "colour": ADVERSARIAL,
    }


def _pattern(value: object, size: tuple[int, int]) -> NDArray[np.int8] | None:
    """The pattern `[H, W]` that the browser sent; None if it is none of this size."""
    codes = unpack_codes(value, size) if isinstance(value, str) else None
    if codes is None or codes.max() >= _LEVELS:
        return None
    pattern = codes.astype(np.int8)
    pattern[codes == _LEVELS - 1] = -1
    return pattern
