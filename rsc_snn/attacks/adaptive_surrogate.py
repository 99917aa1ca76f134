"""An attack whose surrogate gradient adapts to each neuron: ASSG and Stable Adaptive PGD.

Wang, Zhao, Chen, Zhang and Zeng, "Towards Reliable Evaluation of Adversarial Robustness for Spiking
Neural Networks", 2025, arXiv 2512.22522. Written here because torchattacks has neither: its attacks
take the gradient of the model as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchattacks.attack import Attack

from rsc_snn.attacks import library

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rsc_snn.attacks.target import Target
    from rsc_snn.neurons import Sharpness


class AdaptiveSharpness:
    """Adaptive Sharpness Surrogate Gradient: the arctan's alpha of each neuron and time step.

        alpha = a / (M + r D + 1e-4),   a = 2 tan(pi A) / pi

    M is the running mean, over the passes of an attack, of the distance |H - threshold| of the
    neuron's charged potential, D that of | |H - threshold| - M |; they start at 1 and 0. A
    distance of M + r D then holds the share A of the surrogate's area on either side of the
    threshold, which is 1/2 on each. The paper's r = 1.5 and momentum 0.9; A is `spread`.

    Of several noise draws in one pass, M and D take the mean: the paper, which draws one after the
    other, takes the first.
    """

    def __init__(self, spread: float, relax: float = 1.5, momentum: float = 0.9) -> None:
        self._scale = 2 * math.tan(math.pi * spread) / math.pi
        self._relax = relax
        self._momentum = momentum
        self._moments: dict[int, tuple[Tensor, Tensor]] = {}

    def of_pass(self, draws: int, *, learn: bool = True) -> Sharpness:
        """For one pass over `draws` draws of the same images, folded into its batch `[D N, ...]`.

        learn: move M and D; without, they are used as they are.
        """
        layers = count()

        def alphas(distance: Tensor) -> Tensor:
            layer = next(layers)
            away = distance.abs().unflatten(1, (draws, -1))
            if learn:
                self._learn(layer, away)
            mean, deviation = self._moments[layer]
            alpha = self._scale / (mean + self._relax * deviation + 1e-4)
            return alpha.unsqueeze(1).expand_as(away).flatten(1, 2)

        return alphas

    def _learn(self, layer: int, away: Tensor) -> None:
        """Move the moments `[T, N, ...]` of a layer by distances `[T, D, N, ...]`."""
        now = away.mean(dim=1)
        mean, deviation = self._moments.get(layer, (torch.ones_like(now), torch.zeros_like(now)))
        mean = torch.lerp(now, mean, self._momentum)
        strays = (away - mean.unsqueeze(1)).abs().mean(dim=1)
        self._moments[layer] = mean, torch.lerp(strays, deviation, self._momentum)


class SAPGD(Attack):
    """Stable Adaptive PGD (L-infinity): momentum and steps that adapt to each pixel.

        m = 0.5 m + g / mean|g|,   v = 0.8 v + g^2 / mean(g^2)
        step = clip(eta m / sqrt(v), -eta, eta)

    over the pixels of an image; eta starts at epsilon and halves first after 22 % of the steps,
    then at intervals that shrink by 3 % of the steps down to 6 %. From a random start whose largest
    change is epsilon. Like the APGD of this program it attacks every image to the end and
    returns the iterate with the highest loss (the mean over draws) or, on a model without noise,
    one that is misclassified if there is one.
    """

    def __init__(self, model: Target, eps: float, steps: int) -> None:
        super().__init__("SAPGD", model)
        self.eps = eps
        self.steps = steps
        self.supported_mode = ["default"]

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        images = images.detach()
        start = torch.empty_like(images).uniform_(-1, 1)
        largest = start.abs().flatten(1).amax(dim=1).view(-1, 1, 1, 1)
        x = (images + self.eps * start / largest).clamp(0, 1)
        m, v = torch.zeros_like(x), torch.zeros_like(x)
        best = _Best.before(x)
        for eta in self._step_sizes():
            logits, losses, gradient = self._look(x, labels)
            best = best.or_better(x, losses, self._fooled(logits, labels))
            m = 0.5 * m + library.by_mean(gradient)
            v = 0.8 * v + library.by_mean(gradient.square())
            step = (eta * m / (v.sqrt() + 1e-12)).clamp(-eta, eta)
            x = torch.clamp(x + step, images - self.eps, images + self.eps).clamp(0, 1)
        logits = self.get_logits(x)
        return best.or_better(x, self._losses(logits, labels), self._fooled(logits, labels)).x

    def _step_sizes(self) -> list[float]:
        sizes, eta = [], self.eps
        left = interval = max(int(0.22 * self.steps), 1)
        for _ in range(self.steps):
            sizes.append(eta)
            left -= 1
            if left == 0:
                eta /= 2
                interval = max(interval - max(int(0.03 * self.steps), 1), int(0.06 * self.steps), 1)
                left = interval
        return sizes

    def _look(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(mean logits, losses `[N]`, gradient of their sum)."""
        x = x.detach().requires_grad_()
        logits = self.get_logits(x)
        losses = self._losses(logits, labels)
        (gradient,) = torch.autograd.grad(losses.sum(), x)
        return logits.detach(), losses.detach(), gradient

    def _losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        losses: Tensor = self.model.per_draw(
            logits, lambda z: F.cross_entropy(z, labels, reduction="none")
        )
        return losses

    def _fooled(self, logits: Tensor, labels: Tensor) -> Tensor:
        """`[N]` True if misclassified for sure: one noisy look proves nothing."""
        wrong = logits.argmax(dim=1) != labels
        return torch.zeros_like(wrong) if self.model.stochastic else wrong


@dataclass(frozen=True)
class _Best:
    """The best iterates so far `[N, C, H, W]`: misclassified before any other, then by loss."""

    x: Tensor
    losses: Tensor
    fooled: Tensor

    @classmethod
    def before(cls, x: Tensor) -> _Best:
        """Before anything was looked at."""
        losses = x.new_full((len(x),), -torch.inf)
        return cls(x, losses, torch.zeros_like(losses, dtype=torch.bool))

    def or_better(self, x: Tensor, losses: Tensor, fooled: Tensor) -> _Best:
        """With iterates `x` taken where they are better."""
        better = (fooled & ~self.fooled) | ((fooled == self.fooled) & (losses > self.losses))
        return _Best(
            torch.where(better.view(-1, 1, 1, 1), x, self.x),
            torch.where(better, losses, self.losses),
            torch.where(better, fooled, self.fooled),
        )


def sa_pgd(target: Target, parameters: Mapping[str, Any]) -> SAPGD:
    """The attack on a target, which gets an adaptive surrogate if that is asked for."""
    target.low_precision = parameters["precision"] == "fast" and target.stochastic
    if parameters["surrogate"] == "adaptive" and target.classifier.is_spiking:
        target.surrogate = AdaptiveSharpness(parameters["spread"])
    return SAPGD(target, eps=parameters["epsilon"], steps=parameters["steps"])
