"""`python -m rsc_snn sweep FILE`: measure a grid of models, attacks, sigmas, time steps, epsilons.

Finished cells are stored at once and never measured twice: after Ctrl-C, a kill or a crash the
same command goes on where it was. --import before a sweep, and --export after one or by itself,
move results between stores and files.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsc_snn.commands import add_zoo_option, open_zoo
from rsc_snn.errors import ConfigError, DataError, SweepError, ZooError

if TYPE_CHECKING:
    import torch
    from tqdm import tqdm

    from rsc_snn.sweep.cells import Cell
    from rsc_snn.sweep.cost import Cost
    from rsc_snn.sweep.grid import Grid
    from rsc_snn.sweep.run import SweepReport
    from rsc_snn.sweep.store import Store
    from rsc_snn.zoo import Zoo

_INTERRUPTED = 130
_CELLS_SHOWN = 5
# Each worker is a process with PyTorch in it.
_WORKERS_A_CORE = 4


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "sweep",
        help="measure a grid over sigma, time steps, epsilon, attacks and models",
        description=__doc__,
        allow_abbrev=False,
    )
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="a TOML grid, such as those of the docs"
    )
    parser.add_argument(
        "--store",
        type=Path,
        default=Path("runs/sweep.sqlite"),
        metavar="FILE",
        help="where results are kept (default: %(default)s)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: one a core, or one a GPU)"
    )
    where.add_argument("--cluster", metavar="ADDRESS", help="of a Dask scheduler, or its file")
    parser.add_argument("--yes", action="store_true", help="start, however long it may take")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be measured")
    parser.add_argument("--data", type=Path, help="data folder (default: RSC_SNN_DATA or data/)")
    parser.add_argument("--device", help="cuda, mps or cpu (default: the best there is)")
    add_zoo_option(parser)
    parser.add_argument(
        "--import",
        dest="source",
        type=Path,
        metavar="FILE",
        help="first put the results of an exported .parquet file into the store",
    )
    parser.add_argument(
        "--export",
        dest="target",
        type=Path,
        metavar="FILE",
        help="then write a .parquet file with every answer, or a .csv file with one line a cell: "
        "of the sweep's cells, without a sweep of all that is stored",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Import, sweep and export, whatever was asked for; 2 if cells failed, 130 after Ctrl-C."""
    if args.workers is not None and args.workers < 1:
        raise ConfigError(f"A sweep needs at least one worker, not {args.workers}.")
    if args.file is None and args.source is None and args.target is None:
        raise ConfigError("Say what to do: a sweep FILE, --import or --export.")
    if args.dry_run and (args.file is None or args.source is not None):
        raise ConfigError("--dry-run needs a sweep FILE, and no --import.")
    if args.target is not None and args.target.suffix not in {".parquet", ".csv"}:
        raise ConfigError("--export needs a name that ends in .parquet or .csv.")

    if str(args.store) == ":memory:":
        raise ConfigError("--store needs the name of a file; in memory all would be lost.")

    from rsc_snn.sweep.grid import read_grid
    from rsc_snn.sweep.store import Store
    from rsc_snn.sweep.transfer import check_export, import_parquet

    grid = None if args.file is None else read_grid(args.file)
    zoo = None if grid is None else open_zoo(args)
    cells = None if grid is None or zoo is None else _cells(args, zoo, grid)
    if cells is not None and args.target is not None:
        check_export(args.target, cells, dry=args.dry_run)  # Better known now than days later.
    only_export = cells is None and args.source is None
    with Store(_place(args), create=not only_export) as store:
        if args.source is not None:
            added, skipped = import_parquet(store, args.source)
            print(f"{_count(added, 'cell')} imported into {store.path}, {skipped:,} were there.")
        code = 0 if cells is None or zoo is None else _sweep(args, zoo, store, cells)
        if code == _INTERRUPTED or args.dry_run:
            return code
        return max(code, _export(args, store, cells))  # Cells that failed are left out.


def _place(args: argparse.Namespace) -> Path | str:
    """The store; a dry run that finds none makes none."""
    return ":memory:" if args.dry_run and not args.store.exists() else args.store


