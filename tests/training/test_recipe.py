"""Recipes: what ships is valid, what is wrong is refused with a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import rsc_snn
from rsc_snn.errors import ConfigError
from rsc_snn.training.recipe import Recipe, read_recipe

RECIPES = sorted((Path(rsc_snn.__file__).parent / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid_and_named_like_their_file(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.name == path.stem
    assert Recipe.from_values(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_the_four_first_models_share_one_backbone() -> None:
    names = ("ann", "snn-direct", "snn-poisson", "snn-rsc-020")
    models = [read_recipe(p).model for p in RECIPES if p.stem in {f"cifar10-{n}" for n in names}]
    assert len(models) == 4
    assert len({(m.network, m.widths, m.depths, m.image_size) for m in models}) == 1
    assert sorted((m.neuron, m.coding) for m in models) == [
        ("lif", "direct"),
        ("lif", "poisson"),
        ("lif", "rsc"),
        ("relu", "direct"),
    ]


def test_the_control_with_noise_differs_from_the_spiking_model_in_its_neurons_alone() -> None:
    folder = RECIPES[0].parent
    spiking = read_recipe(folder / "cifar10-snn-rsc-020.toml")
    control = read_recipe(folder / "cifar10-ann-rsc-020.toml")
    model = replace(spiking.model, neuron="relu")
    assert control == replace(spiking, name=control.name, label=control.label, model=model)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "not valid TOML"),
        ("a = " + 3000 * "[", "not valid TOML"),
        ('name = "a"', "not complete"),
        ('name = "a"\nlabel = "A"\ncolour = 3', "Unknown recipe fields: colour"),
        ('name = "../a"\nlabel = "A"', "name may hold"),
        ('name = 5\nlabel = "A"', "name must be a text, not 5"),
        ('name = true\nlabel = "A"', "name must be a text, not True"),
        ('name = "a"\nlabel = "A"\nepochs = 0', "epochs must be a whole number from 1"),
        ('name = "a"\nlabel = "A"\nfloat16_epochs = 7', "float16_epochs must be at most the 6"),
        ('name = "a"\nlabel = "A"\nfloat16_epochs = -1', "float16_epochs must be a whole number"),
        ('name = "a"\nlabel = "A"\nepochs = "many"', "epochs must be a whole number from 1"),
        ('name = "a"\nlabel = "A"\nlearning_rate = -0.1', "learning_rate must be from 0"),
        ('name = "a"\nlabel = "A"\nmomentum = "high"', "momentum must be a number"),
        ('name = "a"\nlabel = "A"\n[model]\ncoding = "morse"', "Unknown coding 'morse'"),
        ('name = "a"\nlabel = "A"\nmodel = 3', "must be a table"),
        ('name = "a"\nlabel = "A"\ndistillation = 1.0', "need a teacher"),
        ('name = "a"\nlabel = "A"\nteacher = 3', "teacher must be a name"),
        ('name = "a"\nlabel = "A"\ntemperature = 0', "temperature must be above 0"),
        ('name = "a"\nlabel = "A"\nsigma_range = 0.1', "sigma_range must be a list"),
        ('name = "a"\nlabel = "A"\nsigma_range = [0.1]', "must be two numbers"),
        ('name = "a"\nlabel = "A"\nsigma_range = [0.3, 0.1]', "range of sigma must rise"),
        (
            'name = "a"\nlabel = "A"\nsigma_range = [0.1, 0.3]\nmodel.coding = "direct"',
            "needs a model with RSC coding",
        ),
        ('name = "a"\nlabel = "A"\ntime_steps_choices = [0]', "must be between 1 and 64"),
        ('name = "a"\nlabel = "A"\nadversarial.method = "magic"', "Unknown adversarial"),
        ('name = "a"\nlabel = "A"\nadversarial.strength = 1', "adversarial part is not valid"),
        ('name = "a"\nlabel = "A"\nadversarial = 3', "adversarial part is not valid"),
        ('name = "a"\nlabel = "A"\nscales.huge.epochs = 1', "may be cpu and gpu alone"),
        ('name = "a"\nlabel = 5', "label must be a text"),
        ('name = "a"\nlabel = "A"\ndataset = 5', "dataset must be a text"),
        ('name = "a"\nlabel = "A"\nflip = "yes"', "flip must be true or false"),
        ('name = "a"\nlabel = "A"\nbfloat16 = "no"', "bfloat16 must be true or false"),
        ('name = "a"\nlabel = "A"\nepochs = 99999999999999999999', "epochs must be a whole number"),
        ('name = "a"\nlabel = "A"\nmodel.mean = ["a", "b", "c"]', "must hold finite numbers"),
        ('name = "a"\nlabel = "A"\nmodel.std = [1.0, 1.0, inf]', "must hold finite numbers"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_recipe(path)


def test_a_missing_recipe_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Cannot read the recipe"):
        read_recipe(tmp_path / "none.toml")


def test_a_scale_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(
        'name = "a"\nlabel = "A"\nepochs = 3\n[model]\nwidths = [8]\ndepths = [2]\n'
        "[scales.gpu]\nepochs = 30\n[scales.gpu.model]\nwidths = [64]\n"
    )
    small, large = read_recipe(path), read_recipe(path, "gpu")
    assert (small.scale, small.epochs, small.model.widths, small.model.depths) == (
        "cpu",
        3,
        (8,),
        (2,),
    )
    assert (large.scale, large.epochs, large.model.widths, large.model.depths) == (
        "gpu",
        30,
        (64,),
        (2,),
    )
    assert read_recipe(path, seed=7).seed == 7
    path.write_text('name = "a"\nlabel = "A"\nscales.gpu = 3')
    with pytest.raises(ConfigError, match="must be a table"):
        read_recipe(path, "gpu")


def test_a_number_of_too_many_digits_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text(f"epochs = {'1' * 5_000}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="too many digits"):
        read_recipe(tmp_path / "long.toml")
