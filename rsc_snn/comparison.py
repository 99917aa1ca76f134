"""Models against each other: the smallest epsilon, transfer, and the wrong encoder's attack.

Everything here is of one image and is scored as `run_attack` scores: on fresh noise draws that no
attack has seen, the same ones for every image that is shown to a model, so that shares of right
draws differ by the images alone. Verdicts are those of `rsc_snn.outcome.judge`: an image fools a
model if over half of the draws agree on a wrong class, and one without a majority is undecided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsc_snn.attacks.parameters import PIXEL_UNIT, ParameterSpec, Value
from rsc_snn.attacks.registry import AttackSpec, get_attack, validate_parameters
from rsc_snn.attacks.run import AttackResult, CancelCheck, Progress, run_attack, score
from rsc_snn.classifier import SpikingClassifier
from rsc_snn.coding import Coding, DirectCoding, PoissonCoding, coding_sigma
from rsc_snn.errors import AttackError
from rsc_snn.outcome import Verdict, judge, vote_counts

# Step size over epsilon times steps, of Madry et al. 2018 (2.5 epsilon / 100 for 100 steps): from
# any start in the ball every point of it can be reached, with some steps to spare.
_STEP_RATIO = 2.5


def correct_share(logits: Tensor, label: int) -> float:
    """The share (0..1) of draws that answer `label`, from logits `[D, 1, K]` or `[D, K]`."""
    answers = logits.reshape(len(logits), -1).argmax(dim=-1)
    return float((answers == label).cpu().double().mean())


@dataclass(frozen=True)
class Trial:
    """One attack of a search: its epsilon, the share of right draws (0..1) and the verdict."""

    epsilon: float
    correct: float
    verdict: Verdict


@dataclass(frozen=True)
class SmallestEpsilon:
    """The bracket in which an attack begins to fool a model; epsilons in the unit of the attack.

    The attack fooled the model at `fooled_at` and did not at `spared_at`, just below it, where the
    vote held or was undecided. That is what bisection can say: success need not grow with epsilon,
    so there may be a smaller epsilon at which it succeeds and a larger one at which it does not.
    fooled_at is None if it did not fool at the largest epsilon (`never`), spared_at None if it did
    at the smallest. already_wrong: the clean image has no majority for its class, so nothing was
    searched; fooled_at is then the smallest epsilon. step_size: that of the attack at `fooled_at`,
    or at the largest epsilon if never; None for an attack without one. trials: in the order in
    which they ran; an epsilon of 0 is the clean image.
    """

    attack: str
    unit: str
    fooled_at: float | None
    spared_at: float | None
    already_wrong: bool
    never: bool
    step_size: float | None
    trials: tuple[Trial, ...]

    @property
    def spared(self) -> Verdict | None:
        """The verdict at `spared_at`: held or abstained."""
        found = (trial.verdict for trial in self.trials if trial.epsilon == self.spared_at)
        return next(found, None)

    @property
    def evaluations(self) -> int:
        """How many attacks it took, the clean image counted."""
        return len(self.trials)


def scaled_parameters(
    spec: AttackSpec, parameters: Mapping[str, Any], epsilon: float
) -> dict[str, Value]:
    """`parameters` at `epsilon`, complete; the step size is 2.5 epsilon / steps, at most epsilon.

    That is the rule of Madry et al. 2018 for PGD, here for all attacks with a step size. R+FGSM's
    random start is as long as its step, which is therefore at most epsilon / 2, as published.
    Raises AttackError for an attack without epsilon, or a bad value.
    """
    if not spec.bounded:
        raise AttackError(f"{spec.label} has no epsilon to search over: it looks for its own.")
    values = validate_parameters(spec, {**parameters, "epsilon": epsilon})
    if "step_size" in values:
        most = epsilon / 2 if spec.name == "rfgsm" else epsilon
        values["step_size"] = min(_STEP_RATIO * epsilon / int(values["steps"]), most)
    return validate_parameters(spec, values)


def smallest_epsilon(
    model: SpikingClassifier,
    x: Tensor,
    label: int,
    attack: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    time_steps: int | None = None,
    sigma: float | None = None,
    draws: int = 8,
    seed: int = 0,
    low: float = 0.0,
    high: float | None = None,
    resolution: float | None = None,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> SmallestEpsilon:
    """Where between `low` and `high` the attack begins to fool `model` on `x` `[1, C, H, W]`.

    Bisection on multiples of `resolution` above `low`, which brackets one change from spared to
    fooled; see `SmallestEpsilon` for what that does not say. Epsilons are in the unit of the
    attack's parameter (n/255; a length for L2), by default up to its maximum at a resolution of
    0.25/255 or one step. All trials use one `seed`, and parameters as in `scaled_parameters`.
    On a model with noise the answer depends on the scoring's draws; more draws sharpen it.
    Raises AttackError (also for bounds that make no range), and what `run_attack` raises.
    """
    spec = get_attack(attack)
    given = dict(parameters or {})
    epsilons = _grid(spec, given, low, high, resolution)
    _check_image(x)
    search = _Search(
        lambda epsilon, report: run_attack(
            model,
            x,
            torch.tensor([label]),
            spec.name,
            scaled_parameters(spec, given, epsilon),
            time_steps=time_steps,
            sigma=sigma,
            draws=draws,
            seed=seed,
            progress=report,
            cancelled=cancelled,
        ),
        label,
        math.ceil(math.log2(len(epsilons) - 1)) + 2,
        progress,
    )
    spared, fooled = _bisect(search, epsilons)
    unit = next(item.unit for item in spec.parameters if item.name == "epsilon")
    shown = scaled_parameters(spec, given, epsilons[-1] if fooled is None else fooled)
    return SmallestEpsilon(
        attack=spec.name,
        unit=unit,
        fooled_at=fooled,
        spared_at=spared,
        already_wrong=search.trials[0].verdict == "wrong",
        never=fooled is None,
        step_size=float(shown["step_size"]) if "step_size" in shown else None,
        trials=tuple(search.trials),
    )


def _grid(
    spec: AttackSpec,
    parameters: Mapping[str, Any],
    low: float,
    high: float | None,
    resolution: float | None,
) -> list[float]:
    """The epsilons that a search may try, rising from `low` to `high`. Raises AttackError."""
    scaled_parameters(spec, parameters, low)
    epsilon = next(item for item in spec.parameters if item.name == "epsilon")
    assert epsilon.maximum is not None
    top = epsilon.maximum if high is None else high
    scaled_parameters(spec, parameters, top)
    step = _resolution(epsilon) if resolution is None else resolution
    if not (low < top and 0 < step < math.inf):
        raise AttackError("A search for epsilon needs a range that rises and steps above 0.")
    count = math.ceil((top - low) / step - 1e-9)
    return [*(low + index * step for index in range(count)), top]


def _resolution(epsilon: ParameterSpec) -> float:
    """0.25/255, or one step of a parameter that is no 255th."""
    return 0.25 if epsilon.unit == PIXEL_UNIT else epsilon.step or 1.0


class _Search:
    """Runs the trials of a search and keeps them; reports rising progress over `expected`."""

    def __init__(
        self,
        attack: Callable[[float, Progress], AttackResult],
        label: int,
        expected: int,
        progress: Progress | None,
    ) -> None:
        self.trials: list[Trial] = []
        self._attack = attack
        self._label = label
        self._expected = expected
        self._progress = progress

    def ends_at(self, epsilon: float) -> bool:
        """Attack at `epsilon`; True if that fools the model, or if it was wrong before."""
        result = self._attack(epsilon, self._report)
        correct = correct_share(result.adversarial_logits, self._label)
        verdict = _verdict(result.clean_logits, result.adversarial_logits, self._label)
        self.trials.append(Trial(epsilon, correct, verdict))
        return verdict in ("fooled", "wrong")

    def finish(self) -> None:
        if self._progress is not None:
            self._progress(1.0)

    def _report(self, share: float) -> None:
        if self._progress is not None:
            self._progress(min((len(self.trials) + share) / self._expected, 1.0))


def _bisect(search: _Search, epsilons: list[float]) -> tuple[float | None, float | None]:
    """(largest tried that spared, smallest above it that fooled), neighbours in `epsilons`."""
    low, high = 0, len(epsilons) - 1
    spared: float | None
    fooled: float | None
    if search.ends_at(epsilons[low]):
        spared, fooled = None, epsilons[low]
    elif not search.ends_at(epsilons[high]):
        spared, fooled = epsilons[high], None
    else:
        while high - low > 1:
            middle = (low + high) // 2
            if search.ends_at(epsilons[middle]):
                high = middle
            else:
                low = middle
        spared, fooled = epsilons[low], epsilons[high]
    search.finish()
    return spared, fooled


@dataclass(frozen=True)
class Transfer:
    """An image attacked on each of M models and shown to all of them.

    correct: `[M, M]`, share of right draws (0..1); row i is the image crafted on model i, column j
    the model that answers, so that the diagonal is the ordinary attack. verdicts: the same of the
    vote. clean: `[M]`, the share on the clean image. adversarial: `[M, C, H, W]`.
    """

    names: tuple[str, ...]
    attack: str
    clean: NDArray[np.float64]
    correct: NDArray[np.float64]
    verdicts: tuple[tuple[Verdict, ...], ...]
    adversarial: Tensor = field(repr=False, compare=False)
    draws: int


def transfer(
    models: Mapping[str, SpikingClassifier],
    x: Tensor,
    label: int,
    attack: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    time_steps: int | None = None,
    sigma: float | None = None,
    draws: int = 8,
    seed: int = 0,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> Transfer:
    """Attack `x` `[1, C, H, W]` of class `label` on each model, and score it on every model.

    time_steps goes to the spiking models and sigma to those with RSC coding; the others have no
    such dial. Raises AttackError for models that do not take one image or do not have the same
    number of classes, and what `run_attack` raises.
    """
    _check_alike(models)
    _check_image(x)
    settings = {name: _dials(model, time_steps, sigma) for name, model in models.items()}
    results = [
        run_attack(
            model,
            x,
            torch.tensor([label]),
            attack,
            parameters,
            **settings[name],
            draws=draws,
            seed=seed,
            progress=_part(progress, index, len(models)),
            cancelled=cancelled,
        )
        for index, (name, model) in enumerate(models.items())
    ]
    clean = [result.clean_logits for result in results]
    attacked = [
        [
            score(
                model, result.adversarial, draws, **settings[name], seed=seed, cancelled=cancelled
            )
            for name, model in models.items()
        ]
        for result in results
    ]
    return Transfer(
        names=tuple(models),
        attack=get_attack(attack).name,
        clean=np.array([correct_share(logits, label) for logits in clean]),
        correct=np.array([[correct_share(logits, label) for logits in row] for row in attacked]),
        verdicts=tuple(
            tuple(_verdict(*pair, label) for pair in zip(clean, row, strict=True))
            for row in attacked
        ),
        adversarial=torch.cat([result.adversarial for result in results]),
        draws=draws,
    )


def _verdict(clean: Tensor, attacked: Tensor, label: int) -> Verdict:
    """The verdict from logits `[D, 1, K]` on the clean and on the attacked image."""
    before, after = (vote_counts(logits[:, 0].cpu().numpy()) for logits in (clean, attacked))
    return judge(before, after, label)


def _check_alike(models: Mapping[str, SpikingClassifier]) -> None:
    """Raise AttackError unless all models take the same images and have as many classes."""
    if len(models) < 2:
        raise AttackError("Transfer needs at least two models.")
    (first, model), *others = models.items()
    for name, other in others:
        for field_name, words in (
            ("image_size", "images of {} pixels"),
            ("in_channels", "images of {} channels"),
            ("num_classes", "{} classes"),
        ):
            ours, theirs = getattr(model.config, field_name), getattr(other.config, field_name)
            if ours != theirs:
                raise AttackError(
                    f"An attack cannot be carried from one to the other: {first} has "
                    f"{words.format(ours)}, {name} {words.format(theirs)}."
                )


def _dials(model: SpikingClassifier, time_steps: int | None, sigma: float | None) -> dict[str, Any]:
    """The settings that `model` has a dial for."""
    return {
        "time_steps": time_steps if model.config.has_time else None,
        "sigma": None if coding_sigma(model.coding) is None else sigma,
    }


def _part(progress: Progress | None, index: int, total: int) -> Progress | None:
    """What reports part `index` of `total` equal parts to `progress`."""
    if progress is None:
        return None
    return lambda share: progress((index + share) / total)


@dataclass(frozen=True)
class Mismatch:
    """One model attacked through a coding that it does not use, and through its own.

    through_other, through_own: the two attacks, scored with the model's own coding on the same
    draws. If the first spares a model that the second fools, the model only looked robust.
    """

    model_coding: str
    attack_coding: str
    through_other: AttackResult
    through_own: AttackResult

    @property
    def label(self) -> int:
        """The true class."""
        return int(self.through_own.labels[0])

    @property
    def clean(self) -> float:
        """Share of right draws (0..1) on the clean image."""
        return correct_share(self.through_own.clean_logits, self.label)

    @property
    def other(self) -> float:
        """Share of right draws after the attack through the other coding."""
        return correct_share(self.through_other.adversarial_logits, self.label)

    @property
    def own(self) -> float:
        """Share of right draws after the attack through the model's own coding."""
        return correct_share(self.through_own.adversarial_logits, self.label)

    @property
    def verdicts(self) -> tuple[Verdict, Verdict]:
        """The verdicts of `other` and of `own`."""
        other, own = (
            _verdict(result.clean_logits, result.adversarial_logits, self.label)
            for result in (self.through_other, self.through_own)
        )
        return other, own


