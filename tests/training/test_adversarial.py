"""Attacks inside training: inside their ball, against torchattacks, and refused if senseless."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchattacks
from torch import Tensor, nn
from torch.nn import functional

from rsc_snn.errors import ConfigError
from rsc_snn.randomness import make_generator
from rsc_snn.training.adversarial import AdversarialConfig, attack_batch

X = torch.rand(6, 3, 8, 8, generator=make_generator(0))
LABELS = torch.arange(6) % 4


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 4)).eval()


def cross_entropy(logits: Tensor) -> Tensor:
    return functional.cross_entropy(logits, LABELS)


@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_it_stays_in_the_ball_and_raises_the_loss(method: str) -> None:
    model = network()
    config = AdversarialConfig(method, epsilon=8, step_size=10 if method == "fgsm" else 2, steps=7)
    found = attack_batch(model, X, cross_entropy, config, make_generator(1))
    assert (found - X).abs().max() <= 8 / 255 + 1e-6
    assert found.min() >= 0 and found.max() <= 1
    assert not found.requires_grad
    assert cross_entropy(model(found)) > cross_entropy(model(X))


def test_from_the_image_itself_it_is_the_pgd_of_torchattacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = network()
    peer = torchattacks.PGD(model, eps=8 / 255, alpha=2 / 255, steps=5, random_start=False)
    expected = peer(X, LABELS)
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, 0.5))
    config = AdversarialConfig("pgd", epsilon=8, step_size=2, steps=5)
    found = attack_batch(model, X, cross_entropy, config, make_generator(1))
    assert torch.allclose(found, expected, atol=1e-6)
    assert (found - X).abs().max() > 7 / 255


def test_fgsm_takes_one_step_whatever_steps_says() -> None:
    calls = []
    model = network()

    def counted(x: Tensor) -> Tensor:
        calls.append(len(x))
        logits: Tensor = model(x)
        return logits

    attack_batch(counted, X, cross_entropy, AdversarialConfig("fgsm", steps=7), make_generator(0))
    assert calls == [6]


def test_epsilon_rises_over_the_warm_up() -> None:
    config = AdversarialConfig("fgsm", epsilon=8, step_size=10, warmup=0.5)
    assert [config.at(share).epsilon for share in (0.0, 0.25, 0.5, 1.0)] == [0, 4, 8, 8]
    assert config.at(0.25).step_size == 5
    assert AdversarialConfig("fgsm").at(0.0).epsilon == 8


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "magic"}, "Unknown adversarial training 'magic'"),
        ({"epsilon": -1}, "epsilon must be a number from 0"),
        ({"epsilon": float("nan")}, "epsilon must be a number from 0"),
        ({"step_size": float("inf")}, "step_size must be a number from 0"),
        ({"step_size": "big"}, "step_size must be a number"),
        ({"beta": True}, "beta must be a number"),
        ({"steps": 0}, "steps must be a whole number from 1"),
        ({"watched": -1}, "watched must be a whole number from 0"),
        ({"guard": 2}, "guard must be from 0 to 1"),
        ({"warmup": "slow"}, "warmup must be a number"),
        ({"method": "pgd"}, "pgd takes several steps: set steps, such as 7"),
        ({"method": "trades", "steps": 7}, "step_size of trades, 10, is above epsilon, 8"),
    ],
)
def test_senseless_values_are_one_sentence(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AdversarialConfig(**values)
