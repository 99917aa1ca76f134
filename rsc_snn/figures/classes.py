"""How well a model knows each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from rsc_snn.figures.style import (
    CLEAN,
    LAST_LABEL,
    NEUTRAL,
    axis,
    figure,
    interval_bars,
    layout,
    margin,
)

MOST_CLASSES = 20
_ROW = 26


@dataclass(frozen=True)
class ClassBar:
    """The accuracy (0..1) of one class, with its interval over n images."""

    name: str
    value: float
    lower: float
    upper: float
    n: int


def class_figure(
    classes: Sequence[ClassBar], overall: float | None = None, *, most: int = MOST_CLASSES
) -> go.Figure:
    """One bar a class, the best on top, with its interval; a line at the `overall` accuracy.

    Of more than `most` classes, the best and the worst `most / 2`.
    """
    ranked = sorted(classes, key=lambda bar: -bar.value)
    if len(ranked) > most:
        half = most // 2
        ranked = ranked[:half] + ranked[len(ranked) - half :]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [bar.value for bar in ranked],
        "y": [bar.name for bar in ranked],
        "customdata": [[bar.lower, bar.upper, bar.n] for bar in ranked],
        "error_x": interval_bars(ranked, None, thickness=1.2, width=3),
        "marker": {"color": CLEAN, "line": {"width": 0}},
        "hovertemplate": (
            "%{y}: %{x:.1%}<br>%{customdata[0]:.1%} to %{customdata[1]:.1%}, "
            "n = %{customdata[2]:,}<extra></extra>"
        ),
        "showlegend": False,
    }
    line = {
        "type": "line",
        "x0": overall,
        "x1": overall,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": NEUTRAL, "width": 1.5, "dash": "dot"},
    }
    arrangement = layout(
        height=90 + _ROW * len(ranked),
        margin=margin(right=LAST_LABEL),
        xaxis=axis("accuracy", range=[0, 1.02], tickformat=".0%", dtick=0.25),
        yaxis=axis("", autorange="reversed", showgrid=False, type="category"),
        shapes=[] if overall is None else [line],
    )
    return figure([trace], arrangement)
