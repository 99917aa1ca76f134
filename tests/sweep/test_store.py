"""The store of a sweep: nothing that it acknowledged is ever lost, and what is wrong is said."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from rsc_snn.errors import StoreWaitError, SweepError
from rsc_snn.sweep.cells import CLEAN, CellResult
from rsc_snn.sweep.store import INTERVALS, SCHEMA, Store
from tests.conftest import as_ordinary_user
from tests.sweep.synthetic import make_cell, make_result, results, same

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "sweep.sqlite"


def many(count: int) -> list[CellResult]:
    return [make_result(make_cell(seed=seed), seed=seed) for seed in range(count)]


def integrity(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


@pytest.mark.parametrize("place", ["file", ":memory:"])
@settings(max_examples=30, deadline=None)
@given(result=results())
def test_a_result_comes_back_as_it_was(
    place: str, result: CellResult, tmp_path_factory: pytest.TempPathFactory
) -> None:
    where = place if place == ":memory:" else tmp_path_factory.mktemp("s") / "sweep.sqlite"
    with Store(where) as store:
        assert store.put(result)
        assert same(store.get(result.cell.key), result)
        (summary,) = store.summaries()
        assert summary.cell == result.cell
        assert summary.estimate == result.estimate()
    if isinstance(where, Path):
        with Store(where) as again:
            assert same(again.get(result.cell.key), result)


def test_the_first_result_of_a_cell_stays(path: Path) -> None:
    first, second = make_result(seed=1), make_result(seed=2)
    with Store(path) as store:
        assert store.put(first)
        assert not store.put(second)
        assert same(store.get(first.cell.key), first)
        assert len(store) == 1
        assert store.get("0" * 32) is None


def test_missing_keeps_the_order(path: Path) -> None:
    found = many(1200)  # More than fit into one query.
    with Store(path) as store:
        assert store.put_all(found[::2]) == 600
        cells = [result.cell for result in found]
        assert store.missing(cells) == cells[1::2]
        assert store.missing(cells[:1] * 2 + cells[1:2] * 2) == cells[1:2]


def test_queries_by_column(path: Path) -> None:
    cells = [
        make_cell(
            attack=attack, epsilon=epsilon, chain=(), sigma=sigma, time_steps=steps, parameters=()
        )
        for attack, epsilon in ((CLEAN, 0.0), ("fgsm", 2.0), ("fgsm", 4.0))
        for sigma in (None, 0.0, 0.1)
        for steps in (1, 4)
    ]
    with Store(path) as store:
        store.put_all(make_result(cell, seed=seed) for seed, cell in enumerate(reversed(cells)))

        def found(**where: object) -> set[str]:
            chosen = {item.cell.key for item in store.results(**where)}
            assert chosen == {item.cell.key for item in store.summaries(**where)}
            return chosen

        assert found() == {cell.key for cell in cells}
        assert found(attack="fgsm", sigma=0.1, time_steps=[1, 4], epsilon=4) == {
            cell.key for cell in cells if (cell.sigma, cell.epsilon) == (0.1, 4.0)
        }
        assert found(sigma=None) == {cell.key for cell in cells if cell.sigma is None}
        chosen = {cell.key for cell in cells if cell.sigma in (None, 0.1)}
        assert found(sigma=[None, 0.1]) == found(sigma=[0.1, None]) == chosen
        assert found(sigma=[None]) == found(sigma=None)
        assert found(attack=[]) == set()
        assert found(key=cells[3].key) == {cells[3].key}
        epsilons = [summary.cell.epsilon for summary in store.summaries()]
        assert epsilons == sorted(epsilons)
        with pytest.raises(SweepError, match="cannot be asked for 'answers; --'"):
            store.results(**{"answers; --": 1})


def test_true_classes_are_stored_once(path: Path) -> None:
    with Store(path) as store:
        store.put_all(many(3))
        with sqlite3.connect(path) as connection:
            assert connection.execute("SELECT count(*) FROM labels").fetchone() == (1,)
        other = make_result(make_cell(seed=9))
        with pytest.raises(SweepError, match="true classes"):
            store.put(replace(other, labels=other.labels + np.uint16(1)))
        assert len(store) == 3


def test_a_cell_that_would_not_be_found_again_is_refused(path: Path) -> None:
    with Store(path) as store, pytest.raises(SweepError, match="whole numbers"):
        store.put(make_result(make_cell(epsilon=4)))


def test_all_or_none(path: Path) -> None:
    bad = make_result(make_cell(seed=5, data="other"))
    with Store(path) as store:
        store.put(make_result())
        wrong = replace(make_result(make_cell(seed=6)), labels=bad.labels + np.uint16(1))
        with pytest.raises(SweepError):
            store.put_all([bad, wrong])
        assert len(store) == 1


WRITER = """
import sys
from rsc_snn.sweep.store import Store
from tests.sweep.synthetic import make_cell, make_result
print("ready", flush=True)
sys.stdin.readline()
store = Store(sys.argv[1])
for seed in range(int(sys.argv[2]), 10**9):
    store.put(make_result(make_cell(seed=seed), seed=seed))
    print(seed, flush=True)
