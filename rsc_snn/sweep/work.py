"""Measuring one cell: what a worker does, in whatever process or machine it is.

Work is shared between cells in three ways.

- The clean images are scored once for each (model, sigma, T), in a cell of their own.
- An image that is broken, clean or at the next smaller epsilon of the chain, is passed through: it
  keeps its answers and is not attacked again, for the adversarial image lies in the larger ball as
  well. Broken means wrong and, with noise, wrong in all of the `SELECTION` draws, which nothing
  else uses. Draws of the scoring must not decide it: of several noisy scores those that happened
  to be 0 would be kept, and accuracies would come out the lower the fewer draws there are.
- Scoring noise is common to all cells (common random numbers): its seed depends on the cell's
  seed and the number of the batch alone. Image i meets the same draws clean and attacked, at
  every epsilon, under every attack and, for RSC with one T, the same draws of the unit normal at
  every sigma. Each cell's estimate is as unbiased as with noise of its own, since the draws are
  still independent of the attack, which has other seeds; a difference between two cells has less
  variance, since what the noise does to both cancels. What it forbids: treating cells as
  independent. Intervals of a difference must be paired by image.

A result depends on the cell, and on results that the cell determines, alone: batches are
`batch_size` images of the subset in its own order, each with seeds of its own, so neither images
passed through nor the number of workers move anyone's noise. Batches that do not fit into memory
are cut by a fixed budget (`rsc_snn.attacks.target`), not by what is free at the time. On a CPU the
digits also depend on how many threads share a sum: workers use one. Noise is drawn on the worker's
device: a GPU meets other draws than a CPU, of the same distribution.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import rsc_snn
from rsc_snn.attacks.parameters import Value
from rsc_snn.attacks.registry import get_attack
from rsc_snn.attacks.run import CancelCheck, craft, score
from rsc_snn.attacks.target import is_stochastic, pass_memory
from rsc_snn.classifier import SpikingClassifier
from rsc_snn.coding import coding_sigma
from rsc_snn.data import ImageSet
from rsc_snn.data.numbering import renumbered
from rsc_snn.data.pixels import to_unit
from rsc_snn.device import arithmetic, describe_device, pick_device
from rsc_snn.errors import DeviceMemoryError, SweepError
from rsc_snn.randomness import derive_seed
from rsc_snn.robustness.cells import fingerprint, subset_rows
from rsc_snn.sweep.cells import CLEAN, PROTOCOL, SELECTION, Cell, CellResult
from rsc_snn.sweep.grid import load_split, predecessor, split_place
from rsc_snn.zoo import Zoo


@dataclass(frozen=True)
class Workspace:
    """Where a worker finds models and data, and what it computes on.

    folders: of the zoo, first the one that ships. data: root of the data sets. Both are paths on
    the worker's machine. threads: of a CPU worker; results with another number may differ.
    """

    folders: tuple[Path, ...]
    data: Path
    device: str = "cpu"
    threads: int = 1


def measure(
    cell: Cell,
    before: CellResult | None,
    workspace: Workspace,
    *,
    cancelled: CancelCheck | None = None,
) -> CellResult:
    """Measure one cell. Any executor can run it: arguments and result can be pickled.

    before: the result at the next smaller epsilon of the chain or, where there is none, of the
    clean cell; None for a clean cell. `cancelled` is asked before every forward pass.

    Raises SweepError if protocol, model, data or `before` are not the cell's or the memory of the
    device is too small, what loading them and `run_attack` raise, Cancelled.
    """
    start = time.perf_counter()
    _check_protocol(cell)
    device = pick_device(workspace.device)
    model, classes = _model(workspace.folders, cell.model, cell.sha256, str(device))
    data = _images(
        split_place(cell.split, workspace.data),
        (cell.dataset, cell.split, model.config.image_size),
        classes,
        cell.images,
        cell.seed,
        cell.data,
    )
    _check_coding(cell, model)
    alive = _alive(cell, before, data.labels)
    answers = np.empty((cell.draws, cell.images), dtype=np.uint16)
    standing = alive.numpy().copy()
    if before is not None:
        answers[:] = before.answers
    queries = 0
    with _threads(workspace.threads, device), _memory_of(device):
        text = describe_device(device)
        for index, rows in enumerate(torch.arange(cell.images).split(cell.batch_size)):
            some = alive[rows]
            if some.any():
                found = _batch(cell, model, data, rows, some, index, cancelled)
                answers[:, rows[some].numpy()] = found.answers
                standing[rows[some].numpy()] = found.standing
                queries += found.queries
    return CellResult(
        cell=cell,
        answers=answers,
        labels=data.labels.numpy().astype(np.uint16),
        attacked=0 if cell.attack == CLEAN else int(alive.sum()),
        queries=queries,
        seconds=round(time.perf_counter() - start, 4),
        device=text,
        versions=_versions(device),
        standing=standing,
    )


def attack_parameters(cell: Cell) -> dict[str, Value]:
    """The cell's parameters as `run_attack` takes them, epsilon among them."""
    values = dict(cell.parameters)
    if get_attack(cell.attack).bounded:
        values["epsilon"] = cell.epsilon
    return values


