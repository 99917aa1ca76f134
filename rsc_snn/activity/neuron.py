"""One neuron over time: current, membrane, resets and spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rsc_snn.activity.record import Floats, Membranes, Pixels, look_inside, trace_seed
from rsc_snn.errors import ConfigError

if TYPE_CHECKING:
    from rsc_snn.classifier import SpikingClassifier


@dataclass(frozen=True)
class NeuronTrace:
    """One neuron over time, all `[T]`.

    current: input X[t]; charged: membrane before the reset, H[t]; membrane: after it, V[t];
    spikes: bool. See `rsc_snn.neurons` for the equations. place: `(channel, row, column)`.
    """

    layer: str
    index: int
    place: tuple[int, ...]
    current: Floats
    charged: Floats
    membrane: Floats
    spikes: NDArray[np.bool_]
    threshold: float

    @property
    def rate(self) -> float:
        """Spikes per step."""
        return float(self.spikes.mean())


def neuron_trace(
    model: SpikingClassifier,
    image: Pixels,
    layer: str,
    index: int,
    *,
    time_steps: int | None,
    sigma: float | None,
    seed: int,
) -> NeuronTrace:
    """Neuron `index` of a layer on an image `[C, H, W]`, with the noise of `record_activity`'s
    clean and adversarial passes.

    Raises ConfigError for a network without membranes and for a neuron that it does not have.
    """
    _check_layer(model, layer)
    inside = look_inside(model, image, time_steps, sigma, trace_seed(seed))
    return neuron_inside(model, inside, layer, index)


def neuron_inside(
    model: SpikingClassifier, inside: Membranes, layer: str, index: int
) -> NeuronTrace:
    """Neuron `index` of a layer in a pass of `model` that was watched. Raises ConfigError."""
    position = _check_layer(model, layer)
    recorded = inside.trace.layers[position]
    shape = tuple(recorded.spikes.shape[2:])
    if not 0 <= index < np.prod(shape):
        raise ConfigError(f"{layer} has no neuron {index}: the last is {np.prod(shape) - 1}.")
    assert recorded.membranes is not None  # they were asked for
    current, membrane = (
        _one(values, index).astype(np.float32)
        for values in (inside.currents[position].float(), recorded.membranes.float())
    )
    spikes = _one(recorded.spikes, index)
    before = np.concatenate([np.zeros(1, np.float32), membrane[:-1]])
    charged = current + np.float32(1 - 1 / model.config.lif.tau) * before
    return NeuronTrace(
        layer=layer,
        index=index,
        place=tuple(int(at) for at in np.unravel_index(index, shape)),
        current=current,
        # Without a spike nothing was reset, and the recorded potential is the exact one.
        charged=np.where(spikes, charged, membrane),
        membrane=membrane,
        spikes=spikes,
        threshold=model.config.lif.threshold,
    )


def _check_layer(model: SpikingClassifier, layer: str) -> int:
    """The place of a layer with membranes. Raises ConfigError."""
    if not model.is_spiking:
        raise ConfigError("A network without spikes has no membranes to look at.")
    if layer not in model.layer_names:
        raise ConfigError(
            f"There is no layer {layer!r}; choose one of {', '.join(model.layer_names)}."
        )
    return model.layer_names.index(layer)


def _one(values: Tensor, index: int) -> NDArray[Any]:
    """One neuron of `[T, 1, *shape]`, `[T]`."""
    found: NDArray[Any] = values[:, 0].flatten(1)[:, index].cpu().numpy()
    return found.copy()  # A view would keep the whole layer alive.
