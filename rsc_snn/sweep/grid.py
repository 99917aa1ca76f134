"""The grid of a sweep: what a person asks for, as a TOML file, and the cells it expands into.

A grid crosses models, attacks, sigmas, time steps and epsilons. What a model does not have is not
crossed: a coding without noise level has one sigma (None), an ANN without noise the time steps of
its card, and a model without noise is scored on one draw. Clean accuracy is a cell of its own at
epsilon 0, once for each (model, sigma, T).

Each attack goes through the grid's epsilons in rising order and leaves alone the images that a
smaller one broke (`Cell.chain`). So a cell depends on the smaller epsilons of its grid: the grids
[2, 4, 8] and [4, 8] share the clean cells, but no cell at 4 or 8. Grow a grid upwards, or
measure the smaller epsilons first, to keep what is measured.

A step size follows epsilon: `step_share` = 0.25 is a step of epsilon / 4. An attack whose
`step_size` is fixed in 255ths is another attack at every epsilon, so its cells have no chain.
"""

from __future__ import annotations

import difflib
import fnmatch
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsc_snn.attacks.options import option_words
from rsc_snn.attacks.parameters import Value
from rsc_snn.attacks.registry import ATTACKS, AttackSpec, get_attack, validate_parameters
from rsc_snn.attacks.run import MAX_DRAWS
from rsc_snn.coding import check_sigma, check_time_steps, coding_sigma, has_noise, make_coding
from rsc_snn.data import ImageSet, data_root, gallery_set, load_dataset
from rsc_snn.data.gallery import images_folder
from rsc_snn.data.numbering import renumbered
from rsc_snn.data.readers import SPLITS
from rsc_snn.errors import AttackError, ConfigError, SweepError
from rsc_snn.robustness.cells import fingerprint, subset_rows
from rsc_snn.sweep.cells import CLEAN, Cell

if TYPE_CHECKING:
    from rsc_snn.zoo import ModelCard, Zoo

# The photographs that ship, for who has no data set at hand.
GALLERY = "gallery"
GRID_SPLITS = (*SPLITS, GALLERY)
MAX_CELLS = 1_000_000
MAX_EPSILON = 64.0  # That of the attacks in L-infinity; those in L2 have less.
MAX_EPSILONS = 200
MAX_IMAGES = 100_000
MAX_BATCH = 10_000
_MODEL = re.compile(r"[A-Za-z0-9_*?\[\]-]+")
# Sigmas, epsilons and shares are kept to six decimals, so that 0.15 is one value however it was
# computed, and a share is found again from a step size.
_DECIMALS = 6


def _number(name: str, value: object, low: float, high: float) -> float:
    """`value` to six decimals, if it is a number in the range. Raises SweepError."""
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not plain or not low <= value <= high:  # type: ignore[operator]
        raise SweepError(f"{name} must be numbers from {low:g} to {high:g}, not {value!r}.")
    return round(float(value), _DECIMALS) + 0.0  # type: ignore[arg-type]


