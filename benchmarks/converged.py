"""Whether the suite's EOT-PGD is strong enough: `python -m benchmarks.converged`.

A few test images are attacked anew, each time from the clean image: with the suite's EOT-PGD-20
(the peer), with more steps, with more draws a gradient, with APGD on either loss, with SA-PGD
through the trained surrogate gradient and through one that adapts to each neuron (with each A of
`SPREADS`), and with an epsilon so large that no accuracy may be left. Scored on fresh draws, the
same for all attacks of a model; one without noise meets what does not average over it.
A point that is in the results already, measured with the same weights on the same images in the
same way, is not measured again, and points of other images or draws stay beside it.

Writes the points to assets/results/converged.csv and the table to docs/results.md.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import read_rows, update_document, write_rows
from rsc_snn.attacks.parameters import Value
from rsc_snn.classifier import ModelConfig
from rsc_snn.cli import exit_code
from rsc_snn.coding import has_noise, make_coding
from rsc_snn.data import ImageSet, load_dataset
from rsc_snn.device import use_threads
from rsc_snn.evaluate import evaluate_accuracy
from rsc_snn.robustness.cells import fingerprint
from rsc_snn.zoo import ModelCard, Zoo

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "results.md"
RESULTS = ROOT / "assets" / "results" / "converged.csv"
MARKERS = ("<!-- converged -->", "<!-- end of converged -->")
MODELS = (
    "cifar10-snn-rsc-020",
    "cifar10-snn-poisson",
    "cifar10-snn-rsc-020-at",
    "cifar10-ann-at",
    "cifar10-ann-rsc-020",
)
EOT_PGD, TRAINED = "EOT-PGD", "SA-PGD, trained surrogate"
APGD = {"APGD, cross-entropy": "ce", "APGD, difference of logits": "dlr"}
# SA-PGD's `spread`, the A of its authors, who search it for each model from 0.35 to 0.49.
SPREADS = {f"SA-PGD, A = {a:g}": a for a in (0.35, 0.375, 0.4, 0.425, 0.45, 0.475, 0.49)}
# Attack, steps, draws a gradient and epsilon (255ths).
Effort = tuple[str, int, int, float]
SUITE: Effort = (EOT_PGD, 20, 10, 8.0)
LARGE: Effort = (EOT_PGD, 20, 10, 64.0)
EFFORTS: tuple[Effort, ...] = (
    SUITE,
    (EOT_PGD, 50, 10, 8.0),
    (EOT_PGD, 20, 40, 8.0),
    *((attack, 50, 10, 8.0) for attack in APGD),
    (TRAINED, 50, 10, 8.0),
    LARGE,
    *((attack, 50, 10, 8.0) for attack in SPREADS),
)
SEED, BATCH = 0, 100


@dataclass(frozen=True)
class Point:
    """One measured attack; accuracies are shares 0..1 with a 95 % interval, epsilon in 255ths.

    data: the fingerprint of the test images, of which n were measured.
    """

    model: str
    sha256: str
    data: str
    attack: str
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
        return (self.model, self.sha256, *self.effort, *self.setting)

    @property
    def setting(self) -> tuple[str, int, int, int]:
        """The images and draws: only points that share them can be compared."""
        return self.data, self.n, self.draws, self.seed

    @property
    def effort(self) -> Effort:
        """One of EFFORTS."""
        return self.attack, self.steps, self.eot_draws, self.epsilon


class Options(argparse.Namespace):
    """The command line."""

    models: Sequence[str]
    images: int
    draws: int
    device: str
    threads: int | None


def efforts_against(config: ModelConfig) -> tuple[Effort, ...]:
    """Those that make sense: draws for noise, an adaptive surrogate for spikes."""
    noisy = has_noise(make_coding(config.coding, config.sigma))
    spikes = config.neuron != "relu"
    return tuple(
        effort
        for effort in EFFORTS
        if (noisy or effort[2] == SUITE[2]) and (spikes or effort[0] not in SPREADS)
    )


def registry_name(attack: str) -> str:
    """The attack's name in the registry."""
    if attack == EOT_PGD:
        return "eot_pgd"
    return "apgd" if attack in APGD else "sa_pgd"


