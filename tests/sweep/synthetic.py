"""Cells and results made up for tests, fast and by the thousand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from rsc_snn.sweep.cells import CLEAN, Cell, CellResult
from tests.conftest import CIFAR10

CLASSES = 10


def make_data(root: Path, each: int = 2) -> Path:
    """A data folder with CIFAR-10 as an image folder: `each` test images of every class."""
    generator = np.random.default_rng(0)
    for name in CIFAR10:
        place = root / "cifar10" / "test" / name
        place.mkdir(parents=True)
        for index in range(each):
            pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{index}.png")
    return root


def make_cell(**changes: Any) -> Cell:
    """A cell of FGSM at 4/255 on 6 images with 3 draws, with changes."""
    values: dict[str, Any] = {
        "model": "tiny-rsc",
        "sha256": "0" * 64,
        "dataset": "cifar10",
        "split": "test",
        "data": "0123456789abcdef",
        "images": 6,
        "attack": "fgsm",
        "parameters": (("eot_draws", 1),),
        "epsilon": 4.0,
        "chain": (2.0,),
        "coding": "rsc",
        "sigma": 0.2,
        "time_steps": 4,
        "draws": 3,
        "seed": 0,
        "batch_size": 100,
    }
    return Cell(**{**values, **changes})


def labels_of(images: int) -> NDArray[np.uint16]:
    """True classes `[n]`, the same for all cells of n images."""
    return np.arange(images, dtype=np.uint16) % CLASSES


def make_result(cell: Cell | None = None, rate: float = 0.6, seed: int = 0) -> CellResult:
    """A result whose answers are right with probability `rate`, each on its own."""
    cell = cell or make_cell()
    generator = np.random.default_rng(seed)
    labels = labels_of(cell.images)
    wrong = (labels + generator.integers(1, CLASSES, (cell.draws, cell.images))) % CLASSES
    right = generator.random((cell.draws, cell.images)) < rate
    return CellResult(
        cell=cell,
        answers=np.where(right, labels, wrong).astype(np.uint16),
        labels=labels,
        attacked=0 if cell.attack == CLEAN else cell.images,
        queries=7,
        seconds=0.25,
        device="CPU · 1 thread",
        versions={"rsc_snn": "0.1.0", "torch": "2"},
        standing=generator.random(cell.images) < rate,
    )


def same(first: CellResult | None, second: CellResult | None) -> bool:
    """True for two equal results (arrays make `==` ambiguous)."""
    if first is None or second is None:
        return first is second
    facts = ("cell", "attacked", "queries", "seconds", "device", "versions")
    return (
        all(getattr(first, name) == getattr(second, name) for name in facts)
        and np.array_equal(first.answers, second.answers)
        and np.array_equal(first.labels, second.labels)
        and np.array_equal(first.standing, second.standing)
    )


_numbers = st.floats(0, 1e6, allow_nan=False)
_values = st.one_of(st.booleans(), st.integers(-(2**31), 2**31), _numbers, st.text(max_size=8))


@st.composite
def results(draw: st.DrawFn) -> CellResult:
    """Any result, whatever its names hold."""
    images, draws = draw(st.integers(1, 20)), draw(st.integers(1, 5))
    parameters = draw(st.dictionaries(st.text(max_size=5), _values, max_size=4))
    cell = make_cell(
        model=draw(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)),
        data=draw(st.uuids()).hex,
        images=images,
        draws=draws,
        parameters=tuple(sorted(parameters.items())),
        epsilon=draw(_numbers),
        chain=tuple(draw(st.lists(_numbers, max_size=4))),
        sigma=draw(st.none() | st.floats(0, 1)),
        time_steps=draw(st.integers(1, 64)),
        seed=draw(st.integers(0, 2**63 - 1)),
    )
    classes = st.integers(0, 2**16 - 1)
    answers = draw(st.lists(classes, min_size=images * draws, max_size=images * draws))
    labels = draw(st.lists(classes, min_size=images, max_size=images))
    return CellResult(
        cell=cell,
        answers=np.array(answers, dtype=np.uint16).reshape(draws, images),
        labels=np.array(labels, dtype=np.uint16),
        attacked=draw(st.integers(0, images)),
        queries=draw(st.integers(0, 2**40)),
        seconds=draw(_numbers),
        device=draw(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)),
        versions=draw(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2)),
        standing=np.array(draw(st.lists(st.booleans(), min_size=images, max_size=images))),
    )
