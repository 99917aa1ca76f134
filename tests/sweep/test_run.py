"""The engine: order, sharing out, results to the digit, and everything that can go wrong."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsc_snn.errors import Cancelled, ConfigError, StoreWaitError, SweepError
from rsc_snn.sweep import runners
from rsc_snn.sweep.cells import Cell, CellResult
from rsc_snn.sweep.grid import predecessor
from rsc_snn.sweep.plan import Plan
from rsc_snn.sweep.run import SweepReport, run_sweep
from rsc_snn.sweep.work import Workspace
from tests.sweep.engine_cases import (
    DictStore,
    assert_same,
    made_up_cell,
    made_up_chain,
    made_up_result,
    small_cells,
    workspace,
    write_pictures,
)

ROOT = Path(__file__).parents[2]
NOWHERE = Workspace(folders=(Path("models"),), data=Path("data"))
Measure = Callable[[Cell, CellResult | None], CellResult]


class Pretend(Executor):
    """An executor that measures nothing: `measure` makes up the results, later ones first.

    most: the largest number of cells that were in flight at once.
    """

    def __init__(self, measure: Measure | None = None) -> None:
        self.measure = measure or (lambda cell, before: made_up_result(cell))
        self.cells: list[Cell] = []
        self.most = 0
        self._waiting: list[tuple[Future[Any], Cell, CellResult | None]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        cell, before, _ = args
        self.cells.append(cell)
        future: Future[Any] = Future()
        self._waiting.append((future, cell, before))
        self.most = max(self.most, len(self._waiting))
        return future

    def answer(self) -> bool:
        """Finish the latest cell; False if there is none."""
        if not self._waiting:
            return False
        future, cell, before = self._waiting.pop()
        if not future.set_running_or_notify_cancel():
            return True
        try:
            future.set_result(self.measure(cell, before))
        except Exception as error:
            future.set_exception(error)
        return True


def run_pretend(
    cells: Iterable[Cell],
    store: DictStore,
    executor: Pretend,
    stop: Callable[[], bool] = lambda: False,
    **options: Any,
) -> SweepReport:
    """Run a sweep on a pretended executor, which answers whenever the engine waits."""

    def cancelled() -> bool:
        executor.answer()
        return stop()

    return run_sweep(cells, store, NOWHERE, executor=executor, cancelled=cancelled, **options)


def grid_of(models: int = 2, epsilons: Iterable[float] = (1.0, 2.0, 4.0)) -> list[Cell]:
    """Clean cells and two chains for each of some models that do not exist."""
    cells = []
    for number in range(models):
        cells.append(made_up_cell(number))
        for attack in ("fgsm", "square"):
            cells += made_up_chain(number, attack, tuple(epsilons))
    return cells


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsc_snn.sweep.run._POLL_SECONDS", 0.001)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, tiny_zoo: Path) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, tiny_zoo)
    return folder


@pytest.fixture(scope="module")
def place(tiny_zoo: Path, root: Path) -> Workspace:
    return workspace(tiny_zoo, root)


@pytest.fixture(scope="module")
def cells(tiny_zoo: Path, root: Path) -> tuple[Cell, ...]:
    return small_cells(tiny_zoo, root)


@pytest.fixture(scope="module")
def alone(cells: tuple[Cell, ...], place: Workspace) -> DictStore:
    """The results of one worker, in this process."""
    store = DictStore()
    report = run_sweep(cells, store, place, workers=1)
    assert (report.done, report.skipped, report.failed) == (len(cells), 0, {})
    return store


# --- Order -------------------------------------------------------------------------------------

chains = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["fgsm", "square", "pgd_l2"]),
        st.lists(st.sampled_from([0.5, 1.0, 2.0, 8.0]), unique=True, min_size=1).map(sorted),
    ),
    max_size=8,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(chains=chains, seed=st.integers(0, 99), workers=st.integers(1, 5), data=st.data())
def test_no_cell_goes_before_what_it_builds_on_and_each_goes_once(
    chains: list[tuple[int, str, list[float]]], seed: int, workers: int, data: st.DataObject
) -> None:
    cells = [made_up_cell(number) for number in range(4)]
    for number, attack, epsilons in chains:
        cells += made_up_chain(number, attack, epsilons)
    unique = list({cell.key: cell for cell in cells}.values())
    random.Random(seed).shuffle(cells)
    store = DictStore()
    for cell in data.draw(st.lists(st.sampled_from(unique), unique=True)):
        store.put(made_up_result(cell))
    known = set(store.results)

    def measure(cell: Cell, before: CellResult | None) -> CellResult:
        needed = predecessor(cell)
        assert before == (None if needed is None else store.results[needed.key])
        return made_up_result(cell)

    executor = Pretend(measure)
    report = run_pretend(cells, store, executor, workers=workers)
    assert sorted(cell.key for cell in executor.cells) == sorted(
        cell.key for cell in unique if cell.key not in known
    )
    assert (report.done, report.skipped, dict(report.failed)) == (
        len(unique) - len(known), len(known), {},
    )  # fmt: skip
    assert set(store.results) == {cell.key for cell in unique}
    assert executor.most <= 2 * workers


def test_the_longest_chains_go_first() -> None:
    short = [made_up_cell(0), *made_up_chain(0, "fgsm", [1.0])]
    long = [made_up_cell(1), *made_up_chain(1, "fgsm", [1.0, 2.0, 4.0])]
    plan = Plan([*short, *long])
    order = []
    while (cell := plan.next()) is not None:
        order.append((cell.model, cell.epsilon))
        plan.finish(cell.key)
    assert order == [
        ("model-1", 0.0), ("model-1", 1.0), ("model-0", 0.0), ("model-1", 2.0),
        ("model-0", 1.0), ("model-1", 4.0),
    ]  # fmt: skip


def test_a_sweep_holds_what_its_cells_build_on() -> None:
    chain = made_up_chain(0, "fgsm", [1.0, 2.0])
    with pytest.raises(SweepError, match="epsilon 1 builds on the one at no attack"):
        run_sweep(chain, DictStore(), NOWHERE)
    with pytest.raises(SweepError, match="epsilon 2 builds on the one at epsilon 1, which is not"):
        run_sweep([made_up_cell(), chain[1]], DictStore(), NOWHERE)


def test_nothing_to_do_starts_no_worker() -> None:
    store = DictStore()
    for cell in grid_of():
        store.put(made_up_result(cell))
    report = run_sweep(grid_of(), store, NOWHERE, workers=4)
    assert (report.done, report.skipped) == (0, 14)
    assert run_sweep([], store, NOWHERE).skipped == 0


# --- The same digits whoever measures ----------------------------------------------------------


def test_results_are_stored_before_they_are_reported(
    cells: tuple[Cell, ...], place: Workspace, alone: DictStore
) -> None:
    store = DictStore()
    seen = []

    def on_result(result: CellResult) -> None:
        assert store.results[result.cell.key] is result
        seen.append(result.cell.key)

    run_sweep(cells, store, place, workers=1, on_result=on_result)
    assert seen == store.order
    assert_same(store, alone)


@pytest.mark.parametrize("workers", [2, 4])
def test_several_processes_give_the_digits_of_one(
    workers: int, cells: tuple[Cell, ...], place: Workspace, alone: DictStore
) -> None:
    store = DictStore()
    report = run_sweep(cells, store, place, workers=workers)
    assert (report.done, report.failed, report.cancelled) == (len(cells), {}, False)
    assert_same(store, alone)


@pytest.mark.slow
def test_four_processes_of_which_one_is_killed_give_the_digits_of_one(
    cells: tuple[Cell, ...], place: Workspace, alone: DictStore
) -> None:
    store = DictStore()
    killed: list[int] = []

    def kill_one(result: CellResult) -> None:
        if not killed:
            killed.append(children()[0])
            os.kill(killed[0], signal.SIGKILL)

    report = run_sweep(cells, store, place, workers=4, on_result=kill_one)
    assert (report.done, report.failed, report.cancelled) == (len(cells), {}, False)
    assert killed
    assert_same(store, alone)


def children() -> list[int]:
    """Process numbers of the worker processes of this one."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    found = []
    for number in map(int, text.split()):
        command = Path(f"/proc/{number}/cmdline").read_bytes()
        if b"spawn_main" in command:
            found.append(number)
    return found


