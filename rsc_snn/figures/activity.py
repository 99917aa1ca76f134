"""How busy the layers and their channels are: original, attacked, and by chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from rsc_snn.figures.style import (
    ADVERSARIAL,
    CLEAN,
    NEUTRAL,
    QUIET,
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


def layer_rates_figure(
    layers: Sequence[str],
    clean: Floats,
    adversarial: Floats,
    control: Floats | None,
    spiking: bool = True,
) -> go.Figure:
    """Activity of every layer, and below it what changes under attack and by noise alone.

    clean, adversarial, control: `[L]`, spikes per neuron and time step; for a network without
    spikes (`spiking=False`) the mean activation. control is the original with other noise, None
    for a coding without noise.
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
                "opacity": QUIET,
            }
        ],
        **extra,
    )
