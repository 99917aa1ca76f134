"""Activity as pictures: the channels of a layer side by side, and where a layer is busy."""

from __future__ import annotations

import numpy as np
from PIL import Image

from rsc_snn.activity.record import Activity, Bytes, Floats, LayerActivity, Which

# Pixels of `channel_maps`: the gap between two channels is darker than a silent neuron.
GAP, DARKEST, BRIGHTEST = 0, 48, 255


def channel_maps(activity: Activity, layer: str, which: Which) -> Bytes:
    """All channels of a layer at every step, tiled to grey pictures `[T, h, w]`.

    Tiles stand in rows, about as many across as down, one pixel apart: GAP between them, DARKEST
    for silence, BRIGHTEST for a spike. A layer without spikes has one step, `[1, h, w]`; its
    activations lie between, as shares of its strongest in the three passes. Raises ConfigError.
    """
    found = activity.of(which).layers[activity.position(layer)]
    span = BRIGHTEST - DARKEST
    if found.spiking:
        grey = DARKEST + span * found.values()
    else:
        top = max(one.data.max() for one in activity.three(activity.position(layer)))
        share = found.values() / np.float32(top if top > 0 else 1)
        grey = (DARKEST + np.rint(span * share)).astype(np.uint8)
    return _tiled(grey)


def _grid(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the tiles of a layer `(C, H, W)`."""
    across = int(np.ceil(np.sqrt(shape[0])))
    return -(-shape[0] // across), across


def _tiled(values: Bytes) -> Bytes:
    """`[T, C, H, W]` as mosaics `[T, rows (H + 1) - 1, columns (W + 1) - 1]`."""
    steps, channels, height, width = values.shape
    down, across = _grid(values.shape[1:])
    tiles = np.full((steps, down * across, height + 1, width + 1), GAP, np.uint8)
    tiles[:, :channels, :height, :width] = values
    tiles = tiles.reshape(steps, down, across, height + 1, width + 1).transpose(0, 1, 3, 2, 4)
    mosaic = tiles.reshape(steps, down * (height + 1), across * (width + 1))
    return np.ascontiguousarray(mosaic[:, :-1, :-1])


def rate_map(activity: Activity, layer: str | None, which: Which, size: int) -> Floats:
    """Where a layer is busy: `[size, size]` in 0..1, to lie over the photograph.

    The mean firing rate over channels and steps at each place, bilinearly resized; activations
    are shares of the busiest place in the three passes. `layer=None`: the mean of the maps of all
    layers, each counting the same. Raises ConfigError.
    """
    passed = activity.of(which)
    chosen = range(len(activity.names)) if layer is None else [activity.position(layer)]
    maps = [
        _resized(_place_means(passed.layers[at]) / _busiest(activity, at), size) for at in chosen
    ]
    return np.clip(np.mean(maps, axis=0, dtype=np.float32), 0, 1)


def rate_of_one(activity: Activity, layer: str) -> float:
    """What 1 in a `rate_map` of a layer stands for: a rate of 1, or a mean activation.

    Raises ConfigError.
    """
    return float(_busiest(activity, activity.position(layer)))


def _place_means(layer: LayerActivity) -> Floats:
    """Mean over channels and steps at each place, `[H, W]`."""
    values = layer.values()
    summed = values.sum(axis=(0, 1), dtype=np.float32)
    return summed / np.float32(len(values) * layer.shape[0])


def _busiest(activity: Activity, position: int) -> np.float32:
    """What counts as 1 in a map: always firing, or the strongest mean activation."""
    if activity.spiking:
        return np.float32(1)
    top = max(_place_means(layer).max() for layer in activity.three(position))
    return np.float32(top if top > 0 else 1)


def _resized(values: Floats, size: int) -> Floats:
    picture = Image.fromarray(values).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.float32)
