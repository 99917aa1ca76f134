"""Sentences of the lesson whose words lead to the glossary."""

from __future__ import annotations

import streamlit as st

from rsc_snn.glossary import linked


def say(text: str) -> None:
    """A caption; marks such as `[spikes](#spike)` become links to the glossary."""
    st.caption(linked(text))
