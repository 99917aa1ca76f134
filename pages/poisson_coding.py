"""The lesson: from a pixel to Poisson spikes, to randomized smoothing, to its price."""

from __future__ import annotations

import streamlit as st

from rsc_snn.ui.figure_files import begin_figures
from rsc_snn.ui.lesson.frame import draw_step, read_frame
from rsc_snn.ui.lesson.glossary import draw_glossary
from rsc_snn.ui.link import PageLink

begin_figures()
st.title("From pixels to spikes to smoothing", anchor="lesson")
link = PageLink("lesson")
frame = read_frame(link)
notices = st.container()
draw_step(link, frame)
with notices:
    link.complain()
link.settle()
draw_glossary()
