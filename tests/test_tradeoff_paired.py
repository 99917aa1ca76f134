"""Differences on the same images, against other libraries, brute force and simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from rsc_snn.errors import DataError
from rsc_snn.resampling import RESAMPLES, resampled_means
from rsc_snn.tradeoff.paired import Difference, between, differences, holm

FALSE_ALARM = 1e-6  # of each test that simulates


def test_holm_is_that_of_statsmodels() -> None:
    ps = [*(np.random.default_rng(0).random(40) ** 6), 0.001, 0.001, 1.0, 0.0]
    np.testing.assert_allclose(holm(ps), multipletests(ps, method="holm")[1], rtol=1e-12)
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(deadline=None)
def test_holm_rejects_as_its_steps_do(ps: list[float]) -> None:
    """The smallest p is held against 0.05 / K, the next against 0.05 / (K - 1), until one fails."""
    order, rejected = np.argsort(ps, kind="stable"), set()
    for rank, place in enumerate(order):
        if not ps[place] * (len(ps) - rank) < 0.05:
            break
        rejected.add(int(place))
    assert {place for place, p in enumerate(holm(ps)) if p < 0.05} == rejected


def test_value_and_interval_are_those_of_scipy() -> None:
    columns = np.random.default_rng(0).integers(-4, 6, (120, 3)) / 5
    for column, found in zip(columns.T, differences(columns), strict=True):
        peer = stats.bootstrap(
            (column,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=1
        ).confidence_interval
        # Two quantiles of 9,999 resamples each, of a standard error of about 0.05.
        assert found.value == pytest.approx(column.mean())
        assert (found.lower, found.upper) == pytest.approx((peer.low, peer.high), abs=0.01)
        assert found.n == 120 and found.comparisons == 3


@pytest.mark.parametrize(
    ("n", "share"), [(5, 0.06), (25, 0.08), (60, 0.03), (100, 0.1), (300, 0.01), (300, 0.03)]
)
def test_intervals_of_rare_differences_cover(n: int, share: float) -> None:
    """Where the bootstrap alone sees nothing: each side misses in 2.5 % at most.

    Exact, without a simulation: an interval depends on how many of the n images differ, the law of
    which is binomial.
    """
    counts = np.arange(n + 1)
    found = differences((np.arange(n)[:, None] < counts).astype(np.float64))
    chances = stats.binom.pmf(counts, n, share)
    below = sum(chances[count] for count in counts if found[count].upper < share)
    above = sum(chances[count] for count in counts if found[count].lower > share)
    assert below <= 0.025 and above <= 0.025


@pytest.mark.parametrize(
    ("n", "gained", "lost"), [(8, 0.4, 0.4), (9, 0.5, 0.3), (9, 0.45, 0.45), (9, 0.2, 0.2)]
)
def test_intervals_of_few_images_that_gain_and_lose_cover(
    n: int, gained: float, lost: float
) -> None:
    """Exact: how many gain, lose and stay follows the multinomial law."""
    counts = [(up, down) for up in range(n + 1) for down in range(n + 1 - up)]
    place = np.arange(n)[:, None]
    ups, downs = np.array(counts).T
    found = differences((place < ups).astype(float) - (place >= n - downs))
    law = stats.multinomial(n, [gained, lost, 1 - gained - lost])
    covered = sum(
        law.pmf([up, down, n - up - down])
        for (up, down), each in zip(counts, found, strict=True)
        if each.lower <= gained - lost <= each.upper
    )
    assert covered >= 0.92


@pytest.mark.parametrize(("n", "draws", "share"), [(50, 16, 0.03), (100, 5, 0.01)])
@pytest.mark.parametrize("sign", [1, -1])
def test_intervals_cover_where_noise_hides_how_few_images_differ(
    n: int, draws: int, share: float, sign: int
) -> None:
    """Few images gain by 1, of which samples may have none; all others differ by a draw or so."""
    random = np.random.default_rng(0)
    noise = random.integers(-1, 2, (n, 400)) / draws
    columns = sign * np.where(random.random((n, 400)) < share, 1.0, noise)
    found = differences(columns)
    covered = sum(each.lower <= sign * share <= each.upper for each in found)
    assert covered >= 0.94 * 400


def test_where_all_images_gain_as_much_the_interval_is_no_point() -> None:
    (found,) = differences(np.ones((20, 1)))
    assert found.value == found.upper == 1 and 0.7 < found.lower < 0.9


@given(
    st.lists(st.sampled_from([-1.0, -0.4, 0.0, 0.2, 1.0]), min_size=1, max_size=9),
    st.integers(0, 40),
)
@settings(max_examples=40, deadline=None)
def test_the_interval_of_few_differences(differ: list[float], same: int) -> None:
    """Newcombe's, from Wilson's intervals of what is gained and lost, solved for here."""
    column = np.array([*differ, *([0.0] * same)])
    (found,) = differences(column[:, None])
    z, n = stats.norm.ppf(0.975), len(column)

    def ends(share: float) -> np.ndarray:
        """Where a share is z standard errors, at that share, from the one that was seen."""
        return np.sort(np.roots([1 + z**2 / n, -2 * share - z**2 / n, share**2]).real)

    gained, lost = np.maximum(column, 0).mean(), np.maximum(-column, 0).mean()
    (low, high), (least, most) = ends(gained), ends(lost)
    odds = gained / (1 - gained) * lost / (1 - lost) if gained < 1 and lost < 1 else 0.0
    phi = min(odds**0.5, 1.0)

    def away(one: float, other: float) -> float:
        return (one**2 + other**2 + 2 * phi * one * other) ** 0.5

    below, above = away(gained - low, most - lost), away(high - gained, lost - least)
    assert found.lower == pytest.approx(max(column.mean() - below, -1), abs=1e-6)
    assert found.upper == pytest.approx(min(column.mean() + above, 1), abs=1e-6)
    assert -1 <= found.lower <= found.value <= found.upper <= 1


@given(up=st.integers(0, 9), down=st.integers(0, 9), same=st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_right_or_wrong_is_tested_by_mcnemars_exact_test(up: int, down: int, same: int) -> None:
    column = np.array([1.0] * up + [-1.0] * down + [0.0] * same)
    (found,) = differences(column[:, None])
    wanted = stats.binomtest(up, up + down).pvalue if up + down else 1.0
    assert found.test == "McNemar"
    assert found.p == pytest.approx(wanted)


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_shares_are_tested_by_turning_signs(shift: int) -> None:
    column = (np.random.default_rng(shift).integers(-5, 6, 10) + shift) / 10
    (found,) = differences(column[:, None])
    sums = np.array([np.dot(signs, column) for signs in product((-1, 1), repeat=10)])
    exact = float((np.abs(sums) >= abs(column.sum()) - 1e-9).mean())
    spread = (exact * (1 - exact) / RESAMPLES) ** 0.5
    assert found.test == "sign flips"
    assert found.p == pytest.approx(exact, abs=5 * spread + 1 / RESAMPLES)


def test_without_a_difference_five_in_a_hundred_tests_speak_and_after_holm_none() -> None:
    columns = np.random.default_rng(2).integers(-5, 6, (60, 500)) / 10
    found = differences(columns)
    most = stats.binom.isf(FALSE_ALARM, 500, 0.05)
    assert sum(each.p < 0.05 for each in found) <= most
    assert not any(each.significant for each in found)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    columns = np.random.default_rng(3).normal(0.1, 0.3, (150, 500))
    covered = sum(each.lower <= 0.1 <= each.upper for each in differences(columns))
    # A percentile interval of 150 values is a little short: 94.5 %.
    assert stats.binom.ppf(FALSE_ALARM, 500, 0.94) <= covered


def test_the_same_columns_give_the_same_bits_and_share_their_resamples() -> None:
    columns = np.random.default_rng(4).normal(size=(40, 2))
    both = resampled_means(columns)
    assert np.array_equal(both, resampled_means(columns))
    np.testing.assert_allclose(
        both.sum(axis=1), resampled_means(columns.sum(axis=1)[:, None])[:, 0]
    )
    assert both.shape == (RESAMPLES, 2)


def test_a_resampled_mean_of_zero_is_zero_whatever_the_order_of_summation() -> None:
    column = np.array([0.8 - 0.6, 0.6 - 0.8, 0.2, -0.2, 0.4 - 0.2, 0.2 - 0.4] * 10)[:, None]
    means = resampled_means(column)
    assert (means == 0).sum() > 300
    assert not ((means != 0) & (np.abs(means) < 1e-9)).any()


def test_many_images_are_resampled_in_parts() -> None:
    column = np.random.default_rng(5).normal(size=(1000, 1))
    means = resampled_means(column)
    assert means.shape == (RESAMPLES, 1)
    assert means.std() == pytest.approx(column.std() / 1000**0.5, rel=0.05)


def ended(low: list[float], middle: list[float], high: list[float]) -> tuple[Difference, ...]:
    """One difference that is known between two ends, and one that is 0 beside it."""
    columns = [
        np.stack([np.array(side), np.zeros(len(side))], axis=1) for side in (low, middle, high)
    ]
    least, found, most = map(differences, columns)
    return between(found, least, most)


def test_a_difference_between_two_ends_must_hold_at_both() -> None:
    none, some, more = [0.0] * 100, [1.0] * 30 + [0.0] * 70, [1.0] * 60 + [0.0] * 40
    alone, _ = ended(none, some, more)
    assert alone.value == 0.3 and not alone.significant and alone.apart and alone.p == 1
    assert alone.noise == "the ends of the worst case"
    both, zero = ended(some, some, more)
    assert both.significant and not both.apart and not zero.apart
    assert both.p == pytest.approx(2 * 0.5**30), "the larger of two"
    assert both.adjusted == pytest.approx(2 * both.p), "of two comparisons"
    least, most = (differences(np.array(side)[:, None])[0] for side in (some, more))
    assert (both.lower, both.upper) == (least.lower, most.upper)
    against, _ = ended([-value for value in some], some, more)
    assert not against.significant and against.apart and against.p == 1
    other = both.opposite()
    assert (other.lower, other.upper, other.p) == (-both.upper, -both.lower, both.p)


def test_between_two_equal_ends_is_the_difference_itself() -> None:
    columns = np.random.default_rng(6).integers(-5, 6, (80, 7)) / 5
    columns[:, 0] = np.repeat([1.0, -1.0], 40)
    found = differences(columns)
    assert between(found, found, found) == found


def test_the_larger_p_of_two_ends_is_corrected() -> None:
    """Each of two differences is sure at one end and has p = 0.031 at the other."""
    sure, weak = [1.0] * 20 + [0.0] * 80, [1.0] * 6 + [0.0] * 94
    one, other = (differences(np.stack(pair, axis=1)) for pair in ((sure, weak), (weak, sure)))
    assert all(end.significant for end in (*one, *other)), "the smaller p goes first"
    found = between(one, one, other)
    assert [each.adjusted for each in found] == pytest.approx([4 * 0.5**6] * 2)
    assert not any(each.significant or each.apart for each in found)


def test_many_comparisons_hide_nothing_that_the_test_alone_does_not_see() -> None:
    """Of 32 images 22 gain, 10 lose: the interval leaves out 0, but p = 0.0501."""
    column = np.array([1.0] * 22 + [-1.0] * 10 + [0.0] * 168)
    found, *_ = differences(np.stack([column, *[0 * column] * 9], axis=1))
    assert found.lower > 0 and found.p > 0.05
    assert found.noise == "the noise"
    seen, *_ = differences(np.stack([abs(column), *[0 * column] * 9], axis=1))
    assert seen.significant


def test_the_opposite_and_no_images() -> None:
    (found,) = differences(np.array([[1.0], [1.0], [0.0], [1.0]]))
    other = found.opposite()
    assert (other.value, other.lower, other.upper) == (-0.75, -found.upper, -found.lower)
    assert other.p == found.p
    assert differences(np.empty((4, 0))) == ()
    with pytest.raises(DataError, match="no images"):
        differences(np.empty((0, 1)))
