"""The explorer's figures show the numbers they were given, and a click finds the cell again."""

from __future__ import annotations

import colorsys
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from rsc_snn.figures import (
    Look,
    Row,
    Show,
    components_figure,
    curves_figure,
    epsilon_figure,
    heat_figure,
    plane_figure,
    prices_figure,
    votes_figure,
)
from rsc_snn.figures.explorer import _ON_CELL, _PALE, _SCALES
from rsc_snn.figures.style import ADVERSARIAL, CLEAN, CODING_COLOURS, shades
from rsc_snn.tradeoff import (
    OperatingPoint,
    harmonic_means,
    operating_points,
    pareto_front,
    prices_of_dial,
    variance_components,
    vote_curve,
)
from tests.figures.test_figures import contrast
from tests.tradeoff_cells import draw_right, make_point, make_result

N = 100


def point(sigma: float | None, clean: float, robust: float, **changes: Any) -> OperatingPoint:
    places = (np.arange(N) + 0.5) / N
    return make_point(places < clean, places < robust, sigma=sigma, **changes)


DIAL = [point(0.2, 0.7, 0.4), point(0.0, 0.9, 0.1), point(0.1, 0.8, 0.3), point(0.3, 0.6, 0.35)]
SHORT = [point(0.0, 0.85, 0.05, time_steps=1), point(0.2, 0.5, 0.2, time_steps=1)]
ANN = point(None, 0.95, 0.0, model="ann", coding="direct", time_steps=1)


def lines(figure: go.Figure, panel: str | None = None) -> list[go.Scatter]:
    """The traces of points, without bands and notes."""
    return [
        trace
        for trace in figure.data
        if trace.customdata is not None and (panel is None or trace.yaxis == panel)
    ]


def keys(trace: go.Scatter) -> list[str]:
    return [row[0] for row in trace.customdata]


def test_curves_have_accuracy_above_and_robust_accuracy_below_by_rising_sigma() -> None:
    figure = curves_figure(DIAL)
    (clean,), (robust,) = lines(figure, "y"), lines(figure, "y2")
    assert list(clean.x) == list(robust.x) == [0, 0.1, 0.2, 0.3]
    np.testing.assert_allclose(clean.y, [0.9, 0.8, 0.7, 0.6])
    np.testing.assert_allclose(robust.y, [0.1, 0.3, 0.4, 0.35])
    assert keys(clean) == keys(robust) == [DIAL[i].key for i in (1, 2, 0, 3)]
    assert (clean.line.color, robust.line.color) == (CLEAN, ADVERSARIAL)
    titles = (figure.layout.yaxis.title.text, figure.layout.yaxis2.title.text)
    assert titles == ("clean accuracy", "robust accuracy")
    for trace, quantity in ((clean, "clean"), (robust, "robust")):
        estimate = getattr(DIAL[1], quantity)
        assert trace.customdata[0][2:5] == [estimate.lower, estimate.upper, N]
    band = figure.data[0]
    assert band.fill == "toself"
    np.testing.assert_allclose(band.y[0], DIAL[1].clean.upper)
    np.testing.assert_allclose(band.y[-1], DIAL[1].clean.lower)


def test_the_effective_sigma_is_another_axis() -> None:
    figure = curves_figure([*DIAL, *SHORT], over="effective")
    four, one = lines(figure, "y")
    np.testing.assert_allclose(four.x, [0, 0.05, 0.1, 0.15])
    np.testing.assert_allclose(one.x, [0, 0.2])
    assert "sqrt(T)" in figure.layout.xaxis.title.text


