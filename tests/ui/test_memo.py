"""The bounded memory of results."""

from __future__ import annotations

import threading

from rsc_snn.ui.memo import Memo


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