def _whole(name: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SweepError(f"{name} must be a whole number from {low} to {high:,}, not {value!r}.")
    return value


def _each(name: str, check: Callable[[Any], Any], values: object) -> tuple[Any, ...]:
    """What `check` makes of each of `values`, each once. Raises SweepError."""
    if not isinstance(values, (list, tuple)) or not values:
        raise SweepError(f"{name} must be a list with something in it, not {values!r}.")
    try:
        return tuple(dict.fromkeys(check(value) for value in values))
    except ConfigError as error:
        raise SweepError(f"In {name}: {error}") from error


def _hint(name: str, names: Iterable[str]) -> str:
    """The nearest of `names`, or all of them, as the end of a sentence."""
    known = tuple(names)
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."


@dataclass(frozen=True)
class GridAttack:
    """An attack at any epsilon.

    attack: a name of the registry. parameters: all but epsilon (and the step size that a share
    gives), complete and sorted; a mapping of some is completed with the defaults. step_share: the
    step size as a share of epsilon; None for an attack without steps, and for one whose
    `step_size` was given in its own unit. Left out, it is that of the attack's defaults (PGD:
    2/8). Raises SweepError.
    """

    attack: str
    parameters: tuple[tuple[str, Value], ...] = ()
    step_share: float | None = None

    def __post_init__(self) -> None:
        try:
            spec = get_attack(self.attack)
            given = dict(self.parameters)
            if not spec.bounded:
                raise SweepError(f"{spec.label} has no epsilon, so it fits no grid of epsilons.")
            if "epsilon" in given:
                raise SweepError("The epsilons of a sweep stand in its own list, not in an attack.")
            share = _step_share(spec, given, self.step_share)
            values = validate_parameters(spec, given)
        except AttackError as error:
            raise SweepError(f"In attacks: {error}") from error
        derived = {"epsilon"} if share is None else {"epsilon", "step_size"}
        kept = tuple(sorted((name, value) for name, value in values.items() if name not in derived))
        object.__setattr__(self, "attack", spec.name)
        object.__setattr__(self, "parameters", kept)
        object.__setattr__(self, "step_share", share)

    @classmethod
    def of(cls, attack: str, step_share: float | None = None, **parameters: Value) -> GridAttack:
        """The attack with some of its parameters. Raises SweepError."""
        return cls(attack, tuple(parameters.items()), step_share)

    @property
    def spec(self) -> AttackSpec:
        """The registry's entry."""
        return get_attack(self.attack)

    @property
    def chained(self) -> bool:
        """True if a smaller epsilon tells what need not be attacked at a larger one."""
        return "step_size" not in dict(self.parameters)

    def at(self, epsilon: float) -> tuple[tuple[str, Value], ...]:
        """`Cell.parameters` at `epsilon`. Raises SweepError if one leaves its range."""
        values = dict(self.parameters)
        if self.step_share is not None:
            values["step_size"] = self.step_share * epsilon
        try:
            checked = validate_parameters(self.spec, {**values, "epsilon": epsilon})
        except AttackError as error:
            raise SweepError(f"{self.spec.label} at epsilon {epsilon:g}: {error}") from error
        return tuple(sorted((name, checked[name]) for name in values))


def _step_share(spec: AttackSpec, given: Mapping[str, Any], share: object) -> float | None:
    """The share of epsilon that is a step; None where there is none. Raises SweepError."""
    defaults = {parameter.name: parameter.default for parameter in spec.parameters}
    if "step_size" not in defaults:
        if share is not None:
            raise SweepError(f"{spec.label} has no step size, so it takes no step_share.")
        return None
    if share is None:
        if "step_size" in given:
            return None
        share = float(defaults["step_size"]) / float(defaults["epsilon"])
    elif "step_size" in given:
        raise SweepError(f"{spec.label} takes step_share or step_size, not both.")
    number = _number("step_share", share, 10**-_DECIMALS, 10.0)
    return round(number, _DECIMALS)


# Strength as in rsc_snn.robustness.suite: a step of a quarter of epsilon, ten draws for EOT.
PRESETS: dict[str, GridAttack] = {
    "fgsm": GridAttack.of("fgsm", eot_draws=1),
    "pgd10": GridAttack.of("pgd", 1 / 4, steps=10, random_start=True, eot_draws=1),
    "eot_pgd10": GridAttack.of(
        "eot_pgd", 1 / 4, steps=10, random_start=True, eot_draws=10, precision="fast"
    ),
}
_PRESET_LABELS = {"fgsm": "FGSM", "pgd10": "PGD-10", "eot_pgd10": "EOT-PGD-10"}


@dataclass(frozen=True)
class Grid:
    """What a sweep measures; with models and data it fixes every cell. Raises SweepError.

    models: names of the zoo, or patterns such as `cifar10-snn-*`. sigmas, time_steps: None for
    those of each model's card. epsilons: 255ths, or the pixel units of L2 attacks; 0 stands for
    the clean images, which are measured in any case. images: size of the random subset. draws:
    fresh noise draws of the scoring. batch_size: it groups the noise. Lists are kept in rising
    order, each value once.
    """

    models: tuple[str, ...]
    attacks: tuple[GridAttack, ...]
    epsilons: tuple[float, ...]
    sigmas: tuple[float, ...] | None = None
    time_steps: tuple[int, ...] | None = None
    images: int = 300
    draws: int = 10
    seed: int = 0
    batch_size: int = 100
    split: str = "test"

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            "models": _each("models", _model_name, self.models),
            "attacks": _each("attacks", _attack, self.attacks),
            "epsilons": _each("epsilons", _epsilon, self.epsilons),
            "images": _whole("images", self.images, 1, MAX_IMAGES),
            "draws": _whole("draws", self.draws, 1, MAX_DRAWS),
            "seed": _whole("seed", self.seed, 0, 2**63 - 1),
            "batch_size": _whole("batch_size", self.batch_size, 1, MAX_BATCH),
        }
        if self.sigmas is not None:
            checked["sigmas"] = _each("sigmas", _sigma, self.sigmas)
        if self.time_steps is not None:
            checked["time_steps"] = _each("time_steps", check_time_steps, self.time_steps)
        if self.split not in GRID_SPLITS:
            raise SweepError(f"split must be one of {', '.join(GRID_SPLITS)}, not {self.split!r}.")
        for name in {"epsilons", "sigmas", "time_steps"} & set(checked):
            checked[name] = tuple(sorted(checked[name]))
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        self._check_attacks()

    def _check_attacks(self) -> None:
        if len(self.epsilons) > MAX_EPSILONS:
            raise SweepError(
                f"epsilons may hold at most {MAX_EPSILONS} numbers, not {len(self.epsilons):,}: "
                "each is measured after all smaller ones."
            )
        if len({attack.spec.norm for attack in self.attacks}) > 1:
            raise SweepError(
                "A grid's epsilons have one unit: attacks in L-infinity (255ths) and in L2 (pixel "
                "units) need a sweep each."
            )
        for attack in self.attacks:
            for epsilon in self.epsilons:
                attack.at(epsilon)

    @property
    def attacked_epsilons(self) -> tuple[float, ...]:
        """The epsilons above 0, rising."""
        return tuple(epsilon for epsilon in self.epsilons if epsilon > 0)

    def to_toml(self) -> str:
        """The file that `read_grid` reads back to this grid."""
        lines = [
            f"models = {_toml(self.models)}",
            f"attacks = [{', '.join(map(_attack_toml, self.attacks))}]",
        ]
        lines += [
            f"{field.name} = {_toml(getattr(self, field.name))}"
            for field in fields(self)
            if field.name not in {"models", "attacks"} and getattr(self, field.name) is not None
        ]
        return "\n".join(lines) + "\n"


