"""Whether the effective sigma explains the curves: made-up curves where it does, and does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats

from rsc_snn.errors import DataError
from rsc_snn.tradeoff import Collapse, OperatingPoint, explains
from rsc_snn.tradeoff.collapse import Verdict
from tests.tradeoff_cells import draw_right, make_point

SIGMAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
EASE = np.random.default_rng(7).uniform(-0.15, 0.15, 300)


def curves(
    rate: Callable[[float, int], float], seed: int = 0, steps: tuple[int, ...] = (1, 2, 4)
) -> list[OperatingPoint]:
    """Points whose accuracy is `rate(sigma, T)` on average, clean; half of it, attacked."""
    points = []
    for t in steps:
        for index, sigma in enumerate(SIGMAS):
            rates = np.clip(rate(sigma, t) + EASE, 0, 1)
            clean = draw_right(rates, 4, seed + 100 * t + index)
            robust = draw_right(rates / 2, 4, seed + 5000 + 100 * t + index)
            points.append(make_point(clean, robust, sigma=sigma, time_steps=t))
    return points


def found(points: list[OperatingPoint], quantity: str = "clean") -> Collapse:
    result = explains(points, quantity)  # type: ignore[arg-type]
    assert result is not None
    return result


def by_effective(sigma: float, steps: int) -> float:
    return 0.8 - sigma / steps**0.5


def by_sigma(sigma: float, steps: int) -> float:
    return 0.8 - sigma


@pytest.mark.parametrize("quantity", ["clean", "robust"])
def test_curves_of_the_effective_sigma_are_explained_by_it(quantity: str) -> None:
    collapse = found(curves(by_effective), quantity)
    assert collapse.verdict == "explains" and collapse.complete
    assert collapse.explained > 0.9
    assert "the effective sigma explains" in collapse.sentence()
    assert "within the noise" in collapse.sentence()


def test_curves_of_sigma_itself_are_not() -> None:
    collapse = found(curves(by_sigma))
    assert collapse.verdict == "does not explain"
    assert collapse.sigma_error < 0.03 < collapse.effective_error
    assert "does not explain" in collapse.sentence()


def test_what_explains_a_part_is_not_complete() -> None:
    """Each doubling of T also costs five points, whatever the noise."""
    collapse = found(curves(lambda sigma, t: by_effective(1.5 * sigma, t) - 0.05 * np.log2(t)))
    assert collapse.verdict == "explains" and not collapse.complete
    assert "more than noise is left" in collapse.sentence()


def test_flat_curves_say_nothing() -> None:
    """Where neither axis matters a verdict is wrong: of 100 no more than the 5 that may be.

    The resampled errors have the noise of the images twice, so that there are fewer: 1 in 1,000.
    The fall of the error, which is an unbiased estimate, is 0 on average; of the errors, from
    which the noise is subtracted, one half or more are not above 0.
    """
    verdicts: list[Verdict] = []
    falls, errors = [], []
    for seed in range(50):
        points = flat_curves(seed)
        both = [found(points, "clean"), found(points, "robust")]
        verdicts += [collapse.verdict for collapse in both]
        falls += [collapse.improvement for collapse in both]
        errors += [collapse.effective_error for collapse in both]
    assert len(verdicts) - verdicts.count("undecided") <= 5
    assert abs(np.mean(falls)) < stats.norm.isf(5e-7) * stats.sem(falls)
    assert errors.count(0) >= stats.binom.ppf(1e-6, 100, 0.5)


def flat_curves(seed: int) -> list[OperatingPoint]:
    """Curves of two T with 60 % right, 30 % under attack, at each sigma."""
    rates = 0.6 + EASE[:60]
    points = []
    for place, (t, sigma) in enumerate(product((1, 4), (0.0, 0.1, 0.2, 0.4))):
        start = 1000 * seed + 2 * place
        clean, robust = draw_right(rates, 2, start), draw_right(rates / 2, 2, start + 1)
        points.append(make_point(clean, robust, sigma=sigma, time_steps=t))
    return points


def test_the_errors_are_those_of_the_curves() -> None:
    """Without noise of coding the error at the same sigma is known: the gap of two lines."""
    images = np.arange(1000)
    points = [
        make_point(images < 1000 * rate, images < 1, sigma=sigma, time_steps=t)
        for t in (1, 4)
        for sigma in SIGMAS
        for rate in (by_effective(sigma, t),)
    ]
    collapse = found(points)
    # From T = 1 to 4 all sigmas to 0.5 whose double is measured: 0.1, 0.2; from 4 to 1 all five.
    gaps = np.array([0.05, 0.1, 0.05, 0.1, 0.15, 0.2, 0.25])
    assert collapse.predictions == len(gaps)
    assert collapse.sigma_error == pytest.approx((gaps**2).mean() ** 0.5, rel=0.01)
    assert collapse.effective_error < 0.002


def test_a_verdict_must_hold_at_both_ends_of_the_worst_case() -> None:
    """By each image's lowest score the effective sigma explains the curves, sigma at the other."""
    points, others = curves(by_effective), curves(by_sigma, seed=50_000)
    one = found(points, "robust")
    assert one.verdict == "explains" and one.shared
    ends = [
        replace(point, upper_scores=other.robust_scores)
        for point, other in zip(points, others, strict=True)
    ]
    both = found(ends, "robust")
    assert both.verdict == "undecided" and not both.shared and both.improvement == one.improvement
    assert "depends on the end of the worst case" in both.sentence()
    assert found(ends, "clean") == found(points, "clean"), "which no attack changes"
    costly = curves(lambda sigma, t: by_effective(1.5 * sigma, t) - 0.05 * np.log2(t))
    ends = [replace(p, upper_scores=c.clean_scores) for p, c in zip(points, costly, strict=True)]
    assert one.complete and found(ends, "robust").shared and not found(ends, "robust").complete


def test_two_conclusions_have_wider_intervals() -> None:
    points = curves(by_effective)
    one, two = found(points), explains(points, comparisons=2)
    assert two is not None and two.lower < one.lower and one.upper < two.upper
    assert (two.improvement, two.explained) == (one.improvement, one.explained)


@pytest.mark.parametrize(("images", "few"), [(4, True), (9, True), (10, False)])
def test_few_images_that_differ_explain_nothing(images: int, few: bool) -> None:
    """All fall at an effective sigma of 0.16: as one says what the other does, nothing varies."""
    place = np.arange(images)
    points = [
        make_point(
            (place >= images) | (sigma / t**0.5 < 0.16), place < 1, sigma=sigma, time_steps=t
        )
        for t in (1, 4)
        for sigma in SIGMAS
    ]
    collapse = found(points)
    assert collapse.lower > 0, "by the bootstrap alone"
    assert collapse.telling == images and collapse.few == few
    assert collapse.verdict == ("undecided" if few else "explains")
    assert ("fewer than 10 images differ" in collapse.sentence()) == few


def test_nothing_to_compare() -> None:
    points = curves(by_effective, steps=(4,))
    assert explains(points) is None
    assert explains([]) is None
    other = make_point([1, 0], [1, 0], sigma=0.3, time_steps=1, sha256="b" * 64)
    near = make_point([1, 0], [1, 0], sigma=0.3, time_steps=4)
    assert explains([other, near]) is None, "another model has other curves"
    with pytest.raises(DataError, match="other images"):
        explains([*points, other])
