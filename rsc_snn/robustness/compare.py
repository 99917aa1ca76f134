"""Claims about robustness, tested on the table: image by image, whichever way they come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rsc_snn.resampling import (
    RESAMPLES,
    SIGNIFICANT,
    differ_in_few,
    few_interval,
    sign_flip_p,
    widened,
)
from rsc_snn.robustness.store import Row
from rsc_snn.robustness.suite import ADVERSARIES, SUITE, WORST, attack_label
from rsc_snn.tradeoff.paired import holm

Verdict = Literal["above", "leans above", "undecided", "leans below", "below"]

_SEED = 0

# (model, its twin) after the name of the data set: the paper's claim, and the same for Poisson
# coding, from which the paper says robustness stems.
PAPER = (
    ("snn-rsc-020", "ann"),
    ("snn-poisson", "ann"),
)
# Both adversarially trained: whether the paper's networks were is not known.
TRAINED_ON_ATTACKS = (
    ("snn-rsc-020-at", "ann-at"),
    ("snn-poisson-at", "ann-at"),
)
# The network with the noise of an RSC-SNN and no spikes.
WITHOUT_SPIKES = "ann-rsc-020"
# Besides, of which nobody claims anything: adversarially trained pairs, and the controls, spikes
# without noise (direct coding) and the same noise without spikes. Both learned from the ANN as the
# others did.
CLAIMS = (
    *PAPER,
    *TRAINED_ON_ATTACKS,
    ("snn-direct", "ann"),
    ("snn-rsc-020", "snn-direct"),
    ("snn-poisson", "snn-direct"),
    (WITHOUT_SPIKES, "ann"),
    ("snn-rsc-020", WITHOUT_SPIKES),
)


@dataclass(frozen=True)
class Results:
    """The rows of a table, by what they are about."""

    rows: tuple[Row, ...]

    @cached_property
    def _found(self) -> dict[tuple[str, str, float], Row]:
        return {(row.model, row.attack, row.epsilon_255): row for row in self.rows}

    def get(self, model: str, attack: str, epsilon: float = 0.0) -> Row | None:
        """One row; None if it was not measured."""
        return self._found.get((model, attack, epsilon))

    def datasets(self) -> tuple[str, ...]:
        """Names of the data sets, sorted."""
        return tuple(sorted({row.dataset for row in self.rows}))

    def of(self, dataset: str) -> Results:
        """The rows of one data set."""
        return Results(tuple(row for row in self.rows if row.dataset == dataset))

    def models(self) -> tuple[str, ...]:
        """Names of the models, plain ones before adversarially trained ones, sorted."""
        names = {row.model for row in self.rows}
        return tuple(sorted(names, key=lambda name: (name.endswith("-at"), name)))

    def epsilons(self) -> tuple[float, ...]:
        """The epsilons (255ths) above 0, rising."""
        return tuple(sorted({row.epsilon_255 for row in self.rows} - {0.0}))


@dataclass(frozen=True)
class Comparison:
    """Two rows over the same images. Each figure is worked out when it is first asked for."""

    first: Row
    second: Row

    @cached_property
    def _differences(self) -> NDArray[np.float64]:
        """Of each image, `first`'s score minus `second`'s, `[images]`."""
        return (self.first.subset_scores() - self.second.subset_scores()).double().numpy()

    @cached_property
    def difference(self) -> float:
        """The mean over images of `first`'s score minus `second`'s."""
        return float(self._differences.mean())

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Of `difference`, at 95 %: the percentile bootstrap's, 9,999 resamples of the images.

        Where few images differ, that of `few_interval`; of scores between 0 and 1 `widened`.
        """
        return _interval(self._differences)

    @cached_property
    def p(self) -> float:
        """Of the two-sided paired permutation test.

        The two models' scores of an image change places at random, 9,999 times: it holds for
        shares of draws as for right or wrong.
        """
        return float(sign_flip_p(self._differences[:, None])[0])

    @property
    def overlap(self) -> bool:
        """True if the two accuracies' own intervals overlap."""
        return self.first.lower <= self.second.upper and self.second.lower <= self.first.upper

    @property
    def verdict(self) -> Verdict:
        """Above or below only if the intervals do not overlap; leaning if the paired test says so.

        For rows of the same images; one on all images has another mean than on the subset.
        """
        if not self.overlap:
            return "above" if self.difference > 0 else "below"
        if self.p < SIGNIFICANT:
            return "leans above" if self.difference > 0 else "leans below"
        return "undecided"


def compare(first: Row | None, second: Row | None) -> Comparison | None:
    """`first` against `second` on the subset; None without rows of the same images."""
    if first is None or second is None or first.setup != second.setup:
        return None
    return Comparison(first, second)


