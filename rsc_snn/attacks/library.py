"""The attack classes: torchattacks, corrected where it is wrong for stochastic models.

torchattacks is the reference that others compare with, so its classes are used as they are
where possible. What each subclass changes, and why, is in its docstring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
import torchattacks
from torch import Tensor
from torchattacks import EOTPGD, FGSM, GN, PGD, PGDL2, RFGSM, DeepFool

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
    "by_mean",
    "eot_pgd",
]


def eot_pgd(target: Target, parameters: Mapping[str, Any]) -> EOTPGD:
    """torchattacks' EOT-PGD, its draws folded into the batch by the target.

    Its own loop over draws (`eot_iter`) makes one forward and one backward pass a draw; a single
    pass over a batch of draws has the same expected gradient and is faster. With precision "fast"
    the gradients of a stochastic model are computed in bfloat16 where the processor has it.
    """
    target.low_precision = parameters["precision"] == "fast" and target.stochastic
    return EOTPGD(
        target,
        eps=parameters["epsilon"],
        alpha=parameters["step_size"],
        steps=parameters["steps"],
        eot_iter=1,
        random_start=parameters["random_start"],
    )


class MIFGSM(torchattacks.MIFGSM):
    """MI-FGSM that goes on with its momentum where an image has no gradient.

    torchattacks divides 0 by 0 there, and what the image had gained in earlier steps is lost.
    """

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        images = images.detach()
        x, momentum = images.clone(), torch.zeros_like(images)
        for _ in range(self.steps):
            x.requires_grad_()
            loss = F.cross_entropy(self.get_logits(x), labels)
            (gradient,) = torch.autograd.grad(loss, x)
            momentum = by_mean(gradient) + momentum * self.decay
            x = x.detach() + self.alpha * momentum.sign()
            delta = torch.clamp(x - images, -self.eps, self.eps)
            x = torch.clamp(images + delta, 0, 1).detach()
        return x


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
    """Carlini-Wagner that noise does not stop, with a margin averaged over draws.

    torchattacks stops the whole batch as soon as its summed cost rises between two checks; on a
    stochastic model noise does that at once, and the defence looks strong. Here all steps are
    made, as in the paper. Its margin counts the true class with logit 0, which is wrong where all
    other logits are negative, and pixels of exactly 0 or 1 can never move; both are put right.
    And it takes any misclassified image as a success: here, as in the paper, only one on which the
    wrong class leads by kappa is, and any other counts where there is none.
    """

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        inside = 0.999999 * (2 * images.detach() - 1)
        w = torch.atanh(inside).requires_grad_()
        optimizer = torch.optim.Adam([w], lr=self.lr)
        best = images.detach().clone()
        smallest = torch.full((len(images),), torch.inf)
        led = torch.zeros(len(images), dtype=torch.bool)
        for _ in range(self.steps):
            candidates = self.tanh_space(w)
            length = (candidates - images).square().flatten(1).sum(dim=1)
            logits = self.get_logits(candidates)
            cost = length.sum() + self.c * self.f(logits, labels).sum()
            optimizer.zero_grad()
            cost.backward()
            optimizer.step()
            wrong = logits.argmax(dim=1) != labels
            leads = wrong & (margin(logits, labels) <= -self.kappa)
            better = (leads & ~led) | (wrong & (leads == led) & (length < smallest))
            led = led | leads
            smallest = torch.where(better, length.detach(), smallest)
            best = torch.where(better.view(-1, 1, 1, 1), candidates.detach(), best)
        return best

    def f(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """max(true logit - largest other logit, -kappa), `[N]`, averaged over the draws."""
        losses: Tensor = self.model.per_draw(
            outputs, lambda z: margin(z, labels).clamp(min=-self.kappa)
        )
        return losses


class Square(torchattacks.Square):
    """Square (L-infinity) without torch's global seed, attacking every image to the end.

    As in `APGD`, torchattacks skips images that one noisy look got wrong, stops at the first
    lucky query and returns clean images where it did not succeed. Here the perturbation with the
    lowest loss is returned, and on a stochastic model no single query counts as success.
    """

    def perturb(self, x: Tensor, y: Tensor) -> Tensor:
        """Adversarial images of `x` `[N, C, H, W]` with true labels `y` `[N]`."""
        self.init_hyperparam(x)
        _, adversarial = self.attack_single_run(x, y)
        result: Tensor = adversarial
        return result

    def margin_and_loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Margins `[N]`, of which one below 0 ends the search, and losses `[N]` to lower."""
        logits = self.get_logits(x)
        loss = self.model.per_draw(logits, lambda z: self._loss(z, y))
        if self.model.stochastic:
            return torch.ones_like(loss), loss
        return margin(logits, y), loss

    def _loss(self, logits: Tensor, y: Tensor) -> Tensor:
        if self.loss == "ce":
            return -F.cross_entropy(logits, y, reduction="none")
        return margin(logits, y)


class UniformNoise(torchattacks.attack.Attack):
    """Uniform noise in the L-infinity ball; torchattacks has none without gradient steps."""

    def __init__(self, model: Target, eps: float = 8 / 255) -> None:
        super().__init__("UniformNoise", model)
        self.eps = eps
        self.supported_mode = ["default"]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        noise = torch.empty_like(images).uniform_(-self.eps, self.eps)
        return (images + noise).clamp(0, 1)


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """The true class' logit minus the largest other one, `[N]` of logits `[N, K]`."""
    true = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
    return true - others


def by_mean(values: Tensor) -> Tensor:
    """Each image of `[N, C, H, W]` over the mean size of its pixels; 0 where that is 0."""
    mean = values.abs().mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(mean > 0, values / mean, 0.0)
