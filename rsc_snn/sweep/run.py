"""The sweep engine: hands out cells, stores their results, survives what goes wrong.

The parent is the only one who writes: a result is in the store before anything builds on it, and
a kill at any moment loses at most the cells in flight. Cells in flight are bounded, two for each
worker, and a result is read back from the store when a cell builds on it, so that a million cells
do not sit in memory with their answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Protocol

from rsc_snn.attacks.run import CancelCheck
from rsc_snn.device import pick_device
from rsc_snn.errors import Cancelled, RscSnnError, StoreWaitError, SweepError
from rsc_snn.sweep.cells import Cell, CellResult
from rsc_snn.sweep.plan import Plan
from rsc_snn.sweep.runners import Cluster, Given, Here, Processes, Runner, default_workers
from rsc_snn.sweep.work import Workspace

_POLL_SECONDS = 0.1
# Deaths of workers in a row, with not one cell finished in between, until the sweep gives up.
_MAX_BREAKS = 6
# How long a store may be locked or full before the sweep gives up, and the pause between two tries.
_PATIENCE_SECONDS = 300.0
_RETRY_SECONDS = 1.0
_DIED = (
    "A worker ended abruptly while it measured this cell, perhaps for lack of memory; "
    "fewer workers on its machine need less."
)


class CellStore(Protocol):
    """What the engine asks of a store, such as `rsc_snn.sweep.store.Store`."""

    def get(self, key: str) -> CellResult | None:
        """The result of a cell, None if there is none."""
        ...

    def put(self, result: CellResult) -> bool:
        """Keep a result, durable on return; False if its cell has one.

        Raises SweepError, of which StoreWaitError is worth another try.
        """
        ...

    def missing(self, cells: Iterable[Cell]) -> list[Cell]:
        """The cells that have no result."""
        ...


@dataclass(frozen=True)
class SweepReport:
    """What became of the cells of a sweep.

    done: measured now. skipped: stored before, or by another sweep meanwhile. failed: a sentence
    for the key of each cell that could not be measured, those that build on it included.
    """

    done: int
    skipped: int
    failed: Mapping[str, str]
    seconds: float
    cancelled: bool


def run_sweep(
    cells: Iterable[Cell],
    store: CellStore,
    workspace: Workspace,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    cluster: str | None = None,
    alone: bool = True,
    on_result: Callable[[CellResult], object] | None = None,
    on_skipped: Callable[[Cell], object] | None = None,
    on_waiting: Callable[[str], object] | None = None,
    cancelled: CancelCheck | None = None,
) -> SweepReport:
    """Measure the cells that `store` lacks; the answers do not depend on who measures.

    workers: processes of this machine, by default one a core, or one a GPU; 1 measures in this
    thread, all that is safe inside the app. executor: any other, with `workers` workers, left
    open. cluster: the address of a Dask scheduler, or its scheduler file. alone: False if another
    sweep fills the store, which is then shared with it. on_result: gets each result once it is
    stored, in this thread. on_skipped: gets each cell that another sweep stored meanwhile, in this
    thread. on_waiting: gets a sentence when a result cannot be stored for the moment, because the
    store is locked or its disk is full; the sweep tries again for five minutes. cancelled: asked
    ten times a second; then no cell is begun, and those in flight are dropped within a forward
    pass; only those that an `executor` has begun run to their end.

    A cell that fails takes with it only those that build on it. Raises SweepError if a cell
    builds on one that is not among `cells`, the cluster does not answer or workers cannot be
    started, and what `store` raises, with everything measured so far stored.
    """
    start = time.perf_counter()
    plan = Plan(cells, alone=alone)
    lacking = {cell.key for cell in store.missing(list(plan.cells.values()))}
    known = [key for key in plan.cells if key not in lacking]
    for key in known:
        plan.finish(key)
    sweep = _Sweep(plan, store, on_result, on_skipped, on_waiting, cancelled)
    if len(plan):
        runner = _runner(workspace, workers, executor, cluster, cancelled)
        try:
            sweep.run(runner)
        finally:
            runner.close()
    return SweepReport(
        done=sweep.done,
        skipped=len(known) + sweep.skipped,
        failed=dict(plan.failed),
        seconds=time.perf_counter() - start,
        cancelled=sweep.stopped,
    )


def _runner(
    workspace: Workspace,
    workers: int | None,
    executor: Executor | None,
    cluster: str | None,
    cancelled: CancelCheck | None,
) -> Runner:
    """Who measures. Raises SweepError, ConfigError."""
    if workers is not None and workers < 1:
        raise SweepError(f"A sweep needs at least one worker, not {workers}.")
    folders = tuple(folder.resolve() for folder in workspace.folders)
    place = replace(workspace, folders=folders, data=workspace.data.resolve())
    if cluster is not None:
        return Cluster(cluster, place)
    if workspace.device == "auto":
        place = replace(place, device=pick_device().type)
    count = default_workers(place.device) if workers is None else workers
    if executor is not None:
        return Given(executor, place, lambda: count)
    return Here(place, cancelled) if count == 1 else Processes(place, count)


class _Sweep:
    """One run: the plan, the cells in flight and what became of the others."""

    def __init__(
        self,
        plan: Plan,
        store: CellStore,
        on_result: Callable[[CellResult], object] | None,
        on_skipped: Callable[[Cell], object] | None,
        on_waiting: Callable[[str], object] | None,
        cancelled: CancelCheck | None,
    ) -> None:
        self._plan = plan
        self._store = store
        self._on_result = on_result
        self._on_skipped = on_skipped
        self._on_waiting = on_waiting
        self._cancelled = cancelled
        self._flying: dict[Future[CellResult], str] = {}
        self._landed: SimpleQueue[Future[CellResult]] = SimpleQueue()
        # Cells that were in flight when a worker died. They go alone, to tell who is to blame.
        self._suspects: list[str] = []
        self._breaks = 0
        self.done = 0
        self.skipped = 0
        self.stopped = False

    def run(self, runner: Runner) -> None:
        """Until nothing is left, or it is cancelled."""
        while len(self._plan):
            self.stopped = self.stopped or self._is_cancelled()
            if self.stopped:
                return
            try:
                self._hand_out(runner)
            except BrokenExecutor:
                self._restart(runner)
            self._collect(runner)

    def _is_cancelled(self) -> bool:
        return self._cancelled is not None and self._cancelled()

    def _hand_out(self, runner: Runner) -> None:
        """Submit cells until the runner has enough; a suspect only when nothing else runs."""
        if self._suspects:
            if not self._flying:
                self._submit(runner, self._suspects[0])
            return
        capacity = runner.capacity()
        while len(self._flying) < capacity:
            cell = self._plan.next()
            if cell is None:
                return
            if not self._store.missing([cell]):
                self.skipped += 1  # Another sweep was quicker.
                self._plan.finish(cell.key)
                if self._on_skipped is not None:
                    self._on_skipped(cell)
                continue
            try:
                self._submit(runner, cell.key)
            except BrokenExecutor:
                self._plan.again(cell.key)
                raise

    def _submit(self, runner: Runner, key: str) -> None:
        before = self._plan.before(key)
        result = None if before is None else self._store.get(before)
        future = runner.submit(self._plan.cells[key], result)
        self._flying[future] = key
        future.add_done_callback(self._landed.put)

    def _collect(self, runner: Runner) -> None:
        """Wait a moment for results, and take all that there are."""
        if not self._flying:
            return
        try:
            self._take(runner, self._landed.get(timeout=_POLL_SECONDS))
            while True:
                self._take(runner, self._landed.get_nowait())
        except Empty:
            return

    def _take(self, runner: Runner, future: Future[CellResult]) -> None:
        """Store one result, or note why there is none."""
        key = self._flying.pop(future, None)
        if key is None:
            return  # It was given up when its pool broke.
        try:
            result = future.result()
        except Cancelled:
            self.stopped = True
        except BrokenExecutor:
            self._flying[future] = key
            self._restart(runner)
        except RscSnnError as error:
            self._fail(key, str(error))
        except CancelledError:
            self._fail(key, "The cluster dropped this cell; it may have gone.")
        except Exception as error:
            self._fail(key, _unexpected(error))
        else:
            self._keep(key, result)

    def _keep(self, key: str, result: CellResult) -> None:
        if self._put(result):
            self.done += 1
        else:
            self.skipped += 1  # Another sweep measured it at the same time.
        self._settled(key)
        self._plan.finish(key)
        if self._on_result is not None:
            self._on_result(result)

    def _put(self, result: CellResult) -> bool:
        """Store a result, if need be after a while; cells in flight go on. Raises SweepError."""
        end = time.monotonic() + _PATIENCE_SECONDS
        told = False
        while True:
            try:
                return self._store.put(result)
            except StoreWaitError as error:
                if time.monotonic() >= end or self._is_cancelled():
                    raise
                if self._on_waiting is not None and not told:
                    minutes = round(_PATIENCE_SECONDS / 60)
                    self._on_waiting(f"{error} This sweep tries again for {minutes} minutes.")
                told = True
            time.sleep(_RETRY_SECONDS)

    def _fail(self, key: str, sentence: str) -> None:
        self._settled(key)
        self._plan.fail(key, sentence)

    def _settled(self, key: str) -> None:
        self._breaks = 0
        if key in self._suspects:
            self._suspects.remove(key)

    def _restart(self, runner: Runner) -> None:
        """Workers died: blame the cell that was alone, else suspect all that were in flight."""
        lost = list(self._flying.values())
        self._flying.clear()
        breaks = self._breaks + 1
        if self._suspects and lost:
            self._fail(lost[0], _DIED)
        else:
            self._suspects += lost
        self._breaks = breaks
        if breaks >= _MAX_BREAKS or not runner.renew():
            raise SweepError(
                "The workers of the sweep end before they finish a cell; what was measured is "
                "stored, and the same sweep goes on from there."
            )


def _unexpected(error: Exception) -> str:
    """A sentence for an error that nobody foresaw."""
    if type(error).__name__ == "KilledWorker":  # Of `distributed`, which may not be installed.
        return _DIED
    return f"It failed unexpectedly ({type(error).__name__}: {error})."
