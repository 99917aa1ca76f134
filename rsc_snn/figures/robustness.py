"""Robust accuracy over the size of the attack, one line a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from rsc_snn.figures.style import (
    CODING_COLOURS,
    NEUTRAL,
    axis,
    figure,
    interval_bars,
    layout,
    margin,
)

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x")
_ROW = 22


@dataclass(frozen=True)
class RobustPoint:
    """An accuracy (0..1) at an epsilon (255ths), with its interval over n images."""

    epsilon: float
    value: float
    lower: float
    upper: float
    n: int


@dataclass(frozen=True)
class RobustLine:
    """A model: its short name, its kind (`ann` or a coding: the colour), and its points."""

    name: str
    kind: str
    points: tuple[RobustPoint, ...]


def robustness_figure(lines: Sequence[RobustLine]) -> go.Figure:
    """Accuracy over epsilon, 0 for the clean images; each point with its interval.

    Models of one kind share a colour and differ by dash and marker. Points of different lines
    stand a little apart, so that their intervals can be told from each other.
    """
    sizes = sorted({point.epsilon for line in lines for point in line.points})
    apart = 0.012 * (max(sizes, default=1.0) or 1.0)
    traces = [
        _trace(line, apart * (index - (len(lines) - 1) / 2), _earlier(lines, index))
        for index, line in enumerate(lines)
    ]
    arrangement = layout(
        height=340 + _ROW * len(lines),
        margin=margin(top=10),
        xaxis=axis(
            "size of the attack, epsilon",
            tickvals=sizes,
            ticktext=["clean" if not size else f"{size:g}/255" for size in sizes],
        ),
        yaxis=axis("accuracy", range=[-0.02, 1.02], tickformat=".0%"),
        # One below the other: side by side they would not fit the width of a phone.
        legend={"orientation": "v", "x": 0, "xanchor": "left", "y": -0.25, "yanchor": "top"},
    )
    return figure(traces, arrangement)


def _earlier(lines: Sequence[RobustLine], index: int) -> int:
    """How many lines before this one have its kind."""
    return sum(line.kind == lines[index].kind for line in lines[:index])


def _trace(line: RobustLine, shift: float, place: int) -> dict[str, Any]:
    points = sorted(line.points, key=lambda point: point.epsilon)
    colour = CODING_COLOURS.get(line.kind, NEUTRAL)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": line.name,
        "x": [point.epsilon + shift for point in points],
        "y": [point.value for point in points],
        "customdata": [[point.lower, point.upper, point.n, point.epsilon] for point in points],
        "error_y": interval_bars(points, colour, thickness=1.2, width=3),
        "line": {"color": colour, "width": 2.5, "dash": _DASHES[place % len(_DASHES)]},
        "marker": {"symbol": _SYMBOLS[place % len(_SYMBOLS)], "size": 8, "color": colour},
        "hovertemplate": (
            f"{line.name}<br>epsilon %{{customdata[3]:g}}/255: %{{y:.1%}}<br>"
            "%{customdata[0]:.1%} to %{customdata[1]:.1%}, n = %{customdata[2]:,}<extra></extra>"
        ),
    }
