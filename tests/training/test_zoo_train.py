"""`zoo train`: what is missing, in which order, and the same weights after a kill."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rsc_snn.classifier import ModelConfig
from rsc_snn.cli import main
from rsc_snn.errors import ConfigError
from rsc_snn.training.batch import (
    Recipes,
    changed_fields,
    data_obstacle,
    default_scale,
    plan,
    put_aside,
    read_fitting,
    read_recipes,
    reason_to_train,
    teachers_first,
)
from rsc_snn.training.lock import alone_in
from rsc_snn.training.loop import Worker
from rsc_snn.training.recipe import Recipe
from rsc_snn.training.teacher import Teacher
from rsc_snn.zoo import Zoo, named_zoo
from tests.conftest import TINY_CONFIGS, save_tiny_model, stated
from tests.training.test_command import save_teacher

ROOT = Path(__file__).parents[2]

TEACHER = """
name = "teacher"
label = "Teacher"
dataset = "folder"
epochs = 1
batch_size = 8
validation = 8

[model]
neuron = "relu"
coding = "direct"
num_classes = 2
image_size = 16
widths = [8]
depths = [1]
time_steps = 1

[scales.gpu]
epochs = 2
"""
STUDENT = """
name = "astudent"
label = "Student"
dataset = "folder"
epochs = 60
batch_size = 8
validation = 8
teacher = "teacher"
teacher_weights = true
distillation = 1.0

[model]
num_classes = 2
image_size = 16
widths = [8]
depths = [1]
time_steps = 2
"""
ELSEWHERE = """
name = "elsewhere"
label = "Elsewhere"
dataset = "imagenet"
"""


@pytest.fixture
def zoo_folder(folder: Path) -> Path:
    """The small image folder, with three recipes in `recipes/`; the first teaches the second."""
    (folder / "recipes").mkdir()
    for name, text in (("teacher", TEACHER), ("astudent", STUDENT), ("elsewhere", ELSEWHERE)):
        (folder / "recipes" / f"{name}.toml").write_text(text)
    return folder


def command(folder: Path, *more: str, models: str = "models", runs: str = "runs") -> list[str]:
    places = {
        "--data": "data",
        "--recipes": "recipes",
        "--folder": models,
        "--runs": runs,
    }
    options = [item for name, place in places.items() for item in (name, str(folder / place))]
    return ["zoo", "train", *more, *options, "--device", "cpu", "--threads", "1"]


def edit(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / "recipes" / f"{name}.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def few_epochs(folder: Path) -> None:
    edit(folder, "astudent", "epochs = 60", "epochs = 2")


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rsc_snn", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def epochs_done(run: Path) -> int:
    """Rows of a run's curve; it is renamed into place, so it is never half."""
    try:
        with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
            return len(list(csv.DictReader(file)))
    except FileNotFoundError:
        return 0


def test_a_killed_batch_goes_on_where_it_was(zoo_folder: Path) -> None:
    """SIGKILL while the student learns; then the same command: the weights of an unbroken batch."""
    process = start(command(zoo_folder, "--missing"))
    run, deadline = zoo_folder / "runs" / "astudent", time.monotonic() + 100
    while epochs_done(run) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output
    before = (run / "metrics.csv").read_text()
    assert 3 <= epochs_done(run) < 60
    made = stamps(zoo_folder / "models")
    assert set(made) == {"teacher.safetensors"}

    process = start(command(zoo_folder, "--missing"))
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    assert "keep   teacher: up to date" in output
    assert stamps(zoo_folder / "models")["teacher.safetensors"] == made["teacher.safetensors"]
    # The epochs before the last checkpoint were not trained again: their times are still there.
    kept = before.splitlines()[:-1]
    assert (run / "metrics.csv").read_text().splitlines()[: len(kept)] == kept

    process = start(command(zoo_folder, "--missing", models="whole", runs="whole-runs"))
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    for name in ("teacher", "astudent"):
        resumed, whole = (
            load_file(zoo_folder / place / f"{name}.safetensors") for place in ("models", "whole")
        )
        assert set(resumed) == set(whole)
        assert all(torch.equal(resumed[key], whole[key]) for key in whole)


