"""Figures of the lesson on coding show what was computed, on scales that stay."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from scipy.stats import norm

from rsc_snn.figures.lesson_coding import (
    Covariances,
    Currents,
    covariance_figure,
    error_figure,
    fan_in_figure,
    histogram_figure,
    quantile_figure,
    spikes_figure,
    variance_figure,
)
from rsc_snn.theory import Distance, FanIn

SPIKES = np.array([0.0, 1, 1, 0, 1])
MEANS = np.cumsum(SPIKES) / np.arange(1, 6)
FALLING = 0.4 / np.sqrt(np.arange(1, 9))


def traces(figure: go.Figure) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def spikes(value: float = 0.6) -> go.Figure:
    return spikes_figure(SPIKES, MEANS, MEANS - 0.2, MEANS + 0.2, value)


def currents(count: int = 4000, deviation: float = 2.0) -> Currents:
    levels = (np.arange(count) + 0.5) / count
    return Currents(1 + deviation * norm.ppf(levels), 1.0, deviation)


def fan_ins() -> list[FanIn]:
    return [
        FanIn(size, Distance(0.4 / size, 0.5 / size), Distance(0.02, 0.03), min(1.0, 2 / size))
        for size in (1, 3, 9)
    ]


def covariances() -> Covariances:
    closed = np.array([1.0, -0.5, 2.0])
    return Covariances(closed, closed + 0.1, np.full(3, 0.05), ["0 and 0", "0 and 1", "1 and 1"])


def test_each_spike_is_a_stroke_and_the_mean_has_its_band() -> None:
    shown = traces(spikes())
    assert list(shown["spike"].x) == [2, 2, None, 3, 3, None, 5, 5, None]
    np.testing.assert_allclose(shown["mean so far"].y, MEANS)
    band = shown["95 % interval"]
    np.testing.assert_allclose(band.y, [*(MEANS + 0.2), *(MEANS - 0.2)[::-1]])
    assert list(band.x) == [1, 2, 3, 4, 5, 5, 4, 3, 2, 1]


def test_after_one_step_the_interval_can_be_seen() -> None:
    one = np.ones(1)
    band = traces(spikes_figure(one, one, one - 0.8, one, 0.6))["95 % interval"]
    assert set(band.x) == {1} and set(band.y) == {one[0] - 0.8, 1.0} and band.line.width > 0
    assert traces(spikes())["95 % interval"].line.width == 0


def test_a_pixel_that_never_spikes_has_no_stroke() -> None:
    figure = spikes_figure(np.zeros(3), np.zeros(3), np.zeros(3), np.full(3, 0.5), 0.0)
    assert len(traces(figure)["spike"].x) == 0


@pytest.mark.parametrize("value", [0.3, 1.0])
def test_the_grey_value_is_a_level_that_the_legend_names(value: float) -> None:
    figure = spikes(value)
    line = traces(figure)[f"grey value {value:.2f}"]
    assert list(line.y) == [value, value] and list(line.x) == [0, figure.layout.xaxis.range[1]]
    assert not figure.layout.annotations


def test_the_variance_is_measured_beside_its_formula() -> None:
    shown = traces(variance_figure(FALLING + 0.01, FALLING, here=3))
    np.testing.assert_allclose(shown["measured"].y, FALLING + 0.01)
    np.testing.assert_allclose(shown["x (1 − x) / T"].y, FALLING)
    assert list(shown["measured"].x) == list(range(1, 9))


def test_errors_of_both_codings_are_told_apart_without_colour() -> None:
    shown = traces(error_figure(FALLING, FALLING / 2, FALLING * 1.1, FALLING / 3, here=2))
    np.testing.assert_allclose(shown["Poisson, measured"].y, FALLING)
    np.testing.assert_allclose(shown["RSC, measured"].y, FALLING / 2)
    np.testing.assert_allclose(shown["Poisson, formula"].y, FALLING * 1.1)
    np.testing.assert_allclose(shown["RSC, formula"].y, FALLING / 3)
    assert len({shown[f"{name}, measured"].marker.symbol for name in ("Poisson", "RSC")}) == 2
    assert len({shown[f"{name}, formula"].line.dash for name in ("Poisson", "RSC")}) == 2


@pytest.mark.parametrize("here", [1, 8])
def test_the_chosen_step_is_marked(here: int) -> None:
    for figure in (
        variance_figure(FALLING, FALLING, here),
        error_figure(FALLING, FALLING, FALLING, FALLING, here),
    ):
        assert [(line.x0, line.x1) for line in figure.layout.shapes] == [(here, here)]


def test_the_scales_do_not_depend_on_what_is_shown() -> None:
    """A slider moves the marks, not the axes: what grows is seen to grow."""
    assert spikes(0.1).layout.yaxis.range == spikes(0.9).layout.yaxis.range
    small, large = FALLING / 50, FALLING
    for one, other in (
        (variance_figure(small, small, 1), variance_figure(large, large, 8)),
        (error_figure(small, small, small, small, 1), error_figure(large, small, large, large, 8)),
    ):
        assert one.layout.yaxis.range == other.layout.yaxis.range
        assert one.layout.height == other.layout.height


def test_a_histogram_is_a_density_under_its_normal_curve() -> None:
    shown = traces(histogram_figure({"poisson": currents(), "rsc": currents(deviation=1.0)}))
    for name, deviation in (("Poisson", 2.0), ("RSC", 1.0)):
        bars, curve = shown[f"{name}, drawn"], shown[f"{name}, normal law"]
        assert float((np.diff(bars.x) * bars.y[:-1]).sum()) == pytest.approx(1)
        np.testing.assert_allclose(curve.y, norm.pdf(curve.x, 1, deviation))
        middles = (bars.x[:-1] + bars.x[1:]) / 2
        np.testing.assert_allclose(
            bars.y[:-1], norm.pdf(middles, 1, deviation), atol=0.05 / deviation
        )


def test_a_current_without_noise_has_a_bar_and_no_curve() -> None:
    constant = Currents(np.full(50, 3.0), 3.0, 0.0)
    shown = traces(histogram_figure({"poisson": constant}))
    assert set(shown) == {"Poisson, drawn"}
    assert np.count_nonzero(shown["Poisson, drawn"].y) == 1


def test_the_quantiles_stand_beside_the_diagonal() -> None:
    normal, measured = np.array([-1.0, 0, 1]), np.array([-1.1, 0, 0.9])
    shown = traces(quantile_figure({"poisson": (normal, measured)}))
    assert set(shown) == {"normal law", "Poisson"}
    assert list(shown["normal law"].x) == list(shown["normal law"].y)
    np.testing.assert_allclose(shown["Poisson"].x, normal)
    np.testing.assert_allclose(shown["Poisson"].y, measured)


def test_covariances_stand_over_their_formula_with_two_standard_errors() -> None:
    figure = covariance_figure({"poisson": covariances(), "rsc": covariances()})
    shown = traces(figure)
    assert set(shown) == {"formula = measured", "Poisson", "RSC"}
    np.testing.assert_allclose(shown["RSC"].x, [1, -0.5, 2])
    np.testing.assert_allclose(shown["RSC"].y, [1.1, -0.4, 2.1])
    np.testing.assert_allclose(shown["RSC"].error_y.array, 0.1)
    assert list(shown["RSC"].text) == ["0 and 0", "0 and 1", "1 and 1"]
    low, high = figure.layout.xaxis.range
    assert low < -0.5 and high > 2.1 and figure.layout.yaxis.range == (low, high)


def test_distances_fall_over_the_fan_in_towards_chance() -> None:
    shown = traces(fan_in_figure(fan_ins()))
    np.testing.assert_allclose(shown["Kolmogorov-Smirnov"].y, [0.4, 0.4 / 3, 0.4 / 9])
    np.testing.assert_allclose(shown["Wasserstein"].y, [0.5, 0.5 / 3, 0.5 / 9])
    np.testing.assert_allclose(shown["chance, KS"].y, 0.02)
    np.testing.assert_allclose(shown["chance, Wasserstein"].y, 0.03)
    np.testing.assert_allclose(shown["upper bound of KS"].y, [1, 2 / 3, 2 / 9])
    assert list(shown["Wasserstein"].x) == [1, 3, 9]


def test_the_figures_are_valid_json() -> None:
    for figure in (
        spikes(),
        variance_figure(FALLING, FALLING, 1),
        error_figure(FALLING, FALLING, FALLING, FALLING, 1),
        histogram_figure({"poisson": currents()}),
        quantile_figure({"rsc": (FALLING, FALLING)}),
        covariance_figure({"rsc": covariances()}),
        fan_in_figure(fan_ins()),
    ):
        json.loads(figure.to_json())
