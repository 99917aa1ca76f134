"""The figures of the lesson's neuron and decision show what was computed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from rsc_snn.figures.lesson_neuron import (
    PlanePicture,
    course_figure,
    plane_figure,
    radius_figure,
    rate_figure,
)
from rsc_snn.figures.style import ADVERSARIAL, CLEAN, NEUTRAL
from rsc_snn.neuron_lab import NeuronCourse, RateCurve

CLASSES = ("blue", "orange")


def named(figure: go.Figure) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def course() -> NeuronCourse:
    """Tau 2, threshold 1: a spike at step 2, then none."""
    return NeuronCourse(
        current=np.array([0.75, 0.75, -0.25]),
        charged=np.array([0.75, 1.125, -0.25]),
        membrane=np.array([0.75, 0.0, -0.25]),
        spikes=np.array([False, True, False]),
        threshold=1.0,
    )


def test_the_potential_rises_to_the_spike_and_starts_again_from_zero() -> None:
    figure = course_figure(course())
    parts = named(figure)
    assert list(parts["potential"].x) == [0, 1, 2, None, 2, 3]
    assert list(parts["potential"].y) == [0, 0.75, 1.125, None, 0, -0.25]
    assert list(parts["reset"].y) == [1.125, 0, None]
    assert (list(parts["threshold reached"].x), list(parts["threshold reached"].y)) == (
        [2],
        [1.125],
    )
    assert list(parts["spike"].x) == [2, 2, None]
    # Each current flows while the potential rises: from t - 1 to t.
    assert list(parts["current"].x) == [0, 1, 2, 3] and parts["current"].line.shape == "hv"
    assert list(parts["current"].y) == [0.75, 0.75, -0.25, -0.25]
    assert list(parts["current"].customdata) == [1, 2, 3, 3]
    assert [(line.yref, line.y0, line.y1) for line in figure.layout.shapes] == [("y2", 1, 1)]
    for shown, range_ in (
        (course().current, figure.layout.yaxis.range),
        (course().charged, figure.layout.yaxis2.range),
    ):
        assert range_[0] < shown.min() and range_[1] > max(shown.max(), 0)


def test_a_silent_neuron_has_no_spikes_and_a_threshold_in_sight() -> None:
    nothing = np.zeros(4)
    quiet = NeuronCourse(nothing, nothing, nothing, nothing > 0, threshold=1.5)
    figure = course_figure(quiet)
    assert len(named(figure)["spike"].x) == 0
    assert figure.layout.yaxis2.range[1] > 1.5


def test_rates_show_stairs_ramp_band_and_the_neuron() -> None:
    currents = np.array([0.0, 0.5, 1.0])
    curve = RateCurve(currents, np.array([0.0, 0.3, 0.9]), np.array([0.0, 0.2, 0.8]), currents, 200)
    stairs = (np.array([0.5, 1.0, 1.6]), np.array([0.25, 0.5, 1.0]))
    parts = named(rate_figure(curve, stairs, most=1.5, here=(0.6, 0.25)))
    assert list(parts["without noise"].x) == [0, 0.5, 0.5, 1, 1, 1.5]
    assert list(parts["without noise"].y) == [0, 0, 0.25, 0.25, 0.5, 0.5]
    np.testing.assert_array_equal(parts["mean with noise"].y, curve.mean)
    np.testing.assert_array_equal(parts["9 of 10 neurons"].y, curve.upper)
    assert (list(parts["this neuron"].x), list(parts["this neuron"].y)) == ([0.6], [0.25])


def test_a_stair_at_the_end_of_the_axis_is_drawn() -> None:
    stairs = (np.array([0.5, 1.5]), np.array([0.5, 1.0]))
    figure = rate_figure(None, stairs, most=1.5, here=(1.5, 1.0))
    line = named(figure)["without noise"]
    assert (line.x[-1], line.y[-1]) == (1.5, 1.0)
    assert figure.layout.xaxis.range[1] > 1.5, "the mark at the end is not cut off"


def test_rates_without_noise_are_the_stairs_alone() -> None:
    figure = rate_figure(None, (np.array([0.5]), np.array([1.0])), most=1.5, here=(0.6, 1.0))
    assert list(named(figure)) == ["without noise", "this neuron"]


def picture() -> PlanePicture:
    """A plane whose chance and score rise along u alone."""
    axis = np.linspace(0, 1, 5)
    rising = np.repeat(axis[:, None], 5, axis=1)
    return PlanePicture(
        axis=axis,
        chance=rising,
        score=rising - 0.25,
        point=np.array([0.7, 0.4]),
        radius=0.2,
        smoothed=np.array([[0.7, 0.4], [0.49, 0.4]]),
        raw=np.array([[0.7, 0.4], [0.8, 0.5], [0.7, 0.45]]),
        nearest=np.array([0.25, 0.4]),
        label=0,
    )


def test_the_plane_has_u_across_and_v_up() -> None:
    parts = named(plane_figure(picture(), CLASSES))
    for name, level in (("smoothed edge", 0.5), ("edge without smoothing", 0.0)):
        contour = parts[name]
        rows = np.asarray(contour.z)
        assert np.all(np.diff(rows, axis=1) > 0) and np.all(np.diff(rows, axis=0) == 0)
        assert contour.contours.start == contour.contours.end == level
    np.testing.assert_allclose(np.asarray(parts["smoothed edge"].z)[0], picture().axis)


def test_the_circle_has_the_radius_around_the_point_in_the_class_colour() -> None:
    circle = named(plane_figure(picture(), CLASSES))["certified circle"]
    away = np.stack([circle.x, circle.y], axis=1) - picture().point
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), 0.2)
    assert circle.line.color == CLEAN
    other = named(plane_figure(replace(picture(), label=1), CLASSES))
    assert other["certified circle"].line.color == other["your point"].marker.color == ADVERSARIAL


def test_without_a_certificate_there_is_no_circle() -> None:
    parts = named(plane_figure(replace(picture(), radius=0.0, label=None), CLASSES))
    assert "certified circle" not in parts
    assert parts["your point"].marker.color == NEUTRAL
    assert "undecided" in parts["your point"].hovertemplate


def test_both_attacks_are_drawn_with_a_mark_at_their_end() -> None:
    parts = named(plane_figure(picture(), CLASSES))
    smoothed, raw = parts["attack on the smoothed decision"], parts["attack without smoothing"]
    assert list(smoothed.x) == [0.7, 0.49] and list(raw.y) == [0.4, 0.5, 0.45]
    assert [list(way.marker.size)[-1] > 0 for way in (smoothed, raw)] == [True, True]
    assert all(size == 0 for size in list(raw.marker.size)[:-1])
    assert smoothed.line.dash != raw.line.dash
    assert smoothed.marker.symbol != raw.marker.symbol


def test_an_attack_that_cannot_move_is_a_mark() -> None:
    stuck = replace(picture(), raw=picture().raw[:1])
    raw = named(plane_figure(stuck, CLASSES))["attack without smoothing"]
    assert list(raw.marker.size) == [11] and list(raw.x) == [0.7]


def test_radii_change_their_line_with_the_class() -> None:
    sigmas, radii = np.array([0.1, 0.2, 0.3]), np.array([0.3, 0.1, 0.2])
    figure = radius_figure(
        sigmas, radii, np.array([0, 0, 1]), CLASSES, here=(0.2, 0.1), nearest=0.25
    )
    parts = named(figure)
    np.testing.assert_array_equal(parts["radius, class blue"].y, [0.3, 0.1, np.nan])
    np.testing.assert_array_equal(parts["radius, class orange"].y, [np.nan, np.nan, 0.2])
    dashes = {parts[f"radius, class {name}"].line.dash for name in CLASSES}
    assert len(dashes) == 2  # told apart without colour
    line = parts["nearest change without smoothing"]
    assert list(line.y) == [0.25, 0.25] and list(line.x) == [0, figure.layout.xaxis.range[1]]
    assert (list(parts["your circle"].x), list(parts["your circle"].y)) == ([0.2], [0.1])


@pytest.mark.parametrize(
    "figure",
    [
        course_figure(course()),
        plane_figure(picture(), CLASSES),
        rate_figure(None, (np.array([0.5]), np.array([1.0])), most=1.5, here=(0.6, 1.0)),
    ],
    ids=["course", "plane", "rates"],
)
def test_figures_are_valid_json_of_a_fixed_height(figure: go.Figure) -> None:
    known = json.loads(figure.to_json())
    assert known["layout"]["height"] > 0 and known["data"]
