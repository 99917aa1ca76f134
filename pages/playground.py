"""Playground: attack a photograph, watch networks spike, see them be fooled or hold."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from rsc_snn.marker import request_digest
from rsc_snn.ui.burst import flush
from rsc_snn.ui.comparison import draw_networks
from rsc_snn.ui.components import copy_link
from rsc_snn.ui.errors import shown_errors
from rsc_snn.ui.figure_files import begin_figures, figure_tools
from rsc_snn.ui.health import result_marker
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.playground import Choices, Shown, obtain, read_controls
from rsc_snn.ui.presets import scene_buttons, scene_line
from rsc_snn.ui.views import choose_view


def show_networks(choices: Choices) -> tuple[Shown, ...]:
    """The networks' answers, which are the first thing that a visitor looks at."""
    shown = obtain(choices)
    place = st.container(key="rsc-stale" if any(item.stale for item in shown) else "rsc-current")
    if shown:
        with place:
            draw_networks(choices, shown)
    return shown


def show_view(choices: Choices, shown: Sequence[Shown], link: PageLink) -> None:
    """What the networks did inside."""
    draw_view = choose_view(link, choices, shown)
    link.publish()
    for item in shown:
        result_marker(request_digest(item.request), item.outcome)
    with shown_errors():
        draw_view()


st.title("Attack a photograph, watch the network spike")
link = PageLink("playground")
begin_figures(link)
with st.container(key="rsc-toolbar", horizontal=True, vertical_alignment="center"):
    scene_buttons(link)
    copy_link(key="copy-link")
scene, notices = st.container(), st.container()
choices = None
with st.sidebar, shown_errors():
    choices = read_controls(link)
with scene:
    scene_line(link)
if choices is None:
    st.info("There is nothing to attack yet; the panel on the left says why.")
else:
    with shown_errors():
        shown = show_networks(choices)
        flush()
        show_view(choices, shown, link)
    with notices:
        link.complain()
link.settle()
with st.container(key="rsc-figure-tools", horizontal=True, vertical_alignment="bottom"):
    figure_tools(link)
