"""The trade-off explorer: operating points over sigma, T or epsilon, in the plane, as a map.

Every point carries its cell's key as the last of its `customdata`, so that a click can open it.
Lines have the colour of their kind of network, several of one kind its shades; dash and mark tell
them apart without it. Filled marks are results that ship, open ones were added here since. Thin
dotted lines are points that were measured on other images than the rest, each named after its
images.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any, Literal

import plotly.graph_objects as go

from rsc_snn.figures.labels import Labels
from rsc_snn.figures.style import (
    ADVERSARIAL,
    CLEAN,
    CLEAR,
    CODING_COLOURS,
    NEUTRAL,
    axis,
    figure,
    interval_bars,
    layout,
    margin,
    shades,
    translucent,
)

if TYPE_CHECKING:
    from rsc_snn.evaluate import Estimate
    from rsc_snn.tradeoff import OperatingPoint
    from rsc_snn.tradeoff.points import Accuracy

# What a line is of: a model, its T unless it goes over T, and its sigma unless it goes over that.
Line = tuple[str, int | None, float | None]
# What curves go over: sigma, the effective sigma or the time steps.
CurveAxis = Literal["sigma", "effective", "steps"]
Quantity = Literal["clean", "robust", "harmonic"]

DASHES = ("solid", "dash", "dashdot", "longdash", "longdashdot", "8px,2px,2px,2px,2px,2px")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "pentagon", "hexagram")
QUANTITIES: dict[Quantity, str] = {
    "clean": "clean accuracy",
    "robust": "robust accuracy",
    "harmonic": "harmonic mean",
}
# Of no kind of network, for the harmonic mean is of any.
_GOLD = "#A07A14"
_SCALES: dict[Quantity, str] = {"clean": CLEAN, "robust": ADVERSARIAL, "harmonic": _GOLD}
_PANELS: tuple[tuple[Accuracy, str], ...] = (("clean", "y"), ("robust", "y2"))
_AXIS_TITLES: dict[CurveAxis, str] = {
    "sigma": "noise level sigma",
    "effective": "effective sigma, sigma / sqrt(T)",
    "steps": "time steps T",
}
_PALE = "#E6EAEE"
_ON_CELL = "#101418"  # at least 4.5:1 on every colour of a cell
_ROW = 22
_CELL = 46
_COMMAND_WIDTH = 64
# More bands than this lie over each other; thin bars are drawn instead, in half as many traces.
_MOST_BANDS = 6
# Diameter of the ring around the chosen point, in pixels.
_RING = 22
# Room of a label of an axis, as a share of its length on a phone.
_TICK = 0.05


@dataclass(frozen=True)
class Look:
    """How a model is shown: its label and its kind (`ann` or a coding), which gives the colour.

    timed: T changes its answers. Over T, one for which it does not is a level line.
    """

    label: str
    kind: str
    timed: bool = True


@dataclass(frozen=True)
class Show:
    """What the page knows about the points.

    looks: of models, by name; others show their name and coding. own: keys of points that did
    not ship but were added here: measured live, by a sweep, or imported. others: what to call the
    images of points that were measured on other images than the rest, by key. here: key of the
    current choice. command: writes what measures a point's clean or robust accuracy, for the
    hover.
    """

    looks: Mapping[str, Look] = field(default_factory=dict)
    own: Collection[str] = frozenset()
    others: Mapping[str, str] = field(default_factory=dict)
    here: str | None = None
    command: Callable[[OperatingPoint, Accuracy], str] | None = None

    def look(self, point: OperatingPoint) -> Look:
        """The look of a point's model."""
        return self.looks.get(point.model) or Look(point.model, point.robust_result.cell.coding)


@dataclass(frozen=True)
class Series:
    """Points that one line joins, in its order, and how it is drawn.

    images: what they were measured on, if that is not what most were; "" for most.
    """

    name: str
    points: tuple[OperatingPoint, ...]
    colour: str
    dash: str
    symbol: str
    images: str = ""


