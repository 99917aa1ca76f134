"""Training over a range: a noise level of its own for every image, a number of steps a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rsc_snn.coding import check_sigma, check_time_steps
from rsc_snn.errors import ConfigError


@dataclass(frozen=True)
class SigmaRangeCoding:
    """RSC whose sigma is drawn for each image from U(low, high); see `rsc_snn.coding.Coding`.

    Mean `x`; variance over images and noise `(low^2 + low high + high^2) / 3`. Raises ConfigError
    unless 0 <= low < high are noise levels.
    """

    low: float
    high: float
    name: ClassVar[str] = "rsc"
    stochastic: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not check_sigma(self.low) < check_sigma(self.high):
            raise ConfigError(
                f"A range of sigma must rise, not go from {self.low:g} to {self.high:g}."
            )

    def __call__(
        self, x: Tensor, time_steps: int, generator: torch.Generator | None = None
    ) -> Tensor:
        options = {"generator": generator, "device": x.device, "dtype": x.dtype}
        share = torch.rand(len(x), 1, 1, 1, **options)  # type: ignore[arg-type]
        sigma = self.low + (self.high - self.low) * share
        noise = torch.randn((check_time_steps(time_steps), *x.shape), **options)  # type: ignore[arg-type]
        return torch.addcmul(x, sigma, noise)

    def mean(self, x: Tensor) -> Tensor:
        return x

    def variance(self, x: Tensor) -> Tensor:
        return torch.full_like(x, (self.low**2 + self.low * self.high + self.high**2) / 3)


def pick_time_steps(choices: tuple[int, ...], generator: torch.Generator) -> int | None:
    """One of `choices`, each as likely, by a CPU generator; None if there are none."""
    if not choices:
        return None
    return choices[int(torch.randint(len(choices), (), generator=generator))]
