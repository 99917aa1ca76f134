"""Do two machines measure the same? `python -m benchmarks.devices STORE [OTHER]`.

The cells of a store against the same cells measured elsewhere: by default those that ship. On other
processors the noise is another stream, or sums are rounded otherwise, so single answers differ;
accuracies should differ by chance alone. For each attack, and for all cells, prints how many points
more are right in the store, on average over the cells. Both have the same images, so differences
are taken image by image, with 95 % intervals of a paired bootstrap; what is said to be within the
noise is corrected for the number of lines (Holm). Of single cells it prints how many differ by more
than 1.96 standard errors over images: 5 % of them by chance.

The store is one of `python -m rsc_snn sweep` with the same grid, or a part of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rsc_snn.cli import exit_code
from rsc_snn.errors import ConfigError
from rsc_snn.sweep.cells import CLEAN, CellResult
from rsc_snn.sweep.store import Store
from rsc_snn.sweep.transfer import import_parquet, shipped_results
from rsc_snn.tradeoff.paired import differences

Pair = tuple[CellResult, CellResult]
_FAR = 1.96


def paired(own: Sequence[CellResult], other: Sequence[CellResult]) -> list[Pair]:
    """The results of the same cells, in the order of `own`, but for copies of one measurement.

    Raises ConfigError if there are none.
    """
    there = {result.cell.key: result for result in other}
    pairs = [(each, there[each.cell.key]) for each in own if each.cell.key in there]
    pairs = [(a, b) for a, b in pairs if (a.device, a.seconds) != (b.device, b.seconds)]
    if not pairs:
        raise ConfigError("No cell was measured for both: measure the same grid and images again.")
    return pairs


def lines(pairs: Sequence[Pair]) -> list[str]:
    """The differences by attack, for pairs of one data set, and what measured them."""
    gaps = np.stack([np.subtract(*(r.right.mean(axis=0) for r in pair)) for pair in pairs], axis=1)
    attacks = np.array(["clean" if a.cell.attack == CLEAN else a.cell.attack for a, _ in pairs])
    groups = {name: attacks == name for name in sorted(set(attacks))}
    groups["all"] = np.ones(len(pairs), dtype=bool)
    found = differences(np.stack([gaps[:, own].mean(axis=1) for own in groups.values()], axis=1))
    errors = gaps.std(axis=0, ddof=1) / np.sqrt(len(gaps))
    moved = errors > 0
    far = np.abs(gaps.mean(axis=0)) > _FAR * errors
    share = far[moved].mean() if moved.any() else 0.0
    return [
        *(
            f"  {name:10s}{own.sum():6,d} cells   {each.text()} points"
            f"{'' if each.significant else ', within the noise'}"
            for (name, own), each in zip(groups.items(), found, strict=True)
        ),
        f"  cells with the same score at every image: {(~moved).sum():,}; of the other "
        f"{moved.sum():,}, {100 * share:.1f} % differ by more than {_FAR} standard errors",
        f"  seconds of workers: {sum(a.seconds for a, _ in pairs):,.0f} here, "
        f"{sum(b.seconds for _, b in pairs):,.0f} there",
    ]


def _measured_by(results: Sequence[CellResult]) -> str:
    return "; ".join(
        sorted({f"{r.device}, {r.versions.get('processor', 'not noted')}" for r in results})
    )


def _read(path: Path) -> list[CellResult]:
    if path.suffix != ".parquet":
        with Store(path, create=False) as store:
            return store.results()
    with TemporaryDirectory() as folder, Store(Path(folder) / "imported.sqlite") as store:
        import_parquet(store, path)
        return store.results()


def main() -> None:
    """Compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path, metavar="STORE", help="a store, or a .parquet file")
    parser.add_argument("other", type=Path, nargs="?", metavar="OTHER", help="default: what ships")
    args = parser.parse_args()
    other = shipped_results() if args.other is None else _read(args.other)
    pairs = paired(_read(args.store), other)
    for dataset in sorted({own.cell.dataset for own, _ in pairs}):
        some = [pair for pair in pairs if pair[0].cell.dataset == dataset]
        print(f"{dataset}: more right in {args.store.name}, points")
        print("\n".join(lines(some)))
        print(f"  here:  {_measured_by([own for own, _ in some])}")
        print(f"  there: {_measured_by([there for _, there in some])}")


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
