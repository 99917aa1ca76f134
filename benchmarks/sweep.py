"""A sweep by the engine against a loop over its cells without sharing, and the engine's overhead.

    python -m benchmarks.sweep [--images 40] [--draws 5] [--workers 2] [--cells 1000] [--only PART]

First, 60 attacked cells of one model (sigma x attack x epsilon, up to 16/255 as in the grid that
ships) and the clean cells they build on, by the engine with `--workers` processes of one thread
each; `--coarse` takes half as many epsilons and twice as many T, which leaves less to share. The
peer does what one does without an engine: for each cell it loads the model and the data and calls
`evaluate_accuracy`, which scores the clean images too, with all threads and every image attacked.
Both score the same images on as many fresh draws. The ratio is given with and without the time
that the peer spends on loading. The accuracies differ by noise, and by what the engine passes
through: the largest difference is shown with an interval that holds for all cells at once
(Bonferroni).

Then the overhead: `--cells` cells that only use up a known time of the processor, through worker
processes and a store on disk.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from rsc_snn.cli import exit_code
from rsc_snn.data import data_root, load_dataset
from rsc_snn.evaluate import evaluate_accuracy
from rsc_snn.randomness import derive_seed
from rsc_snn.robustness.cells import fingerprint
from rsc_snn.sweep.cells import CLEAN, Cell, CellResult
from rsc_snn.sweep.grid import PRESETS, Grid, expand, measured_images
from rsc_snn.sweep.run import run_sweep
from rsc_snn.sweep.store import Store
from rsc_snn.sweep.work import Workspace, attack_parameters
from rsc_snn.zoo import Zoo, models_folder

MODEL = "cifar10-snn-rsc-020"
SIGMAS = (0.1, 0.2, 0.3)
# (time steps, epsilons in 255ths): with SIGMAS and ATTACKS 60 cells each.
FINE = ((4,), (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0))
COARSE = ((2, 4), (1.0, 2.0, 4.0, 8.0, 16.0))
ATTACKS = ("fgsm", "pgd10")
TARGET_RATIO, TARGET_OVERHEAD = 3.0, 0.02
# Less than what cells of the first part take, which have fewer images than the sweep that ships.
WORK_SECONDS = 0.5
IMAGES, DRAWS = 300, 10  # Of a result in the measurement of the overhead, as in the shipped sweep.


@dataclass(frozen=True)
class Peer:
    """What the loop without sharing found: scores `[n]` of each cell, and its seconds."""

    scores: dict[str, torch.Tensor]
    loading: float
    evaluating: float


def grid_cells(images: int, draws: int, coarse: bool = False) -> tuple[Cell, ...]:
    """The 60 attacked cells and the clean ones."""
    time_steps, epsilons = COARSE if coarse else FINE
    grid = Grid(
        models=(MODEL,),
        attacks=tuple(PRESETS[name] for name in ATTACKS),
        epsilons=epsilons,
        sigmas=SIGMAS,
        time_steps=time_steps,
        images=images,
        draws=draws,
        batch_size=images,
    )
    zoo = Zoo()
    mark = fingerprint(measured_images(zoo.card(MODEL), grid))
    return expand(grid, zoo, {MODEL: mark})


def by_loop(cells: Sequence[Cell]) -> Peer:
    """Each attacked cell from nothing."""
    scores, loading, evaluating = {}, 0.0, 0.0
    for cell in cells:
        start = time.perf_counter()
        zoo = Zoo()
        model = zoo.load(cell.model)
        data = load_dataset(cell.dataset, cell.split, None, model.config.image_size)
        loaded = time.perf_counter()
        found = evaluate_accuracy(
            model,
            data.images,
            data.labels,
            attack=cell.attack,
            parameters=attack_parameters(cell),
            batch_size=cell.batch_size,
            draws=cell.draws,
            time_steps=cell.time_steps,
            sigma=cell.sigma,
            seed=cell.seed,
            limit=cell.images,
        )
        assert found.robust_scores is not None
        scores[cell.key] = found.robust_scores
        loading += loaded - start
        evaluating += time.perf_counter() - loaded
    return Peer(scores, loading, evaluating)


def by_engine(cells: Sequence[Cell], workers: int) -> tuple[dict[str, torch.Tensor], float]:
    """Scores `[n]` of each cell, and seconds, the start of the workers and the store included."""
    place = Workspace(folders=(models_folder(),), data=data_root())
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "sweep.sqlite") as store:
        start = time.perf_counter()
        report = run_sweep(cells, store, place, workers=workers)
        seconds = time.perf_counter() - start
        assert not report.failed, report.failed
        results = {result.cell.key: result.scores() for result in store.results()}
    return results, seconds


def largest_difference(
    cells: Sequence[Cell], engine: dict[str, torch.Tensor], loop: dict[str, torch.Tensor]
) -> str:
    """The cell whose two accuracies differ most, paired by image, for a person."""
    pairs = {cell.key: (engine[cell.key] - loop[cell.key]).double() for cell in cells}
    key = max(pairs, key=lambda name: abs(float(pairs[name].mean())))
    found = pairs[key]
    z = float(stats.norm.ppf(1 - 0.05 / (2 * len(pairs))))
    half = z * float(found.std(correction=1)) / len(found) ** 0.5
    mean = float(found.mean())
    cell = next(cell for cell in cells if cell.key == key)
    overall = float(torch.stack(list(pairs.values())).mean())
    return (
        f"largest difference in accuracy, engine - loop: {100 * mean:+.1f} points "
        f"({100 * (mean - half):+.1f} to {100 * (mean + half):+.1f}; {cell.attack} at epsilon "
        f"{cell.epsilon:g}, sigma {cell.sigma:g}, T={cell.time_steps}); "
        f"mean of all cells {100 * overall:+.2f} points"
    )


def compare(images: int, draws: int, workers: int, coarse: bool) -> None:
    """Print seconds, ratio and the largest difference in accuracy."""
    cells = grid_cells(images, draws, coarse)
    attacked = [cell for cell in cells if cell.attack != CLEAN]
    threads = torch.get_num_threads()
    print(f"{len(attacked)} attacked cells of {MODEL}, {images} images, {draws} draws")
    engine, seconds = by_engine(cells, workers)
    print(f"  engine, {workers} workers of one thread  {seconds:8.1f} s")
    peer = by_loop(attacked)
    total = peer.loading + peer.evaluating
    print(
        f"  loop over cells, {threads} threads       {total:8.1f} s ({peer.loading:.1f} s loading)"
    )
    print(f"  ratio {total / seconds:.2f}x (target: at least {TARGET_RATIO:g}x)")
    print(f"  ratio {peer.evaluating / seconds:.2f}x if loading were free for the loop")
    print(f"  {largest_difference(attacked, engine, peer.scores)}")


# --- Overhead ----------------------------------------------------------------------------------


def synthetic_cells(count: int, chains: int = 2, length: int = 12) -> list[Cell]:
    """`count` cells of no model: clean ones with `chains` chains of `length` each."""
    cells: list[Cell] = []
    epsilons = tuple(float(epsilon) for epsilon in range(1, length + 1))
    for number in range(-(-count // (1 + chains * length))):
        clean = synthetic_cell(number, CLEAN, 0.0, ())
        cells.append(clean)
        for chain in range(chains):
            for place, epsilon in enumerate(epsilons):
                cells.append(synthetic_cell(number, ATTACKS[0], epsilon, epsilons[:place], chain))
    return cells[:count]


def synthetic_cell(
    number: int, attack: str, epsilon: float, chain: tuple[float, ...], variant: int = 0
) -> Cell:
    """One cell of no model."""
    return Cell(
        model=f"synthetic-{number}",
        sha256="0" * 64,
        dataset="cifar10",
        split="test",
        data="0" * 16,
        images=IMAGES,
        attack=attack,
        parameters=() if attack == CLEAN else (("eot_draws", 1 + variant),),
        epsilon=epsilon,
        chain=chain,
        coding="rsc",
        sigma=0.2,
        time_steps=4,
        draws=DRAWS,
        seed=0,
        batch_size=IMAGES,
    )


def synthetic_result(cell: Cell) -> CellResult:
    """A result as large as a real one, of random answers."""
    rng = np.random.default_rng(derive_seed(0, cell.key) % 2**32)
    return CellResult(
        cell=cell,
        answers=rng.integers(0, 10, (cell.draws, cell.images), dtype=np.uint16),
        labels=np.zeros(cell.images, dtype=np.uint16),
        attacked=cell.images,
        queries=0,
        seconds=0.0,
        device="none",
        versions={},
        standing=np.ones(cell.images, dtype=bool),
    )


def pretend(cell: Cell, before: CellResult | None, seconds: float) -> CellResult:
    """Use the processor for `seconds` of its time, the result's making included."""
    end = time.thread_time() + seconds
    result = synthetic_result(cell)
    while time.thread_time() < end:
        pass
    return result


