"""In which order the cells of a sweep can be measured: what builds on what, longest chains first.

A clean cell builds on nothing, the smallest epsilon of a chain on the clean cell, every other one
on the next smaller epsilon. With enough workers a sweep takes as long as its longest chain, so
the cell that most others wait for, counting down its chain, goes first. Cells of one rank go in the
order of the sweep or, beside another sweep of them, in one of their own: in the same order the two
would measure the same cells at the same time.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable
from hashlib import blake2b

from rsc_snn.errors import SweepError
from rsc_snn.sweep.cells import Cell
from rsc_snn.sweep.grid import predecessor


class Plan:
    """The cells of one sweep that are ready, waiting, finished and failed.

    alone: False for an order of cells of one rank that no other plan has. Raises SweepError if a
    cell builds on one that is not there.
    """

    def __init__(self, cells: Iterable[Cell], *, alone: bool = True) -> None:
        self.cells = {cell.key: cell for cell in cells}
        self.failed: dict[str, str] = {}
        self._before = {key: self._link(cell) for key, cell in self.cells.items()}
        self._followers: dict[str, list[str]] = {key: [] for key in self.cells}
        for key, before in self._before.items():
            if before is not None:
                self._followers[before].append(key)
        heights = self._heights()
        order = self.cells if alone else _shuffled(self.cells)
        self._rank = {key: (-heights[key], place) for place, key in enumerate(order)}
        self._left = set(self.cells)
        self._ready: list[tuple[int, int, str]] = []
        for key, before in self._before.items():
            if before is None:
                self._push(key)

    def __len__(self) -> int:
        """Cells that are neither finished nor failed."""
        return len(self._left)

    def before(self, key: str) -> str | None:
        """The key of the cell whose result a cell needs."""
        return self._before[key]

    def next(self) -> Cell | None:
        """A cell whose predecessor is finished, handed out once; None if there is none now."""
        while self._ready:
            key = heapq.heappop(self._ready)[-1]
            if key in self._left:
                return self.cells[key]
        return None

    def again(self, key: str) -> None:
        """Take back a cell that was handed out; `next` gives it again."""
        self._push(key)

    def finish(self, key: str) -> None:
        """The result of a cell is stored: those that build on it are ready."""
        self._left.discard(key)
        for follower in self._followers[key]:
            if follower in self._left:
                self._push(follower)

    def fail(self, key: str, sentence: str) -> None:
        """A cell cannot be measured, nor can those that build on it."""
        self._left.discard(key)
        self.failed[key] = sentence
        waiting = [key]
        while waiting:
            for follower in self._followers[waiting.pop()]:
                if follower in self._left:
                    self._left.discard(follower)
                    self.failed[follower] = f"The cell that it builds on failed. {sentence}"
                    waiting.append(follower)

    def _push(self, key: str) -> None:
        heapq.heappush(self._ready, (*self._rank[key], key))

    def _link(self, cell: Cell) -> str | None:
        """The key of the cell that `cell` builds on. Raises SweepError."""
        needed = predecessor(cell)
        if needed is None:
            return None
        if needed.key not in self.cells:
            text = f"epsilon {needed.epsilon:g}" if needed.epsilon else "no attack"
            raise SweepError(
                f"The cell of {cell.model} under {cell.attack} at epsilon {cell.epsilon:g} builds "
                f"on the one at {text}, which is not part of the sweep."
            )
        return needed.key

    def _heights(self) -> dict[str, int]:
        """Cells in the longest chain from each cell on, itself counted."""
        heights = dict.fromkeys(self.cells, 1)
        for key in sorted(self.cells, key=lambda key: -len(self.cells[key].chain)):
            before = self._before[key]
            if before is not None:
                heights[before] = max(heights[before], heights[key] + 1)
        return heights


def _shuffled(keys: Iterable[str]) -> list[str]:
    """The keys in another order each time."""
    salt = os.urandom(16)  # Not the process number: two containers may share one.
    return sorted(keys, key=lambda key: blake2b(key.encode(), key=salt).digest())
