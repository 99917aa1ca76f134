"""The ImageNet-1k recipes, end to end: their files with few classes, small images and thin stages.

Everything else is as it ships: MS-ResNet-18, streamed JPEG files, the teacher and its losses.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import rsc_snn
from rsc_snn.classifier import build_classifier
from rsc_snn.cli import main
from rsc_snn.data.streaming import ImageStream, open_stream
from rsc_snn.errors import ConfigError
from rsc_snn.randomness import make_generator
from rsc_snn.training.batch import train_recipe
from rsc_snn.training.loop import Worker
from rsc_snn.training.recipe import Recipe, read_recipe
from rsc_snn.training.streamed import Crops, StreamTrainer
from rsc_snn.training.teacher import load_teacher
from rsc_snn.zoo import Zoo
from tests.conftest import stated

ROOT = Path(__file__).parents[2]
RECIPES = Path(rsc_snn.__file__).parent / "recipes"
ANN, SNN = "imagenet-ann", "imagenet-snn-rsc-020"
CLASSES = {"n01440764": 40, "n02102040": 120, "n03888257": 210}  # and their brightness
CPU = torch.device("cpu")


def small(name: str) -> str:
    """A shipped recipe with other sizes; a size that the file does not have fails."""
    text = (RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    for field, value in (
        ("num_classes", "3\nwidths = [8, 8, 8, 16]"),
        ("image_size", "32"),
        ("epochs", "4"),
        ("batch_size", "4"),
        ("validation", "5"),
        ("learning_rate", "0.05"),
    ):
        text, count = re.subn(rf"^{field} = .*$", f"{field} = {value}", text, flags=re.MULTILINE)
        assert count == 1, field
    return text


def write_images(root: Path, split: str, count: int) -> None:
    rng = np.random.default_rng(count)
    for name, level in CLASSES.items():
        target = root / split / name
        target.mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(level - 30, level + 30, (40, 50 + index, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(target / f"{name}_{index}.JPEG")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data/imagenet/{train,val}`, `recipes/` and, trained from the first of them, `models/`."""
    folder = tmp_path_factory.mktemp("imagenet")
    write_images(folder / "data" / "imagenet", "train", 15)
    write_images(folder / "data" / "imagenet", "val", 4)
    (folder / "recipes").mkdir()
    for name in (ANN, SNN):
        (folder / "recipes" / f"{name}.toml").write_text(small(name), encoding="utf-8")
    train_recipe(
        recipe(folder, ANN),
        folder / "runs" / ANN,
        CPU,
        data=folder / "data",
        export=folder / "models",
    )
    return folder


def recipe(place: Path, name: str) -> Recipe:
    return read_recipe(place / "recipes" / f"{name}.toml")


def stream(place: Path) -> ImageStream:
    return open_stream("imagenet", "train", place / "data", 32)


def student(place: Path, run: Path, worker: Worker | None = None) -> StreamTrainer:
    made = recipe(place, SNN)
    teacher = load_teacher(made, Zoo(place / "models"), CPU)
    return StreamTrainer(made, stream(place), run, CPU, worker, teacher)


def train_command(place: Path, run: Path, models: Path) -> list[str]:
    options = {
        "--data": place / "data",
        "--out": run,
        "--export": models,
        "--zoo": place / "models",
        "--device": "cpu",
        "--threads": 1,
    }
    listed = [str(item) for pair in options.items() for item in pair]
    return ["-m", "rsc_snn", "train", str(place / "recipes" / f"{SNN}.toml"), *listed]


def subprocess_run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize("name", [ANN, SNN])
def test_the_shipped_recipes_are_ms_resnet_18_at_224_pixels(name: str) -> None:
    made = read_recipe(RECIPES / f"{name}.toml", "gpu")
    config = made.model
    assert (config.network, config.image_size, config.num_classes) == ("ms_resnet18", 224, 1000)
    model = build_classifier(config)
    # ResNet-18 has 11.69 million; its shortcuts and readout are the same.
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(11.69e6, rel=0.01)
    with torch.no_grad():
        logits = model.freeze()(
            torch.rand(1, 3, 224, 224), time_steps=1, generator=make_generator(0)
        )
    assert logits.shape == (1, 1000)


def test_the_ann_learns_and_is_exported(place: Path) -> None:
    card = Zoo(place / "models").card(ANN)
    assert card.classes == tuple(CLASSES)
    assert stated(card.clean_accuracy).n == 12
    assert stated(card.clean_accuracy).value > 0.9  # dark, grey and bright pictures
    assert [item.n for item in card.class_accuracy] == [4, 4, 4]
    assert "random crops of 8 % to 100 % of the area" in stated(card.training).note
    assert "centre-cropped" in stated(card.clean_accuracy).note


