"""EOT is the mean of the draws' gradients, not the gradient of the mean logits' loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
import torchattacks
from torch import Tensor, nn

from rsc_snn.attacks import library, run_attack, score
from rsc_snn.attacks import target as target_module
from rsc_snn.attacks.target import ExpectedLoss, Meter, Target
from rsc_snn.classifier import SpikingClassifier
from rsc_snn.device import has_fast_bfloat16
from rsc_snn.randomness import derive_seed, make_generator, seeded_draws
from tests.attacks.tiny import SIZE, random_images, tiny_model

DRAWS = 5
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class FixedNoise:
    """RSC coding with noise `[T, N, C, H, W]` that is given."""

    noise: Tensor
    name: ClassVar[str] = "fixed"
    stochastic: ClassVar[bool] = True

    def __call__(
        self, x: Tensor, time_steps: int, generator: torch.Generator | None = None
    ) -> Tensor:
        return x + self.noise

    def mean(self, x: Tensor) -> Tensor:
        return x

    def variance(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


def make_target(model: SpikingClassifier, seed: int = 0, draws: int = DRAWS) -> Target:
    return Target(model, make_generator(seed), Meter(1), draws=draws)


def draw_noise(model: SpikingClassifier, x: Tensor, generator: torch.Generator) -> Tensor:
    """The noise `[D, T, N, C, H, W]` that one call with DRAWS draws takes from `generator`."""
    shape = (model.time_steps, DRAWS * len(x), *x.shape[1:])
    noise = torch.randn(shape, generator=generator) * model.config.sigma
    return noise.unflatten(1, (DRAWS, len(x))).transpose(0, 1)


def mean_of_gradients(
    model: SpikingClassifier, x: Tensor, loss: Callable[[Tensor], Tensor], noise: Tensor
) -> Tensor:
    """The gradient of each draw by itself, averaged."""
    gradients = []
    for one in noise:
        leaf = x.clone().requires_grad_()
        gradients.append(torch.autograd.grad(loss(model(leaf, coding=FixedNoise(one))), leaf)[0])
    return torch.stack(gradients).mean(dim=0)


@pytest.fixture(scope="module")
def noisy_model() -> SpikingClassifier:
    return tiny_model(sigma=0.3)


def test_cross_entropy_gradient_is_the_mean_over_draws(
    noisy_model: SpikingClassifier, batch: Batch
) -> None:
    x, labels = batch
    target = make_target(noisy_model)
    leaf = x.clone().requires_grad_()
    with ExpectedLoss(target):
        cost = nn.CrossEntropyLoss()(target(leaf), labels)
    (gradient,) = torch.autograd.grad(cost, leaf)
    noise = draw_noise(noisy_model, x, make_generator(0))
    expected = mean_of_gradients(noisy_model, x, lambda z: F.cross_entropy(z, labels), noise)
    assert torch.allclose(gradient, expected, rtol=1e-3, atol=1e-6)
    assert target.meter.gradients == DRAWS * len(x)

    other = make_target(noisy_model)
    leaf = x.clone().requires_grad_()
    of_mean_logits = torch.autograd.grad(F.cross_entropy(other(leaf), labels), leaf)[0]
    assert not torch.allclose(of_mean_logits, expected, rtol=0.01, atol=1e-6)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_reductions(reduction: str, noisy_model: SpikingClassifier, batch: Batch) -> None:
    x, labels = batch
    target = make_target(noisy_model)
    with ExpectedLoss(target):
        cost = F.cross_entropy(target(x), labels, reduction=reduction)
        foreign = F.cross_entropy(torch.zeros(3, 10), labels, reduction=reduction)
    draws = noisy_model(x, draws=DRAWS, generator=make_generator(0))
    losses = torch.stack([F.cross_entropy(z, labels, reduction="none") for z in draws]).mean(dim=0)
    expected = losses if reduction == "none" else getattr(losses, reduction)()
    assert torch.allclose(cost, expected)
    zeros = torch.zeros(3, 10)
    assert torch.equal(foreign, F.cross_entropy(zeros, labels, reduction=reduction))


@pytest.mark.parametrize(
    "make",
    [
        lambda target: library.APGD(target, loss="dlr").dlr_loss,
        lambda target: library.CW(target, kappa=0.5).f,
    ],
    ids=["dlr", "cw"],
)
def test_other_losses_are_averaged_over_draws_too(
    make: Callable[[Target], Callable[[Tensor, Tensor], Tensor]],
    noisy_model: SpikingClassifier,
    batch: Batch,
) -> None:
    x, labels = batch
    target = make_target(noisy_model)
    loss = make(target)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(target(leaf), labels).sum(), leaf)
    noise = draw_noise(noisy_model, x, make_generator(0))
    expected = mean_of_gradients(noisy_model, x, lambda z: loss(z, labels).sum(), noise)
    assert torch.allclose(gradient, expected, rtol=1e-3, atol=1e-5)


def test_draws_that_do_not_fit_are_computed_one_after_the_other(
    noisy_model: SpikingClassifier, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_module, "_PIXEL_BUDGET_CPU", 1)
    x, labels = batch
    target = make_target(noisy_model)
    leaf = x.clone().requires_grad_()
    with ExpectedLoss(target):
        cost = F.cross_entropy(target(leaf), labels)
    (gradient,) = torch.autograd.grad(cost, leaf)
    generator = make_generator(0)
    expected = torch.zeros_like(x)
    for _ in range(DRAWS):
        single = x.clone().requires_grad_()
        logits = noisy_model(single, generator=generator)
        expected += torch.autograd.grad(F.cross_entropy(logits, labels), single)[0] / DRAWS
    assert torch.allclose(gradient, expected, rtol=1e-3, atol=1e-6)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of draws of all passes that the test makes, as they are made."""
    found: list[int] = []
    original = Target._run
    monkeypatch.setattr(
        Target,
        "_run",
        lambda self, x, count, *rest: found.append(count) or original(self, x, count, *rest),
    )
    return found


