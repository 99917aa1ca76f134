"""The zoo: pretrained models as float16 safetensors, each with a JSON card.

A model is `<name>.safetensors` beside `<name>.json` in `assets/models` (or in `models/` of the
folder that RSC_SNN_ASSETS names). Weights are read by safetensors alone, which can hold nothing
that runs, and only after their sha256 is the one on the card. Cards are the manifest. A model
that is damaged or missing is reported by name while the others go on working.

Folders of a person's own models come after that one (RSC_SNN_ZOO, `--zoo`). There a card may say
no more than a label, the data set, the classes and the network; what it does not say is None or
"", and shown as not stated.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
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

FOLDERS_VARIABLE = "RSC_SNN_ZOO"
NOT_STATED = "not stated"
MAX_WEIGHTS_BYTES = 512 * 2**20
MAX_CARD_BYTES = 2**20
SCHEMA = 2  # 2 added classes, float32 accuracy and facts of training; cards of 1 lack them
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Batch-norm statistics stay float32: a variance may leave float16's range.
_FLOAT32_SUFFIXES = ("running_mean", "running_var")
_COUNTER = "num_batches_tracked"
_VARIANCE = "running_var"
_MINIMAL = {"label", "dataset", "classes", "config", "sha256", "limits"}


@dataclass(frozen=True)
class CleanAccuracy:
    """Accuracy on a test split (share 0..1) with its confidence interval; n images.

    A card holds no scores, so that its interval is by the rule of `accuracy_estimate` when it was
    measured. Raises ZooError unless lower <= value <= upper are shares.
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

    Confidence, draws, seed and the rule of the interval are those of the card's clean accuracy.
    Raises ZooError unless lower <= value <= upper are shares.
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
        sigmas = self.recipe.get("sigma_range") or ()
        plain = isinstance(sigmas, (list, tuple)) and all(
            isinstance(sigma, (int, float)) for sigma in sigmas
        )
        if not plain or len(sigmas) not in {0, 2}:
            raise ZooError("The sigma_range of its recipe must be two numbers.")

    @property
    def sigma_range(self) -> tuple[float, ...]:
        """The lowest and the highest sigma that were drawn in training; empty for one alone."""
        return tuple(self.recipe.get("sigma_range") or ())


