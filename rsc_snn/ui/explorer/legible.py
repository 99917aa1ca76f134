"""How many lines a figure can hold: which ones are shown where there are more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rsc_snn.ui.explorer.measured import Setting

# A model at one T.
Dial = tuple[str, int]
V = TypeVar("V")

_DIALS = 12
_SETTINGS = 8


def few_dials(settings: Iterable[Setting], most: int = _DIALS) -> frozenset[Dial]:
    """At most `most` dials if there are no more models: T evenly from the lowest to the highest."""
    steps = _steps(settings)
    each = max(1, most // max(len(steps), 1))
    return frozenset((model, t) for model, found in steps.items() for t in spread(found, each))


def few_settings(settings: Sequence[Setting], most: int = _SETTINGS) -> frozenset[Setting]:
    """At most `most` settings if there are no more models, each dial's ends if there is room.

    Rather fewer T than fewer than two sigmas of a dial.
    """
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
                for sigma in spread(sigmas, max(1, each))
            )
    return frozenset()


def spread(values: Sequence[V], most: int) -> list[V]:
    """At most `most` of the values, the first and the last among them; of one, the middle."""
    if len(values) <= most:
        return list(values)
    if most == 1:
        return [values[len(values) // 2]]
    return [values[round(at * (len(values) - 1) / (most - 1))] for at in range(most)]


def _steps(settings: Iterable[Setting]) -> dict[str, list[int]]:
    """The T of each model, rising."""
    found: dict[str, set[int]] = {}
    for model, steps, _ in settings:
        found.setdefault(model, set()).add(steps)
    return {model: sorted(steps) for model, steps in found.items()}
