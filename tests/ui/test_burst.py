"""Elements that reach the browser together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from rsc_snn.ui import burst as module
from rsc_snn.ui.burst import burst, flush


class Run:
    """A run of a page, as far as a burst knows one: what was sent, and whether it must stop."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.ended = False
        self.context: Any = SimpleNamespace(_enqueue=self.sent.append, yield_check=self._check)

    def draw(self, message: str) -> None:
        self.context._enqueue(message)

    def _check(self) -> None:
        if self.ended:
            raise InterruptedError


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    run = Run()
    monkeypatch.setattr(module, "get_script_run_ctx", lambda: run.context)
    return run


def test_messages_wait_for_a_flush_or_the_end_and_keep_their_order(run: Run) -> None:
    run.draw("before")
    with burst():
        run.draw("a")
        run.draw("b")
        assert run.sent == ["before"]
        flush()
        assert run.sent == ["before", "a", "b"]
        run.draw("c")
        assert run.sent[-1] == "b"
    assert run.sent == ["before", "a", "b", "c"]
    run.draw("after")
    flush()
    assert run.sent[-1] == "after"


def test_what_was_drawn_before_a_failure_arrives(run: Run) -> None:
    with pytest.raises(ZeroDivisionError), burst():
        run.draw("a")
        raise ZeroDivisionError
    run.draw("b")
    assert run.sent == ["a", "b"]


def test_the_next_move_stops_the_run_at_the_next_element(run: Run) -> None:
    with pytest.raises(InterruptedError), burst():
        run.draw("a")
        run.ended = True
        run.draw("b")
    assert run.sent == ["a"]


def test_without_a_browser_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "get_script_run_ctx", lambda: None)
    with burst():
        flush()


def test_the_framework_sends_what_a_burst_kept() -> None:
    def script() -> None:
        import streamlit as st

        from rsc_snn.ui.burst import burst, flush

        st.text("one")
        with burst():
            st.text("two")
            with st.sidebar:
                st.text("aside")
            flush()
            st.text("three")

    at = AppTest.from_function(script).run()
    assert not at.exception
    assert [text.value for text in at.main.text] == ["one", "two", "three"]
    assert [text.value for text in at.sidebar.text] == ["aside"]
