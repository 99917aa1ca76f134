"""The bars of the classes show the numbers they were given, best first."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rsc_snn.figures.classes import ClassBar, class_figure

BARS = [
    ClassBar("cat", 0.55, 0.5, 0.62, 300),
    ClassBar("ship", 0.9, 0.85, 0.92, 310),
    ClassBar("dog", 0.6, 0.52, 0.63, 290),
]


def test_bars_are_values_with_intervals_and_n_best_first() -> None:
    (trace,) = class_figure(BARS).data
    assert list(trace.y) == ["ship", "dog", "cat"]
    assert list(trace.x) == [0.9, 0.6, 0.55]
    np.testing.assert_allclose(np.add(trace.x, trace.error_x.array), [0.92, 0.63, 0.62])
    np.testing.assert_allclose(np.subtract(trace.x, trace.error_x.arrayminus), [0.85, 0.52, 0.5])
    assert [list(row) for row in trace.customdata] == [
        [0.85, 0.92, 310],
        [0.52, 0.63, 290],
        [0.5, 0.62, 300],
    ]


def test_the_page_colours_the_whiskers_that_cross_the_bars() -> None:
    (trace,) = class_figure(BARS).data
    assert trace.error_x.color is None


def test_the_first_bar_is_on_top() -> None:
    assert class_figure(BARS).layout.yaxis.autorange == "reversed"


def test_a_line_marks_the_overall_accuracy() -> None:
    assert [shape.x0 for shape in class_figure(BARS, 0.68).layout.shapes] == [0.68]
    assert class_figure(BARS).layout.shapes == ()


@pytest.mark.parametrize(("count", "most", "shown"), [(20, 20, 20), (1000, 20, 20), (9, 4, 4)])
def test_of_many_classes_the_best_and_the_worst(count: int, most: int, shown: int) -> None:
    bars = [ClassBar(str(k), k / count, 0, 1, 1) for k in range(count)]
    (trace,) = class_figure(bars, most=most).data
    assert len(trace.y) == shown
    best, worst = str(count - 1), "0"
    assert (trace.y[0], trace.y[-1]) == (best, worst)
    if count > most:
        assert set(trace.y) == {
            str(k) for k in [*range(most // 2), *range(count - most // 2, count)]
        }


def test_it_grows_with_its_rows_and_is_json() -> None:
    assert class_figure(BARS[:1]).layout.height < class_figure(BARS).layout.height
    json.loads(class_figure([]).to_json())
