"""`python -m rsc_snn sweep`, run in this process on a small zoo and a folder of images."""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from rsc_snn.cli import main
from rsc_snn.commands import sweep as command
from rsc_snn.errors import SweepError
from rsc_snn.sweep import run as engine
from rsc_snn.sweep.cells import Cell, CellResult
from rsc_snn.sweep.cost import Cost
from rsc_snn.sweep.runners import Here
from rsc_snn.sweep.store import Store
from rsc_snn.sweep.transfer import export_parquet, import_parquet, shipped_results
from tests.conftest import CIFAR10
from tests.sweep.synthetic import make_cell, make_data, make_result, same

GRID = """
models = ["tiny-ann", "tiny-rsc"]
attacks = ["fgsm", {name = "pgd", steps = 2}]
epsilons = [4, 8]
sigmas = [0.1]
time_steps = [2]
images = 8
draws = 2
"""
ROOT = Path(__file__).parents[2]
CELLS = 10  # Of each model one clean one, and two attacks at two epsilons.


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def surroundings(
    tiny_zoo: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSC_SNN_ASSETS", str(tiny_zoo.parent))
    monkeypatch.setenv("RSC_SNN_DATA", str(data))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rsc_snn.sweep.cost._MEASURED_SECONDS", 0.01)
    (tmp_path / "grid.toml").write_text(GRID)


def sweep(*arguments: str) -> int:
    """The command with one worker, which is this process."""
    return main(["sweep", *arguments, "--device", "cpu", "--workers", "1"])


def stored(path: str = "runs/sweep.sqlite") -> list[CellResult]:
    with Store(Path(path), create=False) as store:
        return store.results()


def test_a_sweep_and_then_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("grid.toml") == 0
    out, err = capsys.readouterr()
    assert "10 cells, 0 done already, at most about" in out
    assert "on 1 worker." in out
    assert "10 of 10 cells are in runs/sweep.sqlite." in out
    assert f"{CELLS} of {CELLS} cells" in err
    first = stored()
    assert len(first) == CELLS
    assert sweep("grid.toml") == 0
    assert "All 10 cells are in runs/sweep.sqlite." in capsys.readouterr().out
    assert all(map(same, first, stored()))


def test_only_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("small.toml").write_text(GRID.replace("[4, 8]", "[4]"))
    assert sweep("small.toml") == 0
    assert sweep("grid.toml", "--store", "whole.sqlite") == 0
    capsys.readouterr()
    assert sweep("grid.toml", "--dry-run") == 0
    assert "10 cells, 6 done already" in capsys.readouterr().out
    assert len(stored()) == 6
    assert sweep("grid.toml") == 0
    for once, twice in zip(stored("whole.sqlite"), stored(), strict=True):
        assert once.cell == twice.cell
        assert (once.answers == twice.answers).all()


def test_what_could_be_measured_is_exported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Here, cell: Cell, before: CellResult | None) -> Future[CellResult]:
        if cell.attack == "fgsm" and cell.epsilon == 8.0:
            future: Future[CellResult] = Future()
            future.set_exception(SweepError("This cell cannot be."))
            return future
        return submit(self, cell, before)

    submit = Here.submit
    monkeypatch.setattr(Here, "submit", fails)
    assert sweep("grid.toml", "--export", "rest.csv") == 2
    out, err = capsys.readouterr()
    assert "This cell cannot be." in err and "cells written to rest.csv" in out
    with Path("rest.csv").open() as file:
        assert 0 < len(list(csv.DictReader(file))) < CELLS


def test_a_damaged_cell_is_told_and_measured_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("grid.toml") == 0
    first = stored()
    with sqlite3.connect("runs/sweep.sqlite") as connection:
        connection.execute("UPDATE answers SET answers = x'12' WHERE rowid IN (1, 4)")
    assert main(["sweep", "--export", "rest.csv"]) == 0
    out, err = capsys.readouterr()
    assert "8 cells written to rest.csv." in out
    assert "2 results in runs/sweep.sqlite cannot be read any more; left out" in err
    assert sweep("grid.toml", "--export", "all.csv") == 0
    out, err = capsys.readouterr()
    assert "2 results in runs/sweep.sqlite cannot be read any more; measured again." in err
    assert "10 cells, 8 done already" in out and "left out" not in err
    assert all((one.answers == two.answers).all() for one, two in zip(first, stored(), strict=True))


