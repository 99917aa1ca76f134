"""Recipes: what ships is valid, what is wrong is refused with a sentence."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "not valid TOML"),
        ('name = "a"', "not complete"),
        ('name = "a"\nlabel = "A"\ncolour = 3', "Unknown recipe fields: colour"),
        ('name = "../a"\nlabel = "A"', "name may hold"),
        ('name = "a"\nlabel = "A"\nepochs = 0', "epochs must be a whole number from 1"),
        ('name = "a"\nlabel = "A"\nepochs = "many"', "epochs must be a whole number from 1"),
        ('name = "a"\nlabel = "A"\nlearning_rate = -0.1', "learning_rate must be from 0"),
        ('name = "a"\nlabel = "A"\nmomentum = "high"', "momentum must be a number"),
        ('name = "a"\nlabel = "A"\n[model]\ncoding = "morse"', "Unknown coding 'morse'"),
        ('name = "a"\nlabel = "A"\nmodel = 3', "must be a table"),
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
