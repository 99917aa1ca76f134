"""The work behind "Measure your own grid": what it takes, and the job that does it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rsc_snn.data import data_root
from rsc_snn.errors import DataError
from rsc_snn.jobs import JobContext
from rsc_snn.sweep.cells import Cell, CellResult
from rsc_snn.sweep.cost import (
    Cost,
    Speed,
    duration_text,
    estimate_cost,
    measure_speed,
    passes_of,
    rate_text,
)
from rsc_snn.sweep.grid import GALLERY, Grid, expand, fingerprints, measured_images
from rsc_snn.sweep.run import SweepReport, run_sweep
from rsc_snn.sweep.store import NOT_ALONE, Store
from rsc_snn.sweep.work import Workspace
from rsc_snn.ui import resources
from rsc_snn.ui.explorer.sources import shipped_among, store_path

if TYPE_CHECKING:
    from rsc_snn.zoo import ModelCard


def cells_of_grid(grid: Grid) -> tuple[Cell, ...]:
    """The cells of a grid, remembered. Raises SweepError, DataError, ZooError."""
    zoo = resources.zoo()
    models = tuple((name, zoo.card(name).identity) for name in zoo.names())
    key = ("explorer.cells", grid, models, str(data_root()))
    return resources.memo().compute(key, tuple, lambda: expand(grid, zoo, fingerprints(grid, zoo)))


def splits_at_hand(model: str) -> list[str]:
    """Where images can come from: the test split if its data is at hand, and the gallery."""
    card = resources.zoo().card(model)
    return [split for split in ("test", GALLERY) if _is_at_hand(card, split)]


def _is_at_hand(card: ModelCard, split: str) -> bool:
    """True if the model can be measured on a split; remembered, for data rarely goes away."""
    source = (split, card.dataset, card.classes, card.config.image_size)
    key = ("explorer.split", source, str(data_root()))
    if resources.memo().get(key, bool) is None:
        try:
            measured_images(card, Grid((card.name,), ("fgsm",), (0,), images=1, split=split))  # type: ignore[arg-type]
        except DataError:
            return False
        resources.memo().put(key, True)
    return True


def cost_of(cells: Sequence[Cell]) -> Cost:
    """What cells take at the speed of their models on this device, measured once."""
    speeds = {name: _speed(name) for name in dict.fromkeys(cell.model for cell in cells)}
    return estimate_cost(cells, speeds)


def _speed(name: str) -> Speed:
    device = resources.device()
    key = ("explorer.speed", name, resources.zoo().card(name).identity, str(device))
    return resources.live(key, Speed, lambda: measure_speed(resources.zoo().load(name, device)))


class _Pace:
    """How far a grid is. Its share is of the work, not of the measurements, which differ a lot."""

    def __init__(self, missing: Sequence[Cell]) -> None:
        self._work = {cell.key: passes_of(cell) for cell in missing}
        self._cells, self._total = len(missing), sum(self._work.values())
        self._start = time.monotonic()

    def finish(self, cell: Cell) -> None:
        """A measurement is there."""
        self._work.pop(cell.key, None)

    @property
    def share(self) -> float:
        """0..1."""
        return 1 - sum(self._work.values()) / self._total

    def words(self) -> str:
        """Their rate and the time left, such as `3 of 60 measurements, 12 a minute, ...`."""
        done = self._cells - len(self._work)
        text = f"{done:,} of {self._cells:,} measurement{'s' * (self._cells != 1)}"
        if not done:
            return text
        seconds = time.monotonic() - self._start
        left = duration_text(seconds * (1 - self.share) / self.share)
        return f"{text}, {rate_text(done, seconds)}, about {left} left"


def measure_grid(cells: Sequence[Cell], context: JobContext) -> SweepReport:
    """Measure what the app's store lacks; each result is stored, then published.

    Results that ship are stored first, so that they are not measured again. Raises SweepError,
    and Cancelled after a stop, with everything measured so far stored.
    """
    with Store(store_path()) as store:
        store.check_writable()
        store.put_all(shipped_among(cells))
        context.advise("What was measured is kept; what is missing can be measured from there.")
        pace = _Pace(store.missing(cells))
        context.progress(0.0, pace.words())

        def count(cell: Cell) -> None:
            pace.finish(cell)
            context.progress(pace.share, pace.words())

        def keep(result: CellResult) -> None:
            context.publish(result)
            count(result.cell)

        with store.sweeping() as alone:
            if not alone:
                context.note(NOT_ALONE)
            report = run_sweep(
                cells,
                store,
                Workspace(resources.zoo().folders, data_root(), str(resources.device())),
                workers=1,
                alone=alone,
                on_result=keep,
                on_skipped=count,
                on_waiting=context.note,
                cancelled=context.cancelled,
            )
    if report.cancelled:
        context.check()
    return report
