"""Spike rasters of thousands of neurons, clean against adversarial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rsc_snn.activity.record import Activity, Bytes
from rsc_snn.errors import ConfigError
from rsc_snn.trace import sample_neurons

Order = Literal["layer", "rate", "change"]

# What a code says of a neuron at one step.
SILENT, ONLY_CLEAN, ONLY_ADVERSARIAL, BOTH = range(4)
MOST_ROWS = 20_000


@dataclass(frozen=True)
class Band:
    """The rows of one layer in a raster, both ends included."""

    name: str
    first: int
    last: int


@dataclass(frozen=True)
class Raster:
    """The spikes of many neurons, a row each, clean against adversarial.

    codes: `[T, M]`, SILENT, ONLY_CLEAN, ONLY_ADVERSARIAL or BOTH (0..3). Row m is neuron
    `index[m]` of layer `names[layer[m]]`. bands: the rows of each layer, if they are in the order
    of the layers, else empty. total: how many neurons the M were drawn from.
    """

    names: tuple[str, ...]
    codes: Bytes
    layer: NDArray[np.intp]
    index: NDArray[np.intp]
    bands: tuple[Band, ...]
    total: int

    @property
    def share(self) -> float:
        """The share of the neurons that is shown, 0..1."""
        return self.codes.shape[1] / self.total

    def neuron(self, row: int) -> tuple[str, int]:
        """The layer and the number of the neuron in a row."""
        return self.names[self.layer[row]], int(self.index[row])


def raster(
    activity: Activity,
    layers: str | None = None,
    order: Order = "layer",
    most: int = MOST_ROWS,
    seed: int = 0,
) -> Raster:
    """The spikes of one layer, or of all (`layers=None`).

    Of more than `most` neurons, `most` are drawn evenly with `seed`. order: "layer" keeps layers
    and neurons in their order; "rate" puts the busiest on the clean image first; "change" those
    whose spikes differ at most steps, and among equals those that fire more under attack.
    Raises ConfigError for a network without spikes, an unknown layer or order, or `most` below 1.
    """
    if not activity.spiking:
        raise ConfigError("A network without spikes has no spike raster.")
    if most < 1:
        raise ConfigError(f"A raster must show at least one neuron, not {most!r}.")
    chosen = range(len(activity.names)) if layers is None else [activity.position(layers)]
    codes = np.concatenate([layer_codes(activity, at) for at in chosen], axis=1)
    sizes = [activity.clean.layers[at].size for at in chosen]
    owner = np.repeat(np.asarray(chosen), sizes)
    index = np.concatenate([np.arange(size) for size in sizes])
    shown = sample_neurons(codes.shape[1], most, seed)
    rows = shown[_ranking(codes[:, shown], order)]
    return Raster(
        names=activity.names,
        codes=np.ascontiguousarray(codes[:, rows]),
        layer=owner[rows],
        index=index[rows],
        bands=_bands(activity.names, owner[rows]) if order == "layer" else (),
        total=codes.shape[1],
    )


def layer_codes(activity: Activity, position: int) -> Bytes:
    """The codes of all neurons of a layer, `[T, M]`."""
    clean, adversarial, _ = activity.three(position)
    both = clean.values() | (adversarial.values() << 1)
    return both.reshape(len(both), -1)


def _ranking(codes: Bytes, order: str) -> NDArray[np.intp]:
    """The columns of `codes` `[T, M]` in the order asked for; ties keep their order."""
    if order == "layer":
        return np.arange(codes.shape[1])
    clean = (codes & 1).sum(axis=0, dtype=np.int32)
    adversarial = (codes >> 1).sum(axis=0, dtype=np.int32)
    if order == "rate":
        return np.lexsort((-adversarial, -clean))
    if order == "change":
        changed = ((codes & 1) ^ (codes >> 1)).sum(axis=0, dtype=np.int32)
        return np.lexsort((clean - adversarial, -changed))
    raise ConfigError(f"Neurons cannot be sorted by {order!r}: choose layer, rate or change.")


def _bands(names: tuple[str, ...], owner: NDArray[np.intp]) -> tuple[Band, ...]:
    layers, first, count = np.unique(owner, return_index=True, return_counts=True)
    return tuple(
        Band(names[layer], int(start), int(start + rows - 1))
        for layer, start, rows in zip(layers, first, count, strict=True)
    )
