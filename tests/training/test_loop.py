"""Training: it learns, it resumes to the same weights, and it refuses what makes no sense."""

from __future__ import annotations

import csv
import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rsc_snn.classifier import ModelConfig, build_classifier
from rsc_snn.errors import ConfigError, DataError
from rsc_snn.randomness import derive_seed, make_generator
from rsc_snn.training.augment import augment
from rsc_snn.training.export import as_shipped, as_trained
from rsc_snn.training.loop import (
    Trainer,
    TrainingData,
    Worker,
    learning_rate,
    rounded_to_float16,
    split_validation,
)
from rsc_snn.training.recipe import Recipe

CPU = torch.device("cpu")
MODEL = ModelConfig(
    widths=(8, 8), depths=(1, 1), image_size=8, num_classes=2, time_steps=2, sigma=0.05
)
RECIPE = Recipe(
    name="tiny", label="Tiny", model=MODEL, epochs=3, batch_size=16, validation=32, crop_padding=1
)


def stripes(count: int = 160) -> TrainingData:
    """Two classes a network must tell apart: horizontal and vertical stripes."""
    generator = make_generator(0)
    labels = torch.arange(count) % 2
    rows = torch.arange(8).view(8, 1).expand(8, 8) % 2
    pattern = torch.stack([rows, rows.T])[labels].unsqueeze(1).expand(-1, 3, -1, -1)
    noise = torch.randint(0, 60, (count, 3, 8, 8), generator=generator)
    return TrainingData((pattern * 180 + noise).to(torch.uint8), labels)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return trainer.model.state_dict()


def metrics(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_training_learns_and_writes_its_curve(tmp_path: Path) -> None:
    trainer = Trainer(RECIPE, stripes(), tmp_path, CPU)
    trainer.run()
    rows = metrics(tmp_path)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1]["validation_accuracy"]) > 0.9
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])


@pytest.mark.parametrize("stop", [1, 8, 11])
@pytest.mark.parametrize("float16_epochs", [0, 2])
def test_a_resumed_run_is_the_same_run(tmp_path: Path, stop: int, float16_epochs: int) -> None:
    recipe = replace(RECIPE, float16_epochs=float16_epochs)
    whole = Trainer(recipe, stripes(), tmp_path / "whole", CPU)
    whole.run()
    Trainer(recipe, stripes(), tmp_path / "parts", CPU).run(stop_after=stop)
    resumed = Trainer(recipe, stripes(), tmp_path / "parts", CPU)
    assert resumed.step == stop
    resumed.run()
    assert all(torch.equal(value, weights(resumed)[name]) for name, value in weights(whole).items())
    for one, other in zip(metrics(tmp_path / "whole"), metrics(tmp_path / "parts"), strict=True):
        assert {**one, "seconds": ""} == {**other, "seconds": ""}


def test_the_last_epochs_on_float16_weights(tmp_path: Path) -> None:
    """Steps below float16's spacing add up; what is validated, and left, is what ships."""
    recipe = replace(RECIPE, float16_epochs=1)
    plain = Trainer(RECIPE, stripes(), tmp_path / "plain", CPU)
    rounded = Trainer(recipe, stripes(), tmp_path / "rounded", CPU)
    first = 2 * plain.steps_per_epoch
    for trainer in (plain, rounded):
        trainer.run(stop_after=first)
    assert all(torch.equal(value, weights(rounded)[name]) for name, value in weights(plain).items())
    before = {name: value.clone() for name, value in weights(rounded).items()}
    rounded.run(stop_after=first + 1)
    for name, value in rounded.model.named_parameters():
        assert not torch.equal(value, before[name])
        assert not torch.equal(value, value.half().float())
    rounded.run()
    assert all(torch.equal(value, value.half().float()) for value in rounded.model.parameters())
    shipped, trained = as_shipped(rounded.model), as_trained(rounded.model)
    images, labels = stripes().take(torch.arange(64)).pixels(CPU), stripes().labels[:64]
    logits = [model(images, generator=make_generator(0)) for model in (shipped, trained)]
    assert torch.equal(*logits)
    assert (logits[0].argmax(dim=1) == labels).float().mean() > 0.9
    assert float(metrics(tmp_path / "rounded")[-1]["validation_accuracy"]) > 0.9


def test_a_model_is_rounded_for_a_while_only() -> None:
    model = build_classifier(MODEL)
    before = [value.detach().clone() for value in model.parameters()]
    with pytest.raises(ZeroDivisionError), rounded_to_float16(model):
        assert all(torch.equal(value, value.half().float()) for value in model.parameters())
        raise ZeroDivisionError
    assert all(map(torch.equal, model.parameters(), before))


