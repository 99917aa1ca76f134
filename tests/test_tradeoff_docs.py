"""The numbers in docs/tradeoff.md are those of the results that ship."""

from __future__ import annotations

from pathlib import Path

from rsc_snn.sweep.cells import CLEAN, CellResult
from rsc_snn.sweep.transfer import shipped_results

TEXT = (Path(__file__).parents[1] / "docs" / "tradeoff.md").read_text(encoding="utf-8")
DIAL = "cifar10-snn-rsc-range"
# Attack and epsilon of each column after the first.
COLUMNS = ((CLEAN, 0.0), ("pgd", 2.0), ("pgd", 8.0), ("eot_pgd", 8.0))


def written(result: CellResult) -> str:
    found = result.estimate()
    return f"{100 * found.value:.1f} ({100 * found.lower:.1f} to {100 * found.upper:.1f})"


def test_the_table_of_the_dial() -> None:
    measured = {
        (r.cell.model, r.cell.sigma, r.cell.attack, r.cell.epsilon): written(r)
        for r in shipped_results()
        if r.cell.model != DIAL or r.cell.time_steps == 4
    }
    table = TEXT[TEXT.index("| sigma | clean |") :].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert len(rows) == 6
    for first, *cells in rows:
        ordinary = first.startswith("`")
        place = (first.strip("`"), None) if ordinary else (DIAL, float(first))
        for (attack, epsilon), cell in zip(COLUMNS, cells, strict=True):
            assert cell == measured.get((*place, attack, epsilon), "not measured")
