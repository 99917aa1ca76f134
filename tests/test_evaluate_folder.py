"""`evaluate --data FOLDER`: which folders of images count, and what their classes mean.

The rule: class folders have names of the model's classes (in any case and order), all of them or
some; images of another size are resized and centre-cropped; a strange class is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rsc_snn.cli import main
from rsc_snn.data.pixels import square_rgb, to_array
from rsc_snn.zoo import Zoo

MODEL = "tiny-ann"


@pytest.fixture(autouse=True)
def assets(tiny_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSC_SNN_ASSETS", str(tiny_zoo.parent))


def write(place: Path, names: tuple[str, ...], size: tuple[int, int] = (32, 32)) -> None:
    """Three smooth pictures of each class."""
    rng = np.random.default_rng(sum(map(len, names)))
    for name in names:
        (place / name).mkdir(parents=True)
        for index in range(3):
            coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
            coarse.resize(size, Image.Resampling.BICUBIC).save(place / name / f"{index}.png")


def answers(place: Path, labels: dict[str, int]) -> float:
    """The model's accuracy on the class folders of `place`, image by image."""
    model, right = Zoo().load(MODEL), []
    for name, label in labels.items():
        for path in sorted((place / name).iterdir()):
            with Image.open(path) as image:
                pixels = torch.from_numpy(to_array(square_rgb(image, 32))).float().div(255)
            right.append(int(model(pixels[None]).argmax()) == label)
    return sum(right) / len(right)


def evaluate(capsys: pytest.CaptureFixture[str], folder: Path, *more: str) -> dict[str, Any]:
    command = ["evaluate", "--model", MODEL, "--data", str(folder), "--device", "cpu", *more]
    assert main(command) == 0
    (line,) = capsys.readouterr().out.splitlines()
    record: dict[str, Any] = json.loads(line)
    return record


@pytest.mark.parametrize("place", ["", "test", "val"])
def test_some_classes_under_their_names_in_any_layout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    labels = {"truck": 9, "Airplane": 0, "frog": 6, "dog": 5}
    write(tmp_path / place, tuple(labels))
    record = evaluate(capsys, tmp_path)
    assert record["n"] == 12
    assert record["clean"]["value"] == pytest.approx(answers(tmp_path / place, labels))


@pytest.mark.parametrize("size", [(90, 50), (20, 40)])
def test_images_of_another_size_are_resized_and_cropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], size: tuple[int, int]
) -> None:
    labels = {name: label for label, name in enumerate(Zoo().card(MODEL).classes)}
    write(tmp_path, tuple(labels), size)
    record = evaluate(capsys, tmp_path, "--attack", "pgd", "--epsilon", "8", "--steps", "1")
    assert record["n"] == 30
    assert record["clean"]["value"] == pytest.approx(answers(tmp_path, labels))
    assert record["parameters"]["epsilon"] == 8
    assert record["data_note"] == "images of the folder, resized and centre-cropped"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("cat", "zebra"), "has a class 'zebra' that the model does not know"),
        (("3", "5"), "has a class '3' that the model does not know"),
        ((), "has no class folders"),
    ],
)
def test_other_folders_are_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: tuple[str, ...], sentence: str
) -> None:
    write(tmp_path, names)
    assert main(["evaluate", "--model", MODEL, "--data", str(tmp_path), "--device", "cpu"]) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert len(captured.err.splitlines()) == 1 and not captured.out


def test_a_class_without_images_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, ("cat", "dog"))
    (tmp_path / "ship").mkdir()
    assert main(["evaluate", "--model", MODEL, "--data", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "ship' is missing or has no images" in error and error.count("\n") == 1
