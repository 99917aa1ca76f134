"""The controls of a page, its link and the session: one value each, kept in step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from rsc_snn.ui.query import Field, format_value, read_field

_GENERATION = "link.generation"
_VISITED = "link.page"
# So many links may be on their way to the browser.
_MOST_SENT = 32


class PageLink:
    """Seeds each control from the link or from what the session remembers, and writes the link.

    The framework can bind a control to the link itself, but drops bad values silently and knows
    nothing of controls whose choices depend on other controls. A page makes one PageLink a run,
    calls `seed` before and `keep` after each control, then `publish`, `complain` and, for where an
    error came before, `settle`. A link that was not written by the page itself (typed, pasted, or
    the browser's back button) wins over what the session remembers. One that the page wrote a
    moment ago does not: the visitor moved a control again before the newer link had reached the
    browser. arrived: the link that won, empty if none did.
    """

    def __init__(self, page: str) -> None:
        self._page = page
        self._store: dict[str, Any] = st.session_state.setdefault(f"{page}.values", {})
        if st.session_state.get(_VISITED) != page:
            st.session_state[_VISITED] = page
            st.session_state[self._link_key] = st.session_state.get(self._link_key, [])[-1:]
        query = st.query_params.to_dict()
        known = st.session_state.setdefault(self._link_key, [])
        by_history = _by_history()
        own = query in (known[-1:] if by_history else known)
        # What such a link leaves out was as it is by default.
        self._restores = by_history and not own
        self._unlinked: set[str] = st.session_state.setdefault(f"{page}.unlinked", set())
        self._query = query
        self._published = False
        self.arrived = {} if own else query
        self._incoming = dict(self.arrived)
        self._incoming = st.session_state.pop(self._deferred_key, {}) | self._incoming
        self._written: dict[str, str] = {}
        self.problems: list[str] = []

    @property
    def _link_key(self) -> str:
        return f"{self._page}.link"

    @property
    def _deferred_key(self) -> str:
        return f"{self._page}.deferred"

    @property
    def values(self) -> dict[str, str]:
        """What the controls that were read so far put into the link."""
        return dict(self._written)

    def brings(self, name: str) -> bool:
        """True if the link that won may have changed the control `name`."""
        return name in self.arrived or self._restores

    def defer(self, names: Iterable[str]) -> None:
        """Keep the link's values of controls that this run has not drawn for a run that does."""
        deferred = {name: self._incoming.pop(name) for name in names if name in self._incoming}
        if deferred:
            st.session_state[self._deferred_key] = deferred

    def widget(self, field: Field) -> str:
        """The session key of the control of `field`."""
        return f"{self._page}.{field.store or field.name}"

    def seed(self, field: Field) -> str:
        """Give the control of `field` its value, and return the key to create it with."""
        widget = self.widget(field)
        if field.name in self._incoming:
            value, problem = read_field(field, self._incoming.pop(field.name))
            if problem is not None:
                self.problems.append(problem)
            st.session_state[widget] = value
        elif self._restores and field.key not in self._unlinked:
            st.session_state[widget] = field.default
        elif widget not in st.session_state or not field.usable(st.session_state[widget]):
            remembered = field.mend(self._store.get(field.key))
            known = field.key in self._store and field.usable(remembered)
            st.session_state[widget] = remembered if known else field.default
        return widget

    def forget(self) -> None:
        """Put every control of the page back to its default, and empty the link.

        For callbacks of buttons: they run before the page does.
        """
        for key in [key for key in st.session_state if str(key).startswith(f"{self._page}.")]:
            del st.session_state[key]
        st.query_params.clear()
        st.session_state[_GENERATION] = self.generation + 1

    @property
    def generation(self) -> int:
        """How often the page was put back; a control that the browser draws has it in its key."""
        return int(st.session_state.get(_GENERATION, 0))

    def keep(self, field: Field, value: Any, *, linked: bool = True) -> Any:
        """Remember `value`, put it into the link if `linked`, and return it."""
        self._store[field.key] = value
        if linked:
            self._written[field.name] = format_value(value)
        if linked or value == field.default:
            self._unlinked.discard(field.key)
        else:
            self._unlinked.add(field.key)
        return value

    def publish(self) -> None:
        """Write the link if it differs."""
        if st.query_params.to_dict() != self._written:
            st.query_params.from_dict(self._written)
        self._published = True
        # Parts of the page that run again by themselves have this object still, and moves to keep.
        self._restores = False
        self._know(self._written)

    def settle(self) -> None:
        """At the end of a page: its link has been read, also where an error kept it from writing.

        Otherwise the link would put back whatever control the visitor moves to get out of the
        error. Controls that were not drawn get their values once they are.
        """
        if not self._published:
            self.defer(tuple(self._incoming))
            self._know(self._query)

    def _know(self, query: dict[str, str]) -> None:
        known = [link for link in st.session_state[self._link_key] if link != query]
        st.session_state[self._link_key] = [*known, query][-_MOST_SENT:]

    def complain(self) -> None:
        """Say what in the old link could not be used, in one box however much it is."""
        if self.problems:
            several = len(self.problems) > 1
            lines = [f"- {problem}" for problem in self.problems] if several else self.problems
            st.warning("\n".join(lines), icon=":material/link_off:")


def _by_history() -> bool:
    """True if the visitor went back or forward in the browser's history."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation
