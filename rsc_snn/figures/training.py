"""Training curves of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from rsc_snn.figures.style import ADVERSARIAL, CLEAN, NEUTRAL, axis, figure, layout


def training_figure(
    epochs: Sequence[float],
    train: Sequence[float],
    test: Sequence[float | None],
    robust: Sequence[float | None] = (),
) -> go.Figure:
    """Accuracy (0..1) on training and on held-out images after each epoch.

    test: None where an epoch was not evaluated. robust: the same on attacked held-out images;
    without values it is not drawn.
    """
    robust = robust or [None] * len(epochs)
    traces = [
        _series("training images", epochs, train, NEUTRAL, "solid", "circle"),
        _series("held-out images", epochs, test, CLEAN, "dash", "diamond"),
    ]
    if any(value is not None for value in robust):
        name = "held-out images, attacked"
        traces.append(_series(name, epochs, robust, ADVERSARIAL, "dot", "square"))
    arrangement = layout(
        height=300,
        xaxis=axis("epoch", rangemode="tozero", minallowed=0, nticks=10, tickformat="d"),
        yaxis=axis("accuracy", range=[0, 1.02], tickformat=".0%"),
    )
    return figure(traces, arrangement)


def _series(
    name: str, x: Sequence[float], y: Sequence[float | None], colour: str, dash: str, symbol: str
) -> dict[str, Any]:
    """A line through the values that are there."""
    known = [(epoch, value) for epoch, value in zip(x, y, strict=True) if value is not None]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [epoch for epoch, _ in known],
        "y": [value for _, value in known],
        "line": {"color": colour, "width": 2.5, "dash": dash},
        "marker": {"color": colour, "size": 6, "symbol": symbol},
        "hovertemplate": f"{name}, epoch %{{x}}: %{{y:.1%}}<extra></extra>",
    }
