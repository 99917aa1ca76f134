"""Sparse gradients: training that keeps the L1 norm of the input gradient small.

Liu, Bu, Ding, Hao, Huang and Yu, "Enhancing Adversarial Robustness in SNNs with Sparse Gradients"
(ICML 2024, arXiv 2405.20355): the gap between the harm of an adversarial and of a random change of
the image is bounded by how many entries the gradient of the true class' probability has, and its L1
norm stands in for their number. A finite difference along the gradient's signs avoids a second
backward pass through the first. As in their program the probability is that of the true class
against its strongest rival, and the difference is squared. Unlike theirs, the signs are found in
eval mode, and on a model with noise both ends of the difference meet the same draw, or it would
measure the noise: `SharedNoise`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rsc_snn.coding import Coding


@dataclass(frozen=True)
class SharedNoise:
    """A coding in which the second half of a batch meets the noise of the first.

    Within a half, noise is that of `base`; mean and variance of a frame are its own.
    """

    base: Coding

    @property
    def name(self) -> str:
        """That of `base`."""
        return self.base.name

    @property
    def stochastic(self) -> bool:
        """That of `base`."""
        return self.base.stochastic

    def __call__(self, x: Tensor, time_steps: int, generator: torch.Generator) -> Tensor:
        """Frames `[T, 2N, C, H, W]` of `x` `[2N, C, H, W]`."""
        first, second = x.chunk(2)
        state = generator.get_state()
        frames = self.base(first, time_steps, generator)
        generator.set_state(state)
        return torch.cat([frames, self.base(second, time_steps, generator)], dim=1)


def strongest_rivals(logits: Tensor, labels: Tensor) -> Tensor:
    """The class `[N]` with the highest of the logits `[N, K]` but for the true one."""
    return logits.detach().scatter(1, labels[:, None], -torch.inf).argmax(dim=1)


def duel_probability(logits: Tensor, labels: Tensor, rivals: Tensor) -> Tensor:
    """The softmax probability `[N]` of classes `labels` against `rivals` alone; logits `[N, K]`."""
    pairs = torch.stack([labels, rivals], dim=1)
    return logits.float().gather(1, pairs).softmax(dim=1)[:, 0]


def steepest_signs(network: Callable[[Tensor], Tensor], x: Tensor, labels: Tensor) -> Tensor:
    """Signs of the gradient of the true class' `duel_probability`, as `x` `[N, C, H, W]`."""
    leaf = x.detach().requires_grad_()
    logits = network(leaf)
    probability = duel_probability(logits, labels, strongest_rivals(logits, labels))
    (gradient,) = torch.autograd.grad(probability.sum(), leaf)
    return gradient.sign()


def gradient_penalty(logits: Tensor, moved: Tensor, labels: Tensor, step: float) -> Tensor:
    """`((f(x + h d) - f(x)) / h)^2`, the mean over the batch.

    f: `duel_probability` of the true class against the strongest rival at x, in `logits` `[N, K]`
    of images x and `moved` of the images x + h d, h = `step`. With d = `steepest_signs` it is, for
    small h and a smooth network, the squared L1 norm of the gradient of f. In training it stands
    in for that, and is smaller as a rule: h is not small, and the signs are those of eval mode
    while the difference is taken with the statistics of the batch.
    """
    rivals = strongest_rivals(logits, labels)
    before, after = (duel_probability(each, labels, rivals) for each in (logits, moved))
    return ((after - before) / step).square().mean()
