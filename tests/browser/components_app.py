"""A small app that shows each component by itself and what it returns; tests drive it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from rsc_snn.figures.style import ADVERSARIAL, CLEAN
from rsc_snn.paint import decode_paint
from rsc_snn.ui.components import (
    PaintData,
    PlayerColumn,
    PlayerData,
    RasterBand,
    RasterData,
    copy_link,
    painter,
    raster_view,
    time_player,
)
from rsc_snn.ui.components.raster import ONLY_ADVERSARIAL, ONLY_CLEAN
from rsc_snn.ui.style import apply_style

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
LAYERS = (("block 1 · convolution 1", 8192), ("block 1 · convolution 2", 8192), ("block 2", 3616))


def photograph(side: int) -> np.ndarray:
    """A sky above a meadow, with a sun: `[S, S, 3]` bytes."""
    rows, columns = np.mgrid[:side, :side] / side
    pixels = np.stack([0.4 + 0.3 * rows, 0.6 + 0.2 * rows, 0.95 - 0.1 * rows], axis=2)
    pixels[rows > 0.65] = (0.25, 0.55, 0.2)
    pixels[(rows - 0.25) ** 2 + (columns - 0.7) ** 2 < 0.015] = (1.0, 0.9, 0.4)
    return np.rint(255 * pixels).astype(np.uint8)


def player_column(title: str, colour: str, steps: int, side: int, rival: int) -> PlayerColumn:
    """A noisy photograph, a map that thins out, and an answer that grows surer with each step."""
    rng = np.random.default_rng(rival)
    noise = rng.normal(0, 40, (steps, side, side, 3))
    frames = np.clip(photograph(side) + noise, 0, 255).astype(np.uint8)
    maps = 255 * (rng.random((steps, 66, 66)) < 0.15).astype(np.uint8)
    logits = np.zeros((steps, len(CLASSES)))
    logits[:, rival] = np.arange(steps) * 0.5
    logits[:, (rival + 1, rival + 2, rival + 4)] = (0.3, 0.2, 0.1)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return PlayerColumn(title, colour, frames, maps, shares)


def raster_data(steps: int) -> RasterData:
    """20,000 neurons; the deeper the layer, the more the attack changes."""
    rng = np.random.default_rng(0)
    rows = sum(size for _, size in LAYERS)
    rate = np.repeat([0.08, 0.15, 0.25], [size for _, size in LAYERS])
    change = np.repeat([0.01, 0.05, 0.3], [size for _, size in LAYERS])
    clean = rng.random((steps, rows)) < rate
    adversarial = np.where(
        rng.random((steps, rows)) < change, rng.random((steps, rows)) < rate, clean
    )
    codes = ONLY_CLEAN * clean + ONLY_ADVERSARIAL * adversarial
    numbers = np.concatenate([np.arange(size) for _, size in LAYERS])
    bands = tuple(RasterBand(name, size) for name, size in LAYERS)
    return RasterData(codes.astype(np.uint8), bands, numbers)


def returned(name: str, value: object) -> None:
    """What a component returned, for a test to read, and how often the script has run."""
    st.html(f'<p id="{name}">{value}</p>')


def main() -> None:
    """The page."""
    st.set_page_config(layout="wide")
    apply_style(panel=True)
    runs = st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    returned("runs", runs)
    steps = st.radio("Steps", (8, 4, 1), horizontal=True, key="steps")
    side = st.radio("Side", (32, 64), horizontal=True, key="side")
    copy_link(key="copy")
    st.text_input("Paste here", key="paste")
    if not st.checkbox("Hide", key="hide"):
        columns = (
            player_column("Original", CLEAN, steps, side, 3),
            player_column("Attacked", ADVERSARIAL, steps, side, 5),
        )
        step = time_player(PlayerData(columns, CLASSES, 3, "block 1, spikes"), key="player")
        returned("step", step)
    st.divider()
    returned("row", raster_view(raster_data(steps), key="raster"))
    st.divider()
    text = painter(PaintData(photograph(side)), key="painter")
    returned("pattern", text)
    returned("painted", int(np.abs(decode_paint(text, (side, side))).sum()))


if __name__ == "__main__":
    main()
