"""Cells whose right and wrong answers a test chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsc_snn.sweep.cells import CLEAN, Cell, CellResult
from rsc_snn.tradeoff import WORST, OperatingPoint, operating_points

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


def worst_point(clean: Any, robust: Sequence[Any], **changes: Any) -> OperatingPoint:
    """A point under the worst case of attacks at epsilon 8, one for each item of `robust`."""
    attacks = ("fgsm", "pgd", "eot_pgd", "square")[: len(robust)]
    results = [make_result(clean, **changes)]
    results += [
        make_result(right, attack=attack, epsilon=8.0, **changes)
        for right, attack in zip(robust, attacks, strict=True)
    ]
    (point,) = operating_points(results, WORST, 8.0, attacks=attacks)
    return point


def quiet_and_noisy(seed: int, *, images: int = 300) -> tuple[OperatingPoint, OperatingPoint]:
    """Two settings of one true worst case, half of the images: without coding noise, and all noise.

    At sigma 0.1 three attacks break the same half of the images in every draw; at sigma 0.2 each
    of three leaves every image right in every second draw. Of the latter the lowest of three
    noisy scores is far below a half.
    """
    sure = np.arange(images) % 4 < 2
    clean, every = np.ones((5, images)), np.full(images, 0.5)
    rights = [draw_right(every, 5, 1000 * seed + attack) for attack in range(3)]
    return (
        worst_point(clean, [[sure] * 5] * 3, sigma=0.1),
        worst_point(clean, rights, sigma=0.2),
    )


def draw_right(
    rates: Sequence[float] | NDArray[np.float64], draws: int, seed: int
) -> NDArray[np.bool_]:
    """Right or wrong `[D, n]`, each right with its image's rate."""
    values = np.asarray(rates)
    return np.random.default_rng(seed).random((draws, len(values))) < values
