"""Image noise and coding noise: closed forms, a known law, and another library."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from rsc_snn.errors import ConfigError, DataError
from rsc_snn.sweep.cells import CLEAN
from rsc_snn.tradeoff import attack_cost, variance_components
from tests.tradeoff_cells import draw_right, make_result

# The simulation's means may lie this many standard errors off: a false alarm in a million runs.
FAR = float(stats.norm.isf(5e-7))


def test_components_of_a_beta_binomial_law() -> None:
    """Rates from Beta(2, 1): variance 1/18 between images, mean p(1-p) = 1/6 within, ICC 1/4."""
    images, coding, errors = [], [], []
    for trial in range(80):
        rates = np.random.default_rng(trial).beta(2, 1, 150)
        found = variance_components(make_result(draw_right(rates, 6, 1000 + trial)))
        images.append(found.image_sd**2)
        coding.append(found.coding_sd**2)
        errors.append(found.se**2)
    for values, truth in ((images, 1 / 18), (coding, 1 / 6), (errors, (1 / 18 + 1 / 36) / 150)):
        assert abs(np.mean(values) - truth) < FAR * stats.sem(values)


def test_the_share_is_within_its_interval_as_often_as_it_says() -> None:
    inside = 0
    for trial in range(80):
        rates = np.random.default_rng(trial).beta(2, 1, 150)
        found = variance_components(make_result(draw_right(rates, 6, 5000 + trial)))
        inside += found.icc_lower <= 0.25 <= found.icc_upper
    assert inside >= stats.binom.ppf(1e-6, 80, 0.92)


def test_they_are_those_of_a_mixed_model() -> None:
    right = draw_right(np.random.default_rng(0).beta(1, 1, 60), 5, 1)
    table = pd.DataFrame({"y": right.T.ravel().astype(float), "image": np.repeat(range(60), 5)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = sm.MixedLM.from_formula("y ~ 1", table, groups="image").fit(reml=True)
    found = variance_components(make_result(right))
    # For balanced data the analysis of variance is the restricted maximum likelihood.
    assert found.image_sd**2 == pytest.approx(float(peer.cov_re.iloc[0, 0]), rel=1e-3)
    assert found.coding_sd**2 == pytest.approx(float(peer.scale), rel=1e-3)
    assert found.se == pytest.approx(float(peer.bse["Intercept"]), rel=1e-3)


def test_the_parts_add_up_to_the_standard_error_over_images() -> None:
    right = draw_right(np.linspace(0, 1, 40), 8, 2)
    found = variance_components(make_result(right))
    assert found.se == pytest.approx(stats.sem(right.mean(axis=0)))
    assert found.se == pytest.approx(found.se_at(40, 8))
    assert found.se_images == pytest.approx(found.se_at(40, float("inf")))


def test_draws_that_agree_have_no_coding_noise() -> None:
    found = variance_components(make_result([[1, 0, 1, 1]] * 3))
    assert found.coding_sd == 0 and found.icc == 1 and found.se_coding == 0
    assert found.image_sd == pytest.approx(np.std([1, 0, 1, 1], ddof=1))
    assert found.best_draws(100) == 1
    ann = variance_components(make_result([1, 0, 1, 1], coding="direct", sigma=None))
    assert ann.image_sd == found.image_sd and ann.coding_sd == 0
    assert variance_components(make_result([1, 1, 1], sigma=0.0)).icc == 1


def test_images_that_agree_have_no_image_noise() -> None:
    found = variance_components(make_result([[1, 0, 1, 0], [0, 1, 0, 1]]))
    assert found.image_sd == 0 and found.icc == 0
    assert found.best_draws(10) is None


@pytest.mark.parametrize("cost", [0.5, 4.0, 30.0, 500.0])
def test_the_best_number_of_draws_by_trying_all(cost: float) -> None:
    found = variance_components(make_result(draw_right(np.linspace(0.2, 0.9, 60), 6, 3)))
    effort = 10_000.0

    def error(draws: int) -> float:
        return found.se_at(1, draws) / (effort / (cost + draws)) ** 0.5

    assert found.best_draws(cost) == min(range(1, 200), key=error)


def test_what_cannot_be_told() -> None:
    with pytest.raises(DataError, match="two draws"):
        variance_components(make_result([1, 0, 1]))
    with pytest.raises(DataError, match="two images"):
        variance_components(make_result([[1], [0]]))
    found = variance_components(make_result([[1, 0], [1, 1]]))
    with pytest.raises(ConfigError, match="above 0"):
        found.best_draws(0)
    with pytest.raises(ConfigError, match="one draw or more"):
        found.se_at(1, 0)


@pytest.mark.parametrize(
    ("attack", "attacked", "queries", "cost"),
    [
        # All 8 passes for the broken image, one for each of those that are always right.
        ("eot_pgd", 4, 400, 300 + 11 / 4),
        ("eot_pgd", 3, 300, 300 + 3 / 3),
        ("square", 4, 400, 100 + 11 / 4),
        ("pgd", 0, 0, 0.0),
        (CLEAN, 0, 0, 0.0),
    ],
)
def test_what_an_attack_takes_for_an_image(
    attack: str, attacked: int, queries: int, cost: float
) -> None:
    """A pass with its gradient counts as three; images that were broken before have no part."""
    result = make_result([[1, 0, 1, 1]] * 2, attack=attack, epsilon=0.0 if attack == CLEAN else 4.0)
    assert attack_cost(replace(result, attacked=attacked, queries=queries)) == cost


def test_passes_that_tell_whether_an_image_is_broken_are_those_of_their_rounds() -> None:
    """Without noise there are none; one right half of the time takes 1, 2, 4 or 8 of them."""
    half = make_result([[1], [0]], attack="fgsm", epsilon=4.0)
    assert attack_cost(replace(half, queries=1)) == 3 + 1 + 1 / 2 + 2 / 4 + 4 / 16
    still = make_result([[1]], attack="fgsm", epsilon=4.0, sigma=0.0)
    assert attack_cost(replace(still, queries=1)) == 3


@pytest.mark.parametrize(("right", "known"), [(2, False), (9, False), (10, True), (291, False)])
def test_few_images_that_are_right_or_wrong_give_no_interval(right: int, known: bool) -> None:
    """Where all draws of an image agree, drawing images again shows nothing but a share of 1."""
    found = variance_components(make_result([np.arange(300) < right] * 5))
    assert found.icc == 1 and found.has_interval == known
    assert np.isnan(found.icc_lower) == np.isnan(found.icc_upper) != known
