"""Where the explorer's numbers come from: the results that ship, and the app's own store.

Results are those of the models at hand: cells of other weights or networks, of another protocol,
or of attacks that this version does not have, do not count. A source that cannot be read is a
sentence, and the page goes on with the other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from rsc_snn.attacks import ATTACKS
from rsc_snn.errors import RscSnnError
from rsc_snn.robustness.store import results_folder
from rsc_snn.sweep.cells import CLEAN, PROTOCOL, Cell, CellResult
from rsc_snn.sweep.store import Store
from rsc_snn.sweep.transfer import FILE, shipped_results
from rsc_snn.ui import resources
from rsc_snn.ui.memo import Memo

VARIABLE = "RSC_SNN_STORE"
# What a page without results tells its visitor to run.
COMMAND = "python -m rsc_snn sweep rsc_snn/sweep/quick.toml --yes"
# Where the command `sweep` keeps results, so that a sweep shows up on the page.
DEFAULT = Path("runs/sweep.sqlite")
_AT_ONCE = 500
_PATIENCE = 2.0
_KEPT, _KEPT_BYTES = 20_000, 128 * 2**20

Stamp = tuple[Hashable, ...]


def store_path() -> Path:
    """The app's own store: that of the variable RSC_SNN_STORE, else the command's."""
    return Path(os.environ.get(VARIABLE) or DEFAULT)


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that was measured of the models at hand.

    cells: by key. own: keys of those that did not ship but are of the app's own store, whoever put
    them there. stamp: differs whenever the rest does.
    problems: a sentence for each source that could not be read. fetch: the results of keys.
    """

    cells: Mapping[str, Cell]
    own: frozenset[str]
    stamp: Stamp
    problems: tuple[str, ...]
    fetch: Callable[[Sequence[str]], list[CellResult]]

    def results(self, cells: Iterable[Cell]) -> list[CellResult]:
        """The results of some of the cells. Raises SweepError if they cannot be read."""
        return self.fetch([cell.key for cell in cells])

    def plus(self, found: Sequence[CellResult]) -> Evidence:
        """With results that were measured since."""
        new = {result.cell.key: result for result in found if result.cell.key not in self.cells}
        if not new:
            return self

        def fetch(keys: Sequence[str]) -> list[CellResult]:
            known = [new[key] for key in keys if key in new]
            return [*known, *self.fetch([key for key in keys if key not in new])]

        return replace(
            self,
            cells={**self.cells, **{key: result.cell for key, result in new.items()}},
            own=self.own | new.keys(),
            stamp=(*self.stamp, tuple(new)),
            fetch=fetch,
        )


def shipped_alone(evidence: Evidence) -> Evidence:
    """Without what is of the app's own store: the same for every visitor, at any time."""
    cells = {key: cell for key, cell in evidence.cells.items() if key not in evidence.own}
    return replace(evidence, cells=cells, own=frozenset(), stamp=(*evidence.stamp, "shipped alone"))


def gather() -> Evidence:
    """What there is now; files are read again only if they changed."""
    problems: list[str] = []
    shipped, mark = _shipped_now(problems)
    reader = _reader_now(problems)
    zoo = resources.zoo()
    models = tuple((name, zoo.card(name).identity) for name in zoo.names())
    sources = (mark, () if reader is None else reader.mark)
    cells, own = _current(sources, models, shipped, {} if reader is None else reader.cells)

    def fetch(keys: Sequence[str]) -> list[CellResult]:
        known = [shipped[key] for key in keys if key in shipped]
        others = [key for key in keys if key not in shipped]
        return known if reader is None else [*known, *reader.results(others)]

    return Evidence(cells, own, (sources, models), tuple(problems), fetch)


@st.cache_resource(show_spinner=False, max_entries=4)
def _current(
    sources: tuple[Stamp, ...],
    models: tuple[tuple[str, str], ...],
    _shipped: Mapping[str, CellResult],
    _stored: Mapping[str, Cell],
) -> tuple[dict[str, Cell], frozenset[str]]:
    """The cells of the models at hand, and which of them did not ship."""
    known = set(models)
    every = dict(_stored) | {key: result.cell for key, result in _shipped.items()}
    cells = {
        key: cell
        for key, cell in every.items()
        if (cell.model, cell.sha256) in known
        and cell.protocol == PROTOCOL
        and cell.attack in (CLEAN, *ATTACKS)
    }
    return cells, frozenset(key for key in cells if key not in _shipped)


