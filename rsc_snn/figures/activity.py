"""What the neurons do: spike raster, firing rates, and activations of a network without spikes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from rsc_snn.figures.style import (
    ADVERSARIAL,
    CLEAN,
    CLEAR,
    GRID,
    NEUTRAL,
    axis,
    figure,
    hatch,
    layout,
)

_PANELS = (("original", CLEAN), ("attacked", ADVERSARIAL), ("only in one", NEUTRAL))
_GAP = 0.03


def raster_figure(
    clean: NDArray[np.bool_], adversarial: NDArray[np.bool_], neurons: NDArray[np.integer[Any]]
) -> go.Figure:
    """Spike raster of the same neurons: original, attacked, and the spikes that only one has.

    clean, adversarial: `[T, M]` spikes of the neurons numbered `neurons` `[M]`, one row each. In
    the third panel a spike only of the original is blue, one only of the attacked image orange.
    """
    steps, rows = clean.shape
    only_clean, only_adversarial = clean & ~adversarial, adversarial & ~clean
    difference = only_clean.astype(np.uint8) + 2 * only_adversarial.astype(np.uint8)
    scales = (
        [[0, CLEAR], [1, CLEAN]],
        [[0, CLEAR], [1, ADVERSARIAL]],
        [[0, CLEAR], [0.499, CLEAR], [0.5, CLEAN], [0.501, CLEAN], [1, ADVERSARIAL]],
    )
    grids = (clean.astype(np.uint8), adversarial.astype(np.uint8), difference)
    traces: list[dict[str, Any]] = [
        {
            "type": "heatmap",
            "name": _PANELS[index][0],
            "x": np.arange(1, steps + 1),
            "z": np.ascontiguousarray(grid.T),
            "customdata": neurons,
            "zmin": 0,
            "zmax": 2 if index == 2 else 1,
            "colorscale": scales[index],
            "showscale": False,
            "xgap": 2 if steps <= 16 else 0,
            "xaxis": _axis_name("x", index),
            "yaxis": _axis_name("y", index),
            "hovertemplate": "row %{y}, time step %{x}<extra></extra>",
        }
        for index, grid in enumerate(grids)
    ]
    arrangement = layout(height=420, annotations=_panel_titles(), showlegend=False)
    width = (1 - 2 * _GAP) / 3
    for index in range(3):
        left = index * (width + _GAP)
        arrangement[_axis_key("x", index)] = axis(
            "time step",
            domain=[left, left + width],
            anchor=_axis_name("y", index),
            range=[0.5, steps + 0.5],
            showgrid=False,
            tickmode="linear" if steps <= 8 else "auto",
            nticks=8,
        )
        arrangement[_axis_key("y", index)] = axis(
            "neurons" if index == 0 else "",
            anchor=_axis_name("x", index),
            range=[rows - 0.5, -0.5],
            showgrid=False,
            showticklabels=False,
            showline=True,
            linecolor=GRID,
            ticks="",
        )
    return figure(traces, arrangement)


def _axis_name(letter: str, index: int) -> str:
    return letter if index == 0 else f"{letter}{index + 1}"


def _axis_key(letter: str, index: int) -> str:
    return f"{letter}axis" if index == 0 else f"{letter}axis{index + 1}"


def _panel_titles() -> list[dict[str, Any]]:
    width = (1 - 2 * _GAP) / 3
    return [
        {
            "text": f"<b>{name}</b>",
            "x": index * (width + _GAP),
            "xanchor": "left",
            "xref": "paper",
            "y": 1.0,
            "yanchor": "bottom",
            "yref": "paper",
            "showarrow": False,
            "font": {"size": 14, "color": colour},
        }
        for index, (name, colour) in enumerate(_PANELS)
    ]


def rates_figure(
    layers: Sequence[str],
    clean: NDArray[np.floating[Any]],
    adversarial: NDArray[np.floating[Any]],
    *,
    spiking: bool = True,
) -> go.Figure:
    """Activity of every layer, original against attacked.

    clean, adversarial: `[L]`, spikes per neuron and time step; for a network without spikes
    (`spiking=False`) the mean activation.
    """
    unit = "spikes per neuron and step" if spiking else "mean activation"
    traces = [
        {
            "type": "bar",
            "name": name,
            "x": list(layers),
            "y": values,
            "marker": {
                "color": colour,
                "line": {"width": 0},
                "pattern": hatch(pattern),
            },
            "hovertemplate": f"%{{x}}, {name}: %{{y:.3f}}<extra></extra>",
        }
        for name, values, colour, pattern in (
            ("original", clean, CLEAN, ""),
            ("attacked", adversarial, ADVERSARIAL, "/"),
        )
    ]
    arrangement = layout(
        height=420,
        barmode="group",
        xaxis=axis("", showgrid=False, type="category"),
        yaxis=axis(unit, rangemode="tozero", nticks=6),
    )
    return figure(traces, arrangement)


def activation_figure(
    clean: NDArray[np.floating[Any]], adversarial: NDArray[np.floating[Any]]
) -> go.Figure:
    """Mean activation of each channel of a layer without spikes, strongest on the original first.

    clean, adversarial: `[C]`.
    """
    order = np.argsort(-clean, kind="stable")
    ranks = np.arange(1, len(order) + 1)
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines" if name == "original" else "markers",
            "name": name,
            "x": ranks,
            "y": values[order],
            "customdata": order,
            "line": {"color": colour, "width": 2.5},
            "marker": {"color": colour, "size": 6, "symbol": "diamond"},
            "hovertemplate": f"channel %{{customdata}}, {name}: %{{y:.3f}}<extra></extra>",
        }
        for name, values, colour in (
            ("original", clean, CLEAN),
            ("attacked", adversarial, ADVERSARIAL),
        )
    ]
    arrangement = layout(
        height=420,
        xaxis=axis("channels, by their response to the original", showgrid=False),
        yaxis=axis("mean activation", rangemode="tozero"),
    )
    return figure(traces, arrangement)
