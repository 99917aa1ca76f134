"""The neuron: spikingjelly's leaky integrate-and-fire step, used as a pure function.

    H[t] = V[t-1] (1 - 1/tau) + X[t]        charge (decay_input=False, V_reset = 0)
    S[t] = 1 if H[t] >= threshold else 0    fire
    V[t] = H[t] (1 - S[t])                  hard reset, detached from the gradient

spikingjelly's neuron modules keep V between calls, so two threads that share a model corrupt
each other's membranes. Its functional form `lif_multi_step` takes the initial potential and
returns the spikes, and uses the same fused kernels on a GPU: state lives in the call alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from spikingjelly.activation_based import functional, surrogate
from torch import Tensor, nn

from rsc_snn.errors import ConfigError


@dataclass(frozen=True)
class LIFConfig:
    """Parameters of the LIF neuron. Raises ConfigError for values without meaning.

    tau: membrane time constant in time steps, > 1. threshold: firing threshold, > 0.
    surrogate_alpha: sharpness of the arctan surrogate gradient
    `alpha / (2 (1 + (pi/2 alpha (H - threshold))^2))`, > 0.
    """

    tau: float = 2.0
    threshold: float = 1.0
    surrogate_alpha: float = 2.0

    def __post_init__(self) -> None:
        for name, low in (("tau", 1.0), ("threshold", 0.0), ("surrogate_alpha", 0.0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > low:
                raise ConfigError(
                    f"The neuron's {name} must be a number above {low:g}, not {value!r}."
                )


Observer = Callable[[Tensor, "Tensor | None"], None]


@dataclass(frozen=True)
class Call:
    """All that one forward pass knows beside its input; nothing of it stays on the module.

    observe: called once a neuron layer, in order, with its output `[T, N, ...]` and, if
    `membranes` is set, its membrane potentials after reset, of the same shape. None records
    nothing and costs nothing.
    """

    time_steps: int
    observe: Observer | None = None
    membranes: bool = False


class LIFNeuron(nn.Module):
    """A layer of leaky integrate-and-fire neurons on folded input `[T*N, ...]`.

    Starts every call at rest (V = 0) and keeps nothing. The potential is float32 also under
    bfloat16 autocast.
    """

    def __init__(self, config: LIFConfig) -> None:
        super().__init__()
        self.config = config
        self.surrogate = surrogate.ATan(alpha=config.surrogate_alpha)

    def forward(self, current: Tensor, call: Call) -> Tensor:
        sequence = current.view(call.time_steps, -1, *current.shape[1:])
        rest = torch.zeros_like(sequence[0], dtype=torch.float32)
        spikes, _, membranes = functional.lif_multi_step(
            sequence,
            rest,
            tau=self.config.tau,
            decay_input=False,
            v_threshold=self.config.threshold,
            v_reset=0.0,
            surrogate_function=self.surrogate,
            detach_reset=True,
            store_v_seq=call.membranes,
        )
        if call.observe is not None:
            call.observe(spikes, membranes)
        folded: Tensor = spikes.flatten(0, 1)
        return folded


class ReLUNeuron(nn.Module):
    """ReLU in place of the LIF, for the ANN twin: no time, no state."""

    def forward(self, current: Tensor, call: Call) -> Tensor:
        output = torch.relu(current)
        if call.observe is not None:
            call.observe(output.view(call.time_steps, -1, *output.shape[1:]), None)
        return output


NEURONS = ("lif", "relu")


def make_neuron(kind: str, config: LIFConfig) -> LIFNeuron | ReLUNeuron:
    """A neuron layer of `kind` "lif" or "relu". Raises ConfigError."""
    if kind not in NEURONS:
        raise ConfigError(f"Unknown neuron {kind!r}; choose one of {', '.join(NEURONS)}.")
    return LIFNeuron(config) if kind == "lif" else ReLUNeuron()
