"""The few rules of style that the framework's theme does not cover."""

from __future__ import annotations

import streamlit as st

_CSS = """
<style>
[data-testid="stApp"] { --rsc-ground: GROUND; }
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
/* A chosen thing shows its whole name, on two lines where it must. */
[data-testid="stMultiSelectTagsContainer"] [data-tag] { height: auto; min-height: 1.5rem; }
[data-testid="stMultiSelectTagsContainer"] [data-tag] > span {
  white-space: normal; line-height: 1.2; padding-block: 0.15rem;
}
/* Four sizes of the attack fit beside each other. */
.st-key-tradeoff-epsilon [role="radio"] { padding-inline: 0.5rem; }
/* What is cut off at the right has a shadow there; a piece that scrolls along hides it at the end.
   There is no other way to know, without a script, whether anything is cut off. */
[class*="st-key-rsc-wide-"] {
  overflow-x: auto;
  background:
    linear-gradient(to left, var(--rsc-ground) 40%, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to left, rgb(128 128 128 / 0.45), transparent) right / 0.7rem 100% no-repeat;
}
[class*="st-key-rsc-wide-"] table { min-width: 46rem; }
[class*="st-key-rsc-wide-"] table:has(th:nth-child(8)) { min-width: 58rem; }
[class*="st-key-rsc-wide-claims"] table { min-width: 42rem; }
.st-key-rsc-wide-prices table { min-width: 31rem; }
[class*="st-key-rsc-wide-"] p { position: sticky; left: 0; width: fit-content; }
/* The names of the rows stay in sight. */
[class*="st-key-rsc-wide-"] :is(th, td):first-child,
[class*="st-key-rsc-wide-published"] :is(th, td):nth-child(3) {
  position: sticky; left: -2px; z-index: 1; background: var(--rsc-ground);
  box-shadow: inset -1px 0 rgb(128 128 128 / 0.35);
}
[class*="st-key-rsc-wide-published"] :is(th, td):first-child {
  position: static; box-shadow: none;
}
[class*="st-key-rsc-wide-"] :is(th, td):has(a) { min-width: 8rem; }
[class*="st-key-rsc-wide-claims"] td:nth-child(2) { min-width: 11rem; }
/* Rows of a list have one height, which holds two lines of a long name. */
:is([data-testid="stSelectboxVirtualDropdown"], [data-testid="stMultiSelectDropdown"])
  [role="option"] > div {
  white-space: normal; line-height: 1.15;
}
/* What is chosen is in one line, which cannot be broken: smaller, and seen to go on. */
[data-testid="stSidebar"] [data-testid="stSelectbox"] input {
  font-size: 0.84rem; text-overflow: ellipsis;
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
    content: "MENU"; font-size: 0.9rem; white-space: nowrap; padding: 0 0.3rem;
  }
  [data-testid="stMainBlockContainer"] { padding-left: 0.9rem; padding-right: 0.9rem; }
  /* Buttons that take several lines rather than scroll: each with edges of its own. */
  [data-testid="stMain"] [data-testid="stButtonGroup"] > [role="radiogroup"] {
    flex-wrap: wrap; row-gap: 0.3rem;
  }
  [data-testid="stMain"] [data-testid="stButtonGroup"] button {
    border-radius: 0.5rem; margin-right: 0.3rem;
  }
  [data-testid="stMain"] h1 { font-size: 1.55rem; }
  .rsc-row { gap: 0.4rem; }
  .rsc-row figcaption { font-size: 0.78rem; }
  [data-testid="stMarkdownContainer"] table { font-size: 0.8rem; }
  [data-testid="stMarkdownContainer"] :is(th, td) { padding: 0.3rem 0.35rem; }
}
</style>
"""

# The framework keeps the sidebar of the page before, empty, until something runs on this one. A
# phone has the menu there.
_NO_PANEL = """
<style>
@media (min-width: 769px) {
  [data-testid="stSidebar"], [data-testid="stExpandSidebarButton"] { display: none; }
}
</style>
"""


def apply_style(*, panel: bool) -> None:
    """Put the rules onto the page; `panel`: whether it has controls in the sidebar."""
    light, dark = (st.get_option(f"theme.{name}.backgroundColor") for name in ("light", "dark"))
    ground = f"light-dark({light}, {dark})" if light and dark else "Canvas"
    menu = "Menu and settings" if panel else "Menu"
    rules = _CSS.replace("GROUND", ground).replace("MENU", menu)
    st.html(rules + ("" if panel else _NO_PANEL))
