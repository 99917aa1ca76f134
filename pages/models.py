"""Models: what each pretrained network is, what it can do, and how to train it again."""

from __future__ import annotations

import streamlit as st

from rsc_snn.ui import cards, resources
from rsc_snn.ui.errors import shown_errors

st.title("Models")
with shown_errors():
    cards.draw_problems()
    zoo = resources.zoo()
    known = [zoo.card(name) for name in zoo.names()]
    if known:
        cards.draw_table(known)
        for card in known:
            with shown_errors():
                cards.draw_card(card)
    else:
        st.info("The assets folder has no models yet; `python -m rsc_snn train` makes them.")
