"""Sparse gradients: the finite difference, its shared noise, and what training with it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from rsc_snn.classifier import ModelConfig, SpikingClassifier, build_classifier
from rsc_snn.coding import Coding, DirectCoding, PoissonCoding, RSCCoding
from rsc_snn.errors import ConfigError
from rsc_snn.randomness import derive_seed, make_generator
from rsc_snn.training.adversarial import AdversarialConfig
from rsc_snn.training.objective import Draw, Objective
from rsc_snn.training.ranges import SigmaRangeCoding
from rsc_snn.training.recipe import Recipe
from rsc_snn.training.sparsity import (
    SharedNoise,
    duel_probability,
    gradient_penalty,
    steepest_signs,
    strongest_rivals,
)

X = torch.rand(10, 3, 8, 8, generator=make_generator(0))
LABELS = torch.arange(10) % 4
NONE = AdversarialConfig()
CONFIG = ModelConfig(
    coding="rsc", sigma=0.2, widths=(6, 8), depths=(1, 1), image_size=8, num_classes=4, time_steps=3
)
RECIPE = Recipe(name="sparse", label="Sparse", model=CONFIG, sparsity=0.05)
DRAW = Draw(
    device=lambda purpose: make_generator(derive_seed(1, purpose)),
    shared=lambda purpose: make_generator(derive_seed(2, purpose)),
)


def exact_norms(network: Callable[[Tensor], Tensor], x: Tensor, labels: Tensor) -> Tensor:
    """L1 norms `[N]` of the gradient of the true class' probability against its best rival."""
    leaf = x.clone().requires_grad_()
    logits = network(leaf)
    probabilities = []
    for row, label in zip(logits, labels.tolist(), strict=True):
        best = max(each for at, each in enumerate(row) if at != label)
        probabilities.append(row[label].exp() / (row[label].exp() + best.exp()))
    (gradient,) = torch.autograd.grad(torch.stack(probabilities).sum(), leaf)
    return gradient.abs().flatten(1).sum(dim=1)


def test_the_penalty_is_the_squared_l1_norm_of_a_smooth_networks_gradient() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(192, 20), nn.Tanh(), nn.Linear(20, 4))
    network = network.double()
    x = X.double()
    signs = steepest_signs(network, x, LABELS)
    step = 1e-4
    penalty = gradient_penalty(network(x), network(x + step * signs), LABELS, step)
    exact = exact_norms(network, x, LABELS).square().mean().item()
    # The softmax is computed in float32, so the difference has about four digits.
    assert penalty.item() == pytest.approx(exact, rel=0.02)


def test_the_probability_is_that_of_the_true_class_against_its_best_rival() -> None:
    logits, labels = torch.tensor([[0.0, 5.0, 0.0], [2.0, 1.0, -3.0]]), torch.tensor([1, 0])
    rivals = strongest_rivals(logits, labels)
    assert rivals.tolist() == [0, 1]
    found = duel_probability(logits, labels, rivals)
    assert torch.allclose(found, 1 / (1 + torch.tensor([-5.0, -1.0]).exp()))


def test_the_rival_is_that_of_the_images_themselves() -> None:
    logits, moved = torch.tensor([[1.0, 0.5, 0.0]]), torch.tensor([[1.0, 0.5, 9.0]])
    assert gradient_penalty(logits, moved, torch.tensor([0]), 0.1) == 0


@pytest.mark.parametrize(
    "base", [DirectCoding(), PoissonCoding(), RSCCoding(0.3), SigmaRangeCoding(0.1, 0.4)]
)
def test_both_halves_meet_the_noise_of_the_first(base: Coding) -> None:
    shared = SharedNoise(base)
    frames = shared(torch.cat([X, X]), 3, make_generator(5))
    assert torch.equal(*frames.chunk(2, dim=1))
    assert torch.equal(frames[:, : len(X)], base(X, 3, make_generator(5)))
    assert shared.stochastic == base.stochastic and shared.name == base.name


