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

Floats = NDArray[np.floating[Any]]

_CONTROL = "original, other noise"
# Colour, hatching of bars and symbol of marks of each pass.
_PASSES = {
    "original": (CLEAN, "", "circle"),
    "attacked": (ADVERSARIAL, "/", "diamond"),
    _CONTROL: (NEUTRAL, ".", "x-thin-open"),
}
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
    clean: Floats,
    adversarial: Floats,
    *,
    spiking: bool = True,
) -> go.Figure:
    """Activity of every layer, original against attacked.

    clean, adversarial: `[L]`, spikes per neuron and time step; for a network without spikes
    (`spiking=False`) the mean activation.
    """
    arrangement = layout(
        height=420,
        barmode="group",
        xaxis=axis("", showgrid=False, type="category"),
        yaxis=axis(_unit(spiking), rangemode="tozero", nticks=6),
    )
    traces = [
        _rate_bars(layers, clean, "original", "y"),
        _rate_bars(layers, adversarial, "attacked", "y"),
    ]
    return figure(traces, arrangement)


def layer_rates_figure(
    layers: Sequence[str],
    clean: Floats,
    adversarial: Floats,
    control: Floats | None,
    spiking: bool = True,
) -> go.Figure:
    """Activity of every layer, and below it what changes under attack and by noise alone.

    clean, adversarial, control: `[L]` as in `rates_figure`; control is the original with other
    noise, None for a coding without noise.
    """
    traces = [
        _rate_bars(layers, clean, "original", "y"),
        _rate_bars(layers, adversarial, "attacked", "y"),
        _rate_bars(layers, adversarial - clean, "attacked", "y2", "+.4f"),
    ]
    if control is not None:
        traces.append(_rate_bars(layers, control, _CONTROL, "y"))
        traces.append(_rate_bars(layers, control - clean, _CONTROL, "y2", "+.4f"))
    arrangement = _with_difference(spiking, barmode="group")
    arrangement["xaxis"] = axis("", anchor="y2", showgrid=False, type="category")
    return figure(traces, arrangement)


def channel_rates_figure(
    clean: Floats, adversarial: Floats, control: Floats | None, spiking: bool = True
) -> go.Figure:
    """Activity of a layer's channels, the busiest on the original first, and its changes below.

    clean, adversarial, control: `[C]`, as in `layer_rates_figure`.
    """
    order = np.argsort(-clean, kind="stable")
    traces = [
        _channel_marks(order, clean, "original", "y"),
        _channel_marks(order, adversarial, "attacked", "y"),
        _channel_marks(order, adversarial - clean, "attacked", "y2", "+.4f"),
    ]
    if control is not None:
        traces.append(_channel_marks(order, control, _CONTROL, "y"))
        traces.append(_channel_marks(order, control - clean, _CONTROL, "y2", "+.4f"))
    arrangement = _with_difference(spiking)
    arrangement["xaxis"] = axis(
        "channels, by their activity on the original", anchor="y2", showgrid=False
    )
    return figure(traces, arrangement)


def _unit(spiking: bool) -> str:
    return "spikes per neuron and step" if spiking else "mean activation"


def _rate_bars(
    layers: Sequence[str], values: Floats, name: str, yaxis: str, digits: str = ".3f"
) -> dict[str, Any]:
    """One bar a layer; those of one name stand below each other in the panels `y` and `y2`."""
    colour, pattern, _ = _PASSES[name]
    return {
        "type": "bar",
        "name": name,
        "offsetgroup": name,
        "x": list(layers),
        "y": values,
        "yaxis": yaxis,
        "showlegend": yaxis == "y",
        "marker": {"color": colour, "line": {"width": 0}, "pattern": hatch(pattern)},
        "hovertemplate": f"%{{x}}, {name}: %{{y:{digits}}}<extra></extra>",
    }


def _channel_marks(
    order: NDArray[np.intp], values: Floats, name: str, yaxis: str, digits: str = ".3f"
) -> dict[str, Any]:
    """One mark a channel, in this order; the original's are joined to a line."""
    colour, _, symbol = _PASSES[name]
    line = 1.5 if symbol.endswith("open") else 0
    return {
        "type": "scatter",
        "mode": "lines" if name == "original" else "markers",
        "name": name,
        "x": np.arange(1, len(order) + 1),
        "y": values[order],
        "yaxis": yaxis,
        "customdata": order,
        "showlegend": yaxis == "y",
        "line": {"color": colour, "width": 2.5},
        "marker": {"color": colour, "size": 6, "symbol": symbol, "line": {"width": line}},
        "hovertemplate": f"channel %{{customdata}}, {name}: %{{y:{digits}}}<extra></extra>",
    }


def _with_difference(spiking: bool, **extra: Any) -> dict[str, Any]:
    """The layout of two panels: activity above, its difference from the original below."""
    zero = {"zeroline": True, "zerolinecolor": NEUTRAL, "zerolinewidth": 1.5}
    return layout(
        height=520,
        yaxis=axis(_unit(spiking), domain=[0.45, 1.0], rangemode="tozero", nticks=6),
        yaxis2=axis("difference", domain=[0.0, 0.33], nticks=5, **zero),
        annotations=[
            {
                "text": "<b>difference from the original</b>",
                "x": 0,
                "xanchor": "left",
                "xref": "paper",
                "y": 0.34,
                "yanchor": "bottom",
                "yref": "paper",
                "showarrow": False,
                "font": {"size": 14, "color": NEUTRAL},
            }
        ],
        **extra,
    )


def activation_figure(clean: Floats, adversarial: Floats) -> go.Figure:
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
