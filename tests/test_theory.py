"""Closed forms against draws, independent libraries and brute force.

Each statistical comparison has a false-alarm rate of 1e-6 for its whole family (Bonferroni).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2, ks_1samp, kstwobign, norm, wasserstein_distance
from torch import Tensor

from rsc_snn.classifier import ModelConfig, SpikingClassifier
from rsc_snn.coding import Coding, DirectCoding, PoissonCoding, RSCCoding
from rsc_snn.errors import ConfigError
from rsc_snn.evaluate import wilson
from rsc_snn.randomness import make_generator
from rsc_snn.theory import (
    LinearLayer,
    berry_esseen,
    chance_ks,
    covariance_error,
    current_law,
    draw_currents,
    expected_rms,
    fan_in_distances,
    first_layer,
    frame_moments,
    matched_sigma,
    measured_law,
    measured_moments,
    mixed_accuracy,
    normal_distance,
    quantile_pairs,
    repeated_means,
    rms_error,
    running_intervals,
    running_means,
    seen_pixels,
    time_mean_moments,
)
from tests.conftest import lively_model

FALSE_ALARM = 1e-6
DRAWS = 20_000
TINY = ModelConfig(widths=(8, 12), depths=(1, 1), image_size=16)


def z_of(comparisons: int) -> float:
    """Two-sided normal quantile for a family of so many comparisons."""
    return float(norm.isf(FALSE_ALARM / (2 * comparisons)))


def pixels(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, generator=make_generator(seed), dtype=torch.float64)


def layer_of(outputs: int, inputs: int, seed: int = 1) -> LinearLayer:
    generator = make_generator(seed)
    return LinearLayer(
        torch.randn(outputs, inputs, generator=generator, dtype=torch.float64),
        torch.randn(outputs, generator=generator, dtype=torch.float64),
    )


# Frames

VALUES, STEPS = (0.1, 0.3, 0.5, 0.8), (1, 2, 7, 16)


@pytest.mark.parametrize("value", VALUES)
def test_the_mean_of_poisson_frames_has_the_moments_of_a_binomial(value: float) -> None:
    means = repeated_means(PoissonCoding(), value, max(STEPS), DRAWS, seed=3)
    z = z_of(2 * len(VALUES) * len(STEPS))
    for steps in STEPS:
        x = torch.tensor([value])
        mean, variance = (float(part) for part in time_mean_moments(PoissonCoding(), x, steps))
        law = binom(steps, float(x))
        assert mean == pytest.approx(law.mean() / steps)
        assert variance == pytest.approx(law.var() / steps**2)
        kurtosis = float(law.stats("k")) + 3
        spread = variance * math.sqrt((kurtosis - (DRAWS - 3) / (DRAWS - 1)) / DRAWS)
        measured = measured_moments(means[steps - 1])
        assert abs(float(measured.mean) - mean) <= z * math.sqrt(variance / DRAWS)
        assert abs(float(measured.variance) - variance) <= z * spread


@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0])
def test_the_mean_of_rsc_frames_is_normal_with_variance_over_t(sigma: float) -> None:
    means = repeated_means(RSCCoding(sigma), 0.4, max(STEPS), DRAWS, seed=4)
    comparisons = 2 * 3 * len(STEPS)
    for steps in STEPS:
        moments = time_mean_moments(RSCCoding(sigma), torch.tensor([0.4]), steps)
        variance = float(moments.variance)
        assert variance == pytest.approx(sigma**2 / steps)
        measured = measured_moments(means[steps - 1])
        limit = z_of(comparisons) * math.sqrt(variance / DRAWS)
        assert abs(float(measured.mean) - 0.4) <= limit
        score = float(measured.variance) * (DRAWS - 1) / variance
        assert FALSE_ALARM / comparisons < 2 * min(
            chi2(DRAWS - 1).cdf(score), chi2(DRAWS - 1).sf(score)
        )


def test_direct_coding_has_no_variance() -> None:
    x = pixels(5)
    mean, variance = frame_moments(DirectCoding(), x)
    assert torch.equal(mean, x) and not variance.any()
    assert not time_mean_moments(DirectCoding(), x, 8).variance.any()


@given(spikes=st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_running_means_and_intervals_are_those_of_each_beginning(spikes: list[float]) -> None:
    values = torch.tensor(spikes)
    means, (lower, upper) = running_means(values), running_intervals(values)
    for at in range(len(spikes)):
        expected = wilson(sum(spikes[: at + 1]), at + 1)
        assert float(means[at]) == pytest.approx(expected.value)
        assert float(lower[at]) == pytest.approx(expected.lower, abs=1e-12)
        assert float(upper[at]) == pytest.approx(expected.upper, abs=1e-12)
    assert (lower <= means).all() and (means <= upper).all()


def test_the_error_of_an_image_is_the_root_of_its_mean_square() -> None:
    x = pixels(12).view(1, 3, 2, 2)
    means = pixels(24, seed=9).view(2, 1, 3, 2, 2)
    expected = [math.sqrt(((mean - x) ** 2).mean().item()) for mean in means]
    assert rms_error(means, x).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("coding", [PoissonCoding(), RSCCoding(0.3)], ids=lambda one: one.name)
def test_the_error_falls_as_the_formula_says(coding: Coding) -> None:
    x = pixels(DRAWS).view(1, 1, 100, 200)
    means = running_means(coding(x, 9, make_generator(5)))
    squares = (means - x).square().flatten(1)
    spread = squares.std(dim=1) / math.sqrt(DRAWS)
    gap = rms_error(means, x).square() - expected_rms(coding, x, 9).square()
    assert (gap.abs() <= z_of(2 * 9) * spread).all()
    expected = expected_rms(coding, x, 9)
    assert float(expected[0] / expected[8]) == pytest.approx(3)


# The matching sigma


@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_the_matching_sigma_makes_rsc_as_noisy_as_poisson(values: list[float]) -> None:
    x = torch.tensor([values], dtype=torch.float64)
    (sigma,) = matched_sigma(x).tolist()
    assert 0 <= sigma <= 0.5
    poisson = frame_moments(PoissonCoding(), x).variance.mean()
    rsc = frame_moments(RSCCoding(sigma), x).variance.mean()
    assert float(rsc) == pytest.approx(float(poisson), abs=1e-12)


def test_each_image_has_its_own_matching_sigma() -> None:
    halves = torch.zeros(1, 2, 2)
    halves[:, 0] = 1
    grey = torch.full((1, 2, 2), 0.5)
    mixed = torch.tensor([[[0.0, 0.5], [0.5, 0.0]]])
    assert matched_sigma(torch.stack([halves, grey, mixed])).tolist() == pytest.approx(
        [0, 0.5, math.sqrt(0.125)]
    )


# Currents


@pytest.mark.parametrize("coding", [PoissonCoding(), RSCCoding(0.25)], ids=lambda one: one.name)
def test_currents_have_the_mean_and_covariance_of_the_closed_form(coding: Coding) -> None:
    layer, x = layer_of(4, 12), pixels(12)
    samples = draw_currents(layer, coding, x, DRAWS, seed=6)
    law, measured = current_law(layer, coding, x), measured_law(samples)
    z = z_of(2 * (4 + 10))
    spread = (law.covariance.diagonal() / DRAWS).sqrt()
    assert ((measured.mean - law.mean).abs() <= z * spread).all()
    centred = samples - law.mean
    products = torch.einsum("ni,nj->nij", centred, centred)
    error = products.std(dim=0) / math.sqrt(DRAWS)
    assert ((measured.covariance - law.covariance).abs() <= z * error).all()


def test_the_closed_forms_are_those_of_the_paper() -> None:
    layer, x = layer_of(3, 5), pixels(5)
    w = layer.weights.numpy()
    poisson = current_law(layer, PoissonCoding(), x).covariance.numpy()
    np.testing.assert_allclose(poisson, w @ np.diag((x * (1 - x)).numpy()) @ w.T)
    rsc = current_law(layer, RSCCoding(0.3), x).covariance.numpy()
    np.testing.assert_allclose(rsc, 0.09 * w @ w.T)


# Near black and white spikes are rare and the tails heavy; middle grey has lighter ones than the
# normal law.
GREYS = {"grey": 0.5, "dark": 0.004, "bright": 0.99}


@pytest.mark.parametrize(
    ("coding", "value"),
    [(RSCCoding(0.2), 0.5), *((PoissonCoding(), value) for value in GREYS.values())],
    ids=["normal", *GREYS],
)
def test_the_error_of_a_covariance_is_that_of_repeated_measurements(
    coding: Coding, value: float
) -> None:
    layer, x = layer_of(3, 6), torch.full((6,), value, dtype=torch.float64)
    repeats, draws = 3_000, 200
    found = torch.stack(
        [
            measured_law(draw_currents(layer, coding, x, draws, seed)).covariance
            for seed in range(repeats)
        ]
    )
    # The relative error of a standard deviation from so many repeats is about 1.5 %, and some more
    # under heavy tails.
    torch.testing.assert_close(
        found.std(dim=0), covariance_error(layer, coding, x, draws), rtol=0.1, atol=0
    )


def test_one_input_is_measured_as_exactly_as_a_coin() -> None:
    """The unbiased variance of n fair coins is `n/(n-1) p (1-p)`, p their share of heads."""
    layer, draws = LinearLayer(torch.ones(1, 1).double(), torch.zeros(1).double()), 10
    heads = np.arange(draws + 1)
    share, chance = heads / draws, binom.pmf(heads, draws, 0.5)
    values = share * (1 - share) * draws / (draws - 1)
    expected = math.sqrt(chance @ values**2 - (chance @ values) ** 2)
    error = covariance_error(layer, PoissonCoding(), torch.tensor([0.5]).double(), draws)
    assert float(error) == pytest.approx(expected)


def test_a_place_without_noise_has_no_error() -> None:
    black = torch.tensor([0.0, 1.0, 0.0]).double()
    assert (covariance_error(layer_of(2, 3), PoissonCoding(), black, 50) == 0).all()


def recorded_currents(model: SpikingClassifier, x: Tensor) -> Tensor:
    """What the first neurons of the network itself get from the image, `[O, H, W]`."""
    currents: list[Tensor] = []
    with torch.no_grad():
        model(x, coding=DirectCoding(), time_steps=1, currents=currents)
    return currents[0][0, 0].double()


PREPARE: dict[str, Callable[[SpikingClassifier], SpikingClassifier]] = {
    "as trained": lambda model: model,
    "frozen": lambda model: model.freeze(),
}


@pytest.mark.parametrize("prepare", sorted(PREPARE))
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("network", ["vgg", "ms_resnet18"])
def test_the_first_layer_is_the_networks_own(network: str, stride: int, prepare: str) -> None:
    config = replace(TINY, network=network, stem_stride=stride, std=(0.2, 0.25, 0.4))
    model = PREPARE[prepare](lively_model(config))
    x = torch.rand(1, 3, 16, 16, generator=make_generator(2))
    expected = recorded_currents(model, x)
    side = 16 // stride
    for row, column in itertools.product((0, 3, side - 1), repeat=2):
        layer, seen = first_layer(model, x[0], row, column)
        rows, columns = seen_pixels(model, row, column, 16, 16)
        assert torch.equal(seen, x[0, :, rows, columns].double().flatten())
        torch.testing.assert_close(
            layer.weights @ seen + layer.bias, expected[:, row, column], rtol=1e-4, atol=1e-4
        )
    assert first_layer(model, x[0], 3, 3)[0].weights.shape == (8, 27)
    assert first_layer(model, x[0], 0, 0)[0].weights.shape == (8, 12)


@pytest.mark.parametrize("place", [(-1, 0), (0, 16), (16, 0)])
def test_a_place_outside_is_refused(place: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="no place at row"):
        first_layer(lively_model(TINY), torch.rand(3, 16, 16), *place)


def test_drawn_currents_are_what_the_network_gets() -> None:
    """The same law: mean and variance of one place over many passes of the whole network."""
    model = lively_model(replace(TINY, coding="rsc", sigma=0.3)).freeze()
    x = torch.rand(1, 3, 16, 16, generator=make_generator(2))
    passes: list[Tensor] = []
    for seed in range(20):
        currents: list[Tensor] = []
        with torch.no_grad():
            model(x, time_steps=32, currents=currents, generator=make_generator(seed))
        passes.append(currents[0][:, 0, :, 5, 6].double())
    samples = torch.cat(passes)
    layer, seen = first_layer(model, x[0], 5, 6)
    law = current_law(layer, RSCCoding(0.3), seen)
    measured, count = measured_law(samples), len(samples)
    z = z_of(8 + 36)
    spread = (law.covariance.diagonal() / count).sqrt()
    assert ((measured.mean - law.mean).abs() <= z * spread + 1e-4).all()
    error = covariance_error(layer, RSCCoding(0.3), seen, count)
    assert ((measured.covariance - law.covariance).abs() <= z * error + 1e-4).all()


def test_a_seed_gives_the_same_draws_and_another_others() -> None:
    layer, x = layer_of(2, 5), pixels(5)
    first = draw_currents(layer, PoissonCoding(), x, 50, seed=1)
    assert torch.equal(first, draw_currents(layer, PoissonCoding(), x, 50, seed=1))
    assert not torch.equal(first, draw_currents(layer, PoissonCoding(), x, 50, seed=2))
    means = repeated_means(PoissonCoding(), 0.5, 4, 50, seed=1)
    assert torch.equal(means, repeated_means(PoissonCoding(), 0.5, 4, 50, seed=1))
    assert not torch.equal(means, repeated_means(PoissonCoding(), 0.5, 4, 50, seed=2))


# The bill


@given(
    answers=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30),
    attacked=st.floats(0, 1),
)
@settings(max_examples=50, deadline=None)
def test_mixed_accuracy_lies_between_the_two(
    answers: list[tuple[bool, bool]], attacked: float
) -> None:
    clean, robust = np.array(answers, float).T
    each = mixed_accuracy(clean, robust, attacked)
    assert each.mean() == pytest.approx(
        float(mixed_accuracy(clean.mean(), robust.mean(), attacked)), abs=1e-12
    )
    assert (each >= np.minimum(clean, robust)).all() and (each <= np.maximum(clean, robust)).all()
    assert mixed_accuracy(clean, robust, 0).tolist() == clean.tolist()
    assert mixed_accuracy(clean, robust, 1).tolist() == robust.tolist()


def test_attacking_at_random_leaves_the_mixed_accuracy() -> None:
    clean, robust, attacked = 0.8, 0.4, 0.3
    generator = make_generator(8)
    chances = torch.where(torch.rand(DRAWS, generator=generator) < attacked, robust, clean)
    right = torch.rand(DRAWS, generator=generator) < chances
    expected = float(mixed_accuracy(clean, robust, attacked))
    spread = math.sqrt(expected * (1 - expected) / DRAWS)
    assert abs(float(right.double().mean()) - expected) <= z_of(1) * spread


def test_no_more_than_all_can_be_attacked() -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        mixed_accuracy(0.8, 0.4, 1.1)


# Distances from the normal law

NUMBERS = st.floats(-6, 6, allow_subnormal=False)


@given(samples=st.lists(NUMBERS, min_size=1, max_size=60), mean=NUMBERS, scale=st.floats(0.1, 4))
@settings(max_examples=60, deadline=None)
def test_distances_are_those_of_scipy(samples: list[float], mean: float, scale: float) -> None:
    found = normal_distance(torch.tensor(samples, dtype=torch.float64), mean, scale**2)
    scores = (np.array(samples) - mean) / scale
    assert found.ks == pytest.approx(ks_1samp(scores, norm.cdf).statistic, abs=1e-9)
    levels = (np.arange(20_000) + 0.5) / 20_000
    assert found.wasserstein == pytest.approx(
        wasserstein_distance(scores, norm.ppf(levels)), abs=2e-4
    )


def test_distances_of_a_point_in_closed_form() -> None:
    found = normal_distance(torch.full((7,), 2.0), mean=2.0, variance=0.3)
    assert found.ks == pytest.approx(0.5)
    assert found.wasserstein == pytest.approx(math.sqrt(2 / math.pi))


def test_quantiles_of_a_normal_law_lie_on_the_diagonal() -> None:
    levels = (torch.arange(9999, dtype=torch.float64) + 0.5) / 9999
    samples = 3 + 2 * torch.from_numpy(norm.ppf(levels.numpy()))
    normal, measured = quantile_pairs(samples, mean=3, variance=4, points=50)
    torch.testing.assert_close(normal, measured, atol=0.01, rtol=0)
    assert (normal.diff() > 0).all()
    np.testing.assert_allclose(norm.cdf(normal.numpy()), (np.arange(50) + 0.5) / 50)


@pytest.mark.parametrize("level", [0.001, 0.05, 0.5])
def test_what_chance_leaves_is_kolmogorovs_law(level: float) -> None:
    assert chance_ks(400, level) == pytest.approx(kstwobign.isf(level) / 20)


def exact_ks(x: list[float], weights: list[float]) -> float:
    """The ks distance of a Poisson current from its normal law, over all patterns of spikes."""
    law: dict[float, float] = {}
    for pattern in itertools.product((0, 1), repeat=len(x)):
        chance = math.prod(p if spike else 1 - p for p, spike in zip(x, pattern, strict=True))
        value = round(sum(w for w, spike in zip(weights, pattern, strict=True) if spike), 9)
        law[value] = law.get(value, 0.0) + chance
    mean = sum(w * p for w, p in zip(weights, x, strict=True))
    deviation = math.sqrt(sum(w * w * p * (1 - p) for w, p in zip(weights, x, strict=True)))
    below, gap = 0.0, 0.0
    for value, chance in sorted(law.items()):
        normal = float(norm.cdf((value - mean) / deviation))
        gap = max(gap, abs(normal - below), abs(normal - below - chance))
        below += chance
    return gap


@given(inputs=st.lists(st.tuples(st.floats(0.05, 0.95), st.floats(0.1, 2)), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_no_current_is_beyond_the_ceiling(inputs: list[tuple[float, float]]) -> None:
    x, weights = (list(values) for values in zip(*inputs, strict=True))
    ceiling = berry_esseen(torch.tensor(x), torch.tensor(weights))
    assert exact_ks(x, weights) <= ceiling + 1e-6


def test_the_ceiling_of_equal_coins_falls_as_the_root() -> None:
    """At x = 1/2 the terms are +-w/2: the third moment is the variance to the power 3/2."""
    for count in (1, 4, 25):
        x, weights = torch.full((count,), 0.5), torch.full((count,), -3.0)
        assert berry_esseen(x, weights) == pytest.approx(0.56 / math.sqrt(count))


def test_poisson_currents_become_normal_with_fan_in() -> None:
    """Equal weights and coins: the exact distance is a binomial's, the draws stay near it."""
    sizes, neurons = (1, 4, 16, 64), 2
    results = fan_in_distances(
        torch.full((3,), 0.5), torch.full((2,), 1.5), sizes, DRAWS, seed=0, neurons=neurons
    )
    # Dvoretzky, Kiefer, Wolfowitz and Massart: P(sup |F_n - F| > e) <= 2 exp(-2 n e^2).
    slack = math.sqrt(math.log(2 * len(sizes) * neurons / FALSE_ALARM) / (2 * DRAWS))
    for item in results:
        law = binom(item.fan_in, 0.5)
        counts = np.arange(item.fan_in + 1)
        normal = norm.cdf((counts - law.mean()) / law.std())
        exact = max(
            np.abs(law.cdf(counts) - normal).max(), np.abs(law.cdf(counts - 1) - normal).max()
        )
        assert abs(item.poisson.ks - exact) <= slack
        assert item.chance.ks <= slack
        assert item.ceiling == pytest.approx(0.56 / math.sqrt(item.fan_in))
    distances = [item.poisson for item in results]
    for before, after in itertools.pairwise(distances):
        assert after.ks < before.ks
        assert after.wasserstein < before.wasserstein


def test_fan_in_is_seeded_and_leaves_out_what_has_no_noise() -> None:
    x, weights = torch.tensor([0.0, 1.0, 0.3]), torch.tensor([0.0, 1.0, -2.0])
    first = fan_in_distances(x, weights, (1, 2), 200, seed=1)
    assert first == fan_in_distances(x, weights, (1, 2), 200, seed=1)
    assert first != fan_in_distances(x, weights, (1, 2), 200, seed=2)
    noisy = fan_in_distances(x[2:], weights[1:], (1, 2), 200, seed=1)
    assert first == noisy


def test_currents_without_noise_are_refused() -> None:
    flat, ones = torch.tensor([0.0, 1.0]), torch.ones(2)
    for ask in (
        lambda: normal_distance(ones, 1.0, 0.0),
        lambda: berry_esseen(flat, ones),
        lambda: fan_in_distances(flat, ones, (1,), 10, seed=0),
        lambda: quantile_pairs(ones, 1.0, 0.0, 5),
    ):
        with pytest.raises(ConfigError, match="without noise"):
            ask()
