"""Figures to take away: each is there once, as it was drawn last."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def script() -> None:
    import plotly.graph_objects as go
    import streamlit as st

    from rsc_snn.ui.figure_files import begin_figures, figures_html, remember_figure

    begin_figures()
    remember_figure("first", "one point", go.Figure())
    remember_figure("second", "other", go.Figure())
    remember_figure("first", "two points", go.Figure())
    st.text(figures_html(st.session_state["figures.shown"].values()))


def test_a_figure_that_was_drawn_again_is_in_the_file_once() -> None:
    app = AppTest.from_function(script).run()
    assert not app.exception
    html = app.text[0].value
    assert html.count("<figcaption>") == 2
    assert "two points" in html and "other" in html and "one point" not in html
