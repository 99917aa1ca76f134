"""The figure of the lesson's last step: what noise costs and buys, and what one needs of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from rsc_snn.figures.explorer import BARE, Show, plane_figure
from rsc_snn.figures.style import ADVERSARIAL, figure

if TYPE_CHECKING:
    from rsc_snn.tradeoff import OperatingPoint


def bill_figure(
    points: Sequence[OperatingPoint],
    front: Sequence[OperatingPoint],
    best: tuple[float, float],
    attacked: float,
    *,
    show: Show = BARE,
) -> go.Figure:
    """The plane of clean and robust accuracy, and the line through `best` on which all settings are
    right equally often.

    best: clean and robust accuracy A_0 and A_1. attacked: the share q of images under attack; the
    line is that of `(1 - q) A_0 + q A_1`.
    """
    plane = plane_figure(points, front, ring="your setting", show=show).to_dict()
    spans = [plane["layout"][name]["range"] for name in ("xaxis", "yaxis")]
    line = _equally_right(best, attacked, *spans)
    return figure([line, *plane["data"]], plane["layout"])


def _equally_right(
    best: tuple[float, float], attacked: float, across: Sequence[float], along: Sequence[float]
) -> dict[str, Any]:
    """The line over the whole plane: level if all images are attacked, upright if none is."""
    calm = 1 - attacked
    right = calm * best[0] + attacked * best[1]
    x, y = list(across), list(along)
    if attacked > calm:
        y = [(right - calm * end) / attacked for end in across]
    else:
        x = [(right - attacked * end) / calm for end in along]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"right equally often, q = {attacked:.0%}",
        "x": x,
        "y": y,
        "line": {"color": ADVERSARIAL, "width": 2, "dash": "dot"},
        "hoverinfo": "skip",
    }
