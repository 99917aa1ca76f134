"""Models: what each pretrained network is, what it can do, and how to train it again."""

from __future__ import annotations

import streamlit as st

from rsc_snn.ui import cards, resources, robustness
from rsc_snn.ui.errors import shown_errors

st.title("Models", anchor="models")
with shown_errors():
    cards.draw_problems()
    zoo = resources.zoo()
    known = [zoo.card(name) for name in zoo.names()]
    groups = cards.by_dataset(known)
    cards.draw_contents(groups)
    for dataset, group in groups:
        st.header(dataset, anchor=cards.dataset_anchor(group[0].dataset))
        cards.draw_table(group)
        robustness.draw_robustness(group[0].dataset, group)
        for card in group:
            with shown_errors():
                cards.draw_card(card)
        st.markdown("[Back to the top](#models)")
    if not known:
        st.info("The assets folder has no models yet; `python -m rsc_snn train` makes them.")
