"""Does the effective sigma, sigma / sqrt(T), explain the curves of different T?

The mean of T noisy frames has the noise sigma / sqrt(T). If that were all that matters, the
accuracy at (sigma, T) could be read off the curve of another T' at the same effective sigma,
`sigma sqrt(T' / T)`. Each point is predicted in that way, and for comparison at the same sigma; the
smaller error names the better axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Literal

import numpy as np

from rsc_snn.resampling import FEW, Floats, resampled_means
from rsc_snn.tradeoff.paired import interval
from rsc_snn.tradeoff.points import Accuracy, OperatingPoint, dials, same_images

# A sum of scores with weights, which is 0 where the prediction is right.
Gap = list[tuple[OperatingPoint, float]]
Verdict = Literal["explains", "undecided", "does not explain"]


@dataclass(frozen=True)
class Collapse:
    """How well curves of different T agree at the same sigma, and at the same sigma / sqrt(T).

    sigma_error, effective_error: root mean square errors of the predictions in shares, the noise
    of images subtracted. explained: the share of the mean squared gap between the T at the same
    sigma that the effective sigma removes (1: all; below 0: it makes it larger); nan without a
    gap beyond the noise. improvement, lower, upper: the fall of the mean squared error, with its
    95 % bootstrap interval over images. effective_lower: lower end of the interval of what is left
    (mean squared), of worst cases that of the end at which more is left. predictions: how many
    there are of each kind. telling: images that differ between any points that are compared; fewer
    than `FEW` are too few to draw again. shared: False if the strongest attack alone, the upper end
    of worst cases with noise, has another verdict. All other numbers are of each image's lowest
    score.
    """

    quantity: Accuracy
    sigma_error: float
    effective_error: float
    explained: float
    improvement: float
    lower: float
    upper: float
    effective_lower: float
    predictions: int
    telling: int
    shared: bool = True

    @property
    def verdict(self) -> Verdict:
        """Which axis predicts better, if the interval of the improvement tells, at both ends."""
        if self.few or not self.shared:
            return "undecided"
        if self.lower > 0:
            return "explains"
        return "does not explain" if self.upper < 0 else "undecided"

    @property
    def few(self) -> bool:
        """True if too few images differ for an interval that can be relied on."""
        return self.telling < FEW

    @property
    def complete(self) -> bool:
        """True if what is left at the same effective sigma is no more than noise."""
        return self.effective_lower <= 0

    def sentence(self) -> str:
        """The answer for a person."""
        name = f"{self.quantity} accuracy"
        facts = (
            f"Curves of different T differ in {name} by {100 * self.sigma_error:.1f} points at the "
            f"same sigma and by {100 * self.effective_error:.1f} at the same sigma/sqrt(T)"
        )
        if self.few:
            return (
                f"{facts}: fewer than {FEW} images differ, too few to tell which of the two "
                "explains them better."
            )
        if not self.shared:
            return (
                f"{facts}: which of the two explains them better depends on the end of the worst "
                "case, each image's lowest score or the strongest attack alone."
            )
        if self.verdict == "undecided":
            return f"{facts}: which of the two explains them better is within the noise."
        if self.verdict == "does not explain":
            return f"{facts}: the effective sigma does not explain them."
        rest = "what is left is within the noise" if self.complete else "more than noise is left"
        return (
            f"{facts}: the effective sigma explains {100 * min(self.explained, 1):.0f}% of the "
            f"squared gap; {rest}."
        )


def explains(
    points: Iterable[OperatingPoint], quantity: Accuracy = "clean", comparisons: int = 1
) -> Collapse | None:
    """Compare predictions from the curves of other T at the same sigma and the same sigma/sqrt(T).

    A point is predicted from another T's curve only where that curve reaches both places, so that
    both errors are about the same points. Curves are read by straight lines between their points,
    which costs the effective sigma a little on a coarse grid. The clean image (sigma 0) is left
    out: both predictions are the same there. Models are compared each with itself.

    comparisons: conclusions that are drawn together, for which the intervals are wider.

    None if no model has curves of two T to compare. Raises DataError unless all points have the
    same images.
    """
    curves = list(dials(points))
    every = [point for curve in curves for point in curve]
    same_images(every)
    pairs = [pair for pair in permutations(curves, 2) if _same_model(*pair)]
    gaps = [gap for pair in pairs for gap in _gaps(*pair)]
    if not gaps:
        return None
    rows = {point: row for row, point in enumerate(every)}
    weights = tuple(_weights(kind, rows) for kind in zip(*gaps, strict=True))
    scores = np.stack([_scores(point, quantity) for point in every], axis=1)
    found = _compared(quantity, weights, scores, comparisons)
    if quantity == "clean":
        return found
    ends = np.stack([point.upper_scores for point in every], axis=1)
    upper = (
        found if np.array_equal(ends, scores) else _compared("robust", weights, ends, comparisons)
    )
    return replace(
        found,
        shared=upper.verdict == found.verdict,
        effective_lower=max(found.effective_lower, upper.effective_lower),
    )


def _compared(
    quantity: Accuracy, weights: Sequence[Floats], scores: Floats, comparisons: int
) -> Collapse:
    """Both kinds of predictions, with `weights` `[P, K]` each, of scores `[n, P]` of P points."""
    means = resampled_means(scores)
    (before, sigma_errors), (after, effective_errors) = (
        _squared_error(kind, scores, means) for kind in weights
    )
    lower, upper = interval(sigma_errors - effective_errors, comparisons)
    return Collapse(
        quantity=quantity,
        sigma_error=max(before, 0.0) ** 0.5,
        effective_error=max(after, 0.0) ** 0.5,
        explained=1 - max(after, 0.0) / before if before > 0 else float("nan"),
        improvement=before - after,
        lower=lower,
        upper=upper,
        effective_lower=interval(effective_errors, comparisons)[0],
        predictions=weights[0].shape[1],
        telling=_telling(scores @ np.hstack(list(weights))),
    )


def _telling(gaps: Floats) -> int:
    """How many images have any of the gaps `[n, K]`, more than rounding."""
    return int((np.abs(gaps) > 1e-9).any(axis=1).sum())


def _same_model(first: Sequence[OperatingPoint], second: Sequence[OperatingPoint]) -> bool:
    one, other = first[0].robust_result.cell, second[0].robust_result.cell
    return one.sha256 == other.sha256 and one.time_steps != other.time_steps


def _gaps(
    curve: Sequence[OperatingPoint], other: Sequence[OperatingPoint]
) -> Iterator[tuple[Gap, Gap]]:
    """The errors of predicting each point of `curve` from `other`: (same sigma, effective)."""
    sigmas = np.array([point.sigma for point in other], dtype=np.float64)
    ratio = (other[0].time_steps / curve[0].time_steps) ** 0.5
    for point in curve:
        places = ((point.sigma or 0.0), (point.sigma or 0.0) * ratio)
        if point.sigma and all(sigmas[0] <= at <= sigmas[-1] for at in places):
            same, matched = ([(point, 1.0), *_read(other, sigmas, at)] for at in places)
            yield same, matched


def _read(other: Sequence[OperatingPoint], sigmas: Floats, at: float) -> Gap:
    """Minus the curve `other` at `at`, between its points along a straight line."""
    index = min(int(np.searchsorted(sigmas, at, side="right")) - 1, len(sigmas) - 1)
    if index == len(sigmas) - 1:
        return [(other[index], -1.0)]
    share = (at - sigmas[index]) / (sigmas[index + 1] - sigmas[index])
    return [(other[index], share - 1), (other[index + 1], -share)]


def _weights(gaps: Sequence[Gap], rows: Mapping[OperatingPoint, int]) -> Floats:
    """Gaps as columns `[P, K]` over all points."""
    weights = np.zeros((len(rows), len(gaps)))
    for column, gap in enumerate(gaps):
        for point, weight in gap:
            weights[rows[point], column] += weight
    return weights


def _squared_error(weights: Floats, scores: Floats, means: Floats) -> tuple[float, Floats]:
    """The mean squared gap without the noise of the n images, and that of each resample.

    A gap is linear in the scores `[n, P]`, so the mean of its squares is a quadratic form in their
    means `[P]`, and no gap is computed image by image. A squared mean of noisy gaps is too large
    by the variance of the mean, and once more when resampled.
    """
    form = weights @ weights.T / weights.shape[1]
    mean = scores.mean(axis=0)
    spread = scores - mean
    excess = float((form * (spread.T @ spread)).sum()) / (len(scores) * max(len(scores) - 1, 1))
    resampled = ((means @ form) * means).sum(axis=1)
    return float(mean @ form @ mean) - excess, resampled - 2 * excess


def _scores(point: OperatingPoint, quantity: Accuracy) -> Floats:
    return point.clean_scores if quantity == "clean" else point.robust_scores
