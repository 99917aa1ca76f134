"""One neuron over time, and thousands as pixels: raster, channel maps, firing over a photograph.

Pictures are byte arrays, a pixel a neuron, to be shown without smoothing; transparent where there
is nothing, so that they lie on light and on dark pages alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.colors import sequential

from rsc_snn.figures.style import (
    ADVERSARIAL,
    CLEAN,
    QUIET,
    axis,
    figure,
    layout,
    level_line,
    translucent,
)

if TYPE_CHECKING:
    from rsc_snn.activity import NeuronTrace

Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

# Symbols of plotly in text.
_MARKS = {"circle": "●", "diamond": "◆"}
# How much of the photograph the busiest place covers.
_OVERLAY_ALPHA = 0.7
# From RGB to luma, ITU-R BT.601.
_LUMA = np.array([0.299, 0.587, 0.114])


def membrane_figure(clean: NeuronTrace, adversarial: NeuronTrace) -> go.Figure:
    """One neuron on the original (above) and on the attacked image (below), on the same scale.

    The potential rises and leaks along the solid line; where it reaches the threshold, a mark
    stands for the spike and a dashed line falls to 0, the reset. The dotted line is the input.
    """
    arrangement = layout(height=460, shapes=[], annotations=[])
    arrangement["xaxis"] = axis(
        "time step",
        range=[-0.2, len(clean.spikes) + 0.3],
        anchor="y2",
        tickmode="linear" if len(clean.spikes) <= 12 else "auto",
        nticks=8,
    )
    span = _span(clean, adversarial)
    traces = []
    for key, domain, trace, name, colour, symbol in (
        ("y", [0.56, 0.94], clean, "original", CLEAN, "circle"),
        ("y2", [0.0, 0.38], adversarial, "attacked", ADVERSARIAL, "diamond"),
    ):
        traces += _membrane_traces(trace, name, colour, symbol, key)
        arrangement[key.replace("y", "yaxis")] = axis(
            "potential", domain=domain, range=span, nticks=5, anchor="x"
        )
        arrangement["shapes"].append(level_line(trace.threshold, key))
        arrangement["annotations"] += _membrane_titles(
            trace, name, colour, _MARKS[symbol], key, domain[1]
        )
    return figure(traces, arrangement)


def _span(*neurons: NeuronTrace) -> list[float]:
    """Bottom and top of the potentials and inputs of all, with some room."""
    values = [part for one in neurons for part in (one.charged, one.current, [one.threshold, 0])]
    low, high = float(min(map(min, values))), float(max(map(max, values)))
    room = 0.08 * (high - low)
    return [low - room, high + room]


def _membrane_traces(
    neuron: NeuronTrace, name: str, colour: str, symbol: str, yaxis: str
) -> list[dict[str, Any]]:
    steps = np.arange(1, len(neuron.spikes) + 1)
    fired = steps[neuron.spikes]
    peaks = neuron.charged[neuron.spikes]
    common = {"type": "scatter", "yaxis": yaxis, "showlegend": yaxis == "y"}
    x, y = potential_path(neuron.charged, neuron.spikes)
    return [
        common
        | {
            "mode": "lines",
            "name": "input",
            "x": steps,
            "y": neuron.current,
            "line": {"color": translucent(colour, 0.45), "width": 1.5, "dash": "dot"},
            "hovertemplate": f"{name}, step %{{x}}: input %{{y:.3f}}<extra></extra>",
        },
        common
        | {
            "mode": "lines",
            "name": "potential",
            "x": x,
            "y": y,
            "line": {"color": colour, "width": 2.5},
            "hovertemplate": f"{name}, step %{{x}}: potential %{{y:.3f}}<extra></extra>",
        },
        common
        | {
            "mode": "lines",
            "name": "reset",
            "x": [value for step in fired for value in (step, step, None)],
            "y": [value for peak in peaks for value in (peak, 0.0, None)],
            "line": {"color": colour, "width": 1.5, "dash": "dash"},
            "hoverinfo": "skip",
        },
        common
        | {
            "mode": "markers",
            "name": "spike",
            "x": fired,
            "y": peaks,
            "marker": {"color": colour, "size": 10, "symbol": symbol},
            "hovertemplate": f"{name}, step %{{x}}: spike at %{{y:.3f}}<extra></extra>",
        },
    ]


def potential_path(
    charged: Floats, spikes: NDArray[np.bool_]
) -> tuple[list[float | None], list[float | None]]:
    """x and y of the potential from rest at step 0, broken at each reset.

    charged: potentials before the reset `[T]`; spikes: `[T]`.
    """
    x: list[float | None] = [0.0]
    y: list[float | None] = [0.0]
    for step, (peak, spike) in enumerate(zip(charged, spikes, strict=True), 1):
        x += [float(step), None, float(step)] if spike else [float(step)]
        y += [float(peak), None, 0.0] if spike else [float(peak)]
    return x, y


def _membrane_titles(
    neuron: NeuronTrace, name: str, colour: str, mark: str, yaxis: str, top: float
) -> list[dict[str, Any]]:
    count, steps = int(neuron.spikes.sum()), len(neuron.spikes)
    spikes = "1 spike" if count == 1 else f"{count} spikes"
    title = {
        # The mark alone has the colour of the lines, which is not clear enough for words.
        "text": f'<span style="color:{colour}">{mark}</span> '
        f"<b>{name}</b>: {spikes} in {steps} steps",
        "x": 0,
        "xanchor": "left",
        "xref": "paper",
        "y": top,
        "yanchor": "bottom",
        "yref": "paper",
        "showarrow": False,
    }
    threshold = {
        "text": "threshold",
        "x": 0,
        "xanchor": "left",
        "xref": "paper",
        "y": neuron.threshold,
        "yanchor": "bottom",
        "yref": yaxis,
        "showarrow": False,
        "font": {"size": 12},
        "opacity": QUIET,
    }
    return [title, threshold]


def rate_overlay(image: Floats, rates: Floats, top: float | None = None) -> Bytes:
    """A map of firing `[H, W]` over its photograph `[C, H, W]` in 0..1, as bytes `[H, W, 3]`.

    The photograph turns grey, so that all colour is the map's: the inferno scale (van der Walt
    and Smith 2015, made for colour-blind eyes too), which covers the more, the busier the place.
    top: the rate of full colour, to be shared by maps that are compared; the map's own highest
    if None.
    """
    highest = float(rates.max()) if top is None else top
    share = np.clip(rates / highest, 0, 1) if highest > 0 else np.zeros_like(rates)
    colours = (bytes.fromhex(colour.removeprefix("#")) for colour in sequential.Inferno)
    stops = np.array([list(colour) for colour in colours], float)
    places = np.linspace(0, 1, len(stops))
    colour = np.stack([np.interp(share, places, stops[:, at]) for at in range(3)], axis=-1)
    grey = 255 * (image[0] if len(image) == 1 else np.tensordot(_LUMA, image, 1))[..., None]
    alpha = _OVERLAY_ALPHA * share[..., None]
    blended = (1 - alpha) * grey + alpha * colour
    return np.clip(np.rint(blended), 0, 255).astype(np.uint8)


def rate_scale(width: int = 128) -> Bytes:
    """The colours of `rate_overlay` on mid-grey, from silent to busiest, `[1, W, 3]`."""
    return rate_overlay(np.full((1, 1, width), 0.5), np.linspace(0, 1, width)[None], 1.0)