def _cells(args: argparse.Namespace, zoo: Zoo, grid: Grid) -> tuple[Cell, ...]:
    """The cells of the grid; a model that only a pattern names may lack its data, or not work.

    Raises SweepError, DataError, ZooError.
    """
    from rsc_snn.robustness.cells import fingerprint
    from rsc_snn.sweep.grid import expand, left_out, measured_images, model_names

    marks: dict[str, str] = {}
    reasons = left_out(grid, zoo)
    for name in model_names(grid, zoo):
        try:
            mark = fingerprint(measured_images(zoo.card(name), grid, args.data))
            zoo.load(name)
        except (DataError, SweepError, ZooError) as error:
            if name in grid.models:
                raise
            reasons[name] = str(error)
        else:
            marks[name] = mark
    for name, reason in reasons.items():
        print(f"skip {name}: {reason}", file=sys.stderr)
    if not marks:
        raise DataError("There is no model that can be measured.")
    return expand(replace(grid, models=tuple(marks)), zoo, marks)


def _sweep(args: argparse.Namespace, zoo: Zoo, store: Store, cells: Sequence[Cell]) -> int:
    """Say what it takes, and measure what is missing. Raises SweepError, and what that raises."""
    from rsc_snn.device import pick_device
    from rsc_snn.sweep.runners import cluster_threads, default_workers
    from rsc_snn.sweep.store import NOT_ALONE

    missing = store.missing(cells)
    if not missing:
        print(f"All {len(cells):,} cells are in {store.path}.")
        return 0
    if damaged := store.damaged(missing):
        print(f"{_damaged(damaged, store)}; measured again.", file=sys.stderr)
    # The workers of a cluster may have devices that this machine lacks.
    device = pick_device(None if args.cluster else args.device)
    cost = _cost(missing, zoo, device)
    if args.cluster:
        workers = cluster_threads(args.cluster)
        if not workers:
            print("The cluster has no workers yet; the sweep waits for them.", file=sys.stderr)
    else:
        workers = args.workers or default_workers(args.device or device.type)
    print(_plan(cost, len(cells), workers or None), flush=True)
    if args.dry_run:
        return 0
    if cost.large(max(workers, 1)) and not args.yes:
        raise SweepError("That is a large sweep; say --yes to start it, or make its grid smaller.")
    most = _WORKERS_A_CORE * (os.cpu_count() or 1)
    if not args.cluster and workers > most:
        raise SweepError(f"{workers:,} workers are too many for this machine; at most {most:,}.")
    store.check_writable()
    with store.sweeping() as alone, _Progress(missing) as progress, _interrupts() as stop:
        if not alone:
            progress.say(NOT_ALONE)
        report = _run(args, zoo, store, cells, progress, stop, alone)
    return _end(report, store, cells, len(cells) - len(store.missing(cells)), stop.is_set())


def _damaged(count: int, store: Store) -> str:
    return f"{_count(count, 'result')} in {store.path} cannot be read any more"


def _run(
    args: argparse.Namespace,
    zoo: Zoo,
    store: Store,
    cells: Sequence[Cell],
    progress: _Progress,
    stop: threading.Event,
    alone: bool,
) -> SweepReport:
    """Hand the cells to the engine."""
    from rsc_snn.data import data_root
    from rsc_snn.sweep.run import run_sweep
    from rsc_snn.sweep.work import Workspace

    workspace = Workspace(
        folders=zoo.folders, data=args.data or data_root(), device=args.device or "auto"
    )
    return run_sweep(
        cells,
        store,
        workspace,
        workers=args.workers,
        cluster=args.cluster,
        alone=alone,
        on_result=lambda result: progress.finish(result.cell),
        on_skipped=progress.finish,
        on_waiting=progress.say,
        cancelled=stop.is_set,
    )


def _cost(missing: Sequence[Cell], zoo: Zoo, device: torch.device) -> Cost:
    """The cost of the missing cells at the speed of each model here. Raises ZooError."""
    from rsc_snn.sweep.cost import estimate_cost, longest_chain, measure_speed

    names = dict.fromkeys(cell.model for cell in missing)
    speeds = {name: measure_speed(zoo.load(name, device)) for name in names}
    return replace(estimate_cost(missing, speeds), longest=longest_chain(missing, speeds))


