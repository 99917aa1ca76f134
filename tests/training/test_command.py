"""`python -m rsc_snn train` from end to end on a small image folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from rsc_snn.classifier import ModelConfig, build_classifier
from rsc_snn.cli import main
from rsc_snn.errors import ConfigError, ZooError
from rsc_snn.training.lock import alone_in
from rsc_snn.training.loop import Worker
from tests.training.conftest import RECIPE

TORCHRUN = (
    sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
)  # fmt: skip


def arguments(folder: Path, *more: str) -> list[str]:
    return [
        "train",
        str(folder / "tiny.toml"),
        "--data",
        str(folder / "data"),
        "--out",
        str(folder / "run"),
        "--device",
        "cpu",
        *more,
    ]


def _change(folder: Path, old: str, new: str) -> None:
    recipe = folder / "tiny.toml"
    recipe.write_text(recipe.read_text().replace(old, new))


def test_training_a_folder_writes_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(folder)) == 0
    assert "tiny: 40 images" in capsys.readouterr().out
    assert {path.name for path in (folder / "run").iterdir()} == {
        "checkpoint.pt",
        "metrics.csv",
        "recipe.json",
        "run.lock",
    }


def test_torchrun_trains_with_two_processes(folder: Path) -> None:
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [*TORCHRUN, "-m", "rsc_snn", *arguments(folder, "--threads", "1")],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("tiny: 40 images") == 1
    assert (folder / "run" / "metrics.csv").read_text().count("\n") == 3


def test_a_student_takes_the_scale_of_its_teacher(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a CUDA machine, where `gpu` comes first, with a teacher of the scale `cpu`."""
    recipe = folder / "tiny.toml"
    student = recipe.read_text()
    teacher = student.replace('"tiny"', '"teacher"') + "[scales.gpu.model]\nwidths = [4]\n"
    recipe.write_text(teacher)
    models = ["--export", str(folder / "models")]
    assert main(arguments(folder, *models, "--scale", "cpu")) == 0

    recipe.write_text(
        f'teacher = "teacher"\ndistillation = 1.0\n{student}[scales.gpu.model]\nwidths = [4]\n'
    )
    monkeypatch.setattr("rsc_snn.training.batch.default_scale", lambda device: "gpu")
    assert main(arguments(folder, *models, "--restart")) == 0
    assert json.loads((folder / "models" / "tiny.json").read_text())["training"]["scale"] == "cpu"
    capsys.readouterr()
    assert main(arguments(folder, *models, "--restart", "--scale", "gpu")) == 2
    assert "their widths differ ((4,) at --scale gpu and (8,))" in capsys.readouterr().err


def test_a_finished_run_is_not_trained_again_unless_restarted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(folder)) == 0
    assert "finished run in" not in capsys.readouterr().out
    first = (folder / "run" / "metrics.csv").read_text()
    assert main(arguments(folder)) == 0
    assert (folder / "run" / "metrics.csv").read_text() == first
    assert "finished run in" in capsys.readouterr().out
    _change(folder, "epochs = 2", "epochs = 1")
    assert main(arguments(folder)) == 2
    (folder / "run" / "thesis.tex").write_text("years of work")
    assert main(arguments(folder, "--restart")) == 0
    assert (folder / "run" / "metrics.csv").read_text().count("\n") == 2
    assert (folder / "run" / "thesis.tex").read_text() == "years of work"