@pytest.mark.slow
def test_torchrun_trains_the_student_with_two_processes(place: Path, tmp_path: Path) -> None:
    done = subprocess_run(
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        *train_command(place, tmp_path / "run", tmp_path / "models"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"{SNN}: 45 images") == 1
    zoo = Zoo(tmp_path / "models")
    card = zoo.card(SNN)
    assert stated(card.training).teacher_sha256 == Zoo(place / "models").card(ANN).sha256
    assert stated(card.training).command.startswith("torchrun --nproc-per-node 2 -m rsc_snn train ")
    # 40 images to learn from, 2 x 4 a step.
    assert [row["step"] for row in zoo.curve(SNN)] == [5, 10, 15, 20]
    assert stated(card.clean_accuracy).n == 12


def test_the_commands_work_in_one_process(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`zoo train NAME` makes the student, `evaluate` attacks it on the folder of images."""
    models = tmp_path / "assets" / "models"
    models.mkdir(parents=True)
    for suffix in ("json", "safetensors", "csv"):
        (models / f"{ANN}.{suffix}").symlink_to(place / "models" / f"{ANN}.{suffix}")
    options = ["--data", str(place / "data"), "--recipes", str(place / "recipes")]
    options += ["--runs", str(tmp_path / "runs"), "--folder", str(models), "--device", "cpu"]
    assert main(["zoo", "train", "--missing", SNN, *options]) == 0
    output = capsys.readouterr().out
    assert f"keep   {ANN}: up to date" in output
    assert f"{SNN}: 45 images" in output

    monkeypatch.setenv("RSC_SNN_ASSETS", str(tmp_path / "assets"))
    folder = str(place / "data" / "imagenet")
    attack = ["--attack", "pgd", "--epsilon", "8", "--steps", "2", "--device", "cpu"]
    assert main(["evaluate", "--model", SNN, "--data", folder, *attack]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["n"], record["parameters"]["epsilon"]) == (12, 8)


def test_all_that_is_missing_leaves_days_of_training_out(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", str(place / "data"), "--recipes", str(place / "recipes")]
    options += ["--runs", str(tmp_path / "runs"), "--folder", str(tmp_path), "--device", "cpu"]
    assert main(["zoo", "train", "--missing", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"skip   {ANN}", f"skip   {SNN}"]
    assert "torchrun" in lines[0]
    assert not (tmp_path / "runs").exists()


def test_a_stopped_run_ends_in_the_same_weights(place: Path, tmp_path: Path) -> None:
    whole = student(place, tmp_path / "whole")
    whole.run()
    student(place, tmp_path / "stopped").run(stop_after=13)  # within the second epoch
    resumed = student(place, tmp_path / "stopped")
    assert resumed.step == 13
    resumed.run()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_crops_are_numbered_through_the_epochs(place: Path) -> None:
    images = stream(place)
    crops = Crops(images)
    numbers = torch.tensor([3, 44, 0]) + 2 * len(images)
    crops.prepare(numbers)
    batch = crops.take(numbers)
    expected = images.sample(torch.tensor([3, 44, 0]), 2)
    assert torch.equal(batch.stack(), expected.stack())
    assert torch.equal(batch.labels, expected.labels)
    assert not torch.equal(crops.take(numbers - len(images)).stack(), batch.stack())


def test_a_teacher_of_another_network_is_refused(place: Path, tmp_path: Path) -> None:
    text = small(SNN).replace('"ms_resnet18"', '"vgg"')
    (tmp_path / "other.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cannot learn from imagenet-ann: their network differ"):
        load_teacher(read_recipe(tmp_path / "other.toml"), Zoo(place / "models"), CPU)


def test_a_test_split_that_does_not_fit_is_told_before_training(
    tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path / "imagenet", "train", 15)
    command = ["train", str(place / "recipes" / f"{ANN}.toml"), "--data", str(tmp_path)]
    command += ["--out", str(tmp_path / "run"), "--device", "cpu", "--export", str(tmp_path / "m")]
    assert main(command) == 2
    assert "has no test/ or val/ with class folders" in capsys.readouterr().err
    write_images(tmp_path / "imagenet", "val", 1)
    (tmp_path / "imagenet/val/n02102040").rename(tmp_path / "imagenet/val/n02999999")
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "The class 'n02102040'" in error and "only in one of its splits" in error
    assert not (tmp_path / "run").exists()
