"""The dial: accuracy and robustness over sigma and T, in one model: `python -m benchmarks.dial`.

Takes the models that were trained over a range of sigma and T through the range and beyond, and
the models of one sigma, the peers, at theirs. Every point: clean accuracy of a single pass on
`--clean` test images and accuracy under EOT-PGD (20 steps of a quarter of epsilon, 10 draws a
gradient, fresh noise) on `--images`, both scored on draws that the attack has not seen. A point
that is in the results already, measured with the same weights in the same way, is kept, so a
killed run goes on where it was.

Writes the points to assets/results/dial.csv and the tables to docs/results.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from benchmarks.results import read_rows, update_document, write_rows
from rsc_snn.classifier import SpikingClassifier
from rsc_snn.data import ImageSet, load_dataset
from rsc_snn.evaluate import Evaluation, evaluate_accuracy
from rsc_snn.zoo import ModelCard, Zoo

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "assets" / "results" / "dial.csv"
DOCS = ROOT / "docs" / "results.md"
MARKERS = ("<!-- dial -->", "<!-- end of dial -->")
DATASETS = {"cifar10": "CIFAR-10", "imagenette": "Imagenette"}
SIGMAS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
TIME_STEPS = (2, 4, 6, 8)
SIGMA, STEPS = 0.2, 4  # Where the other of the two is held.
EPSILON, DRAWS, SEED, BATCH = 4.0, 10, 0, 250
ATTACK = "eot_pgd"
PARAMETERS = {
    "epsilon": EPSILON,
    "step_size": EPSILON / 4,
    "steps": 20,
    "random_start": True,
    "eot_draws": 10,
    "precision": "fast",
}


@dataclass(frozen=True)
class Point:
    """One measured point; accuracies are shares 0..1 with 95 % intervals, epsilon in 255ths."""

    model: str
    dataset: str
    sha256: str
    sigma: float
    time_steps: int
    epsilon: float
    clean: float
    clean_lower: float
    clean_upper: float
    clean_n: int
    robust: float
    robust_lower: float
    robust_upper: float
    robust_n: int
    draws: int
    seed: int
    seconds: float
    command: str

    @property
    def place(self) -> tuple[str, str, float, int, int, int]:
        """What the point is about and how it was measured."""
        return (
            self.model,
            self.sha256,
            self.sigma,
            self.time_steps,
            self.clean_n,
            self.robust_n,
        )


def places(dataset: str) -> Iterator[tuple[str, float, int]]:
    """(model, sigma, T) of all points of a data set."""
    for sigma in SIGMAS:
        yield f"{dataset}-snn-rsc-range", sigma, STEPS
    for steps in TIME_STEPS:
        if steps != STEPS:
            yield f"{dataset}-snn-rsc-range", SIGMA, steps
    for percent in (10, 20, 30):
        yield f"{dataset}-snn-rsc-{percent:03d}", percent / 100, STEPS


def measure(
    card: ModelCard,
    model: SpikingClassifier,
    data: ImageSet,
    sigma: float,
    steps: int,
    sizes: tuple[int, int],
) -> Point:
    """One point, on (clean, attacked) images at most."""

    def evaluate(attack: str | None, limit: int) -> Evaluation:
        return evaluate_accuracy(
            model,
            data.images,
            data.labels,
            attack=attack,
            parameters=None if attack is None else PARAMETERS,
            batch_size=BATCH,
            draws=DRAWS,
            time_steps=steps,
            sigma=sigma,
            seed=SEED,
            limit=limit,
        )

    clean, attacked = evaluate(None, sizes[0]), evaluate(ATTACK, sizes[1])
    assert attacked.robust is not None
    return Point(
        model=card.name,
        dataset=card.dataset,
        sha256=card.sha256,
        sigma=sigma,
        time_steps=steps,
        epsilon=EPSILON,
        clean=clean.clean.value,
        clean_lower=clean.clean.lower,
        clean_upper=clean.clean.upper,
        clean_n=clean.n,
        robust=attacked.robust.value,
        robust_lower=attacked.robust.lower,
        robust_upper=attacked.robust.upper,
        robust_n=attacked.n,
        draws=DRAWS,
        seed=SEED,
        seconds=round(clean.seconds + attacked.seconds, 1),
        command=f"python -m benchmarks.dial --clean {sizes[0]} --images {sizes[1]}",
    )


def tables(points: Sequence[Point]) -> str:
    """The tables of all data sets and what they say."""
    parts = []
    for dataset, label in DATASETS.items():
        of_dataset = [point for point in points if point.dataset == dataset]
        if of_dataset:
            parts += [f"### {label}", "", *_tables_of(of_dataset), ""]
    return "\n".join(parts) + "\n"


def _tables_of(points: Sequence[Point]) -> list[str]:
    ranged = [point for point in points if point.model.endswith("-range")]
    over_sigma = sorted((p for p in ranged if p.time_steps == STEPS), key=lambda p: p.sigma)
    over_steps = sorted((p for p in ranged if p.sigma == SIGMA), key=lambda p: p.time_steps)
    fixed = {p.sigma: p for p in points if not p.model.endswith("-range")}
    lines = [
        "| sigma | clean accuracy | under attack | model of this sigma: clean | under attack |",
        "| --- | --- | --- | --- | --- |",
    ]
    for point in over_sigma:
        peer = fixed.get(point.sigma)
        cells = [_clean(point), _robust(point), *((_clean(peer), _robust(peer)) if peer else "––")]
        lines.append(f"| {point.sigma:g} | {' | '.join(cells)} |")
    lines += ["", verdict(over_sigma), ""] if over_sigma else [""]
    lines += [f"| T at sigma {SIGMA:g} | clean accuracy | under attack |", "| --- | --- | --- |"]
    lines += [f"| {p.time_steps} | {_clean(p)} | {_robust(p)} |" for p in over_steps]
    first = points[0]
    lines += [
        "",
        f"EOT-PGD, 20 steps, 10 draws a gradient, epsilon {first.epsilon:g}/255; n = "
        f"{first.clean_n:,} clean, {first.robust_n:,} attacked test images, {first.draws} fresh "
        f"draws each, seed {first.seed}, 95 % intervals. Repeat: `{first.command}`.",
    ]
    return lines


def _clean(point: Point) -> str:
    return (
        f"{100 * point.clean:.1f} % ({100 * point.clean_lower:.1f}–{100 * point.clean_upper:.1f})"
    )


def _robust(point: Point) -> str:
    return _clean(
        replace(
            point,
            clean=point.robust,
            clean_lower=point.robust_lower,
            clean_upper=point.robust_upper,
        )
    )


def verdict(points: Sequence[Point]) -> str:
    """What a row of points with rising sigma says: how far the dial goes, and where noise wins."""
    falling = all(after.clean <= before.clean for before, after in pairwise(points))
    best = max(points, key=lambda point: point.robust)
    start, end = points[0], points[-1]
    clean = (
        f"Clean accuracy falls at every step, from {100 * start.clean:.1f} % to "
        f"{100 * end.clean:.1f} %."
        if falling
        else f"Clean accuracy does not fall at every step; it goes from {100 * start.clean:.1f} % "
        f"to {100 * end.clean:.1f} %."
    )
    if best is start:
        return (
            f"{clean} Robust accuracy does not rise with sigma here: it is highest without noise."
        )
    before = [point for point in points if point.sigma <= best.sigma]
    rising = all(after.robust >= point.robust for point, after in pairwise(before))
    clear = best.robust_lower > start.robust_upper
    rise = (
        f"Robust accuracy rises {'at every step' if rising else 'on the whole'} from "
        f"{100 * start.robust:.1f} % to {100 * best.robust:.1f} % at sigma {best.sigma:g}"
        f"{'' if clear else ' (the intervals of the two overlap)'}"
    )
    if best is end:
        return f"{clean} {rise}, the highest level measured: noise has not won yet."
    return f"{clean} {rise}; beyond it noise wins: {100 * end.robust:.1f} % at sigma {end.sigma:g}."


def main() -> None:
    """Parse the command line, measure what is missing, write and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clean", type=int, default=2000, help="images without an attack")
    parser.add_argument("--images", type=int, default=500, help="images under attack")
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    zoo = Zoo()
    shas = {name: zoo.card(name).sha256 for name in zoo.names()}
    points = [point for point in read_rows(RESULTS, Point) if shas.get(point.model) == point.sha256]
    for dataset in arguments.datasets:
        for name, sigma, steps in places(dataset):
            card = zoo.card(name)
            data = load_dataset(dataset, "test", None, card.config.image_size)
            sizes = min(arguments.clean, len(data)), min(arguments.images, len(data))
            if (name, card.sha256, sigma, steps, *sizes) in {point.place for point in points}:
                continue
            model = zoo.load(name, arguments.device)
            point = measure(card, model, data, sigma, steps, sizes)
            points = [p for p in points if (p.model, p.sigma, p.time_steps) != (name, sigma, steps)]
            points.append(point)
            write_rows(RESULTS, Point, points)
            print(
                f"{name} sigma {sigma:g} T={steps}: {_clean(point)}, attacked {_robust(point)}, "
                f"{point.seconds:.0f} s",
                flush=True,
            )
    update_document(DOCS, MARKERS, tables(points))
    print(tables(points))


if __name__ == "__main__":
    main()
