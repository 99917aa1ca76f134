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
    """A job at one moment, as one of those who asked for it sees it.

    place: jobs that will run before it, plus one (1 = next); 0 once it has started. progress: 0..1.
    items: partial results so far. error: a sentence, or None. seconds: since it started. pace: how
    far it is, in words, if it says so. notes: sentences about how it runs.
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
    pace: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class QueueStatus:
    """How busy a queue is: jobs that wait, jobs that run, and how many may wait."""

    waiting: int
    running: int
    capacity: int


class JobContext:
    """What a job's function gets: report progress, publish partial results, ask for a stop."""

    def __init__(self, job: _Job, lock: threading.Lock, should_stop: Callable[[], bool]) -> None:
        self._job = job
        self._lock = lock
        self._should_stop = should_stop

    def progress(self, share: float, pace: str = "") -> None:
        """Show `share` (0..1, clipped) as done. pace: the same in words, with what is left."""
        with self._lock:
            self._job.progress = min(max(float(share), 0.0), 1.0)
            self._job.pace = pace

    def note(self, sentence: str) -> None:
        """Say something about how the job runs, while it does."""
        with self._lock:
            self._job.notes.append(sentence)

    def advise(self, sentence: str) -> None:
        """What to tell whoever waits if the job takes longer than it may, in place of the usual."""
        with self._lock:
            self._job.advice = sentence

    def publish(self, item: Any) -> None:
        """Add one partial result."""
        with self._lock:
            self._job.items.append(item)

    def cancelled(self) -> bool:
        """True if the function should stop: cancelled, out of time, or nobody asks any more."""
        return self._job.stop.is_set() or self._should_stop()

    def check(self) -> None:
        """Raise Cancelled if the function should stop."""
        if self.cancelled():
            raise Cancelled(_CANCELLED)


Work = Callable[[JobContext], Any]


@dataclass(eq=False)
class _Ticket:
    """One owner's share in a job. left: cancelled, while others go on waiting for the job."""

    id: int
    owner: Hashable
    job: _Job
    asked: float
    left: bool = False


@dataclass(eq=False)
class _Job:
    label: str
    work: Work
    key: Hashable
    tickets: list[_Ticket] = field(default_factory=list)
    state: JobState = JobState.QUEUED
    progress: float = 0.0
    pace: str = ""
    advice: str = "Choose fewer steps, draws or time steps."
    notes: list[str] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)
    result: Any = None
    error: str | None = None
    started: float | None = None
    ended: float | None = None
    size: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def held(self) -> list[_Ticket]:
        """The shares of those who have not left, the first who asked first."""
        return [ticket for ticket in self.tickets if not ticket.left]

    @property
    def turn(self) -> _Ticket:
        """The share that decides when the job's turn comes."""
        return self.held[0]


