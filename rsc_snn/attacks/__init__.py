"""Attacks: a registry of specs, and one function that runs any of them.

`run_attack` and what needs torch is imported on first use, so that reading the registry (the
command line's `--help`, the docs) is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rsc_snn.attacks.parameters import ParameterSpec
from rsc_snn.attacks.registry import (
    ATTACKS,
    AttackSpec,
    attacks_markdown,
    get_attack,
    validate_parameters,
)

if TYPE_CHECKING:
    from rsc_snn.attacks.run import AttackResult, run_attack, score

__all__ = [
    "ATTACKS",
    "AttackResult",
    "AttackSpec",
    "ParameterSpec",
    "attacks_markdown",
    "get_attack",
    "run_attack",
    "score",
    "validate_parameters",
]
_LAZY = {"AttackResult", "run_attack", "score"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module("rsc_snn.attacks.run"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
