"""Words that lead to the lesson's glossary from the other pages."""

from __future__ import annotations

from rsc_snn.glossary import linked

# Beside every page but the one at the root, and below that one.
_LESSON = "poisson_coding?word="


def one_draw_caution(attack: str = "This attack follows") -> str:
    """That more effort would do more harm to a network with noise; with marks for the glossary."""
    return (
        f"**{attack} one noise [draw](#draw) for each [gradient](#gradient).** Against noise, an "
        "attack that averages over draws ([EOT](#eot)) is stronger as a rule"
    )


def explained(text: str) -> str:
    """`text` with its marks, such as `[spikes](#spike)`, as links to the lesson's glossary."""
    return linked(text, _LESSON)
