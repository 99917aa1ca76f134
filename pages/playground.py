"""Playground: attack a photograph, watch the network spike, see it be fooled or hold."""

from __future__ import annotations

import streamlit as st

from rsc_snn.outcome import Outcome
from rsc_snn.ui import results
from rsc_snn.ui.errors import shown_errors
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.playground import Choices, obtain, read_controls
from rsc_snn.ui.sweep import draw_sweep

SPLIT = (3, 2)


@st.fragment
def spikes(outcome: Outcome) -> None:
    """The raster has a control of its own, which redraws nothing else."""
    st.subheader("What the neurons do")
    results.draw_spikes(outcome, results.choose_layer(outcome, "playground.layer"))


def show(choices: Choices) -> None:
    """Compute and draw."""
    outcome = obtain(choices)
    classes = choices.card.classes
    if outcome is not None:
        left, right = st.columns(SPLIT, gap="large")
        with left:
            results.draw_verdict(outcome, classes, assumed=choices.request.image.label is None)
            results.draw_pictures(outcome, classes)
        with right:
            results.draw_answers(outcome, classes)
        left, right = st.columns(SPLIT, gap="large")
        with left:
            spikes(outcome)
        with right:
            results.draw_rates(outcome)
        left, right = st.columns(SPLIT, gap="large")
        with right:
            results.draw_evolution(outcome, classes, choices.request.seed)
    else:
        left = st.container()
    with left, shown_errors():
        draw_sweep(choices.card, choices.sweep, choices.request.sigma)


st.title("Attack a photograph, watch the network spike")
notices = st.container()
link = PageLink("playground")
choices = None
with st.sidebar, shown_errors():
    choices = read_controls(link)
if choices is not None:
    with notices:
        link.publish()
    with shown_errors():
        show(choices)
else:
    st.info("There is nothing to attack yet; the panel on the left says why.")
