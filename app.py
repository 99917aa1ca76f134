"""RSC-SNN in the browser: `streamlit run app.py`, or `make app`."""

from __future__ import annotations

import streamlit as st

from rsc_snn.ui.shell import device_badge, icon
from rsc_snn.ui.style import apply_style

st.set_page_config(
    page_title="RSC-SNN",
    page_icon=icon(),
    layout="wide",
    initial_sidebar_state="auto",
)
apply_style()
page = st.navigation(
    [
        st.Page("pages/playground.py", title="Playground", icon=":material/bolt:", default=True),
        st.Page("pages/models.py", title="Models", icon=":material/inventory_2:"),
    ],
    position="top",
)
device_badge()
page.run()
