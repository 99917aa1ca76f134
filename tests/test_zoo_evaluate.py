"""`zoo evaluate`: cells that survive a kill, images passed through, the table, wrong options."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rsc_snn.cli import main
from rsc_snn.data import ImageSet, load_dataset
from rsc_snn.data.catalogue import dataset_spec
from rsc_snn.errors import DataError
from rsc_snn.evaluate import evaluate_accuracy
from rsc_snn.robustness import cells as cells_module
from rsc_snn.robustness.cells import (
    Cell,
    Subject,
    digest,
    evaluate_cells,
    fingerprint,
    read_cell,
    subset_rows,
)
from rsc_snn.robustness.store import Row, read_results
from rsc_snn.robustness.suite import SUITE, Settings
from rsc_snn.zoo import Zoo, named_zoo
from tests.conftest import TINY_CONFIGS, lively_model

ROOT = Path(__file__).parents[1]
SMALL = Settings(images=12, epsilons=(2.0, 8.0), attacks=("fgsm", "pgd7"), draws=4, batch_size=7)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three smooth test pictures of each class of CIFAR-10."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(3)
    for name in dataset_spec("cifar10").folders:
        place = folder / "cifar10" / "test" / name
        place.mkdir(parents=True)
        for index in range(3):
            coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
            coarse.resize((32, 32), Image.Resampling.BICUBIC).save(place / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def data(root: Path) -> ImageSet:
    return load_dataset("cifar10", "test", root, 32)


def subject(
    zoo: Path, data: ImageSet, settings: Settings = SMALL, name: str = "tiny-rsc"
) -> Subject:
    """A tiny model; its own answers are the true classes, so that there is something to break."""
    shelf = Zoo(zoo)
    model = shelf.load(name)
    images = data.images.float() / 255
    labels = model(images, generator=torch.Generator().manual_seed(1)).argmax(dim=1)
    return Subject(shelf.card(name), model, replace(data, labels=labels), settings)


def measure(item: Subject, folder: Path) -> dict[tuple[str, float], tuple[Cell, bool]]:
    found = evaluate_cells(item, folder)
    return {(cell.key["attack"], cell.key["epsilon"]): (cell, fresh) for cell, fresh in found}


def command(places: Path, root: Path, zoo: Path, *more: str) -> list[str]:
    options = {
        "--folder": zoo,
        "--data": root,
        "--results": places / "results",
        "--cells": places / "cells",
    }
    words = [str(item) for pair in options.items() for item in pair]
    return ["zoo", "evaluate", *more, *words, "--device", "cpu", "--threads", "1"]


QUICK = ("--images", "6", "--epsilons", "8", "--attacks", "fgsm", "uniform-noise", "--draws", "3")


def rows_by_place(folder: Path) -> dict[Any, Row]:
    return {row.place: row for row in read_results(folder)}


# --- Cells -------------------------------------------------------------------------------------


def test_all_cells_are_measured_once_and_kept(
    tiny_zoo: Path, data: ImageSet, tmp_path: Path
) -> None:
    item = subject(tiny_zoo, data)
    first = measure(item, tmp_path)
    assert list(first) == [
        ("none", 0.0),
        ("fgsm", 2.0),
        ("fgsm", 8.0),
        ("pgd7", 2.0),
        ("pgd7", 8.0),
    ]
    assert all(fresh for _, fresh in first.values())
    assert [len(cell.counts) for cell, _ in first.values()] == [30, 30, 30, 12, 12]
    again = measure(item, tmp_path)
    assert not any(fresh for _, fresh in again.values())
    elsewhere = measure(item, tmp_path / "elsewhere")
    for place, (cell, _) in first.items():
        assert torch.equal(cell.counts, again[place][0].counts)
        assert torch.equal(cell.counts, elsewhere[place][0].counts)  # the seed decides all noise


@pytest.mark.parametrize(
    ("name", "small", "large"), [("tiny-ann", 16.0, 32.0), ("tiny-rsc", 60.0, 64.0)]
)
def test_only_images_that_are_not_broken_are_attacked(
    tiny_zoo: Path,
    data: ImageSet,
    tmp_path: Path,
    name: str,
    small: float,
    large: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is passed through was wrong in all fresh draws of a smaller epsilon or of no attack."""
    item = subject(tiny_zoo, data, replace(SMALL, images=30, epsilons=(small, large)), name)
    labels = item.data.labels.clone()
    labels[:5] = (labels[:5] + 1) % 10  # wrong without any attack
    item = replace(item, data=replace(item.data, labels=labels))
    attacked: dict[tuple[str, float], list[torch.Tensor]] = {}
    run_attack = cells_module.run_attack

    def recorded(model: Any, x: torch.Tensor, labels: Any, kind: str, values: Any, **rest: Any):  # type: ignore[no-untyped-def]
        attacked.setdefault((kind, values["epsilon"]), []).append(x)
        return run_attack(model, x, labels, kind, values, **rest)

    monkeypatch.setattr(cells_module, "run_attack", recorded)
    found = measure(item, tmp_path)
    before = found["none", 0.0][0].counts
    broken = 0
    for kind, attack in (("fgsm", "fgsm"), ("pgd", "pgd7")):
        rows = item.rows(attack)
        alive = before[rows] > 0
        for epsilon in (small, large):
            cell = found[attack, epsilon][0]
            expected = data.images[rows[alive]].float() / 255
            assert torch.equal(torch.cat(attacked[kind, epsilon]), expected)
            assert cell.attacked == int(alive.sum()) and not cell.counts[~alive].any()
            alive = cell.counts > 0
            broken += int((~alive).sum()) - 5
    assert before[:5].max() == 0
    assert broken > 0  # else nothing was tested


