"""A scene: all choices of the Playground as one small file, and its replay without the app.

The file is JSON with a schema number. It may come from anyone: nothing in it is believed before
it has been checked, and every mistake is a SceneError of one sentence.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, get_args

import torch
from torch import Tensor

import rsc_snn
from rsc_snn.attacks import get_attack, validate_parameters
from rsc_snn.attacks.parameters import Value
from rsc_snn.attacks.run import MAX_DRAWS
from rsc_snn.coding import SIGMA_RANGE, TIME_STEPS_RANGE
from rsc_snn.data.gallery import gallery_image, gallery_reference
from rsc_snn.data.pixels import to_png
from rsc_snn.data.uploads import decode_image
from rsc_snn.device import processor_text
from rsc_snn.errors import DataError, RscSnnError, SceneError
from rsc_snn.outcome import (
    AttackRequest,
    ImageChoice,
    Outcome,
    Verdict,
    attack_image,
    judge,
    mean_probabilities,
    vote_counts,
)
from rsc_snn.paint import Painted, decode_paint, score_painted
from rsc_snn.zoo import check_name

if TYPE_CHECKING:
    from rsc_snn.classifier import SpikingClassifier
    from rsc_snn.zoo import ModelCard, Zoo

SCHEMA = 1
MAX_BYTES = 4 * 2**20
MAX_MODELS = 3
MAX_SEED = 2**63 - 1
MAX_THREADS = 1024
_LONGEST_TEXT = 200
_LONGEST_PAINT = 2**17
_LONGEST_INTEGER = 20
_MOST_CLASSES = 100_000
_WIDEST_BRUSH = 255.0
_CPU = torch.device("cpu")
_VERSIONS = ("torch", "numpy", "spikingjelly", "torchattacks", "pillow")
_CONDITIONS = ("device", "threads")
_PAINTED = ("painted_verdict", "painted_counts", "painted_probabilities")
_REFERENCE = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9_-]+")
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"

Record = TypeVar("Record")


@dataclass(frozen=True)
class Scene:
    """All that determines what one to three models do on one image under one attack.

    image: a photograph of the gallery, such as `cifar10/cat-3`; or else image_png: the image
    itself, a PNG as base64. true_class: the name of the right class; None for the gallery's, and
    for an embedded image for what each model answers. parameters: (name, value) pairs in the
    units of the attack's specs, completed with defaults. sigma, time_steps: None for each model's
    own; models that have no such dial ignore them. paint, paint_epsilon (n/255): a change that a
    person painted, scored beside the attack on the same draws; the attack does not see it.

    Raises SceneError if anything in it is not valid; whether the models and the photograph exist,
    and the paint fits it, is checked by `requests`.
    """

    models: tuple[str, ...]
    attack: str
    image: str | None = None
    image_png: str | None = field(default=None, repr=False)
    true_class: str | None = None
    parameters: tuple[tuple[str, Value], ...] = ()
    sigma: float | None = None
    time_steps: int | None = None
    draws: int = 8
    seed: int = 0
    paint: str | None = field(default=None, repr=False)
    paint_epsilon: float | None = None

    def __post_init__(self) -> None:
        with _scene_errors():
            object.__setattr__(self, "models", _models(self.models))
            spec = get_attack(_text("attack", self.attack))
            object.__setattr__(self, "attack", spec.name)
            values = validate_parameters(spec, _pairs(self.parameters))
            object.__setattr__(self, "parameters", tuple(values.items()))
        if self.sigma is not None:
            _number("sigma", self.sigma, *SIGMA_RANGE)
            object.__setattr__(self, "sigma", float(self.sigma))
        if self.time_steps is not None:
            _whole("time_steps", self.time_steps, *TIME_STEPS_RANGE)
        _whole("draws", self.draws, 1, MAX_DRAWS)
        _whole("seed", self.seed, 0, MAX_SEED)
        self._check_image()
        self._check_paint()

    def _check_image(self) -> None:
        if (self.image is None) == (self.image_png is None):
            raise SceneError("A scene needs either a photograph of the gallery or an image_png.")
        if self.image is not None:
            if not _REFERENCE.fullmatch(_text("image", self.image)):
                raise SceneError("The image of a scene is a photograph such as 'cifar10/cat-3'.")
        else:
            _png_bytes(self.image_png)
        if self.true_class is not None:
            _text("true_class", self.true_class)

    def _check_paint(self) -> None:
        if self.paint is not None:
            _text("paint", self.paint, _LONGEST_PAINT)
            if self.paint_epsilon is None:
                raise SceneError("A painted change needs its paint_epsilon.")
        if self.paint_epsilon is not None:
            _number("paint_epsilon", self.paint_epsilon, 0.0, _WIDEST_BRUSH)

    def to_json(self) -> dict[str, Any]:
        """A dictionary that JSON can hold; `from_json` gives the same scene back."""
        return {"schema": SCHEMA, **asdict(self), "parameters": dict(self.parameters)}

    @classmethod
    def from_json(cls, values: object) -> Scene:
        """The scene that `to_json` wrote, or a person by hand. Raises SceneError."""
        table = _table("A scene", values)
        _check_schema(table.pop("schema", None))
        parameters = table.pop("parameters", {})
        if not isinstance(parameters, Mapping):
            raise SceneError("The parameters of a scene must be a table of named values.")
        return _record(cls, "A scene", {**table, "parameters": tuple(parameters.items())})


@dataclass(frozen=True)
class ModelResult:
    """What one attack did to one model, in exact numbers.

    label: the class that counted as right. clean_counts, adversarial_counts: how many draws take
    the image for each class, before and after, `[K]`. clean_probabilities,
    adversarial_probabilities: of each class, mean over draws, `[K]`. linf, l2: size of the
    change, pixels in 0..1. queries, gradients: passes that the attack made. device, threads:
    where it was computed. painted_verdict, painted_counts, painted_probabilities: what the change
    painted by hand did, on the same draws; None without one. Raises SceneError for what is no
    result.
    """

    model: str
    sha256: str
    label: int
    verdict: Verdict
    clean_counts: tuple[int, ...]
    adversarial_counts: tuple[int, ...]
    clean_probabilities: tuple[float, ...]
    adversarial_probabilities: tuple[float, ...]
    linf: float
    l2: float
    queries: int
    gradients: int
    device: str
    threads: int
    painted_verdict: Verdict | None = None
    painted_counts: tuple[int, ...] | None = None
    painted_probabilities: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("model", "sha256", "device"):
            _text(name, getattr(self, name))
        self._check_numbers("clean")
        self._check_numbers("adversarial")
        self._check_verdict(self.verdict)
        if any(getattr(self, name) is not None for name in _PAINTED):
            self._check_numbers("painted")
            self._check_verdict(self.painted_verdict)
        for name in ("label", "queries", "gradients"):
            _whole(name, getattr(self, name), 0, MAX_SEED)
        for name in ("linf", "l2"):
            _number(name, getattr(self, name), 0.0, math.inf)
        _whole("threads", self.threads, 0, MAX_THREADS)

    def _check_numbers(self, which: str) -> None:
        """Counts and probabilities of one of the images, as tuples."""
        for name, whole in ((f"{which}_counts", True), (f"{which}_probabilities", False)):
            object.__setattr__(self, name, _numbers(name, getattr(self, name), whole=whole))

    @staticmethod
    def _check_verdict(verdict: object) -> None:
        if verdict not in get_args(Verdict):
            raise SceneError(f"A verdict is one of {', '.join(get_args(Verdict))}.")

    def to_json(self) -> dict[str, Any]:
        """A dictionary that JSON can hold, without the painted change if there is none."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Environment:
    """What else decides the last digits: the processor, and versions of what computes on it."""

    processor: str
    versions: Mapping[str, str]

    def __post_init__(self) -> None:
        _text("processor", self.processor)
        for name, version in _table("The versions", self.versions).items():
            _text("versions", name)
            _text("versions", version)

    @classmethod
    def here(cls, device: torch.device | str = _CPU) -> Environment:
        """That of this process, computing on `device`."""
        kind = torch.device(device)
        processor = processor_text()
        if kind.type == "cuda" and torch.cuda.is_available():
            processor = torch.cuda.get_device_name(kind)
        versions = {name: metadata.version(name) for name in _VERSIONS}
        own = {"rsc_snn": rsc_snn.__version__, "python": platform.python_version()}
        return cls(processor, {**own, **versions})


