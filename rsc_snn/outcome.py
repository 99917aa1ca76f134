"""What one attack does to one image, and what the network answers; the Playground's core.

Plain functions of their arguments: seeded, without state, so that any thread may call them and a
result may be remembered by the arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsc_snn.activity.record import trace_seed
from rsc_snn.attacks import AttackSpec, run_attack, score
from rsc_snn.coding import make_coding
from rsc_snn.randomness import make_generator

if TYPE_CHECKING:
    from rsc_snn.classifier import ModelConfig, SpikingClassifier
    from rsc_snn.trace import Trace

# Single-image network passes (32x32 pixels, one time step) that fit into a slider's move. One
# takes about 3 ms with its gradient on one small CPU core.
LIVE_PASSES = 200
_GPU_FACTOR = 16
# What a pass with its gradient costs, in passes without.
_WITH_GRADIENT = 3

Verdict = Literal["held", "fooled", "wrong", "abstained"]


@dataclass(frozen=True)
class ImageChoice:
    """The photograph: pixels `[1, C, H, W]` in 0..1, and its class if it is known."""

    digest: str
    name: str
    label: int | None
    pixels: Tensor = field(compare=False, repr=False)


@dataclass(frozen=True)
class AttackRequest:
    """Everything that determines an outcome.

    sha256: `ModelCard.identity`. sigma, time_steps: None for the model's own.
    """

    model: str
    sha256: str
    image: ImageChoice
    attack: str
    parameters: tuple[tuple[str, Any], ...]
    time_steps: int | None
    sigma: float | None
    draws: int
    seed: int

    @property
    def key(self) -> Hashable:
        """What to remember the outcome by."""
        return ("attack", self)


@dataclass(frozen=True)
class Outcome:
    """What one attack did to one image.

    original, adversarial: `[C, H, W]`. clean_logits, adversarial_logits: `[D, K]` over draws.
    device, threads: where it was computed, and on how many threads of the CPU. What the network
    did inside, and at each time step, is in `rsc_snn.activity`.
    """

    original: NDArray[np.float32]
    adversarial: NDArray[np.float32]
    label: int
    clean_logits: NDArray[np.float32]
    adversarial_logits: NDArray[np.float32]
    queries: int
    gradients: int
    seconds: float
    device: str = ""
    threads: int = 0

    @property
    def clean_votes(self) -> NDArray[np.int64]:
        """The class that each draw gives the original, `[D]`."""
        return np.asarray(self.clean_logits.argmax(axis=1))

    @property
    def adversarial_votes(self) -> NDArray[np.int64]:
        """The class that each draw gives the attacked image, `[D]`."""
        return np.asarray(self.adversarial_logits.argmax(axis=1))

    @property
    def clean_counts(self) -> NDArray[np.int64]:
        """How many draws take the original for each class, `[K]`."""
        return vote_counts(self.clean_logits)

    @property
    def adversarial_counts(self) -> NDArray[np.int64]:
        """How many draws take the attacked image for each class, `[K]`."""
        return vote_counts(self.adversarial_logits)

    @property
    def verdict(self) -> Verdict:
        """What the attack did to the vote over the draws."""
        return judge(self.clean_counts, self.adversarial_counts, self.label)

    @property
    def linf(self) -> float:
        """The largest change of a pixel, as a share of the pixel range."""
        return float(np.abs(self.adversarial - self.original).max())

    @property
    def l2(self) -> float:
        """The Euclidean length of the change, pixels in 0..1."""
        change = self.adversarial.astype(np.float64) - self.original
        return float(np.sqrt(np.square(change).sum()))

    @property
    def rival(self) -> int:
        """The wrong class that the attacked image is most often, or most nearly, taken for."""
        scores = self.adversarial_counts + 0.5 * _unit_range(self.adversarial_logits.mean(axis=0))
        scores[self.label] = -1
        return int(scores.argmax())


def vote_counts(logits: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many draws choose each class, `[K]`, from logits `[D, K]`."""
    return np.bincount(logits.argmax(axis=1), minlength=logits.shape[1])


