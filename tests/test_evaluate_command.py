"""`python -m rsc_snn evaluate`, run in this process on a small zoo and a folder of images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rsc_snn.cli import main
from rsc_snn.data import load_dataset, to_unit
from rsc_snn.zoo import Zoo

CLASSES = ("cat", "ship", "frog")


@pytest.fixture(autouse=True)
def assets(tiny_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSC_SNN_ASSETS", str(tiny_zoo.parent))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "photos", CLASSES)


def make_folder(folder: Path, classes: tuple[str, ...]) -> Path:
    """Four images of each class."""
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / "test" / name).mkdir(parents=True)
        for index in range(4):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "test" / name / f"{index}.png")
    return folder


def run(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> dict[str, Any]:
    command = ["evaluate", "--model", "tiny-rsc", "--data", str(folder), "--device", "cpu"]
    assert main([*command, *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    record: dict[str, Any] = json.loads(lines[0])
    return record


def test_clean_and_robust(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    arguments = ["--attack", "pgd", "--epsilon", "4", "--steps", "2", "--draws", "3"]
    record = run(capsys, folder, *arguments, "--seed", "5", "--batch-size", "5")
    assert (record["n"], record["draws"], record["seed"]) == (12, 3, 5)
    assert record["parameters"]["epsilon"] == 4
    for kind in ("clean", "robust"):
        estimate = record[kind]
        assert 0 <= estimate["lower"] <= estimate["value"] <= estimate["upper"] <= 1
        assert estimate["n"] == 12
    assert record["queries"] == 12 * 2
    again = run(capsys, folder, *arguments, "--seed", "5", "--batch-size", "5")
    assert (again["clean"], again["robust"]) == (record["clean"], record["robust"])


def test_clean_alone_and_limited(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    record = run(capsys, folder, "--limit", "7", "--predictor", "vote")
    assert record["robust"] is None
    assert record["attack"] is None
    assert (record["n"], record["predictor"]) == (7, "vote")


def test_labels_follow_the_class_names(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """The folder's classes are numbered 0, 1, 2; the model's cat, frog and ship are 3, 6, 8."""
    data = load_dataset("folder", "test", folder, 32)
    truth = torch.tensor([{"cat": 3, "frog": 6, "ship": 8}[data.classes[i]] for i in data.labels])
    answers = Zoo().load("tiny-ann")(to_unit(data.images)).argmax(dim=-1)
    command = ["evaluate", "--model", "tiny-ann", "--data", str(folder)]
    assert main(command) == 0
    value = json.loads(capsys.readouterr().out)["clean"]["value"]
    assert value == pytest.approx(float((answers == truth).float().mean()))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "nowhere"], "neither a data set"),
        (["--data", "cifar10", "--root", "nowhere"], "nowhere"),
        (["--epsilon", "8"], "--epsilon needs an --attack"),
        (["--set", "steps=3"], "--set needs an --attack"),
        (["--limit", "0"], "number of images"),
        (["--batch-size", "0"], "batch size"),
        (["--model", "huge"], "no model called 'huge'"),
        (["--attack", "pgd", "--steps", "2.5"], "Steps must be a whole number"),
        (["--draws", "-1"], "number of draws"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--model", "tiny-rsc", "--data", str(folder)]
    assert main([*command, *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1


def test_classes_the_model_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(tmp_path / "animals", ("cat", "unicorn"))
    assert main(["evaluate", "--model", "tiny-rsc", "--data", str(folder)]) == 2
    assert "'unicorn' that the model does not know" in capsys.readouterr().err
