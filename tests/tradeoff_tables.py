"""The tables of docs/tradeoff.md, from the results that ship; see `tests.readme_tables`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rsc_snn.data.catalogue import DATASETS as DATASET_SPECS
from rsc_snn.evaluate import Estimate
from rsc_snn.sweep.cells import CellResult
from rsc_snn.sweep.transfer import shipped_results
from rsc_snn.tradeoff import (
    Difference,
    OperatingPoint,
    in_tenths,
    operating_points,
    prices_of_dial,
)
from rsc_snn.tradeoff.collapse import explains
from rsc_snn.tradeoff.paired import differences
from rsc_snn.tradeoff.points import Accuracy, dials
from rsc_snn.ui.explorer.measured import Sample
from rsc_snn.zoo import Zoo, models_folder

STEPS = 4
# Of one data set.
DIAL, ORDINARY = "{}-snn-rsc-range", "{}-ann"
PEERS = {0.1: "{}-snn-rsc-010", 0.2: "{}-snn-rsc-020", 0.3: "{}-snn-rsc-030"}
DATASETS = ("cifar10", "imagenette")
# Name, attack and epsilon of each column after the clean one.
COLUMNS = (
    ("PGD-10 at 2/255", "pgd", 2.0),
    ("PGD-10 at 8/255", "pgd", 8.0),
    ("EOT-PGD-10 at 2/255", "eot_pgd", 2.0),
    ("EOT-PGD-10 at 8/255", "eot_pgd", 8.0),
)
PRICED = COLUMNS[2:]
_LACKING = "not measured"
# After a sigma that the model was not trained at.
_UNKNOWN = "†"
Points = dict[float | None, OperatingPoint]
Scores = NDArray[np.float64]
Known = tuple[float, float]  # the lowest and the highest sigma of the training
Place = tuple[float | None, int]  # sigma and column


def dial_tables() -> str:
    """Of each data set the dial of one model, see `dial_table`."""
    parts = (f"### {DATASET_SPECS[name].label}\n\n{dial_table(name)}\n" for name in DATASETS)
    return "\n".join(("", *parts, ""))


def dial_table(dataset: str) -> str:
    """Accuracies, prices and differences of the dial of one model, with an ANN beside it."""
    model, ann = DIAL.format(dataset), ORDINARY.format(dataset)
    peers = {sigma: name.format(dataset) for sigma, name in PEERS.items()}
    models = (model, ann, *peers.values())
    results = _of_one_sample([r for r in shipped_results() if r.cell.model in models])
    dial = [_points(results, model, attack, epsilon) for _, attack, epsilon in COLUMNS]
    ordinary = [_points(results, ann, attack, epsilon) for _, attack, epsilon in COLUMNS]
    cell = max((r.cell for r in results), key=lambda cell: cell.draws)
    known = Zoo(models_folder()).card(model).trained_sigmas
    assert known is not None
    parts = (
        f"`{model}` at T = {STEPS} and `{ann}`: {cell.images} {cell.split} images, "
        f"{cell.draws} fresh draws, seed {cell.seed}.",
        "Percent, with 95 % intervals:",
        _accuracies(dial, ordinary, known, ann),
        f"{_UNKNOWN} Outside of sigma {known[0]:g} to {known[1]:g}, at which the model was "
        "trained: it has not seen such noise. Prices of steps to these sigmas are of it too.",
        where_noise_wins(dial, known),
        f"Points above `{ann}` on the same images:",
        _above(dial, ordinary, known),
        f"Points above the model trained at this sigma alone, at T = {STEPS} on the same images:",
        _above_peers(results, dial, peers),
        *(
            _prices(name, points)
            for (name, *column), points in zip(COLUMNS, dial, strict=True)
            if (name, *column) in PRICED
        ),
        _explained(results, model),
    )
    return "\n\n".join(parts)


def _explained(results: Sequence[CellResult], model: str) -> str:
    """Whether the effective sigma explains the curves of all T, corrected together."""
    lines = ["Does sigma / sqrt(T) explain the curves of different T?", ""]
    for place, (name, attack, epsilon) in enumerate(COLUMNS):
        points = [p for p in operating_points(results, attack, epsilon) if p.model == model]
        asked: Sequence[Accuracy] = ("robust",) if place else ("clean", "robust")
        for quantity in asked:
            if (found := explains(points, quantity, len(COLUMNS) + 1)) is not None:
                where = "Without attack" if quantity == "clean" else f"Under {name}"
                sentence = found.sentence()
                lines.append(f"- {where}: {sentence[0].lower()}{sentence[1:]}")
    return "\n".join(lines)


def _of_one_sample(results: Sequence[CellResult]) -> list[CellResult]:
    """Those of the images on which most was measured."""
    (most, _), *_ = Counter(Sample.of(result.cell) for result in results).most_common(1)
    return [result for result in results if Sample.of(result.cell) == most]


def _points(results: Sequence[CellResult], model: str, attack: str, epsilon: float) -> Points:
    """The operating points of a model by sigma, of several at one sigma that with most draws."""
    found = [
        point
        for point in operating_points(results, attack, epsilon)
        if point.model == model and (point.sigma is None or point.time_steps == STEPS)
    ]
    ranked = sorted(found, key=lambda point: point.robust_result.cell.draws)
    by_sigma = {point.sigma: point for point in ranked}
    return {sigma: by_sigma[sigma] for sigma in sorted(by_sigma, key=lambda sigma: sigma or 0.0)}


def _accuracies(dial: Sequence[Points], ordinary: Sequence[Points], known: Known, ann: str) -> str:
    rows = [_row(marked(sigma or 0.0, known), sigma, dial) for sigma in dial[0]]
    return "\n".join(
        [*_head(name for name, *_ in COLUMNS), *rows, _row(f"`{ann}`", None, ordinary)]
    )


def _head(columns: Iterable[str]) -> list[str]:
    names = ["sigma", "clean", *columns]
    return [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]


def _row(name: str, sigma: float | None, columns: Sequence[Points]) -> str:
    cells = [_percent(columns[0][sigma].clean)]
    cells += [_percent(found[sigma].robust) if sigma in found else _LACKING for found in columns]
    return f"| {name} | {' | '.join(cells)} |"


def _percent(found: Estimate) -> str:
    return f"{100 * found.value:.1f} ({100 * found.lower:.1f} to {100 * found.upper:.1f})"


def where_noise_wins(dial: Sequence[Points], known: Known) -> str:
    """Of each column the sigmas that may have the highest robust accuracy, and where it has fallen.

    Of many noisy values the highest is so by luck as well. It is chosen after looking, so what it
    is compared with is corrected for all pairs of the column.
    """
    lines = ["Where noise wins:", ""]
    for (name, *_), points in zip(COLUMNS, dial, strict=True):
        if len(points) > 1:
            lines.append(f"- Under {name} {_highest(points, known)}.")
    return "\n".join(lines)


def _highest(points: Points, known: Known) -> str:
    top = max(points.values(), key=lambda point: point.robust.value)
    pairs = list(combinations(points.values(), 2))
    gaps = differences(np.stack([a.robust_scores - b.robust_scores for a, b in pairs], axis=1))
    lost: dict[float, Difference] = {}
    for (first, second), gap in zip(pairs, gaps, strict=True):
        if first is top:
            lost[_sigma(second)] = gap
        elif second is top:
            lost[_sigma(first)] = gap.opposite()
    close = [marked(sigma, known) for sigma, gap in lost.items() if not gap.significant]
    start = f"robust accuracy was measured highest at sigma {marked(_sigma(top), known)}"
    same = f"not told from that at {', '.join(close)}" if close else "above that at all others"
    above = [sigma for sigma in lost if sigma > _sigma(top)]
    if not above:
        return f"{start}, the largest that was measured, and is {same}"
    fallen = next((sigma for sigma in above if lost[sigma].significant), None)
    if fallen is None:
        return f"{start} and is {same}; at no larger sigma it is lower by more than noise"
    return (
        f"{start} and is {same}; the first larger sigma at which it is lower is "
        f"{marked(fallen, known)}, by {lost[fallen].text()} points"
    )


def _sigma(point: OperatingPoint) -> float:
    return point.sigma or 0.0


def marked(sigma: float, known: Known) -> str:
    """A sigma, with a mark if the model was not trained at it."""
    low, high = known
    return f"{sigma:g}" if low <= sigma <= high else f"{sigma:g}{_UNKNOWN}"


def _above_peers(
    results: Sequence[CellResult], dial: Sequence[Points], peers: Mapping[float, str]
) -> str:
    """The model over a range of sigma against the models of one, corrected together."""
    gaps: dict[Place, Scores] = {}
    rows = []
    for sigma, name in peers.items():
        for column, (_, attack, epsilon) in enumerate(COLUMNS):
            peer = _points(results, name, attack, epsilon).get(sigma)
            point = dial[column].get(sigma)
            if peer is None or point is None:
                continue
            gaps[sigma, -1] = point.clean_scores - peer.clean_scores
            gaps[sigma, column] = point.robust_scores - peer.robust_scores
    found = _tested(gaps)
    for sigma in peers:
        cells = [found.get((sigma, column)) for column in range(-1, len(COLUMNS))]
        rows.append(f"| {sigma:g} | {' | '.join(map(_difference, cells))} |")
    return "\n".join([*_head(name for name, *_ in COLUMNS), *rows])


def _above(dial: Sequence[Points], ordinary: Sequence[Points], known: Known) -> str:
    """Every setting against the ordinary network, tested image by image and corrected together."""
    both = [column for column, found in enumerate(ordinary) if found]
    gaps: dict[Place, Scores] = {}
    for sigma, point in dial[0].items():
        gaps[sigma, -1] = point.clean_scores - ordinary[0][None].clean_scores
        for column in both:
            if sigma in dial[column]:
                robust = ordinary[column][None].robust_scores
                gaps[sigma, column] = dial[column][sigma].robust_scores - robust
    found = _tested(gaps)
    rows = []
    for sigma in dial[0]:
        cells = [found.get((sigma, column)) for column in (-1, *both)]
        rows.append(f"| {marked(sigma or 0.0, known)} | {' | '.join(map(_difference, cells))} |")
    return "\n".join([*_head(COLUMNS[column][0] for column in both), *rows])


def _tested(gaps: Mapping[Place, Scores]) -> dict[Place, Difference]:
    """The mean differences of images' scores `[n]`, corrected together."""
    if not gaps:
        return {}
    return dict(zip(gaps, differences(np.stack(list(gaps.values()), axis=1)), strict=True))


def _difference(found: Difference | None) -> str:
    if found is None:
        return _LACKING
    return found.text() if found.significant else f"{found.text()}, within {found.noise}"


def _prices(name: str, points: Points) -> str:
    prices = [
        price for dial in dials(points.values()) for price in prices_of_dial(in_tenths(dial))[0]
    ]
    return "\n".join([f"Under {name}:", "", *(f"- {price.sentence()}" for price in prices)])
