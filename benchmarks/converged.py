"""Whether the suite's EOT-PGD is strong enough: `python -m benchmarks.converged`.

A few test images are attacked anew, each time from the clean image, with the suite's EOT-PGD-20
(the peer), with more steps, with more draws a gradient, and with an epsilon so large that no
accuracy may be left. Scored on fresh draws, the same for all attacks of a model. A point that is in
the results already, measured with the same weights in the same way, is kept.

Writes the points to assets/results/converged.csv and the table to docs/results.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.dial import DOCS, ROOT
from benchmarks.results import read_rows, update_document, write_rows
from rsc_snn.data import load_dataset
from rsc_snn.evaluate import evaluate_accuracy
from rsc_snn.zoo import Zoo

RESULTS = ROOT / "assets" / "results" / "converged.csv"
MARKERS = ("<!-- converged -->", "<!-- end of converged -->")
MODELS = ("cifar10-snn-rsc-020", "cifar10-snn-poisson", "cifar10-snn-rsc-020-at")
# Steps and draws a gradient, and epsilon (255ths); the first is the suite's.
EFFORTS = ((20, 10, 8.0), (50, 10, 8.0), (20, 40, 8.0), (20, 10, 64.0))
SEED, BATCH = 0, 100


@dataclass(frozen=True)
class Point:
    """One measured attack; accuracies are shares 0..1 with a 95 % interval, epsilon in 255ths."""

    model: str
    sha256: str
    steps: int
    eot_draws: int
    epsilon: float
    value: float
    lower: float
    upper: float
    n: int
    draws: int
    seed: int
    seconds: float
    command: str

    @property
    def place(self) -> tuple[object, ...]:
        """What the point is about and how it was measured."""
        return (
            *(self.model, self.sha256, self.steps, self.eot_draws, self.epsilon),
            *(self.n, self.draws, self.seed),
        )


def table(points: Sequence[Point]) -> str:
    """A line a model, a column an attack."""
    heads = [f"{steps} steps, {draws} draws, {epsilon:g}/255" for steps, draws, epsilon in EFFORTS]
    lines = [f"| model | {' | '.join(heads)} |", "|" + " --- |" * (1 + len(heads))]
    for model in dict.fromkeys(point.model for point in points):
        found = {
            (point.steps, point.eot_draws, point.epsilon): point
            for point in points
            if point.model == model
        }
        cells = [_cell(found.get(effort)) for effort in EFFORTS]
        lines.append(f"| `{model}` | {' | '.join(cells)} |")
    first = points[0]
    lines += [
        "",
        f"Accuracy in percent of a single pass, 95 % intervals; n = {first.n} test images, "
        f"{first.draws} fresh draws each, seed {first.seed}; steps of a quarter of epsilon, random "
        f"start. Repeat: `{first.command}`.",
    ]
    return "\n".join(lines) + "\n"


def _cell(point: Point | None) -> str:
    if point is None:
        return "–"
    return f"{100 * point.value:.1f} ({100 * point.lower:.1f} to {100 * point.upper:.1f})"


def main() -> None:
    """Parse the command line, measure what is missing, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--draws", type=int, default=20, help="fresh draws to score on")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    zoo = Zoo()
    shas = {name: zoo.card(name).sha256 for name in zoo.names()}
    points = [point for point in read_rows(RESULTS, Point) if shas.get(point.model) == point.sha256]
    for name in arguments.models:
        card = zoo.card(name)
        data = load_dataset(card.dataset, "test", None, card.config.image_size)
        model = zoo.load(name, arguments.device)
        for steps, eot_draws, epsilon in EFFORTS:
            place = (
                *(name, card.sha256, steps, eot_draws, epsilon),
                *(min(arguments.images, len(data)), arguments.draws, SEED),
            )
            if place in {point.place for point in points}:
                continue
            found = evaluate_accuracy(
                model,
                data.images,
                data.labels,
                attack="eot_pgd",
                parameters={
                    "epsilon": epsilon,
                    "step_size": epsilon / 4,
                    "steps": steps,
                    "random_start": True,
                    "eot_draws": eot_draws,
                    "precision": "fast",
                },
                batch_size=BATCH,
                draws=arguments.draws,
                seed=SEED,
                limit=arguments.images,
            )
            assert found.robust is not None
            point = Point(
                model=name,
                sha256=card.sha256,
                steps=steps,
                eot_draws=eot_draws,
                epsilon=epsilon,
                value=found.robust.value,
                lower=found.robust.lower,
                upper=found.robust.upper,
                n=found.n,
                draws=arguments.draws,
                seed=SEED,
                seconds=round(found.seconds, 1),
                command=f"python -m benchmarks.converged --images {arguments.images} "
                f"--draws {arguments.draws}",
            )
            same = (name, steps, eot_draws, epsilon)
            points = [p for p in points if (p.model, p.steps, p.eot_draws, p.epsilon) != same]
            points.append(point)
            write_rows(RESULTS, Point, points)
            print(f"{name} {steps} steps, {eot_draws} draws, {epsilon:g}/255: {_cell(point)}")
    update_document(DOCS, MARKERS, table(points))
    print(table(points))


if __name__ == "__main__":
    main()
