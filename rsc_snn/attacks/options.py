"""Command-line options made from the attack registry."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from rsc_snn.attacks.parameters import ParameterSpec, Value
from rsc_snn.attacks.registry import ATTACKS, AttackSpec, validate_parameters
from rsc_snn.errors import AttackError


def add_attack_options(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add `--attack`, one option for every parameter name of the registry, and `--set`."""
    parser.add_argument(
        "--attack",
        required=required,
        type=lambda text: text.replace("-", "_"),
        choices=tuple(ATTACKS),
        metavar="NAME",
        help=f"one of {', '.join(ATTACKS)}",
    )
    group = parser.add_argument_group(
        "parameters of the attack", "An attack takes those that name it; the rest are mistakes."
    )
    for name, owners in _parameters_by_name().items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            dest=_destination(name),
            metavar="VALUE",
            help=_help(owners),
        )
    group.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any parameter by its name; may be repeated",
    )


def attack_parameters(args: argparse.Namespace, spec: AttackSpec) -> dict[str, Value]:
    """The parameters of `spec` that the command line gave, complete and checked.

    Raises AttackError for a parameter that the attack does not have, or a bad value.
    """
    texts = {
        name: text
        for name in _parameters_by_name()
        if (text := getattr(args, _destination(name))) is not None
    }
    for setting in args.settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise AttackError(f"--set needs NAME=VALUE, not {setting!r}.")
        texts[name.strip().replace("-", "_")] = text
    specs = {parameter.name: parameter for parameter in spec.parameters}
    values = {
        name: specs[name].parse(text) if name in specs else text for name, text in texts.items()
    }
    return validate_parameters(spec, values)


def option_words(parameters: Iterable[tuple[str, Value]]) -> list[str]:
    """The options that give these parameters to `attack_parameters`."""
    words = []
    for name, value in parameters:
        text = f"{value:.9g}" if isinstance(value, float) else str(value).lower()
        words += [f"--{name.replace('_', '-')}", text]
    return words


def _destination(name: str) -> str:
    return f"parameter_{name}"


def _parameters_by_name() -> dict[str, list[tuple[AttackSpec, ParameterSpec]]]:
    found: dict[str, list[tuple[AttackSpec, ParameterSpec]]] = {}
    for spec in ATTACKS.values():
        for parameter in spec.parameters:
            found.setdefault(parameter.name, []).append((spec, parameter))
    return found


def _help(owners: Iterable[tuple[AttackSpec, ParameterSpec]]) -> str:
    owners = list(owners)
    text = owners[0][1].help
    defaults = ", ".join(f"{spec.name} {p.value_text(p.default)}" for spec, p in owners)
    return f"{text} Defaults: {defaults}".replace("%", "%%")
