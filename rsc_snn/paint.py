"""A perturbation painted by hand: its pattern as short text, onto a photograph, and its score."""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsc_snn.attacks import score
from rsc_snn.errors import PaintError

if TYPE_CHECKING:
    from rsc_snn.classifier import SpikingClassifier
    from rsc_snn.outcome import AttackRequest

# Run lengths are varints: seven bits a byte, the eighth says that more follow (as in protobuf).
_MORE = 0x80
_LEVELS = 3
_ALPHABET = b"-_"


@dataclass(frozen=True)
class Painted:
    """A painted image `[C, H, W]` and its logits `[D, K]` on the draws that score the attack."""

    image: NDArray[np.float32]
    logits: NDArray[np.float32]


def encode_paint(pattern: NDArray[np.int8]) -> str:
    """A pattern `[H, W]` of -1 (darker), 0 (untouched) and 1 (lighter) as URL-safe text.

    Runs of equal cells, row by row, each as the varint of `3 * length + (value mod 3)`, deflated
    (RFC 1951) and in base64url without padding (RFC 4648). "" if nothing is painted.
    """
    if not pattern.any():
        return ""
    cells = pattern.ravel().astype(np.int64)
    if np.abs(cells).max() > 1:
        raise ValueError("a pattern holds -1, 0 and 1 only")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(cells)) + 1])
    lengths = np.diff(starts, append=cells.size)
    runs = b"".join(_varint(int(run)) for run in lengths * _LEVELS + cells[starts] % _LEVELS)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = deflate.compress(runs) + deflate.flush()
    return base64.b64encode(packed, _ALPHABET).rstrip(b"=").decode("ascii")


def decode_paint(text: str, size: tuple[int, int]) -> NDArray[np.int8]:
    """The pattern `[H, W]` of `size` that `encode_paint` wrote.

    Reads no more than a pattern of this size can need. Raises PaintError if the text is damaged,
    too long, or of a pattern of another size.
    """
    height, width = size
    if not text:
        return np.zeros(size, np.int8)
    runs = _read_runs(_inflate(text, height * width))
    lengths, levels = runs // _LEVELS, runs % _LEVELS
    if not lengths.all() or lengths.sum() != height * width:
        raise PaintError(
            f"The painted pattern does not fit a photograph of {width} × {height} pixels."
        )
    values = np.where(levels == _LEVELS - 1, -1, levels).astype(np.int8)
    return np.repeat(values, lengths).reshape(size)


def apply_paint(x: Tensor, pattern: NDArray[np.int8], epsilon: float) -> Tensor:
    """The photograph `x` `[1, C, H, W]`, pixels 0..1, with the `pattern` `[H, W]` painted on.

    Every painted pixel changes by `epsilon` (a fraction, such as 8 / 255) in all channels and is
    kept within 0..1, so the L-infinity norm of the change is at most epsilon. Raises PaintError
    if the pattern is of another size.
    """
    if tuple(x.shape[-2:]) != pattern.shape:
        raise PaintError(
            f"The painted pattern does not fit a photograph of {x.shape[-1]} × {x.shape[-2]} "
            "pixels."
        )
    change = torch.from_numpy(pattern.astype(np.float32)).to(device=x.device, dtype=x.dtype)
    return (x + epsilon * change).clamp(0, 1)


def score_painted(
    model: SpikingClassifier, request: AttackRequest, text: str, epsilon: float
) -> Painted:
    """The photograph of a request with the pattern of `text` painted on, and what the model says.

    epsilon: strength of the paint in n/255. The draws are those on which the outcome of the
    request is scored. Raises PaintError, and the errors of `score`.
    """
    x = request.image.pixels.to(next(model.parameters()).device)
    painted = apply_paint(x, decode_paint(text, (x.shape[-2], x.shape[-1])), epsilon / 255)
    logits = score(
        model,
        painted,
        request.draws,
        time_steps=request.time_steps,
        sigma=request.sigma,
        seed=request.seed,
    )
    return Painted(painted[0].cpu().numpy(), logits[:, 0].float().cpu().numpy())


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number >= _MORE:
        digits.append(number % _MORE + _MORE)
        number //= _MORE
    digits.append(number)
    return bytes(digits)


def _inflate(text: str, cells: int) -> bytes:
    """The deflated bytes of `text`, at most `cells` of them: no run takes more than one a cell."""
    unreadable = PaintError("The painted pattern is damaged and cannot be read.")
    # Deflate adds at most five bytes per block of bytes that it cannot shorten.
    if len(text) > 2 * cells + 64 or not text.isascii():
        raise unreadable
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), _ALPHABET, validate=True)
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        runs = inflate.decompress(packed, cells + 1)
    except (binascii.Error, zlib.error) as error:
        raise unreadable from error
    if not inflate.eof or inflate.unused_data or len(runs) > cells:
        raise unreadable
    return runs


def _read_runs(data: bytes) -> NDArray[np.int64]:
    """The varints of `data`, `[R]`."""
    runs, number, place = [], 0, 0
    for byte in data:
        number += (byte % _MORE) << place
        place += 7
        if byte < _MORE:
            runs.append(number)
            number, place = 0, 0
        elif place > 28:  # four digits hold runs far longer than any photograph here
            break
    if place:
        raise PaintError("The painted pattern is damaged and cannot be read.")
    return np.array(runs, dtype=np.int64)
