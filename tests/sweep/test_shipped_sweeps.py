"""The results that ship: all cells of the sweep files that ship as well, and no others."""

from __future__ import annotations

from pathlib import Path

from rsc_snn.sweep.grid import expand, read_grid
from rsc_snn.sweep.transfer import shipped_results
from rsc_snn.zoo import Zoo

FILES = Path(__file__).parents[2] / "rsc_snn" / "sweep"


def test_the_shipped_cells_are_those_of_the_shipped_files() -> None:
    shipped = {result.cell.key: result.cell for result in shipped_results()}
    zoo = Zoo()
    marks = {cell.dataset: cell.data for cell in shipped.values()}
    fingerprints = {name: marks[zoo.card(name).dataset] for name in zoo.names()}
    made = {
        cell.key: cell
        for path in FILES.glob("*.toml")
        for cell in expand(read_grid(path), zoo, fingerprints)
    }
    assert shipped
    assert not [cell for key, cell in shipped.items() if key not in made]
    assert not [cell for key, cell in made.items() if key not in shipped]
