"""The store of a sweep: one SQLite file that holds every measured cell, safe against kills.

A result is durable when `put` returns: each has a transaction of its own in the write-ahead log,
which the operating system holds from then on, so that a `kill -9` of every process loses nothing
and a rerun measures only what was in flight. Each commit does not wait for the disk
(`synchronous=NORMAL`): a power cut may lose the last cells, up to the log's last checkpoint (4 MB
of log; closing the store makes one), but never damages the file.

Any number of threads and processes may read and write at once: readers see whole results and wait
for nobody, writers wait for each other. Write-ahead logs need shared memory, so a store belongs
on a disk of the machine, not on a network drive.

What a page asks for (accuracy with its interval) is kept in columns of its own beside the
compressed answers, so that a query reads no answers. True classes are kept once for each set of
images.
"""

from __future__ import annotations

import json
import queue
import sqlite3
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rsc_snn.attacks.parameters import Value
from rsc_snn.errors import DataError, StoreWaitError, SweepError
from rsc_snn.evaluate import Estimate
from rsc_snn.sweep.cells import Cell, CellResult

# 2 added the accuracy of a single pass beside the answers, and the index for pages; 3 which images
# are broken.
SCHEMA = 3
# The rule that the intervals beside the answers are by; 2 has room for an image that was not drawn.
# Apart from the version, for a program with another rule can read and fill the store all the same.
INTERVALS = 2
# What a sweep says that is not alone; see `Store.sweeping`.
NOT_ALONE = "Another sweep fills this store; each leaves alone what the other did."
_APPLICATION = 0x52534353  # "RSCS": tells a store from the databases of other programs.
_LOCKED_SECONDS = 30.0
_PAUSE_SECONDS = 0.01
_IN_ONE_QUERY = 500
_CONFIDENCE = 0.95

# What reading a damaged row raises.
_DAMAGE = (DataError, ValueError, TypeError, zlib.error)

Row = tuple[Any, ...]
Item = TypeVar("Item")

_CELL_FIELDS = tuple(field.name for field in fields(Cell))
_JSON_FIELDS = ("parameters", "chain")
_RESULT_FIELDS = ("attacked", "queries", "seconds", "device", "versions")
_KEY_PLACE = len(_CELL_FIELDS) + len(_RESULT_FIELDS)  # In a row of `_select_results`.
_SUMMARY_FIELDS = ("value", "lower", "upper", "attacked", "queries", "seconds", "device")

_SCHEMA_1 = """
CREATE TABLE labels (
    data TEXT PRIMARY KEY,
    labels BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE cells (
    key TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    dataset TEXT NOT NULL,
    split TEXT NOT NULL,
    data TEXT NOT NULL REFERENCES labels,
    images INTEGER NOT NULL,
    attack TEXT NOT NULL,
    parameters TEXT NOT NULL,
    epsilon REAL NOT NULL,
    chain TEXT NOT NULL,
    coding TEXT NOT NULL,
    sigma REAL,
    time_steps INTEGER NOT NULL,
    draws INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    batch_size INTEGER NOT NULL,
    protocol INTEGER NOT NULL,
    attacked INTEGER NOT NULL,
    queries INTEGER NOT NULL,
    seconds REAL NOT NULL,
    device TEXT NOT NULL,
    versions TEXT NOT NULL
);
CREATE TABLE answers (
    key TEXT PRIMARY KEY REFERENCES cells,
    answers BLOB NOT NULL
);
"""
_TO_SCHEMA_2 = """
ALTER TABLE cells ADD COLUMN value REAL;
ALTER TABLE cells ADD COLUMN lower REAL;
ALTER TABLE cells ADD COLUMN upper REAL;
CREATE INDEX place ON cells (model, attack, time_steps, sigma, epsilon);
"""


_TO_SCHEMA_3 = """
ALTER TABLE answers ADD COLUMN standing BLOB;
"""
_KEEP_RULE = f"""
CREATE TABLE IF NOT EXISTS intervals (rule INTEGER NOT NULL);
DELETE FROM intervals;
INSERT INTO intervals VALUES ({INTERVALS});
"""


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f"cells.{column}" for column in columns)


def _select_results() -> str:
    return (
        f"SELECT {_names((*_CELL_FIELDS, *_RESULT_FIELDS, 'key'))}, answers.answers, "
        "answers.standing, labels.labels FROM cells JOIN answers ON answers.key = cells.key "
        "JOIN labels ON labels.data = cells.data"
    )


