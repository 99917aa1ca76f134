"""How many lines a figure can hold: which ones are shown where there are more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rsc_snn.tradeoff import OperatingPoint
from rsc_snn.ui.explorer.measured import Setting

# A model at one T.
Dial = tuple[str, int]
# A model at one sigma.
Level = tuple[str, float | None]
V = TypeVar("V")

_DIALS = 12
_LEVELS = 12
# So that a dial and a level line keep their bands.
_OF_MODEL = 5
_SETTINGS = 8


def few_dials(settings: Iterable[Setting], most: int = _DIALS) -> frozenset[Dial]:
    """At most `most` dials if there are no more models: T evenly from the lowest to the highest."""
    steps = _steps(settings)
    each = max(1, most // max(len(steps), 1))
    return frozenset((model, t) for model, found in steps.items() for t in spread(found, each))


def few_levels(settings: Iterable[Setting], most: int = _LEVELS) -> frozenset[Level]:
    """Few lines over T, of each model some sigmas: evenly, with the ends where there is room.

    At most `most` if there are no more models, and at most five of one.
    """
    sigmas: dict[str, set[float | None]] = {}
    for model, _, sigma in settings:
        sigmas.setdefault(model, set()).add(sigma)
    each = max(1, min(_OF_MODEL, most // max(len(sigmas), 1)))
    return frozenset(
        (model, sigma)
        for model, found in sigmas.items()
        for sigma in spread(sorted(found, key=lambda sigma: sigma or 0.0), each)
    )


def few_settings(
    settings: Sequence[Setting], wanted: Iterable[Setting] = (), most: int = _SETTINGS
) -> frozenset[Setting]:
    """At most `most` settings if there are no more models, each dial's ends if there is room.

    Rather fewer T than fewer than two sigmas of a dial. wanted: a setting of each dial that takes
    the place of the nearest one.
    """
    sought = {(model, steps): sigma for model, steps, sigma in wanted}
    for number in range(len(settings), 0, -1):
        kept = few_dials(settings, number)
        dials: dict[Dial, list[float | None]] = {}
        for model, steps, sigma in settings:
            if (model, steps) in kept:
                dials.setdefault((model, steps), []).append(sigma)
        level = sum(len(sigmas) == 1 for sigmas in dials.values())
        each = (most - level) // max(len(dials) - level, 1)
        if each >= 2 or len(dials) == len(_steps(settings)):
            return frozenset(
                (*dial, sigma)
                for dial, sigmas in dials.items()
                for sigma in spread(sigmas, max(1, each), sought.get(dial))
            )
    return frozenset()


def best_of_dials(points: Iterable[OperatingPoint]) -> list[Setting]:
    """The setting of the best harmonic mean of each dial."""
    best: dict[Dial, OperatingPoint] = {}
    for point in points:
        dial = (point.model, point.time_steps)
        if dial not in best or point.harmonic > best[dial].harmonic:
            best[dial] = point
    return [(*dial, point.sigma) for dial, point in best.items()]


def spread(values: Sequence[V], most: int, wanted: V | None = None) -> list[V]:
    """At most `most` of the values, the first and the last among them; of one, the middle.

    wanted: one that takes the place of the one nearest to it, not of the first if there are two.
    """
    if len(values) <= most:
        return list(values)
    if most == 1:
        places = [len(values) // 2]
    else:
        places = [round(at * (len(values) - 1) / (most - 1)) for at in range(most)]
    if wanted is not None and wanted in values:
        here = values.index(wanted)
        free = range(min(1, most - 1), most)
        if here not in places:
            places[min(free, key=lambda at: abs(places[at] - here))] = here
    return [values[place] for place in places]


def _steps(settings: Iterable[Setting]) -> dict[str, list[int]]:
    """The T of each model, rising."""
    found: dict[str, set[int]] = {}
    for model, steps, _ in settings:
        found.setdefault(model, set()).add(steps)
    return {model: sorted(steps) for model, steps in found.items()}
