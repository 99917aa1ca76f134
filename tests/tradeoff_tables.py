"""The tables of docs/tradeoff.md, from the results that ship; see `tests.readme_tables`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from rsc_snn.evaluate import Estimate
from rsc_snn.sweep.cells import CellResult
from rsc_snn.sweep.transfer import shipped_results
from rsc_snn.tradeoff import Difference, OperatingPoint, marginal_prices, operating_points
from rsc_snn.tradeoff.paired import differences
from rsc_snn.ui.explorer.measured import Sample

DIAL, ORDINARY, STEPS = "cifar10-snn-rsc-range", "cifar10-ann", 4
# Name, attack and epsilon of each column after the clean one.
COLUMNS = (
    ("PGD-10 at 2/255", "pgd", 2.0),
    ("PGD-10 at 8/255", "pgd", 8.0),
    ("EOT-PGD-10 at 8/255", "eot_pgd", 8.0),
)
_LACKING = "not measured"
Points = dict[float | None, OperatingPoint]


def dial_tables() -> str:
    """Accuracies, prices and differences of the dial of one model, with an ANN beside it."""
    results = _of_one_sample([r for r in shipped_results() if r.cell.model in (DIAL, ORDINARY)])
    dial = [_points(results, DIAL, attack, epsilon) for _, attack, epsilon in COLUMNS]
    ordinary = [_points(results, ORDINARY, attack, epsilon) for _, attack, epsilon in COLUMNS]
    cell = max((r.cell for r in results), key=lambda cell: cell.draws)
    parts = (
        f"`{DIAL}` at T = {STEPS} and `{ORDINARY}`: {cell.images} {cell.split} images, "
        f"{cell.draws} fresh draws, seed {cell.seed}.",
        "Percent, with 95 % intervals:",
        _accuracies(dial, ordinary),
        f"Points above `{ORDINARY}` on the same images:",
        _above(dial, ordinary),
        *(_prices(name, points) for (name, *_), points in zip(COLUMNS, dial, strict=True)),
    )
    return "\n" + "\n\n".join(parts) + "\n\n"


def _of_one_sample(results: Sequence[CellResult]) -> list[CellResult]:
    """Those of the images on which most was measured."""
    (most, _), *_ = Counter(Sample.of(result.cell) for result in results).most_common(1)
    return [result for result in results if Sample.of(result.cell) == most]


def _points(results: Sequence[CellResult], model: str, attack: str, epsilon: float) -> Points:
    """The operating points of a model by sigma, of several at one sigma that with most draws."""
    found = [
        point
        for point in operating_points(results, attack, epsilon)
        if point.model == model and (model == ORDINARY or point.time_steps == STEPS)
    ]
    ranked = sorted(found, key=lambda point: point.robust_result.cell.draws)
    by_sigma = {point.sigma: point for point in ranked}
    return {sigma: by_sigma[sigma] for sigma in sorted(by_sigma, key=lambda sigma: sigma or 0.0)}


def _accuracies(dial: Sequence[Points], ordinary: Sequence[Points]) -> str:
    rows = [_row(f"{sigma:g}", sigma, dial) for sigma in dial[0]]
    return "\n".join(
        [*_head(name for name, *_ in COLUMNS), *rows, _row(f"`{ORDINARY}`", None, ordinary)]
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


def _above(dial: Sequence[Points], ordinary: Sequence[Points]) -> str:
    """Every setting against the ordinary network, tested image by image and corrected together."""
    both = [column for column, found in enumerate(ordinary) if found]
    gaps = {}
    for sigma, point in dial[0].items():
        gaps[sigma, -1] = point.clean_scores - ordinary[0][None].clean_scores
        for column in both:
            if sigma in dial[column]:
                robust = ordinary[column][None].robust_scores
                gaps[sigma, column] = dial[column][sigma].robust_scores - robust
    found = dict(zip(gaps, differences(np.stack(list(gaps.values()), axis=1)), strict=True))
    rows = []
    for sigma in dial[0]:
        cells = [found.get((sigma, column)) for column in (-1, *both)]
        rows.append(f"| {sigma:g} | {' | '.join(map(_difference, cells))} |")
    return "\n".join([*_head(COLUMNS[column][0] for column in both), *rows])


def _difference(found: Difference | None) -> str:
    if found is None:
        return _LACKING
    return found.text() if found.significant else f"{found.text()}, within {found.noise}"


def _prices(name: str, points: Points) -> str:
    prices = marginal_prices(points.values())
    return "\n".join([f"Under {name}:", "", *(f"- {price.sentence()}" for price in prices)])
