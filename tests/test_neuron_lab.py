"""One neuron against the equations in plain Python, spikingjelly, and the laws of its noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import binomtest, norm
from spikingjelly.activation_based import neuron as spikingjelly_neuron

from rsc_snn.errors import ConfigError
from rsc_snn.neuron_lab import neuron_course, rate_curve
from rsc_snn.neurons import LIFConfig
from rsc_snn.theory import exact_rate, rheobase, staircase, steps_to_spike

CONFIGS = st.builds(
    LIFConfig,
    tau=st.floats(1.05, 20).map(lambda value: round(value, 2)),
    threshold=st.floats(0.1, 3).map(lambda value: round(value, 2)),
)
CURRENTS = st.floats(0, 4)
STEPS = st.integers(1, 64)


def near_a_jump(current: float, config: LIFConfig, time_steps: int) -> bool:
    """True where rounding may decide a spike otherwise than exact numbers."""
    decay = 1 - 1 / config.tau
    edges = rheobase(config) / (1 - decay ** np.arange(1, time_steps + 1))
    return bool(np.any(np.abs(current - edges) < 1e-10 * (1 + edges)))


def first_spike(current: float, config: LIFConfig, most: int) -> int | None:
    """The step of the first spike, by charging step by step."""
    h = 0.0
    for step in range(1, most + 1):
        h = h * (1 - 1 / config.tau) + current
        if h >= config.threshold:
            return step
    return None


@settings(max_examples=150, deadline=None)
@given(CONFIGS, CURRENTS)
def test_the_first_spike_is_where_charging_step_by_step_reaches_the_threshold(
    config: LIFConfig, current: float
) -> None:
    assume(not near_a_jump(current, config, 400))
    found, counted = steps_to_spike(current, config), first_spike(current, config, 400)
    assert counted == (found if found is not None and found <= 400 else None)


@pytest.mark.parametrize(
    ("current", "steps"), [(1.0, 1), (2 / 3, 2), (4 / 7, 3), (0.5, None), (0.0, None), (-1.0, None)]
)
def test_a_current_that_just_reaches_the_threshold_fires(current: float, steps: int | None) -> None:
    # tau 2, threshold 1: H[k] = 2 current (1 - 2^-k).
    assert steps_to_spike(current, LIFConfig(tau=2.0, threshold=1.0)) == steps


@settings(max_examples=100, deadline=None)
@given(CONFIGS, CURRENTS, STEPS)
def test_without_noise_simulation_and_closed_form_agree(
    config: LIFConfig, current: float, time_steps: int
) -> None:
    assume(not near_a_jump(current, config, time_steps))
    expected = exact_rate(current, config, time_steps)
    course = neuron_course(config, current, 0.0, time_steps, seed=0)
    assert course.spikes.mean() == pytest.approx(expected, abs=1e-12)
    curve = rate_curve(config, [current], 0.0, time_steps, seed=0, neurons=3)
    np.testing.assert_allclose([curve.mean[0], curve.lower[0], curve.upper[0]], expected, atol=1e-6)
    interval = steps_to_spike(current, config)
    fired = 1 + np.flatnonzero(course.spikes)
    if interval is not None:
        assert fired.tolist() == list(range(interval, time_steps + 1, interval))


@settings(max_examples=60, deadline=None)
@given(CONFIGS, STEPS)
def test_the_staircase_is_the_rate_at_every_current(config: LIFConfig, time_steps: int) -> None:
    currents, rates = staircase(config, time_steps)
    # Where the decay is fast, the lowest jumps are one number in floating point.
    assert np.all(np.diff(currents) >= 0) and np.all(np.diff(rates) > 0)
    assert currents[0] >= rheobase(config) and rates[-1] == 1.0
    assert currents[-1] == pytest.approx(config.threshold)
    edges = np.concatenate([[0.0], currents, [2 * config.threshold]])
    for low, high, rate in zip(edges[:-1], edges[1:], [0.0, *rates], strict=True):
        if high - low > 1e-6:
            assert exact_rate((low + high) / 2, config, time_steps) == rate


@settings(max_examples=40, deadline=None)
@given(CONFIGS, st.floats(-1, 2), st.floats(0, 1), STEPS, st.integers(0, 2**31))
def test_the_course_is_that_of_spikingjellys_neuron(
    config: LIFConfig, current: float, noise: float, time_steps: int, seed: int
) -> None:
    course = neuron_course(config, current, noise, time_steps, seed)
    theirs = spikingjelly_neuron.LIFNode(
        tau=config.tau, decay_input=False, v_threshold=config.threshold, v_reset=0.0
    )
    for t, value in enumerate(course.current):
        h = float(theirs.v) * (1 - 1 / config.tau) + value
        assume(abs(h - config.threshold) > 1e-10)
        spike = theirs(torch.tensor([value], dtype=torch.float64))
        assert bool(spike) == course.spikes[t]
        assert float(theirs.v) == pytest.approx(course.membrane[t], abs=1e-12)
        assert h == pytest.approx(course.charged[t], abs=1e-12)


@pytest.mark.parametrize("tau", [1.3, 1.4, 2.0, 4.0, 7.0, 8.0])
def test_rounding_decides_no_spike_of_what_sliders_can_set(tau: float) -> None:
    """Currents and thresholds with two decimals often meet exactly."""
    for threshold in np.round(np.arange(4, 31) * 0.05, 2):
        config = LIFConfig(tau=tau, threshold=float(threshold))
        limit = rheobase(config)
        currents = np.round(np.arange(1, 151) * 0.01, 2)
        # At the rheobase the charge comes as near as one likes without reaching it.
        currents = currents[~np.isclose(currents, limit)]
        found = rate_curve(config, currents, 0.0, 64, seed=0, neurons=1).mean
        expected = [exact_rate(float(current), config, 64) for current in currents]
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("current", "tau", "threshold", "step"),
    [(0.9, 2.0, 1.35, 2), (0.65, 1.3, 0.8, 2), (1.05, 1.4, 1.35, 2), (0.6, 2.0, 1.05, 3)],
)
def test_a_charge_that_meets_the_threshold_reaches_it(
    current: float, tau: float, threshold: float, step: int
) -> None:
    course = neuron_course(LIFConfig(tau=tau, threshold=threshold), current, 0.0, 64, seed=0)
    assert 1 + course.spikes.argmax() == step
    assert course.charged[step - 1] == pytest.approx(threshold, abs=1e-12)


def test_one_step_of_noise_is_the_normal_curve() -> None:
    config, noise, neurons = LIFConfig(threshold=0.8), 0.3, 20_000
    currents = np.linspace(0, 1.6, 9)
    curve = rate_curve(config, currents, noise, 1, seed=3, neurons=neurons)
    # Exact binomial tests; one in a million false alarms in all.
    for mean, current in zip(curve.mean, currents, strict=True):
        chance = norm.cdf((current - config.threshold) / noise)
        spikes = round(mean * neurons)
        assert binomtest(spikes, neurons, chance).pvalue > 1e-6 / len(currents)


def test_two_steps_of_noise_follow_the_integral_over_the_first_potential() -> None:
    config, current, noise, neurons = LIFConfig(tau=1.6, threshold=1.0), 0.7, 0.4, 40_000
    decay = 1 - 1 / config.tau
    law = norm(current, noise)
    first = law.sf(config.threshold)
    quiet, _ = quad(
        lambda h: law.pdf(h) * law.sf(config.threshold - decay * h), -4, config.threshold
    )
    second = first * first + quiet
    curve = rate_curve(config, [current], noise, 2, seed=5, neurons=neurons)
    # The rate of a neuron lies in 0..1, so its variance is at most 1/4; false alarm below 1e-6.
    assert abs(curve.mean[0] - (first + second) / 2) < norm.isf(5e-7) / (2 * math.sqrt(neurons))


def test_noise_turns_the_step_into_a_ramp() -> None:
    config, currents = LIFConfig(), np.linspace(0, 1.5, 61)
    steep, smooth = (
        np.diff(rate_curve(config, currents, noise, 32, seed=1).mean).max() for noise in (0.0, 0.3)
    )
    assert steep == pytest.approx(0.5)  # from a spike every second step to one at every step
    assert smooth < 0.06


def test_the_band_holds_its_share_of_neurons_and_closes_with_time() -> None:
    config = LIFConfig()
    short, long = (rate_curve(config, [0.6], 0.3, steps, seed=2, neurons=999) for steps in (8, 64))
    for curve in (short, long):
        assert curve.lower[0] < curve.mean[0] < curve.upper[0]
    assert (long.upper - long.lower)[0] < 0.6 * (short.upper - short.lower)[0]


def test_equal_seeds_give_equal_noise_and_others_do_not() -> None:
    config = LIFConfig()
    first, again, other = (neuron_course(config, 0.5, 0.3, 16, seed) for seed in (4, 4, 5))
    assert first.current.tobytes() == again.current.tobytes()
    assert not np.array_equal(first.current, other.current)
    curves = [rate_curve(config, [0.4, 0.5], 0.3, 16, seed) for seed in (4, 4, 5)]
    assert curves[0].mean.tobytes() == curves[1].mean.tobytes()
    assert not np.array_equal(curves[0].mean, curves[2].mean)


def test_meaningless_noise_and_time_are_refused() -> None:
    with pytest.raises(ConfigError, match="noise"):
        neuron_course(LIFConfig(), 0.5, -0.1, 8, seed=0)
    with pytest.raises(ConfigError, match="time steps"):
        rate_curve(LIFConfig(), [0.5], 0.1, 0, seed=0)