_ORDER = "ORDER BY " + _names(
    ("epsilon", "dataset", "model", "attack", "parameters", "time_steps", "sigma", "key")
)


@dataclass(frozen=True)
class Summary:
    """A measured cell without its answers.

    value, lower, upper: accuracy of a single pass with its 95 % interval, shares 0..1. The rest
    as in `CellResult`.
    """

    cell: Cell
    value: float
    lower: float
    upper: float
    attacked: int
    queries: int
    seconds: float
    device: str

    @property
    def estimate(self) -> Estimate:
        """The accuracy of a single pass, as `CellResult.estimate` gives it."""
        return Estimate(self.value, self.lower, self.upper, self.cell.images, _CONFIDENCE)


class Store:
    """The results of all sweeps in one file, or in memory with the path ":memory:".

    create: make the file, and its folder, if it is not there; without it, a store in a folder that
    cannot be written is read all the same. timeout: seconds to wait for another writer.

    Every method raises SweepError with one sentence for what goes wrong with the file, and
    StoreWaitError for what may pass (a lock, a full disk); nothing that was stored is lost by it.
    Of a damaged cell, which cannot be read any more, all others are independent: it is left out,
    counts as missing, and `put` replaces it.
    """

    def __init__(
        self, path: Path | str, *, create: bool = True, timeout: float = _LOCKED_SECONDS
    ) -> None:
        self.path = path if path == ":memory:" else Path(path)
        self._timeout = timeout
        # Connections at rest: a call takes one, so that no two threads ever share it. The one
        # of a store in memory is all there is of it, and calls take turns.
        self._resting: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._closed = False
        # Read as a file that does not change while a connection is open.
        self._still = False
        if isinstance(self.path, Path):
            self._prepare_place(self.path, create)
        with self._speaking():
            try:
                connection = self._open()
            except sqlite3.OperationalError as error:
                if create or not self._cannot_log(error):
                    raise
                self._still = True
                connection = self._open()
            self._rest(connection)

    def _open(self) -> sqlite3.Connection:
        """A first connection, with the tables there."""
        connection = self._connect()
        try:
            _set_up(connection, self.path, self._timeout)
        except BaseException:
            connection.close()
            raise
        return connection

    def _cannot_log(self, error: sqlite3.OperationalError) -> bool:
        """True if reading failed for want of a log that cannot be made, and nothing is in one."""
        kinds = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
        return error.sqlite_errorcode & 0xFF in kinds and not self._has_log()

    def _has_log(self) -> bool:
        path = Path(self.path)
        return path.with_name(f"{path.name}-wal").exists()

    def _prepare_place(self, path: Path, create: bool) -> None:
        try:
            if not create and not path.exists():
                raise SweepError(f"There is no store of sweeps at {path}.")
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SweepError(f"The store {path} cannot be made: {error.strerror}.") from error

    def put(self, result: CellResult) -> bool:
        """Store a result, durable on return; False, and no change, if its cell is stored.

        Damaged ones are replaced.
        """
        return self.put_all([result]) == 1

    def put_all(self, results: Iterable[CellResult]) -> int:
        """Store results in one transaction, all or none; returns how many are new."""
        rows = [(result, _columns(result)) for result in results]
        with self._writing() as connection:
            return sum(_insert(connection, result, columns) for result, columns in rows)

    def get(self, key: str) -> CellResult | None:
        """The result of a cell by its key, None if there is none."""
        found = self.results(key=key)
        return found[0] if found else None

    def check_writable(self) -> None:
        """Raise SweepError if results cannot be stored, before hours are spent on them."""
        with self._writing() as connection:
            connection.execute(f"PRAGMA user_version = {SCHEMA}")  # As it is, but written.

    def missing(self, cells: Iterable[Cell]) -> list[Cell]:
        """The cells that have no result, or a damaged one, in their order."""
        wanted = {cell.key: cell for cell in cells}
        for keys in _batches(list(wanted)):
            marks = ",".join("?" * len(keys))
            for row in self._rows(f"{_select_results()} WHERE cells.key IN ({marks})", keys):
                key = row[_KEY_PLACE]
                if _is_sound(row, wanted[key]):
                    del wanted[key]
        return list(wanted.values())

    def damaged(self, cells: Iterable[Cell] | None = None) -> int:
        """How many stored cells, of `cells` or of all, cannot be read any more."""
        if cells is None:
            return len(self) - len(self.keys())
        count = 0
        for keys in _batches([cell.key for cell in self.missing(cells)]):
            marks = ",".join("?" * len(keys))
            count += self._rows(f"SELECT count(*) FROM cells WHERE key IN ({marks})", keys)[0][0]
        return count

    def results(self, **where: Any) -> list[CellResult]:
        """The results whose columns have the given values, clean ones first, no damaged ones.

        where: `key` or fields of `Cell` but `parameters` and `chain`, each a value, None (for
        sigma) or a collection of these:
        `results(model="cifar10-ann", attack=["none", "fgsm"], time_steps=4)`.
        """
        text, values = _where(where)
        rows = self._rows(f"{_select_results()}{text} {_ORDER}", values)
        return list(_sound(rows, _result))

    def summaries(self, **where: Any) -> list[Summary]:
        """What `results` gives, without the answers: for tables and curves, and much quicker.

        Whether the answers are damaged it does not see.
        """
        text, values = _where(where)
        columns = _names((*_CELL_FIELDS, *_SUMMARY_FIELDS))
        rows = self._rows(f"SELECT {columns} FROM cells{text} {_ORDER}", values)
        count = len(_CELL_FIELDS)
        return list(
            _sound(rows, lambda row: Summary(_cell(row[:count]), *_known_ends(row[count:])))
        )

    def keys(self) -> list[str]:
        """The keys of all stored cells but damaged ones, in the order of `results`."""
        stored = [key for (key,) in self._rows(f"SELECT key FROM cells {_ORDER}", [])]
        found = (result.cell.key for keys in _batches(stored) for result in self.results(key=keys))
        sound = set(found)
        return [key for key in stored if key in sound]

    def cells(self, after: int = 0) -> tuple[int, list[Cell]]:
        """(mark, cells that were stored after the mark `after`), in the order of storing.

        Cells are never taken out, so whoever asks with the mark of the last answer knows all. One
        that took the place of a damaged one comes again. No answers are read, as in `summaries`.
        """
        columns = _names((*_CELL_FIELDS, "key", "rowid"))
        rows = self._rows(
            f"SELECT {columns} FROM cells WHERE cells.rowid > ? ORDER BY cells.rowid", [after]
        )
        mark = rows[-1][-1] if rows else after
        return mark, list(_sound(rows, lambda row: _cell(row[:-2]).known_as(row[-2])))

    def __len__(self) -> int:
        """How many cells are stored, damaged ones among them."""
        return int(self._rows("SELECT count(*) FROM cells", [])[0][0])

    def close(self) -> None:
        """Close the file; what is stored is moved from the log into it. Twice is once."""
        self._closed = True
        while True:
            try:
                self._resting.get_nowait().close()
            except queue.Empty:
                return

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        """Mark that a sweep fills this store; True inside if no other one does at the moment.

        Two at once are safe: each skips what the other has stored. The mark is a lock on a file
        beside the store, which the system lifts when its process ends in whatever way.
        """
        try:
            import fcntl
        except ImportError:  # No such lock on this system: nobody can tell.
            yield True
            return
        if not isinstance(self.path, Path):
            yield True
            return
        try:
            lock = self.path.with_name(f"{self.path.name}.lock").open("a")
        except OSError as error:
            raise SweepError(_UNWRITABLE.format(path=self.path)) from error
        with lock:

            def took(kind: int) -> bool:
                try:
                    fcntl.flock(lock, kind | fcntl.LOCK_NB)
                except OSError:
                    return False
                return True

            alone = took(fcntl.LOCK_EX)
            # From now on shared: whoever comes later sees that somebody is here, however many are.
            took(fcntl.LOCK_SH)
            yield alone

    def _rows(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._using() as connection:
            return _fetch(connection, query, values)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: whole if the block ends, undone if it raises anything."""
        with self._using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """A connection that nobody else has, back to rest with no transaction open."""
        with self._speaking():
            connection = self._take()
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._rest(connection)

    def _rest(self, connection: sqlite3.Connection) -> None:
        """Keep a connection for the next call; one to a file taken as still sees no change."""
        if self._closed or self._still:
            connection.close()
        else:
            self._resting.put(connection)

    def _take(self) -> sqlite3.Connection:
        if self._closed:
            raise SweepError(f"The store {self.path} is closed.")
        try:
            if isinstance(self.path, Path):
                return self._resting.get_nowait()
            return self._resting.get(timeout=self._timeout)
        except queue.Empty:
            if isinstance(self.path, Path):
                return self._connect()
            raise StoreWaitError(_BUSY.format(path=self.path)) from None

    def _connect(self) -> sqlite3.Connection:
        # Without isolation level the module begins no transactions of its own.
        place, still = self.path, self._still and not self._has_log()
        if still:
            place = f"{Path(self.path).absolute().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(
            place,
            timeout=self._timeout,
            isolation_level=None,
            check_same_thread=False,
            uri=still,
        )
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Turn the database's errors into sentences."""
        try:
            yield
        except sqlite3.Error as error:
            exact = getattr(error, "sqlite_errorcode", 0)
            code = exact if exact in _SENTENCES else exact & 0xFF
            text = _SENTENCES.get(code, "The store {path} cannot be used: {error}.")
            kind = StoreWaitError if code in _PASSING else SweepError
            raise kind(text.format(path=self.path, error=error)) from error


_UNWRITABLE = (
    "The store {path} cannot be opened for writing; choose another place for it, or copy it there."
)
_BUSY = (
    "The store {path} has been locked by another program for too long; try again when that has "
    "ended."
)
# What may be over at the next try.
_PASSING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
_SENTENCES = {
    sqlite3.SQLITE_FULL: (
        "The disk that holds the store {path} is full; what is stored is safe, and the same sweep "
        "goes on from there once there is room."
    ),
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_READONLY: _UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: _UNWRITABLE,
    sqlite3.SQLITE_PERM: _UNWRITABLE,
    sqlite3.SQLITE_NOTADB: "The file {path} is no store of sweeps.",
    sqlite3.SQLITE_CORRUPT: (
        "The store {path} is damaged; move it away, and the sweep makes a new one."
    ),
    # What a used-up quota is to the database.
    sqlite3.SQLITE_IOERR_WRITE: (
        "The store {path} cannot be written, perhaps for want of room on its disk or in a quota; "
        "what is stored is safe, and the same sweep goes on from there."
    ),
    sqlite3.SQLITE_IOERR: "The store {path} cannot be read or written: {error}.",
}


# --- Setting up ----------------------------------------------------------------------------------


def _set_up(connection: sqlite3.Connection, path: Path | str, timeout: float) -> None:
    """Make the tables, or bring those of an older version up to date. Raises SweepError."""
    current = _version(connection, path) == SCHEMA
    if current and _rule(connection) == INTERVALS:
        return
    try:
        _bring_up_to_date(connection, path, timeout)
    except sqlite3.OperationalError as error:
        # What cannot be written is read all the same, with the intervals that it has.
        if not current or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
            raise
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _bring_up_to_date(connection: sqlite3.Connection, path: Path | str, timeout: float) -> None:
    _use_log(connection, timeout)
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have done it meanwhile.
    version = _version(connection, path)
    for step in _MIGRATIONS[version:]:
        step(connection)
    if _rule(connection) != INTERVALS:
        _work_out_accuracies(connection)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")
    connection.execute("COMMIT")


def _use_log(connection: sqlite3.Connection, timeout: float) -> None:
    """Turn the write-ahead log on, for good; SQLite itself waits for nobody when it does this."""
    end = time.monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_PAUSE_SECONDS)