class JobQueue:
    """Runs jobs on `workers` daemon threads, at most `capacity` waiting, `per_owner` of each owner.

    The next job is of the owner served longest ago, in the order of submission within an owner.
    Owners who ask for the same `key` share one job, which ends when the last of them cancels. A
    job whose state nobody has asked for (`view`) in `abandon_after` seconds is cancelled: its page
    was closed. One that runs for over `time_limit` seconds fails. The last `keep` finished jobs
    stay readable, fewer if their results have over `keep_bytes` by `size`. Each worker thread
    first calls `prepare`. Safe to use from any thread.
    """

    def __init__(
        self,
        workers: int = 1,
        capacity: int = 16,
        per_owner: int = 2,
        keep: int = 64,
        abandon_after: float = _ABANDON_SECONDS,
        time_limit: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        prepare: Callable[[], object] | None = None,
        size: Callable[[object], int] | None = None,
        keep_bytes: int = 0,
    ) -> None:
        self._prepare = prepare
        self._capacity = capacity
        self._per_owner = per_owner
        self._keep = keep
        self._abandon_after = abandon_after
        self._time_limit = time_limit
        self._clock = clock
        self._size = size
        self._keep_bytes = keep_bytes
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._jobs: list[_Job] = []
        self._tickets: dict[int, _Ticket] = {}
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

    def submit(self, owner: Hashable, label: str, work: Work, key: Hashable = None) -> int:
        """Queue `work` and return a number to ask for it by. Raises QueueFull with a sentence.

        key: everything that determines the result. If a job of the same key waits or runs, it is
        shared and `work` is not called. None: a job of its own.
        """
        with self._wake:
            self._drop_abandoned()
            job = self._same(key)
            if job is None:
                self._check_room(owner, joins=False)
                job = _Job(label, work, key)
                self._jobs.append(job)
            return self._share(owner, job)

    def join(self, owner: Hashable, key: Hashable) -> int | None:
        """A share in the job of `key` that waits or runs, as `submit` gives it; None without one.

        For an owner who comes back under another name, as a reloaded page does, or who finds that
        another has asked already. Raises QueueFull with a sentence.
        """
        with self._wake:
            job = self._same(key)
            return None if job is None else self._share(owner, job)

    def _share(self, owner: Hashable, job: _Job) -> int:
        known = [ticket for ticket in job.held if ticket.owner == owner]
        if known:
            known[0].asked = self._clock()
            return known[0].id
        self._check_room(owner, joins=True)
        ticket = _Ticket(next(self._ids), owner, job, self._clock())
        job.tickets.append(ticket)
        self._tickets[ticket.id] = ticket
        self._wake.notify()
        return ticket.id

    def _same(self, key: Hashable) -> _Job | None:
        if key is None:
            return None
        alive = (job for job in self._unfinished() if job.key == key and not job.stop.is_set())
        return next(alive, None)

    def _check_room(self, owner: Hashable, *, joins: bool) -> None:
        """Raise QueueFull if there is none for one more job, or one more share, of `owner`."""
        if self._closed or (not joins and len(self._waiting()) >= self._capacity):
            raise QueueFull("Too many computations are waiting; please try again in a minute.")
        mine = [
            ticket
            for job in self._unfinished()
            for ticket in job.held
            if ticket.owner == owner and not job.stop.is_set()
        ]
        if len(mine) >= self._per_owner:
            several = self._per_owner > 1
            noun = f"{self._per_owner} computations" if several else "a computation"
            raise QueueFull(
                f"You already have {noun} under way; wait for {'one' if several else 'it'} or "
                f"cancel {'one' if several else 'it'}."
            )

    def view(self, job_id: int) -> JobView | None:
        """The job now, or None if it is long gone. Asking keeps the job alive."""
        with self._lock:
            ticket = self._tickets.get(job_id)
            if ticket is None:
                return None
            job, now = ticket.job, self._clock()
            ticket.asked = now
            seconds = 0.0 if job.started is None else (job.ended or now) - job.started
            return JobView(
                id=job_id,
                label=job.label,
                state=JobState.CANCELLED if ticket.left else job.state,
                place=0 if ticket.left else self._place(job),
                progress=job.progress,
                items=tuple(job.items),
                result=None if ticket.left else job.result,
                error=_CANCELLED if ticket.left else job.error,
                seconds=seconds,
                pace=job.pace,
                notes=tuple(job.notes),
            )

    def cancel(self, job_id: int) -> None:
        """Stop a job: a waiting one at once, a running one when its function next asks.

        A job that others wait for goes on without this owner.
        """
        with self._lock:
            ticket = self._tickets.get(job_id)
            if ticket is None or ticket.left or ticket.job.state.finished:
                return
            if len(ticket.job.held) > 1:
                ticket.left = True
            else:
                self._stop(ticket.job)

    def leave(self, owner: Hashable, grace: float = 0.0) -> None:
        """Take the jobs of `owner` as abandoned unless asked for (`view`) within `grace` seconds.

        For an owner whose connection has ended: a page that was closed never asks again, one that
        connects anew does.
        """
        with self._lock:
            last = self._clock() - self._abandon_after + grace
            for ticket in self._tickets.values():
                if ticket.owner == owner:
                    ticket.asked = min(ticket.asked, last)

    def status(self) -> QueueStatus:
        """How busy the queue is."""
        with self._lock:
            self._drop_abandoned()
            waiting = len(self._waiting())
            return QueueStatus(waiting, len(self._unfinished()) - waiting, self._capacity)

    def close(self, timeout: float = 5.0) -> None:
        """Cancel everything and wait for the threads."""
        with self._wake:
            self._closed = True
            for job in self._unfinished():
                self._stop(job)
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(timeout)

    def _stop(self, job: _Job) -> None:
        job.stop.set()
        if job.state is JobState.QUEUED:
            self._finish(job, JobState.CANCELLED, error=_CANCELLED)

    def _unfinished(self) -> list[_Job]:
        return [job for job in self._jobs if not job.state.finished]

    def _waiting(self) -> list[_Job]:
        return [job for job in self._jobs if job.state is JobState.QUEUED]

    def _order(self) -> list[_Job]:
        """The waiting jobs in the order in which they will run if nothing else comes."""
        waiting = self._waiting()
        served = dict(self._served)
        turns = itertools.count(max(served.values(), default=0) + 1)
        order = []
        while waiting:
            job = min(waiting, key=lambda job: (served.get(job.turn.owner, 0), job.turn.id))
            waiting.remove(job)
            served[job.turn.owner] = next(turns)
            order.append(job)
        return order

    def _place(self, job: _Job) -> int:
        return self._order().index(job) + 1 if job.state is JobState.QUEUED else 0

    def _is_abandoned(self, job: _Job) -> bool:
        now = self._clock()
        return all(now - ticket.asked > self._abandon_after for ticket in job.held)

    def _is_late(self, job: _Job) -> bool:
        assert job.started is not None
        return self._time_limit is not None and self._clock() - job.started > self._time_limit

    def _drop_abandoned(self) -> None:
        for job in self._waiting():
            if self._is_abandoned(job):
                self._finish(job, JobState.CANCELLED, error=_CANCELLED)

    def _finish(
        self, job: _Job, state: JobState, *, result: Any = None, error: str | None = None
    ) -> None:
        job.state, job.result, job.error, job.ended = state, result, error, self._clock()
        job.size = 0 if self._size is None else self._size((result, job.items))
        self._forget_finished()
        owners = {ticket.owner for ticket in self._tickets.values()}
        self._served = {owner: turn for owner, turn in self._served.items() if owner in owners}

    def _forget_finished(self) -> None:
        """Keep as many of the last finished jobs as the bounds allow, the very last always."""
        finished = sorted(
            (job for job in self._jobs if job.state.finished), key=lambda job: job.ended or 0.0
        )
        total = sum(job.size for job in finished)  # 0 where sizes are not asked for
        while len(finished) > self._keep or (len(finished) > 1 and total > self._keep_bytes):
            oldest = finished.pop(0)
            total -= oldest.size
            self._jobs.remove(oldest)
            for ticket in oldest.tickets:
                del self._tickets[ticket.id]

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
                self._served[job.turn.owner] = next(self._turns)
            self._run(job)

    def _run(self, job: _Job) -> None:
        def should_stop() -> bool:
            with self._lock:
                return self._is_abandoned(job) or self._is_late(job)

        context = JobContext(job, self._lock, should_stop)
        result, error, state = None, None, JobState.DONE
        try:
            context.check()
            result = job.work(context)
        except Cancelled:
            state, error = self._why_stopped(job)
        except RscSnnError as failure:
            state, error = JobState.FAILED, str(failure)
        except Exception:
            _LOG.exception("The job %r failed.", job.label)
            state, error = JobState.FAILED, _UNKNOWN_FAILURE
        with self._wake:
            self._finish(job, state, result=result, error=error)

    def _why_stopped(self, job: _Job) -> tuple[JobState, str]:
        if not job.stop.is_set() and self._is_late(job):
            return JobState.FAILED, (
                f"The computation took over {self._time_limit:g} s, the most it may take here. "
                f"{job.advice}"
            )
        return JobState.CANCELLED, _CANCELLED
