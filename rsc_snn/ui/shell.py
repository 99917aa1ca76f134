"""What every page has around it."""

from __future__ import annotations

import numpy as np
import streamlit as st
from PIL import Image

from rsc_snn.ui import resources


def icon() -> Image.Image:
    """The browser tab's picture: a few neurons' spikes on dark ground.

    Drawn here because the framework fetches named icons from a server on the internet.
    """
    picture = np.full((64, 64, 3), (15, 20, 25), dtype=np.uint8)
    for row, columns in enumerate(((8, 30, 44), (14, 24, 52), (8, 36, 48), (20, 30, 54))):
        for column in columns:
            colour = (225, 99, 42) if column == 30 else (46, 134, 209)
            picture[8 + 13 * row : 17 + 13 * row, column : column + 5] = colour
    return Image.fromarray(picture)


def device_badge() -> None:
    """Where the app computes."""
    st.badge(
        resources.device_text(),
        icon=":material/memory:",
        color="gray",
        help="Where the networks run. The app takes a graphics card if there is one.",
    )
