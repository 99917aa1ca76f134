"""The zoo: pretrained models as float16 safetensors, each with a JSON card.

A model is `<name>.safetensors` beside `<name>.json` in `assets/models` (or in `models/` of the
folder that RSC_SNN_ASSETS names). Weights are read by safetensors alone, which can hold nothing
that runs, and only after their sha256 is the one on the card. Cards are the manifest. A model
that is damaged or missing is reported by name while the others go on working.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Any, get_origin, get_type_hints

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from rsc_snn.classifier import ModelConfig, SpikingClassifier, build_classifier
from rsc_snn.device import memory_guard
from rsc_snn.errors import ConfigError, ZooError
from rsc_snn.files import write_atomically

SCHEMA = 2  # 2 added classes, float32 accuracy and facts of training; cards of 1 lack them
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Batch-norm statistics stay float32: a variance may leave float16's range.
_FLOAT32_SUFFIXES = ("running_mean", "running_var")


@dataclass(frozen=True)
class CleanAccuracy:
    """Accuracy on a test split (share 0..1) with its confidence interval; n images.

    Raises ZooError unless lower <= value <= upper are shares.
    """

    value: float
    lower: float
    upper: float
    n: int
    confidence: float
    draws: int
    seed: int
    split: str
    note: str

    def __post_init__(self) -> None:
        _check_types(self)
        _check_shares(self.lower, self.value, self.upper)
        if self.n < 1 or self.draws < 1:
            raise ZooError("An accuracy needs at least one image and one draw.")


@dataclass(frozen=True)
class ClassAccuracy:
    """Accuracy on the test images of one class (share 0..1) with its interval; n images.

    Confidence, draws and seed are those of the card's clean accuracy. Raises ZooError unless
    lower <= value <= upper are shares.
    """

    value: float
    lower: float
    upper: float
    n: int

    def __post_init__(self) -> None:
        _check_types(self)
        _check_shares(self.lower, self.value, self.upper)
        if self.n < 1:
            raise ZooError("The accuracy on a class needs at least one image.")


@dataclass(frozen=True)
class Float32Accuracy:
    """Accuracy (share 0..1) before the weights were rounded to float16.

    Images, draws and noise are those of the card's clean accuracy. difference: clean accuracy of
    the float16 weights minus this one. Raises ZooError for what is no share.
    """

    value: float
    difference: float

    def __post_init__(self) -> None:
        _check_types(self)
        _check_shares(self.value)
        if not -1 <= self.difference <= 1:
            raise ZooError("A difference of accuracies must lie between -1 and 1.")


@dataclass(frozen=True)
class TrainingFacts:
    """How the weights came to be: `command` repeats it. Raises ZooError for a wrong type.

    scale: which variant of the recipe. teacher, teacher_sha256: the model that training learned
    from and its weights, "" for none. adversarial: the method of adversarial training, "" where
    it was not noted.
    """

    recipe: Mapping[str, Any]
    epochs: int
    seed: int
    seconds: float
    device: str
    versions: Mapping[str, str]
    command: str
    note: str
    scale: str = ""
    teacher: str = ""
    teacher_sha256: str = ""
    adversarial: str = ""

    def __post_init__(self) -> None:
        _check_types(self)


@dataclass(frozen=True)
class ModelCard:
    """What a model is, where it comes from and what it can do. Raises ZooError.

    class_accuracy: in the order of `classes`, empty where it was not measured.
    """

    name: str
    label: str
    dataset: str
    classes: tuple[str, ...]
    config: ModelConfig
    training: TrainingFacts
    clean_accuracy: CleanAccuracy
    sha256: str
    size_bytes: int
    limits: str
    class_accuracy: tuple[ClassAccuracy, ...] = ()
    float32_accuracy: Float32Accuracy | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        _check_types(self)
        check_name(self.name)
        if self.class_accuracy and len(self.class_accuracy) != len(self.classes):
            raise ZooError(
                f"It has the accuracy of {len(self.class_accuracy)} classes of {len(self.classes)}."
            )
        if len(self.classes) != self.config.num_classes:
            raise ZooError(
                f"It names {len(self.classes)} classes, its network has {self.config.num_classes}."
            )
        if not _SHA256.fullmatch(self.sha256):
            raise ZooError("Its sha256 is not 64 hexadecimal digits.")

    def to_json(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> ModelCard:
        """The card that `to_json` wrote. Raises ZooError if it is not one."""
        schema = values.get("schema") if isinstance(values, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise ZooError(f"It is of version {schema}, made for a later version of this program.")
        if not isinstance(schema, int) or schema < 1:
            raise ZooError(f"It is no model card of version 1 to {SCHEMA}.")
        float32 = values.get("float32_accuracy")
        try:
            return cls(
                **{
                    **values,
                    "classes": tuple(values["classes"]),
                    "config": ModelConfig.from_json(values["config"]),
                    "training": TrainingFacts(**values["training"]),
                    "clean_accuracy": CleanAccuracy(**values["clean_accuracy"]),
                    "class_accuracy": tuple(
                        ClassAccuracy(**item) for item in values.get("class_accuracy", ())
                    ),
                    "float32_accuracy": None if float32 is None else Float32Accuracy(**float32),
                }
            )
        except ConfigError as error:
            raise ZooError(str(error)) from error
        except (KeyError, TypeError) as error:
            raise ZooError("Fields are missing or unknown.") from error


def _check_types(record: Any) -> None:
    """Raise ZooError unless every field of a dataclass holds the type it is annotated with."""
    for name, hint in get_type_hints(type(record)).items():
        value = getattr(record, name)
        kind = hint if isinstance(hint, UnionType) else get_origin(hint) or hint
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or isinstance(value, bool):
            raise ZooError(f"Its field {name!r} is not valid.")


def _check_shares(*values: float) -> None:
    """Raise ZooError unless 0 <= values <= 1 rise."""
    if not all(low <= high for low, high in pairwise((0, *values, 1))):
        raise ZooError("An accuracy and its interval must lie between 0 and 1.")


def check_name(name: object) -> str:
    """`name` if it is a plain file name without suffix, else ZooError (no path gets through)."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ZooError(f"A model's name may hold letters, digits, '-' and '_' alone, not {name!r}.")
    return name


