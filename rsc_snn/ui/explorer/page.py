"""The page as a whole: sources, panel, views and the live grid, kept in step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from rsc_snn.sweep.cells import Cell
from rsc_snn.ui.errors import shown_errors
from rsc_snn.ui.explorer.controls import read_selection
from rsc_snn.ui.explorer.frame import Frame
from rsc_snn.ui.explorer.grid_panel import Plan, cells_ahead, measured_so_far, own_slot
from rsc_snn.ui.explorer.handover import link_point
from rsc_snn.ui.explorer.measured import Selection, menu_of
from rsc_snn.ui.explorer.sources import COMMAND, Evidence
from rsc_snn.ui.explorer.views import OF_VIEWS, choose_view
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.tasks import is_active, polled

# Names in the link of the panel's controls and of the views.
_PANEL = (
    "dataset", "sample", "beside", "models", "steps", "attack", "worst", "epsilon", "predictor",
    "passes", "axis", "view", *OF_VIEWS, "point",
)  # fmt: skip


def draw_sources(evidence: Evidence) -> None:
    """A sentence for each source that could not be read."""
    for problem in evidence.problems:
        st.warning(f"{problem} The page goes on without it.", icon=":material/database_off:")


def read_panel(link: PageLink, evidence: Evidence, plan: Plan | None) -> Selection | None:
    """The panel in the sidebar; None, and a sentence, if there is nothing to choose from."""
    menu = menu_of(evidence, cells_ahead(plan))
    if not menu.datasets:
        link.defer(_PANEL)
        return None
    return read_selection(link, menu, menu_of(evidence))


def draw_nothing() -> None:
    """What to do while nothing was measured."""
    st.info(
        f"No results of these models are here yet. `{COMMAND}` measures some, and so does "
        "“Measure your own grid” below.",
        icon=":material/science:",
    )


def read_view(
    link: PageLink, evidence: Evidence, plan: Plan | None, selection: Selection
) -> Callable[[], None]:
    """The row of views and the chosen one's controls; returns what draws it, again and again."""
    with shown_errors():
        link_point(link)
        ahead = cells_ahead(plan)
        draw = choose_view(link, _frame(evidence, ahead, selection))
        return partial(_draw_view, lambda: draw(_frame(evidence, ahead, selection)), plan)
    return lambda: None


def _draw_view(draw: Callable[[], None], plan: Plan | None) -> None:
    """Once, or while a grid is measured every time that a point is there."""
    slot = own_slot()
    if plan is None and not is_active(slot.view()):
        with shown_errors():
            draw()
    else:
        polled(slot, draw)


def _frame(evidence: Evidence, ahead: tuple[Cell, ...], selection: Selection) -> Frame:
    """The selection with all that is measured by now; ahead: what a grid will measure."""
    return Frame(selection, evidence.plus(measured_so_far()), ahead)
