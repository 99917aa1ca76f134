"""Where the labels of points stand, so that they lie on nothing that is drawn.

plotly puts every label on one given side of its point, whatever is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Pixels of a drawing on a phone. What is apart there is so on every wider screen.
_SIZE = np.array([290.0, 320.0])
# Pixels of a letter and of a line of text of size 11.
_LETTER, _LINE = 6.2, 13.0
# A mark so close to a label could be taken for its own.
_NEAR = 8.0
# A point so close to one that has a label has none.
_APART = np.array([17.0, 14.0])
# plotly's names of the sides of a point, the first choice first: to the right, and up.
_SIDES = {
    "top right": (1, 1),
    "bottom right": (1, -1),
    "top left": (-1, 1),
    "bottom left": (-1, -1),
    "middle right": (1, 0),
    "middle left": (-1, 0),
    "top center": (0, 1),
    "bottom center": (0, -1),
}
_DIRECTIONS = np.array(list(_SIDES.values()), float)


class Labels:
    """Labels among marks and lines: never on a mark or a label, and by as few others as can be.

    across, along: ranges of the axes. marks: x, y and diameter (pixels) of what no label may cover.
    lines: both ends of straight ones, x, y, x, y.
    """

    def __init__(
        self,
        across: Sequence[float],
        along: Sequence[float],
        marks: Iterable[tuple[float, float, float]],
        lines: Iterable[tuple[float, float, float, float]],
    ) -> None:
        self._low = np.array([across[0], along[0]])
        self._scale = _SIZE / (np.array([across[1], along[1]]) - self._low)
        discs = np.array([*marks], float).reshape(-1, 3)
        self._centres, self._radii = self._pixels(discs[:, :2]), discs[:, 2] / 2
        ends = np.array([*lines], float).reshape(-1, 4)
        self._starts, self._ends = self._pixels(ends[:, :2]), self._pixels(ends[:, 2:])
        self._labelled = np.empty((0, 2))
        self._taken = np.empty((0, 4))

    def place(
        self, texts: Sequence[str], places: Sequence[tuple[float, float]], sizes: Sequence[float]
    ) -> tuple[list[str], list[str]]:
        """The texts, "" where there is no room, and plotly's `textposition` of each.

        sizes: of the points' own marks, in pixels. Later calls keep clear of these labels.
        """
        points = self._pixels(np.array([*places], float).reshape(-1, 2))
        placed = [
            (text, self._side(text, point, size)) if text else ("", None)
            for text, point, size in zip(texts, points, sizes, strict=True)
        ]
        shown = [text if side else "" for text, side in placed]
        return shown, [side or "top right" for _, side in placed]

    def _side(self, text: str, point: Floats, size: float) -> str | None:
        """The best side of a point, which is taken from now on; None without room."""
        if (np.abs(self._labelled - point) < _APART).all(axis=1).any():
            return None
        boxes = _boxes(point, size, len(text))
        away = self._distances(boxes)
        free = self._inside(boxes) & _all(away >= self._radii) & self._clear(boxes)
        if not free.any():
            return None
        beside = self._crossings(boxes) + (away < self._radii + _NEAR).sum(axis=1)
        best = int(np.argmin(np.where(free, beside, np.inf)))
        self._labelled = np.vstack([self._labelled, point])
        self._taken = np.vstack([self._taken, boxes[best]])
        return list(_SIDES)[best]

    def _pixels(self, places: Floats) -> Floats:
        return (places - self._low) * self._scale

    def _inside(self, boxes: Floats) -> NDArray[np.bool_]:
        return _all((boxes[:, :2] >= 0) & (boxes[:, 2:] <= _SIZE))

    def _distances(self, boxes: Floats) -> Floats:
        """From each box to the centre of each mark."""
        low, high = boxes[:, None, :2], boxes[:, None, 2:]
        away = np.maximum(0, np.maximum(low - self._centres, self._centres - high))
        return np.asarray(np.linalg.norm(away, axis=2))

    def _clear(self, boxes: Floats) -> NDArray[np.bool_]:
        """Whether boxes lie on no earlier label."""
        beyond = boxes[:, None, :2] >= self._taken[:, 2:]
        before = boxes[:, None, 2:] <= self._taken[:, :2]
        return _all(np.asarray((beyond | before).any(axis=2)))

    def _crossings(self, boxes: Floats) -> NDArray[np.intp]:
        """How many lines cross each box (Liang and Barsky 1984)."""
        way = self._ends - self._starts
        way = np.where(way == 0, 1e-9, way)
        first = (boxes[:, None, :2] - self._starts) / way
        second = (boxes[:, None, 2:] - self._starts) / way
        enter = np.minimum(first, second).max(axis=2, initial=0)
        leave = np.maximum(first, second).min(axis=2, initial=1)
        return np.asarray((enter <= leave).sum(axis=1))


def _all(rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether all of each row is true."""
    return np.asarray(rows.all(axis=1))


def _boxes(point: Floats, size: float, letters: int) -> Floats:
    """Left, bottom, right and top of a text on each side of a point, as plotly sets it."""
    room = np.array([_LETTER * letters, _LINE])
    gap = size / 2 / 0.8 + 1
    low = point + _DIRECTIONS * gap + (_DIRECTIONS - 1) / 2 * room
    return np.hstack([low, low + room])
