"""The table of results, `assets/results/robustness.parquet`: one row a measurement.

A row is (model, attack, epsilon, sigma, T). Clean accuracy is the attack "none" at epsilon 0. The
rows "worst" are computed from the others: an image counts by its lowest score over the clean image
and all attacks of the suite at that epsilon (not the control), all on the same random subset. Of a
model with noise that is a lower end of the worst case, see `rsc_snn.robustness.compare.upper_end`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rsc_snn.errors import DataError
from rsc_snn.evaluate import accuracy_estimate
from rsc_snn.files import write_atomically
from rsc_snn.robustness.cells import Cell, Subject, digest, fingerprint, subset_rows
from rsc_snn.robustness.suite import ADVERSARIES, CLEAN, SUITE, WORST, Settings
from rsc_snn.zoo import assets_folder

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = 1
FILE = "robustness.parquet"
_ARROW = {
    "str": "string",
    "int": "int64",
    "float": "float64",
    "float | None": "float64",
    "bytes": "binary",
}


@dataclass(frozen=True)
class Row:
    """One measurement; accuracies are shares 0..1, epsilon is in 255ths.

    data: fingerprint of the test images. sha256: `ModelCard.identity`. parameters, versions:
    JSON. images: size of the subset that all attacks but FGSM see. attacked: images not passed
    through. scores: right answers of each image in `draws` fresh draws, one byte an image. Raises
    DataError for what cannot be.
    """

    model: str
    label: str
    dataset: str
    data: str
    sha256: str
    attack: str
    parameters: str
    epsilon_255: float
    sigma: float | None
    time_steps: int
    n: int
    images: int
    attacked: int
    draws: int
    seed: int
    batch_size: int
    value: float
    lower: float
    upper: float
    confidence: float
    queries: int
    seconds: float
    device: str
    versions: str
    command: str
    scores: bytes

    def __post_init__(self) -> None:
        in_order = 0 <= self.lower <= self.value <= self.upper <= 1
        fits = len(self.scores) == self.n > 0 and max(self.scores) <= self.draws
        if not (in_order and fits):
            raise DataError(f"The row {self.model}, {self.attack} contradicts itself.")

    @property
    def place(self) -> tuple[str, str, float, float | None, int]:
        """What the row is about; no two rows of a table share it."""
        return self.model, self.attack, self.epsilon_255, self.sigma, self.time_steps

    @property
    def setup(self) -> tuple[Any, ...]:
        """What rows must share to be compared image by image."""
        return self.dataset, self.data, self.images, self.seed

    @property
    def measured(self) -> tuple[Any, ...]:
        """What rows of one model must share to be of one evaluation."""
        return *self.setup, self.sha256, self.batch_size, self.draws, self.sigma, self.time_steps

    def subset_scores(self) -> Tensor:
        """Scores `[images]` (0..1) on the random subset, whatever the row was measured on."""
        scores = torch.tensor(list(self.scores), dtype=torch.float64) / self.draws
        return scores[subset_rows(self.n, self.images, self.seed)]


def results_folder() -> Path:
    """Where the app's results are."""
    return assets_folder() / "results"


def rows_of(
    cells: Iterable[Cell], label: str, settings: Settings, options: Sequence[str] = ()
) -> list[Row]:
    """The rows of one model's measured cells. options: as in `Settings.command`."""
    return [_row(cell, label, settings, options) for cell in cells]


def _row(cell: Cell, label: str, settings: Settings, options: Sequence[str]) -> Row:
    key = cell.key
    estimate = accuracy_estimate(cell.counts.double() / cell.draws, cell.draws)
    return Row(
        model=key["model"],
        label=label,
        dataset=key["dataset"],
        data=key["data"],
        sha256=key["sha256"],
        attack=key["attack"],
        parameters=json.dumps(key["parameters"]),
        epsilon_255=float(key["epsilon"]),
        sigma=key["sigma"],
        time_steps=key["time_steps"],
        n=len(cell.counts),
        images=settings.images,
        attacked=cell.attacked,
        draws=cell.draws,
        seed=key["seed"],
        batch_size=key["batch_size"],
        value=estimate.value,
        lower=estimate.lower,
        upper=estimate.upper,
        confidence=estimate.confidence,
        queries=cell.queries,
        seconds=cell.seconds,
        device=cell.device,
        versions=json.dumps(cell.versions),
        command=settings.command(key["model"], options),
        scores=bytes(cell.counts.tolist()),
    )