def test_metrics_past_the_checkpoint_are_dropped_on_resume(tmp_path: Path) -> None:
    Trainer(RECIPE, stripes(), tmp_path, CPU).run(stop_after=8)
    file = tmp_path / "metrics.csv"
    file.write_text(file.read_text() + "2,16,1.0,0.1,0.5,0.5,0.5\n")
    Trainer(RECIPE, stripes(), tmp_path, CPU)
    assert [row["step"] for row in metrics(tmp_path)] == ["8"]


KILLED_RUN = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads({threads})
sys.path.insert(0, {tests!r})
from training.test_loop import RECIPE, CPU, Trainer, stripes
trainer = Trainer(RECIPE, stripes(), Path({folder!r}), CPU, checkpoint_seconds=0.0)
trainer.run(lambda step, steps, loss: print(step, flush=True) or time.sleep(0.05))
"""


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """SIGKILL in the middle of training, then resume: the weights of an unbroken run."""
    # Another number of threads adds in another order: the same run needs the same number.
    script = KILLED_RUN.format(
        tests=str(Path(__file__).parents[1]),
        folder=str(tmp_path / "killed"),
        threads=torch.get_num_threads(),
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "10":
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    resumed = Trainer(RECIPE, stripes(), tmp_path / "killed", CPU)
    assert 8 <= resumed.step <= 11
    resumed.run()
    whole = Trainer(RECIPE, stripes(), tmp_path / "whole", CPU)
    whole.run()
    assert all(torch.equal(value, weights(resumed)[name]) for name, value in weights(whole).items())


def test_another_recipe_does_not_overwrite_a_run(tmp_path: Path) -> None:
    Trainer(RECIPE, stripes(), tmp_path, CPU)
    with pytest.raises(ConfigError, match="holds the run of another recipe"):
        Trainer(replace(RECIPE, seed=1), stripes(), tmp_path, CPU)


@pytest.mark.parametrize("change", ["pixel", "label", "more"])
def test_a_run_does_not_go_on_with_other_images(tmp_path: Path, change: str) -> None:
    Trainer(RECIPE, stripes(), tmp_path, CPU).run(stop_after=2)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    data = stripes()
    if change == "more":
        data = TrainingData(torch.cat([data.images] * 2), torch.cat([data.labels] * 2))
    else:
        changed = data.images if change == "pixel" else data.labels
        changed.view(-1)[-1] += 1 if changed.view(-1)[-1] == 0 else -1
    with pytest.raises(ConfigError, match="training images are not those that the run in"):
        Trainer(RECIPE, data, tmp_path, CPU)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert Trainer(RECIPE, stripes(), tmp_path, CPU).step == 2


def test_a_checkpoint_of_before_images_were_noted_goes_on(tmp_path: Path) -> None:
    Trainer(RECIPE, stripes(), tmp_path, CPU).run(stop_after=2)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del state["data"]
    torch.save(state, tmp_path / "checkpoint.pt")
    assert Trainer(RECIPE, stripes(), tmp_path, CPU).step == 2


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    Trainer(RECIPE, stripes(), tmp_path, CPU).run(stop_after=2)
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ConfigError, match="is damaged; start afresh with --restart"):
        Trainer(RECIPE, stripes(), tmp_path, CPU)


@pytest.mark.parametrize("damage", [b"a,b\n1,2\n", b"step\nmany\n", b"\xff\xfe\x00"])
def test_a_damaged_curve_is_named(tmp_path: Path, damage: bytes) -> None:
    Trainer(RECIPE, stripes(), tmp_path, CPU).run(stop_after=2)
    (tmp_path / "metrics.csv").write_bytes(damage)
    with pytest.raises(ConfigError, match="metrics.csv is damaged; start afresh"):
        Trainer(RECIPE, stripes(), tmp_path, CPU)


def test_a_damaged_recipe_of_a_run_is_named(tmp_path: Path) -> None:
    Trainer(RECIPE, stripes(), tmp_path, CPU)
    (tmp_path / "recipe.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is damaged; start afresh with --restart"):
        Trainer(RECIPE, stripes(), tmp_path, CPU)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left"),
        (RuntimeError("PytorchStreamWriter failed writing file data/3"), "the disk may be full"),
    ],
)
def test_a_full_disk_is_a_sentence_and_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    trainer = Trainer(RECIPE, stripes(), tmp_path, CPU)
    trainer.run(stop_after=2)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(ConfigError, match=f"Cannot write to .*: {reason}"):
        trainer.run(stop_after=3)
    monkeypatch.undo()
    assert Trainer(RECIPE, stripes(), tmp_path, CPU).step == 2


def test_a_checkpoint_of_another_number_of_processes_is_refused(tmp_path: Path) -> None:
    Trainer(RECIPE, stripes(), tmp_path, CPU).run(stop_after=2)
    path = tmp_path / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    torch.save({**state, "world": 2}, path)
    with pytest.raises(ConfigError, match="trained by 2 processes"):
        Trainer(RECIPE, stripes(), tmp_path, CPU)


def test_workers_share_each_epoch_without_overlap(tmp_path: Path) -> None:
    trainers = [Trainer(RECIPE, stripes(), tmp_path / str(rank), CPU) for rank in range(2)]
    for rank, trainer in enumerate(trainers):
        trainer.worker = Worker(rank, 2)
    seen = [
        index
        for trainer in trainers
        for step in range(4)
        for index in trainer._batch_indices(0, step).tolist()
    ]
    assert sorted(seen) == list(range(128))


def test_an_epoch_is_shuffled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step takes its share of the permutation that the epoch's seed gives."""
    trainer = Trainer(RECIPE, stripes(), tmp_path, CPU)
    size, steps = RECIPE.batch_size, trainer.steps_per_epoch
    orders = [
        torch.randperm(128, generator=make_generator(derive_seed(RECIPE.seed, "order", epoch)))
        for epoch in range(2)
    ]
    shuffles: list[int] = []
    shuffle = torch.randperm

    def count(*args: Any, **options: Any) -> torch.Tensor:
        shuffles.append(1)
        return shuffle(*args, **options)

    monkeypatch.setattr(torch, "randperm", count)
    for epoch in (0, 1, 0):
        for index in range(steps):
            expected = orders[epoch][index * size : (index + 1) * size]
            assert torch.equal(trainer._batch_indices(epoch, index), expected)
    assert len(shuffles) == 3


