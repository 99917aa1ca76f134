"""What can be chosen: data sets, samples of images, models, attacks and epsilons of cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain
from typing import NamedTuple

import streamlit as st

from rsc_snn.attacks import ATTACKS
from rsc_snn.attacks.parameters import Value
from rsc_snn.evaluate import Predictor
from rsc_snn.figures.explorer import CurveAxis
from rsc_snn.sweep.cells import CLEAN, Cell
from rsc_snn.sweep.grid import GALLERY, PRESETS, attack_label
from rsc_snn.tradeoff import WORST, OperatingPoint, operating_points
from rsc_snn.ui import resources
from rsc_snn.ui.explorer.sources import Evidence
from rsc_snn.ui.memo import Memo

# A model, its T and its sigma.
Setting = tuple[str, int, float | None]
# The worst case begins with the attacks that have at least this share of the most measured one's
# settings: with an attack that was tried at one setting, all others would be taken out.
_COVERAGE = 0.5
_DEFAULT = 8.0
_BATCH = 100
_MENUS = 8


class Sample(NamedTuple):
    """Which images were measured and in which batches: cells of one sample can be compared.

    A plain tuple, for it is made and looked up for each of thousands of cells.
    """

    split: str
    data: str
    images: int
    seed: int
    batch_size: int

    @classmethod
    def of(cls, cell: Cell) -> Sample:
        """That of a cell."""
        return cls(cell.split, cell.data, cell.images, cell.seed, cell.batch_size)

    @property
    def slug(self) -> str:
        """Its name in a link."""
        return f"{self.split}-{self.images}-{self.data[:6]}-{self.seed}-{self.batch_size}"

    @property
    def label(self) -> str:
        """Its name for a person."""
        kind = "gallery photographs" if self.split == GALLERY else f"{self.split} images"
        batches = "" if self.batch_size == _BATCH else f", batches of {self.batch_size:,}"
        return f"{self.images:,} {kind}, seed {self.seed}{batches}"


@dataclass(frozen=True)
class Variant:
    """An attack with its parameters, at any epsilon. slug: its name in a link."""

    slug: str
    label: str
    attack: str
    norm: str

    @property
    def unit(self) -> str:
        """What follows an epsilon."""
        return "/255" if self.norm == "Linf" else ""


@dataclass(frozen=True)
class Selection:
    """What the controls say.

    beside: other images, whose points are shown beside those of `sample`. steps: T of spiking
    models. attack: a slug, or WORST, which is over the slugs `worst`. passes: of the vote.
    settings: if there are any, only these count.
    """

    dataset: str
    sample: Sample
    models: tuple[str, ...]
    steps: tuple[int, ...]
    attack: str
    epsilon: float
    predictor: Predictor
    passes: int | None
    axis: CurveAxis
    worst: tuple[str, ...] = ()
    beside: tuple[Sample, ...] = ()
    settings: frozenset[Setting] = frozenset()

    @property
    def slugs(self) -> tuple[str, ...]:
        """The attacks: one, or those that the worst case is over."""
        return self.worst if self.attack == WORST else (self.attack,)


# Cells by data set and sample.
Groups = dict[tuple[str, Sample], list[Cell]]
# Of each of these groups, how many cells shipped and how many were measured.
Counts = dict[tuple[str, Sample], tuple[int, int]]


def setting_order(settings: Iterable[Setting]) -> list[Setting]:
    """Each setting once, by model, T and sigma."""
    return sorted(set(settings), key=lambda setting: (*setting[:2], setting[2] or 0.0))


def variant_of(cell: Cell) -> Variant:
    """The attack of an attacked cell."""
    return _variant(cell.attack, cell.parameters, cell.epsilon)


# Thousands of cells share a few attacks.
@lru_cache(maxsize=4096)
def _variant(attack: str, parameters: tuple[tuple[str, Value], ...], epsilon: float) -> Variant:
    example = Cell("", "", "", "", "", 1, attack, parameters, epsilon, (), "", None, 1, 1, 0, 1)
    label = attack_label(example)
    slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
    return Variant(slug, label, attack, ATTACKS[attack].norm)


def compatible(variants: Iterable[Variant]) -> list[Variant]:
    """Those that one worst case can be over: the first of each attack, all of the first's norm."""
    found: dict[str, Variant] = {}
    for variant in variants:
        if all(other.norm == variant.norm for other in found.values()):
            found.setdefault(variant.attack, variant)
    return in_order(found.values())


