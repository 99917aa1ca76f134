"""The operating point within a limit: "at most 5 points of accuracy: which sigma and T?"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from rsc_snn.errors import ConfigError, DataError
from rsc_snn.evaluate import Estimate, accuracy_estimate
from rsc_snn.resampling import Floats
from rsc_snn.tradeoff.paired import Difference, between, differences
from rsc_snn.tradeoff.points import OperatingPoint, same_images

# Decimals of means that are compared.
_DIGITS = 12
Held = Literal["yes", "perhaps", "no"]
_HELD = {
    "yes": "The limit is kept.",
    "perhaps": "Whether the limit is kept is within the noise.",
    "no": "The limit is not kept on these images.",
}


@dataclass(frozen=True, eq=False)
class Rival:
    """Another point within the limit. behind: the chosen point's robust accuracy minus its.

    Of worst cases it is between their ends.
    """

    point: OperatingPoint
    robust: Estimate
    behind: Difference

    @property
    def tied(self) -> bool:
        """True if neither is better by more than noise (Holm over all rivals), at either end."""
        return not (self.behind.significant or self.behind.apart)

    @property
    def better(self) -> bool:
        """True if it beats the chosen point by more than noise: the choice was luck."""
        return self.behind.significant and self.behind.value < 0


@dataclass(frozen=True, eq=False)
class Choice:
    """The point chosen on every second image, and what it is worth on the others.

    The best of many measured points looks better than it is (the winner's curse), because it was
    chosen for its luck as well. So one half of the images chooses and the other half reports:
    clean, robust, loss and rivals are of images that had no say. promised: the robust accuracy on
    the images that chose. upper: what the strongest attack alone chooses, the upper end of a worst
    case with noise; `point` where there is one end. loss: the reference's clean accuracy minus the
    point's. held: whether the interval on the other half keeps the limit. candidates: points that
    were asked, of which `within` kept the limit where it was chosen. near: those that did not keep
    it there, but by no more than noise (95 % intervals, not corrected), the most robust first.
    name: what to call the point's model.
    """

    point: OperatingPoint
    upper: OperatingPoint
    reference: OperatingPoint | None
    limit: str
    promised: float
    clean: Estimate
    robust: Estimate
    loss: Difference | None
    held: Held
    rivals: tuple[Rival, ...]
    near: tuple[OperatingPoint, ...]
    candidates: int
    within: int
    name: str

    @property
    def shared(self) -> bool:
        """True if both ends of the worst case choose the same point."""
        return self.upper is self.point

    @property
    def tied(self) -> tuple[Rival, ...]:
        """Rivals that the images cannot tell from the chosen point, the most robust first."""
        return tuple(rival for rival in self.rivals if rival.tied)

    @property
    def apart(self) -> tuple[Rival, ...]:
        """Rivals that differ from it, but not at both ends of the worst case, in this order."""
        return tuple(rival for rival in self.rivals if rival.behind.apart)

    @property
    def better(self) -> tuple[Rival, ...]:
        """Rivals that beat the chosen point where no luck of choosing is, the best first."""
        return tuple(rival for rival in self.rivals if rival.better)

    @property
    def held_sentence(self) -> str:
        """Whether the limit is kept on the images that report."""
        return _HELD[self.held]

    def sentence(self) -> str:
        """The answer in two sentences, and whether both ends of the worst case give it."""
        loss = "" if self.loss is None else f", a loss of {self.loss.text()} points"
        ends = "" if self.shared else " The choice is not shared by the strongest attack alone."
        return (
            f"{self.limit}: {self.name} at {self.point.setting}, with "
            f"{_percent(self.robust)} robust and {_percent(self.clean)} clean accuracy{loss}. "
            f"{self.held_sentence}{ends}"
        )

    def caveat(self) -> str:
        """How far the choice can be trusted."""
        return (
            f"On the half of the images that chose, {self.within} of {self.candidates} settings "
            f"kept the limit, and this one promised {100 * self.promised:.1f}% robust accuracy; "
            f"the other {self.robust.n} images give the numbers shown. {self._compared()}"
        )

    def _compared(self) -> str:
        others, tied = len(self.rivals), len(self.tied)
        if not others:
            return "No other setting kept the limit, so it was compared with none."
        luck = (
            f"; {len(self.better)} better by more than noise, so that the choice was luck"
            if self.better
            else ""
        )
        ends = (
            f"; {len(self.apart)} not told from it at both ends of the worst case"
            if self.apart
            else ""
        )
        return (
            f"Others that kept it: {others}, of which {tied or 'none'} as good within the noise"
            f"{ends}{luck}."
        )


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f}% ({100 * estimate.lower:.1f} to {100 * estimate.upper:.1f})"


def best_under_budget(
    points: Sequence[OperatingPoint],
    *,
    max_loss: float | None = None,
    min_clean: float | None = None,
    reference: OperatingPoint | None = None,
    names: Mapping[str, str] | None = None,
) -> Choice | None:
    """The point of the highest robust accuracy whose clean accuracy stays within the limit.

    Give one of max_loss, a share (0.05: five points) that may be lost against `reference` on the
    same images, and min_clean, a share that must be reached. reference: None takes the point of
    the highest clean accuracy. Of equally robust points that of the higher clean accuracy is
    taken. Even images (the first, third, ...) choose, odd ones report. names: what to call models.

    None if no point is within the limit. Raises ConfigError (both limits or none, or one outside
    0..1) and DataError (fewer than two images, points of other images or another attack).
    """
    limit, labels = _limit(max_loss, min_clean), names or {}
    if not points:
        return None
    same_images([*points, *([] if reference is None else [reference])])
    if len(points[0].clean_scores) < 2:
        raise DataError("Choosing and reporting need two images or more.")
    choosing, reporting = slice(0, None, 2), slice(1, None, 2)
    if max_loss is not None and reference is None:
        reference = max(points, key=lambda point: point.clean_scores[choosing].mean())
    floor = limit
    if max_loss is not None and reference is not None:
        floor = reference.clean_scores[choosing].mean() - limit
    within = [point for point in points if point.clean_scores[choosing].mean() >= floor - 1e-12]
    if not within:
        return None

    def mean(scores: Floats) -> float:
        # Equal scores in another order have another sum in their last digits.
        return round(float(scores[choosing].mean()), _DIGITS)

    # Of equally robust points that of the higher clean accuracy: the other would be dominated.
    best = max(within, key=lambda p: (mean(p.robust_scores), mean(p.clean_scores)))
    upper = max(within, key=lambda p: (mean(p.upper_scores), p is best, mean(p.clean_scores)))
    clean = _estimate(best, best.clean_scores[reporting])
    loss = None
    if max_loss is not None and reference is not None:
        loss = _loss(reference, best, reporting)
        held = _held(loss.upper, loss.lower, limit)
    else:
        held = _held(-clean.lower, -clean.upper, -limit)
    return Choice(
        point=best,
        upper=upper,
        reference=reference if max_loss is not None else None,
        limit=_limit_words(max_loss, min_clean, reference, labels),
        promised=float(best.robust_scores[choosing].mean()),
        clean=clean,
        robust=_estimate(best, best.robust_scores[reporting]),
        loss=loss,
        held=held,
        rivals=_rivals(best, within, reporting),
        near=_near(
            [point for point in points if point not in within],
            limit,
            reference if max_loss is not None else None,
            choosing,
        ),
        candidates=len(points),
        within=len(within),
        name=labels.get(best.model, best.model),
    )


def _loss(reference: OperatingPoint, best: OperatingPoint, reporting: slice) -> Difference:
    """What the chosen point loses against the reference; against itself it is nothing, exactly."""
    change = reference.clean_scores[reporting] - best.clean_scores[reporting]
    (loss,) = differences(change[:, None])
    return replace(loss, lower=0.0, upper=0.0) if best is reference else loss


def _limit(max_loss: float | None, min_clean: float | None) -> float:
    given = [limit for limit in (max_loss, min_clean) if limit is not None]
    if len(given) != 1:
        raise ConfigError("A limit is either a loss of accuracy or a least accuracy.")
    if not 0 <= given[0] <= 1:
        raise ConfigError(f"A limit must be a share from 0 to 1, not {given[0]!r}.")
    return given[0]


def _limit_words(
    max_loss: float | None,
    min_clean: float | None,
    reference: OperatingPoint | None,
    labels: Mapping[str, str],
) -> str:
    if max_loss is None or reference is None:
        return f"At least {100 * (min_clean or 0.0):.4g}% clean accuracy"
    points = f"{100 * max_loss:.4g}"
    return (
        f"At most {points} point{'s' * (points != '1')} of accuracy below "
        f"{labels.get(reference.model, reference.model)} at {reference.setting}"
    )


def _held(worst: float, best: float, limit: float) -> Held:
    """Whether a cost that lies between `best` and `worst` is within `limit`."""
    if worst <= limit:
        return "yes"
    return "perhaps" if best <= limit else "no"


def _estimate(point: OperatingPoint, scores: Floats) -> Estimate:
    return accuracy_estimate(torch.from_numpy(scores.copy()), point.scored)


def _near(
    outside: Sequence[OperatingPoint],
    limit: float,
    reference: OperatingPoint | None,
    choosing: slice,
) -> tuple[OperatingPoint, ...]:
    """The points beyond the limit whose interval reaches it, where it was chosen.

    limit: of the loss against `reference`, of the clean accuracy without one.
    """
    if not outside:
        return ()
    scores = np.stack([point.clean_scores[choosing] for point in outside], axis=1)
    if reference is None:
        upper = [_estimate(p, s).upper for p, s in zip(outside, scores.T, strict=True)]
        reached = [end >= limit for end in upper]
    else:
        lost = reference.clean_scores[choosing][:, None] - scores
        reached = [change.lower <= limit for change in differences(lost)]
    found = [point for point, near in zip(outside, reached, strict=True) if near]
    return tuple(sorted(found, key=lambda point: -point.robust_scores[choosing].mean()))


def _rivals(
    best: OperatingPoint, within: Sequence[OperatingPoint], reporting: slice
) -> tuple[Rival, ...]:
    """All others within the limit, the most robust first."""
    others = [point for point in within if point is not best]
    if not others:
        return ()
    scores = [point.robust_scores[reporting] for point in others]
    lower = np.stack(scores, axis=1)
    upper = np.stack([point.upper_scores[reporting] for point in others], axis=1)
    own, most = best.robust_scores[reporting][:, None], best.upper_scores[reporting][:, None]
    behind = between(differences(own - lower), differences(own - upper), differences(most - lower))
    rivals = [
        Rival(point, _estimate(point, score), gap)
        for point, score, gap in zip(others, scores, behind, strict=True)
    ]
    return tuple(sorted(rivals, key=lambda rival: -rival.robust.value))