def assets_folder() -> Path:
    """The folder of assets: RSC_SNN_ASSETS, else `assets/` beside the package."""
    named = os.environ.get("RSC_SNN_ASSETS")
    return Path(named) if named else Path(__file__).parents[1] / "assets"


def models_folder() -> Path:
    """Where the models are."""
    return assets_folder() / "models"


class Zoo:
    """The models of one folder, loaded when first asked for, shared by all threads.

    Raises ZooError if the folder is missing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or models_folder()
        if not self.folder.is_dir():
            raise ZooError(f"There is no folder of models at {self.folder}.")
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._loaded: dict[tuple[str, str], SpikingClassifier] = {}
        self._cards: dict[str, ModelCard] = {}
        self._problems: dict[str, str] = {}
        for path in sorted(self.folder.glob("*.json")):
            try:
                self._cards[path.stem] = _read_card(path)
            except ZooError as error:
                self._problems[path.stem] = str(error)
        for path in sorted(self.folder.glob("*.safetensors")):
            if path.stem not in self._cards and path.stem not in self._problems:
                self._problems[path.stem] = f"The model {path.stem} has no card."
        for name in self._cards:
            if not self._weights_path(name).is_file():
                self._problems[name] = _missing(name)

    def names(self) -> tuple[str, ...]:
        """Names of the models whose card is readable, whatever their weights are."""
        return tuple(self._cards)

    def card(self, name: str) -> ModelCard:
        """The card of one model. Raises ZooError."""
        if name in self._cards:
            return self._cards[name]
        raise ZooError(self._problems.get(name, f"There is no model called {name!r}."))

    def problems(self) -> dict[str, str]:
        """A sentence for each model that is known not to work; loading one adds to it."""
        with self._lock:
            return dict(self._problems)

    def curve(self, name: str) -> list[dict[str, float]]:
        """The training curve that ships beside the card, one row an epoch; empty if none does.

        Raises ZooError if the model is unknown or the curve cannot be read.
        """
        path = self.folder / f"{self.card(name).name}.csv"
        if not path.is_file():
            return []
        try:
            with path.open(newline="", encoding="utf-8") as file:
                return [
                    {key: float(value) for key, value in row.items() if value}
                    for row in csv.DictReader(file)
                ]
        except (OSError, ValueError, TypeError, csv.Error) as error:
            raise ZooError(f"The training curve {path.name} cannot be read.") from error

    def load(self, name: str, device: torch.device | str = "cpu") -> SpikingClassifier:
        """The model `name` on `device`, frozen (see `SpikingClassifier.freeze`) and shared.

        Raises ZooError with one sentence if it is unknown, missing or damaged, DeviceMemoryError
        if the device has no room for it.
        """
        card = self.card(name)
        key = (name, str(device))
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._loaded:
                try:
                    model = _build_model(card, _read_weights(card, self._weights_path(name)))
                except ZooError as error:
                    with self._lock:
                        self._problems[name] = str(error)
                    raise
                with memory_guard():
                    self._loaded[key] = model.to(device)
                with self._lock:
                    self._problems.pop(name, None)
            return self._loaded[key]

    def weights(self, name: str) -> dict[str, Tensor]:
        """The float32 tensors of the model `name` before batch norms are fused, checked.

        Raises ZooError if it is unknown, missing or damaged.
        """
        card = self.card(name)
        data = _read_weights(card, self._weights_path(name))
        try:
            return {key: value.float() for key, value in load(data).items()}
        except SafetensorError as error:
            raise ZooError(f"The weights of {name} are no safetensors.") from error

    def _weights_path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"


def _missing(name: str) -> str:
    return f"The weights of {name} are missing; put {name}.safetensors back or train it again."


def _read_card(path: Path) -> ModelCard:
    try:
        card = ModelCard.from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ZooError(f"The card {path.name} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ZooError(f"The card {path.name} is not valid JSON.") from error
    except ZooError as error:
        raise ZooError(f"The card {path.name} cannot be used. {error}") from error
    if card.name != path.stem:
        raise ZooError(f"The card {path.name} is that of another model, {card.name}.")
    return card


def _read_weights(card: ModelCard, path: Path) -> bytes:
    """The bytes of a weights file that are the card's, to the last bit. Raises ZooError."""
    try:
        size = path.stat().st_size
        if size != card.size_bytes:
            raise ZooError(
                f"The weights of {card.name} are incomplete or another model's: "
                f"{size:,} bytes, not {card.size_bytes:,}."
            )
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ZooError(_missing(card.name)) from error
    except OSError as error:
        raise ZooError(f"The weights of {card.name} cannot be read: {error.strerror}.") from error
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise ZooError(
            f"The weights of {card.name} are damaged: their sha256 is not the one on the card."
        )
    return data


