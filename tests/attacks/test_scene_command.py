"""`python -m rsc_snn attack --scene`, run in this process on a small zoo."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rsc_snn.cli import main
from rsc_snn.exports import scene_json, to_8_bit
from rsc_snn.paint import encode_paint
from rsc_snn.scene import Environment, Scene, SceneFile, play, replay
from rsc_snn.zoo import Zoo
from tests.app_assets import make_assets

SCENE = Scene(
    models=("tiny-rsc", "tiny-ann"),
    image="cifar10/cat-3",
    attack="pgd",
    parameters=(("steps", 2),),
    draws=5,
)


@pytest.fixture(scope="module")
def zoo(tiny_zoo: Path) -> Zoo:
    return Zoo(tiny_zoo)


@pytest.fixture(autouse=True)
def assets(tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_assets(tiny_zoo, tmp_path / "assets")
    monkeypatch.setenv("RSC_SNN_ASSETS", str(folder))
    return folder


def command(path: Path, *arguments: str) -> int:
    return main(["attack", "--scene", str(path), "--device", "cpu", *arguments])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A scene without results."""
    path = tmp_path / "scene.json"
    path.write_bytes(scene_json(SCENE))
    return path


def test_one_line_a_model(file: Path, zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(file) == 0
    first, second, last = capsys.readouterr().out.splitlines()
    results = replay(SCENE, zoo)
    for line, result in zip((first, second), results, strict=True):
        assert line.startswith(f"{result.model}: {result.verdict}; draws that see the cat: ")
        counts = [part[3] for part in (result.clean_counts, result.adversarial_counts)]
        assert f"{counts[0]} of 5 -> {counts[1]} of 5" in line
        assert "largest change 8/255" in line and f"{result.queries} queries" in line
    assert last == "The scene holds no results to compare with."


def test_json(file: Path, zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(file, "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    record: dict[str, Any] = json.loads(lines[0])
    assert (record["same"], record["differences"]) == (None, [])
    values = {**SCENE.to_json(), "results": record["results"], "environment": record["environment"]}
    found = SceneFile.from_json(values)
    assert found.results == replay(SCENE, zoo)
    assert found.environment == Environment.here()


def test_the_same_to_the_digit(file: Path, zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(scene_json(SCENE, replay(SCENE, zoo)))
    assert command(file) == 0
    assert "The results are the same to the digit." in capsys.readouterr().out
    assert command(file, "--json") == 0
    assert json.loads(capsys.readouterr().out)["same"] is True


def test_what_differs_is_listed(file: Path, zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = replay(SCENE, zoo)
    moved = replace(second, l2=float(np.nextafter(second.l2, 9)), device="cuda")
    file.write_bytes(scene_json(SCENE, (first, moved)))
    assert command(file) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "The results differ:"
    assert lines[3] == f"- tiny-ann: l2 is {moved.l2!r} in the file, {second.l2!r} now"
    assert lines[4] == "- tiny-ann: device was 'cuda', is 'cpu'"
    assert command(file, "--json") == 1
    record = json.loads(capsys.readouterr().out)
    assert record["same"] is False and len(record["differences"]) == 1


def test_other_weights_are_noticed(
    file: Path, zoo: Zoo, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = replay(SCENE, zoo)
    file.write_bytes(scene_json(SCENE, (replace(first, sha256="0" * 64), second)))
    assert command(file) == 1
    assert "- tiny-rsc: sha256 is '000" in capsys.readouterr().out


def test_attacked_images_are_saved(file: Path, zoo: Zoo, tmp_path: Path) -> None:
    assert command(file, "--out", str(tmp_path / "attacked.png")) == 0
    for request, outcome, _ in play(SCENE, zoo):
        with Image.open(tmp_path / f"attacked-{request.model}.png") as image:
            pixels = np.asarray(image).transpose(2, 0, 1)
        np.testing.assert_array_equal(pixels, to_8_bit(outcome.adversarial))
    file.write_bytes(scene_json(replace(SCENE, models=("tiny-ann",))))
    assert command(file, "--out", str(tmp_path / "one.png")) == 0
    assert (tmp_path / "one.png").is_file()


def test_a_painted_change_has_a_line(
    file: Path, zoo: Zoo, capsys: pytest.CaptureFixture[str]
) -> None:
    painted = replace(SCENE, paint=encode_paint(np.ones((32, 32), np.int8)), paint_epsilon=24.5)
    shown = replay(painted, zoo)
    file.write_bytes(scene_json(painted, shown))
    assert command(file) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and lines[4] == "The results are the same to the digit."
    for line, result in zip((lines[1], lines[3]), shown, strict=True):
        assert result.painted_counts is not None
        clean, after = result.clean_counts[3], result.painted_counts[3]
        assert line == (
            f"{result.model}, painted: {result.painted_verdict}; draws that see the cat: "
            f"{clean} of 5 -> {after} of 5; paint of 24.5/255"
        )


def test_threads_of_the_file_and_of_the_option(
    file: Path, zoo: Zoo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    before = torch.get_num_threads()
    first, second = replay(SCENE, zoo)
    shown = (replace(first, threads=2), replace(second, threads=999))
    file.write_bytes(scene_json(SCENE, shown))
    for arguments, threads in ((["--threads", "3"], [3, 3]), ([], [2, before])):
        command(file, "--json", *arguments)
        results = json.loads(capsys.readouterr().out)["results"]
        assert [result["threads"] for result in results] == threads
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read"),
        (b"", "not valid JSON"),
        (b'{"schema": 9}', "later version"),
        (scene_json(replace(SCENE, models=("huge",))), "no model called 'huge'"),
        (scene_json(replace(SCENE, image="cifar10/cow-3")), "no image 'cifar10/cow-3'"),
        (scene_json(replace(SCENE, paint="AAAA", paint_epsilon=8)), "pattern is damaged"),
        (scene_json(replace(SCENE, true_class="cow\n")), "no class 'cow\\n'"),
    ],
)
def test_unusable_scenes(
    content: bytes | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scene.json"
    if content is not None:
        path.write_bytes(content)
    assert command(path) == 2
    error = capsys.readouterr().err
    assert sentence in error and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "tiny-ann"], "stand beside --scene"),
        (["--steps", "3"], "stand beside --scene"),
        (["--set", "steps=3"], "stand beside --scene"),
        (["--seed", "1"], "stand beside --scene"),
        (["--attack", "pgd"], "stand beside --scene"),
        (["--threads", "0"], "number of threads must be between 1 and"),
        (["--out", "missing/folder/a.png"], "There is no folder"),
    ],
)
def test_options_that_do_not_fit(
    arguments: list[str], sentence: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(file, *arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["--gallery", "cifar10/3"], ["--image", "x.png"]])
def test_a_scene_has_its_own_image(arguments: list[str], file: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        command(file, *arguments)
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ([], "--model, --image, --gallery or --scene, --attack"),
        (["--model", "tiny-ann", "--attack", "pgd"], "--image, --gallery or --scene"),
        (["--gallery", "cifar10/3", "--attack", "pgd"], "--model"),
    ],
)
def test_what_is_required_without_a_scene(
    arguments: list[str], missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["attack", *arguments])
    assert stopped.value.code == 2
    assert f"the following arguments are required: {missing}; see" in capsys.readouterr().err
