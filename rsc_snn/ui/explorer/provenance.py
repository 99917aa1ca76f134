"""What a figure rests on, and how to measure it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from rsc_snn.data import DATASETS
from rsc_snn.errors import SweepError
from rsc_snn.sweep.cells import CLEAN, Cell, CellResult
from rsc_snn.sweep.grid import GALLERY, Grid, GridAttack
from rsc_snn.tradeoff import OperatingPoint
from rsc_snn.ui.explorer.measured import has_time

# With marks for the glossary.
INTERVALS = (
    "[Intervals](#confidence-interval) are 95 %. For accuracies they are "
    "[Wilson's](#wilson-interval) over images (with the effective number of images where an "
    "image's answers vary over draws); for differences, a [paired bootstrap](#bootstrap) over the "
    "same images (9,999 resamples, percentiles; with noise wide enough for one image more, which "
    "was not drawn), or [Newcombe's](#newcombe-interval) where fewer than 10 images differ. "
    "Conclusions are corrected for the number of comparisons "
    "([Holm](#holm-correction); for the effective sigma [Bonferroni](#bonferroni-correction), in "
    "the intervals too)."
)


class _Setting(NamedTuple):
    """Where attacks were measured; None for what a grid need not say of the model."""

    model: str
    sigma: float | None
    steps: int | None
    draws: int | None


# Epsilons, rising, of which each is tried where the ones before it have failed.
_Ladder = tuple[float, ...]
# Draws, noise levels and time steps of a grid; None for what none of its models needs.
_Block = tuple[int | None, tuple[float, ...] | None, tuple[int, ...] | None]


def grids_of(cells: Iterable[Cell]) -> tuple[Grid, ...]:
    """The grids that have all of these cells, and beside them smaller epsilons of their chains.

    Cells are of one sample, the clean ones at settings that have attacked ones. There are several
    grids if one alone would give other cells (each goes through all of its epsilons) or more of
    them (it crosses all that it lists).
    """
    attacked = [cell for cell in cells if cell.attack != CLEAN]
    timed = set(filter(has_time, {cell.model for cell in attacked}))
    by_setting: dict[_Setting, list[Cell]] = {}
    for cell in attacked:
        by_setting.setdefault(_setting(cell, cell.model in timed), []).append(cell)
    places: dict[tuple[GridAttack, _Ladder], set[_Setting]] = {}
    for setting, own in by_setting.items():
        for place in _ladders(own):
            places.setdefault(place, set()).add(setting)
    groups: dict[tuple[_Ladder, frozenset[_Setting]], list[GridAttack]] = {}
    for (attack, ladder), settings in places.items():
        groups.setdefault((ladder, frozenset(settings)), []).append(attack)
    return tuple(
        Grid(
            models=tuple(sorted(models)),
            attacks=tuple(attacks),
            epsilons=ladder,
            sigmas=sigmas,
            time_steps=steps,
            images=attacked[0].images,
            draws=draws or 1,
            seed=attacked[0].seed,
            batch_size=attacked[0].batch_size,
            split=attacked[0].split,
        )
        for (ladder, settings), attacks in groups.items()
        for (draws, sigmas, steps), models in _blocks(settings).items()
    )


def _setting(cell: Cell, timed: bool) -> _Setting:
    steps = cell.time_steps if timed else None
    return _Setting(cell.model, cell.sigma, steps, cell.draws if cell.noisy else None)


def _ladders(cells: Sequence[Cell]) -> Iterator[tuple[GridAttack, _Ladder]]:
    """The attacks of one setting with the epsilons that each of them has to go through."""
    found: dict[GridAttack, set[_Ladder]] = {}
    for cell in cells:
        found.setdefault(_attack(cell, cells), set()).add((*cell.chain, cell.epsilon))
    for attack, ladders in found.items():
        if not attack.chained:
            yield attack, tuple(sorted(ladder[-1] for ladder in ladders))
            continue
        for ladder in ladders:
            if not any(other[: len(ladder)] == ladder for other in ladders - {ladder}):
                yield attack, ladder


def _attack(cell: Cell, cells: Sequence[Cell]) -> GridAttack:
    """The attack of a cell, its step a share of epsilon unless it is one at every epsilon."""
    values = dict(cell.parameters)
    size = values.pop("step_size", None)
    if size is None:
        return GridAttack(cell.attack, tuple(values.items()))
    same = {
        other.epsilon
        for other in cells
        if (other.attack, other.parameters, other.chain) == (cell.attack, cell.parameters, ())
    }
    fixed = GridAttack(cell.attack, cell.parameters)
    if len(same) > 1:
        return fixed
    try:
        share = GridAttack(cell.attack, tuple(values.items()), round(float(size) / cell.epsilon, 6))
    except SweepError:
        return fixed  # No share that a grid may have.
    return share if share.at(cell.epsilon) == cell.parameters else fixed


def _blocks(settings: Iterable[_Setting]) -> dict[_Block, set[str]]:
    """Draws, noise levels and time steps that cross to just these settings, and their models."""
    every = list(settings)
    most: dict[tuple[str, int | None], int] = {}
    for setting in every:
        place = (setting.model, setting.steps)
        most[place] = max(most.get(place, 0), setting.draws or 0)
    levels: dict[tuple[str, int | None, int | None], set[float]] = {}
    for model, sigma, steps, draws in every:
        found = levels.setdefault((model, draws or most[model, steps] or None, steps), set())
        found |= set() if sigma is None else {sigma}
    rows: dict[tuple[str, int | None, tuple[float, ...]], set[int]] = {}
    for (model, draws, steps), found in levels.items():
        times = rows.setdefault((model, draws, tuple(sorted(found))), set())
        times |= set() if steps is None else {steps}
    blocks: dict[_Block, set[str]] = {}
    for (model, draws, sigmas), times in rows.items():
        block = (draws, sigmas or None, tuple(sorted(times)) or None)
        blocks.setdefault(block, set()).add(model)
    return _merged(blocks)


def _merged(blocks: Mapping[_Block, set[str]]) -> dict[_Block, set[str]]:
    """Models that do not need what a block says are measured with it."""
    kept: dict[_Block, set[str]] = {}
    for block in sorted(blocks, key=lambda block: sum(part is None for part in block)):
        fitting = (
            other
            for other in kept
            if all(mine in (None, theirs) for mine, theirs in zip(block, other, strict=True))
        )
        kept.setdefault(next(fitting, block), set()).update(blocks[block])
    return kept


def cells_of(points: Iterable[OperatingPoint]) -> list[Cell]:
    """All cells that points rest on."""
    return [
        result.cell for point in points for result in (point.clean_result, *point.robust_results)
    ]


def provenance(points: Sequence[OperatingPoint], labels: dict[str, str]) -> str:
    """Models, data, images, draws and seed of points of the same images, in words."""
    cells = cells_of(points)
    first = cells[0]
    names = ", ".join(labels[name] for name in sorted({cell.model for cell in cells}))
    counts = sorted({cell.draws for cell in cells})
    draws = " or ".join(f"{count}" for count in counts)
    noun = "fresh noise draw" if counts == [1] else "fresh noise draws"
    kind = "photographs of the gallery" if first.split == GALLERY else f"{first.split} images"
    data = DATASETS[first.dataset].label if first.dataset in DATASETS else first.dataset
    return (
        f"Measured: {names}, on n = {first.images:,} {kind} of {data} (the same ones at every "
        f"setting, fingerprint {first.data}), {draws} {noun} an image, seed {first.seed}, on "
        f"{processors(points)}."
    )


def processors(points: Iterable[OperatingPoint]) -> str:
    """What measured points, each kind of processor once; older results do not tell theirs."""
    found = {
        _processor(result)
        for point in points
        for result in (point.clean_result, *point.robust_results)
    }
    unknown = ["a CPU that was not noted"] if "" in found else []
    *others, last = *sorted(found - {""}), *unknown
    return f"{', '.join(others)} and {last}" if others else last


def _processor(result: CellResult) -> str:
    kind, _, name = result.device.partition(" · ")
    if kind == "GPU":
        return name
    return result.versions.get("processor", "").replace(", ", " with ")