def test_an_image_passed_through_is_really_broken(
    tiny_zoo: Path, data: ImageSet, tmp_path: Path
) -> None:
    """Without noise: the kept image is wrong, and it lies in the larger ball."""
    settings = Settings(images=30, epsilons=(16, 32), attacks=("pgd7",), batch_size=11)
    item = subject(tiny_zoo, data, settings, "tiny-ann")
    kept: dict[float, list[Any]] = {}
    run_attack = cells_module.run_attack

    def recorded(*args: Any, **options: Any) -> Any:
        found = run_attack(*args, **options)
        kept.setdefault(float(found.parameters["epsilon"]), []).append(found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells_module, "run_attack", recorded)
        cells = measure(item, tmp_path)
    rows = item.rows("pgd7")
    labels = item.data.labels[rows]
    original = data.images[rows].float() / 255
    adversarial = torch.cat([found.adversarial for found in kept[16.0]])
    assert len(adversarial) == len(rows)  # its own answers are the classes: all were attacked
    wrong = item.model(adversarial).argmax(dim=1) != labels
    assert wrong.any() and not wrong.all()
    assert (adversarial - original).abs().max() <= 16.001 / 255
    small, large = cells["pgd7", 16.0][0], cells["pgd7", 32.0][0]
    assert torch.equal(small.counts == 0, wrong)
    assert large.attacked == int((~wrong).sum())
    assert not large.counts[wrong].any()
    assert (large.counts <= small.counts).all()