KILLED = """
import pickle, sys
from pathlib import Path
from rsc_snn.sweep.run import run_sweep
from tests.sweep.test_run import FolderStore

if __name__ == "__main__":
    cells, place, folder = pickle.loads(Path(sys.argv[1]).read_bytes())
    print("started", flush=True)
    run_sweep(
        cells, FolderStore(folder), place, workers=2,
        on_result=lambda result: print(result.cell.key, flush=True),
    )
"""


class FolderStore:
    """A store of one file a cell, which outlives its process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> CellResult | None:
        path = self.folder / key
        return pickle.loads(path.read_bytes()) if path.is_file() else None

    def put(self, result: CellResult) -> bool:
        partial = self.folder / f"{result.cell.key}.partial"
        partial.write_bytes(pickle.dumps(result))
        partial.rename(self.folder / result.cell.key)
        return True

    def missing(self, cells: Iterable[Cell]) -> list[Cell]:
        return [cell for cell in cells if not (self.folder / cell.key).is_file()]


def test_a_killed_sweep_goes_on_where_it_was(
    cells: tuple[Cell, ...], place: Workspace, alone: DictStore, tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    (tmp_path / "task").write_bytes(pickle.dumps((cells, place, folder)))
    (tmp_path / "main.py").write_text(KILLED, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "main.py"), str(tmp_path / "task")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    lines = [process.stdout.readline().decode().strip() for _ in range(3)]
    workers = [int(word) for word in _children_of(process.pid)]
    process.kill()
    process.wait()
    process.stdout.close()
    store = FolderStore(folder)
    kept = {cell.key for cell in cells} - {cell.key for cell in store.missing(cells)}
    assert set(lines[1:]) <= kept and len(kept) < len(cells)
    measured: list[str] = []
    report = run_sweep(
        cells, store, place, workers=1, on_result=lambda r: measured.append(r.cell.key)
    )
    assert (report.done, report.skipped) == (len(cells) - len(kept), len(kept))
    assert not kept & set(measured)
    final = DictStore()
    for cell in cells:
        result = store.get(cell.key)
        assert result is not None
        final.put(result)
    assert_same(final, alone)
    _wait_for(lambda: not any(_is_running(worker) for worker in workers))


def _children_of(process: int) -> list[str]:
    return Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()


def _is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2]
    except FileNotFoundError:
        return False
    return state.split()[0] != "Z"


def _wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


# --- What goes wrong ---------------------------------------------------------------------------


def test_a_cell_that_fails_takes_with_it_only_what_builds_on_it() -> None:
    cells = grid_of()

    def measure(cell: Cell, before: CellResult | None) -> CellResult:
        if (cell.model, cell.attack, cell.epsilon) == ("model-0", "square", 2.0):
            raise SweepError("The disk of the worker is gone.")
        if (cell.model, cell.attack, cell.epsilon) == ("model-1", "fgsm", 4.0):
            raise ZeroDivisionError("by nought")
        return made_up_result(cell)

    store = DictStore()
    report = run_pretend(cells, store, Pretend(measure), workers=2)
    places = {cell.key: (cell.model, cell.attack, cell.epsilon) for cell in cells}
    assert {places[key]: sentence for key, sentence in report.failed.items()} == {
        ("model-0", "square", 2.0): "The disk of the worker is gone.",
        ("model-0", "square", 4.0): (
            "The cell that it builds on failed. The disk of the worker is gone."
        ),
        ("model-1", "fgsm", 4.0): "It failed unexpectedly (ZeroDivisionError: by nought).",
    }
    assert report.done == len(store.results) == len(cells) - 3


def test_a_real_cell_that_cannot_be_measured(
    cells: tuple[Cell, ...], place: Workspace, tmp_path: Path
) -> None:
    elsewhere = Workspace(folders=place.folders, data=tmp_path / "nowhere")
    report = run_sweep(cells, DictStore(), elsewhere, workers=1)
    assert report.done == 0 and set(report.failed) == {cell.key for cell in cells}
    assert all("does not exist" in sentence for sentence in report.failed.values())


class Mortal(runners.Here):
    """A runner whose workers die of some cells, and take with them all that is in flight."""

    def __init__(self, deadly: Callable[[Cell], bool]) -> None:
        self.deadly = deadly
        self.flying: list[tuple[Future[CellResult], Cell]] = []
        self.renewed = 0

    def submit(self, cell: Cell, before: CellResult | None) -> Future[CellResult]:
        future: Future[CellResult] = Future()
        self.flying.append((future, cell))
        if self.deadly(cell):
            for lost, _ in self.flying:
                lost.set_exception(BrokenExecutor())
            self.flying.clear()
        elif len(self.flying) == 3:
            self.finish_all()
        return future

    def finish_all(self) -> bool:
        for future, cell in self.flying:
            future.set_result(made_up_result(cell))
        self.flying.clear()
        return False

    def capacity(self) -> int:
        return 4

    def renew(self) -> bool:
        self.renewed += 1
        return True


def run_mortal(monkeypatch: pytest.MonkeyPatch, runner: Mortal, cells: list[Cell]) -> SweepReport:
    monkeypatch.setattr("rsc_snn.sweep.run._runner", lambda *_: runner)
    return run_sweep(cells, DictStore(), NOWHERE, cancelled=runner.finish_all)


def test_a_cell_that_kills_its_worker_is_tried_again_alone_and_blamed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells = grid_of()
    runner = Mortal(lambda cell: (cell.model, cell.attack, cell.epsilon) == ("model-0", "fgsm", 2))
    report = run_mortal(monkeypatch, runner, cells)
    assert runner.renewed == 2
    assert report.done == len(cells) - 2
    assert sorted(text[:40] for text in report.failed.values()) == [
        "A worker ended abruptly while it measure",
        "The cell that it builds on failed. A wor",
    ]


def test_workers_that_always_die_end_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SweepError, match="what was measured is stored"):
        run_mortal(monkeypatch, Mortal(lambda cell: True), grid_of(9))


def test_a_store_that_cannot_be_written_ends_the_sweep() -> None:
    class Full(DictStore):
        def put(self, result: CellResult) -> bool:
            if len(self.results) == 3:
                raise SweepError("The disk is full.")
            return super().put(result)

    store = Full()
    with pytest.raises(SweepError, match="The disk is full"):
        run_pretend(grid_of(), store, Pretend(), workers=2)
    assert len(store.results) == 3


class Locked(DictStore):
    """A store that cannot be written for the first `times` tries."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def put(self, result: CellResult) -> bool:
        if self.times > 0:
            self.times -= 1
            raise StoreWaitError("The store is locked.")
        return super().put(result)


