"""Taking results out of a store and into another: Parquet with every answer, CSV for people.

The Parquet file is what ships (`assets/results/sweep.parquet`): one row a cell, so that whatever
follows can be computed from it as from the store. Answers are kept image by image (the draws of
one image side by side, mostly the same class), in one byte where classes fit into it, which zstd
makes small.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rsc_snn.errors import DataError, SweepError
from rsc_snn.files import try_folder, write_atomically
from rsc_snn.robustness.store import FILE as COUNTS_FILE
from rsc_snn.robustness.store import results_folder
from rsc_snn.sweep.cells import Cell, CellResult
from rsc_snn.sweep.grid import attack_label, cell_command
from rsc_snn.sweep.store import Store, Summary, pack_bits, unpack_bits

if TYPE_CHECKING:
    import pyarrow as pa

    from rsc_snn.zoo import Zoo

Item = TypeVar("Item")

FILE = "sweep.parquet"
SCHEMA = 2
_MARK = b"rsc_snn_sweep"
_AT_ONCE = 500
_ARROW = {
    "str": "string",
    "int": "int64",
    "float": "float64",
    "float | None": "float64",
    "tuple[tuple[str, Value], ...]": "string",
    "tuple[float, ...]": "string",
}
_JSON = ("parameters", "chain")
_CELL_TYPES = {field.name: _ARROW[str(field.type)] for field in fields(Cell)}
_RESULT_TYPES = {
    "attacked": "int64",
    "queries": "int64",
    "seconds": "float64",
    "device": "string",
    "versions": "string",
    "answers": "binary",
    "labels": "binary",
    "standing": "binary",
}
_CSV_COLUMNS = (
    "dataset", "model", "attack", "attack_label", "parameters", "epsilon", "sigma", "time_steps",
    "effective_sigma", "value", "lower", "upper", "confidence", "images", "draws", "seed",
    "batch_size", "split", "coding", "attacked", "queries", "seconds", "device", "sha256", "data",
    "chain", "protocol", "key", "command",
)  # fmt: skip


def export_parquet(store: Store, path: Path, cells: Iterable[Cell] | None = None) -> int:
    """Write results with all answers, whole or not at all; returns how many.

    cells: only those of them that are stored; None for all. Damaged cells of the store are left
    out, see `Store.damaged`. A file is not overwritten by one that lacks some of its results, nor
    if it holds anything else. Raises SweepError.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, chosen = _schema(), _keys(store, cells)
    _check_target(path, chosen)

    def write(partial: Path) -> int:
        count = 0
        options = {"compression": "zstd", "compression_level": 19}
        # Given a path, pyarrow wants it to be of UTF-8.
        with partial.open("wb") as raw, pq.ParquetWriter(raw, schema, **options) as file:
            for keys in _batches(chosen):
                rows = [_row(result) for result in store.results(key=keys)]
                file.write_table(pa.Table.from_pylist(rows, schema=schema))
                count += len(rows)
        return count

    return _write(path, write)


def check_export(path: Path, cells: Iterable[Cell], *, dry: bool = False) -> None:
    """Raise SweepError if an export of all `cells` would, before they are measured.

    dry: without trying to write.
    """
    if path.suffix == ".parquet":
        _check_target(path, (cell.key for cell in cells))
    if dry:
        return
    try:
        try_folder(path.parent)
    except OSError as error:
        raise SweepError(f"Cannot write {path}: {error.strerror or error}.") from error


def _check_target(path: Path, keys: Iterable[str]) -> None:
    """Raise SweepError if the results of `keys` may not take the place of the file."""
    if lost := _exported(path) - set(keys):
        raise SweepError(
            f"{path} holds {len(lost):,} result{'s' * (len(lost) != 1)} that this export lacks. "
            "Put what it holds into the store first (--import) and export all of it (--export "
            "without a sweep), or name another file."
        )


def _exported(path: Path) -> set[str]:
    """Keys of the results in an exported file, none if there is no file.

    Raises SweepError for one that cannot be read.
    """
    if not path.exists():
        return set()
    try:
        return {result.cell.key for result in _read(path)}
    except SweepError as error:
        raise SweepError(
            f"{path} is not overwritten, since it is no export that this program can read; name "
            "another file."
        ) from error


def export_csv(
    store: Store,
    path: Path,
    cells: Iterable[Cell] | None = None,
    zoo: Zoo | None = None,
    root: Path | None = None,
) -> int:
    """Write one line a cell, without answers, whole or not at all; returns how many.

    Accuracies are those of a single pass, shares 0..1. `command` measures the same by itself.
    cells: as in `export_parquet`. zoo, root: as in `cell_command`. Raises SweepError.
    """
    chosen = _keys(store, cells)

    def write(partial: Path) -> int:
        count = 0
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _CSV_COLUMNS)
            writer.writeheader()
            for keys in _batches(chosen):
                lines = [_line(summary, zoo, root) for summary in store.summaries(key=keys)]
                writer.writerows(lines)
                count += len(lines)
        return count

    return _write(path, write)


def import_parquet(store: Store, path: Path) -> tuple[int, int]:
    """Put the results of an exported file into a store: (added, skipped for being there).

    Batch by batch, so that other programs can write in between; a file that cannot be read adds
    nothing, and an import that is cut short goes on where it was. The table of `zoo evaluate`
    (robustness.parquet) cannot be imported: it holds how many draws were right for each image, not
    which classes were answered, and no result is made up here. Raises SweepError.
    """
    if not path.is_file():
        raise SweepError(f"There is no file {path}.")
    found = _read(path)
    added = sum(store.put_all(some) for some in _batches(found))
    return added, len(found) - added


