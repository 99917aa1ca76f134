"""Cells whose right and wrong answers a test chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsc_snn.sweep.cells import CLEAN, Cell, CellResult
from rsc_snn.tradeoff import OperatingPoint, operating_points

CLASSES = 10


def make_cell(**changes: Any) -> Cell:
    """A clean cell of an RSC model, with changes."""
    values: dict[str, Any] = {
        "model": "tiny-rsc",
        "sha256": "a" * 64,
        "dataset": "cifar10",
        "split": "test",
        "data": "0123456789abcdef",
        "images": 4,
        "attack": CLEAN,
        "parameters": (),
        "epsilon": 0.0,
        "chain": (),
        "coding": "rsc",
        "sigma": 0.2,
        "time_steps": 4,
        "draws": 2,
        "seed": 0,
        "batch_size": 100,
    }
    return Cell(**{**values, **changes})


def make_result(right: Any, **changes: Any) -> CellResult:
    """A cell of answers that are right or wrong as `right` `[D, n]` (or `[n]`: one draw) says."""
    table = np.atleast_2d(np.asarray(right, dtype=bool))
    draws, images = table.shape
    labels = (np.arange(images) % CLASSES).astype(np.uint16)
    answers = np.where(table, labels, (labels + 1) % CLASSES).astype(np.uint16)
    cell = make_cell(images=images, draws=draws, **changes)
    return CellResult(
        cell, answers, labels, images, 100, 1.0, "CPU", {}, np.asarray(table.any(axis=0))
    )


def make_point(clean: Any, robust: Any, attack: str = "pgd", **changes: Any) -> OperatingPoint:
    """A point at epsilon 8 of right and wrong answers."""
    results = [
        make_result(clean, **changes),
        make_result(robust, attack=attack, epsilon=8.0, **changes),
    ]
    (point,) = operating_points(results, attack, 8.0)
    return point


def draw_right(
    rates: Sequence[float] | NDArray[np.float64], draws: int, seed: int
) -> NDArray[np.bool_]:
    """Right or wrong `[D, n]`, each right with its image's rate."""
    values = np.asarray(rates)
    return np.random.default_rng(seed).random((draws, len(values))) < values
