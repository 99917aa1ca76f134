"""One bounded queue for the heavy work of the app: fair order, progress, cancelling, limits.

`concurrent.futures.ThreadPoolExecutor` runs functions in threads too, but it has no limit on what
waits, takes strictly the first come (one person with many jobs would hold up all others), cannot
stop a running function and knows neither progress nor partial results. Hence this module; it
knows nothing of the web framework.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rsc_snn.errors import Cancelled, RscSnnError

_LOG = logging.getLogger(__name__)
_ABANDON_SECONDS = 120.0
_UNKNOWN_FAILURE = "Something went wrong in this computation; the details are in the app's log."
_CANCELLED = "The computation was cancelled."


class QueueFull(RscSnnError):
    """The queue takes no more work now."""


class JobState(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """True if nothing more will happen to the job."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True)
class JobView:
    """A job at one moment.

    place: jobs that will run before it, plus one (1 = next); 0 once it has started. progress: 0..1.
    items: partial results so far. error: a sentence, or None. seconds: since it started.
    """

    id: int
    label: str
    state: JobState
    place: int
    progress: float
    items: tuple[Any, ...]
    result: Any
    error: str | None
    seconds: float


class JobContext:
    """What a job's function gets: report progress, publish partial results, ask for a stop."""

    def __init__(self, job: _Job, lock: threading.Lock, abandoned: Callable[[], bool]) -> None:
        self._job = job
        self._lock = lock
        self._abandoned = abandoned

    def progress(self, share: float) -> None:
        """Show `share` (0..1, clipped) as done."""
        with self._lock:
            self._job.progress = min(max(float(share), 0.0), 1.0)

    def publish(self, item: Any) -> None:
        """Add one partial result."""
        with self._lock:
            self._job.items.append(item)

    def cancelled(self) -> bool:
        """True if the function should stop: somebody cancelled, or nobody asks any more."""
        return self._job.stop.is_set() or self._abandoned()

    def check(self) -> None:
        """Raise Cancelled if the function should stop."""
        if self.cancelled():
            raise Cancelled(_CANCELLED)


Work = Callable[[JobContext], Any]


@dataclass
class _Job:
    id: int
    owner: Hashable
    label: str
    work: Work
    asked: float
    state: JobState = JobState.QUEUED
    progress: float = 0.0
    items: list[Any] = field(default_factory=list)
    result: Any = None
    error: str | None = None
    started: float | None = None
    ended: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)


