"""A sweep on a Dask cluster of this machine: the same digits, whoever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rsc_snn.errors import SweepError
from rsc_snn.sweep import runners
from rsc_snn.sweep.cells import Cell, CellResult
from rsc_snn.sweep.run import run_sweep
from rsc_snn.sweep.runners import cluster_threads
from rsc_snn.sweep.work import Workspace
from tests.sweep.engine_cases import (
    DictStore,
    assert_same,
    made_up_cell,
    small_cells,
    small_grid,
    workspace,
    write_pictures,
)

ROOT = Path(__file__).parents[2]
distributed = pytest.importorskip("distributed")
# Seconds in which a worker loads a model and begins to compute.
_INTO_THE_CELL = 3.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as local:
        yield local


def test_a_cluster_that_loses_a_worker_gives_the_digits_of_one_process(
    cluster: Any, tiny_zoo: Path, tmp_path: Path
) -> None:
    write_pictures(tmp_path, tiny_zoo)
    cells = small_cells(tiny_zoo, tmp_path, small_grid("tiny-rsc", "tiny-direct"))
    place = workspace(tiny_zoo, tmp_path)
    alone = DictStore()
    run_sweep(cells, alone, place, workers=1)
    store = DictStore()
    killed: list[int] = []

    def kill_one(result: CellResult) -> None:
        if len(store.results) == len(cells) // 2:
            killed.append(next(iter(cluster.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    report = run_sweep(cells, store, place, cluster=cluster.scheduler_address, on_result=kill_one)
    assert killed
    assert (report.done, report.failed, report.cancelled) == (len(cells), {}, False)
    assert_same(store, alone)


def test_cancelling_leaves_the_cluster_to_others(cluster: Any, tmp_path: Path) -> None:
    place = Workspace(folders=(tmp_path,), data=tmp_path)
    cells = [made_up_cell(number) for number in range(9)]
    report = run_sweep(
        cells, DictStore(), place, cluster=cluster.scheduler_address, cancelled=lambda: True
    )
    assert report.cancelled and report.done == 0
    report = run_sweep(cells, DictStore(), place, cluster=cluster.scheduler_address)
    assert set(report.failed.values()) == {
        f"There is no model called 'model-{number}'." for number in range(9)
    }


def test_cancelling_stops_the_cell_that_a_worker_measures(
    cluster: Any, tiny_zoo: Path, tmp_path: Path
) -> None:
    write_pictures(tmp_path, tiny_zoo)
    clean, *_ = small_cells(tiny_zoo, tmp_path)
    endless = replace(clean, draws=1024, time_steps=64, batch_size=1)  # Of some minutes.
    place = workspace(tiny_zoo, tmp_path)
    with distributed.Client(cluster) as client:

        def running() -> int:
            return sum(client.run(lambda dask_worker: len(dask_worker.state.executing)).values())

        started: list[float] = []

        def cancelled() -> bool:
            if not started and running():
                started.append(time.monotonic())
            return bool(started) and time.monotonic() - started[0] > _INTO_THE_CELL

        report = run_sweep(
            [endless], DictStore(), place, cluster=cluster.scheduler_address, cancelled=cancelled
        )
        assert (report.cancelled, report.done, report.failed) == (True, 0, {})
        stopped = time.monotonic()
        while running():
            assert time.monotonic() < stopped + 20
            time.sleep(0.1)


@pytest.fixture
def threads() -> Iterator[str]:
    """The address of a cluster whose two workers are threads of this process."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as local:
        yield local.scheduler_address


