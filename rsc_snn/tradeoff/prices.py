"""What a turn of the dial costs: clean accuracy paid, robust accuracy gained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isnan, nan

import numpy as np

from rsc_snn.resampling import FEW, Floats, differ_in_few, resampled_means, unseen
from rsc_snn.tradeoff.paired import Difference, between, described, interval_text, intervals
from rsc_snn.tradeoff.points import OperatingPoint, same_images


@dataclass(frozen=True)
class Qte:
    """Robust accuracy gained per point of clean accuracy paid, `(R - R0) / max(A0 - A, eps)`.

    OUR definition of the paper's Quantification Trade-off Estimation, whose formula could not be
    established. eps is the smallest loss that the answers can show, one answer of one image.

    lower, upper: 95 % percentile bootstrap interval of the ratio, images drawn in pairs; of worst
    cases with two ends it holds the intervals at both; of scores between right and wrong with room
    for an image that was not drawn, as in `rsc_snn.resampling.widened`. nan where fewer than `FEW`
    images differ in what is paid, or in what is gained: there is too little to draw again. gained:
    R - R0. paid: A0 - A. defined: False if nothing was paid (A >= A0); value and interval are nan
    then. bounded: False without an interval, and if what is paid is within the noise of all
    comparisons of the call, or its interval reaches 0; the ratio is not known then, as its upper
    end is no more than gained / eps. The interval is not corrected.
    """

    value: float
    lower: float
    upper: float
    gained: Difference
    paid: Difference
    defined: bool

    @property
    def bounded(self) -> bool:
        """True if something is paid for sure (after correction, and by the interval), and known."""
        return self._paid_for_sure and not isnan(self.lower)

    @property
    def few(self) -> bool:
        """True if something is paid for sure, but too few images differ for an interval."""
        return self._paid_for_sure and isnan(self.lower)

    @property
    def _paid_for_sure(self) -> bool:
        return self.defined and self.paid.significant and self.paid.lower > 0

    def sentence(self) -> str:
        """One sentence for a person."""
        if not self.defined:
            return "No accuracy was paid, so there is no ratio of gain to price."
        if self.few:
            return (
                f"The ratio is {self.value:.2f}, but fewer than {FEW} images differ in accuracy or "
                "in robustness, which is too few to say how sure it is."
            )
        if not self.bounded:
            return (
                f"The ratio is {self.value:.2f}, but the accuracy paid may be nothing at all, so "
                "it is not known."
            )
        if self.gained.value < 0:
            return (
                f"Robustness was lost as well: {-self.value:.2f} points for each point of accuracy "
                f"({-self.upper:.2f} to {-self.lower:.2f})."
            )
        return (
            f"Each point of accuracy paid buys {self.value:.2f} points of robustness "
            f"({self.lower:.2f} to {self.upper:.2f})."
        )


@dataclass(frozen=True, eq=False)
class Price:
    """From one noise level to the next at one T: what is paid, what is gained, and their ratio.

    paid: clean accuracy lost (below 0: won). gained: robust accuracy won, of worst cases between
    their ends. Both are tested, and corrected together with the other steps of the dial.
    """

    before: OperatingPoint
    after: OperatingPoint
    paid: Difference
    gained: Difference
    qte: Qte

    def sentence(self) -> str:
        """Such as "From sigma 0.1 to 0.2 at T = 4 you pay 3.1 points of accuracy (...) for ...".

        A difference that is not significant after correction is said to be within the noise, or
        within the ends of the worst case if it is one at one of the ends alone.
        """
        start = (
            f"From sigma {self.before.sigma:g} to {self.after.sigma:g} at T = "
            f"{self.after.time_steps}"
        )
        return f"{start} {_outcome(self.paid, self.gained)}."


def _outcome(paid: Difference, gained: Difference) -> str:
    accuracy, robustness = _clause(paid.opposite()), _clause(gained)
    if gained.apart and not paid.significant:
        return (
            f"the difference in accuracy is within {paid.noise}, {_signed(paid.opposite())} "
            f"points, that in robustness within {gained.noise}, {_signed(gained)} points"
        )
    if not (paid.significant or gained.significant):
        return (
            f"the difference is within {_loudest(paid, gained)}: accuracy "
            f"{_signed(paid.opposite())}, robustness {_signed(gained)} points"
        )
    if not gained.significant:
        return (
            f"you {accuracy} of accuracy; the difference in robustness is within {gained.noise}, "
            f"{_signed(gained)} points"
        )
    if not paid.significant:
        return (
            f"you {robustness} of robustness; the difference in accuracy is within {paid.noise}, "
            f"{_signed(paid.opposite())} points"
        )
    if paid.value > 0 and gained.value > 0:
        return f"you pay {_points(paid)} of accuracy for {gained.text()} of robustness"
    if paid.value < 0 and gained.value < 0:
        robustness = _points(gained.opposite())
        return f"you pay {robustness} of robustness for {paid.opposite().text()} of accuracy"
    return f"you {accuracy} of accuracy and {robustness} of robustness"


def _loudest(*changes: Difference) -> str:
    """The noise that hides all of the changes."""
    return max((change.noise for change in changes), key=len)


def _clause(change: Difference) -> str:
    """`gain` or `lose`, and how much."""
    return f"gain {_points(change)}" if change.value > 0 else f"lose {_points(change.opposite())}"


def _points(change: Difference) -> str:
    value, rest = change.text().split(" ", 1)
    return f"{value} points {rest}"


def _signed(change: Difference) -> str:
    sign = "+" if change.value >= 0 else ""
    return sign + interval_text(change.value, change.lower, change.upper)


def qte(before: OperatingPoint, after: OperatingPoint) -> Qte:
    """The ratio for one change of the dial. Raises DataError unless both have the same images."""
    (price,) = _prices([(before, after)], 1)
    return price.qte


def in_tenths(dial: Sequence[OperatingPoint]) -> list[OperatingPoint]:
    """The points of a dial at sigma 0, 0.1, 0.2, ...: finer steps often change less than noise."""
    return [point for point in dial if round(10 * (point.sigma or 0.0), 6).is_integer()]


def prices_of_dial(dial: Sequence[OperatingPoint]) -> tuple[tuple[Price, ...], tuple[Qte, ...]]:
    """The price of each step of one dial, sigma rising, and the ratio of each point to the first.

    Holm's correction is over all that is read of them: what each step costs and buys, and what each
    further point costs against the first. Raises DataError unless all have the same images.
    """
    steps = list(pairwise(dial))
    found = _prices([*steps, *((dial[0], point) for point in dial[2:])], len(steps))
    return found[: len(steps)], tuple(price.qte for price in (*found[:1], *found[len(steps) :]))


def _prices(
    pairs: Sequence[tuple[OperatingPoint, OperatingPoint]], steps: int
) -> tuple[Price, ...]:
    """Of pairs of settings, of which the first `steps` are steps of a dial.

    Nobody reads whether the others gained anything: those tests are corrected by themselves, and
    cost the rest nothing.
    """
    if not pairs:
        return ()
    same_images([point for pair in pairs for point in pair])
    changes = [
        (
            before.clean_scores - after.clean_scores,
            after.robust_scores - before.robust_scores,
            after.robust_scores - before.upper_scores,
            after.upper_scores - before.robust_scores,
        )
        for before, after in pairs
    ]
    columns = [np.stack(column, axis=1) for column in zip(*changes, strict=True)]
    means = np.split(resampled_means(np.concatenate(columns, axis=1)), len(columns), axis=1)

    def tested(paid: slice, gained: slice) -> tuple[Difference, ...]:
        # What is paid has one end, what is gained a value, a lower and an upper one.
        return between(
            *(
                described(
                    np.hstack([columns[0][:, paid], own[:, gained]]),
                    np.hstack([means[0][:, paid], resampled[:, gained]]),
                )
                for own, resampled in zip(columns[1:], means[1:], strict=True)
            )
        )

    every, none = slice(None), slice(0)
    found = (*tested(every, slice(steps)), *tested(none, slice(steps, None)))
    # The smallest loss that the answers can show: one answer of one image.
    smallest = np.array(
        [1 / (len(columns[0]) * max(before.scored, after.scored)) for before, after in pairs]
    )
    ends = [
        _ratio_ends(columns[0], own, gains / np.maximum(means[0], smallest), smallest)
        for own, gains in zip(columns[2:], means[2:], strict=True)
    ]
    few = np.logical_or.reduce([differ_in_few(column) for column in columns])
    lowers, uppers = (np.where(few, nan, side) for side in (ends[0][0], ends[1][1]))
    rows = zip(
        pairs,
        found[: len(pairs)],
        found[len(pairs) :],
        smallest.tolist(),
        zip(lowers.tolist(), uppers.tolist(), strict=True),
        strict=True,
    )
    return tuple(
        Price(*pair, loss, gain, _ratio(loss, gain, least, limits))
        for pair, loss, gain, least, limits in rows
    )


def _ratio_ends(paid: Floats, gained: Floats, ratios: Floats, smallest: Floats) -> Floats:
    """The ends `[2, K]` of intervals of ratios that were resampled, `[RESAMPLES, K]`.

    paid, gained: `[n, K]`, of the images. An image that was not drawn may move either of them.
    """
    lost = np.maximum(paid.mean(axis=0), smallest)
    value = gained.mean(axis=0) / lost
    room = np.hypot(unseen(gained), value * unseen(paid)) / lost
    lower, upper = intervals(ratios)
    return np.stack([value - np.hypot(value - lower, room), value + np.hypot(upper - value, room)])


def _ratio(paid: Difference, gained: Difference, smallest: float, ends: tuple[float, float]) -> Qte:
    # Less than half of the smallest loss is rounding.
    if paid.value < smallest / 2:
        return Qte(nan, nan, nan, gained, paid, False)
    return Qte(gained.value / max(paid.value, smallest), *ends, gained, paid, True)
