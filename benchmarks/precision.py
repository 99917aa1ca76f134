"""What gradients in bfloat16 cost the EOT-PGD of the sweeps: `python -m benchmarks.precision`.

Sweeps attack with the precision "fast": on CPUs with instructions for bfloat16 the attack's
gradients are computed in it. This measures the same settings with "full", float32, on the same
images, from the same random starts and with the same scoring noise, and prints how many points of
robust accuracy more "fast" leaves: its harm is less by that. Differences are taken image by image,
with 95 % intervals of a paired bootstrap. On a CPU without such instructions both are float32, and
nothing is to be seen.

Cells are kept in `--store` (runs/precision.sqlite), where a stopped run goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rsc_snn.cli import exit_code
from rsc_snn.data import data_root
from rsc_snn.device import arithmetic, pick_device
from rsc_snn.errors import ConfigError
from rsc_snn.sweep.cells import CLEAN, Cell, CellResult
from rsc_snn.sweep.grid import PRESETS, Grid, GridAttack, expand, fingerprints
from rsc_snn.sweep.run import run_sweep
from rsc_snn.sweep.store import Store
from rsc_snn.sweep.work import Workspace
from rsc_snn.tradeoff.paired import differences
from rsc_snn.zoo import Zoo, models_folder

SIGMAS, EPSILONS = (0.1, 0.2, 0.3, 0.4), (2.0, 4.0, 8.0)
PRECISIONS = ("fast", "full")
# A setting: sigma and epsilon.
Pairs = Mapping[tuple[float, float], tuple[CellResult, CellResult]]


def grid_of(model: str, precision: str, images: int, draws: int, time_steps: int) -> Grid:
    """The settings, under the sweeps' EOT-PGD-10 with one precision."""
    preset = PRESETS["eot_pgd10"]
    kept = {name: value for name, value in preset.parameters if name != "precision"}
    attack = GridAttack.of(preset.attack, preset.step_share, precision=precision, **kept)
    return Grid(
        models=(model,),
        attacks=(attack,),
        epsilons=EPSILONS,
        sigmas=SIGMAS,
        time_steps=(time_steps,),
        images=images,
        draws=draws,
    )


def measure(grids: Mapping[str, Grid], path: Path, workers: int | None) -> Pairs:
    """The attacked cells of both precisions, by setting. Raises ConfigError if one failed."""
    zoo, found = Zoo(), {}
    place = Workspace(folders=(models_folder(),), data=data_root())
    with Store(path) as store:
        for precision, grid in grids.items():
            cells = expand(grid, zoo, fingerprints(grid, zoo))
            report = run_sweep(cells, store, place, workers=workers)
            if report.failed:
                raise ConfigError(next(iter(report.failed.values())))
            attacked = [cell for cell in cells if cell.attack != CLEAN]
            found[precision] = {_setting(cell): store.get(cell.key) for cell in attacked}
    pairs = {}
    for setting in found["fast"]:
        fast, full = (found[precision][setting] for precision in PRECISIONS)
        assert fast is not None and full is not None
        pairs[setting] = (fast, full)
    return pairs


def _setting(cell: Cell) -> tuple[float, float]:
    return cell.sigma or 0.0, cell.epsilon


def lines(pairs: Pairs) -> list[str]:
    """How much more accuracy "fast" leaves: at each epsilon, over the sigmas, and overall."""
    gaps = {
        setting: np.subtract(*(result.right.mean(axis=0) for result in pair))
        for setting, pair in pairs.items()
    }
    rows = {}
    for epsilon in sorted({epsilon for _, epsilon in gaps}):
        own = [gap for (_, size), gap in gaps.items() if size == epsilon]
        rows[f"{epsilon:g}/255"] = np.mean(own, axis=0)
    rows["all"] = np.mean(list(gaps.values()), axis=0)
    found = differences(np.stack(list(rows.values()), axis=1))
    seconds = [sum(pair[at].seconds for pair in pairs.values()) for at in (0, 1)]
    return [
        "robust accuracy under fast minus under full, points:",
        *(f"  {name:8s}{each.text()}" for name, each in zip(rows, found, strict=True)),
        f"seconds of workers: fast {seconds[0]:.0f}, full {seconds[1]:.0f} "
        f"({seconds[1] / max(seconds[0], 1e-9):.2f}x)",
    ]


def main() -> None:
    """Measure what is missing, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="cifar10-snn-rsc-range")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--time-steps", type=int, default=1)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--store", type=Path, default=Path("runs/precision.sqlite"))
    args = parser.parse_args()
    grids = {
        precision: grid_of(args.model, precision, args.images, args.draws, args.time_steps)
        for precision in PRECISIONS
    }
    args.store.parent.mkdir(parents=True, exist_ok=True)
    print(f"gradients with the precision fast: {arithmetic(pick_device('cpu'))['fast_gradients']}")
    print(
        f"{args.model}, T = {args.time_steps}, sigma {', '.join(map(str, SIGMAS))}, "
        f"{args.images:,} test images, {args.draws} fresh draws, seed 0"
    )
    print("\n".join(lines(measure(grids, args.store, args.workers))))


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
