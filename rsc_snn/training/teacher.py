"""The teacher of a recipe: a trained ANN twin from the zoo."""

from __future__ import annotations

import torch
from torch import Tensor

from rsc_snn.classifier import SpikingClassifier
from rsc_snn.errors import ConfigError
from rsc_snn.training.recipe import Recipe
from rsc_snn.zoo import ModelCard, Zoo, named_zoo

# All that weights, answers and currents depend on, but the coding and the neuron.
_TWINS = (
    "network",
    "widths",
    "depths",
    "stem_stride",
    "image_size",
    "in_channels",
    "num_classes",
    "mean",
    "std",
)


def unlike(recipe: Recipe, card: ModelCard) -> str:
    """The first field in which a recipe's network is no twin of a trained one; "" if it is one."""
    for name in _TWINS:
        if getattr(card.config, name) != getattr(recipe.model, name):
            return name
    return ""


class Teacher:
    """A trained model whose answers and weights a student learns from.

    model: frozen, on `device`. weights: its tensors before batch norms were fused. Raises
    ConfigError if the networks are not twins, ZooError if the model cannot be loaded.
    """

    def __init__(self, recipe: Recipe, zoo: Zoo, device: torch.device | str = "cpu") -> None:
        card = zoo.card(recipe.teacher)
        if name := unlike(recipe, card):
            raise ConfigError(
                f"{recipe.name} cannot learn from {card.name}: their {name} differ "
                f"({getattr(recipe.model, name)} at --scale {recipe.scale} and "
                f"{getattr(card.config, name)})."
            )
        self.name = card.name
        self.sha256 = card.sha256
        self.model: SpikingClassifier = zoo.load(card.name, device)
        self.weights: dict[str, Tensor] = zoo.weights(card.name)


def load_teacher(recipe: Recipe, zoo: Zoo | None, device: torch.device) -> Teacher | None:
    """The teacher that a recipe names, from `zoo` (None: the app's models).

    None if it names none. Raises ConfigError or ZooError, as `Teacher`.
    """
    if not recipe.teacher:
        return None
    return Teacher(recipe, zoo or named_zoo(None), device)
