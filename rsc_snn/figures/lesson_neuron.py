"""Figures of the lesson's neuron and of its smoothed decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from rsc_snn.figures.neurons import potential_path
from rsc_snn.figures.style import (
    ADVERSARIAL,
    CLEAN,
    CODING_COLOURS,
    NEUTRAL,
    QUIET,
    axis,
    figure,
    layout,
    level_line,
    translucent,
)

if TYPE_CHECKING:
    from rsc_snn.neuron_lab import NeuronCourse, RateCurve

Floats = NDArray[np.float64]

_NOISY = CODING_COLOURS["rsc"]
# The lesson's two classes, and the sign of each for eyes that do not tell colours apart.
_CLASS_COLOURS = (CLEAN, ADVERSARIAL)
_CLASS_DASHES = ("solid", "dash")
_RIM = 73
# Above the panel of the potential, where nothing is drawn.
_THRESHOLD_NAME = {
    "text": "dashed: threshold",
    "x": 1,
    "xanchor": "right",
    "xref": "paper",
    "y": 0.66,
    "yanchor": "bottom",
    "yref": "paper",
    "showarrow": False,
    "font": {"size": 12},
    "opacity": QUIET,
}


def course_figure(course: NeuronCourse) -> go.Figure:
    """One neuron over time: current in (top), membrane with threshold and resets, spikes out."""
    steps = len(course.spikes)
    arrangement = layout(
        height=440,
        shapes=[level_line(course.threshold, "y2")],
        annotations=[_THRESHOLD_NAME],
        xaxis=axis("time step t", range=[0.0, steps + 0.6], anchor="y3", nticks=9),
        yaxis=axis("current", domain=[0.73, 1.0], range=_span(course.current), nticks=4),
        yaxis2=axis(
            "potential",
            domain=[0.22, 0.66],
            range=_span(course.charged, [course.threshold]),
            nticks=5,
        ),
        yaxis3=axis("spikes", domain=[0.0, 0.14], range=[0, 1], showticklabels=False, nticks=1),
        showlegend=False,
    )
    return figure(_course_traces(course), arrangement)


def _span(*values: Sequence[float] | Floats) -> list[float]:
    """Bottom and top of all values and of 0, with some room."""
    every = np.concatenate([np.zeros(1), *values])
    low, high = float(every.min()), float(every.max())
    room = 0.1 * max(high - low, 0.1)
    return [low - room, high + room]


def _course_traces(course: NeuronCourse) -> list[dict[str, Any]]:
    steps = np.arange(1, len(course.spikes) + 1)
    fired = steps[course.spikes]
    peaks = course.charged[course.spikes]
    x, y = potential_path(course.charged, course.spikes)
    common = {"type": "scatter", "yaxis": "y2"}
    return [
        common
        | {
            "yaxis": "y",
            "mode": "lines",
            "name": "current",
            # The current of step t flows from t - 1 to t, as the potential rises.
            "x": np.arange(len(steps) + 1),
            "y": np.append(course.current, course.current[-1]),
            "customdata": np.append(steps, steps[-1]),
            "line": {"color": _NOISY, "width": 2, "shape": "hv"},
            "fill": "tozeroy",
            "fillcolor": translucent(_NOISY, 0.18),
            "hovertemplate": "step %{customdata}: current %{y:.3f}<extra></extra>",
        },
        common
        | {
            "mode": "lines",
            "name": "potential",
            "x": x,
            "y": y,
            "line": {"color": CLEAN, "width": 2.5},
            "hovertemplate": "step %{x}: potential %{y:.3f}<extra></extra>",
        },
        common
        | {
            "mode": "lines",
            "name": "reset",
            "x": [value for step in fired for value in (step, step, None)],
            "y": [value for peak in peaks for value in (peak, 0.0, None)],
            "line": {"color": CLEAN, "width": 1.5, "dash": "dot"},
            "hoverinfo": "skip",
        },
        common
        | {
            "mode": "markers",
            "name": "threshold reached",
            "x": fired,
            "y": peaks,
            "marker": {"color": ADVERSARIAL, "size": 9, "symbol": "circle"},
            "hovertemplate": "step %{x}: spike at %{y:.3f}, then reset to 0<extra></extra>",
        },
        common
        | {
            "yaxis": "y3",
            "mode": "lines",
            "name": "spike",
            "x": [value for step in fired for value in (step, step, None)],
            "y": [value for _ in fired for value in (0.05, 0.95, None)],
            "line": {"color": ADVERSARIAL, "width": 3},
            "hovertemplate": "spike at step %{x}<extra></extra>",
        },
    ]


def rate_figure(
    curve: RateCurve | None,
    stairs: tuple[Floats, Floats],
    *,
    most: float,
    here: tuple[float, float],
) -> go.Figure:
    """Spikes per step over the current from 0 to `most`: the staircase without noise, and with
    noise the mean of many neurons with its band.

    curve: with noise; None if there is none. stairs: the currents `[J]` at which the staircase
    jumps, and its rates from there on. here: current and rate of the neuron on show.
    """
    x, y = _stair_line(*stairs, most)
    traces = [
        *(_noisy_rates(curve) if curve else []),
        {
            "type": "scatter",
            "mode": "lines",
            "name": "without noise",
            "x": x,
            "y": y,
            "line": {"color": NEUTRAL, "width": 2, "dash": "dash"},
            "hovertemplate": "without noise, current %{x:.3f}: %{y:.3f} a step<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "this neuron",
            "x": [here[0]],
            "y": [here[1]],
            "marker": {"color": ADVERSARIAL, "size": 12, "symbol": "diamond"},
            "hovertemplate": "this neuron: %{y:.3f} spikes a step<extra></extra>",
        },
    ]
    arrangement = layout(
        height=440,
        xaxis=axis("current", range=[0, 1.02 * most]),
        yaxis=axis("spikes per step", range=[-0.03, 1.05], nticks=6),
    )
    arrangement["legend"] |= {"traceorder": "normal"}
    return figure(traces, arrangement)


def _noisy_rates(curve: RateCurve) -> list[dict[str, Any]]:
    """The band of the neurons and their mean."""
    band = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    return [
        band | {"x": curve.currents, "y": curve.lower, "showlegend": False},
        band
        | {
            "x": curve.currents,
            "y": curve.upper,
            "name": "9 of 10 neurons",
            "fill": "tonexty",
            "fillcolor": translucent(_NOISY, 0.22),
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "mean with noise",
            "x": curve.currents,
            "y": curve.mean,
            "line": {"color": _NOISY, "width": 2.5},
            "hovertemplate": "with noise, current %{x:.3f}: %{y:.3f} a step<extra></extra>",
        },
    ]


def _stair_line(currents: Floats, rates: Floats, most: float) -> tuple[list[float], list[float]]:
    """The corners of the staircase from 0 to `most`."""
    x, y = [0.0], [0.0]
    for current, rate in zip(currents, rates, strict=True):
        if current <= most:
            x += [float(current)] * 2
            y += [y[-1], float(rate)]
    return [*x, most], [*y, y[-1]]


@dataclass(frozen=True)
class PlanePicture:
    """What the plane of a decision shows.

    axis: pixel values `[G]`. chance: of class 0 after smoothing, `[G, G]` at (u, v). score: of the
    decision before smoothing, `[G, G]`, 0 at its edge. point: the input `[2]`; radius: certified
    around it, 0 for none. smoothed, raw: where attacks went, `[K, 2]`. nearest: the closest change
    of the raw decision, `[2]`. label: the smoothed class of the point, None if undecided.
    """

    axis: Floats
    chance: Floats
    score: Floats
    point: Floats
    radius: float
    smoothed: Floats
    raw: Floats
    nearest: Floats
    label: int | None


def plane_figure(picture: PlanePicture, classes: Sequence[str]) -> go.Figure:
    """The plane of two pixels: chance of the classes as colour, both edges, the point, its
    certified circle and the ways of both attacks."""
    traces = [
        _chances(picture, classes),
        _edge("smoothed edge", picture.axis, picture.chance, 0.5, _NOISY, 3),
        _edge("edge without smoothing", picture.axis, picture.score, 0, NEUTRAL, 1.5),
        _way(picture.raw, "attack without smoothing", NEUTRAL, "dot", "x"),
        _way(picture.smoothed, "attack on the smoothed decision", _NOISY, "solid", "star"),
        _nearest(picture.nearest),
        *_circle(picture),
        _point(picture, classes),
    ]
    pixels = {"range": [0, 1], "showgrid": False, "constrain": "domain", "nticks": 6}
    arrangement = layout(
        height=560,
        xaxis=axis("pixel u", **pixels),
        yaxis=axis("pixel v", scaleanchor="x", **pixels),
    )
    return figure(traces, arrangement)


def _chances(picture: PlanePicture, classes: Sequence[str]) -> dict[str, Any]:
    """The chance as colour. A contour could colour it too, but pixel by pixel of the screen."""
    strong = [translucent(colour, 0.55) for colour in reversed(_CLASS_COLOURS)]
    faint = [translucent(colour, 0.04) for colour in reversed(_CLASS_COLOURS)]
    return {
        "type": "heatmap",
        "x": picture.axis,
        "y": picture.axis,
        # Plotly's rows are y.
        "z": picture.chance.T.astype(np.float32),
        "zmin": 0,
        "zmax": 1,
        "zsmooth": "fast",
        "colorscale": [[0, strong[0]], [0.5, faint[0]], [0.5, faint[1]], [1, strong[1]]],
        "showscale": False,
        "hovertemplate": f"(%{{x:.2f}}, %{{y:.2f}}): {classes[0]} in %{{z:.1%}} of passes"
        "<extra></extra>",
    }


def _edge(
    name: str, axis: Floats, values: Floats, level: float, colour: str, width: float
) -> dict[str, Any]:
    """The line where `values` over the plane, `[G, G]`, are `level`."""
    return {
        "type": "contour",
        "name": name,
        "x": axis,
        "y": axis,
        "z": values.T.astype(np.float32),
        "contours": {"coloring": "none", "start": level, "end": level, "size": 1},
        "line": {"color": colour, "width": width},
        "showscale": False,
        "showlegend": True,
        "hoverinfo": "skip",
    }


def _way(points: Floats, name: str, colour: str, dash: str, symbol: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": points[:, 0],
        "y": points[:, 1],
        "line": {"color": colour, "width": 2.5, "dash": dash},
        "marker": {
            "symbol": symbol,
            "color": colour,
            "size": [0] * (len(points) - 1) + [11],
            "opacity": 1,
        },
        "hovertemplate": f"{name}: (%{{x:.2f}}, %{{y:.2f}})<extra></extra>",
    }


def _nearest(point: Floats) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "nearest change without smoothing",
        "x": point[:1],
        "y": point[1:],
        "marker": {
            "symbol": "triangle-up",
            "size": 11,
            "color": NEUTRAL,
            "line": {"color": "white", "width": 1},
        },
        "hovertemplate": "the raw decision changes here<extra></extra>",
    }


def _circle(picture: PlanePicture) -> list[dict[str, Any]]:
    """The certified circle; nothing where there is none."""
    if picture.radius <= 0:
        return []
    turns = np.linspace(0, 2 * np.pi, _RIM)
    rim = picture.point + picture.radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "certified circle",
            "x": rim[:, 0],
            "y": rim[:, 1],
            "line": {"color": _colour(picture.label), "width": 2.5, "dash": "dash"},
            "fill": "toself",
            "fillcolor": translucent(_colour(picture.label), 0.25),
            "hoverinfo": "skip",
        }
    ]


def _point(picture: PlanePicture, classes: Sequence[str]) -> dict[str, Any]:
    said = "undecided" if picture.label is None else classes[picture.label]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "your point",
        "x": picture.point[:1],
        "y": picture.point[1:],
        "marker": {
            "size": 14,
            "color": _colour(picture.label),
            "line": {"color": "white", "width": 2},
        },
        "hovertemplate": f"your point: {said}<extra></extra>",
    }


def _colour(label: int | None) -> str:
    return NEUTRAL if label is None else _CLASS_COLOURS[label]


def radius_figure(
    sigmas: Floats,
    radii: Floats,
    labels: NDArray[np.int64],
    classes: Sequence[str],
    *,
    here: tuple[float, float],
    nearest: float,
) -> go.Figure:
    """The certified radius `[S]` over sigma `[S]`, in the colour of the smoothed class `[S]`.

    here: sigma and radius on show. nearest: distance to the closest change without smoothing.
    """
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"radius, class {name}",
            "x": sigmas,
            "y": np.where(labels == label, radii, np.nan),
            "line": {
                "color": _CLASS_COLOURS[label],
                "width": 2.5,
                "dash": _CLASS_DASHES[label],
            },
            "hovertemplate": f"sigma %{{x:.2f}}: {name} within %{{y:.3f}}<extra></extra>",
        }
        for label, name in enumerate(classes)
    ]
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "your circle",
            "x": [here[0]],
            "y": [here[1]],
            "marker": {"size": 12, "symbol": "diamond", "color": _NOISY},
            "hovertemplate": "sigma %{x:.2f}: radius %{y:.3f}<extra></extra>",
        }
    )
    right = float(sigmas[-1]) * 1.02
    arrangement = layout(
        height=360,
        xaxis=axis("noise level sigma", range=[0, right]),
        yaxis=axis("certified radius (L2)", rangemode="tozero", nticks=6),
    )
    return figure([_nearest_line(nearest, right), *traces], arrangement)


def _nearest_line(distance: float, right: float) -> dict[str, Any]:
    """A line up to `right`; its name is in the legend, where no curve can cross it."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "nearest change without smoothing",
        "x": [0, right],
        "y": [distance, distance],
        "line": {"color": NEUTRAL, "width": 1.5, "dash": "dot"},
        "hovertemplate": f"without smoothing a change of {distance:.3f} turns the decision"
        "<extra></extra>",
    }
