"""Operating points: what a model at one sigma and T scores, clean and under attack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from rsc_snn.attacks.parameters import Value
from rsc_snn.errors import ConfigError, DataError
from rsc_snn.evaluate import Estimate, Predictor, accuracy_estimate, image_scores
from rsc_snn.resampling import FEW, resampled_means, unseen
from rsc_snn.sweep.cells import CLEAN, Cell, CellResult

WORST = "worst"
Scores = NDArray[np.float64]
Accuracy = Literal["clean", "robust"]


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """A model at one setting of the dial, clean and under one attack at one epsilon.

    effective_sigma: sigma / sqrt(T). clean, robust: accuracies. clean_result: the clean cell.
    robust_result: the attacked one; for the worst case that of the attack that does most harm.
    alone: the accuracy (0..1) under that attack alone: of noisy scores the worst case, the mean of
    each image's lowest one, errs low, and this errs high as a rule (where attacks are about equal,
    the one that was chosen for its low accuracy has luck in it, and errs low). robust_results: all
    that the worst case is over. clean_scores, robust_scores: `[n]`, of the images, 0..1.
    upper_scores: `[n]`, the upper end of a worst case with noise, the scores under the attack that
    does most harm, or those without attack if they are lower on average; without noise, or under
    one attack, robust_scores. attack: a name of the registry, or WORST. epsilon: as in
    `Cell`. passes: of a vote; None for all.
    """

    model: str
    sigma: float | None
    time_steps: int
    effective_sigma: float | None
    clean: Estimate
    robust: Estimate
    clean_result: CellResult
    robust_result: CellResult
    alone: float
    robust_results: tuple[CellResult, ...]
    clean_scores: Scores
    robust_scores: Scores
    upper_scores: Scores
    attack: str
    epsilon: float
    predictor: Predictor
    passes: int | None

    @property
    def key(self) -> str:
        """The key of the attacked cell, by which a click finds the point."""
        return self.robust_result.cell.key

    @property
    def harmonic(self) -> float:
        """The harmonic mean of clean and robust accuracy."""
        return harmonic_mean(self.clean.value, self.robust.value)

    @property
    def scored(self) -> int:
        """How many answers an image's score is the mean of."""
        return self.robust_result.cell.draws if self.predictor == "single" else 1

    @property
    def is_worst_case(self) -> bool:
        """True if an image counts by its lowest score, clean and under all `robust_results`."""
        return self.attack == WORST

    @property
    def voters(self) -> int | None:
        """How many passes vote; None if a single pass answers."""
        if self.predictor == "single":
            return None
        draws = self.robust_result.cell.draws
        return draws if self.passes is None else min(self.passes, draws)

    @property
    def setting(self) -> str:
        """Such as `sigma 0.2, T = 4`; a coding without sigma has T alone."""
        steps = f"T = {self.time_steps}"
        return steps if self.sigma is None else f"sigma {self.sigma:g}, {steps}"


def harmonic_mean(clean: float, robust: float) -> float:
    """`2 A R / (A + R)`: high only where both are; 0 where both are 0."""
    return 2 * clean * robust / (clean + robust) if clean + robust else 0.0


def operating_points(
    results: Iterable[CellResult],
    attack: str,
    epsilon: float,
    predictor: Predictor = "single",
    passes: int | None = None,
    *,
    attacks: Sequence[str] = (),
    parameters: Mapping[str, Value] | None = None,
) -> tuple[OperatingPoint, ...]:
    """Every setting that was measured clean and under `attack` at `epsilon`, by model, T, sigma.

    A pair is of the same weights, images, draws, seed and batches. attack: a name, or WORST: per
    image the lowest score over no attack and all of `attacks`; a setting that lacks one of them
    is left out. Of one attack on a model with noise it is the attack itself (no attack, if that
    leaves less): there is none to choose for each image, and the lower of two noisy scores would
    err low. parameters: if given, cells whose attack has these values alone count. passes:
    a vote over the first so many draws; a model with noise and fewer draws is left out.

    The same attack measured in several grids counts once, with the longest chain of smaller
    epsilons, of equally long ones that with the larger epsilons: the points and their order do not
    depend on the order of `results`.

    Raises ConfigError (WORST without attacks, passes below 1) and DataError if one setting has an
    attack with several parameters, or cells of other true classes.
    """
    names = tuple(dict.fromkeys(attacks)) if attack == WORST else (attack,)
    if not names or CLEAN in names:
        raise ConfigError("An operating point needs at least one attack.")
    if passes is not None and passes < 1:
        raise ConfigError(f"A vote is over one pass or more, not {passes}.")
    clean, attacked = _sorted_out(results, set(names), epsilon, parameters or {})
    points = []
    for setting, by_name in attacked.items():
        base = clean.get(setting)
        if base is None or len(by_name) < len(names) or _too_few(setting, predictor, passes):
            continue
        robust = tuple(by_name[name] for name in names)
        points.append(_point(base, robust, attack, predictor, passes))
    return tuple(sorted(points, key=_order))


