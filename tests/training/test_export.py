"""Exporting a run: the card holds what the shipped weights really do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rsc_snn.cli import main
from rsc_snn.data import load_dataset
from rsc_snn.errors import ConfigError
from rsc_snn.randomness import make_generator
from rsc_snn.training.export import as_shipped, clean_accuracy, export_run
from rsc_snn.training.loop import Trainer, TrainingData
from rsc_snn.training.recipe import read_recipe
from rsc_snn.zoo import Zoo


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
    assert card.clean_accuracy.n == len(test) == 8


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
