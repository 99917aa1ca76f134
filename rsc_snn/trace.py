"""What a network did on one batch: frames, spikes, membranes and step logits."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rsc_snn.neurons import Call


@dataclass(frozen=True)
class LayerTrace:
    """One neuron layer.

    spikes: `[T, N, ...]`, bool for a spiking layer; for the ANN twin its activations (float,
    >= 0). membranes: potentials after reset, same shape, or None if they were not asked for.
    """

    name: str
    spikes: Tensor
    membranes: Tensor | None
    spiking: bool

    def firing_rate(self) -> Tensor:
        """Spikes per neuron and time step (mean activation for the ANN twin), `[N]`."""
        return self.spikes.float().mean(dim=0).flatten(1).mean(dim=1)


@dataclass(frozen=True)
class Trace:
    """frames `[T, N, C, H, W]`, one LayerTrace a neuron layer, step logits `[T, N, K]`."""

    frames: Tensor
    layers: tuple[LayerTrace, ...]
    step_logits: Tensor

    @property
    def logits(self) -> Tensor:
        """What the model answers: the mean of the step logits over time, `[N, K]`."""
        return self.step_logits.mean(dim=0)


@dataclass
class Recorder:
    """Collects the layers of one forward pass, in the order in which they run."""

    names: tuple[str, ...]
    spiking: bool
    membranes: bool
    layers: list[LayerTrace] = field(default_factory=list)

    def observe(self, output: Tensor, membranes: Tensor | None) -> None:
        spikes = output.detach()
        self.layers.append(
            LayerTrace(
                name=self.names[len(self.layers)],
                spikes=spikes.bool() if self.spiking else spikes,
                membranes=None if membranes is None else membranes.detach(),
                spiking=self.spiking,
            )
        )

    def call(self, time_steps: int, currents: list[Tensor] | None = None) -> Call:
        """The Call that makes a forward pass report to this recorder, and fill `currents`."""
        return Call(time_steps, self.observe, self.membranes, currents)


def sample_neurons(total: int, most: int, seed: int = 0) -> NDArray[np.int64]:
    """At most `most` of `total` neuron numbers, evenly drawn with `seed`, in rising order."""
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, size=most, replace=False))
