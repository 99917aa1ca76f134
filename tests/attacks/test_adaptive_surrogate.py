"""The adaptive surrogate and SA-PGD against their formulas, and where they matter."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import Tensor

from rsc_snn.attacks import run_attack
from rsc_snn.attacks import target as target_module
from rsc_snn.attacks.adaptive_surrogate import SAPGD, AdaptiveSharpness
from rsc_snn.attacks.target import Meter, Target
from rsc_snn.neurons import Call, LIFConfig, LIFNeuron
from rsc_snn.randomness import make_generator
from tests.attacks.tiny import SIZE, linear_model, random_images, tiny_model


def gradient(
    config: LIFConfig, current: Tensor, weights: Tensor, sharpness: object = None
) -> Tensor:
    """d(weights * spikes)/d(current), all `[T, N]`, with an alpha or its provider."""
    leaf = current.clone().requires_grad_()
    call = Call(len(current), sharpness=sharpness)  # type: ignore[arg-type]
    spikes = LIFNeuron(config)(leaf.flatten(), call).view_as(current)
    (spikes * weights).sum().backward()
    assert leaf.grad is not None
    return leaf.grad


def currents(steps: int = 4) -> tuple[Tensor, Tensor]:
    generator = make_generator(0)
    return 2 * torch.rand(steps, 50, generator=generator), torch.randn(
        steps, 50, generator=generator
    )


# --- The neuron --------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.5, 2.0, 7.0])
def test_one_alpha_for_all_is_that_of_the_configuration(alpha: float) -> None:
    current, weights = currents()
    expected = gradient(LIFConfig(surrogate_alpha=alpha), current, weights)
    for trained in (2.0, 3.0):
        found = gradient(
            LIFConfig(surrogate_alpha=trained),
            current,
            weights,
            lambda distance: torch.full_like(distance, alpha),
        )
        torch.testing.assert_close(found, expected)


def test_each_neuron_has_its_own_alpha() -> None:
    current, weights = currents(steps=1)
    alphas = 0.1 + torch.arange(50.0).view(1, 50)
    found = gradient(LIFConfig(), current, weights, lambda distance: alphas)
    slope = alphas / 2 / (1 + (math.pi / 2 * alphas * (current - 1)) ** 2)
    torch.testing.assert_close(found, weights * slope)


def test_the_surrogate_changes_gradients_alone_and_is_asked_only_for_them() -> None:
    model = tiny_model(coding="direct")
    x = random_images(2)
    asked = []

    def sharpness(distance: Tensor) -> Tensor:
        asked.append(distance.shape)
        return torch.full_like(distance, 9.0)

    with torch.no_grad():
        assert torch.equal(model(x, sharpness=sharpness), model(x))
    assert not asked
    leaf = x.clone().requires_grad_()
    assert torch.equal(model(leaf, sharpness=sharpness), model(x))
    assert [shape[:2] for shape in asked] == [(3, 2)] * len(model.layer_names)


# --- The moments -------------------------------------------------------------------------------


def test_moments_and_alpha_are_those_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    sharpness = AdaptiveSharpness(0.4)
    mean, deviation = np.ones((3, 5)), np.zeros((3, 5))
    for _ in range(4):
        distance = rng.normal(size=(3, 5))
        (found,) = [sharpness.of_pass(1)(torch.tensor(distance))]
        mean = 0.9 * mean + 0.1 * abs(distance)
        deviation = 0.9 * deviation + 0.1 * abs(abs(distance) - mean)
        alpha = 2 * math.tan(0.4 * math.pi) / math.pi / (mean + 1.5 * deviation + 1e-4)
        np.testing.assert_allclose(found.numpy(), alpha)


@pytest.mark.parametrize("spread", [0.1, 0.425, 0.49])
def test_the_spread_is_the_share_of_the_surrogate_within_reach(spread: float) -> None:
    """A constant distance is, in the end, the mean distance, with no deviation."""
    sharpness, distance = AdaptiveSharpness(spread), torch.full((1, 1), 0.3)
    for _ in range(400):
        alpha = float(sharpness.of_pass(1)(distance))
    share, _ = integrate.quad(
        lambda x: alpha / 2 / (1 + (math.pi / 2 * alpha * x) ** 2), 0, 0.3 + 1e-4
    )
    assert share == pytest.approx(spread, abs=1e-3)


def test_draws_of_a_pass_share_their_mean_moments() -> None:
    rng = np.random.default_rng(1)
    distance = rng.normal(size=(2, 3, 4))  # [T, D, N]
    folded = torch.tensor(distance).flatten(1, 2)
    found = AdaptiveSharpness(0.4).of_pass(3)(folded).view(2, 3, 4)
    mean = 0.9 + 0.1 * abs(distance).mean(axis=1)
    deviation = 0.1 * abs(abs(distance) - mean[:, None]).mean(axis=1)
    alpha = 2 * math.tan(0.4 * math.pi) / math.pi / (mean + 1.5 * deviation + 1e-4)
    for draw in range(3):
        np.testing.assert_allclose(found[:, draw].numpy(), alpha)


def test_layers_have_moments_of_their_own_and_only_learning_moves_them() -> None:
    near, far = torch.full((1, 2), 0.1), torch.full((1, 2), 5.0)
    sharpness = AdaptiveSharpness(0.4)
    first = sharpness.of_pass(1)
    assert (first(near) > first(far)).all()
    again = sharpness.of_pass(1, learn=False)
    before, _ = again(far), again(far)
    again = sharpness.of_pass(1, learn=False)
    assert torch.equal(again(near), before)
    later = sharpness.of_pass(1)
    assert (later(near) != before).all()


# --- The attack --------------------------------------------------------------------------------


def sa_pgd(epsilon: float, steps: int) -> SAPGD:
    model = linear_model(torch.zeros(2, 3 * SIZE * SIZE))
    return SAPGD(Target(model, make_generator(0), Meter(1)), epsilon, steps)


def test_step_sizes_halve_as_published() -> None:
    sizes = sa_pgd(1.0, 100)._step_sizes()
    assert len(sizes) == 100
    halved = [at for at in range(1, 100) if sizes[at] != sizes[at - 1]]
    assert halved == [22, 41, 57, 70, 80, 87, 93, 99]
    assert all(sizes[at] == sizes[at - 1] / 2 for at in halved)
    assert sa_pgd(1.0, 1)._step_sizes() == [1.0]
    assert sa_pgd(1.0, 3)._step_sizes() == [1.0, 0.5, 0.25]


def test_it_reaches_the_corner_of_a_linear_model() -> None:
    """The cross-entropy of two classes grows along one direction, whose sign is the optimum."""
    weight = torch.randn(2, 3 * SIZE * SIZE, generator=make_generator(0)) / 50
    x = 0.3 + 0.4 * random_images(4)
    labels = torch.tensor([0, 1, 0, 1])
    found = run_attack(linear_model(weight), x, labels, "sa_pgd", {"epsilon": 4, "steps": 50})
    direction = (weight[1] - weight[0]).sign().view(3, SIZE, SIZE)
    corner = x + 4 / 255 * torch.stack([direction, -direction, direction, -direction])
    torch.testing.assert_close(found.adversarial, corner, rtol=0, atol=1e-6)


def test_a_network_without_spikes_has_no_surrogate() -> None:
    model = tiny_model(neuron="relu", coding="direct", time_steps=1)
    batch = random_images(3), torch.tensor([1, 2, 3])
    found = [
        run_attack(model, *batch, "sa_pgd", {"steps": 5, "surrogate": surrogate}).adversarial
        for surrogate in ("adaptive", "trained")
    ]
    assert torch.equal(*found)


def test_draws_that_do_not_fit_learn_once_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[tuple[int, bool]] = []
    original = AdaptiveSharpness.of_pass

    def of_pass(self: AdaptiveSharpness, draws: int, *, learn: bool = True) -> object:
        learned.append((draws, learn))
        return original(self, draws, learn=learn)

    monkeypatch.setattr(AdaptiveSharpness, "of_pass", of_pass)
    monkeypatch.setattr(target_module, "_PIXEL_BUDGET_CPU", 2 * 3 * SIZE * SIZE)
    x = random_images(1)
    run_attack(tiny_model(sigma=0.2), x, torch.tensor([1]), "sa_pgd", {"steps": 2, "eot_draws": 5})
    assert learned == [(2, True), (2, False), (1, False)] * 2
