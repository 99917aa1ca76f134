"""How a sweep scales to a thousand workers and a million cells, by simulation.

    python -m benchmarks.cluster_scaling [--store FILE] [--scale 1] [--most 1000000]

Replays recorded cell times on a simulated cluster with the engine's own rules: a clean cell, then
its chains with rising epsilon; longest chains first; two cells in flight for each worker; one
parent that hands out cells and stores results, one after the other; one scheduler that passes
them on, first come, first served. Recorded: the seconds of the cells in a store (`--store`, taken
`--scale` times as long, for more images or draws), or of a small sweep measured now. The costs of
parent and scheduler are measured on this machine: of the parent what the engine does for a cell
(is it missing, read what it builds on, store it durably), of the scheduler the time of an empty
task with the same payload through a local Dask cluster. That holds the time of client and worker
too, so the scheduler is no slower than it is taken to be.

Network, file systems and the memory of nodes are not simulated, nor workers that fail.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import os
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.sweep import grid_cells, synthetic_cells, synthetic_result
from rsc_snn.cli import exit_code
from rsc_snn.data import data_root
from rsc_snn.sweep.cells import CLEAN, Cell, CellResult
from rsc_snn.sweep.grid import predecessor
from rsc_snn.sweep.plan import Plan
from rsc_snn.sweep.run import run_sweep
from rsc_snn.sweep.runners import IN_FLIGHT
from rsc_snn.sweep.store import Store
from rsc_snn.sweep.work import Workspace
from rsc_snn.zoo import models_folder

WORKERS = (1, 10, 100, 300, 1000)
SIZES = (1_000, 10_000, 100_000, 1_000_000)
PROBES, TASKS, PLANNED = 200, 500, 5_000
SMALL_IMAGES, SMALL_DRAWS = 8, 3


@dataclass(frozen=True)
class Costs:
    """Seconds that a cell takes of the parent, to hand out and to store, and of the scheduler."""

    hand_out: float
    store: float
    scheduler: float

    @property
    def parent(self) -> float:
        """Seconds of the parent for one cell."""
        return self.hand_out + self.store


@dataclass(frozen=True)
class Group:
    """Recorded seconds of a clean cell and of the chains that build on it, by rising epsilon."""

    clean: float
    chains: tuple[tuple[float, ...], ...]

    @property
    def cells(self) -> int:
        """How many cells it has."""
        return 1 + sum(map(len, self.chains))

    @property
    def longest(self) -> float:
        """Seconds of the longest way through it, that no number of workers can shorten."""
        return self.clean + max(map(sum, self.chains), default=0.0)


@dataclass(frozen=True)
class Outcome:
    """One simulated sweep. Seconds: of the whole, of all cells, and of what each part was busy."""

    workers: int
    cells: int
    makespan: float
    work: float
    parent: float
    scheduler: float
    longest: float

    @property
    def efficiency(self) -> float:
        """Time spent on cells over the time of all workers."""
        return self.work / (self.makespan * self.workers)

    @property
    def limit(self) -> str:
        """What is busy for the largest share of the time."""
        seconds = {
            "workers": self.work / self.workers,
            "parent": self.parent,
            "scheduler": self.scheduler,
            "longest chain": self.longest,
        }
        name = max(seconds, key=lambda key: seconds[key])
        return f"{name} {seconds[name] / self.makespan:.0%}"


def simulate(recorded: Sequence[Group], least: int, workers: int, costs: Costs) -> Outcome:
    """A sweep of `least` cells or a few more, the recorded groups again and again.

    Tasks reach the workers in the order in which they were handed out, so that each one's start
    is known at once: when it has come through the scheduler and the first worker is free.
    """
    groups, total = [], 0
    for group in itertools.cycle(recorded):
        if total >= least:
            break
        groups.append(group)
        total += group.cells
    # (-cells from here to the end of the chain, group, chain or -1 for the clean cell, place).
    ready = [
        (-1 - max(map(len, group.chains), default=0), number, -1, 0)
        for number, group in enumerate(groups)
    ]
    heapq.heapify(ready)
    free = [0.0] * workers
    landing: list[tuple[float, int, int, int]] = []
    now = passed = work = 0.0
    left, flying = total, 0
    while left:
        if ready and flying < IN_FLIGHT * workers:
            _, number, chain, place = heapq.heappop(ready)
            group = groups[number]
            seconds = group.clean if chain < 0 else group.chains[chain][place]
            now += costs.hand_out
            passed = max(passed, now) + costs.scheduler
            end = max(passed, free[0]) + seconds
            heapq.heapreplace(free, end)
            heapq.heappush(landing, (end, number, chain, place))
            work += seconds
            flying += 1
            continue
        end, number, chain, place = heapq.heappop(landing)
        now = max(now, end) + costs.store
        flying -= 1
        left -= 1
        for item in followers(groups[number], number, chain, place):
            heapq.heappush(ready, item)
    return Outcome(
        workers=workers,
        cells=total,
        makespan=now,
        work=work,
        parent=total * costs.parent,
        scheduler=total * costs.scheduler,
        longest=max(group.longest for group in groups[: len(recorded)]),
    )


def followers(
    group: Group, number: int, chain: int, place: int
) -> Iterable[tuple[int, int, int, int]]:
    """What is ready once a cell of `group` is stored, as `simulate` queues it."""
    if chain < 0:
        return [(-len(cells), number, index, 0) for index, cells in enumerate(group.chains)]
    length = len(group.chains[chain])
    return [(place + 1 - length, number, chain, place + 1)] if place + 1 < length else []


# --- What is replayed --------------------------------------------------------------------------


def groups_of(cells: Sequence[Cell], seconds: Callable[[Cell], float]) -> list[Group]:
    """Recorded cells as groups; chains whose beginning is not there are left out."""
    clean = {cell.key: cell for cell in cells if cell.attack == CLEAN}
    chains: dict[str, dict[str, list[float]]] = {key: {} for key in clean}
    heads: dict[str, tuple[str, str]] = {}  # Of each cell: its clean cell, its chain's first.
    for cell in sorted(cells, key=lambda cell: len(cell.chain)):
        before = predecessor(cell)
        if before is None:
            continue
        if before.key in clean:
            heads[cell.key] = (before.key, cell.key)
        elif before.key in heads:
            heads[cell.key] = heads[before.key]
        else:
            continue
        root, head = heads[cell.key]
        chains[root].setdefault(head, []).append(seconds(cell))
    return [
        Group(seconds(cell), tuple(map(tuple, chains[key].values()))) for key, cell in clean.items()
    ]


def recorded_groups(path: Path | None, scale: float) -> list[Group]:
    """Of the store at `path`, or of a small sweep that is measured now."""
    if path is not None:
        with Store(path, create=False) as store:
            found = {row.cell.key: row.seconds for row in store.summaries()}
            cells = [row.cell for row in store.summaries()]
        return groups_of(cells, lambda cell: scale * found[cell.key])
    results: list[CellResult] = []
    place = Workspace(folders=(models_folder(),), data=data_root())
    with Store(":memory:") as store:
        planned = grid_cells(SMALL_IMAGES, SMALL_DRAWS)
        run_sweep(planned, store, place, workers=1, on_result=results.append)
    found = {result.cell.key: result.seconds for result in results}
    return groups_of([result.cell for result in results], lambda cell: scale * found[cell.key])


# --- What the engine costs ---------------------------------------------------------------------


def measure_parent(folder: Path) -> tuple[float, float]:
    """Median seconds to hand out a cell (all but sending it), and to store its result."""
    cells = synthetic_cells(PROBES)
    results = [synthetic_result(cell) for cell in cells]
    hand_out, put = [], []
    with Store(folder / "costs.sqlite") as store:
        before = results[0].cell.key
        for result in results:
            start = time.perf_counter()
            store.put(result)
            stored = time.perf_counter()
            store.missing([replace(result.cell, seed=1)])
            store.get(before)
            put.append(stored - start)
            hand_out.append(time.perf_counter() - stored)
    return statistics.median(hand_out), statistics.median(put)


def measure_scheduler() -> float:
    """Seconds a task of one that does nothing but give a result back, on a local Dask cluster."""
    from distributed import Client, LocalCluster

    cells = synthetic_cells(TASKS)
    result = synthetic_result(cells[0])
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
        ) as local,
        Client(local) as client,
        client.get_executor(pure=False) as executor,
    ):
        executor.submit(give, cells[0], result).result()
        start = time.perf_counter()
        for future in [executor.submit(give, cell, result) for cell in cells]:
            future.result()
        return (time.perf_counter() - start) / len(cells)


def give(cell: Cell, result: CellResult) -> CellResult:
    """No work at all."""
    return result


def measure_plan(count: int) -> tuple[float, float]:
    """Seconds and bytes a cell of a plan, the cells themselves included."""
    start = time.perf_counter()
    Plan(synthetic_cells(count))
    seconds = time.perf_counter() - start
    tracemalloc.start()
    plan = Plan(synthetic_cells(count))
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return seconds / len(plan), used / len(plan)


# --- The table ---------------------------------------------------------------------------------


def table(recorded: Sequence[Group], costs: Costs, most: int) -> str:
    """Efficiency, and what is busiest, over cells and workers, as Markdown."""
    lines = [
        "| cells | " + " | ".join(f"{workers:,} workers" for workers in WORKERS) + " |",
        "| --- |" + " --- |" * len(WORKERS),
    ]
    for size in SIZES:
        if size <= most:
            found = [simulate(recorded, size, workers, costs) for workers in WORKERS]
            texts = [f"{item.efficiency:.0%} ({item.limit})" for item in found]
            lines.append(f"| {size:,} | {' | '.join(texts)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, help="a store whose cell times are replayed")
    parser.add_argument("--scale", type=float, default=1.0, help="each cell takes so many times")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="the most cells to simulate")
    args = parser.parse_args()
    recorded = recorded_groups(args.store, args.scale)
    count = sum(group.cells for group in recorded)
    work = sum(group.clean + sum(map(sum, group.chains)) for group in recorded)
    with tempfile.TemporaryDirectory() as folder:
        hand_out, put = measure_parent(Path(folder))
    costs = Costs(hand_out, put, measure_scheduler())
    seconds, size = measure_plan(PLANNED)
    print(f"{os.cpu_count()} cores; {count} recorded cells of {work / count:.2f} s on average")
    print(
        f"a cell costs the parent {1000 * costs.hand_out:.2f} ms to hand out and "
        f"{1000 * costs.store:.2f} ms to store, the scheduler {1000 * costs.scheduler:.2f} ms"
    )
    print(
        f"planning takes {1000 * seconds:.2f} ms and {size / 1024:.1f} kB a cell: "
        f"{1e6 * seconds:.0f} s and {1e6 * size / 2**30:.1f} GB for a million"
    )
    slowest = max(costs.parent, costs.scheduler)
    print(
        f"parent and scheduler keep {work / count / slowest:,.0f} workers busy with cells of this "
        f"length; for 1,000 workers a cell must take {1000 * slowest:.1f} s\n"
    )
    print("efficiency (and what is busiest, in share of the time):\n")
    print(table(recorded, costs, args.most))


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
