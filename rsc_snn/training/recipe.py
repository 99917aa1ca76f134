"""A training recipe: everything that determines a trained model, read from a TOML file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from rsc_snn.classifier import ModelConfig
from rsc_snn.coding import check_time_steps
from rsc_snn.errors import ConfigError
from rsc_snn.training.adversarial import AdversarialConfig
from rsc_snn.training.ranges import SigmaRangeCoding

SCALES = ("cpu", "gpu")


_MOST = 10**7
_LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Recipe:
    """One model's training. Raises ConfigError for values without meaning.

    name: of the model and its files. label: what people read. dataset: `cifar10`, `imagenette`,
    `imagenet`, or `folder` for images of one's own (docs/data.md). epochs: passes over the training
    images. batch_size, momentum, weight_decay (not on biases and batch norms), label_smoothing: as
    in PyTorch. flip: mirror images at random. limit: at most so many training images; 0: all.
    seed: of weights, order, augmentation and noise.

    learning_rate: peak of a one-cycle schedule (linear warm-up over `warmup` of all steps, then
    cosine to 0) for SGD with Nesterov momentum. crop_padding: pixels of zero padding for random
    crops. validation: training images held out to draw the curves; the test split is never used
    before the final evaluation. bfloat16: autocast where the hardware has it. float16_epochs: how
    many of the last epochs see the weights rounded to float16, as they ship; the final weights are
    rounded ones, so that shipping moves nothing. scale: which of the file's variants this is (see
    `read_recipe`).

    E-RSCT: `teacher` names a trained ANN twin of the zoo; `distillation`, `temperature` and
    `presynaptic` are the weights a and b and the temperature of `rsc_snn.training.losses`;
    `teacher_weights` starts from the teacher's weights.

    Sparse gradients: `sparsity` is the weight of `rsc_snn.training.sparsity`, `sparsity_step` the
    step of its finite difference, in 255ths.

    sigma_range: draw a sigma for every training image from this range; time_steps_choices: draw T
    for every batch from these. Empty: the model's own.
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
    float16_epochs: int = 0
    scale: str = "cpu"
    teacher: str = ""
    teacher_weights: bool = False
    distillation: float = 0.0
    temperature: float = 4.0
    presynaptic: float = 0.0
    sparsity: float = 0.0
    sparsity_step: float = 2.0
    sigma_range: tuple[float, ...] = ()
    time_steps_choices: tuple[int, ...] = ()
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)

    def __post_init__(self) -> None:
        if not isinstance(self.model, ModelConfig):
            object.__setattr__(self, "model", ModelConfig.from_json(self.model))
        if not isinstance(self.adversarial, AdversarialConfig):
            object.__setattr__(self, "adversarial", _adversarial(self.adversarial))
        for name in ("sigma_range", "time_steps_choices"):
            if not isinstance(getattr(self, name), (list, tuple)):
                raise ConfigError(f"{name} must be a list of numbers.")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, kind in (
            ("name", str),
            ("label", str),
            ("dataset", str),
            ("flip", bool),
            ("bfloat16", bool),
        ):
            if not isinstance(getattr(self, name), kind):
                noun = "a text" if kind is str else "true or false"
                raise ConfigError(f"{name} must be {noun}, not {getattr(self, name)!r}.")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", self.name):
            raise ConfigError("A recipe's name may hold letters, digits, '-' and '_' alone.")
        if self.scale not in SCALES:
            raise ConfigError(f"The scale must be one of {', '.join(SCALES)}, not {self.scale!r}.")
        self._check_numbers()
        self._check_ranges()
        self._check_teacher()
        self._check_sparsity()

    def _check_numbers(self) -> None:
        for name, low in (
            ("epochs", 1),
            ("batch_size", 1),
            ("crop_padding", 0),
            ("validation", 0),
            ("limit", 0),
            ("seed", 0),
            ("float16_epochs", 0),
        ):
            value = getattr(self, name)
            plain = isinstance(value, int) and not isinstance(value, bool)
            most = _LARGEST_SEED if name == "seed" else _MOST
            if not plain or not low <= value <= most:
                raise ConfigError(
                    f"{name} must be a whole number from {low} to {most:,}, not {value!r}."
                )
        if self.float16_epochs > self.epochs:
            raise ConfigError(f"float16_epochs must be at most the {self.epochs} epochs.")
        for name, high in (
            ("learning_rate", 1e3),
            ("momentum", 1.0),
            ("weight_decay", 1.0),
            ("label_smoothing", 1.0),
            ("warmup", 1.0),
            ("distillation", 1e3),
            ("presynaptic", 1e3),
            ("sparsity", 1e3),
            ("sparsity_step", 256.0),
            ("temperature", 1e3),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ConfigError(f"{name} must be a number, not {value!r}.")
            if not 0 <= value < high:
                raise ConfigError(f"{name} must be from 0 to below {high:g}, not {value!r}.")

    def _check_ranges(self) -> None:
        for choice in self.time_steps_choices:
            check_time_steps(choice)
        if not self.sigma_range:
            return
        if len(self.sigma_range) != 2:
            raise ConfigError("sigma_range must be two numbers, the lowest and the highest sigma.")
        if self.model.coding != "rsc":
            raise ConfigError("sigma_range needs a model with RSC coding.")
        SigmaRangeCoding(*self.sigma_range)

    def _check_teacher(self) -> None:
        if not isinstance(self.teacher, str) or not isinstance(self.teacher_weights, bool):
            raise ConfigError("teacher must be a name, teacher_weights true or false.")
        uses = self.distillation or self.presynaptic or self.teacher_weights
        if uses and not self.teacher:
            raise ConfigError("distillation, presynaptic and teacher_weights need a teacher.")
        if self.temperature == 0:
            raise ConfigError("temperature must be above 0.")

    def _check_sparsity(self) -> None:
        if self.sparsity_step == 0:
            raise ConfigError("sparsity_step must be above 0.")
        if self.sparsity and self.adversarial.method == "trades":
            raise ConfigError("sparsity cannot be combined with TRADES.")

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


def read_recipe(path: Path, scale: str = "cpu", **changes: Any) -> Recipe:
    """The recipe in a TOML file at one scale, with `changes` of single fields.

    A file holds the recipe for a small CPU; its table `scales.gpu` holds what is different for a
    GPU. Raises ConfigError if the file is missing or wrong.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read the recipe {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"The recipe {path} is not valid TOML: {error}.") from error
    except ValueError as error:  # More digits than Python reads.
        raise ConfigError(f"The recipe {path} holds a number of too many digits.") from error
    scales = values.pop("scales", {})
    if not isinstance(scales, dict) or set(scales) - set(SCALES):
        raise ConfigError(f"The scales of {path} may be {' and '.join(SCALES)} alone.")
    return Recipe.from_values({**_merged(values, scales.get(scale, {})), "scale": scale, **changes})


def _merged(values: Mapping[str, Any], changes: object) -> dict[str, Any]:
    """`values` with `changes`, tables merged field by field. Raises ConfigError."""
    if not isinstance(changes, Mapping):
        raise ConfigError("A scale of a recipe must be a table.")
    merged = dict(values)
    for name, change in changes.items():
        table = isinstance(change, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], change) if table else change
    return merged


def _adversarial(values: object) -> AdversarialConfig:
    try:
        return AdversarialConfig(**values)  # type: ignore[arg-type]
    except TypeError as error:
        raise ConfigError(f"The recipe's adversarial part is not valid: {error}.") from error