BARE = Show()
NO_HARMONICS: Mapping[str, Estimate] = {}


def curves_figure(
    points: Sequence[OperatingPoint],
    *,
    over: CurveAxis = "sigma",
    coming: Sequence[float] = (),
    show: Show = BARE,
) -> go.Figure:
    """Clean accuracy above, robust accuracy below, over sigma; a line for each model and T.

    over: sigma, sigma / sqrt(T), or T on a logarithmic axis with a line for each model and sigma.
    coming: places on that axis still to be measured, which hold it still. A model without sigma,
    over T one whose answers T does not change, is a level line. Bands, or bars where there would be
    too many, are 95 % intervals.
    """
    series = _series(points, show, over)
    found = [place for point in points if (place := _place(point, over, show)) is not None]
    places = sorted({*found, *coming})
    low, high = (places[0], places[-1]) if places else (0.0, 1.0)
    alone = len({(line.colour, line.symbol) for line in series}) == 1
    traces = []
    for index, line in enumerate(series):
        for quantity, panel in _PANELS:
            colour = CLEAN if quantity == "clean" else ADVERSARIAL
            drawn = replace(line, colour=colour) if alone else line
            across = [_place(point, over, show) for point in line.points]
            parts = _curve(drawn, across, (low, high), quantity, panel, show, index)
            traces += _with_intervals(parts, drawn, len(series))
    arrangement = layout(
        height=520 + _ROW * _rows(series, show),
        margin=margin(top=10),
        xaxis=axis(_AXIS_TITLES[over], anchor="y2", **_reach(over, places)),
        yaxis=_shares("clean accuracy", [point.clean for point in points], domain=[0.53, 1]),
        yaxis2=_shares("robust accuracy", [point.robust for point in points], domain=[0, 0.47]),
        legend=_column(-0.13),
    )
    return figure([*traces, *own_note(show)], arrangement)


def plane_figure(
    points: Sequence[OperatingPoint],
    front: Sequence[OperatingPoint] = (),
    *,
    ring: str = "opened by the link",
    show: Show = BARE,
) -> go.Figure:
    """Robust over clean accuracy: each dial a path with labelled sigma, and the Pareto front.

    front: of `rsc_snn.tradeoff.pareto_front`, drawn as the stairs that bound what was reached.
    The chosen point has a ring and its intervals; ring: what it is, for the legend.
    """
    series = _series(points, show)
    x_axis = _shares("clean accuracy", [point.clean for point in points])
    y_axis = _shares("robust accuracy", [point.robust for point in points])
    traces = [_stairs(front)] if front else []
    traces += [
        _path(line, labels, show) for line, labels in _labels(series, (x_axis, y_axis), show)
    ]
    traces += [_chosen(point, ring, show) for point in points if point.key == show.here]
    arrangement = layout(
        height=430 + _ROW * (_rows(series, show) + bool(front) + 2),
        margin=margin(top=10),
        xaxis=x_axis,
        yaxis=y_axis,
        legend=_column(-0.16),
    )
    return figure([*traces, *own_note(show)], arrangement)