@dataclass(frozen=True)
class SceneFile:
    """A scene with, if it was saved from the app, what the app showed and where.

    results: of some or all of the scene's models. Raises SceneError for results of others, or of
    a painted change that the scene lacks.
    """

    scene: Scene
    results: tuple[ModelResult, ...] = ()
    environment: Environment | None = None

    def __post_init__(self) -> None:
        models = [result.model for result in self.results]
        if len(set(models)) < len(models) or not set(models) <= set(self.scene.models):
            raise SceneError("The results must be of the scene's models, one of each.")
        painted = any(result.painted_verdict is not None for result in self.results)
        if painted and self.scene.paint is None:
            raise SceneError("The results are of a painted change that the scene lacks.")

    def to_json(self) -> dict[str, Any]:
        """A dictionary that JSON can hold: the scene's, with results and environment if any."""
        values = self.scene.to_json()
        if self.results:
            values["results"] = [result.to_json() for result in self.results]
        if self.environment is not None:
            values["environment"] = asdict(self.environment)
        return values

    @classmethod
    def from_json(cls, values: object) -> SceneFile:
        """What `to_json` wrote. Raises SceneError."""
        table = _table("A scene", values)
        results = table.pop("results", [])
        environment = table.pop("environment", None)
        if not isinstance(results, list) or len(results) > MAX_MODELS:
            raise SceneError(f"The results of a scene are a list of at most {MAX_MODELS}.")
        return cls(
            scene=Scene.from_json(table),
            results=tuple(_record(ModelResult, "A result", item) for item in results),
            environment=None
            if environment is None
            else _record(Environment, "The environment", environment),
        )


