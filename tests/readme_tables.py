"""The tables of README.md and docs/, written between markers: `python -m tests.readme_tables`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from rsc_snn.attacks import attacks_markdown
from rsc_snn.sweep.cells import CLEAN, CellResult
from rsc_snn.sweep.grid import attack_label
from rsc_snn.sweep.transfer import shipped_results
from rsc_snn.zoo import Zoo, cards_markdown

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
SWEEPS = ROOT / "docs" / "sweeps.md"
TRADEOFF = ROOT / "docs" / "tradeoff.md"
DIAL, DIAL_STEPS, PEER = "cifar10-snn-rsc-range", 4, "cifar10-ann"
# Attack and epsilon of the columns of the dial.
COLUMNS = ((CLEAN, 0.0), ("pgd", 2.0), ("pgd", 8.0), ("eot_pgd", 8.0))


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


def dial_table() -> str:
    """The dial of one model at one T, and an ANN below it, from the shipped results."""
    measured = {
        (result.cell.model, result.cell.sigma, result.cell.attack, result.cell.epsilon): result
        for result in shipped_results()
        if (result.cell.model, result.cell.time_steps) in {(DIAL, DIAL_STEPS), (PEER, 1)}
    }
    lines = [
        "| sigma | clean | PGD-10 at 2/255 | PGD-10 at 8/255 | EOT-PGD-10 at 8/255 |",
        "|" + " --- |" * 5,
    ]
    sigmas = sorted({sigma for model, sigma, *_ in measured if sigma is not None})
    for first, place in [*((f"{s:g}", (DIAL, s)) for s in sigmas), (f"`{PEER}`", (PEER, None))]:
        cells = [_accuracy(measured.get((*place, *column))) for column in COLUMNS]
        lines.append(f"| {first} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _accuracy(result: CellResult | None) -> str:
    if result is None:
        return "not measured"
    found = result.estimate()
    return f"{100 * found.value:.1f} ({100 * found.lower:.1f} to {100 * found.upper:.1f})"


TABLES: dict[Path, dict[str, Callable[[], str]]] = {
    README: {"zoo-table": zoo_table, "attacks": attacks_markdown},
    SWEEPS: {"shipped": shipped_table},
    TRADEOFF: {"dial": dial_table},
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