def test_an_own_model_whose_card_was_edited_is_measured_anew(
    tiny_zoo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Path("own")
    own.mkdir()
    shutil.copy(tiny_zoo / "tiny-rsc.safetensors", own / "mine.safetensors")
    card = json.loads((tiny_zoo / "tiny-rsc.json").read_text()) | {"name": "mine"}

    def answers(threshold: float) -> list[Any]:
        card["config"]["lif"]["threshold"] = threshold
        (own / "mine.json").write_text(json.dumps(card))
        before = {result.cell.key for result in stored()} if Path("runs").exists() else set()
        assert sweep("own.toml", "--zoo", "own") == 0
        return [item.answers for item in stored() if item.cell.key not in before]

    Path("own.toml").write_text(GRID.replace('"tiny-ann", "tiny-rsc"', '"mine"'))
    first, second = answers(1.0), answers(2.0)
    assert len(first) == len(second) == CELLS // 2
    assert any((one != other).any() for one, other in zip(first, second, strict=True))
    assert answers(2.0) == []


def test_a_dry_run_makes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("grid.toml", "--dry-run") == 0
    assert "10 cells, 0 done already" in capsys.readouterr().out
    assert not Path("runs").exists()


def test_export_and_import(capsys: pytest.CaptureFixture[str]) -> None:
    with Store(Path("runs/sweep.sqlite")) as store:
        store.put(make_result(make_cell(model="another")))
    assert sweep("grid.toml", "--export", "out/sweep.parquet") == 0
    assert "10 cells written to out/sweep.parquet." in capsys.readouterr().out
    assert len(shipped_results(Path("out"))) == CELLS  # Of the sweep alone.
    Path("small.toml").write_text(GRID.replace("[4, 8]", "[4]"))
    capsys.readouterr()
    assert sweep("small.toml", "--export", "out/sweep.parquet") == 2
    assert "holds 4 results that this export lacks" in capsys.readouterr().err
    assert len(shipped_results(Path("out"))) == CELLS
    assert main(["sweep", "--export", "all.csv"]) == 0
    with Path("all.csv").open() as file:
        assert len(list(csv.DictReader(file))) == CELLS + 1
    assert main(["sweep", "--import", "out/sweep.parquet", "--store", "new.sqlite"]) == 0
    assert "10 cells imported into new.sqlite, 0 were there." in capsys.readouterr().out
    assert sweep("grid.toml", "--store", "new.sqlite") == 0
    assert "All 10 cells" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--yes", "--dry-run"])
def test_an_export_that_would_lose_results_is_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], option: str
) -> None:
    with Store(":memory:") as store:
        store.put(make_result(make_cell(model="another")))
        export_parquet(store, Path("shipped.parquet"))
    before = Path("shipped.parquet").read_bytes()
    assert sweep("grid.toml", option, "--export", "shipped.parquet") == 2
    out, err = capsys.readouterr()
    assert "shipped.parquet holds 1 result that this export lacks" in err
    assert out == "" and not Path("runs").exists()
    assert Path("shipped.parquet").read_bytes() == before
    assert sweep("--import", "shipped.parquet") == sweep("grid.toml") == 0
    assert sweep("--export", "shipped.parquet") == 0
    assert len(exported(Path("shipped.parquet"))) == CELLS + 1


def exported(path: Path) -> list[CellResult]:
    with Store(":memory:") as store:
        import_parquet(store, path)
        return store.results()