def read_scene(data: bytes) -> SceneFile:
    """The scene that the bytes of a file hold. Raises SceneError with one sentence."""
    if len(data) > MAX_BYTES:
        raise SceneError(f"A scene may have at most {MAX_BYTES // 2**20} MB.")
    try:
        values = json.loads(
            data.decode("utf-8-sig"),
            parse_int=_integer,
            parse_constant=_no_constant,
            object_pairs_hook=_distinct,
        )
    except SceneError:
        raise
    except (ValueError, RecursionError) as error:
        raise SceneError("The scene is not valid JSON.") from error
    return SceneFile.from_json(values)


def load_scene(path: Path) -> SceneFile:
    """The scene in a file. Raises SceneError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise SceneError(f"The scene {path} cannot be read.") from error
    return read_scene(data)


def embed_image(pixels: Tensor) -> str:
    """An image `[1, 3, H, W]` of 8-bit pixels (0..1) as `image_png`: exactly those pixels.

    Raises SceneError if the pixels are not whole 255ths, as those of any decoded file are.
    """
    levels = (pixels * 255).round()
    if pixels.shape[:2] != (1, 3) or not torch.equal(levels / 255, pixels):
        raise SceneError("Only an image of 8 bits a channel can be embedded in a scene.")
    array = levels[0].to(torch.uint8).cpu().numpy()
    return base64.b64encode(to_png(array)).decode("ascii")


def requests(scene: Scene, zoo: Zoo) -> tuple[AttackRequest, ...]:
    """What to compute, one request a model, with the image in the size of that model.

    Raises SceneError if the zoo lacks a model, the gallery the photograph or a model the class,
    or if the painted change is of another size.
    """
    with _scene_errors():
        return tuple(_request(scene, zoo.card(name)) for name in scene.models)


def play(
    scene: Scene,
    zoo: Zoo,
    device: torch.device = _CPU,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    threads: Mapping[str, int] | None = None,
) -> Iterator[tuple[AttackRequest, Outcome, Painted | None]]:
    """Compute the outcome of each model in turn, as the app does, and what paint does if any.

    threads: of a model by name. Raises SceneError, and the errors of `attack_image`.
    """
    wanted = requests(scene, zoo)
    for index, request in enumerate(wanted):
        report = None if progress is None else partial(_report, progress, index, len(wanted))
        with cpu_threads((threads or {}).get(request.model)):
            model = zoo.load(request.model, device)
            outcome = attack_image(model, request, report, cancelled)
            painted = _painted(model, request, scene)
        yield request, outcome, painted


def _painted(model: SpikingClassifier, request: AttackRequest, scene: Scene) -> Painted | None:
    if scene.paint is None or scene.paint_epsilon is None:
        return None
    return score_painted(model, request, scene.paint, scene.paint_epsilon)


def replay(
    scene: Scene,
    zoo: Zoo,
    device: torch.device = _CPU,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    threads: Mapping[str, int] | None = None,
) -> tuple[ModelResult, ...]:
    """The exact numbers of a scene, one result a model; arguments and errors as in `play`.

    Bit for bit those of the app on the same device with the same number of threads.
    """
    played = play(scene, zoo, device, progress, cancelled, threads)
    return tuple(model_result(*item) for item in played)


def model_result(
    request: AttackRequest, outcome: Outcome, painted: Painted | None = None
) -> ModelResult:
    """The exact numbers of an outcome, and of what was painted on the same photograph."""
    result = ModelResult(
        model=request.model,
        sha256=request.sha256,
        label=outcome.label,
        verdict=outcome.verdict,
        clean_counts=tuple(outcome.clean_counts.tolist()),
        adversarial_counts=tuple(outcome.adversarial_counts.tolist()),
        clean_probabilities=tuple(mean_probabilities(outcome.clean_logits).tolist()),
        adversarial_probabilities=tuple(mean_probabilities(outcome.adversarial_logits).tolist()),
        linf=outcome.linf,
        l2=outcome.l2,
        queries=outcome.queries,
        gradients=outcome.gradients,
        device=outcome.device,
        threads=outcome.threads,
    )
    if painted is None:
        return result
    counts = vote_counts(painted.logits)
    return replace(
        result,
        painted_verdict=judge(outcome.clean_counts, counts, outcome.label),
        painted_counts=tuple(counts.tolist()),
        painted_probabilities=tuple(mean_probabilities(painted.logits).tolist()),
    )


def differences(shown: Sequence[ModelResult], found: Sequence[ModelResult]) -> tuple[str, ...]:
    """What differs between the results that a file holds and those of its replay; () if nothing.

    Numbers are compared to the last digit. Device and threads are no results, but may be why. A
    file may hold a painted change without what it did, which then is nothing to compare.
    """
    replayed = {result.model: result for result in found}
    lines: list[str] = []
    for before in shown:
        after = replayed[before.model]
        for item in fields(ModelResult):
            old, new = getattr(before, item.name), getattr(after, item.name)
            untold = item.name in _CONDITIONS or (item.name in _PAINTED and old is None)
            if old != new and not untold:
                lines.append(f"{before.model}: {item.name} {_difference(old, new)}")
    return tuple(lines)


def conditions(file: SceneFile, found: Sequence[ModelResult], here: Environment) -> tuple[str, ...]:
    """In what the computation of the file's results differed from that of `found`."""
    replayed = {result.model: result for result in found}
    pairs = [
        (f"{before.model}: {name}", getattr(before, name), getattr(replayed[before.model], name))
        for before in file.results
        for name in _CONDITIONS
    ]
    if file.environment is not None:
        pairs.append(("processor", file.environment.processor, here.processor))
        pairs += [
            (name, file.environment.versions.get(name), version)
            for name, version in here.versions.items()
        ]
    return tuple(f"{name} was {old!r}, is {new!r}" for name, old, new in pairs if old != new)


