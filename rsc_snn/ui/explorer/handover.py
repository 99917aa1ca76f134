"""From a point of the explorer to the Playground in that setting."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st
from streamlit.errors import StreamlitAPIException

from rsc_snn.attacks.parameters import Value
from rsc_snn.sweep.cells import CLEAN, Cell
from rsc_snn.tradeoff import OperatingPoint
from rsc_snn.ui import resources
from rsc_snn.ui.explorer.measured import variant_of
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import text_field

_PAGE = "pages/playground.py"
_MOST_DRAWS = 16
# The key of the cell whose point was clicked, empty before.
_POINT = text_field("point", 32, str)
# Where the page's link keeps it; a click comes when the link of the run is written already.
_KEY = "tradeoff.point"
# The key of the point whose row was chosen since the run before.
_ROW = "tradeoff.row"


def playground_query(cell: Cell) -> dict[str, str]:
    """The Playground's link for the model, the noise and the attack of a cell."""
    # Alone: networks that were compared before would bring their own sigma.
    query = {"model": cell.model, "compare": ""}
    if cell.sigma is not None:
        query["sigma"] = f"{cell.sigma:.9g}"
    if resources.zoo().card(cell.model).config.has_time:
        query["time_steps"] = str(cell.time_steps)
    if cell.attack != CLEAN:
        query |= {"attack": cell.attack, "epsilon": f"{cell.epsilon:.9g}"}
        query |= {name: _text(value) for name, value in cell.parameters}
    draws = min(cell.draws, _MOST_DRAWS, resources.settings().draws)
    return query | ({"draws": str(draws)} if cell.draws > 1 else {})


def playground_address(cell: Cell) -> str:
    """The same as an address beside this page's own."""
    return f"./?{urlencode(playground_query(cell))}"


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def link_point(link: PageLink) -> None:
    """Put the point that was clicked into the link, or take that of the link."""
    key = str(st.session_state[link.seed(_POINT)])
    link.keep(_POINT, key, linked=bool(key))


def choose_row(table: str, keys: Sequence[str]) -> None:
    """Take the chosen row of a table of points, before the page runs, for a click on its point.

    table: the session key. keys: of the points, row by row.
    """
    chosen = st.session_state[table]["selection"]["rows"]
    if chosen:
        st.session_state[_ROW] = keys[chosen[0]]


def follow_click(points: Sequence[OperatingPoint], clicked: str | None) -> None:
    """Open the clicked or chosen one of the points in the Playground.

    It stays chosen for the way back.
    """
    clicked = st.session_state.pop(_ROW, None) or clicked
    for point in points:
        if clicked is not None and point.key == clicked:
            st.session_state[_KEY] = clicked
            try:
                st.switch_page(_PAGE, query_params=playground_query(point.robust_result.cell))
            except StreamlitAPIException:  # The page is shown by itself, without the others.
                st.rerun()


def chosen_point(
    points: Sequence[OperatingPoint], beside: Sequence[OperatingPoint] = ()
) -> OperatingPoint | None:
    """The one that was clicked; before that, of `points`, that of the best harmonic mean."""
    key = st.session_state.get(_KEY)
    clicked = [point for point in (*points, *beside) if point.key == key]
    return next(iter(clicked), max(points, key=lambda point: point.harmonic, default=None))


def attack_name(point: OperatingPoint) -> str:
    """The attack of a point, of the worst case the one that does most harm, with its epsilon."""
    cell = point.robust_result.cell
    variant = variant_of(cell)
    return f"{variant.label} at {cell.epsilon:g}{variant.unit}"


def draw_handover(point: OperatingPoint) -> None:
    """A link that opens the Playground in the setting of a point."""
    query = playground_query(point.robust_result.cell)
    label = f"Open {point.setting}, {attack_name(point)} in the Playground"
    with st.container(key="rsc-handover"):
        try:
            st.page_link(_PAGE, label=label, icon=":material/bolt:", query_params=query)
        except StreamlitAPIException:  # The page is shown by itself, without the others.
            st.caption(label)
