"""What a training step minimises, part by part."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from rsc_snn.classifier import ModelConfig, SpikingClassifier, build_classifier
from rsc_snn.randomness import derive_seed, make_generator
from rsc_snn.training.adversarial import AdversarialConfig
from rsc_snn.training.losses import distillation, divergence, presynaptic
from rsc_snn.training.objective import Draw, Objective
from rsc_snn.training.recipe import Recipe

SNN = ModelConfig(
    coding="direct", widths=(6, 8), depths=(1, 1), image_size=8, num_classes=4, time_steps=3
)
ANN = replace(SNN, neuron="relu", time_steps=1)
RECIPE = Recipe(name="student", label="Student", model=SNN)
TAUGHT = replace(RECIPE, teacher="teacher", distillation=0.7, presynaptic=0.3, temperature=3.0)
NONE = AdversarialConfig()
X = torch.rand(10, 3, 8, 8, generator=make_generator(0))
LABELS = torch.arange(10) % 4
DRAW = Draw(
    device=lambda purpose: make_generator(derive_seed(1, purpose)),
    shared=lambda purpose: make_generator(derive_seed(2, purpose)),
)


def build(config: ModelConfig, seed: int = 0) -> SpikingClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_classifier(config)
    for step in range(5):  # statistics with which neurons fire
        model(torch.rand(16, 3, 8, 8, generator=make_generator(step)))
    return model


def objective(recipe: Recipe, teacher: bool = False) -> Objective:
    model = build(recipe.model)
    return Objective(recipe, model, build(ANN, 1).freeze() if teacher else None)


def test_without_more_it_is_the_cross_entropy() -> None:
    found = objective(RECIPE)
    loss, logits = found.loss(X, LABELS, NONE, DRAW)
    assert loss.item() == pytest.approx(functional.cross_entropy(logits, LABELS).item())
    assert torch.equal(logits, build(SNN)(X))


def test_e_rsct_is_the_weighted_sum_of_its_parts() -> None:
    found = objective(TAUGHT, teacher=True)
    loss, logits = found.loss(X, LABELS, NONE, DRAW)
    student: list[Tensor] = []
    build(SNN)(X, currents=student)
    teacher: list[Tensor] = []
    assert found.teacher is not None
    answer = found.teacher(X, currents=teacher)
    expected = (
        functional.cross_entropy(logits, LABELS)
        + 0.7 * distillation(logits, answer, 3.0)
        + 0.3 * presynaptic(student, teacher)
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_presynaptic_loss_reaches_the_weights_and_not_the_teacher() -> None:
    recipe = replace(TAUGHT, distillation=0.0)
    found, plain = objective(recipe, teacher=True), objective(RECIPE)
    for item in (found, plain):
        item.loss(X, LABELS, NONE, DRAW)[0].backward()
    gradients = [
        dict(item.model.named_parameters())["backbone.convs.0.conv.weight"].grad
        for item in (found, plain)
    ]
    assert gradients[0] is not None and gradients[1] is not None
    assert not torch.allclose(gradients[0], gradients[1])
    assert found.teacher is not None
    assert all(p.grad is None for p in found.teacher.parameters())


def test_adversarial_training_sees_attacked_images_and_leaves_the_statistics() -> None:
    found = objective(RECIPE)
    found.model.train()
    before = {name: value.clone() for name, value in found.model.state_dict().items()}
    config = AdversarialConfig("pgd", epsilon=16, step_size=4, steps=5)
    attacked = found.attack(X, LABELS, config, DRAW, {})
    assert all(torch.equal(value, before[name]) for name, value in found.model.state_dict().items())
    assert found.model.training
    assert 0 < (attacked - X).abs().max() <= 16 / 255 + 1e-6
    _, logits = found.loss(X, LABELS, config, DRAW)
    assert torch.equal(logits, build(SNN)(attacked))


def test_each_step_of_the_inner_attack_meets_fresh_noise() -> None:
    noisy = replace(RECIPE, model=replace(SNN, coding="rsc", sigma=0.3))
    found = objective(noisy)
    frames: list[Tensor] = []
    found.model.backbone.register_forward_pre_hook(lambda _, args: frames.append(args[0].detach()))
    config = AdversarialConfig("pgd", epsilon=0, step_size=0, steps=3)
    found.attack(X, LABELS, config, DRAW, {})
    assert len(frames) == 3
    assert not torch.allclose(frames[0], frames[1]) and not torch.allclose(frames[1], frames[2])


def test_trades_weighs_the_divergence_of_attacked_from_clean() -> None:
    config = AdversarialConfig("trades", epsilon=16, step_size=4, steps=3, beta=2.0)
    found = objective(RECIPE)
    attacked = found.attack(X, LABELS, config, DRAW, {})
    loss, logits = found.loss(X, LABELS, config, DRAW)
    both = build(SNN)(torch.cat([X, attacked]))
    expected = functional.cross_entropy(both[:10], LABELS) + 2 * divergence(both[10:], both[:10])
    assert torch.equal(logits, both[:10])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_trades_with_e_rsct_teaches_from_clean_images() -> None:
    config = AdversarialConfig("trades", epsilon=16, step_size=4, steps=2, beta=0.0)
    recipe = replace(TAUGHT, distillation=0.0, presynaptic=1.0)
    found = objective(recipe, teacher=True)
    attacked = found.attack(X, LABELS, config, DRAW, {})
    loss, logits = found.loss(X, LABELS, config, DRAW)
    student: list[Tensor] = []
    teacher: list[Tensor] = []
    build(SNN)(torch.cat([X, attacked]), currents=student)
    assert found.teacher is not None
    found.teacher(X, currents=teacher)
    clean = [current[:, :10] for current in student]
    expected = functional.cross_entropy(logits, LABELS) + presynaptic(clean, teacher)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_ranges_reach_the_network() -> None:
    recipe = replace(
        RECIPE,
        model=replace(SNN, coding="rsc"),
        sigma_range=(0.1, 0.4),
        time_steps_choices=(2,),
    )
    found = objective(recipe)
    frames: list[Tensor] = []
    found.model.backbone.register_forward_pre_hook(lambda _, args: frames.append(args[0]))
    found.loss(X, LABELS, NONE, DRAW)
    assert frames[0].shape[0] == 2
    noise = frames[0] * found.model.std + found.model.mean - X
    levels = noise.std(dim=(0, 2, 3, 4))  # 384 pixels an image
    assert levels.min() > 0.08 and levels.max() < 0.45 and levels.std() > 0.04
