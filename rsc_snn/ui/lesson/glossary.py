"""The glossary at the end of the lesson, where the links of its texts lead."""

from __future__ import annotations

from functools import cache

import streamlit as st

from rsc_snn.glossary import TERMS, glossary_html

_STYLE = """
<style>
.rsc-glossary {
  columns: 20rem auto; column-gap: 2rem; margin: 0; padding: 0 !important; font-size: 0.92rem;
}
.rsc-glossary > div { break-inside: avoid; padding: 0.3rem 0.5rem; scroll-margin-top: 6rem; }
.rsc-glossary > div:target { outline: 2px solid currentColor; border-radius: 0.4rem; }
.rsc-glossary .rsc-back { display: none; color: inherit; }
.rsc-glossary > :is(:target, .rsc-here) .rsc-back { display: block; padding: 0.3rem 0; }
.rsc-glossary dt { font-weight: 650; }
.rsc-glossary dd { margin: 0; opacity: 0.85; }
</style>
"""


def draw_glossary() -> None:
    """All terms, always there: a link cannot lead into what is folded away."""
    st.subheader("Glossary", anchor="glossary")
    st.caption(f"{len(TERMS)} words of this app. Underlined words lead here.")
    st.html(_content())


@cache
def _content() -> str:
    return _STYLE + glossary_html()
