"""The job queue: bounds, fair order, cancelling, progress, errors, threads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from rsc_snn.errors import AttackError
from rsc_snn.jobs import JobContext, JobQueue, JobState, JobView, QueueFull, QueueStatus


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
    with pytest.raises(QueueFull, match="already have a computation under way; wait for it"):
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


def test_equal_work_of_two_owners_is_done_once(make_queue: Callable[..., JobQueue]) -> None:
    queue = make_queue(capacity=1, per_owner=2)
    gate, calls = Gate(), []

    def work(context: JobContext) -> list[str]:
        calls.append("work")
        context.publish("item")
        return calls

    blocker = queue.submit("z", "gate", gate)
    assert gate.started.wait(5)
    first = queue.submit("a", "sum", work, key=("sum", 1))
    assert queue.submit("a", "sum", work, key=("sum", 1)) == first
    # A share takes no room in the full queue; other work, or the same without a key, has none.
    second = queue.submit("b", "sum", work, key=("sum", 1))
    for key in (("sum", 2), None):
        with pytest.raises(QueueFull, match="Too many"):
            queue.submit("b", "sum", work, key=key)
    assert second != first
    assert [view.place for job in (first, second) if (view := queue.view(job))] == [1, 1]
    gate.release.set()
    views = [finish(queue, job) for job in (first, second)]
    assert [view.result for view in views] == [["work"], ["work"]]
    assert [view.items for view in views] == [("item",), ("item",)]
    assert finish(queue, blocker).result == "released"
    third = queue.submit("a", "sum", work, key=("sum", 1))
    assert finish(queue, third).result == ["work", "work"]


def test_a_page_that_was_reloaded_joins_the_job_of_the_old_one(
    make_queue: Callable[..., JobQueue],
) -> None:
    clock, gate = Clock(), Gate()
    queue = make_queue(clock=clock, abandon_after=60.0)
    assert queue.join("new", "grid") is None, "nothing to join"
    queue.submit("old", "gate", gate, key="grid")
    assert gate.started.wait(5)
    queue.leave("old", grace=10.0)
    clock.now += 5
    job = queue.join("new", "grid")
    assert job is not None and queue.join("new", "grid") == job
    clock.now += 30
    assert queue.status().running == 1, "the old page is gone, the new one is not"
    gate.release.set()
    assert finish(queue, job).result == "released"
    assert queue.join("new", "grid") is None, "it has ended"


def test_shared_work_goes_on_until_the_last_cancels(make_queue: Callable[..., JobQueue]) -> None:
    queue, gate = make_queue(), Gate()
    first = queue.submit("a", "gate", gate, key="gate")
    second = queue.submit("b", "gate", gate, key="gate")
    assert gate.started.wait(5)
    queue.cancel(first)
    views = [queue.view(job) for job in (first, second)]
    assert [view.state for view in views if view] == [JobState.CANCELLED, JobState.RUNNING]
    again = queue.submit("a", "gate", gate, key="gate")
    queue.cancel(second)
    assert (view := queue.view(again)) is not None and view.state is JobState.RUNNING
    queue.cancel(again)
    assert finish(queue, again).state is JobState.CANCELLED


def test_nobody_joins_work_that_was_told_to_stop(make_queue: Callable[..., JobQueue]) -> None:
    queue = make_queue()
    started, release = threading.Event(), threading.Event()

    def deaf(_: JobContext) -> str:
        started.set()
        release.wait(5)
        return "first"

    first = queue.submit("a", "deaf", deaf, key="same")
    assert started.wait(5)
    queue.cancel(first)
    job = queue.submit("b", "next", lambda _: "second", key="same")
    release.set()
    assert finish(queue, job).result == "second"


def test_work_out_of_time_fails(make_queue: Callable[..., JobQueue]) -> None:
    clock = Clock()
    queue, gate = make_queue(time_limit=60, clock=clock), Gate()
    job = queue.submit("a", "gate", gate)
    assert gate.started.wait(5)
    clock.now += 60
    assert (view := queue.view(job)) is not None and view.state is JobState.RUNNING
    clock.now += 1
    done = finish(queue, job)
    assert done.state is JobState.FAILED
    assert done.error is not None and "over 60 s" in done.error and done.error.endswith(".")


def test_work_may_say_what_to_do_when_it_is_out_of_time(
    make_queue: Callable[..., JobQueue],
) -> None:
    clock = Clock()
    queue = make_queue(time_limit=60, clock=clock)

    def advise(context: JobContext) -> None:
        context.advise("All is kept; go on.")
        clock.now += 61
        context.check()

    done = finish(queue, queue.submit("a", "advise", advise))
    assert done.error is not None and done.error.endswith("here. All is kept; go on.")


def test_who_leaves_and_does_not_come_back_is_not_waited_for(
    make_queue: Callable[..., JobQueue],
) -> None:
    clock = Clock()
    queue, gate = make_queue(clock=clock), Gate()
    gone = queue.submit("gone", "gate", gate)
    assert gate.started.wait(5)
    shared = queue.submit("gone", "shared", lambda _: "ok", key="shared")
    back = queue.submit("back", "shared", lambda _: "ok", key="shared")
    queue.leave("gone", grace=10)
    queue.leave("back", grace=10)
    clock.now += 9
    assert (view := queue.view(back)) is not None and view.state is JobState.QUEUED
    clock.now += 2
    assert finish(queue, back).result == "ok"
    states = [view.state for job in (gone, shared) if (view := queue.view(job))]
    assert states == [JobState.CANCELLED, JobState.DONE]


def test_status_counts(make_queue: Callable[..., JobQueue]) -> None:
    queue, gate = make_queue(capacity=3), Gate()
    assert queue.status() == QueueStatus(waiting=0, running=0, capacity=3)
    queue.submit("a", "gate", gate)
    assert gate.started.wait(5)
    queue.submit("b", "gate", gate)
    assert queue.status() == QueueStatus(waiting=1, running=1, capacity=3)


def test_large_results_are_forgotten_first_come_first(
    make_queue: Callable[..., JobQueue],
) -> None:
    queue = make_queue(size=lambda value: len(value[0]), keep_bytes=10)
    jobs = []
    for text in ("four", "four", "three", "a long text on its own"):
        jobs.append(queue.submit("a", text, lambda _, text=text: text))
        assert finish(queue, jobs[-1]).result == text
    assert [queue.view(job) is None for job in jobs] == [True, True, True, False]
    jobs = [queue.submit("a", "text", lambda _: "four") for _ in range(2)]
    assert [finish(queue, job).result for job in jobs] == ["four", "four"]


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


def test_a_job_says_how_far_it_is_and_how_it_runs(make_queue: Callable[..., JobQueue]) -> None:
    gate = Gate()

    def work(context: JobContext) -> str:
        context.progress(0.5, "2 of 4 points")
        context.note("It has company.")
        return gate(context)

    queue = make_queue()
    job = queue.submit("ann", "points", work)
    assert gate.started.wait(5)
    view = queue.view(job)
    assert view is not None
    assert (view.progress, view.pace, view.notes) == (0.5, "2 of 4 points", ("It has company.",))
    gate.release.set()
    finish(queue, job)
