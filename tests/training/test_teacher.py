"""Learning from a teacher of the zoo, and the guard of single-step adversarial training."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rsc_snn.classifier import build_classifier
from rsc_snn.errors import ConfigError, ZooError
from rsc_snn.training.adversarial import AdversarialConfig
from rsc_snn.training.batch import teacher_zoo
from rsc_snn.training.loop import Trainer, learning_rate
from rsc_snn.training.objective import Objective
from rsc_snn.training.recipe import Recipe
from rsc_snn.training.teacher import Teacher, load_teacher
from rsc_snn.zoo import CleanAccuracy, TrainingFacts, Zoo, models_folder, save_model
from tests.training.test_loop import CPU, MODEL, RECIPE, stripes, weights

TAUGHT = replace(
    RECIPE, teacher="twin", teacher_weights=True, distillation=1.0, presynaptic=0.5, epochs=2
)
ATTACKED = replace(
    RECIPE, epochs=3, adversarial=AdversarialConfig("fgsm", epsilon=4, step_size=5, watched=16)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of models with the untrained ANN twin of the tests' model."""
    return save_twin(tmp_path / "models", 3)


def save_twin(folder: Path, seed: int, **changes: Any) -> Path:
    config = replace(MODEL, neuron="relu", coding="direct", time_steps=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = build_classifier(replace(config, **changes))
    save_model(
        twin,
        name="twin",
        label="Twin",
        dataset="stripes",
        classes=("across", "down"),
        training=TrainingFacts({}, 1, 0, 1.0, "CPU", {}, "none", ""),
        clean_accuracy=CleanAccuracy(0.5, 0.4, 0.6, 10, 0.95, 1, 0, "test", ""),
        limits="none",
        folder=folder,
    )
    return folder


def trainer(recipe: Recipe, run: Path, models: Path | None) -> Trainer:
    teacher = None if models is None else load_teacher(recipe, Zoo(models), CPU)
    return Trainer(recipe, stripes(), run, CPU, teacher=teacher)


def test_the_student_starts_from_the_teachers_weights(folder: Path, tmp_path: Path) -> None:
    started = trainer(TAUGHT, tmp_path / "run", folder)
    for name, value in Zoo(folder).weights("twin").items():
        assert torch.equal(weights(started)[name], value)
    fresh = trainer(replace(TAUGHT, teacher_weights=False), tmp_path / "fresh", folder)
    name = "backbone.convs.0.conv.weight"
    assert not torch.equal(weights(fresh)[name], weights(started)[name])


def test_a_taught_run_resumes_to_the_same_weights(folder: Path, tmp_path: Path) -> None:
    whole = trainer(TAUGHT, tmp_path / "whole", folder)
    whole.run()
    trainer(TAUGHT, tmp_path / "parts", folder).run(stop_after=5)
    resumed = trainer(TAUGHT, tmp_path / "parts", folder)
    assert resumed.step == 5
    resumed.run()
    assert all(torch.equal(value, weights(resumed)[name]) for name, value in weights(whole).items())


@pytest.mark.parametrize("coding", ["rsc", "poisson"])
def test_a_run_taught_with_noise_resumes_to_the_same_weights(
    tmp_path: Path, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The teacher's noise is drawn by the step, whatever was drawn before."""
    models = save_twin(tmp_path / "models", 3, coding=coding, sigma=0.2, time_steps=2)
    runs = [trainer(TAUGHT, tmp_path / name, models) for name in ("whole", "parts")]
    noise: list[torch.Tensor] = []
    for run in runs:
        assert run.teacher is not None
        run.teacher.model.backbone.register_forward_pre_hook(
            lambda _, args: noise.append(args[0].clone())
        )
    runs[0].run(stop_after=6)
    torch.rand(7)  # moves torch's own generator
    runs[1].run(stop_after=3)
    resumed = trainer(TAUGHT, tmp_path / "parts", models)
    torch.rand(7)
    resumed.run(stop_after=6)
    for name, value in weights(runs[0]).items():
        assert torch.equal(value, weights(resumed)[name]), name
    assert not torch.equal(noise[0], noise[1])


def test_another_teacher_in_the_middle_is_refused(folder: Path, tmp_path: Path) -> None:
    trainer(TAUGHT, tmp_path / "run", folder).run(stop_after=2)
    save_twin(folder, 4)
    with pytest.raises(ConfigError, match="teacher twin has changed"):
        trainer(TAUGHT, tmp_path / "run", folder)


def test_a_teacher_is_looked_for_where_the_model_goes_and_then_in_the_app(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    found = teacher_zoo(TAUGHT, folder)
    assert found is not None and found.folder == folder
    for other in (None, tmp_path / "empty", tmp_path / "new"):
        found = teacher_zoo(TAUGHT, other)
        assert found is not None and found.folder == models_folder()
    assert teacher_zoo(RECIPE, folder) is None


def test_a_teacher_of_another_shape_or_none_is_refused(folder: Path, tmp_path: Path) -> None:
    wide = replace(TAUGHT, model=replace(MODEL, widths=(8, 16)))
    with pytest.raises(ConfigError, match="their widths differ"):
        Teacher(wide, Zoo(folder))
    for field, model in (
        ("mean", replace(MODEL, mean=(0.4, 0.5, 0.6))),
        ("std", replace(MODEL, std=(0.2, 0.2, 0.3))),
        ("in_channels", replace(MODEL, in_channels=1, mean=(0.5,), std=(0.25,))),
    ):
        with pytest.raises(ConfigError, match=f"their {field} differ"):
            Teacher(replace(TAUGHT, model=model), Zoo(folder))
    with pytest.raises(ZooError, match="no model called 'nobody'"):
        Teacher(replace(TAUGHT, teacher="nobody"), Zoo(folder))
    with pytest.raises(ConfigError, match="needs the teacher twin"):
        trainer(TAUGHT, tmp_path / "run", None)


def metrics(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_adversarial_training_resists_its_attack(tmp_path: Path) -> None:
    """Stripes of contrast 180/255 can be told apart at epsilon 4/255, so robustness is learnt."""
    run = trainer(ATTACKED, tmp_path, None)
    run.run()
    rows = metrics(tmp_path)
    assert [row["guarded"] for row in rows] == ["0", "0", "0"]
    assert float(rows[-1]["validation_robust"]) > 0.8


def test_the_guard_goes_back_and_on_with_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watched accuracy that falls after the second epoch: back to the end of the first."""
    watched = iter([0.8, 0.1, 0.7])
    monkeypatch.setattr(Trainer, "_validation_robust", lambda self: next(watched))
    run = trainer(ATTACKED, tmp_path, None)
    run.run(stop_after=run.steps_per_epoch)
    first = {name: value.clone() for name, value in weights(run).items()}
    run.run(stop_after=2 * run.steps_per_epoch)
    assert run.guarded
    assert all(torch.equal(value, first[name]) for name, value in weights(run).items())
    resumed = trainer(ATTACKED, tmp_path, None)
    assert resumed.guarded
    resumed.run()
    assert [row["guarded"] for row in metrics(tmp_path)] == ["0", "1", "1"]
    config = resumed._adversarial()
    assert (config.method, config.steps, config.step_size) == ("pgd", 2, 2)


@pytest.mark.parametrize(("content", "state"), [(None, "missing"), (b"half", "damaged")])
def test_a_run_without_the_model_to_go_back_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, state: str
) -> None:
    """At once, while the guard may need it; a finished run and one that went back do not."""
    watched = iter([0.8, 0.7, 0.1, 0.6])
    monkeypatch.setattr(Trainer, "_validation_robust", lambda self: next(watched))
    sentence = f"epoch.pt, which .*, is {state}; start afresh with --restart"

    def lose() -> None:
        (tmp_path / "epoch.pt").unlink()
        if content is not None:
            (tmp_path / "epoch.pt").write_bytes(content)

    run = trainer(ATTACKED, tmp_path, None)
    epoch = run.steps_per_epoch
    run.run(stop_after=epoch - 1)
    trainer(ATTACKED, tmp_path, None).run(stop_after=epoch)
    kept = (tmp_path / "epoch.pt").read_bytes()
    lose()
    with pytest.raises(ConfigError, match=sentence):
        trainer(ATTACKED, tmp_path, None)
    (tmp_path / "epoch.pt").write_bytes(kept)
    run = trainer(ATTACKED, tmp_path, None)
    run.run(stop_after=3 * epoch - 1)
    lose()  # while it trains
    with pytest.raises(ConfigError, match=sentence):
        run.run()
    (tmp_path / "epoch.pt").write_bytes(kept)
    watched = iter([0.1, 0.6])
    trainer(ATTACKED, tmp_path, None).run()
    lose()
    finished = trainer(ATTACKED, tmp_path, None)
    assert finished.guarded and finished.step == finished.steps


def test_a_last_epoch_that_collapses_is_trained_again_with_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacks: list[tuple[int, str]] = []
    loss = Objective.loss

    def spy(self: Objective, x: Any, labels: Any, adversarial: Any, draw: Any) -> Any:
        attacks.append((adversarial.steps, adversarial.method))
        return loss(self, x, labels, adversarial, draw)

    def watch(*values: float) -> None:
        watched = iter(values)
        monkeypatch.setattr(Trainer, "_validation_robust", lambda self: next(watched))

    monkeypatch.setattr(Objective, "loss", spy)
    watch(0.8, 0.7, 0.1, 0.6)
    whole = trainer(ATTACKED, tmp_path / "whole", None)
    whole.run()
    epoch = whole.steps_per_epoch
    assert attacks == 3 * epoch * [(1, "fgsm")] + epoch * [(2, "pgd")]
    assert whole.guarded and whole.step == whole.steps
    rows = metrics(tmp_path / "whole")
    assert [row["guarded"] for row in rows] == ["0", "0", "1"]
    assert [row["validation_robust"] for row in rows] == ["0.8", "0.7", "0.6"]
    assert [int(row["step"]) for row in rows] == [epoch, 2 * epoch, 3 * epoch]

    watch(0.8, 0.7, 0.1)
    calls = 0

    def kill(step: int, steps: int, loss: float) -> None:
        nonlocal calls
        calls += 1
        if calls == 3 * epoch + 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(ATTACKED, tmp_path / "parts", None).run(kill)
    watch(0.6)
    resumed = trainer(ATTACKED, tmp_path / "parts", None)
    assert resumed.guarded and resumed.step == 2 * epoch
    resumed.run()
    assert all(torch.equal(value, weights(resumed)[name]) for name, value in weights(whole).items())
    for one, other in zip(rows, metrics(tmp_path / "parts"), strict=True):
        assert {**one, "seconds": ""} == {**other, "seconds": ""}


def test_the_row_of_a_collapsed_epoch_is_of_one_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was given up, by both accuracies and by the rate it learnt with."""

    def fingerprint(run: Trainer) -> float:
        return float(weights(run)["backbone.convs.0.conv.weight"].double().sum())

    seen: list[float] = []

    def collapse(run: Trainer) -> float:
        seen.append(fingerprint(run))
        return 0.8 if len(seen) == 1 else 0.1

    monkeypatch.setattr(Trainer, "_validation_robust", collapse)
    monkeypatch.setattr(Trainer, "_validation_accuracy", fingerprint)
    run = trainer(ATTACKED, tmp_path, None)
    run.run()
    rows = metrics(tmp_path)
    assert run.guarded and len(set(seen)) == 3
    assert [float(row["validation_accuracy"]) for row in rows] == seen
    rates = [learning_rate(ATTACKED, int(row["step"]) - 1, run.steps) for row in rows]
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx(rates, abs=1e-6)


def test_runs_without_attack_watch_nothing(tmp_path: Path) -> None:
    run = trainer(RECIPE, tmp_path, None)
    run.run(stop_after=run.steps_per_epoch)
    assert metrics(tmp_path)[0]["validation_robust"] == ""
    assert not (tmp_path / "epoch.pt").exists()