def scene_of(
    wanted: Sequence[AttackRequest],
    zoo: Zoo,
    paint: str | None = None,
    paint_epsilon: float | None = None,
) -> Scene:
    """The scene of requests that differ by their models alone: the inverse of `requests`.

    A photograph of the gallery is known by its digest; any other image is embedded, in the
    largest size that the requests have. paint, paint_epsilon: as in Scene. Raises SceneError if
    no one scene says it all, to the last pixel.
    """
    first, cards = wanted[0], [zoo.card(request.model) for request in wanted]
    shared = [(item.attack, item.parameters, item.draws, item.seed) for item in wanted]
    if len({*shared}) > 1 or len({item.image.digest for item in wanted}) > 1:
        raise SceneError("The models of a scene must share image, attack, draws and seed.")
    largest = max((item.image.pixels for item in wanted), key=Tensor.numel)
    in_gallery = _is_of_gallery(first.image.digest)
    label = first.image.label
    sigmas = {
        card.name: (item.sigma, card.config.sigma)
        for card, item in zip(cards, wanted, strict=True)
        if _has_sigma(card)
    }
    steps = {
        card.name: (item.time_steps, card.config.time_steps)
        for card, item in zip(cards, wanted, strict=True)
        if _has_time(card)
    }
    scene = Scene(
        models=tuple(card.name for card in cards),
        attack=first.attack,
        image=first.image.digest if in_gallery else None,
        image_png=None if in_gallery else embed_image(largest),
        true_class=None if label is None else cards[0].classes[label],
        parameters=first.parameters,
        sigma=_common("sigma", sigmas),
        time_steps=_common("time_steps", steps),
        draws=first.draws,
        seed=first.seed,
        paint=paint,
        paint_epsilon=paint_epsilon,
    )
    for item, again in zip(wanted, requests(scene, zoo), strict=True):
        if not torch.equal(item.image.pixels.cpu(), again.image.pixels):
            raise SceneError(f"The image for {item.model} is not the scene's in its size.")
    return scene


