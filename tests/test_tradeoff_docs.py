"""The numbers in docs/tradeoff.md are those of the results that ship."""

from __future__ import annotations

from tests.tradeoff_tables import DOCS, with_tables


def test_the_tables_of_the_dial() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert text == with_tables(text), "run `python -m tests.tradeoff_tables`"
