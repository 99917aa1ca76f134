"""Clean against robust accuracy over the noise level sigma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from rsc_snn.figures.style import (
    ADVERSARIAL,
    CLEAN,
    NEUTRAL,
    QUIET,
    axis,
    figure,
    interval_bars,
    layout,
    translucent,
)

# A line of text, as a share of the figure's height.
_LINE = 0.07
# At either end of the axis a text points to the middle.
_EDGE = 0.18


@dataclass(frozen=True)
class CurvePoint:
    """An accuracy (0..1) at a noise level, with its 95 % interval over n images."""

    sigma: float
    value: float
    lower: float
    upper: float
    n: int


def tradeoff_figure(
    clean: Sequence[CurvePoint],
    robust: Sequence[CurvePoint],
    sigmas: Sequence[float],
    *,
    here: float | None = None,
    trained: float | None = None,
) -> go.Figure:
    """Accuracy of clean and of attacked images over sigma, each point with its interval.

    clean, robust: the points so far, in any order. sigmas: all that will come; they fix the axis,
    so that the figure stays still while it fills. here, trained: noise levels to mark, the one
    chosen on the page and the only one that the model was trained with.
    """
    traces = [
        *_curve("clean", clean, CLEAN, "circle", "solid"),
        *_curve("under attack", robust, ADVERSARIAL, "diamond", "dash"),
    ]
    span = max(sigmas) - min(sigmas)
    room = 0.04 * (span or 1.0)
    shown = _marks(here, trained, sigmas)
    arrangement = layout(
        height=380,
        xaxis=axis("noise level sigma", range=[min(sigmas) - room, max(sigmas) + room]),
        yaxis=axis("accuracy", range=[-0.02, 1.02], tickformat=".0%"),
        shapes=[
            {
                "type": "line",
                "x0": sigma,
                "x1": sigma,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": NEUTRAL, "width": 1.5, "dash": dash},
            }
            for sigma, _, dash in shown
        ],
        annotations=[
            {
                "x": sigma,
                "y": height,
                "yref": "paper",
                "yanchor": "top",
                "xanchor": side,
                "text": f" {text} ",
                "showarrow": False,
                "font": {"size": 12},
                "opacity": QUIET,
            }
            for sigma, text, side, height in _texts(shown, sigmas)
        ],
    )
    return figure(traces, arrangement)


def _marks(
    here: float | None, trained: float | None, sigmas: Sequence[float]
) -> list[tuple[float, str, str]]:
    """Noise level, text and dash of each vertical line; one beyond the axis stands at its end."""
    if here is not None and here == trained:
        return [(here, "chosen, and trained with", "dot")]
    marks = []
    if here is not None:
        end = max(sigmas)
        beyond = here > end
        text = f"chosen: {here:g}, beyond the curve" if beyond else "chosen"
        marks.append((end if beyond else here, text, "dot"))
    if trained is not None:
        marks.append((trained, "trained with", "dash"))
    return marks


def _texts(
    marks: Sequence[tuple[float, str, str]], sigmas: Sequence[float]
) -> list[tuple[float, str, str, float]]:
    """Noise level, text, anchor and height of the text beside each line.

    The texts of two point away from both lines, but never out of the figure; on one side the
    second is lower.
    """
    low, high = min(sigmas), max(sigmas)
    first = min((sigma for sigma, *_ in marks), default=low)
    found: list[tuple[float, str, str, float]] = []
    for sigma, text, _ in marks:
        share = (sigma - low) / ((high - low) or 1.0)
        inwards = "left" if share < _EDGE else "right"
        away = "right" if len(marks) > 1 and sigma == first else "left"
        side = inwards if share < _EDGE or share > 1 - _EDGE else away
        taken = any(side == other for _, _, other, _ in found)
        found.append((sigma, text, side, 1.0 - _LINE * taken))
    return found


def _curve(
    name: str, points: Sequence[CurvePoint], colour: str, symbol: str, dash: str
) -> list[dict[str, Any]]:
    """A line with error bars over a translucent band."""
    ordered = sorted(points, key=lambda point: point.sigma)
    x = [point.sigma for point in ordered]
    upper = [point.upper for point in ordered]
    lower = [point.lower for point in ordered]
    band = {
        "type": "scatter",
        "mode": "lines",
        "x": x + x[::-1],
        "y": upper + lower[::-1],
        "fill": "toself",
        "fillcolor": translucent(colour, 0.14),
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
        "name": f"{name}, interval",
    }
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": x,
        "y": [point.value for point in ordered],
        "customdata": [[point.lower, point.upper, point.n] for point in ordered],
        "error_y": interval_bars(ordered, translucent(colour, 0.7)),
        "line": {"color": colour, "width": 2.5, "dash": dash},
        "marker": {"color": colour, "size": 9, "symbol": symbol},
        "hovertemplate": (
            f"{name} at sigma %{{x:.2f}}: %{{y:.0%}}<br>95 % interval %{{customdata[0]:.0%}} to "
            "%{customdata[1]:.0%}, n = %{customdata[2]}<extra></extra>"
        ),
    }
    return [band, line]
