"""Activity as pictures: the channels of a layer side by side, and where a layer is busy."""

from __future__ import annotations

import numpy as np
from PIL import Image

from rsc_snn.activity.rasters import layer_codes
from rsc_snn.activity.record import Activity, Bytes, Floats, LayerActivity, Which
from rsc_snn.errors import ConfigError

# Pixels of `channel_maps`: the gap between two channels is darker than a silent neuron.
GAP, DARKEST, BRIGHTEST = 0, 48, 255
# The gap in `code_maps`.
CODE_GAP = 255


def channel_maps(activity: Activity, layer: str, step: int, which: Which) -> Bytes:
    """All channels of a layer at one step (from 0), tiled to one grey picture `[h, w]`.

    Tiles stand in rows, about as many across as down, one pixel apart: GAP between them, DARKEST
    for silence, BRIGHTEST for a spike. Activations (which have one step) lie between, as shares
    of the layer's strongest in the three passes. Raises ConfigError.
    """
    maps = channel_maps_all(activity, layer, which)
    if not 0 <= step < activity.time_steps:
        raise ConfigError(f"There is no time step {step}: the last is {activity.time_steps - 1}.")
    return maps[min(step, len(maps) - 1)]


def channel_maps_all(activity: Activity, layer: str, which: Which) -> Bytes:
    """`channel_maps` of every step, `[T, h, w]`; `[1, h, w]` for a layer without spikes."""
    found = activity.of(which).layers[activity.position(layer)]
    span = BRIGHTEST - DARKEST
    if found.spiking:
        grey = DARKEST + span * found.values()
    else:
        top = max(one.data.max() for one in activity.three(activity.position(layer)))
        share = found.values() / np.float32(top if top > 0 else 1)
        grey = (DARKEST + np.rint(span * share)).astype(np.uint8)
    return _tiled(grey, GAP)


def code_maps(activity: Activity, layer: str) -> Bytes:
    """The codes of a spiking layer tiled as in `channel_maps`, `[T, h, w]`: SILENT, ONLY_CLEAN,
    ONLY_ADVERSARIAL, BOTH (0..3), and CODE_GAP between channels. Raises ConfigError.
    """
    if not activity.spiking:
        raise ConfigError("A network without spikes has no spikes to compare.")
    position = activity.position(layer)
    codes = layer_codes(activity, position)
    return _tiled(codes.reshape(-1, *activity.clean.layers[position].shape), CODE_GAP)


def _grid(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the tiles of a layer `(C, H, W)`."""
    across = int(np.ceil(np.sqrt(shape[0])))
    return -(-shape[0] // across), across


def _tiled(values: Bytes, gap: int) -> Bytes:
    """`[T, C, H, W]` as mosaics `[T, rows (H + 1) - 1, columns (W + 1) - 1]`."""
    steps, channels, height, width = values.shape
    down, across = _grid(values.shape[1:])
    tiles = np.full((steps, down * across, height + 1, width + 1), gap, np.uint8)
    tiles[:, :channels, :height, :width] = values
    tiles = tiles.reshape(steps, down, across, height + 1, width + 1).transpose(0, 1, 3, 2, 4)
    mosaic = tiles.reshape(steps, down * (height + 1), across * (width + 1))
    return np.ascontiguousarray(mosaic[:, :-1, :-1])


def neuron_at(shape: tuple[int, ...], row: int, column: int) -> int | None:
    """The number of the neuron at a pixel of a layer's mosaic; None in a gap or outside.

    shape: of the layer, `(C, H, W)`.
    """
    channels, height, width = shape
    across = _grid(shape)[1]
    (tile_row, y), (tile_column, x) = divmod(row, height + 1), divmod(column, width + 1)
    channel = tile_row * across + tile_column
    inside = row >= 0 and 0 <= tile_column < across and y < height and x < width
    return (channel * height + y) * width + x if inside and channel < channels else None


def mosaic_pixel(shape: tuple[int, ...], index: int) -> tuple[int, int]:
    """Row and column of a neuron in its layer's mosaic: the inverse of `neuron_at`."""
    channel, y, x = np.unravel_index(index, shape)
    tile_row, tile_column = divmod(int(channel), _grid(shape)[1])
    return tile_row * (shape[1] + 1) + int(y), tile_column * (shape[2] + 1) + int(x)


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
