"""What one training step minimises: plain loss, E-RSCT, attacks, sparse gradients, or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsc_snn.classifier import SpikingClassifier
from rsc_snn.training.adversarial import AdversarialConfig, attack_batch
from rsc_snn.training.losses import distillation, divergence, presynaptic
from rsc_snn.training.ranges import SigmaRangeCoding, pick_time_steps
from rsc_snn.training.recipe import Recipe
from rsc_snn.training.sparsity import SharedNoise, gradient_penalty, steepest_signs

Draws = Callable[[str], torch.Generator]


@dataclass(frozen=True)
class Draw:
    """The generators of one step: noise and starts on the device; T the same in all processes.

    device: a generator on the training device for a purpose; shared: a CPU generator for a
    purpose that all processes seed alike.
    """

    device: Draws
    shared: Draws


class Objective:
    """The loss of one batch under a recipe.

    model: the classifier that trains. teacher: a frozen ANN twin, or None. The attribute `network`
    is the model, or what wraps it while several processes train it.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: SpikingClassifier,
        teacher: SpikingClassifier | None,
    ) -> None:
        self.recipe = recipe
        self.model = model
        self.network: nn.Module = model
        self.teacher = teacher
        self.coding = SigmaRangeCoding(*recipe.sigma_range) if recipe.sigma_range else None

    def loss(
        self, x: Tensor, labels: Tensor, adversarial: AdversarialConfig, draw: Draw
    ) -> tuple[Tensor, Tensor]:
        """Loss and logits `[N, K]` of images `x` `[N, C, H, W]` with classes `labels` `[N]`.

        The student sees the images that training attacked, the teacher the images themselves.
        """
        options: dict[str, Any] = {
            "time_steps": pick_time_steps(
                self.recipe.time_steps_choices, draw.shared("time_steps")
            ),
            "coding": self.coding,
        }
        seen = x
        if adversarial.method != "none":
            seen = self.attack(x, labels, adversarial, draw, options)
        trades = adversarial.method == "trades"
        batch = torch.cat([x, seen]) if trades else seen
        if self.recipe.sparsity:
            batch = torch.cat([seen, self._moved(seen, labels, draw, options)])
            options["coding"] = SharedNoise(self.model.resolve_coding(None, self.coding))
        currents: list[Tensor] | None = [] if self.recipe.presynaptic else None
        logits = self.network(batch, generator=draw.device("noise"), currents=currents, **options)
        total = torch.zeros((), device=x.device)
        if len(batch) > len(x):
            logits, other = logits.chunk(2)
            currents = currents and [current[:, : len(x)] for current in currents]
            if trades:
                total = adversarial.beta * divergence(other, logits)
            else:
                step = self.recipe.sparsity_step / 255
                total = self.recipe.sparsity * gradient_penalty(logits, other, labels, step)
        total = total + functional.cross_entropy(
            logits.float(), labels, label_smoothing=self.recipe.label_smoothing
        )
        if self.teacher is not None:
            noise = draw.device("teacher noise")
            total = total + self._teaching(self.teacher, x, logits, currents, noise)
        return total, logits

    def _teaching(
        self,
        teacher: SpikingClassifier,
        x: Tensor,
        logits: Tensor,
        currents: list[Tensor] | None,
        noise: torch.Generator,
    ) -> Tensor:
        """a * distillation + b * pre-synaptic loss."""
        recipe = self.recipe
        total = torch.zeros((), device=x.device)
        if not recipe.distillation and currents is None:
            return total
        targets: list[Tensor] | None = None if currents is None else []
        with torch.no_grad():
            answer = teacher(x, generator=noise, currents=targets)
        if recipe.distillation:
            total = total + recipe.distillation * distillation(logits, answer, recipe.temperature)
        if currents is not None and targets is not None:
            total = total + recipe.presynaptic * presynaptic(currents, targets)
        return total

    def attack(
        self,
        x: Tensor,
        labels: Tensor,
        adversarial: AdversarialConfig,
        draw: Draw,
        options: dict[str, Any],
    ) -> Tensor:
        """Attacked images `[N, C, H, W]`; each step sees fresh noise."""
        start = draw.device("attack start")
        with self._in_use(draw.device("attack noise"), options) as network:
            if adversarial.method != "trades":
                return attack_batch(
                    network,
                    x,
                    lambda logits: functional.cross_entropy(logits, labels),
                    adversarial,
                    start,
                )
            with torch.no_grad():
                clean = network(x)
            return attack_batch(
                network, x, lambda logits: divergence(logits, clean), adversarial, start
            )

    def _moved(self, x: Tensor, labels: Tensor, draw: Draw, options: dict[str, Any]) -> Tensor:
        """Images `[N, C, H, W]` a small step up the true class' probability, kept in 0..1.

        The gradient meets the noise that the step of training will meet.
        """
        with self._in_use(draw.device("noise"), options) as network:
            signs = steepest_signs(network, x, labels)
        return (x + self.recipe.sparsity_step / 255 * signs).clamp(0, 1)

    @contextmanager
    def _in_use(
        self, noise: torch.Generator, options: dict[str, Any]
    ) -> Iterator[Callable[[Tensor], Tensor]]:
        """The model in eval mode, as it will be used; its mode is restored.

        So batch norms neither learn from images that nobody trains on nor leak between images.
        """
        training = self.model.training
        self.model.eval()

        def network(images: Tensor) -> Tensor:
            logits: Tensor = self.model(images, generator=noise, **options)
            return logits.float()

        try:
            yield network
        finally:
            self.model.train(training)
