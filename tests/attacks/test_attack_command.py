"""`python -m rsc_snn attack`, run in this process on a small zoo."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rsc_snn.attacks import ATTACKS
from rsc_snn.cli import main
from rsc_snn.commands import attack as attack_command
from rsc_snn.data.gallery import load_gallery
from rsc_snn.zoo import Zoo
from tests.app_assets import make_assets

BASE = ["attack", "--model", "tiny-rsc", "--gallery", "cifar10/3", "--device", "cpu"]


@pytest.fixture(autouse=True)
def assets(tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_assets(tiny_zoo, tmp_path / "assets")
    monkeypatch.setenv("RSC_SNN_ASSETS", str(folder))
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*BASE, *arguments, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    record: dict[str, Any] = json.loads(lines[0])
    return record


def test_json_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "attacked.png"
    arguments = ["--attack", "pgd", "--epsilon", "4", "--set", "steps=3", "--draws", "5"]
    record = run(capsys, *arguments, "--sigma", "0.1", "--time-steps", "2", "--out", str(out))
    assert record["parameters"]["epsilon"] == 4
    assert record["parameters"]["steps"] == 3
    assert record["parameters"]["step_size"] == ATTACKS["pgd"].parameters[1].default
    assert (record["sigma"], record["time_steps"], record["draws"]) == (0.1, 2, 5)
    assert record["true_class"] == "cat", "image 3 of the gallery"
    assert 0 < record["linf_255"] <= 4.001
    assert record["queries"] == 3
    assert 0 <= record["after"]["correct_share_of_draws"] <= 1
    with Image.open(out) as image, Image.open(_gallery_file(3)) as original:
        assert image.format == "PNG"
        change = np.asarray(image, dtype=int) - np.asarray(original.convert("RGB"), dtype=int)
    assert 0 < np.abs(change).max() <= 4


def _gallery_file(index: int) -> Path:
    return load_gallery()[index].path


def test_the_seed_repeats_it(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--attack", "eot-pgd", "--steps", "2", "--seed", "7"]
    first, second = (run(capsys, *arguments) for _ in range(2))
    for record in (first, second):
        del record["seconds"]
    assert first == second
    assert first["attack"] == "eot_pgd"


def test_sentence_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*BASE, "--attack", "fgsm"]) == 0
    output = capsys.readouterr().out
    assert len(output.splitlines()) == 1
    assert "fgsm" in output
    assert "8 draws" in output


def test_a_record_has_all_digits_and_names_what_they_depend_on(
    capsys: pytest.CaptureFixture[str], tiny_zoo: Path
) -> None:
    record = run(capsys, "--attack", "pgd", "--set", "steps=2", "--draws", "3")
    assert record["after"]["correct_share_of_draws"] in {number / 3 for number in range(4)}
    assert record["l2"] != round(record["l2"], 4)
    assert record["sha256"] == Zoo(tiny_zoo).card(record["model"]).identity
    assert record["device"] == "cpu" and record["threads"] >= 1
    assert record["environment"]["versions"]["torch"]


def test_the_answer_is_what_most_draws_give_as_in_the_app() -> None:
    """Two weak votes for class 1, one strong one for class 0."""
    logits = torch.tensor([[0.0, 0.1], [0.0, 0.1], [9.0, 0.0]])
    found = attack_command._prediction(logits, 0, ("cat", "dog"))
    assert found["class"] == "dog" and found["probability"] < 0.5


def test_a_picture_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "keep.png"
    out.write_bytes(b"the old one")

    def half(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    assert main([*BASE, "--attack", "fgsm", "--out", str(out)]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert out.read_bytes() == b"the old one" and list(tmp_path.glob("*.partial")) == []


def test_a_file_takes_the_models_answer_as_true(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(np.full((40, 60, 3), 90, dtype=np.uint8)).save(path)
    arguments = ["--model", "tiny-ann", "--image", str(path), "--attack", "fgsm", "--json"]
    assert main(["attack", *arguments]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["before"]["class"] == record["true_class"]
    assert record["sigma"] is None
    assert main(["attack", *arguments, "--label", "Frog"]) == 0
    assert json.loads(capsys.readouterr().out)["true_class"] == "frog"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--attack", "pgd", "--epsilon", "900"], "Epsilon must be between 0 and 64/255"),
        (["--attack", "pgd", "--epsilon", "much"], "Epsilon must be a number"),
        (["--attack", "fgsm", "--steps", "3"], "FGSM has no parameter 'steps'"),
        (["--attack", "pgd", "--set", "steps"], "--set needs NAME=VALUE"),
        (["--attack", "pgd", "--set", "speed=3"], "PGD has no parameter 'speed'"),
        (["--attack", "apgd", "--loss", "mse"], "Loss must be one of ce, dlr"),
        (["--attack", "pgd", "--draws", "0"], "number of draws"),
        (["--attack", "pgd", "--sigma", "3"], "sigma must be a number between 0 and 1"),
        (["--attack", "pgd", "--time-steps", "0"], "time steps must be between"),
        (["--attack", "pgd", "--label", "unicorn"], "no class 'unicorn'"),
        (["--attack", "pgd", "--model", "huge"], "no model called 'huge'"),
        (["--attack", "pgd", "--model", "tiny-ann", "--sigma", "0.1"], "has no noise level"),
        (["--attack", "pgd", "--gallery", "cifar10/999"], "no image 'cifar10/999'"),
        (["--attack", "pgd", "--gallery", "nonsense"], "no image 'nonsense'"),
        (["--attack", "pgd", "--out", "missing/folder/a.png"], "There is no folder"),
        (["--attack", "pgd", "--device", "warp"], "device 'warp' is not available"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*BASE, *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("content", [None, b"", b"not an image"])
def test_unusable_files(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "photo.png"
    if content is not None:
        path.write_bytes(content)
    arguments = ["--model", "tiny-rsc", "--image", str(path), "--attack", "fgsm"]
    assert main(["attack", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_file_is_read_up_to_the_limit_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "photo.png"
    path.touch()
    os.truncate(path, 2**40)  # More than fits into memory, and no bytes on the disk.
    arguments = ["--model", "tiny-rsc", "--image", str(path), "--attack", "fgsm"]
    assert main(["attack", *arguments]) == 2
    error = capsys.readouterr().err
    assert error == f"rsc-snn: error: The image {path} is too large; at most 10 MB can be used.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--attack", "nope"],
        [],
        ["--attack", "pgd", "--image", "x.png"],
        ["--attack", "pgd", "--eps", "8"],
        ["--attack", "pgd", "--seed", "-1"],
        ["--attack", "pgd", "--seed", str(2**63)],
    ],
)
def test_argparse_refuses(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*BASE, *arguments])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("rsc-snn: error: ") and error.count("\n") == 1
    assert "--help`" in error


def test_help_names_every_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["attack", "--help"])
    assert stopped.value.code == 0
    output = capsys.readouterr().out
    for spec in ATTACKS.values():
        assert spec.name in output
        for parameter in spec.parameters:
            assert f"--{parameter.name.replace('_', '-')}" in output
