"""Models: what each pretrained network is, what it can do, and how to train it again."""

from __future__ import annotations

import streamlit as st

from rsc_snn.ui import cards, resources, robustness
from rsc_snn.ui.errors import shown_errors

st.title("Models")
with shown_errors():
    cards.draw_problems()
    zoo = resources.zoo()
    known = [zoo.card(name) for name in zoo.names()]
    for dataset, group in cards.by_dataset(known):
        st.header(dataset)
        cards.draw_table(group)
        robustness.draw_robustness(group[0].dataset, group)
        for card in group:
            with shown_errors():
                cards.draw_card(card)
    if not known:
        st.info("The assets folder has no models yet; `python -m rsc_snn train` makes them.")
