"""One LIF neuron alone: its course over time and its firing rate over the current.

The neuron is that of the networks (`rsc_snn.neurons`), here in float64; its input is
`X[t] = current + noise e_t`, `e_t ~ N(0, 1)`, independent over time steps, as Randomized Smoothing
Coding gives it. Without noise all follows in closed form (`rsc_snn.theory`). Noise smooths the
staircase; at T = 1 the chance of a spike is exactly `Phi((current - threshold) / noise)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsc_snn.coding import check_time_steps
from rsc_snn.errors import ConfigError
from rsc_snn.neurons import Call, LIFConfig, LIFNeuron
from rsc_snn.randomness import derive_seed, make_generator

Floats = NDArray[np.float64]

NEURONS = 200
# The share of neurons inside the band of a rate curve.
BAND = 0.9
# A charge that meets the threshold up to rounding reaches it, as in the closed form: currents with
# two decimals often meet it exactly. A share of the threshold, far above the error of 64 steps.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class NeuronCourse:
    """One neuron over time, all `[T]`.

    current: input X[t]; charged: membrane before the reset, H[t]; membrane: after it, V[t];
    spikes: bool.
    """

    current: Floats
    charged: Floats
    membrane: Floats
    spikes: NDArray[np.bool_]
    threshold: float


@dataclass(frozen=True)
class RateCurve:
    """Spikes per step over the current, all `[M]`: mean over `neurons`, and the band in which the
    share BAND of them lies."""

    currents: Floats
    mean: Floats
    lower: Floats
    upper: Floats
    neurons: int


def neuron_course(
    config: LIFConfig, current: float, noise: float, time_steps: int, seed: int
) -> NeuronCourse:
    """One neuron at a current with Gaussian noise of standard deviation `noise` (0 for none).

    Raises ConfigError for a negative noise and for time steps out of range.
    """
    drive = current + _noise(noise, time_steps, 1, derive_seed(seed, "neuron course"))
    recorded: list[Tensor] = []

    def observe(spikes: Tensor, membranes: Tensor | None) -> None:
        assert membranes is not None  # they were asked for
        recorded.extend((spikes, membranes))

    _neuron(config)(drive, Call(time_steps, observe, membranes=True))
    spikes, membrane, driven = (values.flatten().numpy() for values in (*recorded, drive))
    before = np.concatenate([np.zeros(1), membrane[:-1]])
    fired = spikes > 0
    # Without a spike nothing was reset, and the recorded potential is the exact one.
    charged = np.where(fired, driven + (1 - 1 / config.tau) * before, membrane)
    return NeuronCourse(driven, charged, membrane, fired, config.threshold)


def rate_curve(
    config: LIFConfig,
    currents: Sequence[float] | Floats,
    noise: float,
    time_steps: int,
    seed: int,
    neurons: int = NEURONS,
) -> RateCurve:
    """Firing rates of many neurons, each with noise of its own, at each of `currents` `[M]`.

    A neuron meets the same noise at all currents, so that the curves differ by the current alone.
    Raises ConfigError for a negative noise and for time steps out of range.
    """
    driven = torch.as_tensor(np.asarray(currents, np.float64))
    drawn = _noise(noise, time_steps, neurons, derive_seed(seed, "rate curve"))
    drive = driven.view(1, -1, 1) + drawn.view(time_steps, 1, neurons)
    spikes = _neuron(config)(drive.flatten(0, 1), Call(time_steps))
    rates = spikes.view(time_steps, -1, neurons).mean(0).numpy()
    lower, upper = np.quantile(rates, [(1 - BAND) / 2, (1 + BAND) / 2], axis=1)
    return RateCurve(driven.numpy(), rates.mean(1), lower, upper, neurons)


def _neuron(config: LIFConfig) -> LIFNeuron:
    return LIFNeuron(replace(config, threshold=config.threshold * (1 - _ROUNDING)))


def _noise(noise: float, time_steps: int, neurons: int, seed: int) -> Tensor:
    """Independent N(0, noise^2), `[T, neurons]`, float64."""
    if not noise >= 0:
        raise ConfigError(f"The noise of a neuron must be 0 or more, not {noise!r}.")
    shape = (check_time_steps(time_steps), neurons)
    return noise * torch.randn(shape, generator=make_generator(seed)).double()