def _interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    column = differences[:, None]
    few = differ_in_few(column).item()
    ends = few_interval(column) if few else widened(column, _resampled(differences)[:, None])
    return float(ends[0, 0]), float(ends[1, 0])


def _resampled(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy import stats

    # All of one sign and size: scipy would warn, and give the same point.
    if np.ptp(differences) == 0:
        return differences[[0, 0]]
    found = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=500,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    )
    return np.array([found.confidence_interval.low, found.confidence_interval.high])


@dataclass(frozen=True)
class Claim:
    """The worst cases of two models, each between two ends where there is noise.

    at_least: the first model's lower end against the second's upper one. at_most: the other way
    round. See `upper_end`. adjusted: `p` after Holm's correction over all claims of a data set.
    """

    at_least: Comparison
    at_most: Comparison
    adjusted: float

    @property
    def first(self) -> Row:
        """The lower end of the first model."""
        return self.at_least.first

    @property
    def second(self) -> Row:
        """The lower end of the second model."""
        return self.at_most.second

    @property
    def pair(self) -> tuple[str, str]:
        """The names of both without the data set's, as in `CLAIMS`."""
        start = len(self.first.dataset) + 1
        return self.first.model[start:], self.second.model[start:]

    @property
    def exact(self) -> bool:
        """True if neither model has noise, so that there is one comparison."""
        return self.at_least == self.at_most

    @property
    def verdict(self) -> Verdict:
        """Above or below if the intervals do not overlap at either end; else what `p` says."""
        ends = {self.at_least.verdict, self.at_most.verdict}
        for verdict in ("above", "below"):
            if ends == {verdict}:
                return verdict
        if self.adjusted < SIGNIFICANT:
            return "leans above" if self.at_least.difference > 0 else "leans below"
        return "undecided"


def _either_end_p(at_least: Comparison, at_most: Comparison) -> float:
    """The p-value of a difference at both ends: the larger one, 1 if they disagree on the side."""
    agree = at_least.difference * at_most.difference > 0
    return max(at_least.p, at_most.p) if agree else 1.0


def upper_end(results: Results, model: str, epsilon: float) -> Row | None:
    """What a model's worst case is at most: None where it was not measured.

    The worst case takes, for each image, the attack with the lowest score. Scores of a model with
    noise are themselves noisy, and the lowest of several errs low: the more, the more attacks are
    nearly as strong as each other. The attack that does most harm on all images together is
    chosen once, not for each image, and errs high as a rule: the choice among attacks that are
    about equal, and images that count as broken by chance, make it low by a little. What an
    attacker reaches who knows the best attack on each image is between. Without noise there is no
    such error.
    """
    worst = results.get(model, WORST, epsilon)
    if worst is None or worst.draws == 1:
        return worst
    names = [name for name in ADVERSARIES if not SUITE[name].all_images]
    return _lowest(results, model, names, epsilon)


def claims(results: Results) -> Iterator[Claim]:
    """Every pair of `CLAIMS` that was measured, at each epsilon, by data set."""
    for dataset in results.datasets():
        found = [
            ends
            for first, second in CLAIMS
            for epsilon in results.epsilons()
            if (ends := _ends(results, f"{dataset}-{first}", f"{dataset}-{second}", epsilon))
        ]
        adjusted = holm([_either_end_p(*ends) for ends in found])
        yield from (Claim(*ends, p) for ends, p in zip(found, adjusted, strict=True))


def _ends(
    results: Results, first: str, second: str, epsilon: float
) -> tuple[Comparison, Comparison] | None:
    lower = [results.get(model, WORST, epsilon) for model in (first, second)]
    upper = [upper_end(results, model, epsilon) for model in (first, second)]
    at_least, at_most = compare(lower[0], upper[1]), compare(upper[0], lower[1])
    return None if at_least is None or at_most is None else (at_least, at_most)


def averaging(results: Results, epsilon: float) -> Iterator[Comparison]:
    """PGD-20 with one draw a gradient against EOT-PGD-20, for each stochastic model."""
    for model in results.models():
        found = compare(
            results.get(model, "pgd20", epsilon), results.get(model, "eot_pgd20", epsilon)
        )
        if found is not None and found.first.draws > 1:
            yield found


@dataclass(frozen=True)
class MaskingSign:
    """A sign that gradients are masked, of one model at one epsilon (255ths)."""

    model: str
    epsilon: float
    text: str