@contextmanager
def cpu_threads(count: int | None) -> Iterator[None]:
    """Compute on `count` threads of the CPU meanwhile; None leaves their number as it is."""
    if count is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# --- One request ---------------------------------------------------------------------------------


def _request(scene: Scene, card: ModelCard) -> AttackRequest:
    if scene.paint is not None:
        decode_paint(scene.paint, (card.config.image_size, card.config.image_size))
    return AttackRequest(
        model=card.name,
        sha256=card.identity,
        image=_image(scene, card),
        attack=scene.attack,
        parameters=scene.parameters,
        time_steps=scene.time_steps if _has_time(card) else None,
        sigma=scene.sigma if _has_sigma(card) else None,
        draws=scene.draws,
        seed=scene.seed,
    )


def _image(scene: Scene, card: ModelCard) -> ImageChoice:
    """The scene's image in the size of a model, with its class in the numbers of that model."""
    size, true_class = card.config.image_size, scene.true_class
    if scene.image is None:
        content = _png_bytes(scene.image_png)
        digest = f"png/{hashlib.sha256(content).hexdigest()}"
        name, pixels = "your photograph", decode_image(content, size).pixels
    else:
        entry = gallery_image(scene.image)
        digest, name, pixels = gallery_reference(entry), entry.class_name, entry.pixels(size)
        true_class = true_class or entry.class_name
    if true_class is None:
        return ImageChoice(digest, name, None, pixels)
    if true_class not in card.classes:
        raise SceneError(
            f"The model {card.name} has no class {true_class!r}; it has {', '.join(card.classes)}."
        )
    return ImageChoice(digest, name, card.classes.index(true_class), pixels)


def _has_sigma(card: ModelCard) -> bool:
    return card.config.coding == "rsc"


def _has_time(card: ModelCard) -> bool:
    return card.config.has_time


def _is_of_gallery(digest: str) -> bool:
    try:
        return gallery_reference(gallery_image(digest)) == digest
    except DataError:
        return False


def _common(name: str, dials: Mapping[str, tuple[Any, Any]]) -> Any:
    """The one setting of a dial that holds for all models that have it; None for their own.

    dials: for each model its setting and its own default.
    """
    if len({setting for setting, _ in dials.values()}) <= 1:
        return next((setting for setting, _ in dials.values()), None)
    if all(setting in (None, own) for setting, own in dials.values()):
        return None
    raise SceneError(f"The models of a scene must share {name}, or each run at its own.")


def _report(progress: Callable[[float], None], index: int, total: int, share: float) -> None:
    progress((index + share) / total)


def _difference(old: Any, new: Any) -> str:
    if isinstance(old, tuple):
        if len(old) != len(new):
            return f"are {len(old)} numbers in the file, {len(new)} now"
        gap = max(abs(after - before) for before, after in zip(old, new, strict=True))
        return f"differ by up to {gap:g}"
    return f"is {old!r} in the file, {new!r} now"


# --- Checks --------------------------------------------------------------------------------------


