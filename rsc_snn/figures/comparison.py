"""Networks against each other: what carries over from one to the other, and what a pass costs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from rsc_snn.figures.style import (
    ADVERSARIAL,
    CLEAN,
    CODING_COLOURS,
    axis,
    figure,
    hatch,
    layout,
    translucent,
)

if TYPE_CHECKING:
    from rsc_snn.comparison import Transfer
    from rsc_snn.energy import EnergyEstimate

_UNATTACKED = "not attacked"
_WORDS = {"wrong": "not right anyway", "abstained": "undecided"}
_MIDDLE = "#B8BEC6"
_ON_CELL = "#101418"  # at least 4.5:1 on every colour of a cell
_CELL = 58
# Letters in a line of a name above a column and beside a row.
_COLUMN_WIDTH, _ROW_WIDTH = 14, 22
_BAR = 44


def transfer_figure(transfer: Transfer, labels: Mapping[str, str] | None = None) -> go.Figure:
    """A matrix: the model that the image was crafted on by the model that answers.

    Each cell has the share of right draws and the verdict; the first row is the clean image.
    labels: how a model is called, by its name.
    """
    names = [(labels or {}).get(name, name) for name in transfer.names]
    rows = [_UNATTACKED, *(f"made for {name}" for name in names)]
    shares = [transfer.clean.tolist(), *transfer.correct.tolist()]
    words: list[list[str]] = [["right" if share > 0.5 else "not right" for share in shares[0]]]
    words += [[_WORDS.get(verdict, verdict) for verdict in row] for row in transfer.verdicts]
    cells = {
        "type": "heatmap",
        "x": list(range(len(names))),
        "y": list(range(len(rows))),
        "z": shares,
        "text": [
            [f"{share:.0%}<br>{word}" for share, word in zip(*pair, strict=True)]
            for pair in zip(shares, words, strict=True)
        ],
        "customdata": [[[row, name] for name in names] for row in rows],
        "texttemplate": "%{text}",
        "textfont": {"color": _ON_CELL},
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, ADVERSARIAL], [0.5, _MIDDLE], [1, CLEAN]],
        "showscale": False,
        "xgap": 3,
        "ygap": 3,
        "hovertemplate": "%{customdata[0]}, shown to %{customdata[1]}: %{z:.0%} of "
        f"{transfer.draws} draws right<extra></extra>",
    }
    arrangement = layout(
        height=120 + _CELL * len(rows),
        xaxis=_names_axis(
            "shown to", names, _COLUMN_WIDTH, side="top", tickangle=0, tickfont={"size": 11}
        ),
        yaxis=_names_axis("", rows, _ROW_WIDTH, autorange="reversed"),
    )
    return figure([cells], arrangement)


def _names_axis(title: str, names: Sequence[str], width: int, **extra: Any) -> dict[str, Any]:
    """An axis of places 0, 1, ... with names, of which two may be the same, in lines of `width`."""
    places = list(range(len(names)))
    lines = ["<br>".join(textwrap.wrap(name, width)) for name in names]
    return axis(title, tickvals=places, ticktext=lines, showgrid=False, **extra)


def energy_figure(estimate: EnergyEstimate, kind: str = "rsc") -> go.Figure:
    """Estimated energy of each layer in microjoules: the network, and the ANN of its shape.

    kind: `ann` or a coding, for the colour. The network's bar is in two parts, accumulates (which
    spikes cause) and multiply-accumulates.
    """
    layers = estimate.per_layer
    names = [layer.name for layer in layers]
    accumulates = [_microjoules(layer.ac_energy_pj) for layer in layers]
    multiplied = [_microjoules(layer.mac_energy_pj) for layer in layers]
    dense = [_microjoules(layer.ann_energy_pj) for layer in layers]
    colour = CODING_COLOURS[kind]
    traces = [
        _bars("accumulates", names, accumulates, colour, "", group="network")
        | {"customdata": [layer.acs for layer in layers]},
        _bars("multiply-accumulates", names, multiplied, translucent(colour, 0.55), "/", "network")
        | {"customdata": [layer.macs for layer in layers], "base": accumulates},
        _bars("multiply-accumulates, ANN", names, dense, CODING_COLOURS["ann"], "x", "ann")
        | {"customdata": [layer.ann_macs for layer in layers]},
    ]
    arrangement = layout(
        height=130 + _BAR * len(layers),
        barmode="group",
        xaxis=axis("estimated energy, µJ", rangemode="tozero"),
        yaxis=axis("", autorange="reversed", showgrid=False, type="category"),
        legend={"orientation": "v", "x": 0, "xanchor": "left", "y": -0.2, "yanchor": "top"},
    )
    return figure(traces, arrangement)


def _microjoules(picojoules: float) -> float:
    return picojoules / 1e6


def _bars(
    name: str, layers: list[str], energies: list[float], colour: str, pattern: str, group: str
) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "y": layers,
        "x": energies,
        "offsetgroup": group,
        "marker": {"color": colour, "line": {"width": 0}, "pattern": hatch(pattern)},
        "hovertemplate": f"%{{y}}: %{{x:.3g}} µJ, %{{customdata:,}} {name}<extra></extra>",
    }
