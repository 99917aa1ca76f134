"""`python -m rsc_snn zoo`: list the pretrained models, check their files, print their table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rsc_snn.errors import ZooError


def add_parser(subparsers: Any) -> None:
    """Register the command and its three actions."""
    parser = subparsers.add_parser(
        "zoo", help="list and check the pretrained models", description=__doc__
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, run, text in (
        ("list", run_list, "one line a model"),
        ("verify", run_verify, "check and load every model; exit code 2 if one does not work"),
        ("table", run_table, "the Markdown table of the README, from the cards"),
    ):
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        action.add_argument(
            "--folder", type=Path, help="the folder of models (default: that of the app)"
        )
        action.set_defaults(run=run)
        if name == "verify":
            action.add_argument("names", nargs="*", metavar="NAME", help="only these models")


def run_list(args: argparse.Namespace) -> int:
    """Print each model's name, accuracy, coding, size and label; what is wrong goes to stderr."""
    from rsc_snn.zoo import Zoo

    zoo = Zoo(args.folder)
    width = max((len(name) for name in zoo.names()), default=0)
    for name in zoo.names():
        card = zoo.card(name)
        config, clean = card.config, card.clean_accuracy
        sigma = f" sigma {config.sigma:g}" if config.coding == "rsc" else ""
        print(
            f"{name:{width}}  {clean.value:6.1%} clean ({clean.lower:.1%} to {clean.upper:.1%}, "
            f"n={clean.n:,})  {config.coding}{sigma}, T={config.time_steps}  "
            f"{card.size_bytes / 2**20:.1f} MB  {card.dataset}, {card.label}"
        )
    for problem in zoo.problems().values():
        print(problem, file=sys.stderr)
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Load every model, or those named. Raises ZooError if there is none."""
    from rsc_snn.zoo import Zoo

    zoo = Zoo(args.folder)
    names = args.names or sorted({*zoo.names(), *zoo.problems()})
    if not names:
        raise ZooError(f"There are no models in {zoo.folder}.")
    failed = False
    for name in names:
        try:
            zoo.load(name)
            print(f"{name}: ok")
        except ZooError as error:
            failed = True
            print(f"{name}: {error}", file=sys.stderr)
    return 2 if failed else 0


def run_table(args: argparse.Namespace) -> int:
    """Print the Markdown table. Raises ZooError if a card cannot be used."""
    from rsc_snn.zoo import Zoo, cards_markdown

    zoo = Zoo(args.folder)
    for problem in zoo.problems().values():
        raise ZooError(problem)
    print(cards_markdown(zoo.card(name) for name in zoo.names()), end="")
    return 0
