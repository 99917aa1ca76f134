"""The neuron: spikingjelly's leaky integrate-and-fire step, used as a pure function.

    H[t] = V[t-1] (1 - 1/tau) + X[t]        charge (decay_input=False, V_reset = 0)
    S[t] = 1 if H[t] >= threshold else 0    fire
    V[t] = H[t] (1 - S[t])                  hard reset, detached from the gradient

spikingjelly's neuron modules keep V between calls, so two threads that share a model corrupt
each other's membranes. Its functional form `lif_multi_step` takes the initial potential and
returns the spikes, and uses the same fused kernels on a GPU: state lives in the call alone.

On a CPU in float32, where the app computes, spikingjelly composes each step of ten tensor
operations, and memory traffic, not arithmetic, sets the speed. `_LIFSequence` does the same
step in three, in place; tests hold it to spikingjelly's spikes and gradients. It also runs on Apple
and AMD GPUs, which spikingjelly refuses, and, on any device, where an attack brings a surrogate
gradient of its own for each neuron, which the fused kernels do not know.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rsc_snn.errors import ConfigError

# torch warns twice on stderr where spikingjelly registers kernels that a CPU does not need.
logging.getLogger("torch._library.triton").setLevel(logging.ERROR)

from spikingjelly.activation_based import functional, surrogate  # noqa: E402

# Beyond it a pass in float32 would soon compute with infinities.
_LARGEST = 1e12


@dataclass(frozen=True)
class LIFConfig:
    """Parameters of the LIF neuron, up to 1e12. Raises ConfigError for others.

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
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (number and low < value <= _LARGEST):
                raise ConfigError(
                    f"The neuron's {name} must be a number above {low:g} and at most {_LARGEST:g}."
                )


Observer = Callable[[Tensor, "Tensor | None"], None]
Sharpness = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Call:
    """All that one forward pass knows beside its input; nothing of it stays on the module.

    observe: called once a neuron layer, in order, with its output `[T, N, ...]` and, if
    `membranes` is set, its membrane potentials after reset, of the same shape. None records
    nothing and costs nothing. currents: if given, each neuron layer adds its input current
    `[T, N, ...]`, with its graph. sharpness: called once a LIF layer of a pass with a graph, in
    order, with how far the charged potentials are above the threshold, `[T, N, ...]`; gives the
    surrogate gradient's alpha of each neuron and time step, of the same shape, in place of the
    configured one.
    """

    time_steps: int
    observe: Observer | None = None
    membranes: bool = False
    currents: list[Tensor] | None = None
    sharpness: Sharpness | None = None


class _LIFSequence(torch.autograd.Function):
    """The LIF over `[T, N, ...]` from rest; returns spikes and, on request, membranes.

    Backward: dL/dX[t] = dL/dS[t] surrogate'(H[t]) + (1 - 1/tau) (1 - S[t]) dL/dX[t+1], since the
    reset is detached. Membranes carry no gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, sequence: Tensor, config: LIFConfig, record: bool, sharpness: Sharpness | None
    ) -> tuple[Tensor, Tensor | None]:
        keeps_charges = ctx.needs_input_grad[0]
        decay = 1 - 1 / config.tau
        spikes = torch.empty_like(sequence)
        charges = torch.empty_like(sequence) if keeps_charges else None
        membranes = torch.empty_like(sequence) if record else None
        v = torch.zeros_like(sequence[0])
        for t, current in enumerate(sequence):
            h = v if charges is None else charges[t]
            torch.add(current, v, alpha=decay, out=h)
            torch.ge(h, config.threshold, out=spikes[t])
            # h - h * 1 is exactly 0 and h - h * 0 exactly h.
            torch.addcmul(h, h, spikes[t], value=-1, out=v)
            if membranes is not None:
                membranes[t] = v
        if charges is not None:
            alphas = None if sharpness is None else sharpness(charges - config.threshold)
            ctx.save_for_backward(charges, spikes, alphas)
            ctx.config = config
        if membranes is not None:
            ctx.mark_non_differentiable(membranes)
        return spikes, membranes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        charges, spikes, alphas = ctx.saved_tensors
        config: LIFConfig = ctx.config
        alpha = config.surrogate_alpha
        decay = 1 - 1 / config.tau
        slope = (math.pi / 2 * alpha) ** 2
        one = charges.new_ones(())
        gradient = torch.empty_like(charges)
        # One step at a time, through one buffer: whole sequences would go to memory and back.
        buffer = torch.empty_like(charges[0])
        last = len(gradient) - 1
        for t in range(last, -1, -1):
            torch.sub(charges[t], config.threshold, out=buffer)
            if alphas is not None:
                buffer.mul_(alphas[t]).div_(alpha)
            torch.addcmul(one, buffer, buffer, value=slope, out=buffer)
            torch.div(grads[0][t], buffer, out=gradient[t])
            if alphas is not None:
                gradient[t].mul_(alphas[t]).div_(2)
            elif alpha != 2:
                gradient[t].mul_(alpha / 2)
            if t < last:
                torch.sub(one, spikes[t], out=buffer)
                gradient[t].addcmul_(gradient[t + 1], buffer, value=decay)
        return gradient, None, None, None


def _spikingjelly_suits(device: torch.device, dtype: torch.dtype) -> bool:
    """True where spikingjelly's step is to run: on NVIDIA GPUs, and for other numbers on a CPU."""
    if device.type == "cpu":
        return dtype not in (torch.float32, torch.bfloat16)
    return device.type == "cuda" and not torch.version.hip


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
        if call.currents is not None:
            call.currents.append(sequence)
        if call.sharpness is not None or not _spikingjelly_suits(sequence.device, sequence.dtype):
            spikes, membranes = _LIFSequence.apply(
                sequence.float(), self.config, call.membranes, call.sharpness
            )
        else:
            spikes, membranes = self._spikingjelly(sequence, call.membranes)
        if call.observe is not None:
            call.observe(spikes, membranes)
        folded: Tensor = spikes.flatten(0, 1)
        return folded

    def _spikingjelly(self, sequence: Tensor, membranes: bool) -> tuple[Tensor, Tensor | None]:
        """spikingjelly's step, on contiguous tensors alone.

        It compiles its kernels for NVIDIA GPUs anew for every shape of any others, so for every
        number of images that an attack has left.
        """
        last = sequence.ndim == 5 and not sequence.is_contiguous()
        if not last:
            return self._contiguous(sequence.contiguous(), membranes)
        found = self._contiguous(sequence.permute(0, 1, 3, 4, 2).contiguous(), membranes)
        spikes, potentials = (
            None if each is None else each.permute(0, 1, 4, 2, 3) for each in found
        )
        assert spikes is not None
        return spikes, potentials

    def _contiguous(self, sequence: Tensor, membranes: bool) -> tuple[Tensor, Tensor | None]:
        rest = torch.zeros_like(sequence[0], dtype=torch.float32)
        spikes, _, potentials = functional.lif_multi_step(
            sequence,
            rest,
            tau=self.config.tau,
            decay_input=False,
            v_threshold=self.config.threshold,
            v_reset=0.0,
            surrogate_function=self.surrogate,
            detach_reset=True,
            store_v_seq=membranes,
        )
        if spikes.requires_grad:
            spikes.register_hook(Tensor.contiguous)
        return spikes, potentials


class ReLUNeuron(nn.Module):
    """ReLU in place of the LIF, for the ANN twin: no time, no state."""

    def forward(self, current: Tensor, call: Call) -> Tensor:
        if call.currents is not None:
            call.currents.append(current.view(call.time_steps, -1, *current.shape[1:]))
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