def shipped_results(folder: Path | None = None) -> tuple[CellResult, ...]:
    """The results that ship in `folder` (None: those of the app), none if there is no file.

    Raises SweepError if it is damaged or of another version.
    """
    path = (folder or results_folder()) / FILE
    return tuple(_read(path)) if path.is_file() else ()


def _read(path: Path) -> list[CellResult]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            table = pq.read_table(file, partitioning=None)
        _check_version(table.schema.metadata or {}, path)
        columns = table.to_pydict()
        rows = zip(*(columns[name] for name in (*_CELL_TYPES, *_RESULT_TYPES)), strict=True)
        return [_result(row) for row in rows]
    except (OSError, pa.ArrowException, DataError, KeyError, TypeError, ValueError) as error:
        raise SweepError(f"The results {path.name} are damaged; make them again.") from error


def _check_version(metadata: dict[bytes, bytes], path: Path) -> None:
    found = metadata.get(_MARK, b"").decode()
    if found == str(SCHEMA):
        return
    if found:
        raise SweepError(
            f"The results {path.name} are of version {found}; this program reads version {SCHEMA}."
        )
    if b"schema" in metadata:
        raise SweepError(
            f"The file {path.name} holds counts of right answers, as {COUNTS_FILE} does, and not "
            "the answers, so it cannot be imported; measure its cells with a sweep."
        )
    raise SweepError(f"The file {path.name} holds no results of a sweep.")


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {**_CELL_TYPES, **_RESULT_TYPES}
    columns = [(name, getattr(pa, kind)()) for name, kind in types.items()]
    return pa.schema(columns, metadata={_MARK: str(SCHEMA)})


def _row(result: CellResult) -> dict[str, Any]:
    """A result as a row of the Parquet file."""
    cell: dict[str, Any] = {name: getattr(result.cell, name) for name in _CELL_TYPES}
    return {
        **cell,
        **{name: json.dumps(cell[name]) for name in _JSON},
        "attacked": result.attacked,
        "queries": result.queries,
        "seconds": result.seconds,
        "device": result.device,
        "versions": json.dumps(dict(result.versions), sort_keys=True),
        "answers": _to_bytes(result.answers.T),
        "labels": _to_bytes(result.labels),
        "standing": pack_bits(result.standing),
    }


def _result(row: Sequence[Any]) -> CellResult:
    """The result of a row. Raises DataError, ValueError, TypeError."""
    count = len(_CELL_TYPES)
    values = dict(zip(_CELL_TYPES, row[:count], strict=True))
    values |= {name: json.loads(values[name]) for name in _JSON}
    cell = Cell.from_json(values)
    attacked, queries, seconds, device, versions, answers, labels, standing = row[count:]
    return CellResult(
        cell=cell,
        answers=_from_bytes(answers, (cell.images, cell.draws)).T,
        labels=_from_bytes(labels, (cell.images,)),
        attacked=attacked,
        queries=queries,
        seconds=seconds,
        device=device,
        versions=json.loads(versions),
        standing=unpack_bits(standing, cell.images),
    )


def _to_bytes(classes: NDArray[np.uint16]) -> bytes:
    """Classes as bytes, one each where they fit, else two, little-endian."""
    return classes.astype(np.uint8 if classes.max(initial=0) < 256 else "<u2").tobytes()


def _from_bytes(data: bytes, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """The classes of `_to_bytes`. Raises ValueError."""
    kind = np.uint8 if len(data) == math.prod(shape) else np.dtype("<u2")
    return np.frombuffer(data, dtype=kind).reshape(shape).astype(np.uint16)


def _line(summary: Summary, zoo: Zoo | None, root: Path | None) -> dict[str, Any]:
    """A cell as a line of the CSV file."""
    cell = summary.cell
    values = {
        **cell.to_json(),
        "attack_label": attack_label(cell),
        "parameters": json.dumps(dict(cell.parameters)),
        "chain": json.dumps(cell.chain),
        "effective_sigma": cell.effective_sigma,
        "value": summary.value,
        "lower": summary.lower,
        "upper": summary.upper,
        "confidence": summary.estimate.confidence,
        "attacked": summary.attacked,
        "queries": summary.queries,
        "seconds": summary.seconds,
        "device": summary.device,
        "key": cell.key,
        "command": cell_command(cell, zoo, root),
    }
    return {name: values[name] for name in _CSV_COLUMNS}


def _keys(store: Store, cells: Iterable[Cell] | None) -> list[str]:
    """Keys of what to export, in a stable order. Raises SweepError if it is nothing."""
    stored = store.keys()
    wanted = None if cells is None else {cell.key for cell in cells}
    keys = [key for key in stored if wanted is None or key in wanted]
    if not keys:
        raise SweepError(f"The store {store.path} holds no results to export.")
    return keys


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for at in range(0, len(items), _AT_ONCE):
        yield items[at : at + _AT_ONCE]


def _write(path: Path, write: Callable[[Path], int]) -> int:
    """Make the file in its folder. Raises SweepError."""
    counts: list[int] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda partial: counts.append(write(partial)))
    except OSError as error:
        raise SweepError(f"Cannot write {path}: {error.strerror or error}.") from error
    return counts[0]