@dataclass(frozen=True)
class _Batch:
    """What was measured of the n images of a batch that were alive; fields as in `CellResult`."""

    answers: NDArray[np.uint16]
    standing: NDArray[np.bool_]
    queries: int


def _batch(
    cell: Cell,
    model: SpikingClassifier,
    data: ImageSet,
    rows: Tensor,
    alive: Tensor,
    index: int,
    cancelled: CancelCheck | None,
) -> _Batch:
    """Attack and score the n `alive` images of batch `index`, images `rows`.

    The noise of the attack, and of what decides which images are broken, is fresh for each
    attack, epsilon and batch; that of the scoring is common.
    """
    device = next(model.parameters()).device
    x = to_unit(data.images[rows].to(device))
    kept = alive.to(device)
    labels = data.labels[rows].to(device)[kept]
    own = ("sweep", cell.attack, f"{cell.epsilon:g}", index)
    queries = 0
    if cell.attack != CLEAN:
        crafted = craft(
            model,
            x[kept],
            labels,
            cell.attack,
            attack_parameters(cell),
            time_steps=cell.time_steps,
            sigma=cell.sigma,
            seed=derive_seed(cell.seed, *own),
            cancelled=cancelled,
        )
        x[kept] = crafted.adversarial
        queries = crafted.queries

    def answer(draws: int, seed: int, only: Tensor) -> Tensor:
        return score(
            model,
            x,
            draws,
            time_steps=cell.time_steps,
            sigma=cell.sigma,
            seed=seed,
            only=only,
            cancelled=cancelled,
        ).argmax(dim=-1)

    answers = answer(cell.draws, derive_seed(cell.seed, "sweep", "fresh", index), kept)
    broken = (answers != labels).all(dim=0)
    if is_stochastic(model, cell.sigma):
        seeds = [
            derive_seed(cell.seed, *own, "standing", number) for number in range(len(SELECTION))
        ]
        broken = _wrong_in_all(answer, seeds, kept, labels)
    return _Batch(
        answers=answers.cpu().numpy().astype(np.uint16),
        standing=~broken.cpu().numpy(),
        queries=queries,
    )


def _wrong_in_all(
    answer: Callable[[int, int, Tensor], Tensor], seeds: list[int], kept: Tensor, labels: Tensor
) -> Tensor:
    """`[n]` True for those of the n `kept` images that are wrong in all of the SELECTION draws.

    answer: the answers `[D, m]` of a number of draws, a seed and the m images to show.
    """
    wrong = kept.clone()
    for draws, seed in zip(SELECTION, seeds, strict=True):
        if wrong.any():
            chosen = answer(draws, seed, wrong)
            wrong[wrong.clone()] = (chosen != labels[wrong[kept]]).all(dim=0)
    return wrong[kept]


