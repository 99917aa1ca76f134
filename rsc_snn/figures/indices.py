"""Votes, the parts of the noise, and the prices of the dial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from rsc_snn.figures.explorer import BARE, Show, legend_mark, own_note, unfaded, wrapped
from rsc_snn.figures.labels import Labels
from rsc_snn.figures.style import (
    ADVERSARIAL,
    CLEAN,
    CODING_COLOURS,
    NEUTRAL,
    axis,
    figure,
    hatch,
    interval_bars,
    layout,
    margin,
)

if TYPE_CHECKING:
    from rsc_snn.tradeoff import Components, Difference, Price, VotePoint
    from rsc_snn.tradeoff.points import Accuracy

# Of a bar with the two lines of its name above it.
_BAR = 74
_ROW = 22
_STEP = CODING_COLOURS["rsc"]
_IMAGES = "images and the attack on each"
_MARK = 10


@dataclass(frozen=True)
class Row:
    """A model in a setting, the parts of its noise, and the command that measures it.

    image_cost: passes that an image takes beside its draws, 0 if none. setting: in words; "" if the
    name says it.
    """

    name: str
    parts: Components
    command: str = ""
    image_cost: float = 0.0
    setting: str = ""

    @property
    def title(self) -> str:
        """The model and its setting in one line."""
        return f"{self.name} at {self.setting}" if self.setting else self.name


def votes_figure(
    clean: Sequence[VotePoint],
    robust: Sequence[VotePoint],
    *,
    command: Callable[[int, Accuracy], str] | None = None,
) -> go.Figure:
    """Accuracy over the number of passes that vote, clean and under attack; 1 is a single pass.

    command: writes what measures a vote over so many passes, for the hover.
    """
    traces = [
        _votes("clean", clean, (CLEAN, "circle", "solid"), "clean", command),
        _votes("under attack", robust, (ADVERSARIAL, "diamond", "dash"), "robust", command),
    ]
    passes = sorted({point.passes for point in (*clean, *robust)})
    arrangement = layout(
        height=320,
        xaxis=axis("passes that vote", tickvals=passes),
        yaxis=axis("accuracy", range=[-0.02, 1.02], tickformat=".0%"),
    )
    return figure(traces, arrangement)


def _votes(
    name: str,
    points: Sequence[VotePoint],
    look: tuple[str, str, str],
    accuracy: Accuracy,
    command: Callable[[int, Accuracy], str] | None,
) -> dict[str, Any]:
    """A line in a look: colour, mark and dash."""
    colour, symbol, dash = look
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
            + [wrapped("" if command is None else command(point.passes, accuracy))]
            for point, each in zip(ordered, estimates, strict=True)
        ],
        "error_y": interval_bars(estimates, colour),
        "line": {"color": colour, "width": 2.5, "dash": dash},
        "marker": {"color": colour, "size": 9, "symbol": symbol},
        "hovertemplate": (
            f"{name}, a vote over %{{x}}: %{{y:.1%}}<br>%{{customdata[0]:.1%}} to "
            "%{customdata[1]:.1%}, n = %{customdata[2]:,}, votes an image: %{customdata[3]}"
            "%{customdata[4]}<extra></extra>"
        ),
    }


def components_figure(rows: Sequence[Row]) -> go.Figure:
    """The standard error of each accuracy in points, with the part of images and that of coding.

    That of images holds the luck of the one attack on each of them, so both are named.
    Bars are shares of the accuracy's variance, which add up; standard errors do not. Each bar's
    name stands above it, so that a narrow screen has room for the bar, with the setting in a line
    of its own, so that it has room for the name.
    """
    traces = [
        _shares(_IMAGES, rows, NEUTRAL, ""),
        _shares("coding noise", rows, CODING_COLOURS["rsc"], "/"),
    ]
    names = [
        {
            "text": f"{row.name}{'<br>' if row.setting else ''}{row.setting}: "
            f"SE {100 * row.parts.se:.2f} points",
            "x": 0,
            "xanchor": "left",
            "align": "left",
            "xref": "paper",
            "y": place,
            "yanchor": "bottom",
            "yshift": _BAR * 0.18,
            "showarrow": False,
            "font": {"size": 13},
        }
        for place, row in enumerate(rows)
    ]
    arrangement = layout(
        height=120 + _BAR * len(rows),
        barmode="stack",
        bargap=0.66,
        annotations=names,
        xaxis=axis("share of the measured accuracy's variance", range=[0, 1.03], tickformat=".0%"),
        yaxis=axis(
            "", range=[len(rows) - 0.5, -0.8], showgrid=False, showticklabels=False, tickvals=[]
        ),
    )
    arrangement["legend"]["traceorder"] = "normal"
    return figure(traces, arrangement)


def _shares(name: str, rows: Sequence[Row], colour: str, pattern: str) -> dict[str, Any]:
    every = [row.parts for row in rows]
    errors = [parts.se_images if name == _IMAGES else parts.se_coding for parts in every]
    single = [parts.image_sd if name == _IMAGES else parts.coding_sd for parts in every]
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "y": list(range(len(rows))),
        "x": [
            (error / parts.se) ** 2 if parts.se else 0.0
            for error, parts in zip(errors, every, strict=True)
        ],
        "customdata": [
            [100 * error, sd, row.parts.n, row.parts.draws, row.title, _share_of_images(row.parts)]
            + [wrapped(row.command)]
            for error, sd, row in zip(errors, single, rows, strict=True)
        ],
        "marker": {"color": colour, "line": {"width": 0}, "pattern": hatch(pattern)},
        "hovertemplate": (
            f"%{{customdata[4]}}<br>{name}: %{{x:.0%}} of the variance, standard error "
            "%{customdata[0]:.2f} points<br>n = %{customdata[2]:,}, draws: %{customdata[3]}, "
            "standard deviation of an answer %{customdata[1]:.2f}<br>%{customdata[5]}"
            "%{customdata[6]}<extra></extra>"
        ),
    }


def _share_of_images(parts: Components) -> str:
    """Of a single answer, with its interval, for the hover."""
    ends = "no interval"
    if parts.has_interval:
        ends = f"{parts.icc_lower:.0%} to {parts.icc_upper:.0%}"
    return f"of an answer's variance {parts.icc:.0%} ({ends}) is {_IMAGES}"


def prices_figure(prices: Sequence[Price], *, show: Show = BARE) -> go.Figure:
    """Points of robustness gained over points of accuracy paid, a mark for each step of a dial.

    On the dotted line one point buys one. A step with a part that is within the noise is a cross,
    one to or from a setting that was added here is open; `customdata` ends with the key
    of the cell after the step.
    """
    across = _ends([price.paid for price in prices])
    up = _ends([price.gained for price in prices])
    even = {
        "type": "scatter",
        "mode": "lines",
        "name": "one point for one",
        "x": [min(across[0], up[0]), max(across[1], up[1])],
        "y": [min(across[0], up[0]), max(across[1], up[1])],
        "line": {"color": NEUTRAL, "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }
    notes = [
        legend_mark("a step of the dial", {"color": _STEP, "symbol": "circle"}),
        legend_mark(
            "a part is within the noise",
            {"color": _STEP, "symbol": "x-thin-open", "line": {"width": 2}},
        ),
    ]
    zero = {"zeroline": True, "zerolinecolor": NEUTRAL, "zerolinewidth": 1.5}
    arrangement = layout(
        height=380 + _ROW * (3 + 2 * bool(show.own)),
        margin=margin(top=10),
        xaxis=axis("accuracy paid, points", range=across, **zero),
        yaxis=axis("robustness gained, points", range=up, **zero),
        legend={"orientation": "v", "x": 0, "xanchor": "left", "y": -0.18, "yanchor": "top"},
    )
    labels = _labels(prices, (across, up), even)
    steps = [_steps(prices, labels, show)] if prices else []
    return figure([*steps, *notes, *own_note(show), even], arrangement)


def _ends(changes: Sequence[Difference]) -> list[float]:
    """The range of an axis that holds all intervals, and 0, in points."""
    ends = [100 * end for change in changes for end in (change.lower, change.upper)]
    low, high = min([0.0, *ends]), max([1.0, *ends])
    room = 0.06 * (high - low)
    return [low - room, high + room]


def _labels(
    prices: Sequence[Price], ends: tuple[list[float], list[float]], even: dict[str, Any]
) -> tuple[list[str], list[str]]:
    """The steps in words and the side of each, clear of the intervals and of the line `even`."""
    places = [(100 * price.paid.value, 100 * price.gained.value) for price in prices]
    lines = [(even["x"][0], even["y"][0], even["x"][1], even["y"][1])]
    lines += [(ends[0][0], 0.0, ends[0][1], 0.0), (0.0, ends[1][0], 0.0, ends[1][1])]
    for (x, y), price in zip(places, prices, strict=True):
        lines += [(100 * price.paid.lower, y, 100 * price.paid.upper, y)]
        lines += [(x, 100 * price.gained.lower, x, 100 * price.gained.upper)]
    labels = Labels(*ends, [(x, y, _MARK) for x, y in places], lines)
    return labels.place([_step(price) for price in prices], places, [_MARK] * len(places))


def _step(price: Price) -> str:
    return f"{price.before.sigma:g}→{price.after.sigma:g}"


def _steps(
    prices: Sequence[Price], labels: tuple[list[str], list[str]], show: Show
) -> dict[str, Any]:
    first = prices[0].after
    name = f"{show.look(first).label}, T = {first.time_steps}"
    clear = [price.paid.significant and price.gained.significant for price in prices]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": name,
        "showlegend": False,
        "x": [100 * price.paid.value for price in prices],
        "y": [100 * price.gained.value for price in prices],
        "text": labels[0],
        "textposition": labels[1],
        "textfont": {"size": 11},
        "customdata": [
            [price.after.key, _step(price), *_words(price, show), price.after.key]
            for price in prices
        ],
        "error_x": _errors([price.paid for price in prices], _STEP),
        "error_y": _errors([price.gained for price in prices], _STEP),
        "marker": {
            "color": _STEP,
            "size": _MARK,
            "opacity": 1,
            "symbol": [
                f"circle{_open(price, show)}" if plain else "x-thin-open"
                for price, plain in zip(prices, clear, strict=True)
            ],
            "line": {"width": 2, "color": _STEP},
        },
        **unfaded(),
        "hovertemplate": (
            f"{name}, sigma %{{customdata[1]}}<br>paid %{{customdata[2]}} points of accuracy<br>"
            "gained %{customdata[3]} points of robustness, n = %{customdata[4]:,}%{customdata[5]}"
            "<extra></extra>"
        ),
    }


def _open(price: Price, show: Show) -> str:
    """The end of the name of a mark."""
    return "-open" if {price.before.key, price.after.key} & set(show.own) else ""


def _words(price: Price, show: Show) -> tuple[str, str, int, str]:
    """What is paid, what is gained, n, and the command of the setting after the step."""
    command = ""
    if show.command is not None:
        command = f"robust accuracy after the step: {show.command(price.after, 'robust')}"
    return price.paid.text(), price.gained.text(), price.paid.n, wrapped(command)


def _errors(changes: Sequence[Difference], colour: str) -> dict[str, Any]:
    return interval_bars(changes, colour, thickness=1.2, width=3, scale=100)