def test_two_commands_do_not_train_in_one_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever holds the lock: here this process, as another command would."""
    run = folder / "run"
    assert main(arguments(folder)) == 0
    before = {path: path.read_bytes() for path in run.iterdir()}
    with alone_in(run, Worker(), torch.device("cpu")):
        capsys.readouterr()
        for more in ([], ["--restart"], ["--export", str(folder / "models")]):
            assert main(arguments(folder, *more)) == 2
            error = capsys.readouterr().err
            assert "Another process is training in" in error and error.count("\n") == 1
    assert {path: path.read_bytes() for path in run.iterdir()} == before
    assert main(arguments(folder, "--restart")) == 0


def test_a_folder_stays_locked_until_the_model_is_exported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    def export(*_: object, **__: object) -> None:
        with (
            pytest.raises(ConfigError, match="Another process is training"),
            alone_in(folder / "run", Worker(), torch.device("cpu")),
        ):
            pass
        refused.append(True)
        raise ZooError("no more of it")

    monkeypatch.setattr("rsc_snn.training.batch.export_run", export)
    assert main(arguments(folder, "--export", str(folder / "models"))) == 2
    assert refused


def test_without_locks_training_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on some network file systems, and on systems that have no such locks."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    assert main(arguments(folder)) == 0
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert main(arguments(folder, "--restart")) == 0


def save_teacher(folder: Path, name: str = "teacher") -> None:
    """An untrained own model that the small recipe can learn from; its card is minimal."""
    config = ModelConfig(
        neuron="relu",
        coding="direct",
        num_classes=2,
        image_size=16,
        widths=(8,),
        depths=(1,),
        time_steps=1,
    )
    weights = build_classifier(config).state_dict()
    folder.mkdir(exist_ok=True)
    save_file(
        {key: value.contiguous() for key, value in weights.items()}, folder / f"{name}.safetensors"
    )
    card = {"dataset": "folder", "classes": ["a", "b"], "config": config.to_json()}
    (folder / f"{name}.json").write_text(json.dumps(card), encoding="utf-8")


def as_student(folder: Path) -> None:
    recipe = folder / "tiny.toml"
    recipe.write_text(f'teacher = "teacher"\ndistillation = 1.0\n{recipe.read_text()}')


@pytest.mark.parametrize("place", ["export", "option", "variable"])
def test_an_own_model_with_a_minimal_card_teaches(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    as_student(folder)
    save_teacher(folder / "mine")
    (folder / "others").mkdir()
    models = folder / ("mine" if place == "export" else "models")
    options = ["--export", str(models)]
    if place == "option":
        options += ["--zoo", str(folder / "others"), "--zoo", str(folder / "mine")]
    if place == "variable":
        monkeypatch.setenv("RSC_SNN_ZOO", str(folder / "mine"))
        options += ["--zoo", str(folder / "others")]
    assert main(arguments(folder, *options)) == 0
    facts = json.loads((models / "tiny.json").read_text(encoding="utf-8"))["training"]
    weights = (folder / "mine" / "teacher.safetensors").read_bytes()
    assert facts["teacher_sha256"] == hashlib.sha256(weights).hexdigest()
    assert ("--zoo FOLDER" in facts["command"]) == (place != "export")


def test_a_named_teacher_that_another_hides_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    as_student(folder)
    for name in ("mine", "models"):
        save_teacher(folder / name)
    options = ["--zoo", str(folder / "mine"), "--export", str(folder / "models")]
    assert main(arguments(folder, *options)) == 2
    error = capsys.readouterr().err
    assert f"The model teacher of {folder / 'mine'} is left out" in error
    assert not (folder / "run").exists()


def test_the_models_that_ship_teach_beside_own_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_student(folder)
    (folder / "teacher.toml").write_text(RECIPE.replace('"tiny"', '"teacher"'))
    options = ["--data", str(folder / "data"), "--out", str(folder / "made"), "--device", "cpu"]
    options += ["--export", str(folder / "assets" / "models")]
    assert main(["train", str(folder / "teacher.toml"), *options]) == 0
    monkeypatch.setenv("RSC_SNN_ASSETS", str(folder / "assets"))
    (folder / "others").mkdir()
    assert main(arguments(folder, "--zoo", str(folder / "others"))) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--device", "abacus"], "'abacus' is not available"),
        (["--threads", "0"], "number of threads must be between 1 and"),
        (["--threads", "1000000"], "number of threads must be between 1 and"),
        (["--data", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    assert main(arguments(folder, *change)) == 2
    error = capsys.readouterr().err
    assert error.startswith("rsc-snn: error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_network_that_no_memory_holds_is_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _change(folder, "widths = [8]", "widths = [1000000000000]")
    assert main(arguments(folder)) == 2
    error = capsys.readouterr().err
    assert "does not fit into the memory" in error and "Traceback" not in error


def test_more_classes_than_the_model_has_is_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _change(folder, "num_classes = 2", "num_classes = 3")
    assert main(arguments(folder)) == 2
    assert "2 classes" in capsys.readouterr().err


def test_an_export_that_cannot_be_written_is_known_before_training(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "models").write_text("a file")
    assert main(arguments(folder, "--export", str(folder / "models"))) == 2
    assert "Cannot write to" in capsys.readouterr().err
    assert not (folder / "run").exists()