def test_a_run_on_other_images_is_put_aside(
    zoo_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few_epochs(zoo_folder)
    assert main(command(zoo_folder, "teacher")) == 0
    first, *_ = sorted((zoo_folder / "data" / "train" / "a").iterdir())
    first.unlink()
    assert main(command(zoo_folder, "teacher")) == 0
    assert "the run on other images is now in" in capsys.readouterr().out
    assert (zoo_folder / "runs" / "teacher-old-1" / "checkpoint.pt").is_file()
    assert main(command(zoo_folder, "teacher")) == 0, "and its own goes on"
    assert not (zoo_folder / "runs" / "teacher-old-2").exists()


def test_it_trains_what_is_missing_and_keeps_the_rest(
    zoo_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few_epochs(zoo_folder)
    assert main(command(zoo_folder, "--missing", "--dry-run")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "train  teacher (cpu scale): it has no model yet"
    assert lines[1] == "train  astudent (cpu scale): it has no model yet"
    assert lines[2] == "skip   elsewhere: its data has 2 classes, its model 10"
    assert len(lines) == 3
    assert not (zoo_folder / "models").exists() and not (zoo_folder / "runs").exists()

    assert main(command(zoo_folder, "--missing")) == 0
    zoo = Zoo(zoo_folder / "models")
    assert zoo.names() == ("astudent", "teacher") and zoo.problems() == {}
    card = zoo.card("astudent")
    assert stated(card.training).teacher == "teacher"
    assert stated(card.training).teacher_sha256 == zoo.card("teacher").sha256
    made = stamps(zoo.folder)

    capsys.readouterr()
    assert main(command(zoo_folder, "--missing")) == 0
    assert capsys.readouterr().out.count("up to date") == 2
    assert stamps(zoo.folder) == made
    with monkeypatch.context() as patch:
        patch.setattr("rsc_snn.training.batch.default_scale", lambda device: "gpu")
        assert main(command(zoo_folder, "--missing")) == 0
    assert "--scale gpu trains the larger ones" in capsys.readouterr().out

    # Another recipe: that model and nothing else, and its old run is kept aside.
    edit(zoo_folder, "astudent", "distillation = 1.0", "distillation = 0.5")
    assert main(command(zoo_folder, "--missing")) == 0
    output = capsys.readouterr().out
    assert "train  astudent (cpu scale): its recipe has changed (distillation)" in output
    assert "the run of another recipe or teacher is now in" in output
    assert json.loads((zoo_folder / "runs/astudent-old-1/recipe.json").read_text())[
        "distillation"
    ] == pytest.approx(1)
    after = stamps(zoo.folder)
    assert after["teacher.safetensors"] == made["teacher.safetensors"]
    assert after["astudent.safetensors"] != made["astudent.safetensors"]


def test_a_new_teacher_trains_its_students_again(
    zoo_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few_epochs(zoo_folder)
    assert main(command(zoo_folder, "--missing")) == 0
    edit(zoo_folder, "teacher", "batch_size = 8", "batch_size = 4")
    capsys.readouterr()
    assert main(command(zoo_folder, "--missing")) == 0
    output = capsys.readouterr().out
    assert "its recipe has changed (batch_size)" in output
    assert "its teacher teacher is trained first" in output
    zoo = Zoo(zoo_folder / "models")
    assert stated(zoo.card("astudent").training).teacher_sha256 == zoo.card("teacher").sha256
    assert (zoo_folder / "runs/astudent-old-1").is_dir()


def test_names_are_trained_with_the_teachers_they_lack(
    zoo_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few_epochs(zoo_folder)
    assert main(command(zoo_folder, "astudent")) == 0
    assert Zoo(zoo_folder / "models").names() == ("astudent", "teacher")
    made = stamps(zoo_folder / "models")
    capsys.readouterr()
    assert main(command(zoo_folder, "astudent", "--missing")) == 0
    assert stamps(zoo_folder / "models") == made
    run = zoo_folder / "runs" / "astudent"
    curve = (run / "metrics.csv").read_bytes()
    assert main(command(zoo_folder, "astudent")) == 0
    output = capsys.readouterr().out
    assert (
        "train  astudent (cpu scale): asked for; a finished run is exported again, --restart"
        in output
    )
    assert f"finished run in {run}" in output
    assert "keep   teacher: up to date" in output
    again = stamps(zoo_folder / "models")
    assert again["teacher.safetensors"] == made["teacher.safetensors"]
    assert again["astudent.safetensors"] > made["astudent.safetensors"]
    assert (run / "metrics.csv").read_bytes() == curve

    assert main(command(zoo_folder, "astudent", "--restart")) == 0
    output = capsys.readouterr().out
    assert "train  astudent (cpu scale): asked for\n" in output
    assert "astudent: the earlier run is now in" in output
    assert "finished run in" not in output
    assert (zoo_folder / "runs/astudent-old-1/metrics.csv").read_bytes() == curve
    assert len((run / "metrics.csv").read_text().splitlines()) == 3
    assert not (zoo_folder / "runs/teacher-old-1").exists()


def test_a_run_in_which_another_process_trains_is_left_alone(
    zoo_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few_epochs(zoo_folder)
    third = TEACHER.replace('"teacher"', '"zlast"')
    (zoo_folder / "recipes" / "zlast.toml").write_text(third)
    run = zoo_folder / "runs" / "teacher"
    with alone_in(run, Worker(), torch.device("cpu")):
        assert main(command(zoo_folder, "--missing")) == 2
        error = capsys.readouterr().err
        assert f"teacher: Another process is training in {run}" in error
        assert Zoo(zoo_folder / "models").names() == ("zlast",)
        assert main(command(zoo_folder, "teacher", "--restart")) == 2
        (run / "recipe.json").write_text("{}")  # of another recipe, and still not to be moved
        assert main(command(zoo_folder, "teacher")) == 2
    assert {path.name for path in (zoo_folder / "runs").iterdir()} == {"teacher", "zlast"}


def test_an_own_model_without_a_recipe_teaches(
    zoo_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its card states no more than a card of one's own has to."""
    few_epochs(zoo_folder)
    edit(zoo_folder, "astudent", 'teacher = "teacher"', 'teacher = "mine"')
    save_teacher(zoo_folder / "models", "mine")
    assert main(command(zoo_folder, "astudent", "--missing")) == 0
    zoo = named_zoo(zoo_folder / "models")
    assert stated(zoo.card("astudent").training).teacher_sha256 == zoo.card("mine").sha256
    capsys.readouterr()
    assert main(command(zoo_folder, "astudent", "--missing")) == 0
    assert capsys.readouterr().out == "keep   astudent: up to date\n"


def test_a_named_recipe_without_data_is_exit_code_2(zoo_folder: Path) -> None:
    assert main(command(zoo_folder, "elsewhere")) == 2
    assert main(command(zoo_folder, "elsewhere", "--missing")) == 2


def test_one_that_fails_stops_its_students_alone(
    zoo_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few_epochs(zoo_folder)
    third = TEACHER.replace('"teacher"', '"zlast"')
    (zoo_folder / "recipes" / "zlast.toml").write_text(third)
    edit(zoo_folder, "teacher", "num_classes = 2", "num_classes = 3")
    assert main(command(zoo_folder, "--missing")) == 2
    errors = capsys.readouterr().err
    assert "teacher: The data has 2 classes, the recipe's model 3." in errors
    assert "astudent: Its teacher teacher could not be trained." in errors
    assert Zoo(zoo_folder / "models").names() == ("zlast",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ([], "Say what to train"),
        (["nobody"], "no recipe called 'nobody'; there are astudent, elsewhere, teacher"),
        (["--missing", "--threads", "0"], "number of threads must be between 1 and"),
        (["--missing", "--device", "abacus"], "'abacus' is not available"),
        (["--missing", "--data", "nowhere"], "The data folder 'nowhere' does not exist"),
        (["--missing", "--recipes", "nowhere"], "There are no recipes in nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    zoo_folder: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    base = command(zoo_folder)
    options = base[2:]
    assert main(["zoo", "train", *options, *change]) == 2
    error = capsys.readouterr().err
    assert error.startswith("rsc-snn: error: ")
    assert message in error
    assert error.count("\n") == 1


def test_it_works_in_one_process(
    zoo_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(command(zoo_folder, "--missing")) == 2
    assert "one process" in capsys.readouterr().err


# --- The plan ----------------------------------------------------------------------------------


def recipe(name: str, teacher: str = "", **fields: Any) -> Recipe:
    _, options = TINY_CONFIGS["tiny-rsc"]
    model = ModelConfig(widths=(8, 12), depths=(1, 1), **options)  # type: ignore[arg-type]
    return Recipe(name=name, label=name, model=model, teacher=teacher, **fields)


def as_recipes(*recipes: Recipe) -> Recipes:
    return {each.name: (each,) for each in recipes}


def at_hand(recipe: Recipe) -> str:
    return ""


def save_card(folder: Path, made: Recipe, **training: str) -> Path:
    """A model whose card says that `made` made it."""
    save_tiny_model(folder, made.name, made.label, made.model)
    path = folder / f"{made.name}.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["training"] |= {"recipe": json.loads(json.dumps(made.to_json())), **training}
    path.write_text(json.dumps(card), encoding="utf-8")
    return path


def without_new_fields(card: dict[str, Any]) -> None:
    """As cards were before recipes had scales, teachers and adversarial training."""
    card["schema"] = 1
    for name in ("class_accuracy", "float32_accuracy"):
        card.pop(name)
    for name in ("scale", "teacher", "teacher_sha256", "adversarial"):
        card["training"].pop(name)
    for name in ("scale", "teacher", "distillation", "adversarial", "sigma_range"):
        card["training"]["recipe"].pop(name)


def test_teachers_come_before_students_however_deep() -> None:
    recipes = as_recipes(
        recipe("a", teacher="b"), recipe("b", teacher="c"), recipe("c"), recipe("d", teacher="b")
    )
    assert teachers_first(recipes, recipes) == ["c", "b", "a", "d"]
    assert teachers_first(recipes, ["d"]) == ["c", "b", "d"]
    assert teachers_first(recipes, ["c", "a"]) == ["c", "b", "a"]


@pytest.mark.parametrize("ring", ["a", "ab", "abc"])
def test_recipes_that_teach_each_other_are_refused(ring: str) -> None:
    recipes = as_recipes(
        *(recipe(name, teacher=ring[(k + 1) % len(ring)]) for k, name in enumerate(ring))
    )
    with pytest.raises(ConfigError, match="The recipe a is its own teacher"):
        teachers_first(recipes, recipes)


def test_a_model_is_up_to_date_if_its_card_holds_the_recipe(tmp_path: Path) -> None:
    made = recipe("made")
    path = save_card(tmp_path, made)
    assert reason_to_train((made,), Zoo(tmp_path)) == ""
    card = json.loads(path.read_text(encoding="utf-8"))
    without_new_fields(card)
    path.write_text(json.dumps(card), encoding="utf-8")
    assert reason_to_train((made,), Zoo(tmp_path)) == ""


def test_reasons_to_train(tmp_path: Path) -> None:
    made = recipe("made")
    assert reason_to_train((made,), None) == "it has no model yet"
    card = save_card(tmp_path, made)
    assert reason_to_train((recipe("other"),), Zoo(tmp_path)) == "it has no model yet"
    changed = replace(made, epochs=9, model=replace(made.model, sigma=0.1))
    assert reason_to_train((changed,), Zoo(tmp_path)) == (
        "its recipe has changed (epochs, model.sigma)"
    )
    weights = card.with_suffix(".safetensors")
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert "damaged" in reason_to_train((made,), Zoo(tmp_path))
    weights.unlink()
    assert "missing" in reason_to_train((made,), Zoo(tmp_path))
    weights.write_bytes(data)
    card.write_text("{", encoding="utf-8")
    assert "not valid JSON" in reason_to_train((made,), Zoo(tmp_path))
    save_tiny_model(tmp_path, made.name, "Made", made.model)  # its recipe is {}
    assert reason_to_train((made,), Zoo(tmp_path)) == "its card does not hold its recipe"


def test_a_model_of_another_scale_is_kept_unless_a_scale_is_asked_for(tmp_path: Path) -> None:
    large = recipe("made", epochs=90, scale="gpu")
    save_card(tmp_path, large)
    small = replace(large, epochs=6, scale="cpu")
    assert reason_to_train((small, large), Zoo(tmp_path)) == ""
    assert reason_to_train((small,), Zoo(tmp_path)) == "its recipe has changed (epochs)"
    # A recipe without scales is the same at both.
    assert reason_to_train((replace(large, scale="cpu"),), Zoo(tmp_path)) == ""


def test_a_student_is_trained_at_the_size_of_the_teacher_that_is_kept(tmp_path: Path) -> None:
    ann = ModelConfig(neuron="relu", coding="direct", time_steps=1, widths=(4, 6), depths=(1, 1))
    snn = ModelConfig(widths=(4, 6), depths=(1, 1))
    small = replace(recipe("teacher"), model=ann)
    large = replace(small, model=replace(small.model, widths=(8, 12)), scale="gpu")
    student = replace(recipe("student", "teacher", distillation=1.0), model=snn)
    wide = replace(student, model=replace(student.model, widths=(8, 12)), scale="gpu")
    # As on a GPU: the larger variants come first.
    recipes = {"teacher": (large, small), "student": (wide, student)}

    def chosen(zoo: Zoo | None, *names: str, missing: bool = True) -> dict[str, str]:
        tasks = plan(recipes, zoo, names, missing=missing, obstacle=lambda _: "")
        return {task.recipe.name: task.recipe.scale for task in tasks if task.to_do}

    assert chosen(None) == {"teacher": "gpu", "student": "gpu"}
    save_card(tmp_path, small)
    zoo = Zoo(tmp_path)
    assert chosen(zoo) == {"student": "cpu"}
    assert chosen(zoo, "student", missing=False) == {"student": "cpu"}
    assert chosen(zoo, "teacher", "student", missing=False) == {"teacher": "gpu", "student": "gpu"}


def test_on_a_gpu_every_missing_shipped_model_can_learn_from_the_shipped_teachers() -> None:
    recipes = read_recipes(ROOT / "rsc_snn" / "recipes", "gpu", strict=False)
    zoo = Zoo(ROOT / "assets" / "models")
    students = [name for name, (each, *_) in recipes.items() if each.teacher in zoo.names()]
    assert students
    for name in students:
        (task,) = [
            task
            for task in plan(recipes, zoo, [name], missing=False, obstacle=lambda _: "")
            if task.recipe.name == name
        ]
        Teacher(task.recipe, zoo)


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_one_shipped_student_is_read_at_the_size_of_its_teacher(device: str) -> None:
    zoo = Zoo(ROOT / "assets" / "models")
    students = 0
    for path in sorted((ROOT / "rsc_snn" / "recipes").glob("*.toml")):
        made = read_fitting(path, torch.device(device), zoo, seed=3)
        assert made.seed == 3
        if made.teacher in zoo.names():
            students += 1
            Teacher(made, zoo)
        else:
            assert made.scale == default_scale(torch.device(device))
    assert students == 17


def test_a_student_of_weights_that_are_gone_is_out_of_date(tmp_path: Path) -> None:
    teacher, student = recipe("teacher"), recipe("student", teacher="teacher")
    save_card(tmp_path, teacher)
    sha256 = Zoo(tmp_path).card("teacher").sha256
    save_card(tmp_path, student, teacher_sha256=sha256)
    assert reason_to_train((student,), Zoo(tmp_path)) == ""
    save_card(tmp_path, student, teacher_sha256="0" * 64)
    assert reason_to_train((student,), Zoo(tmp_path)) == "its teacher teacher has changed"


def test_the_plan_says_what_stands_in_the_way(tmp_path: Path) -> None:
    recipes = as_recipes(
        recipe("teacher", dataset="folder:none"),
        recipe("student", teacher="teacher"),
        recipe("orphan", teacher="nobody"),
    )

    def obstacle(recipe: Recipe) -> str:
        return data_obstacle(recipe, tmp_path) if recipe.name == "teacher" else ""

    tasks = {
        task.recipe.name: task for task in plan(recipes, None, missing=True, obstacle=obstacle)
    }
    assert "No images of 'folder:none'" in tasks["teacher"].obstacle
    assert tasks["student"].obstacle == "its teacher teacher cannot be trained"
    assert tasks["orphan"].obstacle == "its teacher nobody has neither a recipe nor a model"
    assert not any(task.to_do for task in tasks.values())
    # With the teacher's model in the zoo its data is not needed.
    save_card(tmp_path / "models", recipes["teacher"][0])
    zoo = Zoo(tmp_path / "models")
    tasks = {task.recipe.name: task for task in plan(recipes, zoo, missing=True, obstacle=obstacle)}
    assert tasks["student"].to_do and not tasks["teacher"].to_do
    assert tasks["teacher"].line() == "keep   teacher: up to date"


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("cifar10", "there is no CIFAR-10 data in"),
        ("imagenette", "there is no Imagenette data in"),
        ("imagenet", "No images of 'imagenet'"),
        ("shapes", "There is no data set 'shapes'"),
    ],
)
def test_data_that_is_not_at_hand(tmp_path: Path, dataset: str, expected: str) -> None:
    sentence = data_obstacle(recipe("a", dataset=dataset), tmp_path)
    assert sentence.startswith(expected)
    assert "\n" not in sentence and not sentence.endswith(".")


def test_data_at_hand(tmp_path: Path) -> None:
    for name in ("imagenet/train/n01", "cifar10/train/airplane"):
        (tmp_path / name).mkdir(parents=True)
    for dataset in ("cifar10", "folder"):
        assert data_obstacle(recipe("a", dataset=dataset), tmp_path) == ""
    other = recipe("a", dataset="imagenet")
    assert data_obstacle(other, tmp_path) == "its data has 1 class, its model 10"
    fits = replace(other, model=replace(other.model, num_classes=1))
    assert data_obstacle(fits, tmp_path) == ""


def test_changed_fields_are_named() -> None:
    one = recipe("a", epochs=3)
    assert changed_fields(one, one) == []
    assert changed_fields(one, replace(one, scale="gpu")) == []
    other = replace(one, epochs=4, adversarial=replace(one.adversarial, method="fgsm"))
    assert changed_fields(one, other) == ["adversarial.method", "epochs"]


def test_recipes_are_read_at_their_scales(zoo_folder: Path) -> None:
    strict = read_recipes(zoo_folder / "recipes", "gpu", strict=True)
    assert [each.epochs for each in strict["teacher"]] == [2]
    both = read_recipes(zoo_folder / "recipes", "cpu", strict=False)
    assert [(each.scale, each.epochs) for each in both["teacher"]] == [("cpu", 1), ("gpu", 2)]
    edit(zoo_folder, "teacher", 'name = "teacher"', 'name = "tutor"')
    with pytest.raises(ConfigError, match="is called 'tutor'; it must be called like its file"):
        read_recipes(zoo_folder / "recipes", "cpu", strict=False)


def test_default_scale() -> None:
    assert default_scale(torch.device("cuda")) == "gpu"
    assert default_scale(torch.device("cpu")) == default_scale(torch.device("mps")) == "cpu"


def write_run(run: Path, text: str) -> None:
    run.mkdir(parents=True)
    (run / "recipe.json").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("text", ["", "[]", '{"name": "other"}'])
def test_the_run_of_another_recipe_is_put_aside(tmp_path: Path, text: str) -> None:
    for number in (1, 2):
        write_run(tmp_path / "a", text)
        assert put_aside(tmp_path / "a", recipe("a"), None) == tmp_path / f"a-old-{number}"
        assert (tmp_path / f"a-old-{number}" / "recipe.json").read_text() == text
        assert not (tmp_path / "a").exists()


def test_a_run_that_can_go_on_stays(tmp_path: Path) -> None:
    assert put_aside(tmp_path / "none", recipe("a"), None) is None
    write_run(tmp_path / "a", json.dumps(recipe("a").to_json(), indent=2))
    assert put_aside(tmp_path / "a", recipe("a"), None) is None


@pytest.mark.parametrize(("same", "damaged"), [(True, False), (False, False), (False, True)])
def test_the_run_of_another_teacher_is_put_aside(tmp_path: Path, same: bool, damaged: bool) -> None:
    save_card(tmp_path / "models", recipe("teacher"))
    zoo = Zoo(tmp_path / "models")
    student, run = recipe("student", teacher="teacher"), tmp_path / "student"
    write_run(run, json.dumps(student.to_json(), indent=2))
    sha256 = zoo.card("teacher").sha256 if same else "0" * 64
    torch.save({"teacher": sha256}, run / "checkpoint.pt")
    if damaged:  # what is in it is not known; training says that it is damaged
        (run / "checkpoint.pt").write_bytes(b"half")
    moved = put_aside(run, student, zoo)
    assert (moved is None) == (same or damaged)
    assert run.exists() == (same or damaged)


def test_shipped_recipes_make_a_plan() -> None:
    """Every teacher is a recipe, and comes first, at both scales."""
    for scale in ("cpu", "gpu"):
        recipes = read_recipes(ROOT / "rsc_snn" / "recipes", scale, strict=True)
        tasks = plan(recipes, None, missing=True, obstacle=at_hand)
        order = [task.recipe.name for task in tasks]
        assert sorted(order) == sorted(recipes)
        assert all(task.to_do for task in tasks)
        for (each,) in recipes.values():
            if each.teacher:
                assert order.index(each.teacher) < order.index(each.name)
                twin = recipes[each.teacher][0].model
                assert (twin.network, twin.widths, twin.depths) == (
                    each.model.network,
                    each.model.widths,
                    each.model.depths,
                )
