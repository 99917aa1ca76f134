"""RSC-SNN in the browser: `streamlit run app.py`, or `make app`.

The server imports this file for `app`, which adds the health check to the framework's own routes;
then it runs the same file as a script for every visitor.
"""

from __future__ import annotations

from importlib import import_module
from threading import Thread

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from rsc_snn.ui import resources
from rsc_snn.ui.burst import burst, flush
from rsc_snn.ui.components import plot_routes
from rsc_snn.ui.health import health_routes
from rsc_snn.ui.shell import device_badge, icon
from rsc_snn.ui.style import apply_style
from rsc_snn.ui.tasks import keep_jobs

_PAGE = "app.page"


@burst()
def run() -> None:
    """Choose the page of the visitor's address, and show it."""
    st.set_page_config(
        page_title="RSC-SNN",
        page_icon=icon(),
        layout="wide",
        initial_sidebar_state="auto",
    )
    playground = st.Page(
        "pages/playground.py", title="Playground", icon=":material/bolt:", default=True
    )
    lesson = st.Page("pages/poisson_coding.py", title="Lesson", icon=":material/school:")
    tradeoff = st.Page("pages/tradeoff.py", title="Trade-off", icon=":material/tune:")
    models = st.Page("pages/models.py", title="Models", icon=":material/inventory_2:")
    page = st.navigation([playground, lesson, tradeoff, models], position="top")
    panel = page in (playground, tradeoff)
    apply_style(panel=panel)
    if st.session_state.get(_PAGE) != page.url_path:
        # The new address goes first: the browser would put this page's link behind the old one.
        flush()
        st.session_state[_PAGE] = page.url_path
    if panel:
        with st.sidebar:
            device_badge()
    page.run()
    if not panel:
        device_badge()
    keep_jobs()
    resources.settle_memory()


if __name__ == "__main__":
    run()
else:
    # Until `st.navigation` has run once, the framework takes a link to a page for one to the file
    # in pages/, and shows that alone: the first visitor of a server would get no menu and no style.
    PagesManager.uses_pages_directory = False
    app = st.App(__file__, routes=[*health_routes(), *plot_routes()])
    # What attacks need is long to load; it comes while the first visitor's browser loads the page.
    Thread(target=import_module, args=("torchattacks",), daemon=True).start()
