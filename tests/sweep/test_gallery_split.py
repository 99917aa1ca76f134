"""The photographs that ship as a split of a sweep: nothing but the assets is needed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from rsc_snn.cli import build_parser
from rsc_snn.data.gallery import gallery_set
from rsc_snn.errors import SweepError
from rsc_snn.robustness.cells import fingerprint
from rsc_snn.sweep.grid import GALLERY, Grid, cell_command, expand, fingerprints, measured_images
from rsc_snn.sweep.run import run_sweep
from rsc_snn.sweep.work import Workspace
from rsc_snn.zoo import Zoo
from tests.app_assets import PER_CLASS, make_gallery
from tests.conftest import CIFAR10
from tests.sweep.engine_cases import DictStore

COUNT = PER_CLASS * len(CIFAR10)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Assets with a gallery, and no data set anywhere."""
    make_gallery(tmp_path / "images")
    monkeypatch.setenv("RSC_SNN_ASSETS", str(tmp_path))
    monkeypatch.setenv("RSC_SNN_DATA", str(tmp_path / "none"))
    return tmp_path / "images"


def grid(images: int = 8) -> Grid:
    return Grid(("tiny-rsc",), ("fgsm",), (8,), images=images, draws=2, split=GALLERY)  # type: ignore[arg-type]


def test_a_sweep_of_the_gallery_needs_no_data(tiny_zoo: Path, pictures: Path) -> None:
    zoo, store = Zoo(tiny_zoo), DictStore()
    cells = expand(grid(), zoo, fingerprints(grid(), zoo))
    assert {cell.split for cell in cells} == {GALLERY}
    report = run_sweep(cells, store, Workspace((tiny_zoo,), pictures / "none"), workers=1)
    assert (report.done, report.failed) == (2, {})
    assert {result.labels.shape for result in store.results.values()} == {(8,)}


def test_the_images_are_those_of_the_gallery(tiny_zoo: Path, pictures: Path) -> None:
    card = Zoo(tiny_zoo).card("tiny-rsc")
    every = measured_images(card, grid(COUNT))
    assert fingerprint(every) == fingerprint(gallery_set("cifar10", 32, pictures))
    with pytest.raises(SweepError, match=f"at most {COUNT}, as many as the gallery split"):
        measured_images(card, grid(COUNT + 1))


def test_the_command_of_such_a_cell_is_one_that_the_program_takes(
    tiny_zoo: Path, pictures: Path
) -> None:
    zoo = Zoo(tiny_zoo)
    cell = expand(grid(), zoo, fingerprints(grid(), zoo))[-1]
    words = shlex.split(cell_command(cell).removeprefix("python -m rsc_snn "))
    assert build_parser().parse_args(words).split == GALLERY
