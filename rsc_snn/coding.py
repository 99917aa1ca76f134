"""How an image becomes T input frames: direct, Poisson and randomized smoothing coding.

Each coding maps an image batch `x` of shape `[N, C, H, W]`, pixels in 0..1, to frames
`[T, N, C, H, W]` with one fresh draw per time step, is differentiable in `x`, and states the
mean and variance of one frame in closed form. With independent steps the mean over T frames has
variance `variance(x) / T` (for the two random codings).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from rsc_snn.errors import ConfigError

SIGMA_RANGE = (0.0, 1.0)
TIME_STEPS_RANGE = (1, 64)
# How a person writes the names of the codings.
CODING_LABELS = {"direct": "direct", "poisson": "Poisson", "rsc": "RSC"}


@runtime_checkable
class Coding(Protocol):
    """Maps an image batch to coded frames; see the module's docstring."""

    name: ClassVar[str]
    stochastic: ClassVar[bool]

    def __call__(
        self, x: Tensor, time_steps: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """Frames `[T, N, C, H, W]` of `x` `[N, C, H, W]`.

        `generator` must live on the device of `x`; None draws from torch's global generator.
        Raises ConfigError if `time_steps` is outside TIME_STEPS_RANGE.
        """
        ...

    def mean(self, x: Tensor) -> Tensor:
        """Expected frame, `[N, C, H, W]`."""
        ...

    def variance(self, x: Tensor) -> Tensor:
        """Variance of each pixel of one frame, `[N, C, H, W]`."""
        ...


def check_time_steps(time_steps: int) -> int:
    """`time_steps` if it is in TIME_STEPS_RANGE, else ConfigError."""
    low, high = TIME_STEPS_RANGE
    if isinstance(time_steps, bool) or not isinstance(time_steps, int):
        raise ConfigError(f"The number of time steps must be a whole number, not {time_steps!r}.")
    if not low <= time_steps <= high:
        raise ConfigError(
            f"The number of time steps must be between {low} and {high}, not {time_steps}."
        )
    return time_steps


def check_sigma(sigma: float) -> float:
    """`sigma` as float if it is in SIGMA_RANGE, else ConfigError."""
    low, high = SIGMA_RANGE
    if isinstance(sigma, bool) or not isinstance(sigma, (int, float)) or not low <= sigma <= high:
        raise ConfigError(
            f"The noise level sigma must be a number between {low:g} and {high:g}, not {sigma!r}."
        )
    return float(sigma)


@dataclass(frozen=True)
class DirectCoding:
    """The image itself at every time step; no noise.

    The frames are a stride-0 view of `x` (`Tensor.expand`), which lets a network compute its
    stateless first layer once instead of T times.
    """

    name: ClassVar[str] = "direct"
    stochastic: ClassVar[bool] = False

    def __call__(
        self, x: Tensor, time_steps: int, generator: torch.Generator | None = None
    ) -> Tensor:
        return x.unsqueeze(0).expand(check_time_steps(time_steps), *x.shape)

    def mean(self, x: Tensor) -> Tensor:
        return x

    def variance(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


@dataclass(frozen=True)
class PoissonCoding:
    """Spikes `s_t ~ Bernoulli(x)`, independent over pixels and time steps.

    Mean `x`, variance `x (1 - x)`. The gradient passes straight through (the derivative of the
    mean, 1), as attacks and training on rate-coded networks use it. Pixels outside 0..1 are
    probabilities clipped to 0..1.
    """

    name: ClassVar[str] = "poisson"
    stochastic: ClassVar[bool] = True

    def __call__(
        self, x: Tensor, time_steps: int, generator: torch.Generator | None = None
    ) -> Tensor:
        shape = (check_time_steps(time_steps), *x.shape)
        uniform = torch.rand(shape, generator=generator, device=x.device, dtype=x.dtype)
        spikes = (uniform < x.detach()).to(x.dtype)
        if not x.requires_grad:
            return spikes
        return spikes + (x - x.detach())

    def mean(self, x: Tensor) -> Tensor:
        return x.clamp(0, 1)

    def variance(self, x: Tensor) -> Tensor:
        p = x.clamp(0, 1)
        return p * (1 - p)


@dataclass(frozen=True)
class RSCCoding:
    """Randomized Smoothing Coding: `a_t = x + sigma * e_t`, `e_t ~ N(0, I)`.

    Independent over pixels and time steps, not clipped. Mean `x`, variance `sigma^2`. The coding
    and its name are those of RSC-SNN (ACM MM 2024), whose exact form could not be established:
    this one is the project's definition. `sigma` is in pixel units (0..1 scale), added before the
    network's normalisation. Raises ConfigError if sigma is outside SIGMA_RANGE.
    """

    sigma: float = 0.2
    name: ClassVar[str] = "rsc"
    stochastic: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_sigma(self.sigma)

    def __call__(
        self, x: Tensor, time_steps: int, generator: torch.Generator | None = None
    ) -> Tensor:
        shape = (check_time_steps(time_steps), *x.shape)
        noise = torch.randn(shape, generator=generator, device=x.device, dtype=x.dtype)
        return torch.add(x, noise, alpha=self.sigma)

    def mean(self, x: Tensor) -> Tensor:
        return x

    def variance(self, x: Tensor) -> Tensor:
        return torch.full_like(x, self.sigma**2)


CODINGS: dict[str, type[DirectCoding] | type[PoissonCoding] | type[RSCCoding]] = {
    coding.name: coding for coding in (DirectCoding, PoissonCoding, RSCCoding)
}


def make_coding(name: str, sigma: float = 0.0) -> Coding:
    """The coding called `name`; `sigma` is used by "rsc" alone. Raises ConfigError."""
    if name not in CODINGS:
        raise ConfigError(f"Unknown coding {name!r}; choose one of {', '.join(CODINGS)}.")
    return RSCCoding(sigma) if name == RSCCoding.name else CODINGS[name]()


def has_noise(coding: Coding) -> bool:
    """True if two calls of `coding` may differ: false for RSC at sigma 0."""
    return coding.stochastic and coding_sigma(coding) != 0


def coding_sigma(coding: Coding) -> float | None:
    """The noise level of an RSC coding; None for the codings that have none."""
    return coding.sigma if isinstance(coding, RSCCoding) else None