def parameters(attack: str, steps: int, eot_draws: int, epsilon: float) -> dict[str, Value]:
    """Of the registry's attack."""
    values: dict[str, Value] = {
        "epsilon": epsilon,
        "steps": steps,
        "eot_draws": eot_draws,
    }
    if attack in APGD:
        return values | {"loss": APGD[attack]}
    values |= {"precision": "fast"}
    if attack == EOT_PGD:
        return values | {"step_size": epsilon / 4, "random_start": True}
    return values | (
        {"surrogate": "adaptive", "spread": SPREADS[attack]}
        if attack in SPREADS
        else {"surrogate": "trained"}
    )


def rows(points: Sequence[Point]) -> dict[str, list[Point]]:
    """The points to show of each model: of one setting, the most complete, largest, latest."""
    chosen: dict[str, list[Point]] = {}
    for model in dict.fromkeys(point.model for point in points):
        settings: dict[tuple[object, ...], list[Point]] = {}
        for point in reversed(points):
            if point.model == model:
                settings.setdefault(point.setting, []).append(point)
        chosen[model] = max(
            settings.values(), key=lambda found: (len(found), found[0].n, found[0].draws)
        )
    return chosen


def table(points: Sequence[Point], configs: Mapping[str, ModelConfig]) -> str:
    """A line a model, a column an attack; images and command in each line where they differ.

    The adaptive surrogate, of which each A is an attack, has a table of its own. configs: of the
    models that are to be measured; what lacks of them is said.
    """
    shown = rows(points)
    about = {(point.setting, point.command) for row in shown.values() for point in row}
    if len(about) == 1:
        ((_, n, draws, _), command) = about.pop()
        images = f"n = {n} test images, {draws} fresh draws each (alike without noise)"
        repeat = f" Repeat: `{command}`."
    else:
        images, repeat = "n test images, by their fingerprint, so many fresh draws each", ""
    lines = [
        *_lines(shown, [effort for effort in EFFORTS if effort[0] not in SPREADS], not repeat),
        "",
        *_lines(shown, [effort for effort in EFFORTS if effort[0] in SPREADS], not repeat),
        "",
        f"Accuracy in percent of a single pass, 95 % intervals; {images}, seed {SEED}; random "
        "start, EOT-PGD with steps of a quarter of epsilon, SA-PGD with an A through the adaptive "
        f"surrogate.{repeat}",
    ]
    return "\n".join([*lines, "", *findings(points), *lacking(shown, configs)]) + "\n"


def lacking(shown: Mapping[str, Sequence[Point]], configs: Mapping[str, ModelConfig]) -> list[str]:
    """Sentences on what is not measured yet; none if nothing lacks."""
    models: dict[str, list[str]] = {}
    for model, config in configs.items():
        efforts, found = efforts_against(config), {point.effort for point in shown.get(model, ())}
        missing = "; ".join(_head(effort) for effort in efforts if effort not in found)
        if missing:
            models.setdefault(missing if found else "", []).append(f"`{model}`")
    return [
        f"Not measured yet {'on these images of' if missing else 'at all:'} {', '.join(names)}"
        + (f": {missing}." if missing else ".")
        for missing, names in models.items()
    ]


def _lines(
    shown: Mapping[str, Sequence[Point]], efforts: Sequence[Effort], differ: bool
) -> list[str]:
    """One table of what is measured; with the images and the command if models differ in them."""
    heads = [_head(effort) for effort in efforts]
    heads = ["model", "n, draws, images", *heads, "repeat"] if differ else ["model", *heads]
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for model, row in shown.items():
        found = {point.effort: point for point in row}
        if found.keys().isdisjoint(efforts):
            continue
        cells = [f"`{model}`", *(_cell(found.get(effort)) for effort in efforts)]
        if differ:
            cells.insert(1, f"{row[0].n}, {row[0].draws}, `{row[0].data}`")
            cells.append(", ".join(f"`{text}`" for text in {p.command: None for p in row}))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _head(effort: Effort) -> str:
    attack, steps, draws, epsilon = effort
    return f"{attack}, {steps} steps, {draws} draws, {epsilon:g}/255"


