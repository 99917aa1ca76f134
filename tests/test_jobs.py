"""The job queue: bounds, fair order, cancelling, progress, errors, threads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from rsc_snn.errors import AttackError
from rsc_snn.jobs import JobContext, JobQueue, JobState, JobView, QueueFull


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """Work that waits until it is let go, and notes when it started."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.release = threading.Event()

    def __call__(self, context: JobContext) -> str:
        self.started.set()
        while not self.release.wait(0.005):
            context.check()
        return "released"


@pytest.fixture
def make_queue() -> Iterator[Callable[..., JobQueue]]:
    queues: list[JobQueue] = []

    def make(**options: object) -> JobQueue:
        queues.append(JobQueue(**options))  # type: ignore[arg-type]
        return queues[-1]

    yield make
    for queue in queues:
        queue.close()


def finish(queue: JobQueue, job: int, seconds: float = 5.0) -> JobView:
    """The job once it is finished."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        view = queue.view(job)
        assert view is not None
        if view.state.finished:
            return view
        time.sleep(0.002)
    raise AssertionError(f"not finished after {seconds} s")


def test_result_progress_and_items(make_queue: Callable[..., JobQueue]) -> None:
    queue = make_queue()
    gate = Gate()

    def work(context: JobContext) -> int:
        context.progress(0.25)
        context.publish("a")
        context.publish("b")
        gate(context)
        context.progress(7)
        return 42

    job = queue.submit("me", "sum", work)
    assert gate.started.wait(5)
    running = queue.view(job)
    assert running is not None
    assert (running.state, running.place, running.progress) == (JobState.RUNNING, 0, 0.25)
    assert running.items == ("a", "b")
    gate.release.set()
    done = finish(queue, job)
    assert (done.state, done.result, done.error, done.progress) == (JobState.DONE, 42, None, 1.0)


def test_owners_take_turns(make_queue: Callable[..., JobQueue]) -> None:
    queue = make_queue(per_owner=9)
    gate = Gate()
    queue.submit("first", "gate", gate)
    assert gate.started.wait(5)
    ran: list[str] = []
    names = ["a1", "a2", "a3", "b1", "c1"]
    jobs = {
        name: queue.submit(name[0], name, lambda _, name=name: ran.append(name)) for name in names
    }
    places = {name: view.place for name, job in jobs.items() if (view := queue.view(job))}
    assert places == {"a1": 1, "b1": 2, "c1": 3, "a2": 4, "a3": 5}
    gate.release.set()
    for job in jobs.values():
        finish(queue, job)
    assert ran == ["a1", "b1", "c1", "a2", "a3"]


def test_capacity_and_owner_limits(make_queue: Callable[..., JobQueue]) -> None:
    queue = make_queue(capacity=2, per_owner=1)
    gate = Gate()
    queue.submit("a", "gate", gate)
    assert gate.started.wait(5)
    with pytest.raises(QueueFull, match="already have 1"):
        queue.submit("a", "second", gate)
    queue.submit("b", "waits", lambda _: None)
    queue.submit("c", "waits", lambda _: None)
    with pytest.raises(QueueFull, match="Too many"):
        queue.submit("d", "no room", lambda _: None)


def test_a_cancelled_job_that_still_winds_down_does_not_count(
    make_queue: Callable[..., JobQueue],
) -> None:
    queue = make_queue(per_owner=1)
    started, release = threading.Event(), threading.Event()

    def deaf(_: JobContext) -> None:
        started.set()
        release.wait(5)

    first = queue.submit("a", "deaf", deaf)
    assert started.wait(5)
    queue.cancel(first)
    second = queue.submit("a", "next", lambda _: "ok")
    release.set()
    assert finish(queue, second).result == "ok"


def test_cancel_running_and_queued(make_queue: Callable[..., JobQueue]) -> None:
    queue = make_queue()
    gate, ran = Gate(), threading.Event()
    running = queue.submit("a", "gate", gate)
    waiting = queue.submit("b", "never", lambda _: ran.set())
    assert gate.started.wait(5)
    queue.cancel(waiting)
    view = queue.view(waiting)
    assert view is not None and view.state is JobState.CANCELLED
    queue.cancel(running)
    assert finish(queue, running).state is JobState.CANCELLED
    after = queue.submit("a", "next", lambda _: "ok")
    assert finish(queue, after).result == "ok"
    assert not ran.is_set()
    queue.cancel(after)
    assert finish(queue, after).state is JobState.DONE


def test_errors_become_sentences(
    make_queue: Callable[..., JobQueue], caplog: pytest.LogCaptureFixture
) -> None:
    queue = make_queue()

    def known(_: JobContext) -> None:
        raise AttackError("Epsilon must be positive.")

    def unknown(_: JobContext) -> None:
        raise KeyError("secret/path")

    first = finish(queue, queue.submit("a", "known", known))
    assert (first.state, first.error) == (JobState.FAILED, "Epsilon must be positive.")
    with caplog.at_level(logging.ERROR):
        second = finish(queue, queue.submit("a", "unknown", unknown))
    assert second.state is JobState.FAILED
    assert second.error is not None and "secret" not in second.error
    assert "secret/path" in caplog.text


def test_abandoned_jobs_stop(make_queue: Callable[..., JobQueue]) -> None:
    clock = Clock()
    queue = make_queue(abandon_after=10, clock=clock)
    gate, ran = Gate(), threading.Event()
    queue.submit("gone", "gate", gate)
    assert gate.started.wait(5)
    queue.submit("gone", "also gone", lambda _: ran.set())
    clock.now += 11
    job = queue.submit("here", "next", lambda _: "ok")
    assert finish(queue, job).result == "ok"
    assert not ran.is_set()


def test_finished_jobs_are_forgotten(make_queue: Callable[..., JobQueue]) -> None:
    queue = make_queue(keep=2)
    jobs = []
    for index in range(4):
        jobs.append(queue.submit("a", str(index), lambda _: None))
        finish(queue, jobs[-1])
    assert [queue.view(job) is None for job in jobs] == [True, True, False, False]


def test_many_threads(make_queue: Callable[..., JobQueue]) -> None:
    queue = make_queue(workers=3, capacity=1000, per_owner=1000, keep=1000)
    results: dict[int, int] = {}

    def client(owner: int) -> None:
        for index in range(20):
            value = owner * 100 + index
            job = queue.submit(owner, "square", lambda _, value=value: value * value)
            results[value] = finish(queue, job).result

    threads = [threading.Thread(target=client, args=(owner,)) for owner in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 120
    assert all(result == value * value for value, result in results.items())


def test_close_stops_running_work() -> None:
    queue, gate = JobQueue(), Gate()
    job = queue.submit("a", "gate", gate)
    assert gate.started.wait(5)
    queue.close()
    view = queue.view(job)
    assert view is not None and view.state is JobState.CANCELLED
    with pytest.raises(QueueFull):
        queue.submit("a", "late", lambda _: None)
