"""Heavy work on a page: a button, progress, a place in line, and a button to cancel."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass

import streamlit as st

from rsc_snn.jobs import JobState, JobView, QueueFull, Work
from rsc_snn.ui import resources
from rsc_snn.ui.errors import shown_errors

POLL_SECONDS = 0.4
# Well within the time that a browser has to connect again after a failure of the network.
_KEEP_SECONDS = 3.0
_STATE = "job."


@dataclass(frozen=True)
class Slot:
    """A place on a page for one job at a time, of one session; `key` says what it computes."""

    name: str
    key: Hashable

    @property
    def _state(self) -> str:
        return f"{_STATE}{self.name}"

    def view(self) -> JobView | None:
        """The slot's last job, whatever it computes."""
        known = st.session_state.get(self._state)
        if known is None:
            return None
        resources.owner()  # Here still: a page that polls is not closed.
        return resources.queue().view(known[1])

    def is_for(self, key: Hashable) -> bool:
        """True if the slot's last job computes `key`."""
        known = st.session_state.get(self._state)
        return known is not None and known[0] == key

    def start(self, label: str, work: Work) -> None:
        """Start a job in place of the slot's last one. Raises QueueFull with a sentence.

        If another visitor's job computes the same `key` already, it is shared.
        """
        self.cancel()
        job = resources.queue().submit(resources.owner(), label, work, self.key)
        st.session_state[self._state] = (self.key, job)

    def join(self) -> None:
        """Take part in the job of this `key` that is under way, as after a reload of the page."""
        if self.is_for(self.key) or is_active(self.view()):
            return
        with suppress(QueueFull):
            job = resources.queue().join(resources.owner(), self.key)
            if job is not None:
                st.session_state[self._state] = (self.key, job)

    def cancel(self) -> None:
        """Stop the slot's job, if there is one."""
        known = st.session_state.get(self._state)
        if known is not None:
            resources.queue().cancel(known[1])


def is_active(view: JobView | None) -> bool:
    """True while a job waits or runs."""
    return view is not None and not view.state.finished


def start_button(slot: Slot, label: str, title: str, work: Work) -> None:
    """A button that starts the slot's job, and what became of the last one."""
    view = slot.view()
    if st.button(label, key=f"{slot.name}.start", type="primary", icon=":material/play_arrow:"):
        with shown_errors():
            slot.start(title, work)
            st.rerun()
    if view is not None and slot.is_for(slot.key):
        if view.state is JobState.FAILED:
            st.error(view.error or "", icon=":material/error:")
        elif view.state is JobState.CANCELLED:
            st.info("Cancelled.", icon=":material/cancel:")


def progress_row(slot: Slot, view: JobView, stale: str = "") -> None:
    """Progress, place in line and the cancel button of a job under way, and what it notes."""
    bar, button = st.columns([5, 1], vertical_alignment="center", wrap=False)
    text = f"{view.label}{stale}: "
    if view.state is JobState.QUEUED:
        ahead = view.place - 1
        others = "next in line" if ahead == 0 else f"waiting, {ahead} ahead in line"
        bar.progress(0.0, text=text + others)
    else:
        bar.progress(view.progress, text=text + _pace(view))
    button.button(
        "Cancel",
        key=f"{slot.name}.cancel",
        on_click=slot.cancel,
        icon=":material/stop_circle:",
        width="stretch",
    )
    if view.state is JobState.QUEUED:
        _say_own_before(slot)
    for note in view.notes:
        st.caption(note)


def _pace(view: JobView) -> str:
    return view.pace or f"{view.progress:.0%}, {view.seconds:.0f} s"


def _say_own_before(slot: Slot) -> None:
    """What of this session's own, of another part of the app, a waiting job waits for."""
    for other in _slots():
        view = other.view()
        if other.name == slot.name or view is None or view.state is not JobState.RUNNING:
            continue
        text, button = st.columns([5, 1], vertical_alignment="center", wrap=False)
        text.caption(f"It waits for a computation of your own: {view.label}, {_pace(view)}.")
        button.button(
            "Cancel that",
            key=f"{slot.name}.cancel.{other.name}",
            on_click=other.cancel,
            icon=":material/stop_circle:",
            width="stretch",
        )


def _slots() -> list[Slot]:
    """Every slot of this session that had a job."""
    return [
        Slot(str(name).removeprefix(_STATE), known[0])
        for name, known in st.session_state.items()
        if str(name).startswith(_STATE)
    ]


def keep_jobs() -> None:
    """Say on every page that the session of its jobs is here still, as long as there are any.

    After a failure of the network the browser connects again and runs no page for that, only parts
    that run by themselves; without any, the jobs would be taken as left.
    """

    def part() -> None:
        if not _any_active():
            st.rerun()  # Without this part.

    if _any_active():
        st.fragment(part, run_every=_KEEP_SECONDS)()


def _any_active() -> bool:
    """True if the session has a job under way; to ask keeps them all."""
    views = [slot.view() for slot in _slots()]
    return any(map(is_active, views))


def task_row(slot: Slot, label: str, title: str, work: Work, note: str = "") -> None:
    """Progress of the slot's job while it is under way, else `note` and the button to start it.

    The height is kept, so that the page does not jump.
    """
    view = slot.view()
    with st.container(key=f"rsc-task-{slot.name}"):
        if view is not None and is_active(view):
            progress_row(slot, view, "" if slot.is_for(slot.key) else " (for earlier settings)")
            return
        if note:
            st.caption(note)
        start_button(slot, label, title, work)


def polled(slot: Slot, draw: Callable[[], None]) -> None:
    """Draw a part of the page: again and again while the slot's job is under way.

    When the job ends the whole page runs once more, for others of its parts may wait for it.
    """
    active = is_active(slot.view())

    def part() -> None:
        if active and not is_active(slot.view()):
            st.rerun()
        with shown_errors():
            draw()

    st.fragment(part, run_every=POLL_SECONDS if active else None)()
