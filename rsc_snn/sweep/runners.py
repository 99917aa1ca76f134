"""Where cells are measured: in this process, in processes of their own, or on a cluster.

All three do the same work (`rsc_snn.sweep.work.measure`) and give the same digits, on one kind of
processor.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

import torch

from rsc_snn.attacks.run import CancelCheck
from rsc_snn.device import keep_freed_memory, pick_device
from rsc_snn.errors import SweepError
from rsc_snn.sweep.cells import Cell, CellResult
from rsc_snn.sweep.work import Workspace, measure

# Cells handed out per worker: one that is measured, one that waits for it.
IN_FLIGHT = 2
_CONNECT_SECONDS = 10
_LOOK_SECONDS = 2.0
_GONE = (
    "The cluster has gone; what was measured is stored, and the same sweep goes on from there "
    "once there is one."
)

_stopped: CancelCheck = lambda: False  # noqa: E731  (a worker's own, see `_start_worker`)


class Runner(Protocol):
    """Takes cells and promises their results."""

    def submit(self, cell: Cell, before: CellResult | None) -> Future[CellResult]:
        """Begin to measure a cell, see `measure`."""
        ...

    def capacity(self) -> int:
        """How many cells may be handed out at once."""
        ...

    def renew(self) -> bool:
        """Start again after workers died; False if that cannot be done here."""
        ...

    def close(self) -> None:
        """Stop what still runs and let go of all workers."""
        ...


class Here:
    """One cell after the other, in the calling thread, which `submit` keeps busy."""

    def __init__(self, workspace: Workspace, cancelled: CancelCheck | None) -> None:
        self._workspace = workspace
        self._cancelled = cancelled

    def submit(self, cell: Cell, before: CellResult | None) -> Future[CellResult]:
        """Measure the cell at once."""
        future: Future[CellResult] = Future()
        try:
            future.set_result(measure(cell, before, self._workspace, cancelled=self._cancelled))
        except Exception as error:
            future.set_exception(error)
        return future

    def capacity(self) -> int:
        """One: its result is stored before the next is begun."""
        return 1

    def renew(self) -> bool:
        """There is nothing to start again."""
        return False

    def close(self) -> None:
        """Nothing is left running."""


class Given:
    """Any executor, which whoever made it shuts down. workers: how many it has."""

    def __init__(self, executor: Executor, workspace: Workspace, workers: Callable[[], int]):
        self._work = work
        self._executor = executor
        self._workspace = workspace
        self._workers = workers
        self._promised: set[Future[CellResult]] = set()

    def submit(self, cell: Cell, before: CellResult | None) -> Future[CellResult]:
        """Queue the cell."""
        future = self._executor.submit(self._work, cell, before, self._workspace)
        self._promised.add(future)
        future.add_done_callback(self._promised.discard)
        return future

    def capacity(self) -> int:
        """Two for each worker, and two while none has come yet."""
        return IN_FLIGHT * max(self._workers(), 1)

    def renew(self) -> bool:
        """Only its maker could."""
        return False

    def close(self) -> None:
        """Take back what no worker has begun; nobody tells the others to stop."""
        for future in tuple(self._promised):
            future.cancel()


class Cluster(Given):
    """The workers of a Dask scheduler, which may come and go. Raises SweepError.

    address: of the scheduler (tcp://HOST:8786), or the path of its scheduler file. The scheduler
    gives the cells of a worker that died to another one, unless they took several with them. What
    a cell itself raises it would raise again, so it is not tried again.
    """

    def __init__(self, address: str, workspace: Workspace) -> None:
        self._client = _connect(address)
        executor = self._client.get_executor(pure=False)
        self._looked = -_LOOK_SECONDS
        self._threads = 0
        super().__init__(executor, workspace, self._count)
        self._work = work_for_cluster

    def submit(self, cell: Cell, before: CellResult | None) -> Future[CellResult]:
        """Queue the cell. Raises SweepError if the cluster has gone."""
        with _there(self._client):
            return super().submit(cell, before)

    def _count(self) -> int:
        """Worker threads there are now; asked for every few seconds. Raises SweepError."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            with _there(self._client):
                self._threads = sum(self._client.nthreads().values())
            self._looked = time.monotonic()
        return self._threads

    def close(self) -> None:
        """Take back all cells, also those that are measured, and leave; the cluster goes on."""
        super().close()
        with suppress(OSError):  # Of a scheduler that has gone there is nothing to leave.
            self._client.close()


def cluster_threads(address: str) -> int:
    """Worker threads that a Dask cluster has at the moment. Raises SweepError."""
    with _connect(address) as client, _there(client):
        return int(sum(client.nthreads().values()))


class Processes:
    """Worker processes of this machine: one thread each on a CPU, or one for each GPU.

    They end with this process, even if it is killed. Scripts that make one need the usual guard
    `if __name__ == "__main__"`, for every worker imports the main module.
    """

    def __init__(self, workspace: Workspace, workers: int) -> None:
        self._workspace = workspace
        self._count = workers
        self._context = multiprocessing.get_context("spawn")
        # No event: all workers would share its lock, which one that is killed may hold for ever.
        self._stop = self._context.RawValue("b", 0)
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        gpus = self._context.SimpleQueue()
        names = visible_gpus() if self._workspace.device == "cuda" else []
        for worker in range(self._count if names else 0):
            gpus.put(names[worker % len(names)])
        return ProcessPoolExecutor(
            self._count,
            mp_context=self._context,
            initializer=start_worker,
            initargs=(self._stop, gpus if names else None),
        )

    def submit(self, cell: Cell, before: CellResult | None) -> Future[CellResult]:
        """Queue the cell. Raises BrokenProcessPool if a worker has died."""
        with _no_interrupt():  # The pool starts its processes as cells come.
            return self._pool.submit(work_or_end, cell, before, self._workspace)

    def capacity(self) -> int:
        """Two for each worker."""
        return IN_FLIGHT * self._count

    def renew(self) -> bool:
        """A new pool."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = self._start()
        return True

    def close(self) -> None:
        """Cancel what runs, which takes a forward pass, and end the workers."""
        self._stop.value = 1
        self._pool.shutdown(wait=True, cancel_futures=True)


def start_worker(stop: Any, gpus: Any) -> None:
    """Make a new process ready: its GPU, who stops it, and whose death ends it.

    stop: a number in shared memory that is 0 until all shall stop. gpus: a queue of names for
    CUDA_VISIBLE_DEVICES, or None.
    """
    global _stopped
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus.get()
    # Ctrl-C is the parent's to deal with; until here the process was born deaf to it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _stopped = partial(_is_set, stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _is_set(stop: Any) -> bool:
    return bool(stop.value)


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Inside, Ctrl-C waits, and never reaches processes that are started.

    A blocked signal is inherited, by the seconds in which a new process imports torch too. Unlike
    a handler it can be set in any thread, and no Ctrl-C of the parent is lost meanwhile.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows.
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Wait for the parent's end: workers of a killed parent would wait for cells for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def work(cell: Cell, before: CellResult | None, workspace: Workspace) -> CellResult:
    """`measure`, in a process that does nothing else."""
    _settle()
    return measure(cell, before, workspace, cancelled=_stopped)


def work_or_end(cell: Cell, before: CellResult | None, workspace: Workspace) -> CellResult:
    """`work` in a worker process, which ends with its GPU's context.

    After an illegal access, say, all that follows in that process fails as well, and a worker that
    lived on would fail cell after cell. The next process has a context of its own.
    """
    try:
        return work(cell, before, workspace)
    except torch.AcceleratorError:
        os._exit(1)


def work_for_cluster(cell: Cell, before: CellResult | None, workspace: Workspace) -> CellResult:
    """`work` as a task of a Dask worker, which stops once nobody waits for the result."""
    from distributed import get_worker

    _settle()
    worker = get_worker()
    unwanted = partial(_taken_back, worker, worker.get_current_task())
    return measure(cell, before, workspace, cancelled=unwanted)


def _taken_back(worker: Any, key: Any) -> bool:
    """True if the scheduler took back a task that runs: who asked for it cancelled it, or has gone.

    The worker knows by itself, so that this can be asked at every step.
    """
    task = worker.state.tasks.get(key)
    return task is None or task.state == "cancelled"


@lru_cache(maxsize=1)
def _settle() -> None:
    """Once a process: keep freed memory, which a batch process re-uses at once."""
    keep_freed_memory()


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES holds them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return [name.strip() for name in named.split(",") if name.strip()] or [
        str(number) for number in range(torch.cuda.device_count())
    ]


def default_workers(device: str) -> int:
    """One a GPU for "cuda", one a usable core for "cpu", else one. Raises ConfigError."""
    if device == "cuda":
        return max(len(visible_gpus()), 1)
    if pick_device(device).type != "cpu":
        return 1
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def _connect(cluster: str) -> Any:
    """A Dask client. Raises SweepError.

    What is wrong with an address is found out before there is a client: one that fails on the way
    for another reason than its connection stays open, and Python may collect it while another
    starts, where it waits for ever for a lock that the other holds.
    """
    try:
        from distributed import Client
        from distributed.comm.addressing import resolve_address
    except ImportError as error:
        raise SweepError(
            "A sweep on a cluster needs the packages of requirements-cluster.txt."
        ) from error
    address = _address_in(Path(cluster)) if Path(cluster).is_file() else cluster
    try:
        resolve_address(address)
        return Client(address, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise SweepError(f"There is no Dask scheduler at {address}.") from error


def _address_in(file: Path) -> str:
    """The address in a scheduler file. Raises SweepError."""
    try:
        address = json.loads(file.read_bytes())["address"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SweepError(f"The file {file} is no scheduler file of Dask.") from error
    if not isinstance(address, str):
        raise SweepError(f"The file {file} is no scheduler file of Dask.")
    return address


@contextmanager
def _there(client: Any) -> Iterator[None]:
    """Inside, a scheduler that does not answer any more is one sentence. Raises SweepError."""
    try:
        yield
    except Exception as error:
        # A client that has closed raises whatever it stumbles over.
        if isinstance(error, OSError) or client.status in ("closing", "closed"):
            raise SweepError(_GONE) from error
        raise