def heat_figure(
    points: Sequence[OperatingPoint],
    quantity: Quantity = "clean",
    *,
    harmonics: Mapping[str, Estimate] = NO_HARMONICS,
    show: Show = BARE,
) -> go.Figure:
    """A map of sigma by T of one model, each value written in its cell.

    Cells added here have a star, the chosen one has a frame. Colours span the values there are.
    harmonics: harmonic means with their intervals, by the key of a point, for the hover.
    """
    found = [point for point in points if point.sigma is not None]
    sigmas = sorted({point.sigma for point in found if point.sigma is not None})
    steps = sorted({point.time_steps for point in found})
    values: list[list[float | None]] = [[None] * len(sigmas) for _ in steps]
    for point in found:
        row, column = steps.index(point.time_steps), sigmas.index(point.sigma or 0.0)
        values[row][column] = _value(point, quantity)
    cells = {
        "type": "heatmap",
        "x": list(range(len(sigmas))),
        "y": list(range(len(steps))),
        "z": values,
        "colorscale": [[0, _PALE], [1, _SCALES[quantity]]],
        "showscale": False,
        "xgap": 3,
        "ygap": 3,
        "hoverinfo": "skip",
    }
    # Maps do not report clicks; marks on top of their cells do.
    marks = {
        "type": "scatter",
        "mode": "markers+text",
        "x": [sigmas.index(point.sigma or 0.0) for point in found],
        "y": [steps.index(point.time_steps) for point in found],
        "text": [
            f"{100 * _value(point, quantity):.0f}{'*' * (point.key in show.own)}" for point in found
        ],
        "textfont": {"color": _ON_CELL, "size": 13},
        "customdata": [
            [*_custom(point, quantity, show, harmonics.get(point.key)), _value(point, quantity)]
            for point in found
        ],
        "marker": {
            "symbol": "square",
            "size": 26,
            "color": CLEAR,
            "line": {
                "color": _ON_CELL,
                "width": [3.5 if point.key == show.here else 0 for point in found],
            },
        },
        **unfaded(),
        "hovertemplate": _hover(QUANTITIES[quantity], quantity != "harmonic" or bool(harmonics)),
        "showlegend": False,
    }
    arrangement = layout(
        height=110 + _CELL * max(len(steps), 1),
        margin=margin(top=30),
        title={
            "text": f"{QUANTITIES[quantity]}, %",
            "font": {"size": 14},
            "x": 0,
            "xanchor": "left",
        },
        xaxis=_names("noise level sigma", [f"{sigma:g}" for sigma in sigmas]),
        yaxis=_names("T", [f"{step}" for step in steps]),
    )
    return figure([cells, marks], arrangement)


def epsilon_figure(
    points: Sequence[OperatingPoint], *, unit: str = "/255", show: Show = BARE
) -> go.Figure:
    """Accuracy over the size of the attack, one line a model, sigma and T.

    points: of several epsilons; the clean accuracy of each line stands at 0. unit: what follows an
    epsilon, "" for an L2 attack.
    """
    series = _series(points, show, "epsilon")
    sizes = _readable(sorted({0.0, *(point.epsilon for point in points)}))
    traces = []
    for index, line in enumerate(series):
        ordered = sorted(line.points, key=lambda point: point.epsilon)
        ends = [(ordered[0], "clean"), *((point, "robust") for point in ordered)]
        across = [0.0, *(point.epsilon for point in ordered)]
        traces += _with_intervals(_line(line, ends, across, "y", show, index), line, len(series))
    every = [estimate for point in points for estimate in (point.clean, point.robust)]
    arrangement = layout(
        height=360 + _ROW * _rows(series, show),
        margin=margin(top=10),
        xaxis=axis(
            f"size of the attack, epsilon{' in 255ths' if unit else ''}; 0 is clean",
            tickvals=sizes,
            ticktext=[f"{size:g}" for size in sizes],
        ),
        yaxis=_shares("accuracy", every),
        legend=_column(-0.2),
    )
    return figure([*traces, *own_note(show)], arrangement)


# --- Lines and marks -----------------------------------------------------------------------------


