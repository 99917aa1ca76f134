"""Errors on a page: one sentence, never a traceback, and the rest of the page goes on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from rsc_snn.errors import RscSnnError

_LOG = logging.getLogger(__name__)
UNKNOWN = "Something went wrong here; the details are in the app's log."


@contextmanager
def shown_errors() -> Iterator[None]:
    """Show an error of the block as a sentence where the block was, and continue after it."""
    try:
        yield
    except RscSnnError as error:
        st.error(str(error), icon=":material/error:")
    except Exception:
        _LOG.exception("A part of a page failed.")
        st.error(UNKNOWN, icon=":material/error:")
