"""The tables of README.md, written between their markers: `python -m tests.readme_tables`."""

from __future__ import annotations

import re
from pathlib import Path

from rsc_snn.attacks import attacks_markdown
from rsc_snn.zoo import Zoo, cards_markdown

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def with_tables(text: str) -> str:
    """`text` with the tables of the shipped models and of the attacks between the markers.

    Raises ZooError if a card cannot be read, ValueError if a pair of markers is missing.
    """
    zoo = Zoo(ROOT / "assets" / "models")
    tables = {
        "zoo-table": cards_markdown(zoo.card(name) for name in zoo.names()),
        "attacks": attacks_markdown(),
    }
    for marker, table in tables.items():
        start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
        pattern = re.compile(f"(?<={re.escape(start)}\n).*?(?={re.escape(end)})", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise ValueError(f"The text must have {start} and {end} once.")
        text = pattern.sub(lambda _, table=table: table, text)
    return text


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
