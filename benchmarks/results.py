"""Results of benchmarks: rows in a CSV file, tables between two markers of a document."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TypeVar

from rsc_snn.files import write_atomically

Row = TypeVar("Row")
_KINDS = {"int": int, "float": float, "str": str}


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """The rows of a results file, of a dataclass with numbers and texts; none without a file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            kind(
                **{item.name: _KINDS[str(item.type)](row[item.name]) for item in fields(kind)}  # type: ignore[arg-type]
            )
            for row in csv.DictReader(file)
        ]


def write_rows(path: Path, kind: type[Row], rows: Iterable[Row]) -> None:
    """The results file, written whole or not at all."""

    def write(target: Path) -> None:
        with target.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [item.name for item in fields(kind)])  # type: ignore[arg-type]
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)  # type: ignore[call-overload]

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, write)


def put_between(text: str, markers: tuple[str, str], content: str) -> str:
    """`text` with what is between the markers replaced. Raises ValueError if one is missing."""
    before, rest = text.split(markers[0])
    return f"{before}{markers[0]}\n{content}{markers[1]}{rest.split(markers[1])[1]}"


def update_document(path: Path, markers: tuple[str, str], content: str) -> None:
    """Replace what is between the markers of a document."""
    text = put_between(path.read_text(encoding="utf-8"), markers, content)
    write_atomically(path, lambda target: target.write_text(text, encoding="utf-8"))