@dataclass(frozen=True)
class ModelCard:
    """What a model is, where it comes from and what it can do. Raises ZooError.

    training, clean_accuracy: None where the card of an own model does not state them. limits: ""
    likewise. class_accuracy: in the order of `classes`, empty where it was not measured.
    """

    name: str
    label: str
    dataset: str
    classes: tuple[str, ...]
    config: ModelConfig
    training: TrainingFacts | None
    clean_accuracy: CleanAccuracy | None
    sha256: str
    size_bytes: int
    limits: str
    class_accuracy: tuple[ClassAccuracy, ...] = ()
    float32_accuracy: Float32Accuracy | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        _check_types(self)
        check_name(self.name)
        if not all(isinstance(name, str) for name in self.classes):
            raise ZooError("Its classes are not all names.")
        twice = [name for name, count in Counter(self.classes).items() if count > 1]
        if twice:
            raise ZooError(
                f"Two of its classes are called {twice[0]!r}; give each a name of its own."
            )
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

    @property
    def identity(self) -> str:
        """64 hexadecimal digits that measured results belong to.

        Card and weights of a model ship together, so the digest of the weights tells it apart.
        """
        return self.sha256

    @property
    def adversarial(self) -> str:
        """The method of adversarial training; "" where none is stated."""
        return "" if self.training is None else self.training.adversarial

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The recipe of its training; empty where none is stated."""
        return {} if self.training is None else self.training.recipe

    @property
    def trained_sigmas(self) -> tuple[float, float] | None:
        """The lowest and the highest sigma that it was trained with, equal if it was one alone.

        None where its training is not stated, and without RSC coding.
        """
        if self.training is None or self.config.coding != "rsc":
            return None
        low, high = self.training.sigma_range or (self.config.sigma,) * 2
        return low, high

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
        try:
            return cls(
                **{
                    **values,
                    "classes": tuple(values["classes"]),
                    "config": ModelConfig.from_json(values["config"]),
                    "training": _record(TrainingFacts, values["training"]),
                    "clean_accuracy": _record(CleanAccuracy, values["clean_accuracy"]),
                    "class_accuracy": tuple(
                        ClassAccuracy(**item) for item in values.get("class_accuracy", ())
                    ),
                    "float32_accuracy": _record(Float32Accuracy, values.get("float32_accuracy")),
                }
            )
        except ConfigError as error:
            raise ZooError(str(error)) from error
        except (KeyError, TypeError) as error:
            raise ZooError("Fields are missing or unknown.") from error


class OwnCard(ModelCard):
    """The card of a person's own model, which may be edited beside weights that stay."""

    @property
    def identity(self) -> str:
        """A digest of the weights and the network on the card."""
        network = json.dumps(self.config.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(f"{self.sha256} {network}".encode()).hexdigest()


def _record(kind: Callable[..., Any], values: Mapping[str, Any] | None) -> Any:
    """The dataclass `kind` of `values`; None for what is not stated."""
    return None if values is None else kind(**values)


def _check_types(record: Any) -> None:
    """Raise ZooError unless every field of a dataclass holds the type it is annotated with."""
    for name, hint in get_type_hints(type(record)).items():
        value = getattr(record, name)
        kind = hint if isinstance(hint, UnionType) else get_origin(hint) or hint
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or isinstance(value, bool) or not _is_text(value):
            raise ZooError(f"Its field {name!r} is not valid.")


def _is_text(value: object) -> bool:
    """False if a text in `value` is none: half of a pair of code points, which JSON can hold."""
    if isinstance(value, str):
        return value.encode(errors="ignore").decode() == value
    if isinstance(value, (list, tuple)):
        return all(map(_is_text, value))
    return True


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


def own_folders(named: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Folders of own models: those of the variable RSC_SNN_ZOO, then `named`, each once.

    Raises ZooError for one that does not exist.
    """
    variable = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    folders = [*(Path(text) for text in variable if text), *named]
    for folder in folders:
        if not folder.is_dir():
            raise ZooError(f"There is no folder of own models at {folder}.")
    unique: dict[Path, Path] = {}
    for folder in folders:
        unique.setdefault(folder.resolve(), folder)
    return tuple(unique.values())


def named_zoo(folder: Path | None, own: Iterable[Path] = ()) -> Zoo:
    """The models of a folder that a person names (None: those of the app), and of `own` folders.

    Any folder but the app's is the person's own. Raises ZooError if it is missing.
    """
    return Zoo(folder, own, ships=folder is None or not is_own(folder))


def is_own(folder: Path) -> bool:
    """True for any folder of models but the app's."""
    return not _same(folder, models_folder())


def zoo_folders(arguments: Sequence[str]) -> tuple[Path, ...]:
    """`own_folders` with each `--zoo DIR` among `arguments`, which may hold other options.

    Raises ZooError for a folder that does not exist, or an option without one.
    """
    return own_folders(_named_folders(tuple(arguments)))


@lru_cache(maxsize=8)
def _named_folders(arguments: tuple[str, ...]) -> tuple[Path, ...]:
    """The folder of each `--zoo`. A page asks dozens of times a run. Raises ZooError."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--zoo", action="append", default=[], type=Path)
    try:
        named: list[Path] = parser.parse_known_args(arguments)[0].zoo
    except argparse.ArgumentError as error:
        raise ZooError("--zoo needs a folder, as in --zoo my-models.") from error
    return tuple(named)


class Zoo:
    """The models of some folders, loaded when first asked for, shared by all threads.

    folder: the models that ship (None: those of the app). own: folders of a person's own models,
    whose cards may be minimal; a name that an earlier folder has is a problem of the later one.
    ships: False if the models of `folder` are a person's own too. Raises ZooError if a folder is
    missing.
    """

    def __init__(
        self, folder: Path | None = None, own: Iterable[Path] = (), *, ships: bool = True
    ) -> None:
        self.folder = folder or models_folder()
        self._ships = ships
        self.folders = (self.folder, *(path for path in own if not _same(path, self.folder)))
        for place in self.folders:
            if not place.is_dir():
                raise ZooError(f"There is no folder of models at {place}.")
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._loaded: dict[tuple[str, str], SpikingClassifier] = {}
        self._cards: dict[str, ModelCard] = {}
        self._problems: dict[str, str] = {}
        self._origins: dict[str, Path] = {}
        for place in self.folders:
            self._read_folder(place)

    def _read_folder(self, folder: Path) -> None:
        """Read the cards of one folder, and note what is wrong there. Raises ZooError."""
        try:
            files = list(folder.iterdir())
        except OSError as error:
            raise ZooError(f"The folder of models {folder} cannot be read.") from error
        names = {path.stem for path in files if path.suffix in {".json", ".safetensors"}}
        for name in sorted(names):
            if name in self._origins:
                self._problems[str(folder / name)] = (
                    f"The model {name} of {folder} is left out: {self._origins[name]} has one of "
                    "this name; give its two files another."
                )
                continue
            self._origins[name] = folder
            try:
                self._cards[name] = _read_card(folder / f"{name}.json", self.is_own(name))
            except ZooError as error:
                self._problems[name] = str(error)
                continue
            if not self._weights_path(name).is_file():
                self._problems[name] = _missing(name)

    def origin(self, name: str) -> Path:
        """The folder of the model `name`. Raises ZooError if it is unknown."""
        self.card(name)
        return self._origins[name]

    def is_own(self, name: str) -> bool:
        """True for a person's own model, False for one that ships or is unknown."""
        return name in self._origins and not (self._ships and self._origins[name] == self.folder)

    def own_origins(self, names: Iterable[str]) -> tuple[Path, ...]:
        """Folders of the own models among `names`, each once: what `--zoo` must name."""
        return tuple(dict.fromkeys(self._origins[name] for name in names if self.is_own(name)))

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
        path = self.origin(name) / f"{name}.csv"
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
            return _weights_of(load(data))
        except SafetensorError as error:
            raise ZooError(f"The weights of {name} are no safetensors.") from error

    def _weights_path(self, name: str) -> Path:
        return self._origins[name] / f"{name}.safetensors"


def _same(first: Path, second: Path) -> bool:
    return first.resolve() == second.resolve()


def _missing(name: str) -> str:
    return f"The weights of {name} are missing; put {name}.safetensors back or train it again."


def _read_card(path: Path, own: bool) -> ModelCard:
    """The card at `path`, which may be minimal if `own`. Raises ZooError."""
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            raise ZooError(f"The card {path.name} is larger than {MAX_CARD_BYTES:,} bytes.")
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ZooError(f"The model {path.stem} has no card.") from error
    except OSError as error:
        raise ZooError(f"The card {path.name} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ZooError(f"The card {path.name} is not valid JSON.") from error
    minimal = own and isinstance(values, dict) and "schema" not in values
    kind = OwnCard if own else ModelCard
    try:
        card = _minimal_card(path, values) if minimal else kind.from_json(values)
    except ZooError as error:
        raise ZooError(f"The card {path.name} cannot be used. {error}") from error
    if card.name != path.stem:
        raise ZooError(f"The card {path.name} is that of another model, {card.name}.")
    return card


def _minimal_card(path: Path, values: Mapping[str, Any]) -> OwnCard:
    """The card of an own model from what its file states; the rest stays unstated.

    The sha256, unless the file states one, is that of the weights as they are now: then it tells
    results apart and notices that the file changes later. Raises ZooError.
    """
    unknown = sorted(set(values) - _MINIMAL)
    if unknown:
        raise ZooError(
            f"It has a field {unknown[0]!r}; without a schema it may hold "
            f"{', '.join(sorted(_MINIMAL))}."
        )
    missing = sorted({"dataset", "classes", "config"} - set(values))
    if missing:
        raise ZooError(f"It does not state {missing[0]!r}.")
    classes = values["classes"]
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ZooError("Its classes are no list of names.")
    try:
        config = ModelConfig.from_json(values["config"])
    except ConfigError as error:
        raise ZooError(str(error)) from error
    weights = path.with_suffix(".safetensors")
    size = _weights_size(path.stem, weights)
    return OwnCard(
        name=path.stem,
        label=values.get("label", path.stem),
        dataset=values["dataset"],
        classes=tuple(classes),
        config=config,
        training=None,
        clean_accuracy=None,
        sha256=values.get("sha256") or _sha256(path.stem, weights),
        size_bytes=size,
        limits=values.get("limits", ""),
    )


def _weights_size(name: str, path: Path) -> int:
    """Bytes of a weights file. Raises ZooError if it is not there or too large."""
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise ZooError(_missing(name)) from error
    except OSError as error:
        raise ZooError(f"The weights of {name} cannot be read: {error.strerror}.") from error
    if size > MAX_WEIGHTS_BYTES:
        raise ZooError(f"The weights of {name} are larger than {MAX_WEIGHTS_BYTES / 2**20:.0f} MB.")
    return size


def _sha256(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ZooError(f"The weights of {name} cannot be read: {error.strerror}.") from error


def _read_weights(card: ModelCard, path: Path) -> bytes:
    """The bytes of a weights file that are the card's, to the last bit. Raises ZooError."""
    size = _weights_size(card.name, path)
    if size != card.size_bytes:
        raise ZooError(
            f"The weights of {card.name} are incomplete or another model's: "
            f"{size:,} bytes, not {card.size_bytes:,}."
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ZooError(f"The weights of {card.name} cannot be read: {error.strerror}.") from error
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise ZooError(
            f"The weights of {card.name} are damaged: their sha256 is not the one on the card."
        )
    return data


def _build_model(card: ModelCard, data: bytes) -> SpikingClassifier:
    """The frozen float32 model of a card and its weights. Raises ZooError."""
    unfit = f"The weights of {card.name} do not fit the network on its card"
    try:
        tensors = load(data)
        _check_tensors(card, tensors, unfit)
        model = build_classifier(card.config)
        model.load_state_dict({**_counters(model), **_weights_of(tensors)})
    except (SafetensorError, RuntimeError, MemoryError, OverflowError) as error:
        raise ZooError(f"{unfit}.") from error
    return model.freeze()


def _check_tensors(card: ModelCard, tensors: Mapping[str, Tensor], unfit: str) -> None:
    """Raise ZooError, beginning with `unfit`, unless names and shapes are the network's.

    Shapes come from a network without memory, for a card may ask for any size.
    """
    if sum(card.config.depths) > len(tensors):
        raise ZooError(f"{unfit}: it has more layers than they have tensors.")
    with torch.device("meta"):
        wanted = _weights_of(build_classifier(card.config).state_dict())
    found = _weights_of(tensors)
    for name in sorted(set(wanted) ^ set(found)):
        raise ZooError(f"{unfit}: {name} is {'missing' if name in wanted else 'not part of it'}.")
    for name, tensor in found.items():
        if tensor.shape != wanted[name].shape:
            raise ZooError(
                f"{unfit}: {name} has shape {list(tensor.shape)}, not {list(wanted[name].shape)}."
            )
        if not tensor.isfinite().all():
            raise ZooError(f"The weights of {card.name} are not finite: {name}.")
        if name.endswith(_VARIANCE) and tensor.min() < 0:
            raise ZooError(f"The weights of {card.name} have a variance below 0: {name}.")


def _weights_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The float32 tensors without batch norm's counters, which only training uses."""
    return {key: value.float() for key, value in tensors.items() if not key.endswith(_COUNTER)}


def _counters(model: SpikingClassifier) -> dict[str, Tensor]:
    """Batch norm's batch counters, which only training uses and no file holds."""
    return {k: v for k, v in model.state_dict().items() if k.endswith(_COUNTER)}


def to_shipped_precision(model: SpikingClassifier) -> dict[str, Tensor]:
    """The tensors that ship: float16, batch-norm statistics float32, no counters."""
    return {
        name: (value if name.endswith(_FLOAT32_SUFFIXES) else value.half()).contiguous().cpu()
        for name, value in model.state_dict().items()
        if not name.endswith(_COUNTER)
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
        config = card.config
        coding = config.coding + (f", sigma {config.sigma:g}" if config.coding == "rsc" else "")
        kind = "ANN" if config.neuron == "relu" else "SNN"
        epochs = NOT_STATED if card.training is None else card.training.epochs
        lines.append(
            f"| {card.label} (`{card.name}`) | {config.network} {kind} | {coding} "
            f"| {config.time_steps} | {_accuracy_cells(card)} | {epochs} |"
        )
    return "\n".join(lines) + "\n"


def _accuracy_cells(card: ModelCard) -> str:
    """Two cells of the Markdown table: the clean accuracy, and what it was measured on."""
    clean = card.clean_accuracy
    if clean is None:
        return f"{NOT_STATED} | {NOT_STATED}"
    draws = f", {clean.draws} noise draws each" if clean.draws > 1 else ""
    return (
        f"{clean.value:.1%} ({clean.lower:.1%} to {clean.upper:.1%}) "
        f"| {clean.n:,} test images of {card.dataset}{draws}"
    )
