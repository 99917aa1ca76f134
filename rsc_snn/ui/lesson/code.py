"""Show me the code: the source of what made a step's figures."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

_ROOT = Path(__file__).parents[3]


def draw_code(step: str, parts: Sequence[Callable[..., Any]]) -> None:
    """An expander; what is in it is read, and sent to the browser, only once it is opened."""
    details = st.expander(
        "Show me the code",
        icon=":material/code:",
        key=f"lesson.code.{step}",
        on_change="rerun",
    )
    if details.open:
        with details:
            st.caption("Taken from the program as it runs, so it cannot differ from it.")
            for part in parts:
                name, text = source(part)
                st.markdown(f"`{name}`")
                st.code(text, language="python")


def source(part: Callable[..., Any]) -> tuple[str, str]:
    """Where a function or class is written, as the file in the project, and its text."""
    original = inspect.unwrap(part)
    file = Path(inspect.getsourcefile(original) or "").resolve()
    return file.relative_to(_ROOT).as_posix(), textwrap.dedent(inspect.getsource(original))
