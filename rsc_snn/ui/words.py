"""Words that lead to the lesson's glossary from the other pages."""

from __future__ import annotations

from rsc_snn.glossary import linked

# Beside every page but the one at the root, and below that one.
_LESSON = "poisson_coding?word="


def explained(text: str) -> str:
    """`text` with its marks, such as `[spikes](#spike)`, as links to the lesson's glossary."""
    return linked(text, _LESSON)