def _series(
    points: Iterable[OperatingPoint], show: Show, over: CurveAxis | Literal["epsilon"] = "sigma"
) -> list[Series]:
    """Points by model, images and what they do not go over of T and sigma; each line with its look.

    Points of other images look as those of the same setting do, but for a thin dotted line.
    """
    steps, sigmas = over != "steps", over in ("steps", "epsilon")
    groups: dict[tuple[Line, str], list[OperatingPoint]] = {}
    kinds: dict[Line, str] = {}
    level: set[Line] = set()
    for point in points:
        line = (
            point.model,
            point.time_steps if steps else None,
            point.sigma if sigmas else None,
        )
        groups.setdefault((line, show.others.get(point.key, "")), []).append(point)
        kinds.setdefault(line, show.look(point).kind)
        bare = point.sigma is None if steps else not show.look(point).timed
        level |= {line} if bare else set()
    # Level lines last: a T or a sigma then has its look whatever else is shown beside the dial.
    places = {line: place for place, line in enumerate(sorted(kinds, key=level.__contains__))}
    colours = _colours(kinds)
    found = []
    for (line, images), group in groups.items():
        index, first = places[line], group[0]
        words = _line_words(first, steps, sigmas)
        turn = index + index // len(DASHES)  # Each round in another order than the marks.
        found.append(
            Series(
                name=f"{show.look(first).label}{words}{images and f'<br>on {images}'}",
                points=tuple(sorted(group, key=lambda p: (p.sigma or 0.0, p.time_steps))),
                colour=colours[line],
                dash="dot" if images else DASHES[turn % len(DASHES)],
                symbol=SYMBOLS[index % len(SYMBOLS)],
                images=images,
            )
        )
    return found


def _line_words(point: OperatingPoint, steps: bool, sigmas: bool) -> str:
    """What a line's name says of the setting that its points share."""
    if steps:
        return f" at {point.setting}" if sigmas else f", T = {point.time_steps}"
    return "" if point.sigma is None else f" at sigma {point.sigma:g}"


def _colours(kinds: Mapping[Line, str]) -> dict[Line, str]:
    """Each kind of network in shades of its colour: the higher T, then sigma, the darker."""
    found: dict[Line, str] = {}
    for kind in dict.fromkeys(kinds.values()):
        own = [line for line, its in kinds.items() if its == kind]
        ranked = sorted(own, key=lambda line: (line[1] or 0, line[2] or 0.0))
        colour = CODING_COLOURS.get(kind, NEUTRAL)
        found |= zip(ranked, shades(colour, len(ranked)), strict=True)
    return found


def _rows(series: Sequence[Series], show: Show) -> int:
    """Lines of text in the legend."""
    return len(series) + sum(bool(line.images) for line in series) + 2 * bool(show.own)


def _place(point: OperatingPoint, over: CurveAxis, show: Show) -> float | None:
    """Where a point is on the axis; None for one of a level line."""
    if over == "steps":
        return point.time_steps if show.look(point).timed else None
    return point.effective_sigma if over == "effective" else point.sigma


def _reach(over: CurveAxis, places: Sequence[float]) -> dict[str, Any]:
    """Range and ticks of the axis of curves that go over rising places."""
    low, high = (places[0], places[-1]) if places else (0.0, 1.0)
    if over != "steps" or not places:
        room = 0.04 * (high - low or 1.0)
        return {"range": [low - room, high + room]}
    ends = [log10(low), log10(high)]
    room = 0.04 * (ends[1] - ends[0] or 1.0)
    # Each T by its number: the axis itself would write 2 and 5 between powers of ten.
    ticks = [10**place for place in _readable([log10(place) for place in places])]
    return {
        "type": "log",
        "range": [ends[0] - room, ends[1] + room],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }


def _curve(
    line: Series,
    across: Sequence[float | None],
    ends: tuple[float, float],
    quantity: Accuracy,
    panel: str,
    show: Show,
    index: int,
) -> list[dict[str, Any]]:
    """A line over the axis; without a place on it, from end to end."""
    if all(place is None for place in across):
        twice = [(line.points[0], quantity)] * 2
        return _line(line, twice, list(ends), panel, show, index)
    pairs = [
        (place, (point, quantity))
        for place, point in zip(across, line.points, strict=True)
        if place is not None
    ]
    return _line(line, [pair for _, pair in pairs], [x for x, _ in pairs], panel, show, index)