def in_order(variants: Iterable[Variant]) -> list[Variant]:
    """In the order of the registry."""
    return sorted(variants, key=lambda variant: list(ATTACKS).index(variant.attack))


def preset_label(name: str) -> str:
    """What a preset of grids is called, here and in every label of its cells."""
    preset = PRESETS[name]
    return _variant(preset.attack, preset.at(_DEFAULT), _DEFAULT).label


class Menu:
    """What there is to choose in some cells, measured or still to be measured.

    counts: of each group how many cells shipped, and how many were measured in all.
    """

    def __init__(self, groups: Groups, counts: Counts) -> None:
        self._groups = groups
        self._counts = counts
        self.cells = tuple(chain.from_iterable(groups.values()))
        self._parts: dict[tuple[str, Sample | None], Menu] = {}

    def settings(
        self, models: Sequence[str], steps: Sequence[int], variants: Sequence[Variant]
    ) -> list[Setting]:
        """What was measured of some models at some T under one of the attacks, rising."""
        timed = set(filter(has_time, models))
        found = {
            setting
            for model in models
            for variant in variants
            for setting in self._tried.get((model, variant), ())
            if setting[1] in steps or model not in timed
        }
        return setting_order(found)

    def at(self, model: str, epsilon: float) -> list[Cell]:
        """The clean cells of a model, and those under any attack at one epsilon."""
        return [
            *self._places.get((model, CLEAN, 0.0), ()),
            *self._places.get((model, "", epsilon), ()),
        ]

    def only(self, dataset: str, sample: Sample | None = None) -> Menu:
        """What there is of one data set, or of one sample of it."""
        part = self._parts.get((dataset, sample))
        if part is None:
            wanted = {
                place: cells
                for place, cells in self._groups.items()
                if place[0] == dataset and sample in (None, place[1])
            }
            part = self._parts[dataset, sample] = Menu(wanted, self._counts)
        return part

    @cached_property
    def datasets(self) -> list[str]:
        """Names of data sets."""
        return sorted({dataset for dataset, _ in self._groups})

    @cached_property
    def samples(self) -> list[Sample]:
        """Samples of images: that of the most shipped cells first, then of the most measured ones.

        A grid that somebody plans or measures does not change what all others see first.
        """
        most: dict[Sample, tuple[int, int]] = {}
        for place in self._groups:
            counts = self._counts.get(place, (0, 0))
            most[place[1]] = max(most.get(place[1], counts), counts)
        return sorted(most, key=lambda sample: (-most[sample][0], -most[sample][1], sample))

    @cached_property
    def shipped_samples(self) -> list[Sample]:
        """Those of `samples` of which something shipped."""
        shipped = {place[1] for place in self._groups if self._counts.get(place, (0, 0))[0]}
        return [sample for sample in self.samples if sample in shipped]

    @cached_property
    def sample_labels(self) -> dict[Sample, str]:
        """Names of the samples for a person, no two alike: lists tell options apart by them."""
        counts = Counter(sample.label for sample in self.samples)
        return {
            sample: f"{sample.label}, fingerprint {sample.data[:6]}"
            if counts[sample.label] > 1
            else sample.label
            for sample in self.samples
        }

    @cached_property
    def models(self) -> list[str]:
        """Names of models, those with a noise level first."""
        bare = {cell.model: cell.sigma is None for cell in self.cells}
        return sorted(bare, key=lambda name: (bare[name], name))

    @cached_property
    def steps(self) -> list[int]:
        """Time steps."""
        return sorted({cell.time_steps for cell in self.cells})

    @cached_property
    def draws(self) -> int:
        """The most draws that a cell has."""
        return max((cell.draws for cell in self.cells), default=1)

    def fewest_draws(self, models: Sequence[str]) -> int:
        """The most draws that every noisy cell of some models has."""
        each = [self._fewest[model] for model in models if model in self._fewest]
        return min(each, default=self.draws)

    @cached_property
    def variants(self) -> list[Variant]:
        """Attacks, the most measured one first."""
        tried = self._cells_of
        return sorted(tried, key=lambda variant: (-tried[variant], variant.slug))

    def worst_of(self, models: Sequence[str]) -> list[Variant]:
        """The attacks that the worst case of some models is over unless others are chosen."""
        counts: Counter[Variant] = Counter()
        for (model, variant), settings in self._tried.items():
            if model in models:
                counts[variant] += len(settings)
        most = max(counts.values(), default=0)
        return compatible(v for v in self.variants if counts[v] and counts[v] >= _COVERAGE * most)

    def chosen(self, slugs: Sequence[str]) -> list[Variant]:
        """The attacks of slugs; none unless all of them are there."""
        found = in_order(variant for variant in self.variants if variant.slug in slugs)
        return found if len(found) == len(slugs) else []

    def epsilons(self, variants: Sequence[Variant]) -> list[float]:
        """Epsilons at which all of the attacks were measured, rising."""
        each = [self._epsilons[variant] for variant in variants]
        return sorted(set.intersection(*each)) if each else []

    @cached_property
    def most_draws(self) -> dict[Setting, int]:
        """The most draws that any cell of a setting with noise has."""
        most: dict[Setting, int] = {}
        for cell in self.cells:
            if cell.noisy:
                setting = setting_of(cell)
                most[setting] = max(most.get(setting, 0), cell.draws)
        return most

    # Figures ask for a few models at one epsilon: with many cells, looking at each takes too long.

    @cached_property
    def _attacked(self) -> list[tuple[Cell, Variant]]:
        """Attacked cells with their attacks."""
        return [(cell, variant_of(cell)) for cell in self.cells if cell.attack != CLEAN]

    @cached_property
    def _places(self) -> dict[tuple[str, str, float], list[Cell]]:
        """Cells by model and epsilon, clean ones apart."""
        found: dict[tuple[str, str, float], list[Cell]] = {}
        for cell in self.cells:
            clean = cell.attack == CLEAN
            place = (cell.model, CLEAN if clean else "", 0.0 if clean else cell.epsilon)
            found.setdefault(place, []).append(cell)
        return found

    @cached_property
    def _tried(self) -> dict[tuple[str, Variant], set[Setting]]:
        """Settings by model and attack."""
        found: dict[tuple[str, Variant], set[Setting]] = {}
        for cell, variant in self._attacked:
            found.setdefault((cell.model, variant), set()).add(setting_of(cell))
        return found

    @cached_property
    def _fewest(self) -> dict[str, int]:
        """The fewest draws of the noisy cells of a model."""
        fewest: dict[str, int] = {}
        for cell in self.cells:
            if cell.noisy:
                fewest[cell.model] = min(fewest.get(cell.model, cell.draws), cell.draws)
        return fewest

    @cached_property
    def _cells_of(self) -> Counter[Variant]:
        """How many cells each attack has."""
        return Counter(variant for _, variant in self._attacked)

    @cached_property
    def _epsilons(self) -> dict[Variant, set[float]]:
        found: dict[Variant, set[float]] = {}
        for cell, variant in self._attacked:
            found.setdefault(variant, set()).add(cell.epsilon)
        return found