def _version(connection: sqlite3.Connection, path: Path | str) -> int:
    """The version of the tables, 0 for a new file. Raises SweepError for what is no store."""
    version = _pragma(connection, "user_version")
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables and _pragma(connection, "application_id") != _APPLICATION:
        raise SweepError(f"The file {path} is a database of another program.")
    if version > SCHEMA:
        raise SweepError(
            f"The store {path} is of version {version}, made by a later version of this program, "
            f"which reads up to {SCHEMA}."
        )
    return version


def _rule(connection: sqlite3.Connection) -> int:
    """The rule that the stored intervals are by; the first one was not kept."""
    table = "SELECT 1 FROM sqlite_schema WHERE name = 'intervals'"
    if connection.execute(table).fetchone() is None:
        return 1
    return int(connection.execute("SELECT max(rule) FROM intervals").fetchone()[0])


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _run(connection: sqlite3.Connection, script: str) -> None:
    """The statements of a script inside the open transaction (`executescript` would end it)."""
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)


def _make_tables(connection: sqlite3.Connection) -> None:
    _run(connection, _SCHEMA_1)


def _add_accuracies(connection: sqlite3.Connection) -> None:
    """From version 1 to 2; `_work_out_accuracies` fills the columns."""
    _run(connection, _TO_SCHEMA_2)