class Pretending(Executor):
    """Worker processes that get what the engine sends them, and only use up time."""

    def __init__(self, workers: int, seconds: float) -> None:
        self._pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
        self._seconds = seconds

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue the cell, which is the first of `args`."""
        return self._pool.submit(pretend, args[0], args[1], self._seconds)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


def measure_overhead(count: int, workers: int, work: float) -> None:
    """Print how much longer a sweep of known work takes than the work, its first tenth left out.

    Counted in wall time: where workers and engine share the cores, what the engine computes
    delays the workers, and is seen.
    """
    cells = synthetic_cells(count)
    times: list[float] = []
    place = Workspace(folders=(Path("models"),), data=Path("data"))
    with (
        tempfile.TemporaryDirectory() as folder,
        Store(Path(folder) / "sweep.sqlite") as store,
        Pretending(workers, work) as executor,
    ):
        used = time.process_time()
        run_sweep(
            cells,
            store,
            place,
            executor=executor,
            workers=workers,
            on_result=lambda result: times.append(time.perf_counter()),
        )
        used = time.process_time() - used
    first = len(times) // 10
    wall = times[-1] - times[first]
    ideal = (len(times) - 1 - first) * work / workers
    print(f"{len(cells)} cells of {1000 * work:g} ms of work, {workers} workers, a store on disk")
    print(f"  overhead {wall / ideal - 1:.2%} of compute (target: below {TARGET_OVERHEAD:.0%})")
    print(
        f"  the engine itself used {1000 * used / len(cells):.2f} ms of the processor a cell, "
        f"{used / (len(cells) * work):.2%} of compute"
    )


def main() -> None:
    """Run both parts, or one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--coarse", action="store_true", help="fewer epsilons, more T")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--work", type=float, default=WORK_SECONDS, help="seconds of a cell")
    parser.add_argument("--only", choices=("sharing", "overhead"))
    args = parser.parse_args()
    print(f"{os.cpu_count()} cores, PyTorch {torch.__version__}")
    if args.only != "overhead":
        compare(args.images, args.draws, args.workers, args.coarse)
    if args.only != "sharing":
        measure_overhead(args.cells, args.workers, args.work)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