def known_cells(rows: Iterable[Row], subject: Subject) -> dict[str, Cell]:
    """The cells of `subject` that are in a table already, by the digest of their keys.

    Those measured in the way of the subject's settings, with the same smaller epsilons before.
    """
    own = {
        (row.attack, row.epsilon_255): row
        for row in rows
        if row.measured == _way(subject) and row.model == subject.card.name
    }
    cells = {}
    for key in subject.chain():
        attack, epsilon = key["attack"], key["epsilon"]
        row = own.get((attack, epsilon))
        smaller = {size for name, size in own if name == attack and size < epsilon}
        wanted = {size for size in subject.settings.epsilons if size < epsilon}
        if row is None or smaller != wanted or json.loads(row.parameters) != key["parameters"]:
            continue
        cells[digest(key)] = Cell(
            key=key,
            counts=torch.tensor(list(row.scores), dtype=torch.uint8),
            attacked=row.attacked,
            queries=row.queries,
            seconds=row.seconds,
            device=row.device,
            versions=json.loads(row.versions),
        )
    return cells


def renewed(row: Row) -> Row:
    """The row with the interval that its scores have today, by whichever rule it was stored."""
    scores = torch.tensor(list(row.scores), dtype=torch.float64) / row.draws
    estimate = accuracy_estimate(scores, row.draws, row.confidence)
    return replace(row, value=estimate.value, lower=estimate.lower, upper=estimate.upper)


def current(rows: Iterable[Row], known: Mapping[str, str]) -> list[Row]:
    """The rows of the models in `known` (name to identity); others have gone or changed."""
    return [row for row in rows if known.get(row.model) == row.sha256]


def merged(old: Iterable[Row], new: Sequence[Row], known: Mapping[str, str]) -> list[Row]:
    """`old` rows and `new` ones of the models in `known` (name to identity), with worst cases.

    A new row takes the place of an old one. Old rows of a model that has changed, or measured in
    another way than its new rows, are dropped; those of a model that is not known stay, for its
    card may be of another folder, or damaged. In the order of models and suite. Worst cases are
    made anew, where every attack of the suite is there, and so are the intervals of old rows.
    """
    ways = {row.model: row.measured for row in new}
    table = {
        row.place: renewed(row)
        for row in old
        if known.get(row.model, row.sha256) == row.sha256
        and row.attack != WORST
        and ways.get(row.model, row.measured) == row.measured
    }
    table |= {row.place: row for row in current(new, known)}
    rows = [*table.values(), *_worst_rows(table.values())]
    order = {name: index for index, name in enumerate((CLEAN, *SUITE, WORST))}
    return sorted(rows, key=lambda row: (row.model, row.epsilon_255, order.get(row.attack, 99)))


def contradicting(rows: Iterable[Row], subject: Subject) -> list[Row]:
    """The rows of a subject's model that its new rows would push out of the table, or belie.

    Those that were measured in another way, and those in a chain of epsilons that the new ones
    break: an image is attacked at an epsilon if a smaller one did not break it, so a table with
    rows of two chains would not be what its docs say.
    """
    settings, way = subject.settings, _way(subject)
    own = [
        row
        for row in rows
        if (row.model, row.sha256) == (subject.card.name, subject.card.identity)
        and row.attack != WORST
    ]
    others = [row for row in own if row.measured != way]
    for attack in settings.attacks:
        there = [row for row in own if row.attack == attack and row.measured == way]
        if not _nested({row.epsilon_255 for row in there}, set(settings.epsilons)):
            others += there
    return others


def _way(subject: Subject) -> tuple[Any, ...]:
    """`Row.measured` of the rows that `subject` will have."""
    settings, key = subject.settings, subject.key(CLEAN, 0.0, fingerprint(subject.data), "")
    return (
        *(key["dataset"], key["data"], settings.images, key["seed"], key["sha256"]),
        *(key["batch_size"], key["draws"], key["sigma"], key["time_steps"]),
    )