def menu_of(evidence: Evidence, planned: Sequence[Cell] = ()) -> Menu:
    """What can be chosen, with cells that a grid will measure; images must have been attacked."""
    new = tuple(cell for cell in planned if cell.key not in evidence.cells)
    mark = (evidence.stamp, tuple(cell.key for cell in new))
    return _menus().compute(mark, Menu, lambda: _menu(evidence, new))


# A page asks for its menu some ten times a run: a decorated function would digest the mark each
# time, which takes longer than looking it up.
@st.cache_resource(show_spinner=False)
def _menus() -> Memo:
    return Memo(_MENUS)


def _menu(evidence: Evidence, new: Sequence[Cell]) -> Menu:
    groups = by_sample([*evidence.cells.values(), *new])
    planned = {cell.key for cell in new}
    attacked = {
        place: cells
        for place, cells in groups.items()
        if any(cell.attack != CLEAN for cell in cells)
    }
    counts = {}
    for place, cells in attacked.items():
        measured = [cell.key for cell in cells if cell.key not in planned]
        shipped = sum(key not in evidence.own for key in measured)
        counts[place] = (shipped, len(measured))
    return Menu(attacked, counts)


def by_sample(cells: Iterable[Cell]) -> Groups:
    """Cells by data set and sample."""
    # By the fields: to make a sample of each of thousands of cells takes longer.
    groups: dict[tuple[str | int, ...], list[Cell]] = {}
    for cell in cells:
        place = (cell.dataset, cell.split, cell.data, cell.images, cell.seed, cell.batch_size)
        groups.setdefault(place, []).append(cell)
    return {(found[0].dataset, Sample.of(found[0])): found for found in groups.values()}