def masking_signs(results: Results) -> Iterator[MaskingSign]:
    """What must not be where gradients lead the attack (Athalye 2018; Carlini et al. 2019).

    Attacks are compared image by image, and a difference counts if its p is below 0.05.
    """
    for model in results.models():
        for epsilon in results.epsilons():
            yield from _order_signs(results, model, epsilon)


@dataclass(frozen=True)
class BluntAttacks:
    """How often checks of masked gradients say little, of `total` models with noise and epsilons.

    square: Square takes less than a point more than uniform noise of the same size. apgd: APGD
    leaves more than EOT-PGD-20 does.
    """

    models: int
    total: int
    square: int
    apgd: int


def blunt_attacks(results: Results) -> BluntAttacks:
    """What the attacks that noise misleads come to on models with noise."""
    noisy = [row for row in results.rows if row.attack == "square" and row.draws > 1]
    beside = [
        (square, noise, apgd, eot)
        for square in noisy
        if (noise := results.get(square.model, "uniform_noise", square.epsilon_255))
        and (apgd := results.get(square.model, "apgd", square.epsilon_255))
        and (eot := results.get(square.model, "eot_pgd20", square.epsilon_255))
    ]
    return BluntAttacks(
        models=len({square.model for square, *_ in beside}),
        total=len(beside),
        square=sum(noise.value - square.value < 0.01 for square, noise, *_ in beside),
        apgd=sum(apgd.value > eot.value for *_, apgd, eot in beside),
    )


def _order_signs(results: Results, model: str, epsilon: float) -> Iterator[MaskingSign]:
    """Attacks that do more harm than one that must be stronger."""
    iterative = [name for name, attack in SUITE.items() if attack.gradient and name != "fgsm"]
    strongest = _lowest(results, model, iterative, epsilon)
    pairs = [("square", strongest), ("fgsm", results.get(model, "pgd20", epsilon))]
    pairs += [("uniform_noise", results.get(model, name, epsilon)) for name in ("fgsm", *iterative)]
    for weaker, stronger in pairs:
        found = compare(results.get(model, weaker, epsilon), stronger)
        if found is not None and found.difference < 0 and found.p < SIGNIFICANT:
            yield MaskingSign(
                model,
                epsilon,
                f"{attack_label(weaker)} does more harm than {attack_label(found.second.attack)} "
                f"({-found.difference:.1%} of the images, p = {found.p:.2g})",
            )


def _lowest(results: Results, model: str, names: Sequence[str], epsilon: float) -> Row | None:
    rows = [row for name in names if (row := results.get(model, name, epsilon)) is not None]
    return min(rows, key=lambda row: row.value, default=None)


def outcome(items: Sequence[Claim]) -> str:
    """One sentence, `what it is: why`, on two models from their claims at all epsilons.

    On the paper's claim, "more robust than its twin", or in neutral words of the control's.
    """
    words = _OF_CLAIM if items[0].pair in PAPER else _OF_CONTROL
    return sentence([item.verdict for item in items], words)


@dataclass(frozen=True)
class Words:
    """How each outcome begins."""

    above: str
    below: str
    part: str
    leaning: str
    open: str


_OF_CLAIM = Words(
    "The claim holds",
    "The claim fails",
    "The claim holds in part",
    "The claim is not shown",
    "The claim is not shown",
)
_OF_CONTROL = Words(
    "More robust",
    "Less robust",
    "More robust in part",
    "Told apart by the paired test alone",
    "Not told apart",
)


def sentence(verdicts: Sequence[Verdict], words: Words = _OF_CLAIM) -> str:
    """What the verdicts at all epsilons come to."""
    above, below, total = verdicts.count("above"), verdicts.count("below"), len(verdicts)
    of = f"of {total} epsilons"
    if above == total:
        return f"{words.above}: above its twin at every epsilon, and no intervals overlap."
    if below == total:
        return f"{words.below}: below its twin at every epsilon, and no intervals overlap."
    if above and below:
        return (
            f"It depends on epsilon: above its twin without overlap at {above}, below at {below} "
            f"{of}."
        )
    if above:
        return f"{words.part}: above its twin without overlap at {above} {of}."
    if below:
        return f"{words.below}: below its twin without overlap at {below} {of}, above at none."
    leaning = {name: verdicts.count(name) for name in ("leans above", "leans below")}
    if any(leaning.values()):
        return (
            f"{words.leaning}: at no epsilon are the intervals apart at both ends of the worst "
            "case; the paired test, at both ends and corrected, puts it above its twin at "
            f"{leaning['leans above']} and below at {leaning['leans below']} {of}."
        )
    return (
        f"{words.open}: at no epsilon is there a difference beyond chance at both ends of the "
        "worst case."
    )
