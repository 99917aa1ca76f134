"""What each part of E-RSCT buys, at equal epochs of the student: `python -m benchmarks.e_rsct`.

Trains the recipes in rsc_snn/recipes/ablation, the smallest model with RSC at sigma 0.2, with
several seeds: plain, with distillation, with the pre-synaptic loss, with both, and with both from
the teacher's weights. Finished runs are kept in `--out` and interrupted ones resumed. The peer is
the plain recipe, trained in the same runs with the same seeds: differences are taken seed by
seed, their interval is Student's t over the seeds. Accuracies are those of a single pass on the
whole test split.

Writes the runs to assets/results/e_rsct.csv and the table to docs/training.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from scipy import stats

from benchmarks.results import read_rows, update_document, write_rows
from rsc_snn.cli import exit_code
from rsc_snn.evaluate import wilson
from rsc_snn.training.batch import changed_fields
from rsc_snn.training.recipe import Recipe, read_recipe

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "rsc_snn" / "recipes" / "ablation"
RESULTS = ROOT / "assets" / "results" / "e_rsct.csv"
DOCS = ROOT / "docs" / "training.md"
MARKERS = ("<!-- e-rsct table -->", "<!-- end of e-rsct table -->")
TEACHER = "ablation-ann"
PLAIN = "ablation-plain"
VARIANTS = (
    PLAIN,
    "ablation-distillation",
    "ablation-presynaptic",
    "ablation-both",
    "ablation-all",
)
# What the table says of all runs.
ALIKE = ("epochs", "sigma", "time_steps", "n", "draws", "teacher_clean")


@dataclass(frozen=True)
class Run:
    """One trained model: single-pass clean accuracy on n test images with its 95 % interval."""

    variant: str
    label: str
    seed: int
    epochs: int
    sigma: float
    time_steps: int
    clean: float
    lower: float
    upper: float
    n: int
    draws: int
    seconds: float
    device: str
    teacher_clean: float
    command: str


def train(variant: str, seed: int, out: Path, extra: Sequence[str]) -> dict[str, object]:
    """The card of one variant and seed, trained and exported unless it is there.

    Raises SystemExit, with the program's exit code, if it could not be trained.
    """
    name = f"{variant}-seed{seed}"
    models = out / "models" if variant == TEACHER else out / name / "model"
    card = models / f"{variant}.json"
    if not card.exists():
        command = [sys.executable, "-m", "rsc_snn", "train", str(RECIPES / f"{variant}.toml")]
        command += ["--seed", str(seed), "--out", str(out / name), "--zoo", str(out / "models")]
        command += ["--export", str(models), *extra]
        if code := subprocess.run(command, check=False, cwd=ROOT).returncode:
            raise SystemExit(code)  # The program has said why.
    values: dict[str, Any] = json.loads(card.read_text(encoding="utf-8"))
    made = Recipe.from_values(values["training"]["recipe"])
    now = read_recipe(RECIPES / f"{variant}.toml", seed=seed)
    if changed := changed_fields(made, now):
        raise SystemExit(
            f"{card} was trained by another recipe ({', '.join(changed)}); name another --out."
        )
    return values


class AnyRun(Protocol):
    """What runs of this benchmark and of its like have in common."""

    @property
    def variant(self) -> str: ...
    @property
    def seed(self) -> int: ...


SomeRun = TypeVar("SomeRun", bound=AnyRun)


def with_others(
    new: Sequence[SomeRun], old: Sequence[SomeRun], alike: Sequence[str]
) -> list[SomeRun]:
    """New runs in place of the old ones of their variant and seed, the rest as it was, by seed.

    alike: fields that all runs of a variant must share, for the table states them once; old runs
    that differ in one from the new runs of their variant, or have none, are left out.
    """
    now = {run.variant: _values(run, alike) for run in new}
    kept = [run for run in old if _values(run, alike) == now.get(run.variant)]
    if left := len(old) - len(kept):
        print(f"{left} earlier runs were of other recipes or images and are left out", flush=True)
    runs = {(run.variant, run.seed): run for run in (*kept, *new)}
    return sorted(runs.values(), key=lambda run: run.seed)


def _values(run: AnyRun, names: Sequence[str]) -> list[object]:
    return [getattr(run, name) for name in names]


def measure(variant: str, seed: int, out: Path, extra: Sequence[str], teacher: float) -> Run:
    """One row of the results."""
    card = train(variant, seed, out, extra)
    clean, facts = card["clean_accuracy"], card["training"]
    assert isinstance(clean, dict) and isinstance(facts, dict)
    recipe = read_recipe(RECIPES / f"{variant}.toml")
    return Run(
        variant=variant,
        label=recipe.label,
        seed=seed,
        epochs=recipe.epochs,
        sigma=recipe.model.sigma,
        time_steps=recipe.model.time_steps,
        clean=clean["value"],
        lower=clean["lower"],
        upper=clean["upper"],
        n=clean["n"],
        draws=clean["draws"],
        seconds=facts["seconds"],
        device=facts["device"],
        teacher_clean=teacher,
        command=f"python -m benchmarks.e_rsct --seeds {seed}",
    )


def table(runs: Sequence[Run]) -> str:
    """Mean accuracy of each variant and what it adds to the plain recipe, in points."""
    plain = {run.seed: run.clean for run in runs if run.variant == PLAIN}
    lines = [
        "| trained with | clean accuracy, mean (95 % interval; each seed) | over plain, points "
        "(95 % interval) |",
        "| --- | --- | --- |",
    ]
    for variant in VARIANTS:
        rows = [run for run in runs if run.variant == variant]
        if not rows:
            continue
        each = ", ".join(f"{100 * run.clean:.1f}" for run in rows)
        gains = [100 * (run.clean - plain[run.seed]) for run in rows if run.seed in plain]
        gain = "" if variant == PLAIN else interval_text(gains)
        mean = 100 * statistics.mean(run.clean for run in rows)
        ends = ""
        if len(rows) > 1:
            low, high = mean_interval([100 * run.clean for run in rows])
            ends = f" ({low:.1f} to {high:.1f}; seeds: {each})"
        lines.append(f"| {rows[0].label} | {mean:.1f} %{ends or f' ({each})'} | {gain} |")
    first = runs[0]
    lines += [
        "",
        f"CIFAR-10, VGG 16-32-64-128, sigma {first.sigma:g}, T={first.time_steps}, {first.epochs} "
        f"epochs, seeds {', '.join(sorted({str(run.seed) for run in runs}))}; single pass on "
        f"{first.n:,} test images, {first.draws} noise draws each. The teacher, an ANN of the same "
        f"widths, trained for {_teacher_epochs()} epochs of its own, once for all seeds, and has "
        f"{_share(first.teacher_clean, first.n)}: what it teaches is no gain at equal cost. "
        "Weights of the two parts: 1 and 1 (the shipped recipes: 1 and 0.5). Intervals: Student's "
        "t over the seeds, that of the teacher Wilson's over images. "
        "Repeat: `python -m benchmarks.e_rsct`.",
    ]
    return "\n".join(lines) + "\n"


def _teacher_epochs() -> int:
    return read_recipe(RECIPES / f"{TEACHER}.toml").epochs


def _share(value: float, n: int) -> str:
    """A share of n images in percent, with Wilson's 95 % interval."""
    found = wilson(value * n, n)
    return f"{100 * value:.1f} % ({100 * found.lower:.1f} to {100 * found.upper:.1f})"


def interval_text(gains: Sequence[float]) -> str:
    """Mean and t interval of paired differences."""
    mean = statistics.mean(gains)
    if len(gains) < 2:
        return f"{mean:+.1f} (one seed)"
    low, high = mean_interval(gains)
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's t interval (95 %) of the mean of at least two values."""
    mean, reach = statistics.mean(values), stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return mean - reach, mean + reach


def main() -> None:
    """Parse the command line, train what is missing, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "e_rsct")
    parser.add_argument("--threads", help="CPU threads (default: all cores)")
    arguments = parser.parse_args()
    extra = [] if arguments.threads is None else ["--threads", arguments.threads]
    teacher = train(TEACHER, 0, arguments.out, extra)["clean_accuracy"]
    assert isinstance(teacher, dict)
    runs = []
    for seed in arguments.seeds:
        for variant in VARIANTS:
            runs.append(measure(variant, seed, arguments.out, extra, teacher["value"]))
            print(f"{variant} seed {seed}: {runs[-1].clean:.2%}", flush=True)
    runs = with_others(runs, read_rows(RESULTS, Run), ALIKE)
    write_rows(RESULTS, Run, runs)
    content = table(runs)
    update_document(DOCS, MARKERS, content)
    print(content)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
