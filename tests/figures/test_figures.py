"""The figures show the numbers they were given, and nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rsc_snn.figures import (
    CurvePoint,
    channel_rates_figure,
    evolution_figure,
    probability_figure,
    tradeoff_figure,
    training_figure,
)
from rsc_snn.figures.lesson_neuron import course_figure
from rsc_snn.figures.style import ADVERSARIAL, CLEAN, translucent
from rsc_snn.trace import sample_neurons
from tests.figures.test_lesson_neuron import course

CLASSES = ("cat", "dog", "frog")


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two `#rrggbb` colours (WCAG 2)."""

    def luminance(colour: str) -> float:
        channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", [CLEAN, ADVERSARIAL])
@pytest.mark.parametrize("background", ["#ffffff", "#0f1419"])
def test_colours_are_visible_on_both_themes(colour: str, background: str) -> None:
    assert contrast(colour, background) >= 3


def test_probabilities_are_softmax_means_with_ranges() -> None:
    clean = np.log(np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]]))
    attacked = np.log(np.array([[0.1, 0.8, 0.1], [0.3, 0.6, 0.1]]))
    figure = probability_figure(clean, attacked, CLASSES)
    before, after = figure.data
    np.testing.assert_allclose(before.x, [0.6, 0.3, 0.1])
    np.testing.assert_allclose(after.x, [0.2, 0.7, 0.1])
    np.testing.assert_allclose(before.customdata, [[0.5, 0.7], [0.2, 0.4], [0.1, 0.1]])
    np.testing.assert_allclose(np.asarray(before.x) + before.error_x.array, [0.7, 0.4, 0.1])
    np.testing.assert_allclose(np.asarray(after.x) - after.error_x.arrayminus, [0.1, 0.6, 0.1])
    assert list(before.y) == list(CLASSES)


def test_probabilities_keep_the_highest_of_many_classes() -> None:
    clean, attacked = np.zeros((1, 20)), np.zeros((1, 20))
    clean[0, 17] = attacked[0, 3] = 5.0
    figure = probability_figure(clean, attacked, [str(k) for k in range(20)], most=2)
    assert list(figure.data[0].y) == ["3", "17"]


def test_extreme_logits_give_finite_probabilities() -> None:
    figure = probability_figure(np.array([[1e4, -1e4, 0]]), np.zeros((1, 3)), CLASSES)
    assert np.isfinite(figure.data[0].x).all()
    assert figure.data[0].x[0] == 1


