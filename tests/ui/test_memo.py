"""The bounded memory of results."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rsc_snn.errors import AttackError, Cancelled
from rsc_snn.ui.memo import Memo, size_of


def test_computes_once_and_checks_the_kind() -> None:
    memo, calls = Memo(4), []
    for _ in range(3):
        assert memo.compute("key", str, lambda: calls.append(1) or "value") == "value"
    assert len(calls) == 1
    assert memo.get("key", str) == "value"
    assert memo.get("key", int) is None
    assert memo.get("other", str) is None


def test_forgets_what_was_used_longest_ago() -> None:
    memo = Memo(2)
    memo.put("a", 1)
    memo.put("b", 2)
    assert memo.get("a", int) == 1
    memo.put("c", 3)
    assert memo.get("b", int) is None
    assert (memo.get("a", int), memo.get("c", int), len(memo)) == (1, 3, 2)


def test_stays_bounded_under_threads() -> None:
    memo = Memo(8)

    def work(start: int) -> None:
        for index in range(500):
            key = (start * 7 + index) % 40
            assert memo.compute(key, int, lambda key=key: key) == key

    threads = [threading.Thread(target=work, args=(start,)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(memo) == 8


def test_keeps_within_its_bytes() -> None:
    memo = Memo(100, most_bytes=100)
    for key in range(4):
        memo.put(key, np.zeros(30, np.uint8))
    assert [memo.get(key, np.ndarray) is None for key in range(4)] == [True, False, False, False]
    assert (memo.nbytes, len(memo)) == (90, 3)
    memo.put(3, np.zeros(70, np.uint8))
    assert [memo.get(key, np.ndarray) is None for key in range(4)] == [True, True, False, False]
    assert memo.nbytes == 100
    memo.put("huge", np.zeros(101, np.uint8))
    assert memo.get("huge", np.ndarray) is None and memo.nbytes == 100
    memo.put(3, np.zeros(101, np.uint8))
    assert memo.get(3, np.ndarray) is None and memo.nbytes == 30


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 60)), max_size=60),
    st.integers(1, 8),
    st.integers(1, 100),
)
def test_never_exceeds_its_bounds(puts: list[tuple[int, int]], most: int, most_bytes: int) -> None:
    memo = Memo(most, most_bytes, size=lambda value: value)  # type: ignore[arg-type, return-value]
    for key, value in puts:
        memo.put(key, value)
        kept = [found for each in range(10) if (found := memo.get(each, int)) is not None]
        assert memo.nbytes == sum(kept) <= most_bytes
        assert len(memo) == len(kept) <= most
        assert (memo.get(key, int) == value) == (value <= most_bytes)


@dataclass(frozen=True)
class _Part:
    spikes: np.ndarray
    name: str = "part"


@dataclass(frozen=True)
class _Whole:
    parts: tuple[_Part, ...]
    by_name: dict[str, object]


def test_size_counts_arrays_at_any_depth_once() -> None:
    array = np.zeros((4, 250))
    assert size_of(array) == size_of(array[:1]) == size_of(array[1:][0].reshape(-1)) == 8000
    tensor = torch.zeros(10, 100)
    assert size_of(tensor) == size_of(tensor[2]) == size_of(tensor[1:].numpy()) == 4000
    part = _Part(array)
    whole = _Whole((part, part, _Part(array[2])), {"a": [torch.zeros(10, 100)], "b": array})
    assert 12_000 <= size_of(whole) < 12_000 + 2500
    loop: list[object] = [b"x" * 1000]
    loop.append(loop)
    assert 1000 <= size_of(loop) < 1300


def test_threads_that_ask_at_once_share_one_run() -> None:
    memo, calls, together = Memo(4), [], threading.Barrier(6)
    results: list[str] = []

    def work() -> str:
        calls.append(1)
        time.sleep(0.05)
        return "value"

    def ask() -> None:
        together.wait()
        results.append(memo.compute("key", str, work))

    _run_all([ask] * 6)
    assert (len(calls), results) == (1, ["value"] * 6)


def test_threads_share_a_value_that_is_too_large_to_remember() -> None:
    memo, calls, together = Memo(4, most_bytes=1), [], threading.Barrier(3)

    def work() -> bytes:
        calls.append(1)
        time.sleep(0.05)
        return b"large"

    def ask() -> None:
        together.wait()
        assert memo.compute("key", bytes, work) == b"large"

    _run_all([ask] * 3)
    assert (len(calls), len(memo)) == (1, 0)


@pytest.mark.parametrize(
    ("error", "seen"), [(AttackError("no"), ["no", "no"]), (Cancelled("stop"), ["ok", "stop"])]
)
def test_an_error_is_shared_but_a_stop_is_not(error: Exception, seen: list[str]) -> None:
    memo, inside, asked = Memo(4), threading.Event(), threading.Event()
    results: list[str] = []

    def fail() -> str:
        inside.set()
        asked.wait(5)
        time.sleep(0.05)
        raise error

    def lead() -> None:
        with pytest.raises(type(error)) as caught:
            memo.compute("key", str, fail)
        results.append(str(caught.value))

    def follow() -> None:
        inside.wait(5)
        asked.set()
        try:
            results.append(memo.compute("key", str, lambda: "ok"))
        except AttackError as failure:
            results.append(str(failure))

    _run_all([lead, follow])
    assert sorted(results) == seen
    assert memo.compute("key", str, lambda: "ok") == "ok"


def _run_all(functions: list[Callable[[], None]]) -> None:
    """Run each in a thread of its own, and raise what one of them raises."""
    with ThreadPoolExecutor(len(functions)) as pool:
        for future in [pool.submit(function) for function in functions]:
            future.result(10)
