"""Accuracy, clean and under attack: every number with its interval, its n and how it was made.

A stochastic model is no function, so "is this image classified correctly?" needs a predictor:

- "single": one forward pass. An image's score is the share of its D draws that are correct, the
  accuracy is the mean score: the expected accuracy of a single pass.
- "vote": the class that most of the D draws choose (the lowest class number on a tie). An image's
  score is 0 or 1.

In both, images are the sampling unit: more draws make an image's own score more certain, but do
not replace images. `accuracy_estimate` says how the interval follows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from rsc_snn.attacks.parameters import Value
from rsc_snn.attacks.registry import get_attack, validate_parameters
from rsc_snn.attacks.run import CancelCheck, Progress, run_attack, score
from rsc_snn.classifier import SpikingClassifier
from rsc_snn.coding import coding_sigma
from rsc_snn.data.pixels import to_unit
from rsc_snn.errors import Cancelled, ConfigError, DataError
from rsc_snn.randomness import derive_seed, make_generator

Predictor = Literal["single", "vote"]
PREDICTORS: tuple[Predictor, ...] = ("single", "vote")
AttackChoice = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Estimate:
    """A share (0..1) with its confidence interval; n is the number of images."""

    value: float
    lower: float
    upper: float
    n: int
    confidence: float = 0.95

    def to_json(self) -> dict[str, float | int]:
        """A dictionary that JSON can hold."""
        return asdict(self)


@dataclass(frozen=True)
class Evaluation:
    """Clean and, with an attack, robust accuracy, and all that determined them.

    clean_scores, robust_scores: `[n]`, each image's score under the predictor. queries: forward
    passes of single images that the attack made. seconds: wall time.
    """

    clean: Estimate
    robust: Estimate | None
    clean_scores: Tensor
    robust_scores: Tensor | None
    n: int
    draws: int
    predictor: Predictor
    attack: str | None
    parameters: dict[str, Value]
    time_steps: int
    sigma: float | None
    batch_size: int
    seed: int
    queries: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """A dictionary that JSON can hold, without the scores of the single images."""
        fields = {
            name: getattr(self, name)
            for name in (
                "n",
                "draws",
                "predictor",
                "attack",
                "parameters",
                "time_steps",
                "sigma",
                "batch_size",
                "seed",
                "queries",
            )
        }
        robust = None if self.robust is None else self.robust.to_json()
        seconds = round(self.seconds, 3)
        return {**fields, "clean": self.clean.to_json(), "robust": robust, "seconds": seconds}


@dataclass(frozen=True)
class WorstCase:
    """Accuracy against whichever attack of a set does an image most harm.

    robust: an image counts by its lowest score over no attack and all attacks. each: the
    evaluation under each attack alone, in the order given.
    """

    clean: Estimate
    robust: Estimate
    scores: Tensor
    each: tuple[Evaluation, ...]
    seconds: float


@dataclass(frozen=True)
class SweepPoint:
    """One point of a sweep over sigma."""

    sigma: float
    clean: Estimate
    robust: Estimate
    n: int
    seconds: float


# A page shows the same clean accuracies at every epsilon, and the library takes its time.
@lru_cache(maxsize=4096)
def wilson(successes: float, n: float, confidence: float = 0.95) -> Estimate:
    """The share of successes with Wilson's score interval (Wilson 1927), from statsmodels.

    `n` may be an effective, fractional number of trials; the estimate's n is its whole part.
    Raises ConfigError unless 0 <= successes <= n and n > 0.
    """
    if not (n > 0 and 0 <= successes <= n):
        raise ConfigError(f"{successes} successes of {n} trials is not a share.")
    # Seconds to load, which not every command and not every worker needs.
    from statsmodels.stats.proportion import proportion_confint

    lower, upper = proportion_confint(successes, n, alpha=1 - confidence, method="wilson")
    value = successes / n
    # At 0 and at n the formula's ends differ from the value by float rounding alone.
    return Estimate(value, min(float(lower), value), max(float(upper), value), int(n), confidence)


def accuracy_estimate(scores: Tensor, draws: int = 1, confidence: float = 0.95) -> Estimate:
    """Mean of the images' scores `[n]` (each 0..1, a mean over `draws`) with an interval.

    With scores of 0 and 1 this is Wilson's interval over n images. Scores between vary less than
    coin flips of the same mean would, so the mean is known better: Wilson's interval is taken at
    an effective number of images, the design-effect correction of survey sampling (Korn and
    Graubard 1998, Dean and Pagano 2015)

        min(n p (1 - p) / s^2, n draws) * (t_{n draws - 1} / t_{n - 1})^2,

    s^2 the unbiased variance of the scores and of one image more, half of it right and half of it
    wrong in every draw: of rare images that are surely right, among others that are not, it may be
    that none was drawn. The quantiles t of Student's law pay for a variance known from n scores
    alone: a few that happen to agree say little. It is never below n, which is enough even where
    draws of one image agree, and is n for a single image.
    """
    n = len(scores)
    if n == 0:
        raise DataError("There are no images to evaluate.")
    values = scores.double()
    share = float(values.mean())
    effective = _effective_images(values, draws, confidence)
    interval = wilson(share * effective, effective, confidence)
    return Estimate(share, interval.lower, interval.upper, n, confidence)


def image_scores(logits: Tensor, labels: Tensor, predictor: Predictor = "single") -> Tensor:
    """Scores float64 `[N]` of images from logits `[D, N, K]`, classes `[N]`; see the module.

    In float32 equal shares of draws would differ by rounding, on each machine in its own way. On
    the CPU, for not every device has float64.
    """
    _check_predictor(predictor)
    chosen = logits.argmax(dim=-1)
    if predictor == "single":
        return (chosen == labels).cpu().double().mean(dim=0)
    votes = torch.nn.functional.one_hot(chosen, logits.shape[-1]).sum(dim=0)
    return (votes.argmax(dim=-1) == labels).cpu().double()


def evaluate_accuracy(
    model: SpikingClassifier,
    images: Tensor,
    labels: Tensor,
    *,
    attack: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    batch_size: int = 64,
    draws: int = 1,
    predictor: Predictor = "single",
    time_steps: int | None = None,
    sigma: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    cancelled: CancelCheck | None = None,
    limit: int | None = None,
) -> Evaluation:
    """Accuracy on images `[M, C, H, W]` (uint8, or float 0..1) with true classes `[M]`.

    One batch at a time is in memory as floats. Scored on `draws` fresh draws, the same for clean
    and attacked images. With `limit`, on a random subset of that size which `seed` determines.
    The result depends on the arguments alone, batch_size among them (it groups the noise).

    Raises DataError (no images), ConfigError, AttackError, Cancelled, DeviceMemoryError.
    """
    start = time.perf_counter()
    _check_predictor(predictor)
    spec = None if attack is None else get_attack(attack)
    values = {} if spec is None else validate_parameters(spec, parameters or {})
    images, labels = _subset(images, labels, limit, seed)
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ConfigError(f"The batch size must be a whole number from 1, not {batch_size!r}.")
    device = next(model.parameters()).device
    clean, robust, queries = [], [], 0
    options: dict[str, Any] = {"time_steps": time_steps, "sigma": sigma, "cancelled": cancelled}
    for index, at in enumerate(range(0, len(images), batch_size)):
        if cancelled is not None and cancelled():
            raise Cancelled("The evaluation was cancelled.")
        x = images[at : at + batch_size].to(device)
        x = x if x.is_floating_point() else to_unit(x)
        truth = labels[at : at + batch_size].to(device)
        options["seed"] = derive_seed(seed, "batch", index)
        if spec is None:
            clean_logits = score(model, x, draws, **options)
        else:
            report = _part(progress, at / len(images), len(x) / len(images))
            result = run_attack(
                model, x, truth, spec.name, values, draws=draws, progress=report, **options
            )
            clean_logits = result.clean_logits
            robust.append(image_scores(result.adversarial_logits, truth, predictor).cpu())
            queries += result.queries
        clean.append(image_scores(clean_logits, truth, predictor).cpu())
        if progress is not None:
            progress(min((at + len(x)) / len(images), 1.0))
    passes = 1 if predictor == "vote" else draws
    clean_scores = torch.cat(clean)
    robust_scores = torch.cat(robust) if robust else None
    return Evaluation(
        clean=accuracy_estimate(clean_scores, passes),
        robust=None if robust_scores is None else accuracy_estimate(robust_scores, passes),
        clean_scores=clean_scores,
        robust_scores=robust_scores,
        n=len(images),
        draws=draws,
        predictor=predictor,
        attack=None if spec is None else spec.name,
        parameters=values,
        time_steps=model.time_steps if time_steps is None else time_steps,
        sigma=coding_sigma(model.resolve_coding(sigma)),
        batch_size=batch_size,
        seed=seed,
        queries=queries,
        seconds=time.perf_counter() - start,
    )


def evaluate_worst(
    model: SpikingClassifier,
    images: Tensor,
    labels: Tensor,
    attacks: Sequence[AttackChoice],
    *,
    draws: int = 1,
    predictor: Predictor = "single",
    progress: Progress | None = None,
    **options: Any,
) -> WorstCase:
    """Accuracy against the worst of `attacks` (name, parameters) for each image.

    An image keeps its lowest score over the clean image and all attacks: with one draw, or with
    the vote, it counts only if it survives every one. With "single" and several draws the lowest
    of several noisy scores errs low; more draws make that bias smaller, and the lowest accuracy of
    `each` errs high as a rule (of about equal ones it is the lowest by luck as well). `options` are
    those of `evaluate_accuracy`, with its errors; DataError too if there is no attack.
    """
    start = time.perf_counter()
    if not attacks:
        raise DataError("The worst case needs at least one attack.")
    evaluations = []
    for index, (name, parameters) in enumerate(attacks):
        evaluations.append(
            evaluate_accuracy(
                model,
                images,
                labels,
                attack=name,
                parameters=parameters,
                draws=draws,
                predictor=predictor,
                progress=_part(progress, index / len(attacks), 1 / len(attacks)),
                **options,
            )
        )
    columns = [evaluations[0].clean_scores]
    columns += [item.robust_scores for item in evaluations if item.robust_scores is not None]
    scores = torch.stack(columns).amin(dim=0)
    return WorstCase(
        clean=evaluations[0].clean,
        robust=accuracy_estimate(scores, 1 if predictor == "vote" else draws),
        scores=scores,
        each=tuple(evaluations),
        seconds=time.perf_counter() - start,
    )


def sigma_sweep(
    model: SpikingClassifier,
    x: Tensor,
    labels: Tensor,
    *,
    attack: str,
    parameters: Mapping[str, Any] | None = None,
    sigmas: Sequence[float],
    progress: Progress | None = None,
    **options: Any,
) -> Iterator[SweepPoint]:
    """Clean and robust accuracy at each noise level of `sigmas`, one point as it is computed.

    The same images and the same seed at every point. `options` are those of `evaluate_accuracy`,
    with its errors; ConfigError if the model's coding has no sigma.
    """
    for index, sigma in enumerate(sigmas):
        result = evaluate_accuracy(
            model,
            x,
            labels,
            attack=attack,
            parameters=parameters,
            sigma=sigma,
            progress=_part(progress, index / len(sigmas), 1 / len(sigmas)),
            **options,
        )
        assert result.robust is not None
        yield SweepPoint(sigma, result.clean, result.robust, result.n, result.seconds)


def _effective_images(values: Tensor, draws: int, confidence: float) -> float:
    """How many coin flips tell as much of their mean as the scores `values` `[n]`."""
    n, share = len(values), float(values.mean())
    spread = share * (1 - share)
    if n == 1 or spread <= 0:
        return float(n)
    from scipy.special import stdtrit  # Loaded late, with what `wilson` loads.

    of_draws, of_images = stdtrit([n * draws - 1, n - 1], (1 + confidence) / 2)
    squares = float(((values - share) ** 2).sum())
    if bool(((values > 0) & (values < 1)).any()):
        squares += ((1 - share) ** 2 + share**2) / 2  # The image that was not drawn.
    told = min((n - 1) * n * spread / squares, n * draws)
    return max(told * float(of_draws / of_images) ** 2, n)


def _check_predictor(predictor: str) -> None:
    if predictor not in PREDICTORS:
        raise ConfigError(
            f"Unknown predictor {predictor!r}; choose one of {', '.join(PREDICTORS)}."
        )


def _subset(images: Tensor, labels: Tensor, limit: int | None, seed: int) -> tuple[Tensor, Tensor]:
    """At most `limit` images, drawn without order: data sets are often sorted by class."""
    if len(images) == 0:
        raise DataError("There are no images to evaluate.")
    if len(images) != len(labels):
        raise DataError(f"There are {len(images)} images but {len(labels)} classes.")
    if limit is None:
        return images, labels
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ConfigError(f"The number of images must be a whole number from 1, not {limit!r}.")
    if limit >= len(images):
        return images, labels
    order = torch.randperm(len(images), generator=make_generator(derive_seed(seed, "subset")))
    rows = order[:limit].sort().values
    return images[rows], labels[rows]


def _part(progress: Progress | None, begin: float, share: float) -> Callable[[float], None] | None:
    """Progress of a part that begins at `begin` and is `share` of the whole."""
    if progress is None:
        return None
    return lambda done: progress(min(begin + share * done, 1.0))