def _order(point: OperatingPoint) -> tuple[str, str, int, float, str]:
    sigma = -1.0 if point.sigma is None else point.sigma
    return point.model, point.robust_result.cell.sha256, point.time_steps, sigma, point.key


def _setting(cell: Cell) -> Cell:
    """The clean cell that a cell is measured against."""
    return replace(cell, attack=CLEAN, parameters=(), epsilon=0.0, chain=())


def _too_few(setting: Cell, predictor: Predictor, passes: int | None) -> bool:
    return predictor == "vote" and setting.noisy and passes is not None and passes > setting.draws


def _sorted_out(
    results: Iterable[CellResult],
    names: set[str],
    epsilon: float,
    parameters: Mapping[str, Value],
) -> tuple[dict[Cell, CellResult], dict[Cell, dict[str, CellResult]]]:
    """Clean results by setting, and attacked ones by setting and attack. Raises DataError."""
    clean: dict[Cell, CellResult] = {}
    attacked: dict[Cell, dict[str, CellResult]] = {}
    for result in results:
        cell = result.cell
        if cell.attack == CLEAN:
            clean[cell] = result
        elif cell.attack in names and cell.epsilon == epsilon and _has(cell, parameters):
            found = attacked.setdefault(_setting(cell), {})
            found[cell.attack] = _stronger(found.get(cell.attack), result)
    return clean, attacked


def _has(cell: Cell, parameters: Mapping[str, Value]) -> bool:
    values = dict(cell.parameters)
    return all(name in values and values[name] == value for name, value in parameters.items())


def _stronger(first: CellResult | None, second: CellResult) -> CellResult:
    """Of two results of one attack, that which tried more epsilons before, or else larger ones.

    Raises DataError.
    """
    if first is None:
        return second
    if first.cell.parameters != second.cell.parameters:
        raise DataError(
            f"{second.cell.model} was measured under {second.cell.attack} with several parameters "
            f"at epsilon {second.cell.epsilon:g}; say which ones count."
        )
    return max(first, second, key=lambda result: (len(result.cell.chain), result.cell.chain))


def _point(
    clean: CellResult,
    robust: tuple[CellResult, ...],
    attack: str,
    predictor: Predictor,
    passes: int | None,
) -> OperatingPoint:
    if any(not np.array_equal(result.labels, clean.labels) for result in robust):
        raise DataError(f"The cells of {clean.cell.model} do not have the same images.")
    clean_scores = _scores(clean, predictor, passes)
    each = [_scores(result, predictor, passes) for result in robust]
    cell = robust[0].cell
    means = [float(scores.mean()) for scores in each]
    strongest = int(np.argmin(means))
    worst, upper = each[0], each[0]
    if attack == WORST:
        worst = np.minimum.reduce([clean_scores, *each])
        upper = min((each[strongest], clean_scores), key=np.mean) if cell.noisy else worst
        worst = upper if len(each) == 1 else worst
    draws = cell.draws if predictor == "single" else 1
    return OperatingPoint(
        model=cell.model,
        sigma=cell.sigma,
        time_steps=cell.time_steps,
        effective_sigma=cell.effective_sigma,
        clean=_estimate(clean_scores, draws),
        robust=_estimate(worst, draws),
        clean_result=clean,
        robust_result=robust[strongest],
        alone=means[strongest],
        robust_results=robust,
        clean_scores=clean_scores,
        robust_scores=worst,
        upper_scores=upper,
        attack=attack,
        epsilon=cell.epsilon,
        predictor=predictor,
        passes=passes if predictor == "vote" else None,
    )


def _scores(result: CellResult, predictor: Predictor, passes: int | None) -> Scores:
    if predictor == "single":
        return result.right.mean(axis=0)
    return result.scores(predictor, passes).double().numpy()


def _estimate(scores: Scores, draws: int) -> Estimate:
    return accuracy_estimate(torch.from_numpy(scores), draws)


def harmonic_means(points: Sequence[OperatingPoint]) -> dict[str, Estimate]:
    """The harmonic mean of each point with its 95 % interval, by the point's key.

    Percentile bootstrap over images (9,999 resamples), which keeps the clean and the robust score
    of an image together; of scores between right and wrong with room for an image that was not
    drawn, as in `rsc_snn.resampling.widened`. Where fewer than `FEW` images are right, or wrong, to
    some degree there is too little to draw again: there its ends are those of both accuracies'
    intervals, which is too wide rather than too narrow. Raises DataError unless all points have the
    same images.
    """
    same_images(points)
    if not points:
        return {}
    scores = [point.clean_scores for point in points] + [point.robust_scores for point in points]
    clean, robust = np.split(resampled_means(np.stack(scores, axis=1)), 2, axis=1)
    both = clean + robust
    means = np.divide(2 * clean * robust, both, out=np.zeros_like(both), where=both > 0)
    ends = np.quantile(means, (0.025, 0.975), axis=0).T.tolist()
    found = {}
    for point, (low, high) in zip(points, ends, strict=True):
        if _few_vary(point.clean_scores) or _few_vary(point.robust_scores):
            low = harmonic_mean(point.clean.lower, point.robust.lower)
            high = harmonic_mean(point.clean.upper, point.robust.upper)
        else:
            room = _unseen(point)
            low = max(point.harmonic - hypot(point.harmonic - low, room), 0.0)
            high = min(point.harmonic + hypot(high - point.harmonic, room), 1.0)
        found[point.key] = Estimate(point.harmonic, low, high, point.clean.n)
    return found


