"""Operating points pair the right cells; fronts and votes are what they are by definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rsc_snn.errors import ConfigError, DataError
from rsc_snn.tradeoff import (
    WORST,
    harmonic_mean,
    harmonic_means,
    operating_points,
    pareto_front,
    vote_curve,
)
from rsc_snn.tradeoff.points import dials
from tests.tradeoff_cells import draw_right, make_point, make_result, worst_point

CLEAN = [[1, 1, 1, 0], [1, 1, 0, 0]]
ATTACKED = [[1, 0, 1, 0], [1, 0, 0, 0]]


def test_a_point_pairs_the_clean_and_the_attacked_cell() -> None:
    clean = make_result(CLEAN)
    attacked = make_result(ATTACKED, attack="pgd", epsilon=8.0, chain=(4.0,))
    (point,) = operating_points([attacked, clean], "pgd", 8.0)
    assert point.clean_result is clean and point.robust_result is attacked
    assert point.clean_scores.tolist() == [1, 1, 0.5, 0]
    assert point.robust_scores.tolist() == [1, 0, 0.5, 0]
    assert (point.clean.value, point.robust.value) == (0.625, 0.375)
    assert point.clean == clean.estimate() and point.robust == attacked.estimate()
    assert point.effective_sigma == pytest.approx(0.1)
    assert point.key == attacked.cell.key
    assert point.harmonic == pytest.approx(stats.hmean([0.625, 0.375]))
    assert point.setting == "sigma 0.2, T = 4"


@pytest.mark.parametrize(
    "other",
    [{"seed": 1}, {"sigma": 0.3}, {"time_steps": 2}, {"data": "other"}, {"sha256": "b" * 64}],
)
def test_cells_of_another_setting_are_not_paired(other: dict[str, object]) -> None:
    attacked = make_result(ATTACKED, attack="pgd", epsilon=8.0)
    assert operating_points([make_result(CLEAN, **other), attacked], "pgd", 8.0) == ()
    assert operating_points([make_result(CLEAN), attacked], "fgsm", 8.0) == ()
    assert operating_points([make_result(CLEAN), attacked], "pgd", 4.0) == ()


def test_the_worst_case_is_the_lowest_score_of_each_image() -> None:
    results = [
        make_result([1, 1, 1, 0]),
        make_result([1, 0, 1, 1], attack="fgsm", epsilon=8.0),
        make_result([0, 0, 1, 0], attack="pgd", epsilon=8.0),
        make_result([1, 1, 1, 1], time_steps=2),
        make_result([1, 1, 1, 1], attack="pgd", epsilon=8.0, time_steps=2),
    ]
    (point,) = operating_points(results, WORST, 8.0, attacks=["fgsm", "pgd"])
    assert point.time_steps == 4, "the other setting lacks FGSM"
    assert point.robust_scores.tolist() == [0, 0, 1, 0]
    assert point.robust_result is results[2]
    assert point.robust_results == (results[1], results[2])
    still = [
        make_result([1, 1, 1, 0], sigma=0.0),
        make_result([1, 0, 1, 1], sigma=0.0, attack="fgsm", epsilon=8.0),
    ]
    (weak,) = operating_points(still, WORST, 8.0, attacks=["fgsm"])
    assert weak.robust_scores.tolist() == [1, 0, 1, 0], "no better than without attack"


def test_the_upper_end_of_a_worst_case_is_the_strongest_attack_where_there_is_noise() -> None:
    clean, first, second = [[1, 1, 1, 1]] * 2, [[1, 1, 0, 0]] * 2, [[0, 1, 1, 0], [1, 0, 0, 0]]
    noisy = worst_point(clean, [first, second])
    assert noisy.robust_scores.tolist() == [0.5, 0.5, 0, 0]
    assert noisy.upper_scores.tolist() == [0.5, 0.5, 0.5, 0] and noisy.alone == 0.375
    still = worst_point(clean[:1], [first[:1], second[:1]], sigma=0.0)
    assert still.alone == 0.5, "each attack breaks another half, and there is no noise to err by"
    assert still.upper_scores.tolist() == still.robust_scores.tolist() == [0, 1, 0, 0]
    one = make_point(clean, second)
    assert one.upper_scores.tolist() == one.robust_scores.tolist()


def test_the_worst_case_of_one_attack_has_one_end() -> None:
    """With noise that attack itself; the lower score of each image would err low."""
    clean, attack = [[1, 1, 1, 0], [1, 0, 1, 1]], [[1, 0, 0, 1], [0, 1, 1, 0]]
    one = worst_point(clean, [attack])
    assert one.robust_scores.tolist() == one.upper_scores.tolist() == [0.5, 0.5, 0.5, 0.5]
    assert (one.robust.value, one.alone) == (0.5, 0.5)
    weak = worst_point(attack, [clean])
    assert weak.robust_scores.tolist() == weak.upper_scores.tolist() == [0.5] * 4
    assert weak.robust.value == 0.5 < weak.alone == 0.75, "no attack does more harm"


def test_the_upper_end_of_a_worst_case_is_no_more_than_the_clean_accuracy() -> None:
    clean, strong, weak = [[1, 0, 1, 0]] * 2, [[1, 1, 1, 0], [1, 1, 0, 0]], [[1, 1, 1, 1]] * 2
    point = worst_point(clean, [weak, strong])
    assert point.alone == 0.625 and point.robust_result is point.robust_results[1]
    assert point.upper_scores.tolist() == [1, 0, 1, 0]
    assert point.robust_scores.tolist() == [1, 0, 0.5, 0]


def test_votes_are_over_the_draws_that_there_are() -> None:
    clean = make_result([[1, 0], [0, 0], [1, 1]])
    attacked = make_result([[0, 0], [1, 0], [1, 0]], attack="pgd", epsilon=8.0)
    (all_three,) = operating_points([clean, attacked], "pgd", 8.0, "vote")
    (first,) = operating_points([clean, attacked], "pgd", 8.0, "vote", 1)
    assert all_three.robust_scores.tolist() == [1, 0]
    assert first.robust_scores.tolist() == [0, 0] and first.clean_scores.tolist() == [1, 0]
    assert first.robust == attacked.estimate("vote", 1)
    assert operating_points([clean, attacked], "pgd", 8.0, "vote", 4) == ()
    once = [make_result([1, 1]), make_result([1, 0], attack="pgd", epsilon=8.0)]
    assert operating_points(once, "pgd", 8.0, "vote", 4) == (), "one draw of many possible ones"
    assert len(operating_points(once, "pgd", 8.0, "vote", 1)) == 1
    still = [make_result([1, 1], sigma=0.0)]
    still.append(make_result([1, 0], sigma=0.0, attack="pgd", epsilon=8.0))
    (ann,) = operating_points(still, "pgd", 8.0, "vote", 4)
    assert ann.robust.value == 0.5, "without noise one pass is any vote"


def test_of_several_grids_the_longest_chain_counts() -> None:
    clean = make_result(CLEAN)
    short = make_result(ATTACKED, attack="pgd", epsilon=8.0)
    long = make_result(ATTACKED, attack="pgd", epsilon=8.0, chain=(2.0, 4.0))
    for results in ([clean, short, long], [long, short, clean]):
        assert [point.robust_result for point in operating_points(results, "pgd", 8.0)] == [long]


@pytest.mark.parametrize("turned", [False, True])
def test_of_equally_long_chains_that_of_larger_epsilons_counts(turned: bool) -> None:
    low = make_result([1, 1, 1, 0], attack="pgd", epsilon=8.0, chain=(1.0, 4.0))
    high = make_result([1, 0, 0, 0], attack="pgd", epsilon=8.0, chain=(2.0, 4.0))
    results = [make_result([1, 1, 1, 1]), low, high]
    (point,) = operating_points(results[::-1] if turned else results, "pgd", 8.0)
    assert point.robust_result is high


@pytest.mark.parametrize("turned", [False, True])
def test_points_at_one_setting_do_not_depend_on_the_order_of_the_results(turned: bool) -> None:
    results = [
        make_result(ATTACKED, attack=attack, epsilon=epsilon, seed=seed)
        for seed in range(6)
        for attack, epsilon in (("none", 0.0), ("pgd", 8.0))
    ]
    points = operating_points(results[::-1] if turned else results, "pgd", 8.0)
    keys = sorted(result.cell.key for result in results if result.cell.attack == "pgd")
    assert [point.key for point in points] == keys
    ((shown,),) = dials(points[::-1] if turned else points)
    assert shown.key == keys[-1]


def test_several_parameters_need_a_choice() -> None:
    clean = make_result(CLEAN)
    attacked = [
        make_result(ATTACKED, attack="pgd", epsilon=8.0, parameters=(("steps", steps),))
        for steps in (10, 20)
    ]
    with pytest.raises(DataError, match="several parameters at epsilon 8"):
        operating_points([clean, *attacked], "pgd", 8.0)
    (point,) = operating_points([clean, *attacked], "pgd", 8.0, parameters={"steps": 20})
    assert point.robust_result is attacked[1]
    assert operating_points([clean, *attacked], "pgd", 8.0, parameters={"eot_draws": 1}) == ()


def test_bad_requests() -> None:
    clean = make_result(CLEAN)
    attacked = make_result(ATTACKED, attack="pgd", epsilon=8.0)
    other = replace(attacked, labels=attacked.labels[::-1].copy())
    with pytest.raises(DataError, match="same images"):
        operating_points([clean, other], "pgd", 8.0)
    with pytest.raises(ConfigError, match="at least one attack"):
        operating_points([clean], WORST, 8.0)
    with pytest.raises(ConfigError, match="one pass or more"):
        operating_points([clean, attacked], "pgd", 8.0, "vote", 0)


def test_points_come_by_model_time_steps_and_sigma() -> None:
    wanted = [("b", 0.2, 4), ("a", 0.2, 2), ("a", 0.1, 4), ("a", None, 2), ("a", 0.0, 2)]
    results = [
        make_result(ATTACKED, model=model, sigma=sigma, time_steps=steps, **attack)
        for model, sigma, steps in wanted
        for attack in ({}, {"attack": "pgd", "epsilon": 8.0})
    ]
    found = [(p.model, p.sigma, p.time_steps) for p in operating_points(results, "pgd", 8.0)]
    assert found == [("a", None, 2), ("a", 0.0, 2), ("a", 0.2, 2), ("a", 0.1, 4), ("b", 0.2, 4)]


_tables = st.lists(st.booleans(), min_size=4, max_size=4)


@given(st.lists(st.tuples(_tables, _tables), max_size=8))
@settings(max_examples=30, deadline=None)
def test_the_front_is_what_no_point_dominates(tables: list[tuple[list[bool], list[bool]]]) -> None:
    points = [make_point(clean, robust) for clean, robust in tables]
    values = [(point.clean.value, point.robust.value) for point in points]
    wanted = sorted(
        value
        for value in values
        if not any(
            other != value and other[0] >= value[0] and other[1] >= value[1] for other in values
        )
    )
    front = pareto_front(points)
    assert [(point.clean.value, point.robust.value) for point in front] == wanted


def test_the_harmonic_mean() -> None:
    assert harmonic_mean(0.8, 0.4) == pytest.approx(stats.hmean([0.8, 0.4]))
    assert harmonic_mean(0.0, 0.0) == 0 and harmonic_mean(0.9, 0.0) == 0


def test_the_interval_of_the_harmonic_mean_is_that_of_a_paired_bootstrap() -> None:
    rates = np.random.default_rng(3).random(200)
    points = [
        make_point(draw_right(rates, 5, 1), draw_right(rates / 3, 5, 2), sigma=0.1),
        make_point(draw_right(rates, 5, 3), draw_right(rates / 2, 5, 4), sigma=0.2),
    ]
    found = harmonic_means(points)
    for point in points:
        peer = stats.bootstrap(
            (point.clean_scores, point.robust_scores),
            lambda a, r, axis: stats.hmean([a.mean(axis=axis), r.mean(axis=axis)], axis=0),
            paired=True,
            n_resamples=9999,
            method="percentile",
            rng=0,
        ).confidence_interval
        estimate = found[point.key]
        assert estimate.value == point.harmonic and estimate.n == 200
        assert (estimate.lower, estimate.upper) == pytest.approx((peer.low, peer.high), abs=0.005)
    # Of images that are all wrong, drawing again shows nothing but 0.
    fallen = make_point(np.arange(8) < 6, np.zeros(8, bool))
    found = harmonic_means([fallen])
    assert found[fallen.key].value == found[fallen.key].lower == 0
    assert found[fallen.key].upper == pytest.approx(
        stats.hmean([fallen.clean.upper, fallen.robust.upper])
    )
    assert harmonic_means([]) == {}


@pytest.mark.parametrize(("n", "draws", "sure"), [(50, 16, 0.03), (100, 4, 0.02)])
def test_the_interval_of_the_harmonic_mean_covers_where_few_images_decide(
    n: int, draws: int, sure: float
) -> None:
    """Under attack few images are right for sure, the others by chance: few or none is drawn."""
    random, covered = np.random.default_rng(0), 0
    truth = harmonic_mean(0.8, sure + (1 - sure) * 0.05)
    for seed in range(100):
        rates = np.where(random.random(n) < sure, 1.0, 0.05)
        clean = draw_right(np.full(n, 0.8), draws, 2 * seed)
        point = make_point(clean, draw_right(rates, draws, 2 * seed + 1))
        estimate = harmonic_means([point])[point.key]
        covered += estimate.lower <= truth <= estimate.upper
    assert covered >= 94


def test_a_vote_over_one_pass_is_a_single_pass_and_over_all_the_vote() -> None:
    result = make_result(draw_right(np.linspace(0.1, 0.9, 50), 9, seed=0))
    curve = vote_curve(result)
    assert [point.passes for point in curve] == [1, 3, 5, 7, 9]
    assert [point.groups for point in curve] == [9, 3, 1, 1, 1]
    assert curve[0].estimate.value == pytest.approx(result.estimate().value)
    assert curve[-1].estimate == result.estimate("vote")


def test_votes_follow_the_binomial_law() -> None:
    # One wrong class alone, so that a vote over m is right if more than half of the draws are.
    rates = np.repeat([0.6, 0.3], 600)
    result = make_result(draw_right(rates, 15, seed=1))
    for point in vote_curve(result, [1, 3, 5]):
        wanted = stats.binom.sf(point.passes // 2, point.passes, rates).mean()
        # At most the deviation of 1,200 coins, at a false alarm rate of 1e-6.
        assert point.estimate.value == pytest.approx(wanted, abs=4.9 * 0.5 / 1200**0.5)
        assert point.estimate.n == 1200


@pytest.mark.parametrize("m", [0, 3])
def test_a_vote_over_draws_that_are_not_there_is_refused(m: int) -> None:
    with pytest.raises(ConfigError, match="from 1 to the 2 stored"):
        vote_curve(make_result(CLEAN), [m])
