"""`python -m rsc_snn zoo`: list, check, train and evaluate the models, print their tables."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import rsc_snn
from rsc_snn.commands import add_zoo_option, open_zoo
from rsc_snn.errors import ConfigError, DataError, ZooError
from rsc_snn.robustness.actions import add_evaluate, add_results_action


def add_parser(subparsers: Any) -> None:
    """Register the command and its actions."""
    parser = subparsers.add_parser(
        "zoo", help="list, check, train and evaluate the models", description=__doc__
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
        if name != "table":
            add_zoo_option(action)
        if name == "verify":
            action.add_argument("names", nargs="*", metavar="NAME", help="only these models")
    _add_train(actions)
    add_evaluate(actions)
    add_results_action(actions)


def _add_train(actions: Any) -> None:
    parser = actions.add_parser(
        "train",
        help="train and export what is missing; what was interrupted goes on where it was",
        description="Train one model after the other, teachers first, and write it to the folder "
        "of models. Each has a run folder of its own: started again after Ctrl-C or a kill, the "
        "command goes on where it was.",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="these recipes, even if their models are there; of a finished run the model is "
        "exported again",
    )
    parser.add_argument(
        "--missing",
        action="store_true",
        help="all recipes, or of the NAMEs those, whose model is not there or of another recipe",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument(
        "--restart",
        action="store_true",
        help="do not go on with earlier runs: they are renamed (NAME-old-1), and training starts "
        "afresh",
    )
    parser.add_argument(
        "--scale",
        choices=("cpu", "gpu"),
        help="models of this scale alone (default: keep models of any, train what is missing at "
        "gpu on a CUDA device, else at cpu)",
    )
    parser.add_argument("--data", type=Path, help="data folder (default: RSC_SNN_DATA or data/)")
    parser.add_argument("--device", help="cuda, mps or cpu (default: the best there is)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="the folder of run folders (default: runs)"
    )
    parser.add_argument(
        "--folder", type=Path, help="the folder of models (default: that of the app)"
    )
    parser.add_argument(
        "--recipes",
        type=Path,
        default=Path(rsc_snn.__file__).parent / "recipes",
        help="the folder of recipes (default: those of the program)",
    )
    parser.set_defaults(run=run_train)


def run_list(args: argparse.Namespace) -> int:
    """Print each model's name, accuracy, coding, size and label; what is wrong goes to stderr."""
    from rsc_snn.zoo import NOT_STATED

    zoo = open_zoo(args, args.folder)
    width = max((len(name) for name in zoo.names()), default=0)
    for name in zoo.names():
        card = zoo.card(name)
        config, clean = card.config, card.clean_accuracy
        sigma = f" sigma {config.sigma:g}" if config.coding == "rsc" else ""
        accuracy = (
            f"clean accuracy {NOT_STATED}"
            if clean is None
            else f"{clean.value:6.1%} clean ({clean.lower:.1%} to {clean.upper:.1%}, n={clean.n:,})"
        )
        print(
            f"{name:{width}}  {accuracy}  {config.coding}{sigma}, T={config.time_steps}  "
            f"{card.size_bytes / 1e6:.1f} MB  {card.dataset}, {card.label}"
        )
    for problem in zoo.problems().values():
        print(problem, file=sys.stderr)
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Load every model, or those named. Raises ZooError if there is none."""
    zoo = open_zoo(args, args.folder)
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
    from rsc_snn.zoo import cards_markdown, named_zoo

    zoo = named_zoo(args.folder)
    for problem in zoo.problems().values():
        raise ZooError(problem)
    print(cards_markdown(zoo.card(name) for name in zoo.names()), end="")
    return 0


def run_train(args: argparse.Namespace) -> int:
    """Train what the zoo lacks; 2 if a model that could be trained failed, or a named one cannot.

    Raises ConfigError if nothing says what to train, or under torchrun; DataError if the data
    folder does not exist.
    """
    if not args.names and not args.missing:
        raise ConfigError("Say what to train: --missing for all that is missing, or names.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("zoo train works in one process; under torchrun use train --export.")

    from rsc_snn.data import data_root
    from rsc_snn.training.batch import (
        Places,
        data_obstacle,
        default_scale,
        plan,
        prepare_device,
        read_recipes,
        too_long,
        train_all,
    )
    from rsc_snn.zoo import models_folder

    places = Places(
        args.data or data_root(), args.runs, args.folder or models_folder(), args.recipes
    )
    if not places.data.is_dir():
        raise DataError(f"The data folder {str(places.data)!r} does not exist.")
    device = prepare_device(args.device, args.threads)
    scale = args.scale or default_scale(device)
    recipes = read_recipes(args.recipes, scale, strict=args.scale is not None)
    tasks = plan(
        recipes,
        places.zoo(),
        args.names,
        missing=args.missing,
        obstacle=lambda recipe: (
            data_obstacle(recipe, places.data) or ("" if args.names else too_long(recipe))
        ),
        restart=args.restart,
    )
    for task in tasks:
        print(task.line(), flush=True)
    if scale == "gpu" and args.scale is None and not all(task.reason for task in tasks):
        print("note   a model of either scale is up to date; --scale gpu trains the larger ones")
    if args.dry_run:
        return 0
    failed = train_all(tasks, recipes, places, device, restart=args.restart)
    skipped = {task.recipe.name for task in tasks if task.reason and not task.to_do}
    failed |= skipped & set(args.names)
    return 2 if failed else 0
