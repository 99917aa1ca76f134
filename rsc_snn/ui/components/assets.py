"""A component's HTML, CSS and JavaScript, read from the files beside this module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

_FOLDER = Path(__file__).parent


def register(name: str, *, isolate: bool = True) -> ComponentRenderer:
    """The component of the files `name.html`, `name.css` and `name.js`.

    Scripts of components cannot import each other, so what all share is put before each. isolate:
    in a shadow tree, with the style that all share; else in the page itself, with its own alone.
    """
    return st.components.v2.component(
        f"rsc_{name}",
        html=_read(f"{name}.html"),
        css=(_read("shared.css") if isolate else "") + _read(f"{name}.css"),
        js=_read("shared.js") + _read(f"{name}.js"),
        isolate_styles=isolate,
    )


def nothing() -> None:
    """A callback for a state of which only the value matters."""


def chosen_number(value: object, low: int, high: int) -> int | None:
    """A whole number in low..high that a browser sent, or None if it sent anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    return None


def _read(file: str) -> str:
    return (_FOLDER / file).read_text(encoding="utf-8")
