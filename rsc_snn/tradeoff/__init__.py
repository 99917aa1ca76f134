"""The trade-off between accuracy and robustness, from measured cells: docs/tradeoff.md defines it.

Everything is computed from the stored answers of `CellResult`s, without measuring again.
"""

from __future__ import annotations

from rsc_snn.resampling import SIGNIFICANT
from rsc_snn.tradeoff.choice import Choice, Rival, best_under_budget
from rsc_snn.tradeoff.collapse import Collapse, explains
from rsc_snn.tradeoff.paired import Difference, holm
from rsc_snn.tradeoff.points import (
    WORST,
    OperatingPoint,
    VotePoint,
    harmonic_mean,
    harmonic_means,
    operating_points,
    pareto_front,
    vote_curve,
)
from rsc_snn.tradeoff.prices import Price, Qte, in_tenths, prices_of_dial, qte
from rsc_snn.tradeoff.variance import Components, attack_cost, variance_components

__all__ = [
    "SIGNIFICANT",
    "WORST",
    "Choice",
    "Collapse",
    "Components",
    "Difference",
    "OperatingPoint",
    "Price",
    "Qte",
    "Rival",
    "VotePoint",
    "attack_cost",
    "best_under_budget",
    "explains",
    "harmonic_mean",
    "harmonic_means",
    "holm",
    "in_tenths",
    "operating_points",
    "pareto_front",
    "prices_of_dial",
    "qte",
    "variance_components",
    "vote_curve",
]