def test_scores_are_those_of_a_brute_force_count(
    tiny_zoo: Path, data: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts over D draws estimate what single passes with other noise give."""
    settings = Settings(images=12, epsilons=(64,), attacks=("pgd7",), draws=100)
    item = subject(tiny_zoo, data, settings)
    kept = []
    run_attack = cells_module.run_attack

    def recorded(*args: Any, **options: Any) -> Any:
        kept.append(run_attack(*args, **options))
        return kept[-1]

    monkeypatch.setattr(cells_module, "run_attack", recorded)
    shares = measure(item, tmp_path)["pgd7", 64.0][0].counts.float() / 100
    generator = torch.Generator().manual_seed(99)
    right = torch.zeros(12)
    for _ in range(100):
        right += item.model(kept[0].adversarial, generator=generator).argmax(1) == kept[0].labels
    difference = shares - right / 100
    assert difference.abs().max() < 0.25 and difference.mean().abs() < 0.06
    assert 0.1 < shares.mean() < 0.9 and shares.unique().numel() > 3


def test_a_model_without_noise_is_scored_once(
    tiny_zoo: Path, data: ImageSet, tmp_path: Path
) -> None:
    item = subject(tiny_zoo, data, name="tiny-direct")
    clean = measure(item, tmp_path)["none", 0.0][0]
    assert item.draws == clean.draws == 1
    assert clean.counts.tolist() == [1] * 30


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"draws": 5},
        {"batch_size": 8},
        {"images": 11},
    ],
)
def test_another_setting_is_measured_anew_and_the_old_one_kept(
    tiny_zoo: Path, data: ImageSet, tmp_path: Path, change: dict[str, Any]
) -> None:
    item = subject(tiny_zoo, data)
    measure(item, tmp_path)
    other = measure(replace(item, settings=replace(SMALL, **change)), tmp_path)
    assert other["pgd7", 2.0][1] and other["pgd7", 8.0][1]
    assert not any(fresh for _, fresh in measure(item, tmp_path).values())


def test_other_weights_or_images_are_measured_anew(
    tiny_zoo: Path, data: ImageSet, tmp_path: Path
) -> None:
    item = subject(tiny_zoo, data)
    measure(item, tmp_path)
    weights = replace(item, card=replace(item.card, sha256="0" * 64))
    assert all(fresh for _, fresh in measure(weights, tmp_path).values())
    images = data.images.clone()
    images[29, 0, 0, 0] ^= 1
    changed = replace(item, data=replace(item.data, images=images))
    assert all(fresh for _, fresh in measure(changed, tmp_path).values())
    assert fingerprint(changed.data) != fingerprint(item.data)


def test_a_cell_builds_on_the_smaller_epsilons(
    tiny_zoo: Path, data: ImageSet, tmp_path: Path
) -> None:
    """8/255 alone is another measurement than 8/255 after 2/255."""
    item = subject(tiny_zoo, data)
    measure(item, tmp_path)
    alone = measure(replace(item, settings=replace(SMALL, epsilons=(8.0,))), tmp_path)
    assert not alone["none", 0.0][1]
    assert alone["pgd7", 8.0][1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"counts": "', '"counts": "00'),
        lambda text: text.replace('"counts": "0', '"counts": "f'),
        lambda text: text.replace('"seed": 0', '"seed": 1'),
    ],
    ids=range(6),
)
def test_a_damaged_cell_is_measured_again(
    tiny_zoo: Path, data: ImageSet, tmp_path: Path, damage: Any
) -> None:
    item = subject(tiny_zoo, data)
    cell, _ = measure(item, tmp_path)["pgd7", 8.0]
    (path,) = (tmp_path / "tiny-rsc").glob("pgd7-8-*.json")
    assert read_cell(path, cell.key) is not None
    path.write_text(damage(path.read_text()))
    assert read_cell(path, cell.key) is None
    again = measure(item, tmp_path)
    assert [place for place, (_, fresh) in again.items() if fresh] == [("pgd7", 8.0)]
    assert torch.equal(again["pgd7", 8.0][0].counts, cell.counts)


def test_the_subset_is_that_of_evaluate(tiny_zoo: Path, data: ImageSet) -> None:
    model = Zoo(tiny_zoo).load("tiny-ann")
    options: dict[str, Any] = {"seed": 5}
    rows = subset_rows(30, 11, 5)
    labels = torch.arange(30) % 10
    whole = evaluate_accuracy(model, data.images, labels, **options).clean_scores
    limited = evaluate_accuracy(model, data.images, labels, limit=11, **options).clean_scores
    assert torch.equal(whole[rows], limited)
    assert len(set(rows.tolist())) == 11
    assert subset_rows(30, 500, 5).tolist() == list(range(30))


def test_the_suite_has_the_strengths_it_says() -> None:
    assert SUITE["pgd7"].parameters(8.0)["step_size"] == pytest.approx(2.55)
    assert SUITE["pgd20"].parameters(8.0)["step_size"] == 2.0
    for name, attack in SUITE.items():
        half, full = attack.parameters(4.0), attack.parameters(8.0)
        assert half["epsilon"] == 4.0 and full["epsilon"] == 8.0, name
        if "step_size" in full:
            assert float(full["step_size"]) == pytest.approx(2 * float(half["step_size"]))
    assert SUITE["eot_pgd20"].parameters(8.0)["eot_draws"] == 10
    assert {SUITE[name].parameters(8)["eot_draws"] for name in ("fgsm", "pgd7", "pgd20")} == {1}


def test_classes_of_another_data_set_are_refused(tiny_zoo: Path, data: ImageSet) -> None:
    with pytest.raises(DataError, match="classes of the data"):
        subject(tiny_zoo, replace(data, classes=tuple("abcdefghij")))


def test_keys_do_not_depend_on_the_order_of_their_fields() -> None:
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


# --- The command -------------------------------------------------------------------------------


def start(arguments: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rsc_snn", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_killed_evaluation_goes_on_where_it_was(
    tiny_zoo: Path, root: Path, tmp_path: Path
) -> None:
    """SIGKILL between two cells; then the same command: the numbers of an unbroken run."""
    options = ["tiny-rsc", "--images", "30", "--epsilons", "8", "--draws", "3"]
    options += ["--attacks", "fgsm", "pgd20", "eot-pgd20", "square"]
    arguments = command(tmp_path, root, tiny_zoo, *options)
    folder = tmp_path / "cells" / "tiny-rsc"
    process = start(arguments)
    deadline = time.monotonic() + 100
    while len(list(folder.glob("*.json"))) < 3 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output
    made = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert 3 <= len(made) < 5
    assert not (tmp_path / "results" / "robustness.parquet").exists()

    assert main(arguments) == 0
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert len(after) == 5 and after | made == after
    whole = tmp_path / "whole"
    assert main(command(whole, root, tiny_zoo, *options)) == 0
    broken, unbroken = rows_by_place(tmp_path / "results"), rows_by_place(whole / "results")
    assert {place: row.scores for place, row in broken.items()} == {
        place: row.scores for place, row in unbroken.items()
    }


def test_a_model_whose_card_was_edited_is_measured_anew(
    tiny_zoo: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = tmp_path / "models"
    shutil.copytree(tiny_zoo, zoo)
    assert main(command(tmp_path, root, zoo, "tiny-rsc", *QUICK)) == 0
    before = rows_by_place(tmp_path / "results")
    path = zoo / "tiny-rsc.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["config"]["lif"]["threshold"] = 2.0
    path.write_text(json.dumps(card), encoding="utf-8")
    capsys.readouterr()
    assert main(command(tmp_path, root, zoo, "tiny-rsc", *QUICK)) == 0
    assert capsys.readouterr().err.count("tiny-rsc  ") == 3
    after = rows_by_place(tmp_path / "results")
    assert after.keys() == before.keys()
    assert [row.scores for row in after.values()] != [row.scores for row in before.values()]


def test_all_models_and_a_second_run_measures_nothing(
    tiny_zoo: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path, root, tiny_zoo, *QUICK)) == 0
    first = capsys.readouterr()
    assert first.err.count("tiny-rsc  ") == 3 and "left" in first.err
    table = rows_by_place(tmp_path / "results")
    assert {row.model for row in table.values()} == set(TINY_CONFIGS)
    assert len(table) == 3 * len(TINY_CONFIGS)
    row = table["tiny-rsc", "fgsm", 8.0, 0.2, 4]
    assert (row.n, row.images, row.draws, row.seed) == (30, 6, 3, 0)
    assert row.sha256 == named_zoo(tiny_zoo).card("tiny-rsc").identity
    assert json.loads(row.parameters)["epsilon"] == 8
    assert row.command == (
        "python -m rsc_snn zoo evaluate tiny-rsc --images 6 --epsilons 8 "
        f"--attacks fgsm uniform_noise --draws 3 --folder {tiny_zoo} --data {root} "
        f"--results {tmp_path / 'results'}"
    )
    assert main(command(tmp_path, root, tiny_zoo, *QUICK)) == 0
    assert "left" not in capsys.readouterr().err
    assert rows_by_place(tmp_path / "results") == table


def test_own_models_have_a_table_of_their_own(
    tiny_zoo: Path,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RSC_SNN_ASSETS", str(tmp_path / "assets"))
    words = command(tmp_path, root, tiny_zoo, "tiny-rsc", *QUICK)
    at = words.index("--results")
    del words[at : at + 2]
    assert main(words) == 2
    assert "name a folder for it with --results" in capsys.readouterr().err
    assert not (tmp_path / "assets").exists()


def test_a_damaged_card_costs_no_results_of_its_model(
    tiny_zoo: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = tmp_path / "zoo"
    shutil.copytree(tiny_zoo, zoo)
    assert main(command(tmp_path, root, zoo, "tiny-rsc", "tiny-ann", *QUICK)) == 0
    before = rows_by_place(tmp_path / "results")
    card = (zoo / "tiny-rsc.json").read_text(encoding="utf-8")
    (zoo / "tiny-rsc.json").write_text("{", encoding="utf-8")
    capsys.readouterr()
    assert main(command(tmp_path, root, zoo, "tiny-ann", "--replace", *QUICK)) == 0
    assert "tiny-rsc.json is not valid" in capsys.readouterr().err
    (zoo / "tiny-rsc.json").write_text(card, encoding="utf-8")
    assert rows_by_place(tmp_path / "results").keys() == before.keys()


def test_one_model_is_added_to_the_others(tiny_zoo: Path, root: Path, tmp_path: Path) -> None:
    assert main(command(tmp_path, root, tiny_zoo, "tiny-ann", *QUICK)) == 0
    before = rows_by_place(tmp_path / "results")
    assert main(command(tmp_path, root, tiny_zoo, "tiny-rsc", *QUICK)) == 0
    after = rows_by_place(tmp_path / "results")
    assert before.items() <= after.items()
    assert {row.model for row in after.values()} == {"tiny-ann", "tiny-rsc"}


@pytest.mark.parametrize(
    "other",
    [
        ("--images", "5"),
        ("--draws", "2"),
        ("--seed", "1"),
        ("--batch-size", "3"),
        ("--epsilons", "16"),
        ("--epsilons", "4"),
    ],
)
def test_results_of_other_settings_are_not_pushed_out_unless_asked_for(
    tiny_zoo: Path,
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    other: tuple[str, ...],
) -> None:
    run = command(tmp_path, root, tiny_zoo, "tiny-rsc", *QUICK)
    assert main(run) == 0
    before = rows_by_place(tmp_path / "results")
    capsys.readouterr()
    assert main([*run, *other]) == 2
    assert "measured in another way" in capsys.readouterr().err
    assert rows_by_place(tmp_path / "results") == before
    assert main([*run, *other, "--replace"]) == 0
    assert rows_by_place(tmp_path / "results") != before


def test_where_nothing_is_left_to_break_nothing_is_attacked(
    tiny_zoo: Path, data: ImageSet, tmp_path: Path
) -> None:
    wrong = subject(tiny_zoo, data, name="tiny-direct")
    wrong = replace(wrong, data=replace(wrong.data, labels=(wrong.data.labels + 1) % 10))
    cells = [cell for cell, _ in evaluate_cells(wrong, tmp_path)]
    assert all(cell.attacked == 0 and not cell.counts.any() for cell in cells[1:])
    assert len(cells) == 5


def test_more_of_the_same_is_added(tiny_zoo: Path, root: Path, tmp_path: Path) -> None:
    run = command(tmp_path, root, tiny_zoo, "tiny-rsc", *QUICK)
    assert main([*run, "--attacks", "fgsm"]) == 0

    def scores() -> dict[Any, bytes]:
        return {row.place: row.scores for row in read_results(tmp_path / "results")}

    first = scores()
    assert main([*run, "--attacks", "uniform-noise", "fgsm", "--epsilons", "8", "16"]) == 0
    second = scores()
    assert first.items() < second.items() and len(second) == 5
    # The smaller epsilon alone: the larger one was measured after it, and stays.
    assert main([*run, "--attacks", "fgsm"]) == 0
    assert scores() == second


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ((), 0),
        (("--attacks", "fgsm"), 2),
        (("--epsilons", "2"), 2),
        (("--epsilons", "8"), 4),  # Measured with no smaller epsilon before: not the same.
        (("--seed", "1"), 5),
        (("--draws", "2"), 5),
    ],
)
def test_what_the_table_has_is_not_measured_again_if_asked(
    tiny_zoo: Path,
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    first: tuple[str, ...],
    again: int,
) -> None:
    run = command(tmp_path, root, tiny_zoo, "tiny-rsc", *QUICK, "--epsilons", "2", "8")
    assert main([*run, *first]) == 0
    shutil.rmtree(tmp_path / "cells")
    before = rows_by_place(tmp_path / "results")
    capsys.readouterr()
    assert main([*run, "--missing", "--replace"]) == 0
    assert capsys.readouterr().err.count("tiny-rsc  ") == again
    after = rows_by_place(tmp_path / "results")
    assert len(after) == 5
    if not first:
        assert after == before
    shutil.rmtree(tmp_path / "cells", ignore_errors=True)
    # All of it measured at once gives the same scores.
    assert main([*run, "--results", str(tmp_path / "other")]) == 0
    whole = rows_by_place(tmp_path / "other")
    assert {place: row.scores for place, row in whole.items()} == {
        place: row.scores for place, row in after.items()
    }


def test_a_folder_that_cannot_be_written_is_noticed_before_hours_of_work(
    tiny_zoo: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results").write_text("a file", encoding="utf-8")
    assert main(command(tmp_path, root, tiny_zoo, "tiny-rsc", *QUICK)) == 2
    assert "Cannot write to" in capsys.readouterr().err
    assert not (tmp_path / "cells").exists()


def test_models_without_data_are_skipped_unless_they_were_named(
    tiny_zoo: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main(command(tmp_path, empty, tiny_zoo, *QUICK)) == 2
    assert "no model whose data is at hand" in capsys.readouterr().err
    assert main(command(tmp_path, empty, tiny_zoo, "tiny-ann", *QUICK)) == 2
    assert "skip tiny-ann: No CIFAR-10 data" in capsys.readouterr().err
    assert not (tmp_path / "results" / "robustness.parquet").exists()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--images", "0"], "number of images"),
        (["--draws", "256"], "number of draws"),
        (["--batch-size", "-1"], "batch size"),
        (["--epsilons", "0"], "epsilon must be above 0"),
        (["--epsilons", "nan"], "epsilon must be above 0"),
        (["--attacks", "magic"], "no 'magic'"),
        (["nobody"], "no model called 'nobody'"),
    ],
)
def test_wrong_options_are_one_sentence(
    tiny_zoo: Path,
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    match: str,
) -> None:
    assert main(command(tmp_path, root, tiny_zoo, *options)) == 2
    error = capsys.readouterr().err
    assert error.startswith("rsc-snn: error: ") and match in error


def test_a_damaged_table_is_noticed_before_hours_of_work(
    tiny_zoo: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "robustness.parquet").write_bytes(b"PAR1 no PAR1")
    assert main(command(tmp_path, root, tiny_zoo, *QUICK)) == 2
    assert "damaged" in capsys.readouterr().err
    assert not (tmp_path / "cells").exists()


def test_a_model_replaced_meanwhile_is_not_written(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tiny_zoo: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    from tests.conftest import save_tiny_model

    zoo = tmp_path / "models"
    shutil.copytree(tiny_zoo, zoo)
    card = Zoo(zoo).card("tiny-ann")
    original = cells_module.evaluate_cells

    def replaced(*args: Any) -> Any:
        yield from original(*args)
        monkeypatch.setattr("tests.conftest.lively_model", lambda config: lively_model(config, 1))
        save_tiny_model(zoo, "tiny-ann", card.label, card.config)

    monkeypatch.setattr(cells_module, "evaluate_cells", replaced)
    assert main(command(tmp_path, root, zoo, "tiny-ann", *QUICK)) == 2
    assert "replaced while it was measured" in capsys.readouterr().err
    assert read_results(tmp_path / "results") == []