@pytest.mark.parametrize("error", [SweepError("It cannot be."), ZeroDivisionError("by nought")])
def test_a_cell_that_fails_is_not_tried_again(
    error: Exception, threads: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tries: list[str] = []

    def fails(cell: Cell, *_: object, **options: object) -> CellResult:
        tries.append(cell.key)
        raise error

    monkeypatch.setattr(runners, "measure", fails)
    place = Workspace(folders=(tmp_path,), data=tmp_path)
    cells = [made_up_cell(number) for number in range(3)]
    report = run_sweep(cells, DictStore(), place, cluster=threads)
    assert sorted(tries) == sorted(report.failed) == sorted(cell.key for cell in cells)
    assert all(str(error) in sentence for sentence in report.failed.values())


def test_a_cluster_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("rsc_snn.sweep.runners._CONNECT_SECONDS", 0.2)
    place = Workspace(folders=(tmp_path,), data=tmp_path)
    with pytest.raises(SweepError, match="no Dask scheduler at tcp://127.0.0.1:9"):
        run_sweep([made_up_cell()], DictStore(), place, cluster="tcp://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SweepError, match="requirements-cluster.txt"):
        run_sweep([made_up_cell()], DictStore(), place, cluster="tcp://127.0.0.1:9")


def test_the_workers_of_a_cluster_are_counted() -> None:
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as empty:
        assert cluster_threads(empty.scheduler_address) == 0
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=3, processes=False, dashboard_address=None
    ) as some:
        assert cluster_threads(some.scheduler_address) == 3


def test_a_cluster_that_goes_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runners, "_CONNECT_SECONDS", 1)
    monkeypatch.setattr(runners, "_LOOK_SECONDS", 0.0)
    place = Workspace(folders=(tmp_path,), data=tmp_path)
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as local:
        cluster = runners.Cluster(local.scheduler_address, place)
        cells = [made_up_cell(number) for number in range(3)]

        def gone() -> bool:
            local.close()
            return False

        with pytest.raises(SweepError, match="The cluster has gone; what was measured is stored"):
            run_sweep(cells, DictStore(), place, cluster=local.scheduler_address, cancelled=gone)
    with pytest.raises(SweepError, match="The cluster has gone"):
        cluster.capacity()
    with pytest.raises(SweepError, match="The cluster has gone"):
        cluster.submit(cells[0], None)
    cluster.close()


@pytest.fixture
def _no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """No client may be made: one that fails half-way hangs the next, now and then."""
    monkeypatch.setattr(distributed, "Client", None)


@pytest.mark.usefixtures("_no_client")
@pytest.mark.parametrize("text", ["", "{}", "a note", "[]", '{"address": 5}', "\udcff"])
def test_a_file_that_is_no_scheduler_file(text: str, tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    file.write_bytes(os.fsencode(text))
    with pytest.raises(SweepError, match="scheduler.json is no scheduler file of Dask"):
        cluster_threads(str(file))


@pytest.mark.usefixtures("_no_client")
@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1:x", "foo://127.0.0.1:8786"])
def test_an_address_that_is_none(address: str, tmp_path: Path) -> None:
    with pytest.raises(SweepError, match=f"There is no Dask scheduler at {address}."):
        cluster_threads(address)
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": address}))
    with pytest.raises(SweepError, match=f"There is no Dask scheduler at {address}."):
        cluster_threads(str(file))


def test_a_scheduler_file(threads: str, tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": threads}))
    assert cluster_threads(str(file)) == 2


def test_the_commands_of_the_documentation_make_a_cluster(tiny_zoo: Path, tmp_path: Path) -> None:
    """Scheduler and workers run in the program's folder, where they find its code."""
    documented = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    scheduler, worker = (
        next(line for line in documented.splitlines() if line.startswith(f"python -m dask {kind}"))
        for kind in ("scheduler", "worker")
    )
    file, log = tmp_path / "scheduler.json", tmp_path / "log"
    place = ["--scheduler-file", str(file)]
    started = []
    try:
        for line, options in (
            (scheduler.replace("8786", "0"), ["--no-dashboard"]),
            (worker.partition("#")[0].replace("tcp://HOST:8786", ""), ["--no-dashboard"]),
        ):
            words = [sys.executable, *line.split()[1:], *place, *options]
            words = ["1" if word == "16" else word for word in words]
            with log.open("a") as out:
                started.append(subprocess.Popen(words, cwd=ROOT, stdout=out, stderr=out))
            wait_until(file.exists, "the scheduler's file")
        write_pictures(tmp_path, tiny_zoo)
        cells = small_cells(tiny_zoo, tmp_path, small_grid("tiny-direct"))
        store = DictStore()
        report = run_sweep(cells, store, workspace(tiny_zoo, tmp_path), cluster=str(file))
        assert (report.done, report.failed) == (len(cells), {}), log.read_text()
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(timeout=30)


def wait_until(done: Callable[[], bool], what: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.1)
