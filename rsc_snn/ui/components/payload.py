"""Arrays as short text for the browser: two-bit codes, whole numbers, and strips of pictures."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsc_snn.ui.images import data_link

_PER_BYTE = 4
_SHIFTS = np.array([0, 2, 4, 6], dtype=np.uint8)


def pack_codes(codes: NDArray[np.uint8]) -> str:
    """Values 0..3 of any shape as base64: four a byte in C order, the first in the lowest bits."""
    flat = codes.ravel()
    padded = np.zeros(-(-flat.size // _PER_BYTE) * _PER_BYTE, np.uint8)
    padded[: flat.size] = flat
    return _base64(np.bitwise_or.reduce(padded.reshape(-1, _PER_BYTE) << _SHIFTS, axis=1))


def unpack_codes(text: str, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """The values 0..3 of `shape` that `pack_codes` wrote; None if the text is anything else."""
    count = int(np.prod(shape))
    try:
        packed = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    except (binascii.Error, ValueError):
        return None
    if packed.size != -(-count // _PER_BYTE):
        return None
    codes = (packed[:, None] >> _SHIFTS) & np.uint8(3)
    return codes.astype(np.uint8, copy=False).ravel()[:count].reshape(shape)


def pack_numbers(numbers: NDArray[np.integer[Any]]) -> dict[str, str | int]:
    """Whole numbers 0..2**32-1 as base64, little-endian, in the fewest of 2 or 4 bytes each."""
    size = 2 if numbers.size == 0 or numbers.max() < 2**16 else 4
    return {"bytes": size, "values": _base64(numbers.astype(f"<u{size}"))}


def picture_strip(frames: NDArray[np.uint8]) -> str:
    """Pictures `[T, H, W, 3]` below each other in one PNG, as a `data:` link."""
    steps, height, width, channels = frames.shape
    return data_link(frames.reshape(steps * height, width, channels))


def stencil_strip(maps: NDArray[np.uint8]) -> str:
    """Maps `[T, h, w]` below each other as the opacity of a white PNG, to be dyed any colour."""
    steps, height, width = maps.shape
    opacity = maps.reshape(steps * height, width)
    return data_link(np.stack([np.full_like(opacity, 255), opacity], axis=2))


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")
