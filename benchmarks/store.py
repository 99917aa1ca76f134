"""How quickly a store of sweeps answers a page when it holds 100,000 cells.

    python -m benchmarks.store [--cells 100000] [--queries 200]

Fills a store on disk with cells of models that do not exist (3 attacks and clean images, 4 T, 11
sigma, 5 epsilons a model). Asks, model by model, for the accuracies of one model under one attack
at one T over all sigma and epsilon, then the same of eight models with their clean accuracies; and
what the Trade-off page asks: the answers of such cells (those it has not shown yet), which cells
there are when it opens, and which have come when one was stored; then, without the store, what
there is to choose in all of these cells, which the page works out anew after each change. Prints
medians and the slowest; and what one durable `put` costs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from benchmarks.sweep import synthetic_cell, synthetic_result
from rsc_snn.cli import exit_code
from rsc_snn.sweep.cells import CLEAN, Cell, CellResult
from rsc_snn.sweep.store import Store
from rsc_snn.ui.explorer.measured import Menu, by_sample
from rsc_snn.ui.explorer.sources import StoreReader

ATTACKS = ("fgsm", "pgd", "eot_pgd")
TIME_STEPS = (1, 2, 4, 8)
SIGMAS = tuple(round(0.05 * step, 2) for step in range(11))
EPSILONS = (1.0, 2.0, 4.0, 8.0, 16.0)
TARGET_SECONDS = 0.1
BATCH = 2000
PUTS = 200


def cells() -> Iterator[Cell]:
    """Cells of one model after the other, without end."""
    number = 0
    while True:
        for steps in TIME_STEPS:
            for sigma in SIGMAS:
                clean = replace(
                    synthetic_cell(number, CLEAN, 0.0, ()), sigma=sigma, time_steps=steps
                )
                yield clean
                for attack in ATTACKS:
                    for place, epsilon in enumerate(EPSILONS):
                        yield replace(clean, attack=attack, epsilon=epsilon, chain=EPSILONS[:place])
        number += 1


def fill(store: Store, count: int) -> list[str]:
    """Put `count` results into the store; the models whose cells are all there."""
    answers = synthetic_result(next(cells()))
    source = islice(cells(), count)
    models: dict[str, int] = {}
    while batch := list(islice(source, BATCH)):
        store.put_all([replace(answers, cell=cell) for cell in batch])
        for cell in batch:
            models[cell.model] = models.get(cell.model, 0) + 1
    return [model for model, number in models.items() if number == max(models.values())]


def ask(question: Callable[[int], Sequence[object]], times: int) -> str:
    """Median and slowest milliseconds of asking `times`, and how many rows came."""
    seconds = []
    for time_number in range(times):
        start = time.perf_counter()
        rows = len(question(time_number))
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    return f"{1000 * median:7.2f} ms, slowest {1000 * max(seconds):7.2f} ms ({rows} rows)"


def put_seconds(store: Store, results: Sequence[CellResult]) -> float:
    """Median seconds of one durable `put`."""
    seconds = []
    for result in results:
        start = time.perf_counter()
        store.put(result)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "sweep.sqlite") as store:
        start = time.perf_counter()
        models = fill(store, args.cells)
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 2**20
        print(
            f"{os.cpu_count()} cores, {len(store):,} cells filled in "
            f"{time.perf_counter() - start:.0f} s, {size:.0f} MB"
        )

        def curve(number: int) -> Sequence[object]:
            model, attack = models[number % len(models)], ATTACKS[number % len(ATTACKS)]
            steps = TIME_STEPS[number % len(TIME_STEPS)]
            return store.summaries(model=model, attack=attack, time_steps=steps)

        def page(number: int) -> Sequence[object]:
            shown = [models[(number + place) % len(models)] for place in range(8)]
            return store.summaries(model=shown, attack=[CLEAN, "pgd"], time_steps=4)

        reader = StoreReader(Path(store.path))
        start = time.perf_counter()
        reader.refresh()
        opening = time.perf_counter() - start
        keys = {
            model: [
                key
                for key, cell in reader.cells.items()
                if cell.model == model and cell.attack in {CLEAN, "pgd"} and cell.time_steps == 4
            ]
            for model in models
        }

        def figure(number: int) -> Sequence[object]:
            return reader.results(keys[models[number % len(models)]])

        fresh = iter([synthetic_result(replace(cell, seed=2)) for cell in islice(cells(), 20)])

        def news(number: int) -> Sequence[object]:
            store.put(next(fresh))
            before = len(reader.cells)
            reader.refresh()
            return [None] * (len(reader.cells) - before)

        def choices(_: int) -> Sequence[object]:
            groups = by_sample(reader.cells.values())
            menu = Menu(groups, {place: (0, len(found)) for place, found in groups.items()})
            (dataset,) = menu.datasets
            own = menu.only(dataset, menu.only(dataset).samples[0])
            own.epsilons(own.worst_of(models[:2]))
            return own.cells

        target = f"(target: below {1000 * TARGET_SECONDS:g} ms)"
        print(f"  one model, attack and T       {ask(curve, args.queries)} {target}")
        print(f"  eight models, clean and PGD   {ask(page, args.queries)} {target}")
        print(f"  answers of a model's figure   {ask(figure, len(models))} {target}")
        print(f"  which cells have come         {ask(news, 20)} {target}")
        print(f"  what there is to choose       {ask(choices, 5)}")
        print(f"  which cells there are, once   {1000 * opening:7.2f} ms")
        reader.close()
        spare = [synthetic_result(replace(cell, seed=1)) for cell in islice(cells(), PUTS)]
        print(f"  one durable put               {1000 * put_seconds(store, spare):7.2f} ms")


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