def _nested(old: set[float], new: set[float]) -> bool:
    """True if old epsilons that stay beside new ones had the same smaller ones before them."""
    return all(
        {epsilon for epsilon in new if epsilon < kept}
        == {epsilon for epsilon in old if epsilon < kept}
        for kept in old - new
    ) and not any(kept < added for kept in old - new for added in new)


def _worst_rows(rows: Iterable[Row]) -> Iterator[Row]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.model, []).append(row)
    for group in groups.values():
        clean = [row for row in group if row.attack == CLEAN]
        for epsilon in sorted({row.epsilon_255 for row in group} - {0.0}):
            at = {row.attack: row for row in group if row.epsilon_255 == epsilon}
            if clean and all(name in at for name in ADVERSARIES):
                yield worst_row(clean[0], [at[name] for name in ADVERSARIES])


def worst_row(clean: Row, attacks: Sequence[Row]) -> Row:
    """Per image of the subset the lowest score over `clean` and `attacks` of one epsilon."""
    scores = torch.stack([row.subset_scores() for row in (clean, *attacks)]).amin(dim=0)
    estimate = accuracy_estimate(scores, clean.draws)
    counts = (scores * clean.draws).round().to(torch.uint8)
    first = attacks[0]
    return Row(
        **{
            **asdict(first),
            "attack": WORST,
            "parameters": json.dumps({"over": [CLEAN, *(row.attack for row in attacks)]}),
            "n": len(scores),
            "attacked": int((clean.subset_scores() > 0).sum()),
            "value": estimate.value,
            "lower": estimate.lower,
            "upper": estimate.upper,
            "queries": sum(row.queries for row in attacks),
            "seconds": round(sum(row.seconds for row in attacks), 3),
            "scores": bytes(counts.tolist()),
        }
    )


def read_results(folder: Path | None = None) -> list[Row]:
    """The rows of the table in `folder` (None: the app's); none if there is no table.

    Raises DataError with one sentence if it is damaged or of another version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = (folder or results_folder()) / FILE
    if not path.is_file():
        return []
    try:
        with path.open("rb") as file:
            table = pq.read_table(file)
        found = (table.schema.metadata or {}).get(b"schema", b"").decode()
        if found != str(SCHEMA):
            raise DataError(f"The results {path.name} are of another version of this program.")
        return [Row(**values) for values in table.to_pylist()]
    except (OSError, pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f"The results {path.name} are damaged; make them again.") from error


def write_results(rows: Sequence[Row], folder: Path) -> None:
    """Write the table, whole or not at all. Raises DataError."""
    import pyarrow as pa

    schema = pa.schema(
        [(field.name, getattr(pa, _ARROW[str(field.type)])()) for field in fields(Row)],
        metadata={"schema": str(SCHEMA)},
    )
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=schema)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / FILE, partial(_write_table, table))
    except OSError as error:
        raise DataError(f"Cannot write to {folder}: {error.strerror}.") from error


def _write_table(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    with path.open("wb") as file:  # Given a path, pyarrow wants it to be of UTF-8.
        pq.write_table(table, file, compression="zstd")


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """One process at a time reads the table, adds its rows and writes it."""
    try:
        import fcntl
    except ImportError:  # No such lock on this system: two evaluations at once may lose rows,
        yield  # which the next run puts back from its cells.
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{FILE}.lock.partial").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_writable(folder: Path) -> None:
    """Raise DataError if the table cannot be written, before hours are spent on its rows."""
    try:
        with writing(folder):
            pass
    except OSError as error:
        raise DataError(f"Cannot write to {folder}: {error.strerror}.") from error


def add_results(new: Sequence[Row], known: Mapping[str, str], folder: Path) -> None:
    """Put the rows of one model into the table; see `merged`. Raises DataError.

    Without new rows it brings the intervals of the table up to date.
    """
    try:
        with writing(folder):
            write_results(merged(read_results(folder), new, known), folder)
    except OSError as error:
        raise DataError(f"Cannot write to {folder}: {error.strerror}.") from error
