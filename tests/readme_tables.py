"""The tables of README.md and docs/, written between markers: `python -m tests.readme_tables`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from rsc_snn.attacks import attacks_markdown
from rsc_snn.robustness.compare import Results
from rsc_snn.robustness.report import dataset_label, outcomes_markdown
from rsc_snn.robustness.store import current, read_results
from rsc_snn.sweep.cells import CLEAN, CellResult
from rsc_snn.sweep.grid import attack_label
from rsc_snn.sweep.transfer import shipped_results
from rsc_snn.zoo import Zoo, cards_markdown
from tests.tradeoff_tables import dial_tables

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
SWEEPS = ROOT / "docs" / "sweeps.md"
TRADEOFF = ROOT / "docs" / "tradeoff.md"


def zoo_table() -> str:
    """The shipped models."""
    zoo = Zoo(ROOT / "assets" / "models")
    return cards_markdown(zoo.card(name) for name in zoo.names())


def shipped_table() -> str:
    """What the shipped results of sweeps cover, a line a model and attack."""
    groups: dict[tuple[str, str], list[CellResult]] = {}
    for result in shipped_results():
        label = "clean" if result.cell.attack == CLEAN else attack_label(result.cell)
        groups.setdefault((result.cell.model, label), []).append(result)
    lines = [
        "| model | attack | sigma | T | epsilon (255ths) | cells | images | draws |",
        "|" + " --- |" * 8,
    ]
    for (model, label), results in sorted(groups.items()):
        cells = [result.cell for result in results]
        words = [
            f"`{model}`",
            label,
            _values(cell.sigma for cell in cells if cell.sigma is not None),
            _values(cell.time_steps for cell in cells),
            _values(cell.epsilon for cell in cells if cell.epsilon),
            f"{len(cells):,}",
            _values(cell.images for cell in cells),
            _values(cell.draws for cell in cells),
        ]
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines) + "\n"


def _values(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in sorted(set(values))) or "–"


def outcomes_tables() -> str:
    """The paper's claim and its controls on each data set: what came out."""
    zoo = Zoo(ROOT / "assets" / "models")
    known = {name: zoo.card(name).identity for name in zoo.names()}
    results = Results(tuple(current(read_results(ROOT / "assets" / "results"), known)))
    return "\n".join(
        f"{dataset_label(name)}:\n\n{outcomes_markdown(results.of(name))}"
        for name in results.datasets()
    )


TABLES: dict[Path, dict[str, Callable[[], str]]] = {
    README: {"zoo-table": zoo_table, "outcomes": outcomes_tables, "attacks": attacks_markdown},
    SWEEPS: {"shipped": shipped_table},
    TRADEOFF: {"dial": dial_tables},
}


def with_tables(text: str, tables: dict[str, Callable[[], str]]) -> str:
    """`text` with each table between its markers.

    Raises ZooError or SweepError if what they are made of cannot be read, ValueError if a pair of
    markers is missing.
    """
    for marker, make in tables.items():
        start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
        pattern = re.compile(f"(?<={re.escape(start)}\n).*?(?={re.escape(end)})", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise ValueError(f"The text must have {start} and {end} once.")
        table = make()
        text = pattern.sub(lambda _, table=table: table, text)
    return text


if __name__ == "__main__":
    for path, tables in TABLES.items():
        text = with_tables(path.read_text(encoding="utf-8"), tables)
        path.write_text(text, encoding="utf-8")