def test_over_the_time_steps_each_sigma_is_a_line_and_each_t_has_its_number() -> None:
    looks = {"ann": Look("ANN", "ann", timed=False), "tiny-rsc": Look("RSC", "rsc")}
    figure = curves_figure([*DIAL, *SHORT, ANN], over="steps", coming=(1, 8), show=Show(looks))
    above = {trace.name: trace for trace in lines(figure, "y")}
    assert set(above) == {f"RSC at sigma {sigma:g}" for sigma in (0, 0.1, 0.2, 0.3)} | {"ANN"}
    assert list(above["RSC at sigma 0.2"].x) == [1, 4]
    np.testing.assert_allclose(above["RSC at sigma 0.2"].y, [0.5, 0.7])
    assert keys(above["RSC at sigma 0.2"]) == [SHORT[1].key, DIAL[0].key]
    assert list(above["ANN"].x) == [1, 8], "what T does not change is a level line"
    across = figure.layout.xaxis
    assert across.type == "log" and list(across.ticktext) == ["1", "4", "8"]
    assert 10 ** across.range[0] < 1 and 10 ** across.range[1] > 8
    colours = [above[f"RSC at sigma {sigma:g}"].line.color for sigma in (0, 0.1, 0.2, 0.3)]
    assert colours == sorted(colours, key=brightness, reverse=True)


def test_over_the_time_steps_a_spiking_network_without_noise_is_a_curve() -> None:
    direct = [
        point(None, clean, 0.1, model="direct", coding="direct", time_steps=steps)
        for steps, clean in ((8, 0.9), (1, 0.6), (2, 0.8))
    ]
    (trace,) = lines(curves_figure(direct, over="steps"), "y")
    assert list(trace.x) == [1, 2, 8] and trace.name == "direct"
    np.testing.assert_allclose(trace.y, [0.6, 0.8, 0.9])
    flat = curves_figure([ANN], over="steps", show=Show({"ann": Look("ANN", "ann", timed=False)}))
    assert flat.layout.xaxis.type != "log", "no T, so no logarithm of it"


def test_a_model_without_sigma_is_a_level_line_from_end_to_end() -> None:
    figure = curves_figure([*DIAL, ANN], coming=(0.0, 0.5))
    ann = lines(figure, "y")[-1]
    assert list(ann.x) == [0, 0.5] and list(ann.y) == [0.95, 0.95]
    assert keys(ann) == [ANN.key] * 2
    assert figure.layout.xaxis.range[0] < 0 < 0.5 < figure.layout.xaxis.range[1]


def test_lines_can_be_told_apart_without_colour_and_share_a_look_in_both_panels() -> None:
    figure = curves_figure([*DIAL, *SHORT, ANN])
    above, below = lines(figure, "y"), lines(figure, "y2")
    assert len({trace.line.dash for trace in above}) == 3
    assert len({trace.marker.symbol[0] for trace in above}) == 3
    for first, second in zip(above, below, strict=True):
        assert first.line == second.line and first.legendgroup == second.legendgroup
        assert first.showlegend and not second.showlegend


def test_models_of_different_kinds_have_the_colours_of_their_kinds() -> None:
    looks = {"ann": Look("ANN", "ann"), "tiny-rsc": Look("RSC", "rsc")}
    rsc, ann = lines(curves_figure([*DIAL, ANN], show=Show(looks)), "y")
    assert rsc.line.color == CODING_COLOURS["rsc"] and ann.line.color == CODING_COLOURS["ann"]
    assert (rsc.name, ann.name) == ("RSC, T = 4", "ANN, T = 1")


def test_several_t_of_a_kind_are_shades_of_its_colour() -> None:
    """No line of one kind has the colour of another, however many there are."""
    looks = {"ann": Look("ANN", "ann"), "tiny-rsc": Look("RSC", "rsc"), "more": Look("More", "rsc")}
    more = [point(0.1, 0.8, 0.3, model="more", time_steps=t) for t in (1, 4)]
    figure = curves_figure([*more, *DIAL, *SHORT, ANN], show=Show(looks))
    found = {trace.name: trace.line.color for trace in lines(figure, "y")}
    assert found.pop("ANN, T = 1") == CODING_COLOURS["ann"]
    expected = ["More, T = 1", "RSC, T = 1", "More, T = 4", "RSC, T = 4"]
    assert sorted(found, key=lambda name: brightness(found[name]), reverse=True) == expected
    for colour in found.values():
        nearest = min(CODING_COLOURS, key=lambda kind: apart(CODING_COLOURS[kind], colour))
        assert nearest == "rsc"