def mean_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean over draws of the softmax of logits `[D, K]`, in double precision, `[K]`."""
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max(axis=1, keepdims=True))
    return np.asarray((powers / powers.sum(axis=1, keepdims=True)).mean(axis=0))


def majority(counts: NDArray[np.int64]) -> int | None:
    """The class that has over half of the votes `[K]`; None if none has: an abstention."""
    winner = int(counts.argmax())
    return winner if 2 * int(counts[winner]) > int(counts.sum()) else None


def judge(clean: NDArray[np.int64], adversarial: NDArray[np.int64], label: int) -> Verdict:
    """What an attack did to the majority vote; `clean`, `adversarial`: votes of each class `[K]`.

    "wrong": the true class has no majority on the original, so there was nothing to attack;
    "held": it has one on both; "fooled": another class has it on the attacked image;
    "abstained": no class has.
    """
    if majority(clean) != label:
        return "wrong"
    answer = majority(adversarial)
    if answer is None:
        return "abstained"
    return "held" if answer == label else "fooled"


def _unit_range(values: NDArray[np.float32]) -> NDArray[np.float32]:
    span = float(values.max() - values.min())
    return (values - values.min()) / span if span > 0 else np.zeros_like(values)


def is_heavy(
    spec: AttackSpec,
    parameters: Mapping[str, Any],
    config: ModelConfig,
    time_steps: int | None,
    device: torch.device,
    live_passes: int = LIVE_PASSES,
    scored: int = 1,
) -> bool:
    """True if an attack or its scoring is too slow to run at every move of a slider.

    live_passes: single-image passes of one time step, with their gradients, that a CPU may spend on
    a move. scored: draws on which both images are scored.
    """
    stochastic = make_coding(config.coding, config.sigma).stochastic
    draws = int(parameters.get("eot_draws", 1)) if stochastic else 1
    pixels = config.image_size**2 / 32**2
    attacking = spec.calls(parameters) * draws
    # In one batch and without gradients: quick, so it counts where it is too slow by itself.
    scoring = 2 * (scored if stochastic else 1) / _WITH_GRADIENT
    passes = max(attacking, scoring) * (time_steps or config.time_steps) * pixels
    budget = live_passes * (1 if device.type == "cpu" else _GPU_FACTOR)
    return spec.heavy or passes > budget


def attack_image(
    model: SpikingClassifier,
    request: AttackRequest,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Outcome:
    """Attack the image and score both. Raises the errors of `run_attack`."""
    device = next(model.parameters()).device
    x = request.image.pixels.to(device)
    label = request.image.label
    if label is None:
        label = answer_of(model, request)
    result = run_attack(
        model,
        x,
        torch.tensor([label]),
        request.attack,
        dict(request.parameters),
        time_steps=request.time_steps,
        sigma=request.sigma,
        draws=request.draws,
        seed=request.seed,
        progress=progress,
        cancelled=cancelled,
    )
    return Outcome(
        original=_numpy(x[0]),
        adversarial=_numpy(result.adversarial[0]),
        label=label,
        clean_logits=_numpy(result.clean_logits[:, 0]),
        adversarial_logits=_numpy(result.adversarial_logits[:, 0]),
        queries=result.queries,
        gradients=result.gradients,
        seconds=result.seconds,
        device=str(device),
        threads=torch.get_num_threads(),
    )


def answer_of(model: SpikingClassifier, request: AttackRequest) -> int:
    """What most draws take an image of unknown class for."""
    return int(vote_counts(clean_logits(model, request)).argmax())


def clean_logits(model: SpikingClassifier, request: AttackRequest) -> NDArray[np.float32]:
    """Logits `[D, K]` of the original image over the draws, as the outcome will have them."""
    logits = score(
        model,
        request.image.pixels.to(next(model.parameters()).device),
        request.draws,
        time_steps=request.time_steps,
        sigma=request.sigma,
        seed=request.seed,
    )
    return _numpy(logits[:, 0])


def record(model: SpikingClassifier, request: AttackRequest) -> Trace:
    """What the network does on the original image of a request, with the noise of its activity."""
    x = request.image.pixels.to(next(model.parameters()).device)
    generator = make_generator(trace_seed(request.seed), x.device)
    return model.trace(x, time_steps=request.time_steps, sigma=request.sigma, generator=generator)


def _numpy(values: Tensor) -> NDArray[np.float32]:
    return values.detach().float().cpu().numpy()
