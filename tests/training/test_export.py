"""Exporting a run: the card holds what the shipped weights really do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from rsc_snn.classifier import ModelConfig, build_classifier
from rsc_snn.cli import main
from rsc_snn.data import ImageSet, load_dataset
from rsc_snn.errors import ConfigError, DataError, ZooError
from rsc_snn.evaluate import wilson
from rsc_snn.randomness import make_generator
from rsc_snn.training.export import (
    as_shipped,
    as_trained,
    class_accuracy,
    clean_accuracy,
    clean_scores,
    export_run,
    limits_text,
)
from rsc_snn.training.loop import Trainer, TrainingData, join_workers
from rsc_snn.training.recipe import Recipe, read_recipe
from rsc_snn.training.setting import setting_of
from rsc_snn.zoo import TrainingFacts, Zoo
from tests.conftest import stated


def trainer(folder: Path) -> Trainer:
    recipe = read_recipe(folder / "tiny.toml")
    data = load_dataset("folder", "train", folder / "data", recipe.model.image_size)
    run = TrainingData(data.images, data.labels)
    return Trainer(recipe, run, folder / "run", torch.device("cpu"))


def test_train_with_export_gives_a_working_zoo(folder: Path) -> None:
    command = ["train", str(folder / "tiny.toml"), "--data", str(folder / "data")]
    options = ["--out", str(folder / "run"), "--device", "cpu", "--export", str(folder / "zoo")]
    assert main([*command, *options]) == 0
    zoo = Zoo(folder / "zoo")
    assert zoo.names() == ("tiny",)
    assert zoo.problems() == {}
    card, model = zoo.card("tiny"), zoo.load("tiny")
    assert card.classes == ("a", "b")
    assert [row["epoch"] for row in zoo.curve("tiny")] == [1, 2]
    test = load_dataset("folder", "test", folder / "data", 16)
    assert clean_accuracy(model, test) == card.clean_accuracy
    assert stated(card.clean_accuracy).n == len(test) == 8


@pytest.mark.parametrize("change", ["another class", "a class less", "no test images"])
def test_test_images_of_other_classes_are_found_before_training(
    folder: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    test = folder / "data" / "test"
    if change == "another class":
        (test / "a").rename(test / "c")  # As sorted, b would be called a, and c b.
        said = "The training and the test images are of different classes (a, c)."
    elif change == "a class less":
        shutil.rmtree(test / "a")
        said = "The training and the test images are of different classes (a)."
    else:
        shutil.rmtree(test)
        said = "has no test/ or val/"
    command = ["train", str(folder / "tiny.toml"), "--data", str(folder / "data")]
    options = ["--out", str(folder / "run"), "--device", "cpu", "--export", str(folder / "zoo")]
    assert main([*command, *options]) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "run").exists() and not list((folder / "zoo").glob("*.json"))


def test_the_command_of_a_card_names_the_recipe_that_was_read(folder: Path) -> None:
    options = ["--out", str(folder / "run"), "--device", "cpu", "--export", str(folder / "zoo")]
    (folder / "tiny.toml").rename(folder / "mine.toml")
    assert main(["train", str(folder / "mine.toml"), "--data", str(folder / "data"), *options]) == 0
    command = stated(Zoo(folder / "zoo").card("tiny").training).command
    assert command.startswith("python -m rsc_snn train mine.toml --scale cpu --seed 0")
    assert command.endswith("--data FOLDER --export zoo") and str(folder) not in command


def test_the_command_of_a_card_names_the_folder_it_is_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(folder)
    run.run()
    place = folder / "my models"
    place.mkdir()
    monkeypatch.chdir(place)
    facts = stated(export_run(run, "", folder / "data", Path()).training)
    assert facts.command.endswith("--export 'my models'")


@pytest.mark.parametrize(
    ("coding", "images", "draws"), [("rsc", 8, 16), ("rsc", 2500, 8), ("direct", 8, 1)]
)
def test_fewer_images_are_seen_more_often(coding: str, images: int, draws: int) -> None:
    config = ModelConfig(
        widths=(2,), depths=(1,), image_size=8, coding=coding, sigma=0.2 * (coding == "rsc")
    )
    pixels = torch.full((images, 3, 8, 8), 100, dtype=torch.uint8)
    labels = torch.zeros(images, dtype=torch.long)
    test = ImageSet(pixels, labels, ("a",) * 10, "folder", "test", "")
    found = clean_accuracy(build_classifier(config).eval(), test)
    assert (found.n, found.draws) == (images, draws)


def test_shipped_weights_are_those_of_the_run_rounded(folder: Path) -> None:
    run = trainer(folder)
    run.run()
    export_run(run, "", folder / "data", folder / "zoo")
    loaded = Zoo(folder / "zoo").load("tiny")
    x = torch.rand(4, 3, 16, 16)
    expected = as_shipped(run.model)(x, generator=make_generator(0))
    assert torch.equal(loaded(x, generator=make_generator(0)), expected)


def test_an_unfinished_run_is_not_exported(folder: Path) -> None:
    run = trainer(folder)
    run.run(stop_after=1)
    with pytest.raises(ConfigError, match="not finished"):
        export_run(run, "", folder / "data", folder / "zoo")


def test_an_unwritable_folder_is_a_sentence(folder: Path) -> None:
    run = trainer(folder)
    run.run()
    (folder / "zoo").write_text("a file")
    with pytest.raises(ZooError, match="Cannot write to"):
        export_run(run, "", folder / "data", folder / "zoo")


def test_the_card_tells_what_trained_not_what_exports(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def facts() -> TrainingFacts:
        run = trainer(folder)
        run.run()
        return stated(export_run(run, "", folder / "data", folder / "zoo").training)

    def version(number: str) -> None:
        monkeypatch.setattr("rsc_snn.__version__", number)

    version("1")
    trainer(folder).run(stop_after=1)
    version("2")
    monkeypatch.setattr("rsc_snn.training.setting.describe_device", lambda device: "GPU · A")
    on_gpu = torch.device("cuda")
    monkeypatch.setattr("rsc_snn.training.loop.setting_of", lambda _: setting_of(on_gpu))
    first = facts()
    assert first.device == "CPU, then GPU · A"
    assert first.versions["rsc_snn"] == "1, then 2"
    assert first.versions["torch"] == torch.__version__
    version("3")
    assert facts() == first


@pytest.mark.parametrize(
    ("steps", "device", "torch_version"),
    [(1, "not noted, then CPU", f"not noted, then {torch.__version__}"), (8, "not noted", None)],
)
def test_a_checkpoint_that_notes_no_device_is_read(
    folder: Path, steps: int, device: str, torch_version: str | None
) -> None:
    trainer(folder).run(stop_after=steps)
    path = folder / "run" / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    del state["settings"]
    torch.save(state, path)
    run = trainer(folder)
    run.run()
    facts = stated(export_run(run, "", folder / "data", folder / "zoo").training)
    assert facts.device == device
    assert facts.versions.get("torch") == torch_version


@pytest.mark.parametrize(
    ("machines", "expected"),
    [
        (1, "torchrun --nproc-per-node 8"),
        (
            2,
            "torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint HOST:29400",
        ),
    ],
)
def test_the_command_tells_processes_of_a_machine(
    folder: Path, monkeypatch: pytest.MonkeyPatch, machines: int, expected: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(8 // machines))
    for name in ("init_process_group", "destroy_process_group", "barrier"):
        monkeypatch.setattr(torch.distributed, name, lambda *_: None)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    run = trainer(folder)
    run.run()
    with join_workers(torch.device("cpu")) as run.worker:
        pass
    facts = stated(export_run(run, "", folder / "data", folder / "zoo").training)
    assert facts.command.startswith(f"{expected} -m rsc_snn train rsc_snn/recipes/tiny.toml ")


def test_a_kill_before_the_card_leaves_no_card_without_curve(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(folder)
    run.run()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rsc_snn.training.export.save_model", killed)
    with pytest.raises(KeyboardInterrupt):
        export_run(run, "", folder / "data", folder / "zoo")
    assert {path.name for path in (folder / "zoo").iterdir()} == {"tiny.csv"}


def test_the_accuracy_of_classes_is_that_of_their_images() -> None:
    scores = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    labels = torch.tensor([0, 0, 0, 0, 2, 2, 1])
    classes = class_accuracy(scores, labels, 3, draws=1)
    assert [item.value for item in classes] == [0.75, 0.0, 0.5]
    assert [item.n for item in classes] == [4, 1, 2]
    for item, right in zip(classes, (3, 0, 1), strict=True):
        expected = wilson(right, item.n)
        assert (item.lower, item.upper) == pytest.approx((expected.lower, expected.upper))
    with pytest.raises(DataError, match="no images"):
        class_accuracy(scores, labels, 4, draws=1)


def test_the_card_holds_classes_and_float32_accuracy_of_the_same_passes(folder: Path) -> None:
    """Classes average to the whole; the accuracy in float32 is measured again."""
    run = trainer(folder)
    run.run()
    card = export_run(run, "", folder / "data", folder / "zoo")
    test = load_dataset("folder", "test", folder / "data", 16)
    total = sum(item.value * item.n for item in card.class_accuracy)
    assert total / len(test) == pytest.approx(stated(card.clean_accuracy).value)

    float32 = card.float32_accuracy
    assert float32 is not None
    exact = clean_scores(as_trained(run.model), test)
    assert float(exact.double().mean()) == float32.value
    assert float32.difference == pytest.approx(stated(card.clean_accuracy).value - float32.value)


def test_weights_in_float32_are_those_of_the_run(folder: Path) -> None:
    run = trainer(folder)
    run.run()
    run.model.eval()
    x = torch.rand(4, 3, 16, 16)
    expected = run.model(x, generator=make_generator(0))
    torch.testing.assert_close(as_trained(run.model)(x, generator=make_generator(0)), expected)


LIMITS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "ann": ({"model": {"neuron": "relu", "coding": "direct", "time_steps": 1}}, ["without noise"]),
    "rsc": ({"model": {"sigma": 0.1}}, ["at sigma 0.1 alone", "trained with: 4."]),
    "range": (
        {"sigma_range": [0.0, 0.4], "time_steps_choices": [8, 2]},
        ["sigma 0 to 0.4", "trained with: 2, 8."],
    ),
    "poisson": ({"model": {"coding": "poisson"}}, ["only Poisson-coded images"]),
    "gpu": ({"scale": "gpu"}, ["A network of moderate size", "6 epochs"]),
    "fgsm": ({"adversarial": {"method": "fgsm"}}, ["one-step attacks", "epsilon 8/255"]),
    "pgd": (
        {"adversarial": {"method": "pgd", "steps": 7, "step_size": 2.0}},
        ["PGD attacks of 7 steps"],
    ),
    "trades": (
        {"adversarial": {"method": "trades", "steps": 2, "step_size": 4.0}},
        ["TRADES", "of 2 steps ("],
    ),
    "taught": (
        {"teacher": "big", "teacher_weights": True, "distillation": 1.0, "presynaptic": 0.5},
        ["From big it took its answers, the currents of its layers and its weights as a start"],
    ),
}


@pytest.mark.parametrize("case", LIMITS)
def test_limits_say_what_the_recipe_did(case: str) -> None:
    values, expected = LIMITS[case]
    text = limits_text(Recipe.from_values({"name": "x", "label": "X", **values}))
    assert all(words in text for words in expected), text
    assert ("without adversarial images" in text) == ("adversarial" not in values)
    assert "overfitted" not in text
    assert ("Time steps" in text) == (case != "ann")


def test_limits_tell_that_the_guard_stepped_in() -> None:
    recipe = Recipe.from_values({"name": "x", "label": "X", "adversarial": {"method": "fgsm"}})
    assert "two-step attacks" in limits_text(recipe, guarded=True)