def test_over_epsilon_sigma_too_is_a_shade() -> None:
    looks = {"tiny-rsc": Look("RSC", "rsc")}
    traces = lines(epsilon_figure(DIAL, show=Show(looks)))
    found = [trace.line.color for trace in sorted(traces, key=lambda trace: str(trace.name))]
    assert found == sorted(found, key=brightness, reverse=True) and len(set(found)) == 4


def brightness(colour: str) -> float:
    return contrast(colour, "#000000")


def apart(first: str, second: str) -> float:
    """How far the hues of two colours are from each other; a grey one is far from all others."""
    shares = [[int(c[at : at + 2], 16) / 255 for at in (1, 3, 5)] for c in (first, second)]
    (hue, _, full), (other, _, fuller) = (colorsys.rgb_to_hls(*parts) for parts in shares)
    turn = abs(hue - other)
    return 1.0 if (full < 0.15) != (fuller < 0.15) else min(turn, 1 - turn)


def test_one_line_of_each_kind() -> None:
    kinds = ("ann", "direct", "poisson", "rsc")
    looks = {kind: Look(kind, kind) for kind in kinds}
    points = [point(None, 0.9, 0.1, model=kind, coding="direct", time_steps=1) for kind in kinds]
    found = {
        trace.name: trace.line.color
        for trace in lines(curves_figure(points, show=Show(looks)), "y")
    }
    assert found == {f"{kind}, T = 1": CODING_COLOURS[kind] for kind in kinds}


def test_many_lines_have_bars_in_place_of_bands() -> None:
    points = [point(0.1, 0.8, 0.3, time_steps=t) for t in range(1, 9)]
    figure = curves_figure(points)
    assert len(figure.data) == 16
    bars = figure.data[0].error_y
    np.testing.assert_allclose(bars.array[0], points[0].clean.upper - 0.8)
    np.testing.assert_allclose(bars.arrayminus[0], 0.8 - points[0].clean.lower)


def test_a_line_of_one_setting_has_bars_for_a_band_has_no_area() -> None:
    alone = point(0.2, 0.8, 0.3, model="other")
    (trace,) = (t for t in lines(curves_figure([*DIAL, alone]), "y") if keys(t) == [alone.key])
    np.testing.assert_allclose(trace.error_y.array, [alone.clean.upper - 0.8])
    np.testing.assert_allclose(trace.error_y.arrayminus, [0.8 - alone.clean.lower])


def test_a_t_has_one_mark_whatever_stands_beside_the_dial() -> None:
    def marks(figure: go.Figure) -> dict[int, str]:
        found = [trace for trace in lines(figure) if ANN.key not in keys(trace)]
        return {len(trace.x): trace.marker.symbol[0] for trace in found}

    assert marks(plane_figure([ANN, *SHORT, *DIAL])) == marks(plane_figure([*SHORT, *DIAL]))


def test_added_points_are_open_and_a_note_says_so() -> None:
    own = {DIAL[0].key}
    for make in (curves_figure, plane_figure, epsilon_figure):
        figure = make(DIAL, show=Show(own=own))
        # Over epsilon, the first mark of a line is its clean accuracy.
        marks = [
            (key, symbol)
            for trace in lines(figure)
            for key, symbol in zip(keys(trace), trace.marker.symbol, strict=True)
        ]
        assert {key for key, _ in marks} == {p.key for p in DIAL}
        assert {key for key, symbol in marks if symbol.endswith("-open")} == own
        assert [trace.name for trace in figure.data[-2:]] == [
            "filled: shipped",
            "open: added here",
        ]
        assert all("shipped" not in trace.name for trace in make(DIAL).data)