@pytest.mark.parametrize("low_precision", [True, False])
def test_whether_graphs_are_kept_changes_the_speed_alone(
    low_precision: bool, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stem of stride 2 quarters what a pass keeps, so more draws than a pass takes fit."""
    model = tiny_model(sigma=0.3, stem_stride=2)
    x, labels = random_images(2), torch.tensor([1, 2])
    monkeypatch.setattr(target_module, "_PIXEL_BUDGET_CPU", 2 * 2 * 3 * SIZE * SIZE)
    found = []
    for keeps in (True, False):
        target = make_target(model)
        target.low_precision = low_precision
        assert target.holds(x, DRAWS)
        if not keeps:
            monkeypatch.setattr(Target, "holds", lambda *_: False)
        leaf = x.clone().requires_grad_()
        with ExpectedLoss(target):
            cost = F.cross_entropy(target(leaf), labels)
        found.append((cost, *torch.autograd.grad(cost, leaf)))
    assert passes == [2, 2, 1] * 3
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])


def test_the_graph_of_a_single_pass_is_kept_whatever_its_size(
    noisy_model: SpikingClassifier,
    batch: Batch,
    passes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DeepFool asks for a gradient of each class; a pass for each would save no memory."""
    monkeypatch.setattr(target_module, "_PIXEL_BUDGET_CPU", 1)
    leaf = batch[0].clone().requires_grad_()
    logits = make_target(noisy_model, draws=1)(leaf)
    for number in range(3):
        torch.autograd.grad(logits[:, number].sum(), leaf, retain_graph=True)
    assert passes == [1]


def test_more_draws_than_memory_holds_are_not_kept(noisy_model: SpikingClassifier) -> None:
    target = make_target(noisy_model)
    fitting = target_module._PIXEL_BUDGET_CPU // (noisy_model.time_steps * SIZE * SIZE)
    assert target.holds(random_images(1), fitting)
    assert not target.holds(random_images(1), fitting + 1)


class OneDrawAtATime(nn.Module):
    """What torchattacks' own EOT-PGD is made for: each call is one draw.

    The draws take, one after the other, the noise that a folded call takes at once.
    """

    def __init__(self, model: SpikingClassifier, generator: torch.Generator) -> None:
        super().__init__()
        self.model = model
        self.generator = generator
        self.bank: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        if not self.bank:
            self.bank = list(draw_noise(self.model, x, self.generator))
        logits: Tensor = self.model(x, coding=FixedNoise(self.bank.pop(0)))
        return logits


def test_folded_eot_pgd_is_torchattacks_eot_pgd(
    noisy_model: SpikingClassifier, batch: Batch
) -> None:
    """The same start, the same noise: the library's loop over draws ends at the same image."""
    x, labels = batch
    steps = 4
    parameters = {"eot_draws": DRAWS, "steps": steps, "precision": "full"}
    ours = run_attack(noisy_model, x, labels, "eot_pgd", parameters, seed=3)
    generator = make_generator(derive_seed(3, "attack", "noise", 0))
    reference = torchattacks.EOTPGD(
        OneDrawAtATime(noisy_model, generator), steps=steps, eot_iter=DRAWS
    )
    with seeded_draws(make_generator(derive_seed(3, "attack", "start", 0))):
        theirs = reference(x, labels)
    same = (ours.adversarial - theirs).abs() < 1e-5
    assert same.float().mean() > 0.99, "more than rounding at gradients next to zero"


def test_fast_gradients_attack_as_well(noisy_model: SpikingClassifier) -> None:
    """bfloat16 where the processor has it; the same image, if not, and without noise."""
    x = random_images(24, seed=8)
    labels = score(noisy_model, x, 64).mean(dim=0).argmax(dim=-1)
    results = [
        run_attack(noisy_model, x, labels, "eot_pgd", {"precision": precision}, draws=32)
        for precision in ("fast", "full")
    ]
    fast, full, clean = (
        float(F.cross_entropy(logits.flatten(0, 1), labels.repeat(32)))
        for logits in (*(r.adversarial_logits for r in results), results[0].clean_logits)
    )
    assert fast - clean > 0.9 * (full - clean) > 0
    same = torch.equal(results[0].adversarial, results[1].adversarial)
    assert same != has_fast_bfloat16(x.device)


def test_models_without_noise_keep_full_precision() -> None:
    model = tiny_model(neuron="relu", coding="direct", time_steps=1)
    x, labels = random_images(3), torch.tensor([1, 2, 3])
    fast, full = (
        run_attack(model, x, labels, "eot_pgd", {"precision": precision}).adversarial
        for precision in ("fast", "full")
    )
    assert torch.equal(fast, full)
