"""Watch a network think: frames, spike maps and the running answer, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsc_snn.ui.components.assets import chosen_number, nothing, register
from rsc_snn.ui.components.payload import picture_strip, stencil_strip

_TOP = 3
_DIGITS = 4

_mount = register("player")


@dataclass(frozen=True)
class PlayerColumn:
    """One pass of one network.

    frames: the coded input of each step, `[T, H, W, 3]`. maps: what the chosen layer does at each
    step as one picture, `[T, h, w]`, 0 (silent) to 255. probabilities: the answer after the first
    1, 2, ..., T steps, `[T, K]`. colour: `#rrggbb`, of the title, the map and the bars.
    """

    title: str
    colour: str
    frames: NDArray[np.uint8]
    maps: NDArray[np.uint8]
    probabilities: NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        steps = {len(self.frames), len(self.maps), len(self.probabilities)}
        ranks = (self.frames.ndim, self.maps.ndim, self.probabilities.ndim)
        if len(steps) != 1 or 0 in steps or ranks != (4, 3, 2):
            raise ValueError("frames [T, H, W, 3], maps [T, h, w], probabilities [T, K]")
        if self.frames.dtype != np.uint8 or self.maps.dtype != np.uint8:
            raise ValueError("frames and maps are bytes")


@dataclass(frozen=True)
class PlayerData:
    """What to play: the columns, the names of the K classes, and the true class.

    layer: a name for the maps, below each of them. Columns may differ in T: one that has fewer
    steps than another stays at its last.
    """

    columns: tuple[PlayerColumn, ...]
    classes: tuple[str, ...]
    truth: int
    layer: str = "spikes"

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("at least one column")
        if any(column.probabilities.shape[1] != len(self.classes) for column in self.columns):
            raise ValueError("as many classes as probabilities")

    @property
    def steps(self) -> int:
        """The most time steps of any column."""
        return max(len(column.frames) for column in self.columns)


def time_player(data: PlayerData, *, key: str) -> int | None:
    """Play the steps in the browser; the step 1..T at which the visitor stopped, if they did.

    Playing and dragging rerun nothing: only a pause and a released scrubber do. With T = 1 the
    controls are disabled and say why.
    """
    state = _mount(key=key, data=_payload(data), on_step_change=nothing)
    return chosen_number(state.get("step"), 1, data.steps)


def _payload(data: PlayerData) -> dict[str, Any]:
    return {
        "steps": data.steps,
        "layer": data.layer,
        "columns": [_column(column, data) for column in data.columns],
    }


def _column(column: PlayerColumn, data: PlayerData) -> dict[str, Any]:
    height, width = column.frames.shape[1:3]
    map_height, map_width = column.maps.shape[1:]
    return {
        "title": column.title,
        "colour": column.colour,
        "steps": len(column.frames),
        "frame": {"width": width, "height": height, "strip": picture_strip(column.frames)},
        "map": {"width": map_width, "height": map_height, "strip": stencil_strip(column.maps)},
        "answers": [_answer(step, data) for step in column.probabilities],
    }


def _answer(probabilities: NDArray[np.floating[Any]], data: PlayerData) -> list[dict[str, Any]]:
    """The three likeliest classes, likeliest first; also the true class if it is none of them."""
    order = np.argsort(-probabilities, kind="stable")[:_TOP].tolist()
    if data.truth not in order:
        order.append(data.truth)
    return [
        {
            "name": data.classes[index],
            "share": round(float(probabilities[index]), _DIGITS),
            "right": index == data.truth,
        }
        for index in order
    ]