@pytest.mark.parametrize("make", [curves_figure, plane_figure, epsilon_figure])
def test_points_of_other_images_are_told_apart_and_named(make: Any) -> None:
    words = "50 test images, seed 3"
    others = [point(s, 0.8, 0.2, data="f" * 16, seed=3) for s in (0.0, 0.1)]
    figure = make([*DIAL, *others], show=Show(others={p.key: words for p in others}))
    own = [trace for trace in lines(figure) if words not in trace.name]
    beside = [trace for trace in lines(figure) if words in trace.name]
    assert {key for trace in beside for key in keys(trace)} == {p.key for p in others}
    assert {key for trace in own for key in keys(trace)} == {p.key for p in DIAL}
    assert all(row[1].endswith(words) for trace in beside for row in trace.customdata)
    for trace in beside:
        assert trace.line.dash == "dot" and trace.line.width < own[0].line.width
        assert trace.line.color in {each.line.color for each in own}
        if make is not plane_figure:
            assert trace.error_y.array is not None, "an interval of its own"
    assert "dot" not in {trace.line.dash for trace in own}


def test_a_dozen_lines_differ() -> None:
    points = [point(0.1, 0.8, 0.3, time_steps=t) for t in range(1, 13)]
    looks = {
        (trace.line.color, trace.line.dash, trace.marker.symbol[0])
        for trace in lines(curves_figure(points), "y")
    }
    assert len(looks) == 12


def test_hovering_shows_setting_interval_n_and_command() -> None:
    def command(point: OperatingPoint, accuracy: str) -> str:
        words = f"python -m rsc_snn evaluate --sigma {point.sigma} --show {accuracy} "
        return words + "--option value " * 9

    (trace,) = lines(curves_figure(DIAL[:1], show=Show(command=command)), "y")
    row = trace.customdata[0]
    assert row[1] == "tiny-rsc at sigma 0.2, T = 4"
    assert row[5].startswith("<br>python -m rsc_snn evaluate --sigma 0.2 --show clean")
    assert row[5].replace("<br>", " ").split() == command(DIAL[0], "clean").split()
    (attacked,) = lines(curves_figure(DIAL[:1], show=Show(command=command)), "y2")
    assert "--show robust" in attacked.customdata[0][5].replace("<br>", " ")
    assert max(len(line) for line in row[5].split("<br>")) <= 64
    for place in (1, 2, 3, 4, 5, 6):
        assert f"customdata[{place}]" in trace.hovertemplate


def test_the_plane_has_paths_the_front_and_the_choice() -> None:
    points = [*DIAL, *SHORT]
    front = pareto_front(points)
    figure = plane_figure(points, front, show=Show(here=DIAL[2].key))
    stairs, long, short, chosen = figure.data
    assert list(stairs.x) == [p.clean.value for p in front] and stairs.line.shape == "vh"
    np.testing.assert_allclose(long.x, [0.9, 0.8, 0.7, 0.6])
    np.testing.assert_allclose(long.y, [0.1, 0.3, 0.4, 0.35])
    assert list(long.text) == ["0", "0.1", "0.2", "0.3"]
    assert keys(long) == [DIAL[i].key for i in (1, 2, 0, 3)] and len(short.x) == 2
    assert (list(chosen.x), list(chosen.y)) == ([0.8], [0.3])
    np.testing.assert_allclose(chosen.error_x.array, DIAL[2].clean.upper - 0.8)
    assert chosen.name == "opened by the link:<br>tiny-rsc at sigma 0.1, T = 4"


def test_labels_of_a_path_do_not_stand_on_each_other() -> None:
    crowd = [point(sigma, 0.7, 0.4) for sigma in (0.1, 0.15, 0.2)] + [point(0.3, 0.4, 0.2)]
    beside = point(0.1, 0.7, 0.4, time_steps=1)
    path, other = plane_figure([*crowd, beside]).data
    assert list(path.text) == ["0.1", "", "", "0.3"] and list(other.text) == [""]


