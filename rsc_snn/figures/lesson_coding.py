"""Figures of the lesson on coding: one pixel, one image, and the currents of a first layer.

Poisson coding and RSC have the colours of their networks, and marks and dashes of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from rsc_snn.figures.style import CLEAN, CODING_COLOURS, NEUTRAL, axis, figure, layout, translucent

if TYPE_CHECKING:
    from rsc_snn.theory import FanIn

Floats = NDArray[np.floating[Any]]

# Name, symbol and dash of each coding's own.
_LOOKS = {
    "poisson": ("Poisson", "circle", "solid"),
    "rsc": ("RSC", "diamond", "dash"),
}
_BINS = 36
_CURVE = 81


def spikes_figure(
    spikes: Floats, means: Floats, lower: Floats, upper: Floats, value: float
) -> go.Figure:
    """Spikes of one pixel over time (above), and their running mean with its interval (below).

    spikes, means, lower, upper: `[T]`; value: the pixel's grey value, which the mean approaches.
    """
    steps = np.arange(1, len(spikes) + 1)
    right = len(spikes) + 0.7
    fired = steps[np.asarray(spikes) > 0.5]
    colour = CODING_COLOURS["poisson"]
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "spike",
            "x": [step for at in fired for step in (at, at, None)],
            "y": [level for _ in fired for level in (0, 1, None)],
            "yaxis": "y2",
            "showlegend": False,
            "line": {"color": colour, "width": 3},
            "hovertemplate": "spike at step %{x}<extra></extra>",
        },
        _band(steps, lower, upper, CLEAN),
        _level(value, f"grey value {value:.2f}", right),
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "mean so far",
            "x": steps,
            "y": means,
            "customdata": np.stack([lower, upper], axis=1),
            "line": {"color": CLEAN, "width": 2.5},
            "marker": {"color": CLEAN, "size": 5},
            "hovertemplate": "after %{x} steps: mean %{y:.3f}<br>95 % interval "
            "%{customdata[0]:.3f} to %{customdata[1]:.3f}<extra></extra>",
        },
    ]
    arrangement = layout(
        height=400,
        xaxis=axis("time step", range=[0.3, right], **_whole_steps(len(spikes))),
        yaxis=axis("mean", domain=[0.0, 0.74], range=[-0.03, 1.03], tickformat=".1f"),
        yaxis2=axis("spikes", domain=[0.82, 1.0], range=[0, 1.1], showgrid=False, tickvals=[]),
    )
    arrangement["legend"] |= {"traceorder": "normal"}
    return figure(traces, arrangement)


def variance_figure(measured: Floats, expected: Floats, here: int) -> go.Figure:
    """The variance of the mean over T steps, measured and by formula, for T = 1, 2, ...: `[T]`.

    here: the T that is chosen.
    """
    steps = np.arange(1, len(measured) + 1)
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "measured",
            "x": steps,
            "y": measured,
            "marker": {"color": CODING_COLOURS["poisson"], "size": 7},
            "hovertemplate": "T = %{x}: measured %{y:.5f}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "x (1 − x) / T",
            "x": steps,
            "y": expected,
            "line": {"color": CLEAN, "width": 2},
            "hovertemplate": "T = %{x}: formula %{y:.5f}<extra></extra>",
        },
    ]
    arrangement = layout(
        height=400,
        xaxis=axis("time steps T", range=[0, len(measured) + 0.7], nticks=9),
        # x (1 - x) is 0.25 at most: on one scale, each grey value shows how noisy it is.
        yaxis=axis("variance of the mean", range=[-0.008, 0.272], tickformat=".2f"),
        shapes=[_here(here)],
    )
    return figure(traces, arrangement)


def error_figure(
    poisson: Floats, rsc: Floats, expected_poisson: Floats, expected_rsc: Floats, here: int
) -> go.Figure:
    """The error of the mean image over the time steps, of Poisson coding and of RSC.

    All `[T]`, root mean square over the pixels; expected: the closed form. here: the chosen T.
    """
    steps = np.arange(1, len(poisson) + 1)
    traces = []
    for kind, measured, expected in (
        ("poisson", poisson, expected_poisson),
        ("rsc", rsc, expected_rsc),
    ):
        name, symbol, dash = _LOOKS[kind]
        colour = CODING_COLOURS[kind]
        traces += [
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{name}, formula",
                "x": steps,
                "y": expected,
                "line": {"color": colour, "width": 2, "dash": dash},
                "hovertemplate": f"{name}, t = %{{x}}: formula %{{y:.4f}}<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{name}, measured",
                "x": steps,
                "y": measured,
                "marker": {"color": colour, "size": 9, "symbol": symbol},
                "hovertemplate": f"{name}, t = %{{x}}: measured %{{y:.4f}}<extra></extra>",
            },
        ]
    arrangement = layout(
        height=400,
        xaxis=axis("time steps averaged", range=[0.5, len(poisson) + 0.5], nticks=9),
        yaxis=axis("RMS error of the mean image", range=[-0.02, 0.66], tickformat=".1f"),
        shapes=[_here(here)],
    )
    return figure(traces, arrangement)


@dataclass(frozen=True)
class Currents:
    """Draws `[n]` of one current, and the mean and standard deviation that theory gives."""

    samples: Floats
    mean: float
    deviation: float


def histogram_figure(codings: Mapping[str, Currents]) -> go.Figure:
    """How often each current occurs, with the normal curve of the closed form, by coding.

    A current without noise is one bar, and has no curve.
    """
    everything = np.concatenate([currents.samples for currents in codings.values()])
    low, high = float(everything.min()), float(everything.max())
    room = 0.05 * (high - low) or 0.5
    edges = np.linspace(low - room, high + room, _BINS + 1)
    traces = []
    for kind, currents in codings.items():
        name, _, dash = _LOOKS[kind]
        colour = CODING_COLOURS[kind]
        density, _ = np.histogram(currents.samples, edges, density=True)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{name}, drawn",
                "x": edges,
                "y": np.append(density, 0.0),
                "fill": "tozeroy",
                "fillcolor": translucent(colour, 0.22),
                "line": {"color": translucent(colour, 0.75), "width": 1.5, "shape": "hv"},
                "hovertemplate": f"{name}, from %{{x:.2f}}: density %{{y:.3f}}<extra></extra>",
            }
        )
        if currents.deviation > 0:
            x = np.linspace(edges[0], edges[-1], _CURVE)
            score = (x - currents.mean) / currents.deviation
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": f"{name}, normal law",
                    "x": x,
                    "y": np.exp(-(score**2) / 2) / (currents.deviation * np.sqrt(2 * np.pi)),
                    "line": {"color": colour, "width": 2.5, "dash": dash},
                    "hoverinfo": "skip",
                }
            )
    arrangement = layout(
        height=400,
        xaxis=axis("input current", range=[edges[0], edges[-1]], nticks=7),
        yaxis=axis("density", rangemode="tozero", nticks=6),
    )
    return figure(traces, arrangement)


def quantile_figure(pairs: Mapping[str, tuple[Floats, Floats]]) -> go.Figure:
    """QQ plot: standardised quantiles of the currents over those of the normal law, by coding."""
    traces: list[dict[str, Any]] = [_diagonal(-3.2, 3.2, "normal law")]
    for kind, (normal, measured) in pairs.items():
        name, symbol, _ = _LOOKS[kind]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": normal,
                "y": measured,
                "marker": {"color": CODING_COLOURS[kind], "size": 7, "symbol": symbol},
                "hovertemplate": f"{name}: %{{y:.2f}} where a normal law has %{{x:.2f}}"
                "<extra></extra>",
            }
        )
    span = {"range": [-3.2, 3.2], "tickvals": [-3, -2, -1, 0, 1, 2, 3]}
    arrangement = layout(
        height=400,
        xaxis=axis("quantiles of the normal law", **span),
        yaxis=axis("quantiles of the currents", **span),
    )
    return figure(traces, arrangement)


@dataclass(frozen=True)
class Covariances:
    """Entries `[m]` of a covariance matrix: closed form, measured, and its standard error."""

    closed: Floats
    measured: Floats
    error: Floats
    names: Sequence[str]


def covariance_figure(codings: Mapping[str, Covariances]) -> go.Figure:
    """Measured against closed form, a mark an entry, with two standard errors up and down."""
    everything = np.concatenate(
        [np.concatenate([entries.closed, entries.measured]) for entries in codings.values()]
    )
    low, high = float(everything.min()), float(everything.max())
    room = 0.06 * (high - low) or 0.5
    span = [low - room, high + room]
    traces: list[dict[str, Any]] = [_diagonal(span[0], span[1], "formula = measured")]
    for kind, entries in codings.items():
        name, symbol, _ = _LOOKS[kind]
        colour = CODING_COLOURS[kind]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": entries.closed,
                "y": entries.measured,
                "text": list(entries.names),
                "error_y": {
                    "type": "data",
                    "array": 2 * np.asarray(entries.error),
                    "color": translucent(colour, 0.6),
                    "thickness": 1.2,
                    "width": 0,
                },
                "marker": {"color": colour, "size": 7, "symbol": symbol},
                "hovertemplate": f"{name}, channels %{{text}}: formula %{{x:.3f}}, "
                "measured %{y:.3f}<extra></extra>",
            }
        )
    arrangement = layout(
        height=420,
        xaxis=axis("covariance by the formula", range=span, nticks=7),
        yaxis=axis("covariance measured", range=span, nticks=7),
    )
    return figure(traces, arrangement)


def fan_in_figure(results: Sequence[FanIn]) -> go.Figure:
    """How far Poisson currents are from a normal law, over the number of their inputs."""
    colour = CODING_COLOURS["poisson"]
    traces = [
        _distances("Kolmogorov-Smirnov", results, "ks", "poisson", colour, "circle", "solid"),
        _distances("Wasserstein", results, "wasserstein", "poisson", colour, "diamond", "dash"),
        _distances("chance, KS", results, "ks", "chance", NEUTRAL, "circle-open", "solid"),
        _distances(
            "chance, Wasserstein", results, "wasserstein", "chance", NEUTRAL, "diamond-open", "dash"
        ),
        {
            "type": "scatter",
            "mode": "lines",
            "name": "upper bound of KS",
            "x": [item.fan_in for item in results],
            "y": [item.ceiling for item in results],
            "line": {"color": CLEAN, "width": 2, "dash": "dot"},
            "hovertemplate": "fan-in %{x}: KS at most %{y:.3f}<extra></extra>",
        },
    ]
    sizes = [item.fan_in for item in results]
    ticks = [0.01, 0.03, 0.1, 0.3, 1.0]
    arrangement = layout(
        height=420,
        xaxis=axis("fan-in: inputs of the neuron", type="log", tickvals=sizes, ticktext=sizes),
        yaxis=axis(
            "distance from the normal law",
            type="log",
            range=[-2.05, 0.08],
            tickvals=ticks,
            ticktext=[f"{tick:g}" for tick in ticks],
        ),
    )
    return figure(traces, arrangement)


def _distances(
    name: str,
    results: Sequence[FanIn],
    distance: str,
    which: str,
    colour: str,
    symbol: str,
    dash: str,
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [item.fan_in for item in results],
        "y": [getattr(getattr(item, which), distance) for item in results],
        "line": {"color": colour, "width": 2.5 if which == "poisson" else 1.5, "dash": dash},
        "marker": {"color": colour, "size": 9, "symbol": symbol},
        "hovertemplate": f"{name}, fan-in %{{x}}: %{{y:.4f}}<extra></extra>",
    }


def _band(
    x: Floats | NDArray[np.int_], lower: Floats, upper: Floats, colour: str
) -> dict[str, Any]:
    """A translucent band between two lines; at a single place, where it has no area, a bar."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "95 % interval",
        "x": np.concatenate([x, x[::-1]]),
        "y": np.concatenate([upper, lower[::-1]]),
        "fill": "toself",
        "fillcolor": translucent(colour, 0.16),
        "line": {"width": 0 if len(x) > 1 else 12, "color": translucent(colour, 0.16)},
        "hoverinfo": "skip",
    }


def _whole_steps(count: int) -> dict[str, Any]:
    """Ticks at each step while there is room for them."""
    return {"tickmode": "linear", "dtick": 1} if count <= 12 else {"nticks": 9}


def _diagonal(low: float, high: float, name: str) -> dict[str, Any]:
    """The line on which both axes agree."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [low, high],
        "y": [low, high],
        "line": {"color": NEUTRAL, "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }


def _here(step: int) -> dict[str, Any]:
    """A vertical line at the chosen number of steps."""
    return {
        "type": "line",
        "x0": step,
        "x1": step,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": NEUTRAL, "width": 1.5, "dash": "dot"},
    }


def _level(value: float, name: str, right: float) -> dict[str, Any]:
    """A horizontal line at `value`, up to `right`; its name is in the legend, out of the way."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [0, right],
        "y": [value, value],
        "line": {"color": NEUTRAL, "width": 1.5, "dash": "dash"},
        "hoverinfo": "skip",
    }
