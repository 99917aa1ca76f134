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


@dataclass(frozen=True)
class Slot:
    """A place on a page for one job at a time, of one session; `key` says what it computes."""

    name: str
    key: Hashable

    @property
    def _state(self) -> str:
        return f"job.{self.name}"

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
        pace = view.pace or f"{view.progress:.0%}, {view.seconds:.0f} s"
        bar.progress(view.progress, text=text + pace)
    button.button(
        "Cancel",
        key=f"{slot.name}.cancel",
        on_click=slot.cancel,
        icon=":material/stop_circle:",
        width="stretch",
    )
    for note in view.notes:
        st.caption(note)


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