def _line(
    line: Series,
    values: Sequence[tuple[OperatingPoint, Any]],
    across: Sequence[float],
    panel: str,
    show: Show,
    index: int,
) -> list[dict[str, Any]]:
    """A line of (point, quantity) over a translucent band of their intervals, with its edges."""
    estimates = [point.clean if quantity == "clean" else point.robust for point, quantity in values]
    x = list(across)
    band = {
        "type": "scatter",
        "mode": "lines",
        "x": x + x[::-1],
        "y": [each.upper for each in estimates] + [each.lower for each in estimates][::-1],
        "yaxis": panel,
        "fill": "toself",
        "fillcolor": translucent(line.colour, 0.13),
        # The fill alone is too pale to see where bands end, and where they lie over each other.
        "line": {"width": 0.8, "color": line.colour},
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": f"{index}",
        "name": f"{line.name}, interval",
    }
    marks = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": line.name,
        "x": x,
        "y": [each.value for each in estimates],
        "yaxis": panel,
        "customdata": [_custom(point, quantity, show) for point, quantity in values],
        "line": {"color": line.colour, "width": 1.2 if line.images else 2.2, "dash": line.dash},
        "marker": _marker(line, [point for point, _ in values], show),
        **unfaded(),
        "hovertemplate": _hover("%{customdata[6]}"),
        "legendgroup": f"{index}",
        "showlegend": panel == "y",
    }
    return [band, marks]


def _with_intervals(
    parts: list[dict[str, Any]], series: Series, lines: int
) -> list[dict[str, Any]]:
    """A band and its line; of many lines or other images, bars of the same intervals instead.

    So too where all points are at one place, for a band there would have no area.
    """
    line = parts[-1]
    spread = len(set(line["x"])) > 1
    if lines <= _MOST_BANDS and spread and not series.images:
        return parts
    custom = line["customdata"]
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [row[3] - value for row, value in zip(custom, line["y"], strict=True)],
        "arrayminus": [value - row[2] for row, value in zip(custom, line["y"], strict=True)],
        "color": series.colour,
        "thickness": 1.5,
        "width": 0,
    }
    return [{**line, "error_y": bars}]


def _marker(line: Series, points: Sequence[OperatingPoint], show: Show) -> dict[str, Any]:
    """Open where added here, larger where chosen, smaller on other images."""
    size = 7 if line.images else 8
    return {
        "color": line.colour,
        "opacity": 1,
        "size": [13 if point.key == show.here else size for point in points],
        "symbol": [
            f"{line.symbol}-open" if point.key in show.own else line.symbol for point in points
        ],
        "line": {"width": 2, "color": line.colour},
    }


def _labels(
    lines: Sequence[Series], axes: tuple[dict[str, Any], dict[str, Any]], show: Show
) -> Iterator[tuple[Series, tuple[list[str], list[str]]]]:
    """Each path's labels, its sigmas, and their sides; one without room is left out."""
    points = [point for line in lines for point in line.points]
    chosen = [point for point in points if point.key == show.here]
    marks = [(*_spot(point), 8.0) for point in points]
    marks += [(*_spot(point), _RING + 3.0) for point in chosen]
    strokes = [
        (*_spot(first), *_spot(second)) for line in lines for first, second in pairwise(line.points)
    ]
    for point in chosen:
        (x, y), clean, robust = _spot(point), point.clean, point.robust
        strokes += [(clean.lower, y, clean.upper, y), (x, robust.lower, x, robust.upper)]
    labels = Labels(axes[0]["range"], axes[1]["range"], marks, strokes)
    sizes = {point.key: size for line in lines for point, size in _sizes(line, show)}
    order = _turns(lines, show)
    texts, sides = labels.place(
        ["" if point.sigma is None else f"{point.sigma:g}" for point in order],
        [_spot(point) for point in order],
        [sizes[point.key] for point in order],
    )
    placed = {p.key: found for p, found in zip(order, zip(texts, sides, strict=True), strict=True)}
    for line in lines:
        own = [placed[point.key] for point in line.points]
        yield line, ([text for text, _ in own], [side for _, side in own])