def test_a_store_that_is_locked_for_a_while_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsc_snn.sweep.run._RETRY_SECONDS", 0.001)
    cells, store, told = grid_of(), Locked(3), list[str]()
    executor = Pretend()
    report = run_pretend(cells, store, executor, workers=2, on_waiting=told.append)
    assert (report.done, report.failed, len(store.results)) == (len(cells), {}, len(cells))
    assert len(executor.cells) == len(cells), "none is measured twice"
    assert told == ["The store is locked. This sweep tries again for 5 minutes."]


def test_a_store_that_stays_locked_ends_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsc_snn.sweep.run._RETRY_SECONDS", 0.001)
    monkeypatch.setattr("rsc_snn.sweep.run._PATIENCE_SECONDS", 0.05)
    with pytest.raises(StoreWaitError, match="is locked"):
        run_pretend(grid_of(), Locked(10**9), Pretend())


def test_whoever_cancels_does_not_wait_for_a_locked_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsc_snn.sweep.run._RETRY_SECONDS", 0.001)
    store = Locked(10**9)
    with pytest.raises(StoreWaitError, match="is locked"):
        run_pretend(grid_of(), store, Pretend(), stop=lambda: store.times < 10**9 - 5)
    assert store.times == 10**9 - 6


def test_what_another_sweep_measured_meanwhile_is_not_measured_again() -> None:
    cells = grid_of(1)
    store = DictStore()

    def other_sweep(result: CellResult) -> None:
        for cell in cells:
            if cell.attack == "square":
                store.put(made_up_result(cell))

    executor, skipped = Pretend(), list[Cell]()
    report = run_pretend(
        cells, store, executor, workers=1, on_result=other_sweep, on_skipped=skipped.append
    )
    assert (report.done, report.skipped) == (4, 3)
    assert [cell.attack for cell in skipped] == ["square"] * 3
    assert {cell.attack for cell in executor.cells} == {"none", "fgsm"}


