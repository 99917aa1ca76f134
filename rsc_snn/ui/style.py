"""The few rules of style that the framework's theme does not cover."""

from __future__ import annotations

import streamlit as st

_CSS = """
<style>
[data-testid="stMainBlockContainer"] { padding: 3.4rem 2.2rem 3rem; max-width: 1500px; }
[data-testid="stSidebarUserContent"] { padding-bottom: 3rem; }
[data-testid="stSidebar"] h2 { padding-top: 0.4rem; padding-bottom: 0.2rem; }
/* The framework shows where the keyboard is on everything but links. */
[data-testid="stApp"] a:focus-visible {
  outline: 2px solid currentColor; outline-offset: 2px; border-radius: 0.25rem;
}
[data-testid="stCaptionContainer"] { color: inherit; opacity: 0.78; }
.rsc-row { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 0.75rem; }
.rsc-row figure { margin: 0; }
.rsc-row img {
  width: 100%; aspect-ratio: 1; display: block; image-rendering: pixelated;
  border-radius: 0.5rem; background: #808080;
}
.rsc-row figcaption { font-size: 0.9rem; line-height: 1.35; padding-top: 0.35rem; }
.rsc-scale {
  display: flex; align-items: center; gap: 0.5rem; padding-top: 0.6rem; font-size: 0.9rem;
}
.rsc-scale img { width: 10rem; height: 0.7rem; border-radius: 0.2rem; }
.st-key-rsc-thumbnails [data-testid="stButtonGroup"] > div { gap: 0.4rem; }
.st-key-rsc-thumbnails button {
  padding: 2px; min-height: 0; height: auto; border-radius: 0.5rem; border-width: 2px;
}
.st-key-rsc-thumbnails button p { margin: 0; line-height: 0; }
.st-key-rsc-thumbnails img {
  width: 33px; height: 33px; max-height: none; border-radius: 0.3rem; image-rendering: pixelated;
}
[data-testid="stApp"] :is(a[href^="#glossary"], a[href^="poisson_coding?word="]) {
  color: inherit; text-decoration: underline dotted; text-underline-offset: 0.2em;
}
/* The dark theme's primary colour is too light for the framework's white text. */
[data-testid="stBaseButton-primary"], [data-testid="stMultiSelectTagsContainer"] [data-tag] {
  color: light-dark(#ffffff, #0f1419);
}
[class*="st-key-rsc-wide-"] { overflow-x: auto; }
/* Rows of a list have one height, which holds two lines of a long name. */
:is([data-testid="stSelectboxVirtualDropdown"], [data-testid="stMultiSelectDropdown"])
  [role="option"] > div {
  white-space: normal; line-height: 1.15;
}
.st-key-rsc-stale { opacity: 0.55; }
.st-key-rsc-handover a { height: auto; }
.st-key-rsc-handover a * { white-space: normal; }
.rsc-network { border-top: 4px solid; padding-top: 0.4rem; font-size: 1.05rem; }
.st-key-rsc-sweep-controls, [class*="st-key-rsc-task-"] { min-height: 3rem; }
/* Side by side, names of one line and of two, and short verdicts and long ones, end level. */
@media (min-width: 641px) {
  [class*="st-key-rsc-column-"] .rsc-network { min-height: calc(2lh + 0.4rem + 4px); }
  [class*="st-key-rsc-column-"] [data-testid="stAlertContainer"] { min-height: calc(3lh + 2rem); }
}
@media (min-width: 641px) and (max-width: 1100px) {
  [class*="st-key-rsc-column-"] [data-testid="stAlertContainer"] { min-height: calc(4lh + 2rem); }
}
@media (max-width: 640px) {
  /* Columns that became rows; the wide gap is for columns. */
  [data-testid="stMain"] [data-testid="stHorizontalBlock"] { gap: 1rem !important; }
  .st-key-rsc-metrics [data-testid="stColumn"] {
    min-width: calc(50% - 1rem); flex: 1 1 calc(50% - 1rem);
  }
  [data-testid="stExpandSidebarButton"]::after {
    content: "Menu and settings"; font-size: 0.9rem; white-space: nowrap; padding: 0 0.3rem;
  }
  [data-testid="stMainBlockContainer"] { padding-left: 0.9rem; padding-right: 0.9rem; }
  [data-testid="stMain"] h1 { font-size: 1.55rem; }
  .rsc-row { gap: 0.4rem; }
  .rsc-row figcaption { font-size: 0.78rem; }
  [data-testid="stMarkdownContainer"] table { font-size: 0.8rem; }
  [data-testid="stMarkdownContainer"] :is(th, td) { padding: 0.3rem 0.35rem; }
}
</style>
"""


def apply_style() -> None:
    """Put the rules onto the page."""
    st.html(_CSS)