def test_the_schedule_rises_to_the_peak_and_ends_near_zero() -> None:
    rates = [learning_rate(RECIPE, step, 100) for step in range(100)]
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(RECIPE.learning_rate)
    assert peak == pytest.approx(20, abs=1)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < RECIPE.learning_rate / 100


def test_validation_images_are_never_trained_on() -> None:
    data = TrainingData(torch.arange(50).view(50, 1, 1, 1).to(torch.uint8), torch.arange(50))
    training, validation = split_validation(data, 10)
    assert sorted([*training.labels.tolist(), *validation.labels.tolist()]) == list(range(50))
    assert len(validation) == 10


def test_every_seed_holds_the_same_images_out(tmp_path: Path) -> None:
    """Those of the shipped models, whose seed is 0: a teacher has not learnt from them either."""
    runs = [
        Trainer(replace(RECIPE, seed=seed), stripes(), tmp_path / str(seed), CPU) for seed in (0, 5)
    ]
    order = torch.randperm(160, generator=make_generator(derive_seed(0, "validation")))
    for run in runs:
        assert torch.equal(run.validation.images, stripes().images[order[:32]])
        assert torch.equal(run.training.images, stripes().images[order[32:]])


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few to hold out"):
        Trainer(RECIPE, stripes(20), tmp_path, CPU)
    with pytest.raises(DataError, match="do not fill one batch"):
        Trainer(RECIPE, stripes(40), tmp_path, CPU)


def test_a_diverging_run_says_so(tmp_path: Path) -> None:
    recipe = replace(RECIPE, learning_rate=999.0, warmup=0.0, bfloat16=False, epochs=20)
    model = replace(MODEL, neuron="relu", coding="direct")
    with pytest.raises(ConfigError, match="The loss is not finite"):
        Trainer(replace(recipe, model=model, weight_decay=0.99), stripes(), tmp_path, CPU).run()


def test_augmentation_shifts_and_mirrors_and_nothing_else() -> None:
    x = torch.rand(64, 3, 8, 8)
    y = augment(x, 2, True, make_generator(0))
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2))
    shifts, mirrors = set(), set()
    for before, after in zip(padded, y, strict=True):
        crops = {
            (row, column): before[:, row : row + 8, column : column + 8]
            for row in range(5)
            for column in range(5)
        }
        matches = [
            (shift, mirrored)
            for shift, crop in crops.items()
            for mirrored in (False, True)
            if torch.equal(crop.flip(2) if mirrored else crop, after)
        ]
        assert len(matches) == 1
        shifts.add(matches[0][0])
        mirrors.add(matches[0][1])
    assert len(shifts) > 15
    assert mirrors == {False, True}


def test_no_augmentation_is_the_identity() -> None:
    x = torch.rand(4, 3, 8, 8)
    assert torch.equal(augment(x, 0, False, make_generator(0)), x)
