"""The attack classes: torchattacks, corrected where it is wrong for stochastic models.

torchattacks is the reference that others compare with, so its classes are used as they are
where possible. What each subclass changes, and why, is in its docstring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torchattacks
from torch import Tensor
from torchattacks import EOTPGD, FGSM, GN, MIFGSM, PGD, PGDL2, RFGSM, DeepFool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rsc_snn.attacks.target import Target

__all__ = [
    "APGD",
    "CW",
    "EOTPGD",
    "FGSM",
    "GN",
    "MIFGSM",
    "PGD",
    "PGDL2",
    "RFGSM",
    "DeepFool",
    "Square",
    "UniformNoise",
    "eot_pgd",
]


def eot_pgd(target: Target, parameters: Mapping[str, Any]) -> EOTPGD:
    """torchattacks' EOT-PGD, its draws folded into the batch by the target.

    Its own loop over draws (`eot_iter`) makes one forward and one backward pass a draw; a single
    pass over a batch of draws has the same expected gradient and is several times faster.
    """
    return EOTPGD(
        target,
        eps=parameters["epsilon"],
        alpha=parameters["step_size"],
        steps=parameters["steps"],
        eot_iter=1,
        random_start=parameters["random_start"],
    )


class APGD(torchattacks.APGD):
    """Auto-PGD (L-infinity) that also attacks images which one noisy look got wrong.

    torchattacks leaves every image alone that the first forward pass misclassifies, and returns
    the clean image if no iterate was misclassified. On a stochastic model both make the defence
    look strong: one unlucky draw is no success. Here every image is attacked, and the iterate
    with the highest loss (the mean over draws) is returned; on a model without noise a
    misclassified iterate is preferred, as in the paper. Nor is torch's global seed set.
    """

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        best, correct, _, fooled = self.attack_single_run(images.detach(), labels.detach())
        if self.model.stochastic:
            return best.detach()
        return torch.where(correct.bool().view(-1, 1, 1, 1), best, fooled).detach()

    def dlr_loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The difference of logits ratio `[N]`, averaged over the draws."""
        losses: Tensor = self.model.per_draw(x, lambda z: super(APGD, self).dlr_loss(z, y))
        return losses


class CW(torchattacks.CW):
    """Carlini-Wagner with its margin averaged over draws, and right for negative logits.

    torchattacks masks the true class with a factor 0, so that class counts with logit 0 when all
    others are negative; here it is left out.
    """

    def f(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """max(true logit - largest other logit, -kappa), `[N]`, averaged over the draws."""
        losses: Tensor = self.model.per_draw(outputs, lambda z: self._margin(z, labels))
        return losses

    def _margin(self, logits: Tensor, labels: Tensor) -> Tensor:
        true = logits.gather(1, labels[:, None])[:, 0]
        others = logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
        return torch.clamp(true - others, min=-self.kappa)


class Square(torchattacks.Square):
    """Square (L-infinity) without torch's global seed, attacking every image.

    As in `APGD`, torchattacks skips images that one noisy look got wrong and returns clean
    images where it did not succeed; here the best perturbation found is returned.
    """

    def perturb(self, x: Tensor, y: Tensor) -> Tensor:
        """Adversarial images of `x` `[N, C, H, W]` with true labels `y` `[N]`."""
        self.init_hyperparam(x)
        _, adversarial = self.attack_single_run(x, y)
        result: Tensor = adversarial
        return result


class UniformNoise(torchattacks.attack.Attack):
    """Uniform noise in the L-infinity ball; torchattacks has none without gradient steps."""

    def __init__(self, model: Target, eps: float = 8 / 255) -> None:
        super().__init__("UniformNoise", model)
        self.eps = eps
        self.supported_mode = ["default"]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        noise = torch.empty_like(images).uniform_(-self.eps, self.eps)
        return (images + noise).clamp(0, 1)
