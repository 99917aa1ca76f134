"""What all sessions share: one computation for who asks at once, one job for who asks the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from rsc_snn.errors import SettingsError
from rsc_snn.ui import resources


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    st.cache_resource.clear()
    yield
    resources.queue().close()
    st.cache_resource.clear()


def test_what_follows_a_slider_is_computed_once_for_all() -> None:
    together, threads = threading.Barrier(4), []

    def work() -> str:
        threads.append(threading.current_thread().name)
        time.sleep(0.05)
        return "value"

    def ask() -> str:
        together.wait(5)
        return resources.live("key", str, work)

    with ThreadPoolExecutor(4) as pool:
        results = [future.result(10) for future in [pool.submit(ask) for _ in range(4)]]
    assert results == ["value"] * 4
    assert len(threads) == 1 and threads[0].startswith("live")
    assert resources.memo().get("key", str) == "value"


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSC_SNN_LIMIT_QUEUE", "3")
    monkeypatch.setenv("RSC_SNN_LIMIT_REMEMBERED", "1")
    assert resources.queue().status().capacity == 3
    resources.memo().put("a", "a")
    resources.memo().put("b", "b")
    assert len(resources.memo()) == 1


def test_a_bad_limit_is_raised_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("RSC_SNN_LIMIT_QUEUE", "-1")
        with pytest.raises(SettingsError, match="between 1 and"):
            resources.queue()


def _page() -> None:
    """A page with one slow job, which says what became of it."""
    import time

    import streamlit as st

    from rsc_snn.ui.tasks import Slot

    slot = Slot("slow", "the same for all")

    def work(context: object) -> str:
        while True:
            context.check()  # type: ignore[attr-defined]
            time.sleep(0.01)

    if st.button("start"):
        slot.start("Slow", work)
    if st.button("cancel"):
        slot.cancel()
    view = slot.view()
    st.text("none" if view is None else view.state)


def _press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click()
    app.run()
    assert not app.exception


def test_visitors_with_the_same_job_share_it() -> None:
    first, second = (AppTest.from_function(_page, default_timeout=30).run() for _ in range(2))
    _press(first, "start")
    _press(second, "start")
    status = resources.queue().status()
    assert status.waiting + status.running == 1
    _press(first, "cancel")
    assert (first.text[0].value, second.run().text[0].value != "cancelled") == ("cancelled", True)
    _press(second, "cancel")
    resources.queue().close()
    assert second.run().text[0].value == "cancelled"


def test_the_end_of_a_session_is_told_to_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSC_SNN_LIMIT_RECONNECT_SECONDS", "0")
    app = AppTest.from_function(_page, default_timeout=30).run()
    _press(app, "start")
    queue = resources.queue()
    st.cache_resource.clear()  # As the framework does with a session's own when it ends.
    end = time.monotonic() + 5
    while queue.status().running and time.monotonic() < end:
        time.sleep(0.02)
    assert queue.status().running == 0
    queue.close()