def build(seed: int = 0) -> SpikingClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_classifier(CONFIG)
    for step in range(5):  # statistics with which neurons fire
        model(torch.rand(16, 3, 8, 8, generator=make_generator(step)), generator=make_generator(9))
    return model


@pytest.mark.parametrize("method", ["none", "pgd"])
def test_the_loss_adds_the_weighted_norm_on_the_noise_of_the_step(method: str) -> None:
    adversarial = AdversarialConfig(method, epsilon=4, step_size=2, steps=2)
    model = build().eval()
    found = Objective(RECIPE, model, None)
    loss, logits = found.loss(X, LABELS, adversarial, DRAW)
    seen = X if method == "none" else found.attack(X, LABELS, adversarial, DRAW, {})

    def network(images: Tensor) -> Tensor:
        answers: Tensor = model(images, generator=DRAW.device("noise"))
        return answers

    step = RECIPE.sparsity_step / 255
    moved = (seen + step * steepest_signs(network, seen, LABELS)).clamp(0, 1)
    assert (moved != seen).any()
    penalty = gradient_penalty(network(seen), network(moved), LABELS, step)
    assert penalty > 0
    assert torch.allclose(logits, network(seen), atol=1e-5)
    cross_entropy = functional.cross_entropy(network(seen), LABELS)
    assert loss.item() == pytest.approx((cross_entropy + 0.05 * penalty).item(), rel=1e-4)


def test_teaching_is_as_without_it() -> None:
    """Currents of the moved images teach nothing."""
    recipe = replace(RECIPE, teacher="teacher", presynaptic=0.5, sparsity=0.0)
    sparse = replace(recipe, sparsity=1e-9)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        teacher = build_classifier(
            replace(CONFIG, neuron="relu", coding="direct", time_steps=1)
        ).freeze()
    losses = []
    for each in (recipe, sparse):
        model = build().eval()
        losses.append(Objective(each, model, teacher).loss(X, LABELS, NONE, DRAW)[0])
        assert not model.training
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-4)


def test_finding_the_signs_moves_no_batch_norm() -> None:
    """The moved images share the step's one batch, and are too near to change its statistics."""
    plain, sparse = build().train(), build().train()
    before = {name: value.clone() for name, value in plain.named_buffers()}
    for model, weight in ((plain, 0.0), (sparse, 0.05)):
        Objective(replace(RECIPE, sparsity=weight), model, None).loss(X, LABELS, NONE, DRAW)
        assert model.training
    found, wanted = dict(sparse.named_buffers()), dict(plain.named_buffers())
    norms = [name for name in before if "running" in name]
    assert norms
    for name in norms:
        assert (wanted[name] - before[name]).abs().mean() > 2e-3, "the step itself moves them"
        assert torch.allclose(found[name], wanted[name], atol=1e-3)
    for name in before.keys() - norms:
        assert torch.equal(found[name], wanted[name])


def test_training_with_it_lowers_the_norm() -> None:
    norms = []
    for weight in (0.0, 0.3):
        model = build()
        found = Objective(replace(RECIPE, sparsity=weight), model, None)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        for _ in range(40):
            optimizer.zero_grad()
            found.loss(X, LABELS, NONE, DRAW)[0].backward()
            optimizer.step()
        model.eval()

        def network(images: Tensor, trained: SpikingClassifier = model) -> Tensor:
            answers: Tensor = trained(images, draws=8, generator=make_generator(4)).mean(dim=0)
            return answers

        norms.append(exact_norms(network, X, LABELS).mean().item())
    assert norms[1] < 0.9 * norms[0]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sparsity": -1.0}, "sparsity must be from 0"),
        ({"sparsity_step": 0.0}, "sparsity_step must be above 0"),
        (
            {"adversarial": {"method": "trades", "steps": 7, "step_size": 2}},
            "cannot be combined with TRADES",
        ),
    ],
)
def test_recipes_without_meaning_are_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        replace(RECIPE, **changes)  # type: ignore[arg-type]
