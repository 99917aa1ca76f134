"""The models in assets/models: whole, and with cards that say how every number came to be."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path

import pytest
import torch

from rsc_snn.cli import build_parser
from rsc_snn.data.catalogue import dataset_spec
from rsc_snn.data.gallery import load_gallery
from rsc_snn.evaluate import wilson
from rsc_snn.randomness import make_generator
from rsc_snn.training.batch import reason_to_train
from rsc_snn.training.recipe import SCALES, Recipe, read_recipe
from rsc_snn.zoo import Zoo
from tests.conftest import stated

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "assets" / "models"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
# Cards of the first version lack classes, float32 accuracy and facts of training.
DETAILED = [
    name for name in NAMES if json.loads((FOLDER / f"{name}.json").read_text())["schema"] > 1
]
RECIPES = ROOT / "rsc_snn" / "recipes"


@pytest.fixture(scope="module")
def zoo() -> Zoo:
    if not NAMES:
        pytest.skip("no model ships yet")
    return Zoo(FOLDER)


def test_the_folder_holds_models_alone(zoo: Zoo) -> None:
    assert zoo.problems() == {}
    suffixes = {".json", ".safetensors", ".csv"}
    files = {path.name for path in FOLDER.iterdir()}
    assert files == {f"{name}{suffix}" for name in NAMES for suffix in suffixes}


def test_the_files_are_small(zoo: Zoo) -> None:
    sizes = [path.stat().st_size for path in FOLDER.iterdir()]
    assert max(sizes) <= 50e6
    assert sum(sizes) <= 120e6


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_in_under_a_second(zoo: Zoo, name: str) -> None:
    seconds = []
    for _ in range(3):  # the first warms up; a busy machine may spoil one
        start = time.perf_counter()
        model = Zoo(FOLDER).load(name)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1
    assert model.config == zoo.card(name).config


@pytest.mark.parametrize("name", NAMES)
def test_its_card_says_how_the_accuracy_was_measured(zoo: Zoo, name: str) -> None:
    card = zoo.card(name)
    clean = stated(card.clean_accuracy)
    assert clean.n >= 1000
    assert clean.split == "test"
    assert clean.draws >= 1
    assert clean.confidence == 0.95
    assert clean.lower < clean.value < clean.upper
    assert clean.upper - clean.lower < 0.06
    assert "re-encoded" in clean.note or "official" in clean.note
    assert card.classes == dataset_spec(card.dataset).classes
    assert card.limits
    if clean.draws == 1:  # counts of images: the interval is Wilson's
        again = wilson(round(clean.value * clean.n), clean.n)
        assert (clean.lower, clean.upper) == pytest.approx((again.lower, again.upper), abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_its_command_trains_it_again(zoo: Zoo, name: str) -> None:
    card = zoo.card(name)
    python, option, package, *arguments = shlex.split(stated(card.training).command)
    assert (python, option, package) == ("python", "-m", "rsc_snn")
    args = build_parser().parse_args(arguments)
    assert args.export == Path("assets/models")
    changes = {} if args.seed is None else {"seed": args.seed}
    recipe = read_recipe(ROOT / args.recipe, args.scale or "cpu", **changes)
    assert recipe == Recipe.from_values(json.loads(json.dumps(stated(card.training).recipe)))
    assert recipe.name == card.name
    assert recipe.model == card.config
    training = stated(card.training)
    assert (recipe.epochs, recipe.seed) == (training.epochs, training.seed)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_model_of_its_recipe_and_teacher(zoo: Zoo, name: str) -> None:
    """`zoo train --missing` keeps it: made by its file at one scale, from the teacher shipped."""
    variants = tuple(read_recipe(RECIPES / f"{name}.toml", scale) for scale in SCALES)
    assert reason_to_train(variants, zoo) == ""


@pytest.mark.parametrize("name", DETAILED)
def test_its_facts_are_those_of_its_recipe(zoo: Zoo, name: str) -> None:
    card = zoo.card(name)
    training = stated(card.training)
    recipe = Recipe.from_values(training.recipe)
    assert (training.scale, training.teacher) == (recipe.scale, recipe.teacher)
    assert training.adversarial == recipe.adversarial.method
    assert bool(training.teacher_sha256) == bool(recipe.teacher)


@pytest.mark.parametrize("name", DETAILED)
def test_rounding_to_float16_costs_less_than_a_fifth_of_a_point(zoo: Zoo, name: str) -> None:
    card = zoo.card(name)
    exact = card.float32_accuracy
    assert exact is not None
    clean = stated(card.clean_accuracy)
    assert abs(exact.difference) <= 0.002
    assert clean.value - exact.value == pytest.approx(exact.difference, abs=1e-9)


@pytest.mark.parametrize("name", DETAILED)
def test_its_classes_average_to_its_accuracy(zoo: Zoo, name: str) -> None:
    card = zoo.card(name)
    total = sum(item.value * item.n for item in card.class_accuracy)
    clean = stated(card.clean_accuracy)
    assert sum(item.n for item in card.class_accuracy) == clean.n
    assert total / clean.n == pytest.approx(clean.value, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_its_curve_ends_near_its_accuracy(zoo: Zoo, name: str) -> None:
    card = zoo.card(name)
    curve = zoo.curve(name)
    assert [row["epoch"] for row in curve] == list(range(1, stated(card.training).epochs + 1))
    # 500 or 1,000 held-out images in one draw, 2,000 test images or more: a few points at most.
    clean = stated(card.clean_accuracy)
    assert curve[-1]["validation_accuracy"] == pytest.approx(clean.value, abs=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_it_knows_the_photographs_of_the_gallery(zoo: Zoo, name: str) -> None:
    """Weights, normalisation and order of classes fit together, at about the card's accuracy."""
    card = zoo.card(name)
    images = [image for image in load_gallery() if image.dataset == card.dataset]
    assert len(images) >= 50
    x = torch.cat([image.pixels(card.config.image_size) for image in images])
    labels = torch.tensor([image.class_index for image in images])
    logits = zoo.load(name)(x, generator=make_generator(0))
    correct = int((logits.argmax(dim=1) == labels).sum())
    assert abs(correct / len(images) - stated(card.clean_accuracy).value) < 0.15
