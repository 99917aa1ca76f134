"""Whether sparse gradients pay, at equal epochs: `python -m benchmarks.sparse_gradients`.

Trains the smallest model with RSC at sigma 0.2, plain and adversarially, each without (the peer)
and with the regulariser of `rsc_snn.training.sparsity`, with several seeds, and attacks all of them
with EOT-PGD (`PARAMETERS`; gradients averaged over fresh draws, scored on other ones) on the same
test images. Finished runs are kept in `--out`, where `benchmarks.e_rsct` has its own, and
interrupted ones resumed. Differences are taken seed by seed; their interval is Student's t over the
seeds. Clean accuracies are those of a single pass on the whole test split.

Writes the runs to assets/results/sparse_gradients.csv and the table to docs/training.md.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.e_rsct import (
    DOCS,
    PLAIN,
    RECIPES,
    ROOT,
    interval_text,
    mean_interval,
    train,
    with_others,
)
from benchmarks.results import read_rows, update_document, write_rows
from rsc_snn.cli import exit_code
from rsc_snn.data import ImageSet, load_dataset
from rsc_snn.device import use_threads
from rsc_snn.evaluate import Estimate, evaluate_accuracy
from rsc_snn.training.recipe import read_recipe
from rsc_snn.zoo import Zoo

RESULTS = ROOT / "assets" / "results" / "sparse_gradients.csv"
MARKERS = ("<!-- sparse gradients table -->", "<!-- end of sparse gradients table -->")
# Each with the peer that it is compared with.
VARIANTS = {
    PLAIN: PLAIN,
    "ablation-sparse": PLAIN,
    "ablation-at": "ablation-at",
    "ablation-at-sparse": "ablation-at",
}
EPSILONS = (2.0, 8.0)
DRAWS = 10
PARAMETERS = {"steps": 10, "random_start": True, "eot_draws": 10, "precision": "fast"}
# What the table says of all runs; minutes of two devices have no mean.
ALIKE = ("epochs", "sigma", "time_steps", "sparsity", "clean_n", "robust_n", "draws", "device")


@dataclass(frozen=True)
class Run:
    """One trained model; accuracies are shares 0..1 with 95 % intervals, epsilon in 255ths."""

    variant: str
    label: str
    seed: int
    epochs: int
    sigma: float
    time_steps: int
    sparsity: float
    clean: float
    clean_lower: float
    clean_upper: float
    clean_n: int
    robust_2: float
    robust_2_lower: float
    robust_2_upper: float
    robust_8: float
    robust_8_lower: float
    robust_8_upper: float
    robust_n: int
    draws: int
    seconds: float
    device: str
    command: str


def measure(
    variant: str, seed: int, out: Path, extra: Sequence[str], data: ImageSet, images: int
) -> Run:
    """One row of the results."""
    card = train(variant, seed, out, extra)
    clean, facts = card["clean_accuracy"], card["training"]
    assert isinstance(clean, dict) and isinstance(facts, dict)
    recipe = read_recipe(RECIPES / f"{variant}.toml")
    model = Zoo(out / f"{variant}-seed{seed}" / "model").load(variant, "cpu")

    def robust(epsilon: float) -> Estimate:
        found = evaluate_accuracy(
            model,
            data.images,
            data.labels,
            attack="eot_pgd",
            parameters={**PARAMETERS, "epsilon": epsilon, "step_size": epsilon / 4},
            draws=DRAWS,
            limit=images,
        ).robust
        assert found is not None
        return found

    small, large = (robust(epsilon) for epsilon in EPSILONS)
    return Run(
        variant=variant,
        label=recipe.label,
        seed=seed,
        epochs=recipe.epochs,
        sigma=recipe.model.sigma,
        time_steps=recipe.model.time_steps,
        sparsity=recipe.sparsity,
        clean=clean["value"],
        clean_lower=clean["lower"],
        clean_upper=clean["upper"],
        clean_n=clean["n"],
        robust_2=small.value,
        robust_2_lower=small.lower,
        robust_2_upper=small.upper,
        robust_8=large.value,
        robust_8_lower=large.lower,
        robust_8_upper=large.upper,
        robust_n=small.n,
        draws=DRAWS,
        seconds=facts["seconds"],
        device=facts["device"],
        command=f"python -m benchmarks.sparse_gradients --seeds {seed} --images {images}",
    )


def table(runs: Sequence[Run]) -> str:
    """Mean accuracies of each variant and what sparse gradients add to its peer, in points."""
    columns = {"clean": "clean", "robust_2": "EOT-PGD 2/255", "robust_8": "EOT-PGD 8/255"}
    heads = " | ".join(f"{name} | over its peer" for name in columns.values())
    lines = [f"| trained | {heads} |", "|" + " --- |" * (1 + 2 * len(columns))]
    for variant, peer in VARIANTS.items():
        rows = [run for run in runs if run.variant == variant]
        peers = {run.seed: run for run in runs if run.variant == peer}
        if not rows:
            continue
        cells = [rows[0].label]
        for name in columns:
            gains = [
                100 * (getattr(run, name) - getattr(peers[run.seed], name))
                for run in rows
                if run.seed in peers
            ]
            cells += [
                accuracy_text(rows, name),
                "" if variant == peer or not gains else interval_text(gains),
            ]
        lines.append(f"| {' | '.join(cells)} |")
    first = runs[0]
    weight = max(run.sparsity for run in runs)
    measured = {run.variant for run in runs}
    lacking = [f"`{variant}`" for variant in VARIANTS if variant not in measured]
    seeds = sorted({run.seed for run in runs})
    numbers = " ".join(map(str, seeds))
    lines += [
        "",
        f"CIFAR-10, VGG 16-32-64-128, sigma {first.sigma:g}, T={first.time_steps}, "
        f"{first.epochs} epochs, "
        f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}; weight {weight:g}, "
        f"the only one tried; clean on {first.clean_n:,} test images, "
        f"EOT-PGD ({PARAMETERS['steps']} steps, "
        f"{PARAMETERS['eot_draws']} draws a gradient) on {first.robust_n:,}, {DRAWS} fresh draws "
        "each. Intervals are 95 %: of one seed Wilson's over the images, of several Student's t "
        "over the seeds; differences in points. Repeat: "
        f"`python -m benchmarks.sparse_gradients --seeds {numbers} --images {first.robust_n}`."
        + (f" Not measured yet: {', '.join(lacking)}." if lacking else ""),
    ]
    return "\n".join(lines) + "\n"


def accuracy_text(runs: Sequence[Run], name: str) -> str:
    """The accuracy of one run with its interval, or the mean of several with that over seeds."""
    values = [100 * getattr(run, name) for run in runs]
    mean = statistics.mean(values)
    if len(runs) == 1:
        low, high = (100 * getattr(runs[0], f"{name}_{end}") for end in ("lower", "upper"))
    else:
        low, high = mean_interval(values)
    return f"{mean:.1f} % ({low:.1f} to {high:.1f})"


def main() -> None:
    """Parse the command line, train what is missing, measure, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=300, help="attacked test images")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "e_rsct")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    arguments = parser.parse_args()
    extra = []
    if arguments.threads is not None:
        use_threads(arguments.threads)
        extra = ["--threads", str(arguments.threads)]
    data = load_dataset("cifar10", "test")
    runs = []
    for seed in arguments.seeds:
        for variant in VARIANTS:
            runs.append(measure(variant, seed, arguments.out, extra, data, arguments.images))
            last = runs[-1]
            print(
                f"{variant} seed {seed}: clean {last.clean:.2%}, robust {last.robust_2:.2%} at "
                f"2/255, {last.robust_8:.2%} at 8/255",
                flush=True,
            )
    runs = with_others(runs, read_rows(RESULTS, Run), ALIKE)
    write_rows(RESULTS, Run, runs)
    content = table(runs)
    update_document(DOCS, MARKERS, content)
    print(content)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