@contextmanager
def _scene_errors() -> Iterator[None]:
    """Every mistake found meanwhile is one of the scene."""
    try:
        yield
    except SceneError:
        raise
    except RscSnnError as error:
        raise SceneError(str(error)) from error


def _check_schema(schema: object) -> None:
    if isinstance(schema, bool) or not isinstance(schema, int) or schema < 1:
        raise SceneError(f"It is no scene: it lacks the schema number {SCHEMA}.")
    if schema > SCHEMA:
        raise SceneError("The scene was made by a later version of this program.")


def _table(what: str, values: object) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise SceneError(f"{what} must be a table of named values.")
    return dict(values)


def _record(cls: Callable[..., Record], what: str, values: object) -> Record:
    """An instance of a dataclass from a table that must hold its fields and no others."""
    table = _table(what, values)
    known = {item.name for item in fields(cls)}  # type: ignore[arg-type]
    for name in table:
        if name not in known:
            raise SceneError(f"{what} has no field {name[:_LONGEST_TEXT]!r}.")
    try:
        return cls(**table)
    except TypeError as error:
        raise SceneError(f"{what} lacks a field that it needs.") from error


def _models(names: object) -> tuple[str, ...]:
    if not isinstance(names, (list, tuple)) or not 1 <= len(names) <= MAX_MODELS:
        raise SceneError(f"A scene needs a list of one to {MAX_MODELS} models.")
    models = tuple(check_name(_text("models", name)) for name in names)
    if len(set(models)) < len(models):
        raise SceneError("A scene names a model twice.")
    return models


def _pairs(parameters: object) -> dict[str, Any]:
    """Parameters as a table, without texts too long to be repeated in a message."""
    if not isinstance(parameters, tuple):
        raise SceneError("The parameters of a scene must be (name, value) pairs.")
    table = dict(parameters)
    for name, value in table.items():
        _text("parameters", name)
        if isinstance(value, str):
            _text("parameters", value)
        elif not isinstance(value, (bool, int, float)):
            raise SceneError(f"The parameter {name!r} of a scene must be one value.")
    return table


def _text(name: str, value: object, longest: int = _LONGEST_TEXT) -> str:
    if not isinstance(value, str):
        raise SceneError(f"The field {name!r} of a scene must be a text.")
    if not 0 < len(value) <= longest:
        raise SceneError(f"The field {name!r} of a scene must have 1 to {longest} characters.")
    return value


def _whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SceneError(
            f"The field {name!r} of a scene must be a whole number from {low} to {high}."
        )


def _number(name: str, value: object, low: float, high: float) -> None:
    fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not fits or not low <= value <= high or value == math.inf:  # type: ignore[operator]
        bounds = f"from {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise SceneError(f"The field {name!r} of a scene must be a number {bounds}.")


def _numbers(name: str, values: object, *, whole: bool) -> tuple[Any, ...]:
    """Counts, or shares 0..1, as a tuple."""
    if not isinstance(values, (list, tuple)) or not 1 <= len(values) <= _MOST_CLASSES:
        raise SceneError(f"The field {name!r} of a result must be a list of numbers.")
    for value in values:
        if whole:
            _whole(name, value, 0, MAX_DRAWS)
        else:
            _number(name, value, 0.0, 1.0)
    return tuple(values)


def _png_bytes(text: object) -> bytes:
    """The bytes of an embedded PNG. Raises SceneError."""
    try:
        content = base64.b64decode(_text("image_png", text, MAX_BYTES), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SceneError("The image_png of a scene is not valid base64.") from error
    if not content.startswith(_PNG_MAGIC):
        raise SceneError("The image_png of a scene is no PNG file.")
    return content


def _integer(text: str) -> int:
    """A whole number of JSON, not one of a million digits."""
    if len(text) > _LONGEST_INTEGER:
        raise SceneError(f"A scene cannot hold a number of {len(text)} digits.")
    return int(text)


def _no_constant(name: str) -> NoReturn:
    raise SceneError(f"A scene cannot hold the number {name}.")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table of JSON, in which no name may come twice."""
    table = dict(pairs)
    if len(table) < len(pairs):
        raise SceneError("The scene names a field twice.")
    return table