"""


def start_writer(path: Path, first: int) -> subprocess.Popen[str]:
    """A process that waits for a line, then stores a cell for each seed from `first` on."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(first)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_make_a_store_and_kill_9_loses_nothing(path: Path) -> None:
    writers = [start_writer(path, first) for first in (0, 10**6)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    lines = [writer.stdout.readline() for writer in writers * 40 if writer.stdout]
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
    for writer in writers:
        with writer:  # It closes the pipes.
            assert writer.stdout is not None
            lines += writer.stdout.readlines()
        assert writer.returncode == -signal.SIGKILL
    seeds = {int(line) for line in lines if line.endswith("\n")}
    assert {0, 10**6} <= seeds
    with Store(path) as store:
        for seed in seeds:
            expected = make_result(make_cell(seed=seed), seed=seed)
            assert same(store.get(expected.cell.key), expected)
        assert 0 <= len(store) - len(seeds) <= 2  # Each may have stored one and not told of it.
    assert integrity(path) == "ok"


def test_many_threads_and_two_stores_write_at_once(path: Path) -> None:
    found = many(80)
    with Store(path) as first, Store(path) as second, ThreadPoolExecutor(8) as pool:

        def work(index: int) -> bool:
            store = (first, second)[index % 2]
            added = store.put(found[index // 2])  # Each result is put by both stores.
            assert store.get(found[index // 2].cell.key) is not None
            return added

        assert sum(pool.map(work, range(160))) == 80
        assert len(first) == len(second) == 80


def test_a_store_in_memory_is_shared_by_threads() -> None:
    with Store(":memory:") as store, ThreadPoolExecutor(4) as pool:
        assert all(pool.map(store.put, many(40)))
        assert len(store) == 40


def test_threads_may_make_the_store_at_once(tmp_path: Path) -> None:
    barrier = threading.Barrier(6)

    def make(path: Path) -> int:
        barrier.wait()
        with Store(path) as store:
            return len(store)

    with ThreadPoolExecutor(6) as pool:
        for round_ in range(15):
            assert set(pool.map(make, [tmp_path / f"{round_}.sqlite"] * 6)) == {0}


def test_a_reader_waits_for_no_writer(path: Path) -> None:
    with Store(path) as store:
        store.put(make_result())
        with lock(path):
            start = time.perf_counter()
            assert len(store) == 1
            assert len(store.summaries()) == 1
            assert time.perf_counter() - start < 5


def test_locked_for_long(path: Path) -> None:
    with Store(path, timeout=0.1) as store:
        with lock(path), pytest.raises(StoreWaitError, match="locked by another program"):
            store.put(make_result())
        assert store.put(make_result())


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Another program that holds the store's only right to write."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.close()


def old_store(path: Path, found: list[CellResult]) -> None:
    """A store as version 1 wrote it: answers alone, and without index."""
    with Store(path) as store:
        store.put_all(found)
    connection = sqlite3.connect(path)
    connection.execute("DROP INDEX place")
    for column in ("value", "lower", "upper"):
        connection.execute(f"ALTER TABLE cells DROP COLUMN {column}")
    connection.execute("ALTER TABLE answers DROP COLUMN standing")
    connection.execute("DROP TABLE intervals")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()


def test_a_store_of_version_1_is_brought_up_to_date(path: Path) -> None:
    found = many(5)
    old_store(path, found)
    with Store(path) as store:
        for summary in store.summaries():
            (result,) = [item for item in found if item.cell == summary.cell]
            assert summary.estimate == result.estimate()
            # As it was then: an image that no draw got right is broken.
            old = replace(result, standing=np.asarray(result.right.any(axis=0)))
            assert same(store.get(result.cell.key), old)
        assert store.put(make_result(make_cell(seed=99)))
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        assert connection.execute("SELECT name FROM sqlite_schema WHERE name = 'place'").fetchall()


@pytest.mark.parametrize("spoil", ["DROP TABLE intervals", "UPDATE intervals SET rule = 1"])
def test_intervals_by_an_older_rule_are_made_anew(path: Path, spoil: str) -> None:
    """A program with the older rule may have filled the store, and may go on to."""
    found = many(3)
    with Store(path) as store:
        store.put_all(found)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE cells SET lower = 0, upper = 1")
    wanted = {result.cell.key: result.estimate() for result in found}
    with Store(path) as store:
        assert {s.estimate.lower for s in store.summaries()} == {0}, "they are taken to be right"
    with sqlite3.connect(path) as connection:
        connection.execute(spoil)
    for _ in range(2):
        with Store(path) as store:
            assert {s.cell.key: s.estimate for s in store.summaries()} == wanted
            assert len(store.results()) == 3
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        assert connection.execute("SELECT rule FROM intervals").fetchall() == [(INTERVALS,)]


def test_a_migration_that_fails_leaves_the_old_store(path: Path) -> None:
    old_store(path, many(2))
    with sqlite3.connect(path) as connection:  # The column that comes last is there already.
        connection.execute("ALTER TABLE cells ADD COLUMN upper REAL")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(SweepError, match="duplicate column"):
            Store(path)
    assert path.read_bytes() == before


def test_a_damaged_cell_of_version_1_costs_no_others(path: Path) -> None:
    first, *others = found = many(5)
    old_store(path, found)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE answers SET answers = x'00' WHERE key = ?", (first.cell.key,))
    with Store(path) as store:
        assert {summary.cell for summary in store.summaries()} == {r.cell for r in others}
        assert store.missing([r.cell for r in found]) == [first.cell]
        assert store.put(first)
        assert len(store.summaries()) == 5


def test_a_newer_store_is_refused(path: Path) -> None:
    with Store(path) as store:
        store.put(make_result())
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    with pytest.raises(SweepError, match=f"of version {SCHEMA + 1}, made by a later version"):
        Store(path)


def test_other_files_are_refused_and_kept(tmp_path: Path) -> None:
    text = tmp_path / "notes.sqlite"
    text.write_text("no database, but long enough to look at " * 40)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE addresses (name TEXT)")
    for path, words in ((text, "is no store of sweeps"), (other, "database of another program")):
        before = path.read_bytes()
        with pytest.raises(SweepError, match=words):
            Store(path)
        assert path.read_bytes() == before


def test_places_where_there_can_be_no_store(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path, words in (
        (tmp_path, "cannot be opened for writing"),
        (file / "sweep.sqlite", "cannot be made"),
    ):
        with pytest.raises(SweepError, match=words):
            Store(path)
    with pytest.raises(SweepError, match="There is no store"):
        Store(tmp_path / "none.sqlite", create=False)
    assert not (tmp_path / "none.sqlite").exists()


def test_a_damaged_store(path: Path) -> None:
    with Store(path) as store:
        store.put_all(many(300))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(SweepError, match="damaged; move it away"), Store(path) as store:
        store.results()


DAMAGE = {
    "answers": "UPDATE answers SET answers = x'1234' WHERE key = ?",
    "no answers": "DELETE FROM answers WHERE key = ?",
    "standing": "UPDATE answers SET standing = x'' WHERE key = ?",
    "json": "UPDATE cells SET parameters = '[1' WHERE key = ?",
    "versions": "UPDATE cells SET versions = '{' WHERE key = ?",
    "another setting": "UPDATE cells SET sigma = 0.3 WHERE key = ?",
    "text": "UPDATE cells SET model = CAST(x'FF' AS TEXT) WHERE key = ?",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_cell_counts_as_missing_and_is_replaced(path: Path, damage: str) -> None:
    found = many(4)
    cells = [result.cell for result in found]
    with Store(path) as store:
        store.put_all(found)
        mark, _ = store.cells()
        with sqlite3.connect(path) as connection:
            assert connection.execute(damage, [cells[1].key]).rowcount == 1
        assert store.get(cells[1].key) is None
        assert {item.cell.key for item in store.results()} == {
            cell.key for cell in (cells[0], *cells[2:])
        }
        assert sorted(store.keys()) == sorted({cell.key for cell in cells} - {cells[1].key})
        assert len(store.cells()[1]) >= 3 and len(store.summaries()) >= 3
        assert store.missing(cells) == [cells[1]]
        absent = make_cell(seed=99)
        assert store.damaged() == store.damaged([*cells, absent]) == 1
        assert store.damaged([absent, cells[0]]) == 0
        again = replace(found[1], queries=99)
        assert not store.put(found[0]) and store.put(again) and not store.put(found[1])
        assert same(store.get(cells[1].key), again)
        assert (store.missing(cells), store.damaged(), len(store)) == ([], 0, 4)
        later, new = store.cells(mark)
        assert later > mark and new == [cells[1]]
    assert integrity(path) == "ok"


@pytest.mark.parametrize("bit", [0x01, 0x80], ids=["another letter", "no letter"])
def test_a_bit_that_the_index_does_not_share_costs_one_cell(path: Path, bit: int) -> None:
    """As a fault of the disk turns it: in the row, not in the index by which rows are found."""
    name = "network-of-one-cell"
    found = [make_result(make_cell(seed=seed, model=f"{name}{seed}")) for seed in range(3)]
    with Store(path) as store:
        store.put_all(found)
    content = bytearray(path.read_bytes())
    with sqlite3.connect(path) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'cells'"
        page = content[(connection.execute(query).fetchone()[0] - 1) * size :][:size]
    place = content.index(page) + page.index(f"{name}1".encode())
    content[place] ^= bit
    path.write_bytes(content)
    assert integrity(path) != "ok"
    with Store(path) as store:
        cells = [result.cell for result in found]
        assert store.missing(cells) == [cells[1]]
        assert (store.damaged(), len(store.results())) == (1, 2)
        assert store.put(found[1])
        assert store.missing(cells) == []
        assert all(same(store.get(result.cell.key), result) for result in found)
    assert integrity(path) == "ok"


def test_damaged_true_classes_are_replaced_with_the_next_result(path: Path) -> None:
    found = many(3)
    with Store(path) as store:
        store.put_all(found)
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE labels SET labels = x'00'")
        cells = [result.cell for result in found]
        assert store.results() == [] and store.missing(cells) == cells
        store.put(found[0])  # With true classes, whose answers are sound.
        assert store.missing(cells) == []
        assert all(same(store.get(result.cell.key), result) for result in found)


def test_a_full_disk_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own limit of pages raises what a full disk does."""
    connect = Store._connect

    def small(store: Store) -> sqlite3.Connection:
        connection = connect(store)
        connection.execute("PRAGMA max_page_count = 30")
        return connection

    monkeypatch.setattr(Store, "_connect", small)
    stored: list[CellResult] = []
    with Store(path) as store:
        with pytest.raises(StoreWaitError, match="is full"):
            for result in many(1000):
                store.put(result)
                stored.append(result)
        assert len(stored) > 3
        assert len(store) == len(stored)
    monkeypatch.setattr(Store, "_connect", connect)
    with Store(path) as store:
        assert all(same(store.get(result.cell.key), result) for result in stored)
        assert store.put(make_result(make_cell(seed=5000)))
    assert integrity(path) == "ok"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    folder.chmod(0o777)
    shutil.rmtree(folder)


def test_a_read_only_store_is_read_and_not_written(open_folder: Path) -> None:
    path = open_folder / "sweep.sqlite"
    with Store(path) as store:
        store.put(make_result())
    path.chmod(0o444)
    with as_ordinary_user(), Store(path) as store:
        assert len(store.results()) == 1
        for write in (store.check_writable, lambda: store.put(make_result(make_cell(seed=1)))):
            with pytest.raises(SweepError, match="cannot be opened for writing"):
                write()


def test_a_store_in_a_read_only_folder_is_read(open_folder: Path) -> None:
    """Reading makes files of a log beside it, which cannot be made there."""
    path = open_folder / "a store?.sqlite"
    with Store(path) as store:
        store.put(make_result())
    open_folder.chmod(0o555)
    with as_ordinary_user(), Store(path, create=False) as store:
        assert len(store.results()) == len(store.cells()[1]) == 1
        with pytest.raises(SweepError, match="cannot be opened for writing"):
            store.put(make_result(make_cell(seed=1)))
        assert len(store.results()) == 1


@pytest.mark.parametrize("folder", [False, True])
def test_a_read_only_store_keeps_intervals_by_an_older_rule(
    open_folder: Path, folder: bool
) -> None:
    """It was filled before the rule changed, and cannot be brought up to date."""
    path = open_folder / "sweep.sqlite"
    with Store(path) as store:
        store.put(make_result())
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE intervals")
        connection.execute("UPDATE cells SET lower = 0")
    connection.close()
    (open_folder if folder else path).chmod(0o555 if folder else 0o444)
    with as_ordinary_user(), Store(path, create=False) as store:
        assert len(store.results()) == 1
        assert store.summaries()[0].lower == 0 < make_result().estimate().lower


def test_what_is_added_to_a_store_in_a_read_only_folder_is_seen(open_folder: Path) -> None:
    path = open_folder / "sweep.sqlite"
    with Store(path) as owner:
        owner.put(make_result())
    open_folder.chmod(0o555)
    with as_ordinary_user():
        store = Store(path, create=False)
        assert len(store.results()) == 1
    open_folder.chmod(0o755)
    with Store(path) as owner:
        owner.put(make_result(make_cell(seed=1)))
    open_folder.chmod(0o555)
    with as_ordinary_user(), store:
        assert len(store.results()) == 2


def test_a_read_only_folder(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    with as_ordinary_user(), pytest.raises(SweepError, match="cannot be opened for writing"):
        Store(open_folder / "sweep.sqlite")
    with as_ordinary_user(), pytest.raises(SweepError, match="cannot be made"):
        Store(open_folder / "runs" / "sweep.sqlite")


def test_the_second_sweep_is_told(path: Path) -> None:
    with Store(path) as first, Store(path) as second:
        with first.sweeping() as alone, second.sweeping() as also_alone:
            assert (alone, also_alone) == (True, False)
            assert second.put(make_result())
        with second.sweeping() as alone:
            assert alone


def test_the_third_sweep_is_told_of_the_second(path: Path) -> None:
    with Store(path) as store, ExitStack() as first, ExitStack() as second:
        assert first.enter_context(store.sweeping())
        assert not second.enter_context(store.sweeping())
        first.close()
        with store.sweeping() as alone:
            assert not alone
        second.close()
        with store.sweeping() as alone:
            assert alone


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of files")
def test_a_write_that_a_quota_refuses_may_be_tried_again(path: Path) -> None:
    """A limit of the size of files raises what a used-up quota does: not "full" but an error."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    stored: list[CellResult] = []
    with Store(path) as store:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
            with pytest.raises(StoreWaitError, match="room on its disk or in a quota"):
                for result in many(1000):
                    store.put(result)
                    stored.append(result)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        assert stored and len(store) == len(stored)
        assert store.put(make_result(make_cell(seed=5000)))
    assert integrity(path) == "ok"


def test_a_closed_store_says_so(path: Path) -> None:
    store = Store(path)
    store.close()
    store.close()
    with pytest.raises(SweepError, match="is closed"):
        store.put(make_result())


def test_cells_since_a_mark_are_those_stored_since(path: Path) -> None:
    found = many(5)
    with Store(path) as store:
        assert store.cells() == (0, [])
        store.put_all(found[:3])
        mark, cells = store.cells()
        assert cells == [result.cell for result in found[:3]]
        assert [cell.key for cell in cells] == [result.cell.key for result in found[:3]]
        assert store.cells(mark) == (mark, [])
        store.put_all(found)  # The first three are there already.
        later, rest = store.cells(mark)
        assert later > mark and rest == [result.cell for result in found[3:]]


def test_a_page_reads_no_answers(path: Path) -> None:
    """Summaries stay quick, whatever the answers weigh: they are in another table."""
    with Store(path) as store:
        store.put(make_result())
        with sqlite3.connect(path) as connection:
            connection.execute("DELETE FROM answers")
        assert store.summaries()[0].estimate == make_result().estimate()
        plan = "EXPLAIN QUERY PLAN SELECT value FROM cells WHERE model = 'm' AND attack = 'fgsm'"
        assert "INDEX place" in str(store._rows(plan, []))
