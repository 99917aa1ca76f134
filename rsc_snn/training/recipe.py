"""A training recipe: everything that determines a trained model, read from a TOML file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from rsc_snn.classifier import ModelConfig
from rsc_snn.errors import ConfigError


@dataclass(frozen=True)
class Recipe:
    """One model's training. Raises ConfigError for values without meaning.

    learning_rate: peak of a one-cycle schedule (linear warm-up over `warmup` of all steps, then
    cosine to 0) for SGD with Nesterov momentum. crop_padding: pixels of zero padding for random
    crops. validation: training images held out to draw the curves; the test split is never used
    before the final evaluation. bfloat16: autocast where the hardware has it.
    """

    name: str
    label: str
    dataset: str = "cifar10"
    model: ModelConfig = field(default_factory=ModelConfig)
    epochs: int = 6
    batch_size: int = 128
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    warmup: float = 0.2
    crop_padding: int = 2
    flip: bool = True
    validation: int = 1000
    limit: int = 0
    seed: int = 0
    bfloat16: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.model, ModelConfig):
            object.__setattr__(self, "model", ModelConfig.from_json(self.model))
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", str(self.name)):
            raise ConfigError("A recipe's name may hold letters, digits, '-' and '_' alone.")
        for name, low in (
            ("epochs", 1),
            ("batch_size", 1),
            ("crop_padding", 0),
            ("validation", 0),
            ("limit", 0),
            ("seed", 0),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ConfigError(f"{name} must be a whole number from {low}, not {value!r}.")
        for name, high in (
            ("learning_rate", 1e3),
            ("momentum", 1.0),
            ("weight_decay", 1.0),
            ("label_smoothing", 1.0),
            ("warmup", 1.0),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ConfigError(f"{name} must be a number, not {value!r}.")
            if not 0 <= value < high:
                raise ConfigError(f"{name} must be from 0 to below {high:g}, not {value!r}.")

    def to_json(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe of a parsed TOML or JSON table. Raises ConfigError."""
        unknown = set(values) - {item.name for item in fields(cls)}
        if unknown:
            raise ConfigError(f"Unknown recipe fields: {', '.join(sorted(unknown))}.")
        try:
            return cls(**values)
        except TypeError as error:
            raise ConfigError(f"The recipe is not complete: {error}.") from error


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file. Raises ConfigError if it is missing or wrong."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read the recipe {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The recipe {path} is not valid TOML: {error}.") from error
    return Recipe.from_values(values)