def _turns(lines: Sequence[Series], show: Show) -> list[OperatingPoint]:
    """In which order points get a label while there is room.

    The chosen one, the ends of every path, then one of each path in turn, the first turn each time
    that of another path: else the first paths would have nearly all labels.
    """

    def turn(line: int, place: int) -> tuple[bool, bool, int, int]:
        points = lines[line].points
        inside = place not in (0, len(points) - 1)
        return points[place].key != show.here, inside, place, (line - place) % len(lines)

    places = [
        (line, place) for line, found in enumerate(lines) for place in range(len(found.points))
    ]
    return [lines[line].points[place] for line, place in sorted(places, key=lambda at: turn(*at))]


def _sizes(line: Series, show: Show) -> Iterator[tuple[OperatingPoint, int]]:
    """The points of a line with the diameters of their marks."""
    return zip(line.points, _marker(line, line.points, show)["size"], strict=True)


def _spot(point: OperatingPoint) -> tuple[float, float]:
    """Where a point is in the plane."""
    return point.clean.value, point.robust.value


def _path(line: Series, labels: tuple[list[str], list[str]], show: Show) -> dict[str, Any]:
    """The dial of one model at one T through the plane."""
    return {
        "type": "scatter",
        "mode": "lines+markers+text",
        "name": line.name,
        "x": [point.clean.value for point in line.points],
        "y": [point.robust.value for point in line.points],
        "text": labels[0],
        "textposition": labels[1],
        "textfont": {"size": 11},  # A light shade is clear enough for a line, but not for text.
        "customdata": [_custom(point, "both", show) for point in line.points],
        "line": {"color": line.colour, "width": 1.0 if line.images else 1.6, "dash": line.dash},
        "marker": _marker(line, line.points, show),
        **unfaded(),
        "hovertemplate": (
            "%{customdata[1]}<br>clean %{x:.1%} (%{customdata[6]})<br>robust %{y:.1%} "
            "(%{customdata[2]:.1%} to %{customdata[3]:.1%}), n = %{customdata[4]:,}"
            "%{customdata[5]}<extra></extra>"
        ),
    }


def _stairs(front: Sequence[OperatingPoint]) -> dict[str, Any]:
    """The bound of what the points of the front reach, clean rising."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Pareto front",
        "x": [point.clean.value for point in front],
        "y": [point.robust.value for point in front],
        # From a point to the right at the height of the next one: down first, then across.
        "line": {"color": NEUTRAL, "width": 4, "shape": "vh", "dash": "solid"},
        "hoverinfo": "skip",
    }


def _chosen(point: OperatingPoint, ring: str, show: Show) -> dict[str, Any]:
    """The ring around the chosen point, with its intervals."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{ring}:<br>{show.look(point).label} at {point.setting}",
        "x": [point.clean.value],
        "y": [point.robust.value],
        "error_x": _error(point.clean),
        "error_y": _error(point.robust),
        "marker": {
            "symbol": "circle-open",
            "size": _RING,
            "color": NEUTRAL,
            "line": {"width": 3, "color": NEUTRAL},
        },
        "hoverinfo": "skip",
    }


def _error(estimate: Estimate) -> dict[str, Any]:
    return interval_bars([estimate], NEUTRAL, width=5)


def own_note(show: Show) -> list[dict[str, Any]]:
    """Two lines of the legend that say what filled and open marks are."""
    if not show.own:
        return []
    notes = (("filled: shipped", "circle"), ("open: added here", "circle-open"))
    return [legend_mark(name, {"symbol": symbol, "color": NEUTRAL}) for name, symbol in notes]


