"""Image tensors as what a browser shows: crisp PNG data links and one block of HTML."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.floating[Any]]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Panel:
    """One picture of a row: pixels `[H, W, 3]`, a title, and a line below it.

    alt: what the picture is for who does not see it, if the title does not say it.
    """

    pixels: Bytes
    title: str
    note: str
    alt: str = ""


def to_bytes(image: Floats) -> Bytes:
    """`[C, H, W]` in 0..1 to `[H, W, 3]` bytes; one channel becomes grey."""
    pixels = np.clip(np.rint(np.asarray(image) * 255), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def amplify(perturbation: Floats) -> tuple[Bytes, int]:
    """A perturbation `[C, H, W]` on mid-grey, and the factor (1 or more) by which it is stronger.

    The factor is the largest whole number with which nothing is clipped; 1 without a change.
    """
    peak = float(np.abs(perturbation).max())
    factor = max(int(0.5 / peak + 1e-6), 1) if peak > 0 else 1
    return to_bytes(0.5 + factor * np.asarray(perturbation)), factor


def data_link(pixels: Bytes, side: int | None = None) -> str:
    """A `data:` link with a PNG of `[H, W, 3]` bytes, at most `side` pixels wide and high."""
    image = Image.fromarray(pixels)
    if side is not None and max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # A slider waits for strips of maps, which higher levels pack much longer than they shrink.
    image.save(buffer, format="PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def row_html(panels: Sequence[Panel]) -> str:
    """The panels side by side, on narrow screens too, with hard pixel edges."""
    figures = "".join(
        f'<figure><img src="{data_link(panel.pixels)}" alt="{escape(panel.alt or panel.title)}">'
        f"<figcaption><b>{escape(panel.title)}</b><br>{escape(panel.note)}</figcaption></figure>"
        for panel in panels
    )
    return f'<div class="rsc-row">{figures}</div>'


def scale_html(pixels: Bytes, low: str, high: str) -> str:
    """What the colours `[H, W, 3]` of pictures mean, from `low` on the left to `high`."""
    low, high = escape(low), escape(high)
    picture = f'<img src="{data_link(pixels)}" alt="Colours from {low} to {high}">'
    return f'<div class="rsc-scale"><span>{low}</span>{picture}<span>{high}</span></div>'