class Turns:
    """Two threads that take turns, so that their steps are always interleaved in one way."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._here = {0, 1}
        self._turn = 0

    def next(self, me: int) -> None:
        """Let the other go on, and wait for it to do the same."""
        with self._changed:
            self._turn = 1 - me
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._turn == me or 1 - me not in self._here, 60)

    def leave(self, me: int) -> None:
        with self._changed:
            self._here.discard(me)
            self._changed.notify_all()


def test_two_sweeps_at_once_share_the_work() -> None:
    cells = grid_of(20)
    store, turns = DictStore(), Turns()
    executors = Pretend(), Pretend()

    def sweep(me: int) -> SweepReport:
        def stop() -> bool:
            turns.next(me)
            return False

        try:
            return run_pretend(cells, store, executors[me], stop, workers=1, alone=me == 0)
        finally:
            turns.leave(me)

    with ThreadPoolExecutor(2) as threads:
        reports = list(threads.map(sweep, range(2)))
    assert len(store.results) == len(cells)
    assert sum(report.done for report in reports) == len(cells)
    assert all(report.done + report.skipped == len(cells) for report in reports)
    submitted = [len(executor.cells) for executor in executors]
    assert min(submitted) > len(cells) / 4
    assert sum(submitted) < 1.4 * len(cells)


def test_another_order_gives_the_same_digits(
    cells: tuple[Cell, ...], place: Workspace, alone: DictStore
) -> None:
    store = DictStore()
    report = run_sweep(cells, store, place, workers=1, alone=False)
    assert (report.done, report.failed) == (len(cells), {})
    assert store.order != alone.order
    assert_same(store, alone)


# --- Cancelling --------------------------------------------------------------------------------


def test_cancelling_begins_no_cell_and_keeps_what_is_stored() -> None:
    cells = grid_of(4)
    store = DictStore()
    executor = Pretend()
    report = run_pretend(cells, store, executor, stop=lambda: len(store.results) >= 3, workers=2)
    assert report.cancelled and report.done == len(store.results) == 3
    begun = len(executor.cells)
    assert begun <= 3 + 4
    while executor.answer():
        pass
    assert len(store.results) == 3 and len(executor.cells) == begun
    again = run_pretend(cells, store, Pretend(), workers=2)
    assert (again.done, again.skipped, again.cancelled) == (len(cells) - 3, 3, False)


def test_cancelling_stops_the_cell_in_this_process(
    cells: tuple[Cell, ...], place: Workspace
) -> None:
    asked: list[int] = []

    def later() -> bool:
        asked.append(1)
        return len(asked) > 4

    store = DictStore()
    report = run_sweep(cells, store, place, workers=1, cancelled=later)
    assert report.cancelled and not report.failed
    assert report.done == len(store.results) < len(cells)


def test_a_cancelled_worker_stops_in_the_middle_of_a_cell(
    cells: tuple[Cell, ...], place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "_stopped", lambda: True)
    with pytest.raises(Cancelled):
        runners.work(cells[0], None, place)


# --- Who measures ------------------------------------------------------------------------------


def test_every_gpu_gets_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        runners,
        "ProcessPoolExecutor",
        lambda count, *, initargs, **options: started.append((count, *initargs)),
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a, 3")
    assert runners.default_workers("cuda") == 2
    runners.Processes(Workspace((Path(),), Path(), device="cuda"), 3)
    ((count, stop, gpus),) = started
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(runners, "_stopped", None)
    seen = []
    for _ in range(count):
        runners.start_worker(stop, gpus)
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    assert sorted(seen) == ["3", "GPU-a", "GPU-a"]
    assert not runners._stopped()
    stop.value = 1
    assert runners._stopped()


def test_workers_by_default_and_wrong_numbers() -> None:
    assert runners.default_workers("cpu") >= 1
    with pytest.raises(ConfigError):
        runners.default_workers("abacus")
    with pytest.raises(SweepError, match="at least one worker, not 0"):
        run_sweep(grid_of(), DictStore(), NOWHERE, workers=0)


class _Ended(Exception):
    """In place of the end of a process."""


def test_a_worker_whose_gpu_has_failed_ends_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What comes after would fail in that process too; other errors are the cell's own."""

    def end(code: int) -> None:
        raise _Ended(code)

    def fail(error: Exception) -> Callable[..., CellResult]:
        def measure(*_: object, **__: object) -> CellResult:
            raise error

        return measure

    place = Workspace(folders=(tmp_path,), data=tmp_path)
    monkeypatch.setattr(os, "_exit", end)
    broken = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
    monkeypatch.setattr(runners, "measure", fail(broken))
    with pytest.raises(_Ended):
        runners.work_or_end(made_up_cell(), None, place)
    for own in (SweepError("no"), torch.OutOfMemoryError("CUDA out of memory"), ValueError("no")):
        monkeypatch.setattr(runners, "measure", fail(own))
        with pytest.raises(type(own)):
            runners.work_or_end(made_up_cell(), None, place)
