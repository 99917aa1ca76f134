"""Figures to take away: the camera of each saves a picture, one file has all that are shown."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import choice_field

# What a figure shows, in words, and the figure.
Titled = tuple[str, go.Figure]

_SHOWN = "figures.shown"
_FORMAT = "figures.format"
_FORMATS = ("png", "svg")
# As components/plotting.js saves a picture.
_PAPER = {
    "paper_bgcolor": "#ffffff",
    "plot_bgcolor": "#ffffff",
    "template": {"data": {"bar": [{"error_x": {"color": "#17212b"}}]}},
}
_FIELD = choice_field("format", "picture format", _FORMATS, "png")


def begin_figures(link: PageLink | None = None) -> None:
    """Forget the figures of the run before; a page calls this before it draws any.

    link: of a page with `figure_tools`, whose choice of a format is read here, for figures are
    drawn and the link is written before the choice itself is drawn.
    """
    st.session_state[_SHOWN] = {}
    chosen = _FIELD.default if link is None else st.session_state[link.seed(_FIELD)]
    st.session_state[_FORMAT] = chosen
    if link is not None:
        link.keep(_FIELD, chosen, linked=chosen != _FIELD.default)


def remember_figure(key: str, title: str, figure: go.Figure) -> None:
    """Keep a figure that the page shows; one that is drawn again has the key that it had."""
    st.session_state.setdefault(_SHOWN, {})[key] = (title, figure)


def figure_config(name: str) -> dict[str, Any]:
    """Plotly's settings; the camera saves in the format that the visitor chose."""
    return {
        "displaylogo": False,
        "toImageButtonOptions": {
            "filename": f"rsc-snn-{name}",
            "format": st.session_state.get(_FORMAT, _FIELD.default),
            "scale": 2,
        },
    }


def figure_tools(link: PageLink) -> None:
    """The format in which figures save themselves, and all figures of the page as one HTML file."""
    shown: dict[str, Titled] = st.session_state.get(_SHOWN, {})
    st.radio(
        "Save figures as",
        _FORMATS,
        format_func=str.upper,
        key=link.widget(_FIELD),
        horizontal=True,
        help="Each figure shows a camera in its upper right corner when you point at or touch it; "
        "the camera saves a picture.",
    )
    st.download_button(
        "Figures of this page as HTML",
        lambda: figures_html(shown.values()).encode("utf-8"),
        "rsc-snn-figures.html",
        "text/html",
        key="figures.html",
        on_click="ignore",
        icon=":material/monitoring:",
        help="One file that works without a network; figures stay interactive.",
        disabled=not shown,
    )


def figures_html(figures: Iterable[Titled]) -> str:
    """One page with all figures and their descriptions; plotly's code is in it once."""
    parts = []
    for index, (title, figure) in enumerate(figures):
        light = go.Figure(figure).update_layout(_PAPER)
        html = light.to_html(full_html=False, include_plotlyjs=index == 0)
        parts.append(f"<figure>{html}<figcaption>{escape(title)}</figcaption></figure>")
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>RSC-SNN figures</title>"
        "<style>body{font:16px system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "figure{margin:0 0 3rem}</style></head><body>" + "".join(parts) + "</body></html>"
    )
