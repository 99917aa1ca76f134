"""What the network answers: class probabilities, and how the answer forms over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from rsc_snn.figures.style import (
    ADVERSARIAL,
    CLEAN,
    GRID,
    LAST_LABEL,
    axis,
    figure,
    hatch,
    layout,
    margin,
    translucent,
)

Floats = NDArray[np.floating[Any]]


def softmax(logits: Floats) -> Floats:
    """Softmax over the last axis; here so that figures need numpy alone."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def probability_figure(
    clean_logits: Floats,
    adversarial_logits: Floats,
    classes: Sequence[str],
    *,
    most: int = 10,
) -> go.Figure:
    """Class probabilities before and after the attack: mean over draws, whiskers to min and max.

    clean_logits, adversarial_logits: `[D, K]` of one image. Of more than `most` classes, those
    with the highest mean probability in either are shown, in the order of the classes.
    """
    before, after = softmax(clean_logits), softmax(adversarial_logits)
    peak = np.maximum(before.mean(axis=0), after.mean(axis=0))
    shown = np.sort(np.argsort(-peak, kind="stable")[:most])
    names = [classes[index] for index in shown]
    traces = [
        _bars("original", before[:, shown], names, CLEAN, ""),
        _bars("attacked", after[:, shown], names, ADVERSARIAL, "/"),
    ]
    arrangement = layout(
        height=380,
        margin=margin(right=LAST_LABEL),
        barmode="group",
        # Labels that stay level in a narrow column, and a line at every quarter.
        xaxis=axis(
            "probability",
            range=[0, 1.02],
            tickformat=".0%",
            dtick=0.5,
            minor={"dtick": 0.25, "showgrid": True, "gridcolor": GRID},
        ),
        yaxis=axis("", autorange="reversed", showgrid=False, type="category"),
    )
    return figure(traces, arrangement)


def _bars(
    name: str, probabilities: Floats, classes: list[str], colour: str, pattern: str
) -> dict[str, Any]:
    """One set of horizontal bars of `probabilities` `[D, K]`."""
    mean = probabilities.mean(axis=0)
    low, high = probabilities.min(axis=0), probabilities.max(axis=0)
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": mean,
        "y": classes,
        "customdata": np.stack([low, high], axis=1),
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": high - mean,
            "arrayminus": mean - low,
            "thickness": 1.2,
            "width": 3,  # its colour is the page's, as in `interval_bars`
        },
        "marker": {
            "color": colour,
            "line": {"width": 0},
            "pattern": hatch(pattern),
        },
        "hovertemplate": (
            f"%{{y}}, {name}: %{{x:.1%}}<br>over the draws %{{customdata[0]:.1%}} to "
            "%{customdata[1]:.1%}<extra></extra>"
        ),
    }


def evolution_figure(
    clean_steps: Floats,
    adversarial_steps: Floats,
    classes: Sequence[str],
    truth: int,
    rival: int,
) -> go.Figure:
    """Probability of the true class and of its rival after 1..T time steps, for one pass each.

    clean_steps, adversarial_steps: step logits `[T, K]`; the answer after t steps is the softmax
    of the mean of the first t. rival: the class that the attacked image is taken for, or comes
    closest to.
    """
    steps = np.arange(1, len(clean_steps) + 1)
    before = softmax(np.cumsum(clean_steps, axis=0) / steps[:, None])
    after = softmax(np.cumsum(adversarial_steps, axis=0) / steps[:, None])
    mode = "lines" if len(steps) > 24 else "lines+markers"
    traces = [
        _line(f"{classes[index]}, {image}", steps, values[:, index], colour, dash, symbol, mode)
        for index, dash, symbol in ((truth, "solid", "circle"), (rival, "dot", "diamond"))
        for image, values, colour in (
            ("original", before, CLEAN),
            ("attacked", after, ADVERSARIAL),
        )
    ]
    arrangement = layout(
        height=400,
        xaxis=axis(
            "time steps seen",
            range=[0.7, len(steps) + 0.3],
            tickmode="auto" if len(steps) > 12 else "linear",
            dtick=None if len(steps) > 12 else 1,
        ),
        yaxis=axis("probability", range=[-0.03, 1.03], tickformat=".0%"),
    )
    return figure(traces, arrangement)


def _line(
    name: str, x: NDArray[Any], y: Floats, colour: str, dash: str, symbol: str, mode: str
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": mode,
        "name": name,
        "x": x,
        "y": y,
        "line": {"color": colour, "width": 2.5, "dash": dash},
        "marker": {
            "color": colour if dash == "solid" else translucent(colour, 0.55),
            "size": 8,
            "symbol": symbol,
        },
        "hovertemplate": f"{name}: %{{y:.1%}} after %{{x}} steps<extra></extra>",
    }
