"""Trade-off: accuracy against robustness as a dial, from stored results and measured live."""

from __future__ import annotations

import streamlit as st

from rsc_snn.ui.components import copy_link
from rsc_snn.ui.errors import shown_errors
from rsc_snn.ui.explorer.grid_panel import draw_grid, read_plan
from rsc_snn.ui.explorer.page import draw_nothing, draw_sources, read_panel, read_view
from rsc_snn.ui.explorer.sources import gather
from rsc_snn.ui.figure_files import begin_figures, figure_tools
from rsc_snn.ui.link import PageLink


def show(link: PageLink) -> None:
    """Read all controls, publish the link, then draw."""
    evidence = gather()
    draw_sources(evidence)
    results, own = st.container(), st.container(border=True)
    with own:
        plan = read_plan(link)
    selection = None
    with st.sidebar, shown_errors():
        selection = read_panel(link, evidence, plan)
    with results:
        draw = draw_nothing if selection is None else read_view(link, evidence, plan, selection)
    link.publish()
    with own, shown_errors():
        draw_grid(plan, evidence)
    with results:
        draw()


st.title("Accuracy against robustness")
link = PageLink("tradeoff")
begin_figures(link)
copy_link(key="tradeoff.copy")
notices = st.container()
with shown_errors():
    show(link)
with notices:
    link.complain()
link.settle()
with st.container(key="rsc-figure-tools", horizontal=True, vertical_alignment="bottom"):
    figure_tools(link)