def mismatched_coding(model: SpikingClassifier) -> Coding:
    """A coding that `model` does not use: direct for one with noise, Poisson for one without."""
    return DirectCoding() if model.coding.stochastic else PoissonCoding()


def encoder_mismatch(
    model: SpikingClassifier,
    x: Tensor,
    label: int,
    attack: str,
    parameters: Mapping[str, Any] | None = None,
    attack_coding: Coding | None = None,
    *,
    time_steps: int | None = None,
    sigma: float | None = None,
    draws: int = 8,
    seed: int = 0,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> Mismatch:
    """Attack `x` `[1, C, H, W]` of class `label` through another coding and through the model's.

    attack_coding: None for `mismatched_coding(model)`. Both attacks have the same parameters,
    `eot_draws` included; they are used wherever the coding that the attack looks through has
    noise. Raises AttackError if the other coding is the model's own, and what `run_attack` raises.
    """
    other = mismatched_coding(model) if attack_coding is None else attack_coding
    if other == model.resolve_coding(sigma):
        raise AttackError(f"The model itself uses {other.name} coding: there is no mismatch.")
    _check_image(x)
    results = [
        run_attack(
            model,
            x,
            torch.tensor([label]),
            attack,
            parameters,
            time_steps=time_steps,
            sigma=sigma,
            draws=draws,
            seed=seed,
            attack_coding=coding,
            progress=_part(progress, index, 2),
            cancelled=cancelled,
        )
        for index, coding in enumerate((other, None))
    ]
    return Mismatch(model.coding.name, other.name, *results)


def _check_image(x: Tensor) -> None:
    """Raise AttackError unless `x` is one image."""
    if x.ndim != 4 or len(x) != 1:
        raise AttackError("A comparison is made of one image [1, C, H, W] at a time.")