def read_grid(path: Path) -> Grid:
    """The grid in a TOML file; see docs/sweeps.md. Raises SweepError with one sentence."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SweepError(f"The sweep file {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SweepError(f"The sweep file {path} is no TOML: {error}.") from error
    except ValueError as error:  # More digits than Python reads.
        raise SweepError(f"The sweep file {path} holds a number of too many digits.") from error
    names = [field.name for field in fields(Grid)]
    try:
        for name, value in values.items():
            if _too_large(value):
                raise SweepError(f"{name} must not hold a whole number of more than 64 bits.")
        for name in values:
            if name not in names:
                raise SweepError(f"There is no field {name!r}; {_hint(name, names)}")
        missing = [name for name in ("models", "attacks", "epsilons") if name not in values]
        if missing:
            raise SweepError(f"The field {missing[0]!r} is missing.")
        return Grid(**values)
    except SweepError as error:
        raise SweepError(f"The sweep file {path} cannot be used. {error}") from error


# --- What a file may write -----------------------------------------------------------------------


def _too_large(value: object) -> bool:
    """True if an integer of more than 64 bits, which TOML does not have, is in `value`.

    Such a number fits no float and may have more digits than a sentence can show.
    """
    if isinstance(value, list):
        return any(map(_too_large, value))
    if isinstance(value, dict):
        return any(map(_too_large, value.values()))
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def _model_name(value: object) -> str:
    if not isinstance(value, str) or not _MODEL.fullmatch(value):
        raise SweepError(
            f"models must hold names, or patterns such as cifar10-snn-*, not {value!r}."
        )
    return value


def _attack(value: object) -> GridAttack:
    """An attack as it is, by the name of a preset or the registry, or as a table."""
    if isinstance(value, GridAttack):
        return value
    if isinstance(value, str):
        name = value.replace("-", "_")
        return PRESETS[name] if name in PRESETS else _known_attack(name)
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise SweepError(
            'attacks must hold names, or tables such as {name = "pgd", steps = 20}, not '
            f"{value!r}."
        )
    given = {name: item for name, item in value.items() if name not in {"name", "step_share"}}
    preset = PRESETS.get(value["name"].replace("-", "_"))
    if preset is None:
        return _known_attack(value["name"], tuple(given.items()), value.get("step_share"))
    share = value.get("step_share", None if "step_size" in given else preset.step_share)
    return GridAttack(preset.attack, tuple({**dict(preset.parameters), **given}.items()), share)


def _known_attack(name: str, given: tuple[Any, ...] = (), share: Any = None) -> GridAttack:
    if name.replace("-", "_") not in ATTACKS:
        names = tuple(dict.fromkeys([*PRESETS, *ATTACKS]))
        raise SweepError(f"There is no attack {name!r}; {_hint(name, names)}")
    return GridAttack(name, given, share)


def _epsilon(value: object) -> float:
    return _number("epsilons", value, 0.0, MAX_EPSILON)


def _sigma(value: Any) -> float:
    return round(check_sigma(value), _DECIMALS) + 0.0  # -0.0 would be another cell than 0.0.


def _toml(value: object) -> str:
    """A number, a name or a list of them as TOML, which writes these as JSON does."""
    return json.dumps(value)


def _attack_toml(attack: GridAttack) -> str:
    for name, preset in PRESETS.items():
        if attack == preset:
            return _toml(name)
    items: dict[str, object] = {"name": attack.attack, **dict(attack.parameters)}
    if attack.step_share is not None:
        items["step_share"] = attack.step_share
    return "{" + ", ".join(f"{name} = {_toml(value)}" for name, value in items.items()) + "}"


# --- From a grid to cells ----------------------------------------------------------------------


def model_names(grid: Grid, zoo: Zoo) -> tuple[str, ...]:
    """The models of the zoo that a grid names, its patterns filled in. Raises SweepError."""
    found: dict[str, None] = {}
    for text in grid.models:
        names = [name for name in zoo.names() if fnmatch.fnmatchcase(name, text)]
        if not names:
            if text in zoo.problems():
                raise SweepError(zoo.problems()[text])
            raise SweepError(f"There is no model {text!r}; {_hint(text, zoo.names())}")
        found |= dict.fromkeys(names)
    return tuple(found)


def left_out(grid: Grid, zoo: Zoo) -> dict[str, str]:
    """Why models do not take part that a pattern of a grid would name if their cards were right."""
    return {
        name: problem
        for name, problem in zoo.problems().items()
        if name not in zoo.names() and any(fnmatch.fnmatchcase(name, text) for text in grid.models)
    }


def measured_images(card: ModelCard, grid: Grid, root: Path | None = None) -> ImageSet:
    """The random subset of the data that a grid measures a model on, in the model's numbering.

    Raises SweepError if the data has too few images, DataError if it is not at hand or has classes
    that the model does not know.
    """
    size = card.config.image_size
    place = split_place(grid.split, root or data_root())
    data = _subset(card.dataset, grid.split, place, size, grid.images, grid.seed)
    return renumbered(data, card.dataset, card.classes)


def split_place(split: str, root: Path) -> Path:
    """Where the images of a split are: the gallery is an asset, not in the data folder."""
    return images_folder() if split == GALLERY else root


def load_split(dataset: str, split: str, place: Path, image_size: int) -> ImageSet:
    """All images of a split, the gallery as one of them. Raises DataError."""
    if split == GALLERY:
        return gallery_set(dataset, image_size, place)
    return load_dataset(dataset, split, place, image_size)


@lru_cache(maxsize=8)
def _subset(dataset: str, split: str, place: Path, size: int, images: int, seed: int) -> ImageSet:
    data = load_split(dataset, split, place, size)
    if len(data) < images:
        raise SweepError(
            f"images must be at most {len(data):,}, as many as the {split} split of {dataset} has, "
            f"not {images:,}."
        )
    rows = subset_rows(len(data), images, seed)
    return replace(data, images=data.images[rows], labels=data.labels[rows])


def fingerprints(grid: Grid, zoo: Zoo, root: Path | None = None) -> dict[str, str]:
    """For each model of a grid the fingerprint of its images, as `expand` takes them.

    Raises SweepError, DataError.
    """
    return {
        name: fingerprint(measured_images(zoo.card(name), grid, root))
        for name in model_names(grid, zoo)
    }


def expand(grid: Grid, zoo: Zoo, fingerprints: Mapping[str, str]) -> tuple[Cell, ...]:
    """The cells of a grid, each once: clean ones first, then with rising epsilon.

    fingerprints: of the images of each model (`fingerprints`). Raises SweepError for an unknown
    model, one without fingerprint, and for more than MAX_CELLS cells.
    """
    cards = [zoo.card(name) for name in model_names(grid, zoo)]
    total = sum(len(_sigmas(grid, card)) * len(_time_steps(grid, card)) for card in cards) * (
        1 + len(grid.attacks) * len(grid.attacked_epsilons)
    )
    if total > MAX_CELLS:
        raise SweepError(f"The grid has {total:,} cells; {MAX_CELLS:,} are the most.")
    cells = []
    for card in cards:
        if card.name not in fingerprints:
            raise SweepError(f"The images of {card.name} are not known.")
        for clean in _clean_cells(grid, card, fingerprints[card.name]):
            cells += [clean, *_attacked_cells(grid, clean)]
    unique = {cell.key: cell for cell in cells}
    return tuple(sorted(unique.values(), key=lambda cell: cell.epsilon))


def _sigmas(grid: Grid, card: ModelCard) -> tuple[float | None, ...]:
    own = coding_sigma(make_coding(card.config.coding, card.config.sigma))
    if own is None:
        return (None,)
    # A card may have a whole number, which would be another cell than the same as a real one.
    return (float(own),) if grid.sigmas is None else grid.sigmas


def _time_steps(grid: Grid, card: ModelCard) -> tuple[int, ...]:
    chosen = grid.time_steps if card.config.has_time else None
    return chosen or (card.config.time_steps,)


def _clean_cells(grid: Grid, card: ModelCard, data: str) -> Iterator[Cell]:
    for steps in _time_steps(grid, card):
        for sigma in _sigmas(grid, card):
            coding = make_coding(card.config.coding, sigma or 0.0)
            noisy = has_noise(coding)
            yield Cell(
                model=card.name,
                sha256=card.identity,
                dataset=card.dataset,
                split=grid.split,
                data=data,
                images=grid.images,
                attack=CLEAN,
                parameters=(),
                epsilon=0.0,
                chain=(),
                coding=coding.name,
                sigma=sigma,
                time_steps=steps,
                draws=grid.draws if noisy else 1,
                seed=grid.seed,
                batch_size=grid.batch_size,
            )


def _attacked_cells(grid: Grid, clean: Cell) -> Iterator[Cell]:
    for attack in grid.attacks:
        smaller: tuple[float, ...] = ()
        for epsilon in grid.attacked_epsilons:
            yield replace(
                clean,
                attack=attack.attack,
                parameters=attack.at(epsilon),
                epsilon=epsilon,
                chain=smaller,
            )
            if attack.chained:
                smaller = (*smaller, epsilon)


def predecessor(cell: Cell) -> Cell | None:
    """The cell whose broken images `cell` passes through: None for a clean cell.

    That at the next smaller epsilon of the chain, its step size the same share of epsilon; for
    the first of a chain the clean cell.
    """
    if cell.attack == CLEAN:
        return None
    if not cell.chain:
        return replace(cell, attack=CLEAN, parameters=(), epsilon=0.0)
    epsilon, values = cell.chain[-1], dict(cell.parameters)
    if "step_size" in values:
        share = round(float(values["step_size"]) / cell.epsilon, _DECIMALS)
        values["step_size"] = share * epsilon
    return replace(
        cell, parameters=tuple(sorted(values.items())), epsilon=epsilon, chain=cell.chain[:-1]
    )


# --- Cells in words ------------------------------------------------------------------------------


def attack_label(cell: Cell) -> str:
    """The attack of a cell for a person: `clean`, `PGD-10`, or `PGD (steps 20)`.

    In brackets is what differs from the attack's defaults. A step size is told as a share of
    epsilon, which is the same along a chain; one fixed in 255ths is another attack at every
    epsilon.
    """
    if cell.attack == CLEAN:
        return "clean"
    if cell.attack not in ATTACKS:  # Of a store that another version made.
        return cell.attack
    for name, preset in PRESETS.items():
        if preset.attack == cell.attack and preset.at(cell.epsilon) == cell.parameters:
            return _PRESET_LABELS[name]
    usual = dict(GridAttack(cell.attack).at(cell.epsilon))
    specs = {spec.name: spec for spec in get_attack(cell.attack).parameters}
    words = {
        name: specs[name].value_text(value) if name in specs else str(value)
        for name, value in cell.parameters
        if value != usual.get(name)
    }
    if "step_size" in words:
        share = float(dict(cell.parameters)["step_size"]) / cell.epsilon
        words["step_size"] = f"{round(share, _DECIMALS):g} epsilon"
    changed = [f"{name.replace('_', ' ')} {text}" for name, text in words.items()]
    label = get_attack(cell.attack).label
    return f"{label} ({', '.join(changed)})" if changed else label


def cell_words(cell: Cell) -> str:
    """A cell for a person: `cifar10-snn-rsc-020, sigma 0.2, T 4, PGD-10 at epsilon 8`."""
    sigma = "" if cell.sigma is None else f", sigma {cell.sigma:g}"
    attack = attack_label(cell)
    size = "" if cell.attack == CLEAN else f" at epsilon {cell.epsilon:g}"
    return f"{cell.model}{sigma}, T {cell.time_steps}, {attack}{size}"


def cell_command(cell: Cell, zoo: Zoo | None = None, root: Path | None = None) -> str:
    """The command that measures a cell's setting and attack, alone and with noise of its own.

    It attacks every image at this epsilon alone. A cell with a chain holds what the smaller
    epsilons broke as well, so its robust accuracy may be lower by more than noise, that of a
    single step such as FGSM above all, which may do less harm at a larger epsilon. Without a chain
    the two agree within the intervals. The sweep's own command gives the cell's digits. zoo: tells
    in which folder an own model is. root: the data folder, if it is not the usual one.
    """
    words = ["python", "-m", "rsc_snn", "evaluate", "--model", cell.model, "--data", cell.dataset]
    words += ["--split", cell.split, "--limit", str(cell.images)]
    words += ["--batch-size", str(cell.batch_size), "--draws", str(cell.draws)]
    words += ["--seed", str(cell.seed), "--time-steps", str(cell.time_steps)]
    if cell.sigma is not None:
        words += ["--sigma", f"{cell.sigma:.9g}"]
    if cell.attack != CLEAN:
        words += ["--attack", cell.attack, "--epsilon", f"{cell.epsilon:.9g}"]
        words += option_words(cell.parameters)
    words += [] if root is None else ["--root", str(root)]
    for folder in () if zoo is None else zoo.own_origins([cell.model]):
        words += ["--zoo", str(folder)]
    return shlex.join(words)  # A result may come from a file of somebody else.