def _unseen(point: OperatingPoint) -> float:
    """By how much one image that was not drawn, right or wrong in both, moves the harmonic mean."""
    clean, robust = point.clean.value, point.robust.value
    scores = np.stack([point.clean_scores, point.robust_scores], axis=1)
    # The sum of the slopes in both.
    return float(unseen(scores).max()) * 2 * (clean**2 + robust**2) / (clean + robust) ** 2


def _few_vary(scores: Scores) -> bool:
    return min((scores > 0).sum(), (scores < 1).sum()) < FEW


def pareto_front(points: Iterable[OperatingPoint]) -> tuple[OperatingPoint, ...]:
    """The points that no other one beats in one accuracy without losing the other, clean rising.

    Of the measured values: a point beside the front may belong on it within the intervals.
    """
    front: list[OperatingPoint] = []
    best = -1.0
    ranked = sorted(points, key=lambda point: (-point.clean.value, -point.robust.value))
    for point in ranked:
        twin = bool(front) and _values(front[-1]) == _values(point)
        if point.robust.value > best or twin:
            front.append(point)
            best = point.robust.value
    return tuple(reversed(front))


def _values(point: OperatingPoint) -> tuple[float, float]:
    return point.clean.value, point.robust.value


def same_images(points: Sequence[OperatingPoint]) -> None:
    """Raise DataError unless differences between the points can be taken image by image."""
    kinds = {
        (
            cell.dataset,
            cell.split,
            cell.data,
            cell.images,
            point.attack,
            point.epsilon,
            point.predictor,
        )
        for point in points
        for cell in (point.robust_result.cell,)
    }
    if len(kinds) > 1:
        raise DataError("Points of other images or another attack cannot be compared.")


def dials(points: Iterable[OperatingPoint]) -> Iterator[list[OperatingPoint]]:
    """The points of one model at one T on the same images, sigma rising; those with a sigma.

    Of several at one sigma, as of two grids, that with the most draws stays, and of these the one
    whose key is last, whatever the order of `points`.
    """
    groups: dict[tuple[object, ...], list[OperatingPoint]] = {}
    for point in points:
        if point.sigma is not None:
            cell = point.robust_result.cell
            kind = (cell.model, cell.sha256, cell.time_steps, cell.data, point.attack)
            groups.setdefault((*kind, point.epsilon, point.predictor), []).append(point)
    for group in groups.values():
        ranked = sorted(group, key=lambda point: (point.robust_result.cell.draws, point.key))
        by_sigma = {point.sigma or 0.0: point for point in ranked}
        yield [by_sigma[sigma] for sigma in sorted(by_sigma)]


@dataclass(frozen=True)
class VotePoint:
    """The accuracy of a vote over `passes` draws, over `groups` votes that share no draw."""

    passes: int
    groups: int
    estimate: Estimate


def vote_curve(result: CellResult, ms: Sequence[int] | None = None) -> tuple[VotePoint, ...]:
    """Accuracy of a vote over m of the stored draws, for each m of `ms` (None: 1, 3, 5, ...).

    The D draws make D // m votes without a common draw, and an image's score is the share of them
    that is right: at m = 1 the accuracy of a single pass. `CellResult.scores("vote", m)` is the
    first of these votes. An attacked cell's images were made against what the attack aimed at (a
    single pass, or the mean over its own draws), not against this vote.

    Raises ConfigError unless each m is from 1 to D.
    """
    draws = result.cell.draws
    chosen = tuple(range(1, draws + 1, 2)) if ms is None else tuple(ms)
    labels = torch.from_numpy(result.labels.astype(np.int64))
    answers = torch.from_numpy(result.answers.astype(np.int64))
    classes = int(max(answers.max(), labels.max())) + 1
    points = []
    for m in chosen:
        if not 1 <= m <= draws:
            raise ConfigError(f"A vote over {m} passes needs from 1 to the {draws} stored ones.")
        votes = torch.nn.functional.one_hot(answers, classes)
        groups = [votes[at : at + m] for at in range(0, draws - m + 1, m)]
        scores = torch.stack([image_scores(group, labels, "vote") for group in groups]).double()
        estimate = accuracy_estimate(scores.mean(dim=0), len(groups))
        points.append(VotePoint(m, len(groups), estimate))
    return tuple(points)
