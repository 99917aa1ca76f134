"""Adversarial examples for training: fast AT (one step, random start) and PGD-k.

torchattacks is made for frozen models: it switches modes, reads devices from parameters, and
knows neither autocast nor the noise generators of a training step. The inner maximisation of
training is ten lines, so it is written here; attacks that measure robustness come from
`rsc_snn.attacks`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rsc_snn.errors import ConfigError

METHODS = ("none", "fgsm", "pgd", "trades")
Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class AdversarialConfig:
    """How training images are attacked. Raises ConfigError for values without meaning.

    method: "none"; "fgsm", one step from a random start (Wong et al., 2020, arXiv 2001.03994);
    "pgd" (Madry et al., 2018, arXiv 1706.06083); "trades" (Zhang et al., 2019, arXiv 1901.08573).
    epsilon and step_size are in 255ths of the pixel range, in the L-infinity norm; `steps` counts
    for "pgd" and "trades", which take at least two, none longer than epsilon. beta: weight of the
    TRADES term. warmup: share of all training steps over which epsilon (and step_size with it)
    rises to its value.

    watched: held-out images that are attacked after every epoch (PGD-10, fresh noise); the curve
    of a run shows it. With "fgsm" they guard against catastrophic overfitting: a network that
    learns to defeat the single step alone loses its robustness within an epoch (Wong et al.,
    2020). If the watched accuracy falls below `guard` times its best, training goes back to the
    epoch before and on with two-step PGD; the last epoch is then trained again. Without held-out
    images there is no guard.
    """

    method: str = "none"
    epsilon: float = 8.0
    step_size: float = 10.0
    steps: int = 1
    beta: float = 6.0
    warmup: float = 0.0
    watched: int = 256
    guard: float = 0.6

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(
                f"Unknown adversarial training {self.method!r}; choose one of {', '.join(METHODS)}."
            )
        for name in ("epsilon", "step_size", "beta"):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 <= value < math.inf:
                raise ConfigError(f"{name} must be a number from 0, not {value!r}.")
        for name, low in (("steps", 1), ("watched", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ConfigError(f"{name} must be a whole number from {low}, not {value!r}.")
        for name in ("warmup", "guard"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ConfigError(f"{name} must be a number, not {value!r}.")
            if not 0 <= value <= 1:
                raise ConfigError(f"{name} must be from 0 to 1, not {value!r}.")
        if self.method in ("pgd", "trades"):
            self._check_steps()

    def _check_steps(self) -> None:
        """The defaults are those of a single step."""
        if self.steps < 2:
            raise ConfigError(f"{self.method} takes several steps: set steps, such as 7.")
        if self.step_size > self.epsilon:
            raise ConfigError(
                f"The step_size of {self.method}, {self.step_size:g}, is above epsilon, "
                f"{self.epsilon:g}: set a smaller one, such as epsilon / 4."
            )

    def at(self, share: float) -> AdversarialConfig:
        """The same after `share` (0..1) of all training steps, with epsilon as far as it is."""
        if share >= self.warmup:
            return self
        done = share / self.warmup
        return replace(self, epsilon=self.epsilon * done, step_size=self.step_size * done)

    @property
    def inner_steps(self) -> int:
        """Steps of the inner attack."""
        return 1 if self.method == "fgsm" else self.steps

    def two_steps(self) -> AdversarialConfig:
        """What follows when the guard finds that the single step has been overfitted."""
        return replace(self, method="pgd", steps=2, step_size=self.epsilon / 2)

    def measuring(self) -> AdversarialConfig:
        """The attack on watched images: PGD-10 with steps of a quarter of epsilon."""
        return replace(self, method="pgd", steps=10, step_size=self.epsilon / 4)


def attack_batch(
    network: Network,
    x: Tensor,
    loss: Callable[[Tensor], Tensor],
    config: AdversarialConfig,
    generator: torch.Generator,
) -> Tensor:
    """Images within epsilon of `x` `[N, C, H, W]` and 0..1 that raise `loss` of the logits.

    `network` draws fresh noise at every call. `generator` draws the random start, on the
    device of `x`.
    """
    epsilon, step = config.epsilon / 255, config.step_size / 255
    start = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    adversarial = (x + epsilon * (2 * start - 1)).clamp(0, 1)
    for _ in range(config.inner_steps):
        adversarial.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(network(adversarial)), adversarial)
        moved = adversarial.detach() + step * gradient.sign()
        adversarial = (x + (moved - x).clamp(-epsilon, epsilon)).clamp(0, 1)
    return adversarial.detach()
