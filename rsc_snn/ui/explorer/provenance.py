"""What a figure rests on, and how to measure it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rsc_snn.data import DATASETS
from rsc_snn.sweep.cells import CLEAN, Cell
from rsc_snn.sweep.grid import GALLERY, Grid, GridAttack
from rsc_snn.tradeoff import OperatingPoint

# With marks for the glossary.
INTERVALS = (
    "[Intervals](#confidence-interval) are 95 %: of accuracies [Wilson's](#wilson-interval) over "
    "images (where an image's answers vary over draws, at the effective number of images), of "
    "differences a paired bootstrap over the same images (9,999 resamples, percentiles); "
    "conclusions are corrected for the number of comparisons (Holm)."
)


def grid_of(cells: Iterable[Cell]) -> Grid:
    """The smallest grid that has all of these cells, which are of one sample.

    Smaller epsilons of an attack's chain are part of it. Raises SweepError without an attack.
    """
    every = tuple(cells)
    first = every[0]
    attacked = [cell for cell in every if cell.attack != CLEAN]
    sigmas = {cell.sigma for cell in every if cell.sigma is not None}
    return Grid(
        models=tuple(sorted({cell.model for cell in every})),
        attacks=_attacks(attacked),
        epsilons=tuple({e for cell in attacked for e in (*cell.chain, cell.epsilon)}),
        sigmas=tuple(sigmas) or None,
        time_steps=tuple({cell.time_steps for cell in every}),
        images=first.images,
        draws=max(cell.draws for cell in every),
        seed=first.seed,
        batch_size=first.batch_size,
        split=first.split,
    )


def _attacks(cells: Sequence[Cell]) -> tuple[GridAttack, ...]:
    """The attacks of cells, steps as a share of epsilon where they are one at every epsilon."""
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        rest = tuple(item for item in cell.parameters if item[0] != "step_size")
        groups.setdefault((cell.attack, rest), []).append(cell)
    found: dict[GridAttack, None] = {}
    for group in groups.values():
        for cell in group:
            values = dict(cell.parameters)
            size = values.pop("step_size", None)
            share = None if size is None else round(float(size) / cell.epsilon, 6)
            fixed = len({dict(other.parameters).get("step_size") for other in group}) == 1
            if size is not None and fixed and not cell.chain and len(_sizes(group)) > 1:
                share, values["step_size"] = None, size
            found[GridAttack(cell.attack, tuple(values.items()), share)] = None
    return tuple(found)


def _sizes(cells: Sequence[Cell]) -> set[float]:
    return {cell.epsilon for cell in cells}


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
        f"setting, fingerprint {first.data}), {draws} {noun} an image, seed {first.seed}."
    )