def _plan(cost: Cost, total: int, workers: int | None) -> str:
    """The line that is printed before it starts."""
    from rsc_snn.sweep.cost import duration_text, worker_hours_text

    done = total - cost.cells
    seconds = duration_text(cost.lasts(workers or 1))
    where = "one worker like this machine" if workers is None else _count(workers, "worker")
    if (workers or 1) > 1:
        where += f", {worker_hours_text(cost.seconds)} in all"
    return f"{total:,} cells, {done:,} done already, at most about {seconds} on {where}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _failures(cells: Sequence[Cell], failed: Mapping[str, str]) -> Iterator[str]:
    """A line for each cell that failed by itself, as far as they are not too many."""
    from rsc_snn.sweep.grid import cell_words, predecessor

    own = []
    for cell in (cell for cell in cells if cell.key in failed):
        before = predecessor(cell)
        if before is None or before.key not in failed:
            own.append(cell)
    for cell in own[:_CELLS_SHOWN]:
        yield f"{cell_words(cell)}: {failed[cell.key]}"
    if len(own) > _CELLS_SHOWN:
        yield f"{_count(len(own) - _CELLS_SHOWN, 'more cell')} failed."
    if len(failed) > len(own):
        yield f"{_count(len(failed) - len(own), 'cell')} could not be begun, building on these."


def _end(
    report: SweepReport, store: Store, cells: Sequence[Cell], stored: int, stopped: bool
) -> int:
    """Say what became of the cells; the exit code."""
    total = len(cells)
    for line in _failures(cells, report.failed):
        print(line, file=sys.stderr)
    if stopped or report.cancelled:
        print(
            f"Stopped: {stored:,} of {total:,} cells are in {store.path}; the same command goes "
            "on from there.",
            file=sys.stderr,
        )
        return _INTERRUPTED
    print(f"{stored:,} of {total:,} cells are in {store.path}.")
    if report.failed:
        print(f"{_count(len(report.failed), 'cell')} could not be measured.", file=sys.stderr)
    return 2 if report.failed else 0


def _export(args: argparse.Namespace, store: Store, cells: Sequence[Cell] | None) -> int:
    """Write the results to where they were asked for, if anywhere. Raises SweepError, ZooError."""
    if args.target is None:
        return 0
    from rsc_snn.sweep.transfer import export_csv, export_parquet

    if args.target.suffix == ".csv":
        count = export_csv(store, args.target, cells, open_zoo(args), args.data)
    else:
        count = export_parquet(store, args.target, cells)
    print(f"{_count(count, 'cell')} written to {args.target}.")
    if damaged := store.damaged(cells):
        text = _damaged(damaged, store)
        print(f"{text}; left out, and a sweep of these cells measures them again.", file=sys.stderr)
    return 0


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Inside, the first Ctrl-C or SIGTERM sets the event; a second one ends the program at once.

    SIGTERM is what batch systems send at a time limit. No exception: it would leave a pool of
    processes half shut down, which the interpreter waits for at its end. The store bears a kill,
    and workers end with their parent.
    """
    stop = threading.Event()

    def leave(*_: object) -> None:
        os._exit(_INTERRUPTED)

    def note(*_: object) -> None:
        for one in before:
            signal.signal(one, leave)
        stop.set()
        os.write(2, b"\nStopping; once more to leave at once.\n")  # Safe inside a handler.

    before = {one: signal.signal(one, note) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class _Progress:
    """A bar on stderr over the work of the missing cells, not their number: cells differ a lot."""

    def __init__(self, missing: Sequence[Cell]) -> None:
        from rsc_snn.sweep.cost import passes_of

        self._work = {cell.key: passes_of(cell) for cell in missing}
        self._total = len(missing)
        self._bar = self._make_bar()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def finish(self, cell: Cell) -> None:
        """A cell is stored."""
        work = self._work.pop(cell.key, 0)
        self._bar.set_description_str(self._text(), refresh=False)
        self._bar.update(work)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._bar.write(text, file=sys.stderr)

    def _make_bar(self) -> tqdm[Any]:
        from tqdm import tqdm

        return tqdm(
            total=sum(self._work.values()),
            desc=self._text(),
            bar_format="{desc}: {percentage:3.0f}%|{bar:20}| {elapsed}, {remaining} left",
            mininterval=0.5 if sys.stderr.isatty() else 60,
            maxinterval=60,
            smoothing=0,  # The mean rate: cells of one kind come in runs.
        )

    def _text(self) -> str:
        from rsc_snn.sweep.cost import rate_text

        elapsed = self._bar.format_dict["elapsed"] if self._total > len(self._work) else 0.0
        done = self._total - len(self._work)
        if not elapsed:
            return f"{done:,} of {self._total:,} cells"
        return f"{done:,} of {self._total:,} cells ({rate_text(done, elapsed)})"