def test_evolution_is_softmax_of_the_running_mean() -> None:
    clean = np.array([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    attacked = np.zeros((2, 3))
    figure = evolution_figure(clean, attacked, CLASSES, truth=0, rival=1)
    by_name = {trace.name: trace for trace in figure.data}
    assert set(by_name) == {
        "cat, original",
        "cat, attacked",
        "dog, original",
        "dog, attacked",
    }
    first = np.exp(2) / (np.exp(2) + 2)
    second = np.exp(1) / (2 * np.exp(1) + 1)
    np.testing.assert_allclose(by_name["cat, original"].y, [first, second])
    np.testing.assert_allclose(by_name["dog, attacked"].y, [1 / 3, 1 / 3])
    assert list(by_name["cat, original"].x) == [1, 2]


def test_sampled_neurons_are_seeded_sorted_and_distinct() -> None:
    chosen = sample_neurons(10_000, 256, seed=3)
    assert len(set(chosen.tolist())) == 256
    assert (np.diff(chosen) > 0).all()
    assert chosen.max() < 10_000
    np.testing.assert_array_equal(chosen, sample_neurons(10_000, 256, seed=3))
    np.testing.assert_array_equal(sample_neurons(5, 256), np.arange(5))


def test_tradeoff_shows_values_intervals_and_n_in_order() -> None:
    points = [CurvePoint(0.2, 0.5, 0.4, 0.6, 50), CurvePoint(0.0, 0.8, 0.7, 0.85, 50)]
    figure = tradeoff_figure(points, points[:1], [0.0, 0.1, 0.2], here=0.1, trained=0.2)
    clean = figure.data[1]
    assert list(clean.x) == [0.0, 0.2]
    assert list(clean.y) == [0.8, 0.5]
    np.testing.assert_allclose(clean.error_y.array, [0.05, 0.1])
    np.testing.assert_allclose(clean.error_y.arrayminus, [0.1, 0.1])
    assert [list(row) for row in clean.customdata] == [[0.7, 0.85, 50], [0.4, 0.6, 50]]
    assert list(figure.data[3].x) == [0.2]
    assert {shape.x0 for shape in figure.layout.shapes} == {0.1, 0.2}


def test_words_in_a_figure_have_the_colour_of_the_page() -> None:
    """The colours of lines and bars are not clear enough for words."""
    rates = np.array([0.1, 0.3])
    for figure in (
        tradeoff_figure([], [], [0.0, 0.5], here=0.1, trained=0.2),
        channel_rates_figure(rates, rates, None),
        course_figure(course()),
    ):
        assert figure.layout.annotations
        assert all(words.font.color is None for words in figure.layout.annotations)


@pytest.mark.parametrize(
    ("here", "trained", "expected"),
    [
        (0.2, 0.2, [("chosen, and trained with", "left")]),
        (0.1, 0.2, [("chosen", "right"), ("trained with", "left")]),
        (0.3, 0.2, [("chosen", "left"), ("trained with", "right")]),
        (None, 0.2, [("trained with", "left")]),
        (None, None, []),
        (0.5, None, [("chosen", "right")]),
        (0.0, 0.1, [("chosen", "left"), ("trained with", "left")]),
        (0.8, 0.2, [("chosen: 0.8, beyond the curve", "right"), ("trained with", "right")]),
    ],
)
def test_marks_do_not_cover_each_other(
    here: float | None, trained: float | None, expected: list[tuple[str, str]]
) -> None:
    figure = tradeoff_figure([], [], [0.0, 0.5], here=here, trained=trained)
    marks = figure.layout.annotations
    assert [(mark.text.strip(), mark.xanchor) for mark in marks] == expected
    assert len({(mark.xanchor, mark.y) for mark in marks}) == len(marks)
    low, high = figure.layout.xaxis.range
    assert all(low < mark.x < high for mark in marks)


def test_tradeoff_axes_stay_still_while_points_come() -> None:
    sigmas = [0.0, 0.25, 0.5]
    point = CurvePoint(0.25, 0.5, 0.4, 0.6, 10)
    empty, full = tradeoff_figure([], [], sigmas), tradeoff_figure([point], [point], sigmas)
    assert empty.layout.xaxis.range == full.layout.xaxis.range
    assert empty.layout.yaxis.range == full.layout.yaxis.range
    assert empty.layout.height == full.layout.height


def test_training_curve_skips_epochs_without_a_test() -> None:
    figure = training_figure([1, 2, 3], [0.2, 0.3, 0.4], [None, 0.25, None])
    assert list(figure.data[0].y) == [0.2, 0.3, 0.4]
    assert list(figure.data[1].x) == [2]
    assert len(figure.data) == 2
    figure = training_figure([1, 2], [0.2, 0.3], [0.1, 0.2], [None, 0.15])
    assert figure.data[2].name == "held-out images, attacked"
    assert (list(figure.data[2].x), list(figure.data[2].y)) == ([2], [0.15])


def test_translucent() -> None:
    assert translucent("#ff8000", 0.5) == "rgba(255,128,0,0.5)"


def test_every_figure_is_valid_json() -> None:
    logits = np.zeros((1, 3))
    for figure in (
        evolution_figure(logits, logits, CLASSES, 0, 1),
        tradeoff_figure([], [], [0.3]),
    ):
        json.loads(figure.to_json())
