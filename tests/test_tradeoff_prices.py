"""Prices of the dial: numbers of a hand-made table, an independent bootstrap, true sentences."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rsc_snn.errors import DataError
from rsc_snn.tradeoff import OperatingPoint, Price, holm, in_tenths, prices_of_dial, qte
from rsc_snn.tradeoff.paired import differences
from rsc_snn.tradeoff.points import dials
from tests.tradeoff_cells import draw_right, make_point, quiet_and_noisy, worst_point

N = 200


def marginal_prices(*points: OperatingPoint) -> tuple[Price, ...]:
    """The prices of the one dial that the points make."""
    (dial,) = dials(points)
    return prices_of_dial(dial)[0]


def point(sigma: float | None, clean: int, robust: int, **changes: Any) -> OperatingPoint:
    """A point at which the first `clean` and `robust` of 200 images are right."""
    images = np.arange(N)
    return make_point(images < clean, images < robust, sigma=sigma, **changes)


def test_gain_over_loss_of_a_table_by_hand() -> None:
    found = qte(point(0.1, 160, 40), point(0.2, 140, 70))
    assert found.defined and found.bounded
    assert found.paid.value == pytest.approx(0.1) and found.gained.value == pytest.approx(0.15)
    assert found.value == pytest.approx(1.5)
    assert found.lower < 1.5 < found.upper
    assert found.paid.p == pytest.approx(2 * 0.5**20) and found.paid.test == "McNemar"
    assert "buys 1.50 points of robustness" in found.sentence()


def test_the_interval_is_that_of_a_paired_bootstrap() -> None:
    rates = np.random.default_rng(0).random(N)
    before = make_point(draw_right(rates, 5, 1), draw_right(rates / 3, 5, 2), sigma=0.1)
    after = make_point(draw_right(rates * 0.8, 5, 3), draw_right(rates / 2, 5, 4), sigma=0.2)
    found = qte(before, after)
    paid = before.clean_scores - after.clean_scores
    gained = after.robust_scores - before.robust_scores
    peer = stats.bootstrap(
        (gained, paid),
        lambda r, a, axis: r.mean(axis=axis) / np.maximum(a.mean(axis=axis), 1 / (5 * N)),
        paired=True,
        n_resamples=9999,
        method="percentile",
        rng=0,
    ).confidence_interval
    assert found.value == pytest.approx(gained.mean() / paid.mean())
    assert (found.lower, found.upper) == pytest.approx((peer.low, peer.high), rel=0.05)
    assert found.paid.test == "sign flips"


def test_prices_and_ratios_of_a_dial_are_corrected_together() -> None:
    dial = [point(0.1, 160, 40), point(0.2, 149, 51), point(0.3, 140, 57), point(0.4, 139, 58)]
    prices, ratios = prices_of_dial(dial)
    for ratio, after in zip(ratios, dial[1:], strict=True):
        alone = qte(dial[0], after)
        assert (ratio.value, ratio.lower, ratio.upper) == (alone.value, alone.lower, alone.upper)
    assert ratios[0] is prices[0].qte, "the first step is from the start"
    # Two differences of each of three steps, and what two more settings cost against the start.
    read = [test for price in prices for test in (price.paid, price.gained)]
    read += [ratio.paid for ratio in ratios[1:]]
    assert {difference.comparisons for difference in read} == {8}
    assert [d.adjusted for d in read] == pytest.approx(holm([d.p for d in read]))
    assert prices_of_dial(dial[:1]) == ((), ())
    assert len(prices_of_dial(dial[:2])[1]) == 1


def test_tenths_of_a_finer_dial() -> None:
    dial = [point(0.05 * step, 160, 40) for step in range(11)]
    found = [each.sigma for each in in_tenths(dial)]
    assert found == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert in_tenths([point(0.25, 160, 40)]) == []


@pytest.mark.parametrize("clean", [160, 170])
def test_where_nothing_is_paid_there_is_no_ratio(clean: int) -> None:
    found = qte(point(0.1, 160, 40), point(0.2, clean, 70))
    assert not found.defined and not found.bounded
    assert np.isnan([found.value, found.lower, found.upper]).all()
    assert "No accuracy was paid" in found.sentence()


def test_a_loss_that_may_be_nothing_gives_no_known_ratio() -> None:
    found = qte(point(0.1, 160, 40), point(0.2, 158, 70))
    assert found.defined and not found.bounded
    assert found.value == pytest.approx(15)
    assert "may be nothing" in found.sentence()


def test_a_loss_that_many_comparisons_hide_gives_no_known_ratio() -> None:
    """17 images lost and 4 won have p = 0.007: sure alone, chance among twenty differences."""
    images = np.arange(N)
    before = point(0.0, 160, 40)
    after = make_point((images >= 17) & (images < 164), images < 70, sigma=0.1)
    assert qte(before, after).bounded
    others = [point(sigma, 160, 40) for sigma in np.linspace(0.2, 1, 9).tolist()]
    found = prices_of_dial([before, after, *others])[1][0]
    assert found.paid.lower > 0 and found.defined and not found.bounded
    assert found.value == qte(before, after).value and "not known" in found.sentence()


@pytest.mark.parametrize(("clean", "robust"), [(140, 40), (140, 49), (140, 31), (153, 70)], ids=str)
def test_few_images_that_differ_give_a_ratio_no_interval(clean: int, robust: int) -> None:
    """Of images that do not differ the bootstrap shows nothing, such as 0.00 (0.00 to 0.00)."""
    found = qte(point(0.1, 160, 40), point(0.2, clean, robust))
    assert found.paid.significant and found.defined and found.few and not found.bounded
    assert np.isnan(found.lower) and np.isnan(found.upper)
    assert found.value == pytest.approx((robust - 40) / (160 - clean))
    assert "fewer than 10 images differ" in found.sentence()
    assert not qte(point(0.1, 160, 40), point(0.2, 140, 50)).few


def test_the_interval_of_a_ratio_covers_where_noise_hides_how_few_images_differ() -> None:
    """A tenth of accuracy is paid; three in a hundred images are gained for sure, if any is drawn.

    All others have a chance of 0.05 before and after.
    """
    covered, known, draws, n = 0, 0, 16, 100
    for seed in range(80):
        sure = np.random.default_rng(seed).random(n) < 0.03
        before, weak, after, strong = (
            draw_right(rates, draws, 4 * seed + place)
            for place, rates in enumerate(
                (np.full(n, 0.9), np.full(n, 0.05), np.full(n, 0.8), np.where(sure, 1.0, 0.05))
            )
        )
        found = qte(make_point(before, weak, sigma=0.1), make_point(after, strong, sigma=0.2))
        known += found.bounded
        covered += found.bounded and found.lower <= 0.03 * 0.95 / 0.1 <= found.upper
    assert known > 70 and covered >= 0.93 * known


def test_robustness_lost_as_well_is_said_so() -> None:
    found = qte(point(0.1, 160, 70), point(0.2, 140, 40))
    assert found.value == pytest.approx(-1.5)
    assert "lost as well: 1.50 points" in found.sentence()


def test_prices_go_from_each_sigma_to_the_next() -> None:
    prices = marginal_prices(point(0.2, 140, 70), point(0.1, 160, 40), point(0.4, 120, 72))
    assert [(p.before.sigma, p.after.sigma) for p in prices] == [(0.1, 0.2), (0.2, 0.4)]
    np.testing.assert_allclose([p.paid.value for p in prices], [0.1, 0.1])
    np.testing.assert_allclose([p.gained.value for p in prices], [0.15, 0.01])
    for price in prices:
        alone = qte(price.before, price.after)
        assert price.qte.value == pytest.approx(alone.value)
        assert price.gained.p == alone.gained.p <= price.gained.adjusted


@pytest.mark.parametrize(
    ("clean", "robust", "words"),
    [
        (140, 70, r"you pay 10\.0 points \(.* to .*\) of accuracy for 15\.0 \(.*\) of robustness"),
        (140, 42, r"you lose 10\.0 points .* accuracy; the difference in robustness is within the"),
        (158, 70, r"you gain 15\.0 points .* robustness; the difference in accuracy is within the"),
        (158, 42, r"the difference is within the noise: accuracy -1\.0 \(-3\.6 to 1\.0\), rob"),
        (180, 20, r"you pay 10\.0 points .* of robustness for 10\.0 .* of accuracy"),
        (180, 70, r"you gain 10\.0 points .* of accuracy and gain 15\.0 points .* of robustness"),
        (140, 20, r"you lose 10\.0 points .* of accuracy and lose 10\.0 points .* of robustness"),
    ],
)
def test_the_sentence_says_what_happened(clean: int, robust: int, words: str) -> None:
    (price,) = marginal_prices(point(0.1, 160, 40), point(0.2, clean, robust))
    assert price.sentence().startswith("From sigma 0.1 to 0.2 at T = 4 ")
    assert re.search(words, price.sentence()), price.sentence()


def test_a_difference_that_many_comparisons_hide_is_said_to_be_hidden_by_them() -> None:
    lone = [point(0.1, 160, 40), point(0.2, 153, 70)]
    (price,) = marginal_prices(*lone)
    assert price.paid.significant
    flat = [point(sigma, 160, 70) for sigma in np.linspace(0.3, 0.8, 6).tolist()]
    among, *_ = marginal_prices(*lone, *flat)
    assert among.paid.lower > 0 and not among.paid.significant
    assert "in accuracy is within the noise of 20 comparisons" in among.sentence()


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_does_not_change_a_worst_case(seed: int) -> None:
    """Half of the images withstand at both settings; the lowest of three noisy scores errs low."""
    quiet, noisy = quiet_and_noisy(seed)
    assert quiet.robust.value == 0.5 and noisy.robust.value < 0.4 < 0.45 < noisy.alone < 0.55
    lowest, *_ = differences((noisy.robust_scores - quiet.robust_scores)[:, None])
    assert lowest.significant, "by each image's lowest score alone"
    for pair in ((quiet, noisy), (noisy, quiet)):
        first, second = (replace(p, sigma=s) for p, s in zip(pair, (0.1, 0.2), strict=True))
        (price,) = marginal_prices(first, second)
        assert not price.gained.significant and price.gained.apart
        assert price.gained.lower < 0 < price.gained.upper
        assert "robustness within the ends of the worst case" in price.sentence()
        assert "gain" not in price.sentence() and "lose" not in price.sentence()


def test_attacks_that_break_other_images_do_not_make_a_conclusion_of_noise() -> None:
    """Both ends of the first setting are above those of the second, and so may no truth be.

    The first has little noise, and two attacks that break images of their own: its worst case is
    the lower end. In the second all is noise and both attacks do the same: it is the upper end.
    """
    images, clean = np.arange(400), np.ones((5, 400))
    first = worst_point(clean, [[images < 240] * 5, [images >= 40] * 5], sigma=0.1)
    half = np.full(400, 0.5)
    second = worst_point(clean, [draw_right(half, 5, seed) for seed in (1, 2)], sigma=0.2)
    assert first.robust.value == 0.5 > second.robust.value + 0.05
    assert first.alone == 0.6 > second.alone + 0.05
    (price,) = marginal_prices(first, second)
    assert not price.gained.significant and price.gained.apart


def test_a_worst_case_that_falls_at_both_ends_is_a_loss() -> None:
    rates, clean = np.linspace(0, 1, 300), np.ones((5, 300))
    points = [
        worst_point(clean, [draw_right(s * rates, 5, 10 * i + a) for a in range(3)], sigma=s)
        for i, s in enumerate((1.0, 0.4))
    ]
    (price,) = marginal_prices(
        *(replace(p, sigma=s) for p, s in zip(points, (0.1, 0.2), strict=True))
    )
    assert price.gained.significant and "lose" in price.sentence()
    before, after = points
    ends = (after.robust.value - before.alone, after.alone - before.robust.value)
    assert price.gained.lower < ends[0] < ends[1] < price.gained.upper < 0


def test_the_ratio_of_worst_cases_holds_both_ends() -> None:
    quiet, noisy = quiet_and_noisy(0)
    loss = draw_right(np.full(300, 0.8), 5, 9)
    after = replace(noisy, clean_scores=loss.mean(axis=0))
    found, lowest = qte(quiet, after), qte(quiet, replace(after, upper_scores=after.robust_scores))
    assert found.bounded and found.value == lowest.value
    assert lowest.upper < 0 < found.upper and found.lower == lowest.lower


def test_of_two_grids_at_one_sigma_the_one_of_more_draws_counts() -> None:
    images = np.arange(N)
    twice = make_point([images < 140] * 2, [images < 70] * 2, sigma=0.2)
    (price,) = marginal_prices(twice, point(0.1, 160, 40), point(0.2, 100, 0))
    assert price.after is twice


def test_other_images_are_not_compared() -> None:
    with pytest.raises(DataError, match="other images"):
        qte(point(0.1, 160, 40), point(0.2, 140, 70, data="other"))
    with pytest.raises(DataError, match="another attack"):
        images = np.arange(N)
        qte(point(0.1, 160, 40), make_point(images < 3, images < 2, attack="fgsm"))