def _alive(cell: Cell, before: CellResult | None, labels: Tensor) -> Tensor:
    """`[n]` True for the images that are to be attacked. Raises SweepError."""
    if cell.attack == CLEAN:
        return torch.ones(cell.images, dtype=torch.bool)
    if before is None:
        raise SweepError(f"The cell {cell.key} cannot be measured before the one it builds on.")
    if before.cell != predecessor(cell) or not np.array_equal(before.labels, labels.numpy()):
        raise SweepError(f"The cell {cell.key} does not build on the cell {before.cell.key}.")
    return torch.from_numpy(before.standing)


def _check_protocol(cell: Cell) -> None:
    """Raise SweepError unless this program measures as the cell asks.

    A worker of a cluster may have been started before the program was updated.
    """
    if cell.protocol != PROTOCOL:
        raise SweepError(
            f"The cell {cell.key} is of protocol {cell.protocol}, but this worker measures by "
            f"protocol {PROTOCOL}; start all workers anew with the program that runs the sweep."
        )


def _check_coding(cell: Cell, model: SpikingClassifier) -> None:
    """Raise SweepError unless the cell's coding and sigma are ones of the model."""
    coding = model.resolve_coding(cell.sigma)
    if coding.name != cell.coding or coding_sigma(coding) != cell.sigma:
        raise SweepError(f"The cell {cell.key} is of another coding than {cell.model}.")


# As many as ship, and some: a plan goes from model to model and back.
@lru_cache(maxsize=32)
def _model(
    folders: tuple[Path, ...], name: str, identity: str, device: str
) -> tuple[SpikingClassifier, tuple[str, ...]]:
    """A model of the zoo that is still the one of the cell, and its classes.

    Raises SweepError, ZooError.
    """
    zoo = Zoo(folders[0], folders[1:])
    card = zoo.card(name)
    if card.identity != identity:
        raise SweepError(f"The model {name} has changed since the sweep was set up.")
    return zoo.load(name, device), tuple(card.classes)


@lru_cache(maxsize=4)
def _split(place: Path, dataset: str, split: str, image_size: int) -> ImageSet:
    return load_split(dataset, split, place, image_size)


@lru_cache(maxsize=16)
def _images(
    place: Path,
    source: tuple[str, str, int],
    classes: tuple[str, ...],
    images: int,
    seed: int,
    mark: str,
) -> ImageSet:
    """The images of a cell, from `source` (data set, split, size), labels into `classes`.

    Raises SweepError, DataError.
    """
    data = _split(place, *source)
    rows = subset_rows(len(data), images, seed)
    subset = replace(data, images=data.images[rows], labels=data.labels[rows])
    subset = renumbered(subset, source[0], classes)
    if len(subset) != images or fingerprint(subset) != mark:
        raise SweepError(f"The images of {source[0]} have changed since the sweep was set up.")
    return subset


@contextmanager
def _threads(count: int, device: torch.device) -> Iterator[None]:
    """Compute with `count` CPU threads inside, in this thread; no change for a GPU."""
    used = torch.get_num_threads()
    if device.type != "cpu" or used == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(used)


@contextmanager
def _memory_of(device: torch.device) -> Iterator[None]:
    """Say what helps where the memory of the device is too small: not the settings of a cell.

    Passes are cut to one size, whatever the batch. Raises SweepError.
    """
    try:
        yield
    except DeviceMemoryError as error:
        other = "" if device.type == "cpu" else ", or compute on the CPU (--device cpu)"
        raise SweepError(
            "This cell does not fit into the memory of the device, of which each worker takes up "
            f"to about {pass_memory(device):g} GB, whatever the batch size; let fewer workers "
            f"share it{other}."
        ) from error


@lru_cache(maxsize=2)
def _versions(device: torch.device) -> Mapping[str, str]:
    return {
        **arithmetic(device),
        "rsc_snn": rsc_snn.__version__,
        "torch": torch.__version__,
        "torchattacks": metadata.version("torchattacks"),
    }
