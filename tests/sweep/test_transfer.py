"""Results that leave a store and come back, to the answer; and files that are none."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsc_snn.cli import build_parser
from rsc_snn.errors import SweepError
from rsc_snn.robustness.store import write_results
from rsc_snn.sweep.cells import CLEAN, PROTOCOL, CellResult
from rsc_snn.sweep.grid import cell_command
from rsc_snn.sweep.store import Store
from rsc_snn.sweep.transfer import (
    check_export,
    export_csv,
    export_parquet,
    import_parquet,
    shipped_results,
)
from tests.robust_rows import make_row
from tests.sweep.synthetic import make_cell, make_result, results, same


@pytest.fixture
def store() -> Store:
    store = Store(":memory:")
    store.put_all(make_result(make_cell(seed=seed), seed=seed) for seed in range(4))
    clean = make_cell(attack=CLEAN, epsilon=0.0, chain=(), parameters=(), sigma=None)
    store.put(make_result(clean))
    return store


@settings(max_examples=12, deadline=None)
@given(found=st.lists(results(), min_size=1, max_size=5, unique_by=lambda item: item.cell.key))
def test_parquet_there_and_back(
    found: list[CellResult], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("export") / "sweep.parquet"
    with Store(":memory:") as first, Store(":memory:") as second:
        first.put_all(found)
        assert export_parquet(first, path) == len(found)
        second.put(found[0])
        assert import_parquet(second, path) == (len(found) - 1, 1)
        assert import_parquet(second, path) == (0, len(found))
        assert all(same(second.get(result.cell.key), result) for result in found)
    by_key = {result.cell.key: result for result in shipped_results(path.parent)}
    assert len(by_key) == len(found)
    assert all(same(by_key[result.cell.key], result) for result in found)


def test_many_classes(tmp_path: Path, store: Store) -> None:
    """Classes beyond 255 take two bytes."""
    result = make_result(make_cell(data="large", seed=77))
    large = replace(result, labels=result.labels + np.uint16(999))
    store.put(large)
    export_parquet(store, tmp_path / "sweep.parquet")
    found = {item.cell.key: item for item in shipped_results(tmp_path)}
    assert same(found[large.cell.key], large)


def test_only_some_cells(tmp_path: Path, store: Store) -> None:
    cells = [make_cell(seed=seed) for seed in (1, 3, 999)]
    for export, name in ((export_parquet, "a.parquet"), (export_csv, "a.csv")):
        assert export(store, tmp_path / name, cells) == 2
    with pytest.raises(SweepError, match="no results to export"):
        export_parquet(store, tmp_path / "none.parquet", cells[2:])
    assert not list(tmp_path.glob("none*"))


def test_csv_has_the_accuracy_and_a_command_for_each_cell(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "folder" / "sweep.csv"
    assert export_csv(store, path) == 5
    with path.open(newline="", encoding="utf-8") as file:
        lines = {line["key"]: line for line in csv.DictReader(file)}
    for result in store.results():
        line, cell = lines[result.cell.key], result.cell
        estimate = result.estimate()
        found = tuple(float(line[name]) for name in ("value", "lower", "upper", "confidence"))
        assert found == (estimate.value, estimate.lower, estimate.upper, estimate.confidence)
        assert json.loads(line["parameters"]) == dict(cell.parameters)
        assert line["attack_label"] == ("clean" if cell.attack == CLEAN else "FGSM")
        assert line["sigma"] == ("" if cell.sigma is None else "0.2")
        assert line["effective_sigma"] == ("" if cell.sigma is None else "0.1")
        words = shlex.split(line["command"])
        assert words[:3] == ["python", "-m", "rsc_snn"]
        options = build_parser().parse_args(words[3:])
        assert (options.model, options.limit, options.draws) == (cell.model, 6, 3)
        assert options.attack == (None if cell.attack == CLEAN else "fgsm")


def test_csv_of_a_parameter_that_a_later_version_added(tmp_path: Path) -> None:
    parameters = (("eot_draws", 1), ("later", 0.5))
    with Store(":memory:") as store:
        store.put(make_result(make_cell(parameters=parameters)))
        assert export_csv(store, tmp_path / "sweep.csv") == 1
    with (tmp_path / "sweep.csv").open(newline="", encoding="utf-8") as file:
        (line,) = csv.DictReader(file)
    assert line["attack_label"] == "FGSM (later 0.5)"
    assert line["command"].endswith("--eot-draws 1 --later 0.5")


def test_no_shipped_file(tmp_path: Path) -> None:
    assert shipped_results(tmp_path) == ()


def test_the_table_of_counts_is_refused(tmp_path: Path, store: Store) -> None:
    write_results([make_row("tiny-rsc", "fgsm", 4.0, [1, 0, 1])], tmp_path)
    with pytest.raises(SweepError, match="counts of right answers"):
        import_parquet(store, tmp_path / "robustness.parquet")
    assert len(store) == 5


def test_files_that_are_no_results(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "sweep.parquet"
    with pytest.raises(SweepError, match="There is no file"):
        import_parquet(store, path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(SweepError, match="holds no results of a sweep"):
        shipped_results(tmp_path)
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(SweepError, match="damaged"):
        shipped_results(tmp_path)
    newer = pa.table({"a": [1]}).replace_schema_metadata({"rsc_snn_sweep": "7"})
    pq.write_table(newer, path)
    with pytest.raises(SweepError, match="of version 7"):
        import_parquet(store, path)


@pytest.mark.parametrize(
    ("column", "value"),
    [("answers", b"\1\2"), ("parameters", "[1"), ("labels", b""), ("draws", 2), ("chain", "{}x")],
)
def test_damaged_rows_are_refused_whole(
    tmp_path: Path, store: Store, column: str, value: object
) -> None:
    path = tmp_path / "sweep.parquet"
    export_parquet(store, path)
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[2][column] = value
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    with Store(":memory:") as other:
        with pytest.raises(SweepError, match="damaged"):
            import_parquet(other, path)
        assert len(other) == 0


def test_an_import_lets_other_programs_write_in_between(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sweep.parquet"
    export_parquet(store, path)
    monkeypatch.setattr("rsc_snn.sweep.transfer._AT_ONCE", 2)
    with Store(tmp_path / "one.sqlite") as one, Store(tmp_path / "one.sqlite", timeout=0) as other:
        put_all = Store.put_all

        def then_another(chosen: Store, results: Iterable[CellResult]) -> int:
            added = put_all(chosen, results)
            seed = 100 + len(one)
            put_all(other, [make_result(make_cell(seed=seed))])  # It would not wait for a lock.
            return added

        monkeypatch.setattr(Store, "put_all", then_another)
        assert import_parquet(one, path) == (5, 0)
        assert len(one) == 5 + 3


def test_damaged_cells_are_left_out_and_cost_an_export_nothing(
    tmp_path: Path, store: Store
) -> None:
    path = tmp_path / "sweep.parquet"
    sound = export_parquet(store, path)
    with store._writing() as connection:
        connection.execute("UPDATE answers SET answers = x'12' WHERE rowid = 2")
    with pytest.raises(SweepError, match="holds 1 result that this export lacks"):
        export_parquet(store, path)
    assert export_parquet(store, tmp_path / "other.parquet") == sound - 1
    assert export_csv(store, tmp_path / "other.csv") == sound - 1
    assert import_parquet(store, path) == (1, sound - 1)
    assert export_parquet(store, path) == sound


def test_results_of_another_protocol_are_not_lost_either(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "sweep.parquet"
    with Store(":memory:") as older:
        older.put(make_result(make_cell(protocol=PROTOCOL - 1)))
        export_parquet(older, path)
    with pytest.raises(SweepError, match="holds 1 result that this export lacks"):
        export_parquet(store, path)
    import_parquet(store, path)
    assert export_parquet(store, path) == len(store)


def test_csv_of_an_attack_that_a_later_version_added(tmp_path: Path) -> None:
    with Store(":memory:") as store:
        store.put(make_result(make_cell(attack="zeta")))
        assert export_csv(store, tmp_path / "sweep.csv") == 1
    with (tmp_path / "sweep.csv").open(newline="", encoding="utf-8") as file:
        assert [line["attack_label"] for line in csv.DictReader(file)] == ["zeta"]


def test_the_command_of_a_cell_has_all_digits() -> None:
    words = cell_command(make_cell(epsilon=12.345678, sigma=0.123457))
    assert "--epsilon 12.345678 " in words and "--sigma 0.123457 " in words


def test_an_export_that_fails_leaves_nothing(tmp_path: Path, store: Store) -> None:
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(SweepError, match="Cannot write"):
        export_csv(store, tmp_path / "x.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_a_file_that_is_no_export_is_not_overwritten(tmp_path: Path, store: Store) -> None:
    write_results([make_row("tiny-rsc", "fgsm", 4.0, [1, 0, 1])], tmp_path)
    newer = pa.table({"a": [1]}).replace_schema_metadata({"rsc_snn_sweep": "7"})
    pq.write_table(newer, tmp_path / "newer.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "foreign.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 not really")
    (tmp_path / "empty.parquet").touch()
    before = {path: path.read_bytes() for path in tmp_path.glob("*.parquet")}
    assert len(before) == 5
    for path in before:
        with pytest.raises(SweepError, match=f"{path.name} is not overwritten.*another file"):
            export_parquet(store, path)
        with pytest.raises(SweepError, match=f"{path.name} is not overwritten.*another file"):
            check_export(path, [make_cell()])
    assert {path: path.read_bytes() for path in tmp_path.glob("*.parquet")} == before


def test_a_place_that_cannot_be_written(tmp_path: Path, store: Store) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SweepError, match="Cannot write"):
        export_parquet(store, tmp_path / "file" / "sweep.parquet")


def test_what_ships_is_small(tmp_path: Path) -> None:
    with Store(":memory:") as store:
        store.put_all(
            make_result(make_cell(images=300, draws=10, seed=seed), seed=seed, rate=0.9)
            for seed in range(60)
        )
        export_parquet(store, tmp_path / "sweep.parquet")
    assert (tmp_path / "sweep.parquet").stat().st_size < 60 * 2200
    assert len(shipped_results(tmp_path)) == 60
