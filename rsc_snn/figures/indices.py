"""Votes, the parts of the noise, and the prices of the dial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from rsc_snn.figures.explorer import BARE, PALETTE, SYMBOLS, Show
from rsc_snn.figures.style import (
    ADVERSARIAL,
    CLEAN,
    NEUTRAL,
    axis,
    figure,
    hatch,
    interval_bars,
    layout,
    translucent,
)

if TYPE_CHECKING:
    from rsc_snn.tradeoff import Components, Difference, Price, VotePoint

_BAR = 44
_ROW = 22


def votes_figure(clean: Sequence[VotePoint], robust: Sequence[VotePoint]) -> go.Figure:
    """Accuracy over the number of passes that vote, clean and under attack; 1 is a single pass."""
    traces = [
        _votes("clean", clean, CLEAN, "circle", "solid"),
        _votes("under attack", robust, ADVERSARIAL, "diamond", "dash"),
    ]
    passes = sorted({point.passes for point in (*clean, *robust)})
    arrangement = layout(
        height=320,
        xaxis=axis("passes that vote", tickvals=passes),
        yaxis=axis("accuracy", range=[-0.02, 1.02], tickformat=".0%"),
    )
    return figure(traces, arrangement)


def _votes(
    name: str, points: Sequence[VotePoint], colour: str, symbol: str, dash: str
) -> dict[str, Any]:
    ordered = sorted(points, key=lambda point: point.passes)
    estimates = [point.estimate for point in ordered]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [point.passes for point in ordered],
        "y": [each.value for each in estimates],
        "customdata": [
            [each.lower, each.upper, each.n, point.groups]
            for point, each in zip(ordered, estimates, strict=True)
        ],
        "error_y": interval_bars(estimates, translucent(colour, 0.7)),
        "line": {"color": colour, "width": 2.5, "dash": dash},
        "marker": {"color": colour, "size": 9, "symbol": symbol},
        "hovertemplate": (
            f"{name}, a vote over %{{x}}: %{{y:.1%}}<br>%{{customdata[0]:.1%}} to "
            "%{customdata[1]:.1%}, n = %{customdata[2]:,}, votes an image: %{customdata[3]}"
            "<extra></extra>"
        ),
    }


def components_figure(rows: Sequence[tuple[str, Components]]) -> go.Figure:
    """The standard error of each accuracy in points, with the part of images and that of coding.

    Bars are shares of the accuracy's variance, which add up; standard errors do not.
    """
    names = [f"{name}<br>± {100 * parts.se:.2f} points" for name, parts in rows]
    traces = [
        _shares("images", names, rows, NEUTRAL, ""),
        _shares("coding noise", names, rows, PALETTE[0], "/"),
    ]
    arrangement = layout(
        height=120 + _BAR * len(rows),
        barmode="stack",
        xaxis=axis("share of the accuracy's variance", range=[0, 1.03], tickformat=".0%"),
        yaxis=axis("", autorange="reversed", showgrid=False, type="category"),
    )
    arrangement["legend"]["traceorder"] = "normal"
    return figure(traces, arrangement)


def _shares(
    name: str, names: list[str], rows: Sequence[tuple[str, Components]], colour: str, pattern: str
) -> dict[str, Any]:
    errors = [parts.se_images if name == "images" else parts.se_coding for _, parts in rows]
    single = [parts.image_sd if name == "images" else parts.coding_sd for _, parts in rows]
    totals = [parts.se for _, parts in rows]
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "y": names,
        "x": [
            (error / total) ** 2 if total else 0.0
            for error, total in zip(errors, totals, strict=True)
        ],
        "customdata": [
            [100 * error, sd, parts.n, parts.draws]
            for error, sd, (_, parts) in zip(errors, single, rows, strict=True)
        ],
        "marker": {"color": colour, "line": {"width": 0}, "pattern": hatch(pattern)},
        "hovertemplate": (
            f"{name}: %{{x:.0%}} of the variance<br>standard error %{{customdata[0]:.2f}} points "
            "from %{customdata[2]:,} images, %{customdata[3]} draws<br>standard deviation of one "
            "answer %{customdata[1]:.2f}<extra></extra>"
        ),
    }


def prices_figure(prices: Sequence[Price], *, show: Show = BARE) -> go.Figure:
    """Points of robustness gained over points of accuracy paid, a mark for each step of the dial.

    On the dotted line one point buys one. A step with a part that is within the noise is pale and
    a cross; `customdata` ends with the key of the cell after the step.
    """
    groups: dict[tuple[str, int], list[Price]] = {}
    for price in prices:
        groups.setdefault((price.after.model, price.after.time_steps), []).append(price)
    traces = [
        _steps(f"{show.look(group[0].after).label}, T = {steps}", group, index)
        for index, ((_, steps), group) in enumerate(groups.items())
    ]
    ends = [
        100 * end
        for price in prices
        for change in (price.paid, price.gained)
        for end in (change.lower, change.upper)
    ]
    low, high = min([0.0, *ends]), max([1.0, *ends])
    traces.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": "one point for one",
            "x": [low, high],
            "y": [low, high],
            "line": {"color": NEUTRAL, "width": 1.5, "dash": "dot"},
            "hoverinfo": "skip",
        }
    )
    zero = {"zeroline": True, "zerolinecolor": NEUTRAL, "zerolinewidth": 1.5}
    arrangement = layout(
        height=380 + _ROW * len(traces),
        margin={"l": 8, "r": 8, "t": 10, "b": 8, "autoexpand": True},
        xaxis=axis("accuracy paid, points", **zero),
        yaxis=axis("robustness gained, points", **zero),
        legend={"orientation": "v", "x": 0, "xanchor": "left", "y": -0.18, "yanchor": "top"},
    )
    return figure(traces, arrangement)


def _steps(name: str, prices: Sequence[Price], index: int) -> dict[str, Any]:
    colour = PALETTE[index % len(PALETTE)]
    clear = [price.paid.significant and price.gained.significant for price in prices]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": name,
        "x": [100 * price.paid.value for price in prices],
        "y": [100 * price.gained.value for price in prices],
        "text": [f"{price.before.sigma:g}→{price.after.sigma:g}" for price in prices],
        "textposition": "top right",
        "textfont": {"size": 11, "color": colour},
        "customdata": [[price.after.key, *_words(price), price.after.key] for price in prices],
        "error_x": _errors([price.paid for price in prices], colour),
        "error_y": _errors([price.gained for price in prices], colour),
        "marker": {
            "color": colour,
            "size": 10,
            "opacity": [1.0 if plain else 0.55 for plain in clear],
            "symbol": [
                SYMBOLS[index % len(SYMBOLS)] if plain else "x-thin-open" for plain in clear
            ],
            "line": {"width": 2, "color": colour},
        },
        "unselected": {"marker": {"opacity": 0.8}},
        "hovertemplate": (
            f"{name}, sigma %{{text}}<br>paid %{{customdata[1]}} points of accuracy<br>gained "
            "%{customdata[2]} points of robustness, n = %{customdata[3]:,}<extra></extra>"
        ),
    }


def _words(price: Price) -> tuple[str, str, int]:
    """What is paid, what is gained, and n, for the hover."""
    return price.paid.text(), price.gained.text(), price.paid.n


def _errors(changes: Sequence[Difference], colour: str) -> dict[str, Any]:
    return interval_bars(changes, translucent(colour, 0.45), thickness=1.2, width=3, scale=100)