def findings(points: Sequence[Point]) -> list[str]:
    """What more effort took away, and what the adaptive surrogate did, in points of accuracy."""
    taken, adapted, tries, passes, spreads = {}, {}, set(), set(), set()
    for model, row in rows(points).items():
        found = {point.effort: point.value for point in row}
        more = [value for effort, value in found.items() if effort not in (SUITE, LARGE)]
        if more and SUITE in found:
            taken[model] = found[SUITE] - min(more)
            tries.add(len(more))
            passes.add((row[0].n, row[0].draws))
        of_attack = {effort[0]: value for effort, value in found.items()}
        searched = {name: of_attack[name] for name in SPREADS if name in of_attack}
        if searched and TRAINED in of_attack:
            adapted[model] = min(searched.values()) - of_attack[TRAINED]
            spreads.add(len(searched))
    lines = []
    if taken:
        n, draws = min(passes, key=math.prod)
        lines.append(
            f"At {SUITE[-1]:g}/255 the strongest of these takes {_each(taken)} points more than "
            f"the suite's: the best of {_counts(tries)}, of {n} images and {draws} "
            f"draws{' or more' if len(passes) > 1 else ''}. These differences are not tested: the "
            "intervals of the accuracies say how much so few images leave to chance, and the best "
            "of many looks stronger than it is."
        )
    if adapted:
        lines.append(
            "Accuracy under SA-PGD, the adaptive surrogate at the A that takes most minus the "
            f"trained one: {_each(adapted, sign='+')} points; {_counts(spreads)} A tried."
        )
    return lines


def _counts(numbers: set[int]) -> str:
    return " or ".join(str(number) for number in sorted(numbers))


def _each(points: Mapping[str, float], sign: str = "") -> str:
    return ", ".join(f"{100 * value:{sign}.1f} (`{model}`)" for model, value in points.items())


def _cell(point: Point | None) -> str:
    if point is None:
        return "–"
    return f"{100 * point.value:.1f} ({100 * point.lower:.1f} to {100 * point.upper:.1f})"


def measure(zoo: Zoo, card: ModelCard, data: ImageSet, effort: Effort, options: Options) -> Point:
    """One attack on the first test images."""
    found = evaluate_accuracy(
        zoo.load(card.name, options.device),
        data.images,
        data.labels,
        attack=registry_name(effort[0]),
        parameters=parameters(*effort),
        batch_size=BATCH,
        draws=options.draws,
        seed=SEED,
        limit=options.images,
    )
    assert found.robust is not None
    return Point(
        model=card.name,
        sha256=card.sha256,
        data=fingerprint(data),
        attack=effort[0],
        steps=effort[1],
        eot_draws=effort[2],
        epsilon=effort[3],
        value=found.robust.value,
        lower=found.robust.lower,
        upper=found.robust.upper,
        n=found.n,
        draws=options.draws,
        seed=SEED,
        seconds=round(found.seconds, 1),
        command="python -m benchmarks.converged"
        + (f" --models {card.name}" if card.name not in MODELS else "")
        + f" --images {options.images} --draws {options.draws}",
    )


def main() -> None:
    """Parse the command line, measure what is missing, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--draws", type=int, default=20, help="fresh draws to score on")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    options = parser.parse_args(namespace=Options())
    if options.threads is not None:
        use_threads(options.threads)
    zoo = Zoo()
    shas = {name: zoo.card(name).sha256 for name in zoo.names()}
    points = [point for point in read_rows(RESULTS, Point) if shas.get(point.model) == point.sha256]
    cards = [zoo.card(name) for name in options.models]
    sources = {(card.dataset, card.config.image_size) for card in cards}
    splits = {source: load_dataset(source[0], "test", None, source[1]) for source in sources}
    marks = {source: fingerprint(data) for source, data in splits.items()}
    known = {point.place for point in points}
    # What all models meet first: the search of A takes most of the time.
    for effort in EFFORTS:
        for card in cards:
            source = (card.dataset, card.config.image_size)
            data = splits[source]
            n = min(options.images, len(data))
            place = (card.name, card.sha256, *effort, marks[source], n, options.draws, SEED)
            if place in known or effort not in efforts_against(card.config):
                continue
            points.append(measure(zoo, card, data, effort, options))
            write_rows(RESULTS, Point, points)
            print(card.name, *effort, _cell(points[-1]), flush=True)
    names = [name for name in (*MODELS, *options.models) if name in shas]
    text = table(points, {name: zoo.card(name).config for name in names})
    update_document(DOCS, MARKERS, text)
    print(text)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
