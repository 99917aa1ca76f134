"""Figures and pictures of neurons show what was recorded, with or without colour."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsc_snn.activity import NeuronTrace, Raster
from rsc_snn.figures import (
    channel_rates_figure,
    layer_rates_figure,
    membrane_figure,
    rate_overlay,
    rate_scale,
)
from rsc_snn.figures.style import ADVERSARIAL, CLEAN, NEUTRAL

BLUE, ORANGE, GREY = ([*bytes.fromhex(c[1:])] for c in (CLEAN, ADVERSARIAL, NEUTRAL))


def neuron(current: list[float]) -> NeuronTrace:
    """A neuron of threshold 1 and tau 2 that is driven by `current`."""
    charged, membrane, v = [], [], 0.0
    for value in current:
        charged.append(value + 0.5 * v)
        v = 0.0 if charged[-1] >= 1 else charged[-1]
        membrane.append(v)
    h = np.array(charged, np.float32)
    return NeuronTrace(
        layer="LIF 1",
        index=5,
        place=(0, 1, 1),
        current=np.array(current, np.float32),
        charged=h,
        membrane=np.array(membrane, np.float32),
        spikes=h >= 1,
        threshold=1.0,
    )


def picture(codes: np.ndarray) -> Raster:
    """A raster of `codes` `[T, M]` of one layer."""
    rows = np.arange(codes.shape[1])
    return Raster(("a",), codes.astype(np.uint8), np.zeros_like(rows), rows, (), len(rows))


def traces(figure: go.Figure, yaxis: str) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data if trace.yaxis == yaxis}


def test_the_potential_rises_spikes_and_falls_to_rest() -> None:
    figure = membrane_figure(neuron([0.5, 0.75, 0.5, 2.0]), neuron([0.1, 0.1, 0.1, 0.1]))
    above, below = traces(figure, "y"), traces(figure, "y2")
    assert list(above["potential"].x) == [0, 1, 2, None, 2, 3, 4, None, 4]
    assert list(above["potential"].y) == [0, 0.5, 1, None, 0, 0.5, 2.25, None, 0]
    assert list(above["reset"].x) == [2, 2, None, 4, 4, None]
    assert list(above["reset"].y) == [1, 0, None, 2.25, 0, None]
    assert (list(above["spike"].x), list(above["spike"].y)) == ([2, 4], [1, 2.25])
    np.testing.assert_allclose(above["input"].y, [0.5, 0.75, 0.5, 2.0])
    assert list(below["potential"].x) == [0, 1, 2, 3, 4]
    assert len(below["spike"].x) == len(below["reset"].x) == 0
    texts = [note.text for note in figure.layout.annotations]
    assert texts[::2] == [
        f'<span style="color:{CLEAN}">●</span> <b>original</b>: 2 spikes in 4 steps',
        f'<span style="color:{ADVERSARIAL}">◆</span> <b>attacked</b>: 0 spikes in 4 steps',
    ]


def test_both_membranes_have_one_scale_and_a_threshold() -> None:
    figure = membrane_figure(neuron([3.0, -4.0]), neuron([0.2, 0.2]))
    low, high = figure.layout.yaxis.range
    assert figure.layout.yaxis2.range == (low, high)
    assert low < -4 and high > 3
    assert {(line.yref, line.y0, line.y1) for line in figure.layout.shapes} == {
        ("y", 1.0, 1.0),
        ("y2", 1.0, 1.0),
    }
    symbols = {trace.marker.symbol for trace in figure.data if trace.name == "spike"}
    assert len(symbols) == 2


def test_figures_stay_at_their_height() -> None:
    short, long = neuron([0.1]), neuron([0.7] * 64)
    assert membrane_figure(short, short).layout.height == membrane_figure(long, long).layout.height
    one, many = np.zeros(1), np.zeros(300)
    assert (
        channel_rates_figure(one, one, None).layout.height
        == channel_rates_figure(many, many, many).layout.height
    )


RATES = (np.array([0.1, 0.3, 0.2]), np.array([0.2, 0.25, 0.2]), np.array([0.1, 0.31, 0.15]))


def test_layer_rates_and_their_differences() -> None:
    figure = layer_rates_figure(["a", "b", "c"], *RATES)
    rates, differences = traces(figure, "y"), traces(figure, "y2")
    for name, values in zip(("original", "attacked", "original, other noise"), RATES, strict=True):
        np.testing.assert_allclose(rates[name].y, values)
    assert set(differences) == {"attacked", "original, other noise"}
    np.testing.assert_allclose(differences["attacked"].y, [0.1, -0.05, 0], atol=1e-12)
    np.testing.assert_allclose(differences["original, other noise"].y, [0, 0.01, -0.05], atol=1e-12)
    patterns = {bar.marker.pattern.shape for bar in rates.values()}
    assert len(patterns) == 3  # told apart without colour
    for name, bar in differences.items():
        assert bar.marker.pattern.shape == rates[name].marker.pattern.shape
        assert not bar.showlegend


def test_channel_rates_are_sorted_together() -> None:
    figure = channel_rates_figure(*RATES)
    rates, differences = traces(figure, "y"), traces(figure, "y2")
    np.testing.assert_allclose(rates["original"].y, [0.3, 0.2, 0.1])
    np.testing.assert_allclose(rates["attacked"].y, [0.25, 0.2, 0.2])
    np.testing.assert_allclose(differences["attacked"].y, [-0.05, 0, 0.1], atol=1e-12)
    np.testing.assert_allclose(differences["original, other noise"].y, [0.01, -0.05, 0], atol=1e-12)
    assert list(differences["attacked"].customdata) == [1, 2, 0]
    assert len({trace.marker.symbol for trace in rates.values()}) == 3


@pytest.mark.parametrize("figure_of", ["layers", "channels"])
def test_a_coding_without_noise_has_no_control(figure_of: str) -> None:
    clean, adversarial, _ = RATES
    if figure_of == "layers":
        figure = layer_rates_figure(["a", "b", "c"], clean, adversarial, None, spiking=False)
    else:
        figure = channel_rates_figure(clean, adversarial, None, spiking=False)
    assert {trace.name for trace in figure.data} == {"original", "attacked"}
    assert "activation" in figure.layout.yaxis.title.text


def test_the_figures_are_valid_json() -> None:
    one = neuron([0.5, 2.0])
    for figure in (
        membrane_figure(one, one),
        layer_rates_figure(["a", "b", "c"], *RATES),
        channel_rates_figure(*RATES),
    ):
        json.loads(figure.to_json())


# Pictures


def test_where_nothing_fires_the_photograph_is_grey() -> None:
    image = np.zeros((3, 2, 2))
    image[0], image[1, 0], image[2, 0, 0] = 1, 1, 1
    shown = rate_overlay(image, np.zeros((2, 2), np.float32))
    assert shown.shape == (2, 2, 3) and shown.dtype == np.uint8
    red, yellow, white = round(0.299 * 255), round(0.886 * 255), 255
    assert shown[1, 0].tolist() == [red] * 3
    assert shown[0, 1].tolist() == [yellow] * 3
    assert shown[0, 0].tolist() == [white] * 3


@given(rates=st.lists(st.floats(0, 1, width=32), min_size=2, max_size=30), grey=st.floats(0, 0.15))
@settings(max_examples=50, deadline=None)
def test_the_busier_the_brighter(rates: list[float], grey: float) -> None:
    """On a dark photograph, where the order of brightness is that of the rates."""
    values = np.sort(np.array(rates, np.float32))[None]
    shown = rate_overlay(np.full((1, 1, len(rates)), grey), values, top=1.0)
    busy = values[0] > 0.5
    luma = shown[0] @ [0.299, 0.587, 0.114]
    assert (np.diff(luma[busy]) >= -1).all()  # rounding


def test_overlays_that_are_compared_share_their_top() -> None:
    image = np.full((3, 1, 2), 0.5)
    weak, strong = np.array([[0.0, 0.1]]), np.array([[0.1, 0.2]])
    np.testing.assert_array_equal(
        rate_overlay(image, weak, 0.2)[0, 1], rate_overlay(image, strong, 0.2)[0, 0]
    )
    np.testing.assert_array_equal(rate_overlay(image, weak), rate_overlay(image, 2 * weak))
    beyond = rate_overlay(image, np.array([[0.2, 0.9]]), 0.2)
    np.testing.assert_array_equal(beyond[0, 0], beyond[0, 1])


def test_the_scale_runs_from_the_photograph_alone_to_the_busiest_place() -> None:
    scale = rate_scale(9)
    assert scale.shape == (1, 9, 3)
    assert scale[0, 0].tolist() == [128, 128, 128]
    grey, busy = np.full((1, 1, 1), 0.5), np.ones((1, 1))
    for share in (0.5, 1.0):
        at = scale[0, int(8 * share)]
        np.testing.assert_array_equal(at, rate_overlay(grey, share * busy, 1.0)[0, 0])