def test_every_path_has_a_part_of_the_labels_and_the_choice_has_its_own() -> None:
    """Two paths so close that one label has room where each has a point."""
    sigmas = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    one, two = (
        [point(s, 0.9 - s, base + s, time_steps=steps) for s in sigmas]
        for steps, base in ((1, 0.1), (2, 0.11))
    )
    chosen = two[3]
    first, second = plane_figure([*one, *two], show=Show(here=chosen.key)).data[:2]
    both = list(zip(first.text, second.text, strict=True))
    assert all("" in pair and pair != ("", "") for pair in both)
    assert both[3] == ("", "0.3"), "that of the choice goes before all others"
    assert all(sum(text != "" for text in path.text) >= 2 for path in (first, second))
    path = [point(0.0, 0.9, 0.1), point(0.1, 0.5, 0.4), point(0.2, 0.51, 0.4)]
    assert list(plane_figure(path).data[0].text) == ["0", "", "0.2"], "ends go before the others"


def visible(colour: str, background: str) -> bool:
    """True for an opaque colour that is clear enough for a part of a figure (WCAG 1.4.11)."""
    return colour.startswith("#") and contrast(colour, background) >= 3


@pytest.mark.parametrize("background", ["#ffffff", "#0f1419"])
def test_what_carries_meaning_is_visible_on_both_themes(background: str) -> None:
    prices, _ = prices_of_dial(sorted(DIAL, key=lambda point: point.sigma or 0.0))
    curve = vote_curve(make_result(draw_right(np.full(N, 0.6), 5, 0)))
    looks = {"tiny-rsc": Look("RSC", "rsc")}
    many = [point(0.1, 0.8, 0.3, time_steps=t) for t in range(1, 13)]
    stairs = plane_figure([*DIAL, ANN], pareto_front([*DIAL, ANN])).data[0]
    steps, _, cross, *_ = prices_figure(prices).data
    bands = [t for t in curves_figure([*DIAL, *SHORT]).data if t.fill == "toself"]
    assert len(bands) == 4 and stairs.name == "Pareto front"
    parts = [stairs, steps, cross, *bands, *votes_figure(curve, curve).data]
    parts += curves_figure(many, show=Show(looks)).data
    for trace in parts:
        colours = [
            trace.marker.color if trace.mode.startswith("markers") else trace.line.color,
            *(bars.color for bars in (trace.error_x, trace.error_y) if bars.array is not None),
        ]
        assert all(visible(colour, background) for colour in colours), trace.name
        assert trace.opacity is None and trace.marker.opacity in (None, 1)
        assert trace.mode.startswith("markers") or trace.line.width > 0


@pytest.mark.parametrize("quantity", ["clean", "robust", "harmonic"])
def test_the_map_writes_each_value_in_its_cell(quantity: str) -> None:
    points = [*DIAL, *SHORT, ANN]
    figure = heat_figure(points, quantity)  # type: ignore[arg-type]
    cells, marks = figure.data
    names = {"clean": "clean.value", "robust": "robust.value", "harmonic": "harmonic"}
    for x, y, text, row in zip(marks.x, marks.y, marks.text, marks.customdata, strict=True):
        (found,) = [p for p in points if p.key == row[0]]
        value = found
        for name in names[quantity].split("."):
            value = getattr(value, name)
        assert cells.z[y][x] == value and text == f"{100 * value:.0f}"  # type: ignore[operator]
        assert row[8] == value
        assert figure.layout.xaxis.ticktext[x] == f"{found.sigma:g}"
        assert figure.layout.yaxis.ticktext[y] == str(found.time_steps)
    assert len(marks.x) == 6, "a model without sigma has no place on the map"
    assert sum(value is None for row in cells.z for value in row) == 2


def test_the_map_stars_added_cells_and_frames_the_choice() -> None:
    for here in (0, 1):  # The choice may be one that was added.
        show = Show(own={DIAL[0].key}, here=DIAL[here].key)
        marks = heat_figure(DIAL, show=show).data[1]
        assert [text.endswith("*") for text in marks.text] == [True, False, False, False]
        assert "text" not in marks.hovertemplate, "a hover has numbers without the star"
        assert "customdata[8]" in marks.hovertemplate
        assert [width > 0 for width in marks.marker.line.width] == [
            place == here for place in range(4)
        ]


