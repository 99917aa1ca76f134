"""`python -m rsc_snn train` from end to end on a small image folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rsc_snn.cli import main

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
    assert done.returncode == 0, done.stderr[-2000:]
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


def test_a_finished_run_is_not_trained_again_unless_restarted(folder: Path) -> None:
    assert main(arguments(folder)) == 0
    first = (folder / "run" / "metrics.csv").read_text()
    assert main(arguments(folder)) == 0
    assert (folder / "run" / "metrics.csv").read_text() == first
    _change(folder, "epochs = 2", "epochs = 1")
    assert main(arguments(folder)) == 2
    (folder / "run" / "thesis.tex").write_text("years of work")
    assert main(arguments(folder, "--restart")) == 0
    assert (folder / "run" / "metrics.csv").read_text().count("\n") == 2
    assert (folder / "run" / "thesis.tex").read_text() == "years of work"


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
