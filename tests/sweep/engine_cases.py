"""What tests of the sweep engine share: pictures, cells of tiny models, a store in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from rsc_snn.data.catalogue import dataset_spec
from rsc_snn.sweep.cells import CLEAN, Cell, CellResult
from rsc_snn.sweep.grid import Grid, GridAttack, expand, fingerprints
from rsc_snn.sweep.work import Workspace
from rsc_snn.zoo import Zoo

QUICK_PGD = GridAttack.of("pgd", 1 / 4, steps=2)


class DictStore:
    """The engine's view of a store, in memory."""

    def __init__(self) -> None:
        self.results: dict[str, CellResult] = {}
        self.order: list[str] = []

    def get(self, key: str) -> CellResult | None:
        return self.results.get(key)

    def put(self, result: CellResult) -> bool:
        if result.cell.key in self.results:
            return False
        self.results[result.cell.key] = result
        self.order.append(result.cell.key)
        return True

    def missing(self, cells: Iterable[Cell]) -> list[Cell]:
        return [cell for cell in cells if cell.key not in self.results]


def write_pictures(folder: Path, zoo: Path, name: str = "tiny-rsc", count: int = 24) -> None:
    """A data folder of smooth pictures, each in the class that a model takes it for."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    size, bicubic = (32, 32), Image.Resampling.BICUBIC
    pictures = [Image.fromarray(pixels).resize(size, bicubic) for pixels in coarse]
    x = (
        torch.from_numpy(np.stack([np.asarray(item) for item in pictures])).permute(0, 3, 1, 2)
        / 255
    )
    generator = torch.Generator().manual_seed(1)
    chosen = Zoo(zoo).load(name)(x, draws=5, generator=generator).mean(dim=0).argmax(dim=1)
    labels = [*chosen.tolist(), *range(10)]  # No class may be empty.
    for index, (picture, label) in enumerate(zip([*pictures, *pictures[:10]], labels, strict=True)):
        place = folder / "cifar10" / "test" / dataset_spec("cifar10").folders[label]
        place.mkdir(parents=True, exist_ok=True)
        picture.save(place / f"{index}.png")


def small_grid(*models: str, epsilons: Sequence[float] = (4.0, 16.0)) -> Grid:
    """Two attacks at a few epsilons on 20 images in batches of 7."""
    return Grid(
        models=models or ("tiny-rsc",),
        attacks=(GridAttack.of("fgsm"), QUICK_PGD),
        epsilons=tuple(epsilons),
        sigmas=(0.1, 0.2),
        time_steps=(2,),
        images=20,
        draws=3,
        batch_size=7,
    )


def small_cells(zoo: Path, root: Path, grid: Grid | None = None) -> tuple[Cell, ...]:
    """The cells of a grid of tiny models on the pictures in `root`."""
    grid, shelf = grid or small_grid(), Zoo(zoo)
    return expand(grid, shelf, fingerprints(grid, shelf, root))


def workspace(zoo: Path, root: Path) -> Workspace:
    return Workspace(folders=(zoo,), data=root)


def made_up_cell(
    number: int = 0, attack: str = CLEAN, epsilon: float = 0.0, chain: tuple[float, ...] = ()
) -> Cell:
    """A cell of no model, for tests that measure nothing."""
    return Cell(
        model=f"model-{number}",
        sha256="0" * 64,
        dataset="cifar10",
        split="test",
        data="0" * 16,
        images=2,
        attack=attack,
        parameters=() if attack == CLEAN else (("eot_draws", 1),),
        epsilon=epsilon,
        chain=chain,
        coding="rsc",
        sigma=0.2,
        time_steps=4,
        draws=1,
        seed=0,
        batch_size=2,
    )


def made_up_chain(number: int, attack: str, epsilons: Sequence[float]) -> list[Cell]:
    """An attack's cells at rising epsilons, without the clean one."""
    return [
        made_up_cell(number, attack, epsilon, tuple(epsilons[:place]))
        for place, epsilon in enumerate(epsilons)
    ]


def made_up_result(cell: Cell) -> CellResult:
    answers = np.zeros((cell.draws, cell.images), dtype=np.uint16)
    return CellResult(
        cell=cell,
        answers=answers,
        labels=answers[0],
        attacked=0,
        queries=0,
        seconds=0.0,
        device="none",
        versions={},
        standing=np.ones(cell.images, dtype=bool),
    )


def assert_same(found: DictStore, expected: DictStore) -> None:
    """The same cells with the same answers, to the digit."""
    assert found.results.keys() == expected.results.keys()
    for key, result in expected.results.items():
        assert np.array_equal(found.results[key].answers, result.answers)
        assert np.array_equal(found.results[key].standing, result.standing)
        assert found.results[key].attacked == result.attacked
        assert found.results[key].queries == result.queries