def _add_standing(connection: sqlite3.Connection) -> None:
    """From version 2 to 3: cells of older protocols stay without it (see `_result`)."""
    _run(connection, _TO_SCHEMA_3)


def _work_out_accuracies(connection: sqlite3.Connection) -> None:
    """The accuracy of every stored cell that can be read, with its interval by today's rule."""
    for result in _sound(_fetch(connection, _select_results()), _result):
        estimate = result.estimate()
        connection.execute(
            "UPDATE cells SET value = ?, lower = ?, upper = ? WHERE key = ?",
            (estimate.value, estimate.lower, estimate.upper, result.cell.key),
        )
    _run(connection, _KEEP_RULE)


_MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _make_tables,
    _add_accuracies,
    _add_standing,
)


# --- Rows ----------------------------------------------------------------------------------------


def pack(values: NDArray[np.uint16]) -> bytes:
    """An array of classes as compressed bytes, little-endian."""
    return zlib.compress(values.astype("<u2").tobytes(), level=1)


def unpack(data: bytes, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """The array that `pack` compressed. Raises ValueError, zlib.error."""
    return np.frombuffer(zlib.decompress(data), dtype="<u2").reshape(shape).astype(np.uint16)


def pack_bits(values: NDArray[np.bool_]) -> bytes:
    """Booleans `[n]` as bytes, eight in one."""
    return np.packbits(values).tobytes()


def unpack_bits(data: bytes, count: int) -> NDArray[np.bool_]:
    """The `count` booleans that `pack_bits` packed. Raises ValueError."""
    if len(data) != -(-count // 8):
        raise ValueError("another number of booleans")
    return np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=count).astype(np.bool_)


def _columns(result: CellResult) -> dict[str, Any]:
    """The row of a result in the table of cells. Raises SweepError."""
    values: dict[str, Any] = {name: getattr(result.cell, name) for name in _CELL_FIELDS}
    values |= {name: json.dumps(values[name]) for name in _JSON_FIELDS}
    reals = {name: float(values[name]) for name in ("epsilon", "sigma") if values[name] is not None}
    if _cell(tuple((values | reals).values())).key != result.cell.key:
        raise SweepError(
            f"The cell {result.cell.key} holds whole numbers where sigma or epsilons belong, and "
            "would not be found again."
        )
    estimate = result.estimate()
    return {
        **values,
        "key": result.cell.key,
        "value": estimate.value,
        "lower": estimate.lower,
        "upper": estimate.upper,
        "attacked": result.attacked,
        "queries": result.queries,
        "seconds": result.seconds,
        "device": result.device,
        "versions": json.dumps(dict(result.versions)),
    }


def _fetch(connection: sqlite3.Connection, query: str, values: Sequence[Any] = ()) -> list[Row]:
    """All rows of a query. Text that is damaged is marked in its row and costs no others."""
    try:
        return connection.execute(query, values).fetchall()
    except sqlite3.OperationalError as error:
        # The module's own, which has no code.
        if "Could not decode" not in str(error):
            raise
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.text_factory = str


def _insert(connection: sqlite3.Connection, result: CellResult, columns: Mapping[str, Any]) -> bool:
    """Add a result unless its cell is there and sound; True if it was added. Raises SweepError."""
    _insert_labels(connection, result)
    marks = ", ".join(f":{name}" for name in columns)
    added = connection.execute(
        f"INSERT INTO cells ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT (key) DO NOTHING",
        columns,
    ).rowcount
    if not added:
        query = f"{_select_results()} WHERE cells.key = ?"
        rows = _fetch(connection, query, [result.cell.key])
        if any(_is_sound(row, result.cell) for row in rows):
            return False
        # What is damaged is perhaps what the index knows the row by.
        connection.execute("REINDEX place")
        # With a new number, by which `Store.cells` knows it as new.
        values = ", ".join(f"{name} = :{name}" for name in columns)
        number = "(SELECT max(rowid) + 1 FROM cells)"
        connection.execute(f"UPDATE cells SET rowid = {number}, {values} WHERE key = :key", columns)
    connection.execute(
        "INSERT OR REPLACE INTO answers (key, answers, standing) VALUES (?, ?, ?)",
        (columns["key"], pack(result.answers), pack_bits(result.standing)),
    )
    return True


def _insert_labels(connection: sqlite3.Connection, result: CellResult) -> None:
    """Add the true classes of a result unless they are there and sound. Raises SweepError."""
    data = result.cell.data
    found = connection.execute("SELECT labels FROM labels WHERE data = ?", (data,)).fetchone()
    try:
        if found is not None and np.array_equal(unpack(found[0], (-1,)), result.labels):
            return
    except _DAMAGE:
        found = None
    if found is not None:
        raise SweepError(f"The true classes of the images {data} are not those that are stored.")
    connection.execute("INSERT OR REPLACE INTO labels VALUES (?, ?)", (data, pack(result.labels)))


def _cell(row: Sequence[Any]) -> Cell:
    """The cell of the columns `_CELL_FIELDS`. Raises one of `_DAMAGE`."""
    values = dict(zip(_CELL_FIELDS, row, strict=True))
    values["parameters"] = _parameters(values["parameters"])
    values["chain"] = _chain(values["chain"])
    return Cell(**values)


# Thousands of cells share a few attacks and chains.
@lru_cache(maxsize=1024)
def _parameters(text: str) -> tuple[tuple[str, Value], ...]:
    return tuple((str(name), value) for name, value in json.loads(text))


@lru_cache(maxsize=1024)
def _chain(text: str) -> tuple[float, ...]:
    return tuple(map(float, json.loads(text)))


def _result(row: Sequence[Any], expected: Cell | None = None) -> CellResult:
    """The result of the columns of `_select_results`. Raises one of `_DAMAGE`.

    expected: its cell, if it is known, which spares hashing what is stored.
    """
    count = len(_CELL_FIELDS)
    cell = _cell(row[:count])
    if cell == expected:
        cell = expected
    attacked, queries, seconds, device, versions, key, packed, bits, classes = row[count:]
    if cell.key != key:
        raise ValueError("another key")
    answers = unpack(packed, (cell.draws, cell.images))
    labels = unpack(classes, (cell.images,))
    # Protocol 1 decided it on the draws of the scoring.
    of_scoring = bits is None
    standing = (answers == labels).any(axis=0) if of_scoring else unpack_bits(bits, cell.images)
    return CellResult(
        cell=cell,
        answers=answers,
        labels=labels,
        attacked=attacked,
        queries=queries,
        seconds=seconds,
        device=device,
        versions=json.loads(versions),
        standing=standing,
    )


def _sound(rows: Iterable[Row], read: Callable[[Row], Item]) -> Iterator[Item]:
    """What `read` makes of each row, without those that are damaged."""
    for row in rows:
        try:
            yield read(row)
        except _DAMAGE:
            continue


def _known_ends(columns: Sequence[Any]) -> Sequence[Any]:
    """The columns of a summary. Raises DataError if a migration could not work out its accuracy."""
    if None in columns:
        raise DataError("The accuracy of a damaged cell is not known.")
    return columns


def _is_sound(row: Row, cell: Cell) -> bool:
    """True if a row of `_select_results` is a result of the cell."""
    return any(True for _ in _sound([row], lambda row: _result(row, cell)))


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Parts of `keys` that fit into one query."""
    for at in range(0, len(keys), _IN_ONE_QUERY):
        yield keys[at : at + _IN_ONE_QUERY]


def _known(column: str) -> str:
    """`column` if it is one that can be asked for; queries are made from nothing else."""
    if column != "key" and (column not in _CELL_FIELDS or column in _JSON_FIELDS):
        raise SweepError(f"The store cannot be asked for {column!r}.")
    return column


def _where(conditions: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The WHERE of a query, "" for no condition, and its values."""
    parts: list[str] = []
    values: list[Any] = []
    for column, wanted in conditions.items():
        name = f"cells.{_known(column)}"
        single = isinstance(wanted, str) or not isinstance(wanted, Collection)
        every = [wanted] if single else [*wanted]
        chosen = [value for value in every if value is not None]
        choice = f"{name} IN ({','.join('?' * len(chosen))})"
        parts.append(choice if len(chosen) == len(every) else f"({choice} OR {name} IS NULL)")
        values += chosen
    return f" WHERE {' AND '.join(parts)}" if parts else "", values
