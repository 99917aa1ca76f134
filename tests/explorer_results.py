"""Made-up results of a grid, for tests and pictures of the explorer: rates as a trade-off has them.

The answers are random; nothing in them was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp

import numpy as np

from rsc_snn.sweep.cells import CLEAN, Cell, CellResult
from rsc_snn.sweep.grid import GALLERY, PRESETS, Grid, expand, fingerprints, measured_images
from rsc_snn.zoo import Zoo


def make_grid(models: Sequence[str], images: int = 20, **changes: object) -> Grid:
    """A grid on the gallery of the assets in use."""
    values: dict[str, object] = {
        "attacks": (PRESETS["fgsm"], PRESETS["pgd10"]),
        "epsilons": (2.0, 4.0, 8.0),
        "sigmas": (0.0, 0.1, 0.2, 0.3),
        "time_steps": (1, 4),
        "draws": 5,
        "split": GALLERY,
    }
    return Grid(models=tuple(models), images=images, **(values | changes))  # type: ignore[arg-type]


def rate(cell: Cell) -> float:
    """The share of right answers: noise costs clean accuracy and buys robust accuracy."""
    sigma = cell.sigma or 0.0
    clean = 0.9 - 0.9 * sigma / cell.time_steps**0.25
    if cell.attack == CLEAN:
        return clean
    strength = {"fgsm": 0.16, "pgd": 0.24}.get(cell.attack, 0.26)
    return clean * exp(-strength * cell.epsilon * max(0.25, 1 - 2.4 * sigma))


def make_results(grid: Grid, zoo: Zoo) -> list[CellResult]:
    """Answers of every cell of a grid, image by image: hard images fail at every cell."""
    marks = fingerprints(grid, zoo)
    labels = {
        name: measured_images(zoo.card(name), grid).labels.numpy().astype(np.uint16)
        for name in marks
    }
    return [_result(cell, labels[cell.model]) for cell in expand(grid, zoo, marks)]


def _result(cell: Cell, labels: np.ndarray) -> CellResult:
    ease = np.random.default_rng(0).random(cell.images)
    noise = 0.12 * np.random.default_rng(1).standard_normal((cell.draws, cell.images))
    noise *= bool(cell.draws > 1)
    right = ease + noise < rate(cell)
    answers = np.where(right, labels, (labels + 1) % 10).astype(np.uint16)
    facts = (cell.images, 100, 0.5, "made up", {"rsc_snn": "0"})
    return CellResult(cell, answers, labels, *facts, standing=np.asarray(right.any(axis=0)))


def only(results: Iterable[CellResult], attack: str) -> list[CellResult]:
    """The clean results and those of one attack."""
    return [result for result in results if result.cell.attack in (CLEAN, attack)]
