"""Seeds and generators: every draw in this project comes from an explicit `torch.Generator`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

# The `_like` functions take no generator; each has a sibling that takes the shape and does.
_LIKE: dict[Callable[..., Tensor], Callable[..., Tensor]] = {
    torch.rand_like: torch.rand,
    torch.randn_like: torch.randn,
    torch.randint_like: torch.randint,
}
_GENERATOR_FUNCTIONS = {
    torch.rand,
    torch.randn,
    torch.randint,
    torch.randperm,
    torch.bernoulli,
    torch.normal,
    torch.multinomial,
    torch.Tensor.bernoulli,
    torch.Tensor.bernoulli_,
    torch.Tensor.cauchy_,
    torch.Tensor.exponential_,
    torch.Tensor.geometric_,
    torch.Tensor.log_normal_,
    torch.Tensor.multinomial,
    torch.Tensor.normal_,
    torch.Tensor.random_,
    torch.Tensor.uniform_,
}


def make_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device`, seeded with `seed` (any integer; taken modulo 2**63)."""
    return torch.Generator(device=device).manual_seed(seed % 2**63)


def derive_seed(seed: int, *labels: str | int) -> int:
    """A seed in 0..2**63-1 for one labelled purpose, the same on every machine and version."""
    text = "/".join([str(seed), *map(str, labels)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % 2**63


class _SeededDraws(TorchFunctionMode):
    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in _LIKE:
            like, *bounds = args
            kwargs.setdefault("dtype", like.dtype)
            kwargs.setdefault("device", like.device)
            kwargs.pop("memory_format", None)
            return _LIKE[func](*bounds, size=like.shape, generator=self.generator, **kwargs)
        if func in _GENERATOR_FUNCTIONS and kwargs.get("generator") is None:
            kwargs["generator"] = self.generator
        return func(*args, **kwargs)


@contextmanager
def seeded_draws(generator: torch.Generator) -> Iterator[None]:
    """Let random calls that name no generator, in third-party code too, draw from `generator`.

    Attack libraries draw from torch's global generator, which all threads share: two users would
    change each other's random starts. A `TorchFunctionMode` is local to its thread, so inside
    this context every draw of this thread, and of no other, comes from `generator`. Tensors
    drawn must live on the generator's device.
    """
    with _SeededDraws(generator):
        yield