def _build_model(card: ModelCard, data: bytes) -> SpikingClassifier:
    """The frozen float32 model of a card and its weights. Raises ZooError."""
    try:
        model = build_classifier(card.config)
        tensors = {name: value.float() for name, value in load(data).items()}
        model.load_state_dict({**_counters(model), **tensors})
    except (SafetensorError, RuntimeError, MemoryError) as error:
        raise ZooError(f"The weights of {card.name} do not fit the network on its card.") from error
    return model.freeze()


def _counters(model: SpikingClassifier) -> dict[str, Tensor]:
    """Batch norm's batch counters, which only training uses and no file holds."""
    return {k: v for k, v in model.state_dict().items() if k.endswith("num_batches_tracked")}


def to_shipped_precision(model: SpikingClassifier) -> dict[str, Tensor]:
    """The tensors that ship: float16, batch-norm statistics float32, no counters."""
    return {
        name: (value if name.endswith(_FLOAT32_SUFFIXES) else value.half()).contiguous().cpu()
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def save_model(
    model: SpikingClassifier,
    *,
    name: str,
    label: str,
    dataset: str,
    classes: tuple[str, ...],
    training: TrainingFacts,
    clean_accuracy: CleanAccuracy,
    limits: str,
    folder: Path,
    class_accuracy: tuple[ClassAccuracy, ...] = (),
    float32_accuracy: Float32Accuracy | None = None,
) -> ModelCard:
    """Write an unfrozen model and its card to `folder`, weights first; returns the card.

    Raises ZooError if the name is not a plain one, the weights are not finite or are those of a
    frozen model, or the folder cannot be written.
    """
    tensors = to_shipped_precision(model)
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise ZooError(f"The weights of {name} are not finite in float16; it cannot be shipped.")
    weights = save(tensors)
    card = ModelCard(
        name=check_name(name),
        label=label,
        dataset=dataset,
        classes=classes,
        config=model.config,
        training=training,
        clean_accuracy=clean_accuracy,
        sha256=hashlib.sha256(weights).hexdigest(),
        size_bytes=len(weights),
        limits=limits,
        class_accuracy=class_accuracy,
        float32_accuracy=float32_accuracy,
    )
    _build_model(card, weights)  # What does not load is not written.
    text = json.dumps(card.to_json(), indent=2, ensure_ascii=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / f"{name}.safetensors", lambda path: path.write_bytes(weights))
        write_atomically(
            folder / f"{name}.json", lambda path: path.write_text(text, encoding="utf-8")
        )
    except OSError as error:
        raise ZooError(f"Cannot write to {folder}: {error.strerror}.") from error
    return card


def cards_markdown(cards: Iterable[ModelCard]) -> str:
    """The models as a Markdown table, every number from a card."""
    lines = [
        "| model | network | coding | T | clean accuracy (95 % interval) | measured on | epochs |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for card in cards:
        config, clean = card.config, card.clean_accuracy
        coding = config.coding + (f", sigma {config.sigma:g}" if config.coding == "rsc" else "")
        kind = "ANN" if config.neuron == "relu" else "SNN"
        draws = f", {clean.draws} noise draws each" if clean.draws > 1 else ""
        lines.append(
            f"| {card.label} (`{card.name}`) | {config.network} {kind} | {coding} "
            f"| {config.time_steps} | {clean.value:.1%} ({clean.lower:.1%} to {clean.upper:.1%}) "
            f"| {clean.n:,} test images of {card.dataset}{draws} "
            f"| {card.training.epochs} |"
        )
    return "\n".join(lines) + "\n"