def legend_mark(name: str, marker: dict[str, Any]) -> dict[str, Any]:
    """A line of the legend without points."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [None],
        "y": [None],
        "marker": {"size": 9, **marker},
        "hoverinfo": "skip",
    }


def unfaded() -> dict[str, Any]:
    """A click must not fade all other points."""
    return {"unselected": {"marker": {"opacity": 1}}, "selected": {"marker": {"opacity": 1}}}


# --- Words and axes ------------------------------------------------------------------------------


def _value(point: OperatingPoint, quantity: Quantity) -> float:
    if quantity == "harmonic":
        return point.harmonic
    return point.clean.value if quantity == "clean" else point.robust.value


def _custom(
    point: OperatingPoint,
    quantity: Quantity | Literal["both"],
    show: Show,
    harmonic: Estimate | None = None,
) -> list[Any]:
    """[key, model and setting, lower, upper, n, command, words, key]; see the hover templates.

    words: the name of the quantity or, for both, the interval of the clean accuracy. The last is
    what a page gets of a clicked point. harmonic: the harmonic mean with its interval.
    """
    accuracy: Accuracy = "clean" if quantity == "clean" else "robust"
    estimate = point.clean if quantity == "clean" else point.robust
    command = "" if show.command is None else show.command(point, accuracy)
    where = f"{show.look(point).label} at {point.setting}"
    where += f"; {show.others[point.key]}" if point.key in show.others else ""
    where += " (added here)" if point.key in show.own else ""
    if command and quantity in ("both", "harmonic"):
        command = f"robust accuracy: {command}"
    if quantity == "both":
        words = f"{100 * point.clean.lower:.1f}% to {100 * point.clean.upper:.1f}%"
    else:
        words = QUANTITIES[quantity]
    if quantity == "harmonic" and harmonic is not None:
        estimate = harmonic
    numbers = (estimate.lower, estimate.upper, estimate.n)
    return [point.key, where, *numbers, wrapped(command), words, point.key]


def _hover(name: str, interval: bool = True) -> str:
    value = "%{y:.1%}" if "customdata" in name else "%{customdata[8]:.1%}"
    ends = "%{customdata[2]:.1%} to %{customdata[3]:.1%}, " if interval else ""
    return (
        f"%{{customdata[1]}}<br>{name} {value}<br>{ends}n = %{{customdata[4]:,}}"
        "%{customdata[5]}<extra></extra>"
    )


def wrapped(command: str) -> str:
    """A command in lines of a hover box; nothing for none."""
    lines: list[str] = []
    for word in command.split():
        if lines and len(lines[-1]) + len(word) < _COMMAND_WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "".join(f"<br>{line}" for line in lines)


def _shares(title: str, estimates: Sequence[Estimate], **extra: Any) -> dict[str, Any]:
    """An axis of shares over the tenths that hold all intervals."""
    low = floor(10 * min((each.lower for each in estimates), default=0.0)) / 10
    high = ceil(10 * max((each.upper for each in estimates), default=1.0)) / 10
    room = 0.02 * (high - low)
    return axis(title, range=[low - room, high + room], tickformat=".0%", **extra)


def _names(title: str, names: Sequence[str]) -> dict[str, Any]:
    """An axis of places 0, 1, ... with names."""
    ends = [-0.5, len(names) - 0.5]
    places = list(range(len(names)))
    return axis(title, tickvals=places, ticktext=list(names), showgrid=False, range=ends)


def _readable(places: Sequence[float]) -> list[float]:
    """Those of rising places whose labels do not touch on a narrow screen."""
    room = _TICK * (places[-1] - places[0])
    kept: list[float] = []
    for place in places:
        if not kept or place - kept[-1] >= room:
            kept.append(place)
    return kept


def _column(y: float) -> dict[str, Any]:
    """A legend below the figure, one line below the other: side by side needs a wide screen."""
    place = {"x": 0, "xanchor": "left", "y": y, "yanchor": "top"}
    return {"orientation": "v", "tracegroupgap": 0, **place}
