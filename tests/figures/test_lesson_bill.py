"""The line of the bill's figure: equally many right answers, whatever share is attacked."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rsc_snn.figures.explorer import Show, plane_figure
from rsc_snn.figures.lesson_bill import bill_figure
from rsc_snn.theory import mixed_accuracy
from rsc_snn.tradeoff import OperatingPoint, pareto_front
from tests.tradeoff_cells import make_point

PLACES = (np.arange(100) + 0.5) / 100
RATES = {0.0: (0.9, 0.1), 0.1: (0.8, 0.3), 0.2: (0.7, 0.4), 0.3: (0.6, 0.35)}
POINTS: list[OperatingPoint] = [
    make_point(clean > PLACES, robust > PLACES, sigma=sigma)
    for sigma, (clean, robust) in RATES.items()
]
FRONT = pareto_front(POINTS)


@pytest.mark.parametrize("attacked", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_all_of_the_line_is_right_as_often_as_the_best(attacked: float) -> None:
    best = max(
        RATES.values(), key=lambda rates: float(mixed_accuracy(rates[0], rates[1], attacked))
    )
    shown = bill_figure(POINTS, FRONT, best, attacked)
    line = shown.data[0]
    assert line.name == f"right equally often, q = {attacked:.0%}"
    expected = float(mixed_accuracy(best[0], best[1], attacked))
    np.testing.assert_allclose(mixed_accuracy(line.x, line.y, attacked), expected)
    # No setting lies beyond it.
    assert all(
        mixed_accuracy(rates[0], rates[1], attacked) <= expected + 1e-9 for rates in RATES.values()
    )
    upright = attacked <= 0.5
    span = shown.layout.yaxis.range if upright else shown.layout.xaxis.range
    assert tuple(line.y if upright else line.x) == tuple(span)


def test_the_rest_is_the_plane() -> None:
    plane = json.loads(plane_figure(POINTS, FRONT).to_json())
    shown = json.loads(bill_figure(POINTS, FRONT, (0.8, 0.3), 0.5).to_json())
    assert shown["data"][1:] == plane["data"] and shown["layout"] == plane["layout"]


def test_the_ring_is_the_students_setting() -> None:
    """In the lesson no link opens what is in the ring."""
    show = Show(here=POINTS[1].key)
    shown = bill_figure(POINTS, FRONT, (0.8, 0.3), 0.5, show=show)
    (name,) = [trace.name for trace in shown.data if str(trace.name).startswith("your setting:")]
    assert name.endswith(POINTS[1].setting)
