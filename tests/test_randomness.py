"""Explicit generators, and third-party draws that are made to use them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from rsc_snn.randomness import derive_seed, make_generator, seeded_draws

DRAWS: dict[str, Callable[[], Tensor]] = {
    "rand": lambda: torch.rand(5),
    "rand with size list": lambda: torch.rand([5]),
    "randn": lambda: torch.randn(5),
    "randint": lambda: torch.randint(0, 1000, (5,)),
    "randperm": lambda: torch.randperm(50),
    "rand_like": lambda: torch.rand_like(torch.zeros(5)),
    "randn_like": lambda: torch.randn_like(torch.zeros(5, dtype=torch.float64)),
    "uniform_": lambda: torch.empty(5).uniform_(-1, 1),
    "normal_": lambda: torch.empty(5).normal_(),
    "random_": lambda: torch.empty(5).random_(0, 1000),
    "bernoulli": lambda: torch.bernoulli(torch.full((64,), 0.5)),
    "bernoulli method": lambda: torch.full((64,), 0.5).bernoulli(),
    "bernoulli_": lambda: torch.empty(64).bernoulli_(0.5),
    "normal": lambda: torch.normal(torch.zeros(5), 1.0),
    "multinomial": lambda: torch.multinomial(torch.ones(100), 5),
    "randint_like": lambda: torch.randint_like(torch.zeros(5), 0, 1000),
    "exponential_": lambda: torch.empty(5).exponential_(),
}


@pytest.mark.parametrize("name", sorted(DRAWS))
def test_draws_come_from_the_generator_alone(name: str) -> None:
    draw = DRAWS[name]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with seeded_draws(make_generator(1)):
        first = draw()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    with seeded_draws(make_generator(1)):
        assert torch.equal(draw(), first)
    with seeded_draws(make_generator(2)):
        assert not torch.equal(draw(), first)


def test_outside_the_context_nothing_changes() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    with seeded_draws(make_generator(1)):
        torch.rand(4)
    assert torch.equal(torch.rand(4), expected)


def test_threads_do_not_disturb_each_other() -> None:
    def draw(seed: int) -> Tensor:
        with seeded_draws(make_generator(seed)):
            return torch.stack([torch.rand(64) for _ in range(200)])

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(draw, range(16)))
    assert all(torch.equal(draw(seed), result) for seed, result in enumerate(together))


def test_derived_seeds_are_stable_and_differ() -> None:
    assert derive_seed(0, "noise", 3) == derive_seed(0, "noise", 3)
    seeds = {derive_seed(a, "x", b) for a in range(20) for b in range(20)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(7, "attack") == 6587308333712195692


def test_any_integer_seeds_a_generator() -> None:
    for seed in (-1, 0, 2**63, 2**200):
        torch.rand(1, generator=make_generator(seed))