def points_of(evidence: Evidence, selection: Selection) -> tuple[OperatingPoint, ...]:
    """The operating points of a selection, by model, T and sigma; remembered."""
    key = ("explorer.points", evidence.stamp, replace(selection, axis="sigma", beside=()))
    return resources.memo().compute(key, tuple, lambda: _points(evidence, selection))


def _points(evidence: Evidence, selection: Selection) -> tuple[OperatingPoint, ...]:
    wanted = _selected(evidence, selection)
    if not wanted:
        return ()
    variants = menu_of(evidence).only(selection.dataset, selection.sample).chosen(selection.slugs)
    worst = selection.attack == WORST
    found = operating_points(
        evidence.results(wanted),
        WORST if worst else variants[0].attack,
        selection.epsilon,
        selection.predictor,
        selection.passes,
        attacks=[variant.attack for variant in variants] if worst else (),
    )
    return _most_draws(found)


def _selected(evidence: Evidence, selection: Selection) -> list[Cell]:
    """The cells, clean and attacked, that the points of a selection are made of."""
    menu = menu_of(evidence).only(selection.dataset, selection.sample)
    variants = menu.chosen(selection.slugs)
    if not variants:
        return []
    timed = set(filter(has_time, selection.models))
    return [
        cell
        for model in selection.models
        for cell in menu.at(model, selection.epsilon)
        if (not selection.settings or setting_of(cell) in selection.settings)
        and (cell.time_steps in selection.steps or model not in timed)
        and (cell.attack == CLEAN or variant_of(cell) in variants)
    ]


def setting_of(cell: Cell) -> Setting:
    """The model of a cell, its T and its sigma."""
    return cell.model, cell.time_steps, cell.sigma


def _most_draws(points: Iterable[OperatingPoint]) -> tuple[OperatingPoint, ...]:
    """Of points at one setting, as of two grids, that with the most draws."""
    ranked = sorted(points, key=lambda point: point.robust_result.cell.draws)
    best = {(point.model, point.time_steps, point.sigma or 0.0): point for point in ranked}
    return tuple(best[place] for place in sorted(best))


def has_time(model: str) -> bool:
    """False for an ordinary network without noise, which has one T whatever is chosen."""
    return resources.zoo().card(model).config.has_time
