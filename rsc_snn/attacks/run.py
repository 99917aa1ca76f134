"""Run one attack, seeded, on a model that other threads may be using."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from rsc_snn.attacks.parameters import Value
from rsc_snn.attacks.registry import AttackSpec, get_attack, validate_parameters
from rsc_snn.attacks.target import (
    ExpectedLoss,
    Meter,
    Target,
    is_stochastic,
    split_draws,
    split_images,
)
from rsc_snn.coding import Coding, check_time_steps, coding_sigma
from rsc_snn.device import memory_guard
from rsc_snn.errors import AttackError, Cancelled
from rsc_snn.randomness import derive_seed, make_generator, seeded_draws

if TYPE_CHECKING:
    from rsc_snn.classifier import SpikingClassifier

Progress = Callable[[float], None]
CancelCheck = Callable[[], bool]

MAX_DRAWS = 1024
_ATTACK_SHARE = 0.9


@dataclass(frozen=True)
class AttackResult:
    """What an attack did to a batch of N images, and how the model answers on D fresh draws.

    original, adversarial, perturbation: `[N, C, H, W]`, pixels 0..1. clean_logits,
    adversarial_logits: `[D, N, K]`, scored with noise that the attack has not seen, the same for
    both, so that they differ by the perturbation alone. queries, gradients: forward and backward
    passes of single images, draws included, that the attack made (scoring not counted).
    parameters: complete, in the units of their specs. seconds: attack and scoring.
    """

    attack: str
    parameters: dict[str, Value]
    original: Tensor
    adversarial: Tensor
    labels: Tensor
    clean_logits: Tensor
    adversarial_logits: Tensor
    queries: int
    gradients: int
    seconds: float
    seed: int
    time_steps: int
    sigma: float | None

    @property
    def perturbation(self) -> Tensor:
        """adversarial - original, `[N, C, H, W]`."""
        return self.adversarial - self.original

    @property
    def draws(self) -> int:
        """The number of draws it was scored on."""
        return self.clean_logits.shape[0]


@dataclass(frozen=True)
class Crafted:
    """Adversarial images `[N, C, H, W]`, not scored yet; fields as in `AttackResult`."""

    attack: str
    parameters: dict[str, Value]
    adversarial: Tensor
    queries: int
    gradients: int


def run_attack(
    model: SpikingClassifier,
    x: Tensor,
    labels: Tensor,
    attack: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    time_steps: int | None = None,
    sigma: float | None = None,
    draws: int = 8,
    seed: int = 0,
    attack_coding: Coding | None = None,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> AttackResult:
    """Attack images `x` `[N, C, H, W]` (0..1) of true classes `labels` `[N]`, and score the result.

    The same arguments give the same result, bit for bit on one device with one number of
    threads, whatever other threads do. Large batches are attacked in chunks, so that memory
    stays bounded. `draws` are those of the scoring; an attack's own are its parameter
    `eot_draws`. `attack_coding` is a coding that the attack looks through in place of the model's
    own, with which the result is scored all the same. `progress` gets numbers that rise from 0 to
    1. `cancelled` is asked before every forward pass.

    Raises AttackError (unknown attack, bad parameters, images or labels), ConfigError (sigma,
    time_steps), Cancelled, DeviceMemoryError.
    """
    start = time.perf_counter()
    _check_draws(draws)
    tracker = _Tracker(progress, cancelled)
    crafted = craft(
        model,
        x,
        labels,
        attack,
        parameters,
        time_steps=time_steps,
        sigma=sigma,
        seed=seed,
        attack_coding=attack_coding,
        progress=lambda share: tracker.report(_ATTACK_SHARE * share),
        cancelled=cancelled,
    )
    x, labels = _check_batch(model, x, labels)
    with memory_guard(), _ordinary_autograd():
        options = {"time_steps": time_steps, "sigma": sigma, "seed": seed, "cancelled": cancelled}
        clean_logits = score(model, x, draws, **options)  # type: ignore[arg-type]
        tracker.report((1 + _ATTACK_SHARE) / 2)
        adversarial_logits = score(model, crafted.adversarial, draws, **options)  # type: ignore[arg-type]
    tracker.report(1.0)
    return AttackResult(
        attack=crafted.attack,
        parameters=crafted.parameters,
        original=x,
        adversarial=crafted.adversarial,
        labels=labels,
        clean_logits=clean_logits,
        adversarial_logits=adversarial_logits,
        queries=crafted.queries,
        gradients=crafted.gradients,
        seconds=time.perf_counter() - start,
        seed=seed,
        time_steps=model.time_steps if time_steps is None else time_steps,
        sigma=coding_sigma(model.resolve_coding(sigma)),
    )


def craft(
    model: SpikingClassifier,
    x: Tensor,
    labels: Tensor,
    attack: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    time_steps: int | None = None,
    sigma: float | None = None,
    seed: int = 0,
    attack_coding: Coding | None = None,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
) -> Crafted:
    """The adversarial images of `run_attack`, bit for bit, without scoring them.

    For whoever scores by himself, or has scored the clean images before. Arguments and errors
    are those of `run_attack`.
    """
    spec = get_attack(attack)
    values = validate_parameters(spec, parameters or {})
    stochastic = is_stochastic(model, sigma, attack_coding)
    x, labels = _check_batch(model, x, labels)
    _check_classes(spec, values, model.config.num_classes)
    steps = check_time_steps(model.time_steps if time_steps is None else time_steps)
    tracker = _Tracker(progress, cancelled)
    with memory_guard(), _ordinary_autograd():
        eot_draws = int(values.get("eot_draws", 1)) if stochastic else 1
        chunks = split_images(x, steps, eot_draws)
        adversarial, meters = [], []
        for index, rows in enumerate(chunks):
            meter = tracker.meter(spec, values, index, len(chunks), rows)
            target = Target(
                model,
                make_generator(derive_seed(seed, "attack", "noise", index), x.device),
                meter,
                draws=eot_draws,
                time_steps=time_steps,
                sigma=sigma,
                coding=attack_coding,
            )
            generator = make_generator(derive_seed(seed, "attack", "start", index), x.device)
            adversarial.append(_attack(spec, values, target, generator, x[rows], labels[rows]))
            meters.append(meter)
    tracker.report(1.0)
    return Crafted(
        attack=spec.name,
        parameters=values,
        adversarial=torch.cat(adversarial),
        queries=sum(meter.queries for meter in meters),
        gradients=sum(meter.gradients for meter in meters),
    )


def score(
    model: SpikingClassifier,
    x: Tensor,
    draws: int,
    *,
    time_steps: int | None = None,
    sigma: float | None = None,
    seed: int = 0,
    only: Tensor | None = None,
    cancelled: CancelCheck | None = None,
) -> Tensor:
    """Logits `[D, N, K]` of images `x` `[N, C, H, W]` over `draws` fresh draws.

    The noise depends on `seed` and on the shape of `x` alone, so clean and attacked images scored
    with one seed meet the same noise. Models without noise are computed once and repeated.
    With `only`, `[N]` bool, `[D, n, K]` of those images alone, with the noise that they meet
    among all of `x`.
    Raises ConfigError, Cancelled, DeviceMemoryError.
    """
    _check_draws(draws)
    steps = check_time_steps(model.time_steps if time_steps is None else time_steps)
    computed = draws if is_stochastic(model, sigma) else 1
    generator = make_generator(derive_seed(seed, "score"), x.device)
    coding = model.resolve_coding(sigma)
    kept = torch.ones(len(x), dtype=torch.bool, device=x.device) if only is None else only
    rows_of_draws = [torch.empty(computed, 0, model.config.num_classes, device=x.device)]
    with memory_guard(), torch.no_grad():
        for rows in split_images(x, steps, computed):
            shown = _Among(coding, x[rows], kept[rows])
            parts = []
            for count in split_draws(x[rows], steps, computed):
                if cancelled is not None and cancelled():
                    raise Cancelled("The attack was cancelled.")
                parts.append(shown.logits(model, steps, count, generator))
            rows_of_draws.append(torch.cat(parts))
    return torch.cat(rows_of_draws, dim=1).expand(draws, -1, -1)


@dataclass(frozen=True)
class _Among:
    """A coding that shows the `kept` `[N]` images of `batch` `[N, C, H, W]` alone.

    Their frames are those they have in the whole batch: noise is drawn for all of it, which
    costs a hundredth of a pass through the network.
    """

    coding: Coding
    batch: Tensor
    kept: Tensor
    name: ClassVar[str] = "among"
    stochastic: ClassVar[bool] = True

    def logits(
        self, model: SpikingClassifier, steps: int, draws: int, generator: torch.Generator
    ) -> Tensor:
        """Logits `[draws, n, K]` of the n kept images."""
        if not self.kept.any():
            self._frames(steps, draws, generator)  # The next images meet the noise that is theirs.
            return torch.empty(draws, 0, model.config.num_classes, device=self.batch.device)
        some = self.coding.stochastic and not self.kept.all()
        return model(
            self.batch[self.kept],
            time_steps=steps,
            coding=self if some else self.coding,
            draws=draws,
            generator=generator,
        )

    def __call__(
        self, x: Tensor, time_steps: int, generator: torch.Generator | None = None
    ) -> Tensor:
        draws = len(x) // int(self.kept.sum())
        frames = self._frames(time_steps, draws, generator)
        return frames.unflatten(1, (draws, -1))[:, :, self.kept].flatten(1, 2)

    def _frames(self, time_steps: int, draws: int, generator: torch.Generator | None) -> Tensor:
        """Frames `[T, draws * N, C, H, W]` of the whole batch."""
        repeated = self.batch.expand(draws, *self.batch.shape).flatten(0, 1)
        return self.coding(repeated, time_steps, generator)

    def mean(self, x: Tensor) -> Tensor:
        return self.coding.mean(x)

    def variance(self, x: Tensor) -> Tensor:
        return self.coding.variance(x)


def _attack(
    spec: AttackSpec,
    values: Mapping[str, Value],
    target: Target,
    generator: torch.Generator,
    x: Tensor,
    labels: Tensor,
) -> Tensor:
    """Adversarial images `[N, C, H, W]` of one chunk, inside the budget and 0..1.

    The device context makes tensors that torchattacks creates without naming a device (random
    starts, one-hot tables) land where the images are, and hence where the generator is.
    """
    fractions = spec.fractions(values)
    if spec.bounded and fractions["epsilon"] == 0:
        return x.clone()
    target.meter.check()
    with ExitStack() as stack:
        if x.device.type != "cpu":
            stack.enter_context(torch.device(x.device))
        stack.callback(target.release)
        stack.enter_context(ExpectedLoss(target))
        stack.enter_context(seeded_draws(generator))
        found = spec.builder(target, fractions)(x, labels).detach()
    return _project(x, found, spec, fractions)


def _project(x: Tensor, found: Tensor, spec: AttackSpec, values: Mapping[str, Value]) -> Tensor:
    """`found` inside the attack's ball and 0..1: a guard, for attacks project themselves.

    An image without any gradient makes the normalised steps of DeepFool 0/0; it is returned
    unchanged, for such an attack has no direction to go.
    """
    finite = torch.isfinite(found).flatten(1).all(dim=1).view(-1, 1, 1, 1)
    delta = torch.where(finite, found, x) - x
    if spec.bounded:
        epsilon = float(values["epsilon"])
        if spec.norm == "Linf":
            delta = delta.clamp(-epsilon, epsilon)
        else:
            length = delta.flatten(1).norm(dim=1).clamp(min=epsilon).view(-1, 1, 1, 1)
            delta = delta * (epsilon / length)
    return (x + delta).clamp(0, 1)


class _Tracker:
    """Rising progress over the chunks of an attack and its scoring."""

    def __init__(self, progress: Progress | None, cancelled: CancelCheck | None) -> None:
        self._progress = progress
        self._cancelled = cancelled
        self._shown = 0.0

    def report(self, share: float) -> None:
        """Pass `share` (0..1) on; never fall."""
        self._shown = max(self._shown, share)
        if self._progress is not None:
            self._progress(self._shown)

    def meter(
        self, spec: AttackSpec, values: Mapping[str, Value], index: int, total: int, rows: slice
    ) -> Meter:
        """The meter of chunk `index` of `total`."""
        each = rows.stop - rows.start if spec.name == "deepfool" else 1
        return Meter(
            spec.calls(values) * each,
            lambda share: self.report((index + share) / total),
            self._cancelled,
        )


@contextmanager
def _ordinary_autograd() -> Iterator[None]:
    """Gradients on, whatever mode the caller is in."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def _check_batch(model: SpikingClassifier, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Images and labels, checked, on the model's device. Raises AttackError."""
    if x.ndim != 4 or len(x) == 0 or not x.is_floating_point():
        raise AttackError("An attack needs at least one image as a float batch [N, C, H, W].")
    if not (torch.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
        raise AttackError("The pixels of the images to attack must be between 0 and 1.")
    if labels.shape != (len(x),) or labels.is_floating_point():
        raise AttackError("An attack needs one true class for each image.")
    classes = model.config.num_classes
    if labels.min() < 0 or labels.max() >= classes:
        raise AttackError(f"The true class must be a number from 0 to {classes - 1}.")
    device = next(model.parameters()).device
    with torch.inference_mode(False):
        images = x.detach().to(device=device, dtype=torch.float32, copy=True).contiguous()
        return images, labels.detach().to(device=device, dtype=torch.int64, copy=True)


def _check_draws(draws: int) -> None:
    if isinstance(draws, bool) or not isinstance(draws, int) or not 1 <= draws <= MAX_DRAWS:
        raise AttackError(
            f"The number of draws must be a whole number from 1 to {MAX_DRAWS}, not {draws!r}."
        )


def _check_classes(spec: AttackSpec, values: Mapping[str, Value], classes: int) -> None:
    if classes < 2:
        raise AttackError("An attack needs a model with at least 2 classes to confuse.")
    if values.get("loss") == "dlr" and classes < 3:
        raise AttackError(f"The DLR loss of {spec.label} needs a model with at least 3 classes.")
