"""Differences on the same images: intervals, tests, and the correction for many of them.

Two cells share their images and, under RSC at one T, the noise they are scored on, so they are not
independent: all that is said about a difference is said from the differences image by image.
Columns `[n, K]` hold K such differences of n images.

The worst case of several attacks on a model with noise is known between two ends: each image's
lowest score errs low, the strongest attack alone errs high as a rule. A difference of two worst
cases is at least the first one's lower end minus the second one's upper end, and at most the other
way round; as `rsc_snn.robustness.compare` does, a conclusion must hold at both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from statsmodels.stats.contingency_tables import mcnemar

from rsc_snn.resampling import (
    SIGNIFICANT,
    Floats,
    differ_in_few,
    few_interval,
    resampled_means,
    sign_flip_p,
    widened,
)

Test = Literal["McNemar", "sign flips"]

_LEVELS = (0.025, 0.975)


@dataclass(frozen=True)
class Difference:
    """A mean difference of scores over n images, in shares (0.01 is one point).

    lower, upper: 95 % percentile bootstrap interval over images (9,999 resamples), not corrected;
    where few images differ, that of `few_interval`; of scores between right and wrong `widened`.
    p: two-sided, of no difference: McNemar's exact test where all differences are -1, 0 or 1, else
    the test that turns the sign of each image's difference at random (9,999 times). adjusted: p
    after Holm's correction for `comparisons` tests.

    Where the difference is known between two ends, the interval holds the intervals of both, and p
    is the larger of theirs (1 if they have opposite signs): no difference at one of them is no
    conclusion. apart: True if one end alone is more than noise, or both with opposite signs.
    """

    value: float
    lower: float
    upper: float
    n: int
    p: float
    test: Test
    adjusted: float
    comparisons: int
    apart: bool = False

    @property
    def significant(self) -> bool:
        """True if the difference is more than noise at 5 %, all comparisons considered."""
        return self.adjusted < SIGNIFICANT

    @property
    def noise(self) -> str:
        """What hides a difference that is not significant: two ends, one test, or their number."""
        if self.apart:
            return "the ends of the worst case"
        # An interval may leave out 0 where the test by itself sees no difference.
        if self.p >= SIGNIFICANT or self.lower <= 0 <= self.upper:
            return "the noise"
        return f"the noise of {self.comparisons} comparisons"

    def text(self) -> str:
        """In points, such as `3.1 (1.2 to 5.0)`."""
        return interval_text(self.value, self.lower, self.upper)

    def opposite(self) -> Difference:
        """The difference the other way round."""
        return replace(self, value=-self.value, lower=-self.upper, upper=-self.lower)


def interval_text(value: float, lower: float, upper: float) -> str:
    """Shares in points, such as `3.1 (1.2 to 5.0)`."""
    ends = (100 * (share + 0.0) for share in (value, lower, upper))
    return "{:.1f} ({:.1f} to {:.1f})".format(*(round(end, 1) + 0.0 for end in ends))


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """p-values after Holm's correction (Holm 1979), in the order given.

    As statsmodels' `multipletests`, which also collects all garbage of the process at each call,
    for longer than all the rest takes.
    """
    values = np.asarray(ps, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1)
    return tuple(adjusted.tolist())


def differences(columns: Floats) -> tuple[Difference, ...]:
    """Each of the columns `[n, K]` as a difference; K tests are corrected together.

    Raises DataError if there is no image.
    """
    return described(columns, resampled_means(columns))


def described(columns: Floats, means: Floats) -> tuple[Difference, ...]:
    """`differences`, from means `[RESAMPLES, K]` that `resampled_means` gave."""
    if not columns.shape[1]:
        return ()
    lower, upper = widened(columns, intervals(means))
    if (rare := differ_in_few(columns)).any():
        lower[rare], upper[rare] = few_interval(columns[:, rare])
    exact = np.logical_and.reduce(np.isin(columns, (-1.0, 0.0, 1.0)), axis=0)
    ps = np.empty(columns.shape[1])
    ps[exact] = [_mcnemar_p(column) for column in columns[:, exact].T]
    ps[~exact] = sign_flip_p(columns[:, ~exact])
    tests: list[Test] = ["McNemar" if plain else "sign flips" for plain in exact]
    rows = zip(columns.mean(axis=0), lower, upper, ps, tests, holm(ps.tolist()), strict=True)
    return tuple(
        Difference(
            float(value), float(low), float(high), len(columns), float(p), test, adjusted, len(ps)
        )
        for value, low, high, p, test, adjusted in rows
    )


def between(
    found: Sequence[Difference], least: Sequence[Difference], most: Sequence[Difference]
) -> tuple[Difference, ...]:
    """Differences that are known between two ends each, their tests corrected together.

    found: what is said of each. least, most: the same differences at the lower and the upper end.
    """
    ps = [
        max(low.p, high.p) if low.value * high.value > 0 else 1.0
        for low, high in zip(least, most, strict=True)
    ]
    rows = zip(found, least, most, ps, holm(ps), strict=True)
    return tuple(
        replace(
            difference,
            lower=low.lower,
            upper=high.upper,
            p=p,
            adjusted=adjusted,
            apart=_disagree(low, high),
        )
        for difference, low, high, p, adjusted in rows
    )


def _disagree(low: Difference, high: Difference) -> bool:
    """True if one of two ends is more than noise and the other is not, or has another sign."""
    both = low.significant and high.significant
    return low.significant != high.significant or (both and low.value * high.value < 0)


def intervals(means: Floats) -> Floats:
    """The ends `[2, K]` of the 95 % percentile intervals of resampled values `[RESAMPLES, K]`."""
    return np.quantile(means, _LEVELS, axis=0)


def interval(means: Floats, comparisons: int = 1) -> tuple[float, float]:
    """The ends of one interval, from resampled values `[RESAMPLES]`.

    comparisons: that are drawn together; so many intervals hold all at once in 95 % (Bonferroni).
    """
    tail = _LEVELS[0] / comparisons
    lower, upper = np.quantile(means, (tail, 1 - tail))
    return float(lower), float(upper)


def _mcnemar_p(column: Floats) -> float:
    """Exact at any number of discordant images (McNemar 1947, the binomial version)."""
    up, down = int((column == 1).sum()), int((column == -1).sum())
    return float(mcnemar([[0, up], [down, 0]], exact=True).pvalue)