def _shipped_now(problems: list[str]) -> tuple[Mapping[str, CellResult], Stamp]:
    folder = results_folder()
    mark = _mark(folder / FILE)
    try:
        return _shipped(str(folder), mark), (str(folder), mark)
    except RscSnnError as error:
        problems.append(str(error))
        return {}, (str(folder), mark, "unusable")


@st.cache_resource(show_spinner=False, max_entries=1)
def _shipped(folder: str, mark: Stamp) -> dict[str, CellResult]:
    return {result.cell.key: result for result in shipped_results(Path(folder))}


def shipped_among(cells: Iterable[Cell]) -> list[CellResult]:
    """The results of those cells that ship, so that nobody measures them again."""
    shipped, _ = _shipped_now([])
    return [shipped[cell.key] for cell in cells if cell.key in shipped]


def _reader_now(problems: list[str]) -> StoreReader | None:
    """What reads the app's store, None if there is none or it cannot be read."""
    path = store_path()
    try:
        if not path.exists():
            return None
        reader = _reader(str(path), path.stat().st_ino)
        reader.refresh()
        if count := len(reader.damaged):
            problems.append(
                f"A part of the store {path}, {count:,} result{'s' * (count != 1)}, cannot be read "
                "any more; a sweep measures it again."
            )
        return reader
    except RscSnnError as error:
        problems.append(str(error))
    except OSError as error:
        problems.append(f"The store {path} cannot be read: {error.strerror}.")
    return None


@st.cache_resource(show_spinner=False, max_entries=2, on_release=lambda reader: reader.close())
def _reader(path: str, inode: int) -> StoreReader:
    return StoreReader(Path(path))


class StoreReader:
    """The cells of a store in memory, and its results as they are asked for. Safe in any thread.

    cells: by key, without those in `damaged`, of which it was seen that they cannot be read.
    Raises SweepError, as `Store` does.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store = Store(path, create=False, timeout=_PATIENCE)
        self._lock = threading.Lock()
        self._results = Memo(_KEPT, _KEPT_BYTES)
        self._known = 0
        self._seen: Stamp = ()
        self.cells: dict[str, Cell] = {}
        self.damaged: frozenset[str] = frozenset()

    @property
    def mark(self) -> Stamp:
        """What changes whenever `cells` may have done."""
        return (*self._seen, *sorted(self.damaged))

    def refresh(self) -> None:
        """Read the cells that were added since."""
        seen = (str(self._path), *_mark(self._path), *_mark(_log_of(self._path)))
        with self._lock:
            if seen == self._seen:
                return
            self._known, new = self._store.cells(self._known)
            self.cells = self.cells | {cell.key: cell for cell in new}
            self.damaged -= {cell.key for cell in new}
            self._seen = seen

    def results(self, keys: Sequence[str]) -> list[CellResult]:
        """The results of keys that are stored; those that cannot be read are `damaged` from now."""
        known = {key: self._results.get(key, CellResult) for key in keys}
        lacking = [key for key, result in known.items() if result is None]
        for batch in _batches(lacking):
            for result in self._store.results(key=batch):
                self._results.put(result.cell.key, result)
                known[result.cell.key] = result
        self._leave_out(key for key, result in known.items() if result is None)
        return [result for result in known.values() if result is not None]

    def _leave_out(self, keys: Iterable[str]) -> None:
        with self._lock:
            damaged = self.cells.keys() & set(keys)
            if damaged:
                self.damaged |= damaged
                self.cells = {k: cell for k, cell in self.cells.items() if k not in damaged}

    def close(self) -> None:
        """Close the store."""
        self._store.close()


def _mark(path: Path) -> Stamp:
    """What changes when a file does; () if there is none."""
    try:
        facts = path.stat()
    except OSError:
        return ()
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _log_of(path: Path) -> Path:
    """SQLite's write-ahead log of a store, where new results are first."""
    return path.with_name(f"{path.name}-wal")


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(keys), _AT_ONCE):
        yield keys[at : at + _AT_ONCE]
