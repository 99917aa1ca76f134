"""Training curves of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from rsc_snn.figures.style import ADVERSARIAL, CLEAN, axis, figure, layout


def training_figure(
    epochs: Sequence[float], train: Sequence[float], test: Sequence[float | None]
) -> go.Figure:
    """Accuracy (0..1) on training and on held-out images after each epoch.

    test: None where an epoch was not evaluated.
    """
    pairs = zip(epochs, test, strict=True)
    evaluated = [(epoch, value) for epoch, value in pairs if value is not None]
    traces: list[dict[str, Any]] = [
        _series("training images", epochs, train, CLEAN, "solid", "circle"),
        _series(
            "held-out images",
            [epoch for epoch, _ in evaluated],
            [value for _, value in evaluated],
            ADVERSARIAL,
            "dash",
            "diamond",
        ),
    ]
    arrangement = layout(
        height=300,
        xaxis=axis("epoch", rangemode="tozero", minallowed=0, nticks=10, tickformat="d"),
        yaxis=axis("accuracy", range=[0, 1.02], tickformat=".0%"),
    )
    return figure(traces, arrangement)


def _series(
    name: str, x: Sequence[float], y: Sequence[float], colour: str, dash: str, symbol: str
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": list(x),
        "y": list(y),
        "line": {"color": colour, "width": 2.5, "dash": dash},
        "marker": {"color": colour, "size": 6, "symbol": symbol},
        "hovertemplate": f"{name}, epoch %{{x}}: %{{y:.1%}}<extra></extra>",
    }