class JobQueue:
    """Runs jobs on `workers` daemon threads, at most `capacity` waiting, `per_owner` of each owner.

    The next job is of the owner served longest ago, in the order of submission within an owner.
    A job whose state nobody has asked for (`view`) in `abandon_after` seconds is cancelled: its
    page was closed. The last `keep` finished jobs stay readable. Each worker thread first calls
    `prepare`. Safe to use from any thread.
    """

    def __init__(
        self,
        workers: int = 1,
        capacity: int = 16,
        per_owner: int = 2,
        keep: int = 64,
        abandon_after: float = _ABANDON_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self._prepare = prepare
        self._capacity = capacity
        self._per_owner = per_owner
        self._keep = keep
        self._abandon_after = abandon_after
        self._clock = clock
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._jobs: OrderedDict[int, _Job] = OrderedDict()
        self._ids = itertools.count(1)
        self._turns = itertools.count(1)
        self._served: dict[Hashable, int] = {}
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"jobs-{index}", daemon=True)
            for index in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, owner: Hashable, label: str, work: Work) -> int:
        """Queue `work` and return the job's id. Raises QueueFull with a sentence."""
        with self._wake:
            self._drop_abandoned()
            waiting = self._waiting()
            if self._closed or len(waiting) >= self._capacity:
                raise QueueFull("Too many computations are waiting; please try again in a minute.")
            mine = [job for job in self._unfinished() if job.owner == owner]
            if sum(not job.stop.is_set() for job in mine) >= self._per_owner:
                raise QueueFull(
                    f"You already have {self._per_owner} computations under way; "
                    "wait for one or cancel it."
                )
            job = _Job(next(self._ids), owner, label, work, self._clock())
            self._jobs[job.id] = job
            self._wake.notify()
            return job.id

    def view(self, job_id: int) -> JobView | None:
        """The job now, or None if it is long gone. Asking keeps the job alive."""
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None:
                return None
            now = self._clock()
            job.asked = now
            seconds = 0.0 if job.started is None else (job.ended or now) - job.started
            return JobView(
                id=job.id,
                label=job.label,
                state=job.state,
                place=self._place(job),
                progress=job.progress,
                items=tuple(job.items),
                result=job.result,
                error=job.error,
                seconds=seconds,
            )

    def cancel(self, job_id: int) -> None:
        """Stop a job: a waiting one at once, a running one when its function next asks."""
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None or job.state.finished:
                return
            job.stop.set()
            if job.state is JobState.QUEUED:
                self._finish(job, JobState.CANCELLED, error=_CANCELLED)

    def close(self, timeout: float = 5.0) -> None:
        """Cancel everything and wait for the threads."""
        with self._wake:
            self._closed = True
            for job in self._unfinished():
                job.stop.set()
                if job.state is JobState.QUEUED:
                    self._finish(job, JobState.CANCELLED, error=_CANCELLED)
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(timeout)

    def _unfinished(self) -> list[_Job]:
        return [job for job in self._jobs.values() if not job.state.finished]

    def _waiting(self) -> list[_Job]:
        return [job for job in self._jobs.values() if job.state is JobState.QUEUED]

    def _order(self) -> list[_Job]:
        """The waiting jobs in the order in which they will run if nothing else comes."""
        waiting = self._waiting()
        served = dict(self._served)
        turns = itertools.count(max(served.values(), default=0) + 1)
        order = []
        while waiting:
            job = min(waiting, key=lambda candidate: (served.get(candidate.owner, 0), candidate.id))
            waiting.remove(job)
            served[job.owner] = next(turns)
            order.append(job)
        return order

    def _place(self, job: _Job) -> int:
        return self._order().index(job) + 1 if job.state is JobState.QUEUED else 0

    def _is_abandoned(self, job: _Job) -> bool:
        return self._clock() - job.asked > self._abandon_after

    def _drop_abandoned(self) -> None:
        for job in self._waiting():
            if self._is_abandoned(job):
                self._finish(job, JobState.CANCELLED, error=_CANCELLED)

    def _finish(
        self, job: _Job, state: JobState, *, result: Any = None, error: str | None = None
    ) -> None:
        job.state, job.result, job.error, job.ended = state, result, error, self._clock()
        finished = [other.id for other in self._jobs.values() if other.state.finished]
        for job_id in finished[: max(len(finished) - self._keep, 0)]:
            del self._jobs[job_id]
        owners = {other.owner for other in self._jobs.values()}
        self._served = {owner: turn for owner, turn in self._served.items() if owner in owners}

    def _serve(self) -> None:
        if self._prepare is not None:
            self._prepare()
        while True:
            with self._wake:
                self._drop_abandoned()
                while not (self._closed or self._waiting()):
                    self._wake.wait()
                if self._closed:
                    return
                job = self._order()[0]
                job.state, job.started = JobState.RUNNING, self._clock()
                self._served[job.owner] = next(self._turns)
            self._run(job)

    def _run(self, job: _Job) -> None:
        context = JobContext(job, self._lock, lambda: self._is_abandoned(job))
        result, error, state = None, None, JobState.DONE
        try:
            context.check()
            result = job.work(context)
        except Cancelled:
            state, error = JobState.CANCELLED, _CANCELLED
        except RscSnnError as failure:
            state, error = JobState.FAILED, str(failure)
        except Exception:
            _LOG.exception("The job %r failed.", job.label)
            state, error = JobState.FAILED, _UNKNOWN_FAILURE
        with self._wake:
            self._finish(job, state, result=result, error=error)