def test_the_harmonic_mean_on_the_map_has_its_interval() -> None:
    found = harmonic_means(DIAL)
    marks = heat_figure(DIAL, "harmonic", harmonics=found).data[1]
    assert "customdata[2]" in marks.hovertemplate and "customdata[3]" in marks.hovertemplate
    for row in marks.customdata:
        assert (row[2], row[3], row[4]) == (found[row[0]].lower, found[row[0]].upper, N)


def test_steps_from_or_to_a_setting_that_was_added_are_open() -> None:
    prices, _ = prices_of_dial(sorted(DIAL, key=lambda point: point.sigma or 0.0))
    figure = prices_figure(prices, show=Show(own={DIAL[1].key}))
    symbols = figure.data[0].marker.symbol
    touching = [DIAL[1] in (price.before, price.after) for price in prices]
    sure = [p.paid.significant and p.gained.significant for p in prices]
    assert any(t and s for t, s in zip(touching, sure, strict=True))
    expected = [
        ("circle-open" if own else "circle") if plain else "x-thin-open"
        for own, plain in zip(touching, sure, strict=True)
    ]
    assert list(symbols) == expected
    assert "open: added here" in [trace.name for trace in figure.data]


@pytest.mark.parametrize("colour", [_PALE, *_SCALES.values()])
def test_values_can_be_read_on_every_cell(colour: str) -> None:
    assert contrast(_ON_CELL, colour) >= 4.5


@pytest.mark.parametrize("background", ["#ffffff", "#0f1419"])
@pytest.mark.parametrize("kind", CODING_COLOURS)
def test_lines_are_visible_on_both_themes(kind: str, background: str) -> None:
    for count in range(1, 13):
        every = shades(CODING_COLOURS[kind], count)
        assert len(set(every)) == count
        assert min(contrast(colour, background) for colour in every) >= 3


def test_over_epsilon_each_line_begins_at_its_clean_accuracy() -> None:
    clean = [make_result(draw_right(np.full(N, 0.9), 2, 0), sigma=s) for s in (0.1, 0.2)]
    attacked = [
        make_result(draw_right(np.full(N, 0.5), 2, 1), attack="pgd", epsilon=e, sigma=s)
        for s in (0.1, 0.2)
        for e in (2.0, 8.0)
    ]
    points = [p for e in (8.0, 2.0) for p in operating_points([*clean, *attacked], "pgd", e)]
    figure = epsilon_figure(points)
    first, second = lines(figure)
    assert list(first.x) == list(second.x) == [0, 2, 8]
    assert first.y[0] == clean[0].estimate().value and first.y[2] == attacked[1].estimate().value
    assert first.name == "tiny-rsc at sigma 0.1, T = 4"
    assert keys(first)[1:] == [attacked[0].cell.key, attacked[1].cell.key]
    assert list(figure.layout.xaxis.ticktext) == ["0", "2", "8"]
    assert figure.layout.xaxis.title.text == "size of the attack, epsilon in 255ths; 0 is clean"
    assert "255" not in epsilon_figure(points, unit="").layout.xaxis.title.text


def test_labels_of_epsilons_that_would_touch_are_left_out() -> None:
    right = draw_right(np.full(N, 0.5), 2, 0)
    sizes = (0.5, 1.0, 2.0, 16.0)
    results = [make_result(right), *(make_result(right, attack="pgd", epsilon=e) for e in sizes)]
    figure = epsilon_figure([p for e in sizes for p in operating_points(results, "pgd", e)])
    assert list(figure.layout.xaxis.ticktext) == ["0", "1", "2", "16"]
    assert list(lines(figure)[0].x) == [0, *sizes], "every point stays"


