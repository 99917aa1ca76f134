"""The points of a figure in words: a row of a table for each, and one sentence for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rsc_snn.evaluate import Estimate, Predictor
from rsc_snn.sweep.cells import Cell
from rsc_snn.tradeoff.points import OperatingPoint, VotePoint


@dataclass(frozen=True, eq=False)
class PointRow:
    """What a figure shows of a point.

    attacks: cells of the attacks, of the worst case all of them. predictor, passes: what answers;
    passes are None for a single pass. scored: how many answers an image's score is the mean of.
    """

    point: OperatingPoint
    clean: Estimate
    robust: Estimate
    attacks: tuple[Cell, ...]
    predictor: Predictor
    passes: int | None
    scored: int

    @property
    def cell(self) -> Cell:
        """The attacked cell, of the worst case that of the attack that does most harm."""
        return self.point.robust_result.cell


def point_rows(points: Iterable[OperatingPoint]) -> tuple[PointRow, ...]:
    """A row for each operating point."""
    return tuple(
        PointRow(
            point,
            point.clean,
            point.robust,
            tuple(result.cell for result in point.robust_results),
            point.predictor,
            point.voters,
            point.scored,
        )
        for point in points
    )


def vote_rows(
    point: OperatingPoint, clean: Sequence[VotePoint], robust: Sequence[VotePoint]
) -> tuple[PointRow, ...]:
    """A row for each number of passes of the vote curves of one point, which have the same ones."""
    return tuple(
        PointRow(
            point,
            before.estimate,
            after.estimate,
            (point.robust_result.cell,),
            "vote",
            after.passes,
            after.groups,
        )
        for before, after in zip(clean, robust, strict=True)
    )


def accuracy_words(rows: Sequence[PointRow]) -> str:
    """Such as `clean accuracy 61.0 to 82.1 %, robust accuracy 12.0 to 39.0 %`."""
    clean = _ends([100 * row.clean.value for row in rows], ".1f")
    robust = _ends([100 * row.robust.value for row in rows], ".1f")
    return f"clean accuracy {clean} %, robust accuracy {robust} %"


def harmonic_words(rows: Sequence[PointRow]) -> str:
    """Such as `harmonic mean 19.7 to 46.2 %`."""
    return f"harmonic mean {_ends([100 * row.point.harmonic for row in rows], '.1f')} %"


def sigma_words(rows: Sequence[PointRow], *, effective: bool = False) -> str:
    """Such as `sigma 0 to 0.5`; nothing without a noise level. effective: sigma / sqrt(T)."""
    points = [row.point for row in rows]
    every = [point.effective_sigma if effective else point.sigma for point in points]
    found = [sigma for sigma in every if sigma is not None]
    name = "sigma / sqrt(T)" if effective else "sigma"
    return f"{name} {_ends(found, '.3g')}" if found else ""


def steps_words(rows: Sequence[PointRow]) -> str:
    """Such as `T 1 to 8`."""
    return f"T {_ends([row.point.time_steps for row in rows], 'g')}"


def epsilon_words(rows: Sequence[PointRow]) -> str:
    """Such as `epsilon 1 to 16`."""
    return f"epsilon {_ends([row.point.epsilon for row in rows], 'g')}"


def passes_words(rows: Sequence[PointRow]) -> str:
    """Such as `votes of 1 to 5 passes`."""
    return f"votes of {_ends([row.passes or 1 for row in rows], 'g')} passes"


def setting_words(rows: Sequence[PointRow]) -> str:
    """Such as `6 settings of 2 networks`; a setting has one T and one sigma."""
    points = [row.point for row in rows]
    settings = len({(point.model, point.time_steps, point.sigma) for point in points})
    networks = len({point.model for point in points})
    return f"{_count(settings, 'setting')} of {_count(networks, 'network')}"


def _ends(values: Sequence[float], form: str) -> str:
    """The lowest and the highest value; once if they read the same."""
    low, high = f"{min(values):{form}}", f"{max(values):{form}}"
    return low if low == high else f"{low} to {high}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
