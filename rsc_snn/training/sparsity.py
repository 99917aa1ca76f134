"""Sparse gradients: training that keeps the L1 norm of the input gradient small.

Liu, Bu, Ding, Hao, Huang and Yu, "Enhancing Adversarial Robustness in SNNs with Sparse Gradients"
(ICML 2024, arXiv 2405.20355): the gap between the harm of an adversarial and of a random change of
the image is bounded by how many entries the gradient of the true class' probability has, and its L1
norm stands in for their number. A finite difference along the gradient's signs avoids a second
backward pass through the first. On a model with noise both ends of the difference must meet the
same draw, or it measures the noise: `SharedNoise`.
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


def true_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """The softmax probability `[N]` of the classes `labels` in logits `[N, K]`."""
    return logits.float().softmax(dim=1).gather(1, labels[:, None])[:, 0]


def steepest_signs(network: Callable[[Tensor], Tensor], x: Tensor, labels: Tensor) -> Tensor:
    """Signs of the gradient of the true class' probability, as `x` `[N, C, H, W]`."""
    leaf = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(true_probability(network(leaf), labels).sum(), leaf)
    return gradient.sign()


def gradient_norm(logits: Tensor, moved: Tensor, labels: Tensor, step: float) -> Tensor:
    """`|f_y(x + h d) - f_y(x)| / h`, the mean over the batch.

    f_y: probability of the true class in `logits` `[N, K]` of images x and `moved` of the images
    x + h d, h = `step`. With d = `steepest_signs` it is, for small h and a smooth network, the L1
    norm of the gradient of f_y. In training it stands in for that norm, and is smaller as a rule:
    h is not small, and the signs are those of eval mode while the difference is taken with the
    statistics of the batch.
    """
    before, after = true_probability(logits, labels), true_probability(moved, labels)
    return (after - before).abs().mean() / step