def test_votes_over_passes() -> None:
    result = make_result(draw_right(np.full(N, 0.6), 5, 0))
    curve = vote_curve(result)
    named = votes_figure(curve, curve[:2], command=lambda m, which: f"run {which} {m}")
    clean, robust = named.data
    assert [row[4] for row in clean.customdata] == [f"<br>run clean {m}" for m in (1, 3, 5)]
    assert [row[4] for row in robust.customdata] == ["<br>run robust 1", "<br>run robust 3"]
    assert "customdata[4]" in clean.hovertemplate
    assert list(clean.x) == [1, 3, 5] and list(robust.x) == [1, 3]
    np.testing.assert_allclose(clean.y, [p.estimate.value for p in curve])
    np.testing.assert_allclose(
        np.add(clean.y, clean.error_y.array), [p.estimate.upper for p in curve]
    )
    assert [row[3] for row in clean.customdata] == [5, 1, 1]
    assert clean.line.dash != robust.line.dash


def test_parts_of_the_noise_add_up() -> None:
    parts = variance_components(make_result(draw_right(np.linspace(0, 1, N), 5, 0)))
    attacked = Row("A model", parts, setting="sigma 0.2, T = 4")
    figure = components_figure([Row("clean", parts, "run it"), attacked])
    images, coding = figure.data
    assert (images.name, coding.name) == ("images and the attack on each", "coding noise")
    assert "is images and the attack on each" in images.customdata[0][5]
    np.testing.assert_allclose(np.add(images.x, coding.x), 1)
    assert images.x[0] == pytest.approx((parts.se_images / parts.se) ** 2)
    error = f"SE {100 * parts.se:.2f} points"
    clean_name, name = (note.text for note in figure.layout.annotations)
    assert clean_name == f"clean: {error}"
    assert name == f"A model<br>sigma 0.2, T = 4: {error}", "a long name fits a narrow screen"
    assert images.customdata[1][4] == "A model at sigma 0.2, T = 4"
    assert images.customdata[0][-1] == "<br>run it" and images.customdata[0][2] == N
    assert f"{parts.icc_lower:.0%} to {parts.icc_upper:.0%}" in images.customdata[0][5]
    assert images.marker.pattern.shape != coding.marker.pattern.shape
    none = variance_components(make_result([[1, 1], [1, 1]]))
    unsure = components_figure([Row("all right", none)]).data[0]
    assert unsure.x[0] == 0 and "variance 100% (no interval) is" in unsure.customdata[0][5]


def test_prices_are_points_gained_over_points_paid() -> None:
    prices, _ = prices_of_dial(sorted(DIAL, key=lambda point: point.sigma or 0.0))
    show = Show({"tiny-rsc": Look("RSC", "rsc")}, command=lambda point, _: f"run {point.sigma}")
    steps, *notes, even = prices_figure(prices, show=show).data
    assert [row[5] for row in steps.customdata] == [
        f"<br>robust accuracy after the step: run {s}" for s in (0.1, 0.2, 0.3)
    ]
    assert [note.marker.symbol for note in notes] == ["circle", "x-thin-open"]
    assert steps.name == "RSC, T = 4"
    np.testing.assert_allclose(steps.x, [10, 10, 10])
    np.testing.assert_allclose(steps.y, [20, 10, -5])
    assert list(steps.text) == ["0→0.1", "0.1→0.2", "0.2→0.3"]
    assert keys(steps) == [price.after.key for price in prices]
    np.testing.assert_allclose(
        np.add(steps.x, steps.error_x.array), [100 * price.paid.upper for price in prices]
    )
    np.testing.assert_allclose(
        np.subtract(steps.y, steps.error_y.arrayminus), [100 * p.gained.lower for p in prices]
    )
    sure = [p.paid.significant and p.gained.significant for p in prices]
    assert True in sure and False in sure
    assert [symbol == "x-thin-open" for symbol in steps.marker.symbol] == [not s for s in sure]
    assert steps.textfont.color is None, "the page's, which can be read"
    assert list(even.x) == list(even.y)


def test_figures_without_points() -> None:
    empty: Sequence[OperatingPoint] = ()
    for figure in (
        curves_figure(empty),
        curves_figure(empty, over="steps"),
        plane_figure(empty),
        heat_figure(empty),
        epsilon_figure(empty),
        votes_figure((), ()),
        components_figure(()),
        prices_figure(()),
    ):
        json.loads(figure.to_json())
        assert figure.layout.height > 0
