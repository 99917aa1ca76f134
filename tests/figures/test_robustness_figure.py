"""The lines of robustness show the numbers they were given, and can be told apart."""

from __future__ import annotations

import json

import numpy as np

from rsc_snn.figures.robustness import RobustLine, RobustPoint, robustness_figure
from rsc_snn.figures.style import CODING_COLOURS

POINTS = (
    RobustPoint(8.0, 0.2, 0.15, 0.28, 500),
    RobustPoint(0.0, 0.9, 0.86, 0.92, 500),
    RobustPoint(2.0, 0.5, 0.45, 0.56, 500),
)
LINES = [
    RobustLine("ANN", "ann", POINTS),
    RobustLine("RSC 0.1", "rsc", POINTS),
    RobustLine("RSC 0.2", "rsc", POINTS[:2]),
]


def test_values_and_intervals_by_rising_epsilon() -> None:
    ann = robustness_figure(LINES).data[0]
    assert list(ann.y) == [0.9, 0.5, 0.2]
    np.testing.assert_allclose(np.add(ann.y, ann.error_y.array), [0.92, 0.56, 0.28])
    np.testing.assert_allclose(np.subtract(ann.y, ann.error_y.arrayminus), [0.86, 0.45, 0.15])
    assert [row[3] for row in ann.customdata] == [0.0, 2.0, 8.0]
    assert [row[2] for row in ann.customdata] == [500, 500, 500]


def test_lines_stand_beside_each_other_at_the_same_epsilon() -> None:
    figure = robustness_figure(LINES)
    places = [trace.x[0] for trace in figure.data]
    assert len(set(places)) == 3 and max(map(abs, places)) < 0.5
    assert list(figure.layout.xaxis.ticktext) == ["clean", "2/255", "8/255"]
    assert list(robustness_figure(LINES[:1]).data[0].x) == [0.0, 2.0, 8.0]


def test_kinds_have_colours_and_models_of_one_kind_other_dashes_and_marks() -> None:
    ann, first, second = robustness_figure(LINES).data
    assert ann.line.color == CODING_COLOURS["ann"]
    assert first.line.color == second.line.color == CODING_COLOURS["rsc"]
    assert first.line.dash != second.line.dash
    assert first.marker.symbol != second.marker.symbol


def test_the_legend_is_a_column_for_which_the_figure_grows() -> None:
    small, large = robustness_figure(LINES[:1]), robustness_figure(LINES)
    assert large.layout.legend.orientation == "v"
    assert large.layout.height > small.layout.height


def test_no_lines_and_only_clean_points() -> None:
    json.loads(robustness_figure([]).to_json())
    only = RobustLine("ANN", "ann", (POINTS[1],))
    assert list(robustness_figure([only]).data[0].x) == [0.0]