def test_the_command_of_an_own_model_is_one_that_runs(
    tiny_zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "my models"
    own.mkdir()
    for suffix in (".json", ".safetensors"):
        shutil.copy(tiny_zoo / f"tiny-rsc{suffix}", own / f"my{suffix}")
    card = json.loads((own / "my.json").read_text())
    (own / "my.json").write_text(json.dumps(card | {"name": "my"}))
    Path("own.toml").write_text(GRID.replace('"tiny-rsc"', '"my"').replace("[4, 8]", "[4]"))
    assert sweep("own.toml", "--zoo", "my models", "--export", "own.csv") == 0
    with Path("own.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["model"]: "--zoo" in line["command"] for line in lines} == {
        "tiny-ann": False,
        "my": True,
    }
    (line,) = [line for line in lines if line["model"] == "my" and line["attack"] == "none"]
    capsys.readouterr()
    assert main([*shlex.split(line["command"])[3:], "--device", "cpu"]) == 0
    clean = json.loads(capsys.readouterr().out)["clean"]
    assert clean["lower"] <= float(line["value"]) <= clean["upper"]


def test_a_large_sweep_asks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_cost", lambda *_: Cost(CELLS, 1, 3.1 * 3600))
    assert sweep("grid.toml") == 2
    out, err = capsys.readouterr()
    assert "at most about 3.1 h on 1 worker" in out
    assert "say --yes to start it" in err
    assert stored() == []
    Path("tiny.toml").write_text(GRID.replace("[4, 8]", "[0]"))
    assert sweep("tiny.toml", "--yes") == 0
    assert len(stored()) == 2


def test_more_workers_than_a_machine_can_hold_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    most = 4 * (os.cpu_count() or 1)
    words = ["sweep", "grid.toml", "--device", "cpu", "--workers", str(most + 1)]
    assert main(words) == 2
    assert f"too many for this machine; at most {most}." in capsys.readouterr().err
    assert not stored()


def test_a_sweep_of_many_worker_hours_asks_however_soon_it_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_cost", lambda *_: Cost(CELLS, 1, 1999 * 3600.0))
    words = ["sweep", "grid.toml", "--device", "cpu", "--workers", "1000"]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert "at most about 2.0 h on 1,000 workers, 1,999 worker-hours in all." in out
    assert "say --yes to start it" in err
    assert not stored()
    monkeypatch.setattr(command, "_cost", lambda *_: Cost(CELLS, 1, 1.5 * 3600.0))
    assert sweep("grid.toml", "--dry-run") == 0
    assert "at most about 1.5 h on 1 worker." in capsys.readouterr().out


def on_first_result(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let `act` happen once the first cell is stored."""
    finish = command._Progress.finish

    def then_act(progress: Any, cell: Cell) -> None:
        finish(progress, cell)
        act()

    monkeypatch.setattr(command._Progress, "finish", then_act)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    both = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(one) for one in both]
    with monkeypatch.context() as patch:
        on_first_result(patch, lambda: os.kill(os.getpid(), sent))
        assert sweep("grid.toml") == 130
    assert [signal.getsignal(one) for one in both] == before
    done = len(stored())
    assert 1 <= done < CELLS
    assert f"Stopped: {done} of 10 cells are in runs/sweep.sqlite" in capsys.readouterr().err
    assert sweep("grid.toml") == 0
    assert len(stored()) == CELLS


@pytest.mark.parametrize(
    ("times", "sent"), [(1, signal.SIGINT), (2, signal.SIGINT), (1, signal.SIGTERM)]
)
def test_a_signal_while_workers_start_is_clean(times: int, sent: signal.Signals) -> None:
    words = "sweep grid.toml --device cpu --workers 2".split()
    process = subprocess.Popen(
        [sys.executable, "-m", "rsc_snn", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,  # A process group of its own, which a terminal would interrupt.
    )
    try:
        assert process.stdout is not None
        assert "at most about" in process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while sum("spawn_main" in command_of(pid) for pid in children.read_text().split()) < 2:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.5)  # Python is up in the workers, and torch is not.
        for _ in range(times):
            os.killpg(process.pid, sent)
            time.sleep(0.3)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, err
    assert "Traceback" not in err and "KeyboardInterrupt" not in err
    assert "once more to leave at once" in err
    if times == 1:
        assert "cells are in runs/sweep.sqlite; the same command goes on from there." in err


def command_of(pid: str) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_cells_that_fail_are_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = engine.Here.submit

    def refuse(here: Any, cell: Any, before: Any) -> Any:
        future = measure(here, cell, before)
        if cell.attack == "pgd":
            future = type(future)()
            future.set_exception(SweepError("This one is broken."))
        return future

    monkeypatch.setattr(engine.Here, "submit", refuse)
    assert sweep("grid.toml") == 2
    out, err = capsys.readouterr()
    assert "6 of 10 cells are in" in out
    for model in ("tiny-ann", "tiny-rsc, sigma 0.1"):
        assert f"{model}, T {1 + ('rsc' in model)}, PGD (steps 2) at epsilon 4: This one" in err
    assert "2 cells could not be begun, building on these." in err
    assert "4 cells could not be measured." in err


def test_a_second_sweep_is_told_and_takes_cells_in_an_order_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rsc_snn.sweep.plan._shuffled", lambda keys: list(keys)[::-1])
    assert sweep("grid.toml", "--store", "alone.sqlite") == 0
    assert "Another sweep" not in capsys.readouterr().err
    with Store(Path("runs/sweep.sqlite")) as store, store.sweeping():
        assert sweep("grid.toml") == 0
    assert "Another sweep fills this store" in capsys.readouterr().err
    assert len(stored()) == CELLS
    assert [models_in_order(path)[0] for path in ("alone.sqlite", "runs/sweep.sqlite")] == [
        "tiny-ann",
        "tiny-rsc",
    ]


def models_in_order(path: str) -> list[str]:
    """The models of the cells of a store in the order of storing."""
    with Store(Path(path), create=False) as store:
        return [cell.model for cell in store.cells()[1]]


def test_models_of_a_pattern_may_lack_their_data(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Path("all.toml").write_text(GRID.replace('"tiny-ann", "tiny-rsc"', '"tiny-*"'))
    for file in ("all.toml", "grid.toml"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert sweep(file, "--data", "empty") == 2
        err = capsys.readouterr().err
        assert ("skip tiny-poisson: " in err) == (file == "all.toml")
        assert "No CIFAR-10 data" in err


def test_a_model_that_only_a_pattern_names_may_be_damaged(
    tiny_zoo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("own").mkdir()
    card = json.loads((tiny_zoo / "tiny-rsc.json").read_text())
    for name in ("my-good", "my-bad", "my-odd"):
        Path(f"own/{name}.json").write_text(json.dumps(card | {"name": name}))
        shutil.copy(tiny_zoo / "tiny-rsc.safetensors", f"own/{name}.safetensors")
    Path("own/my-bad.safetensors").write_bytes(b"short")
    Path("own/my-odd.json").write_text("{")
    for models, code in (('"my-*"', 0), ('"my-*", "my-bad"', 2)):
        Path("own.toml").write_text(GRID.replace('"tiny-ann", "tiny-rsc"', models))
        assert sweep("own.toml", "--dry-run", "--zoo", "own") == code
        out, err = capsys.readouterr()
        assert ("5 cells, 0 done" in out) == (code == 0)
        assert ("skip my-bad: " in err) == ("skip my-odd: " in err) == (code == 0)
        assert "my-bad" in err and "Traceback" not in err


def test_a_model_with_its_classes_in_another_order(tiny_zoo: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    classes = CIFAR10[::-1]
    weights = load_file(tiny_zoo / "tiny-ann.safetensors")
    for name in ("backbone.readout.linear.weight", "backbone.readout.linear.bias"):
        weights[name] = weights[name].flip(0).contiguous()
    save_file(weights, own / "mine.safetensors")
    config = json.loads((tiny_zoo / "tiny-ann.json").read_text())["config"]
    card = {"dataset": "cifar10", "classes": list(classes), "config": config}
    (own / "mine.json").write_text(json.dumps(card))
    Path("own.toml").write_text(GRID.replace('"tiny-rsc"', '"mine"'))
    assert sweep("own.toml", "--zoo", "own") == 0
    right: dict[str, list[float]] = {"tiny-ann": [], "mine": []}
    names: dict[str, list[str]] = {}
    for result in stored():
        model = result.cell.model
        right[model].append(result.estimate().value)
        order = CIFAR10 if model == "tiny-ann" else classes
        names[model] = [order[label] for label in result.labels]
    assert names["mine"] == names["tiny-ann"]
    assert len(right["mine"]) == 5 and right["mine"] == right["tiny-ann"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["grid.toml", "--store", ":memory:"], "--store needs the name of a file"),
        ([], "Say what to do: a sweep FILE, --import or --export."),
        (["none.toml"], "cannot be read"),
        (["--export", "x.txt"], "--export needs a name that ends in .parquet or .csv."),
        (["--export", "x.csv"], "There is no store of sweeps at runs/sweep.sqlite."),
        (["--import", "none.parquet"], "There is no file none.parquet."),
        (["--dry-run", "--export", "x.csv"], "--dry-run needs a sweep FILE"),
        (["grid.toml", "--workers", "-1"], "at least one worker, not -1"),
        (["grid.toml", "--workers", "-1", "--dry-run"], "at least one worker, not -1"),
        (["grid.toml", "--workers", "0", "--dry-run"], "at least one worker, not 0"),
        (["grid.toml", "--store", "grid.toml"], "is no store of sweeps"),
        (["grid.toml", "--zoo", "nowhere"], "There is no folder of own models"),
        (["grid.toml", "--device", "abacus"], "is not available"),
    ],
)
def test_mistakes(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", *arguments]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_an_export_that_cannot_be_written_is_known_before_the_sweep(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    target = tmp_path / "file" / name
    assert sweep("grid.toml", "--yes", "--export", str(target)) == 2
    error = capsys.readouterr().err
    assert f"Cannot write {target}" in error and not Path("runs").exists()


def test_workers_and_cluster_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["sweep", "grid.toml", "--workers", "2", "--cluster", "tcp://host:8786"])
    assert end.value.code == 2
    assert "not allowed with" in capsys.readouterr().err
