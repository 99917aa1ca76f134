"""The texts of the steps, from `assets/lessons`: a title, an idea, its equations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rsc_snn.glossary import linked

FOLDER = Path(__file__).parents[3] / "assets" / "lessons"
STEPS = ("pixel", "image", "currents", "neuron", "decision", "bill")
_PARTS = re.compile(
    r"# (?P<title>.+?)\n\n(?P<idea>.+?)\n\n\$\$\n(?P<equations>.+?)\n\$\$\n", re.DOTALL
)


@dataclass(frozen=True)
class Text:
    """What a step says. idea: Markdown with links to the glossary. equations: LaTeX, one a line."""

    title: str
    idea: str
    equations: tuple[str, ...]


def text_file(step: str) -> Path:
    """Where a step's text is written."""
    return FOLDER / f"{STEPS.index(step) + 1}-{step}.md"


@cache
def step_text(step: str) -> Text:
    """The text of a step; in its file `\\qquad` parts the equations."""
    parts = _PARTS.fullmatch(text_file(step).read_text(encoding="utf-8"))
    if parts is None:
        raise ValueError(f"{text_file(step).name} must hold a title, an idea and equations.")
    equations = (part.strip() for part in parts["equations"].split("\\qquad"))
    return Text(parts["title"], linked(parts["idea"]), tuple(equations))
