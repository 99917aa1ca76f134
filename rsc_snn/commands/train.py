"""`python -m rsc_snn train RECIPE`: train one model, resuming where a killed run stopped.

A teacher is looked for in the folder of --export; if it is not there, among the app's models and
the own ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rsc_snn.commands import add_zoo_option


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "train",
        help="train a model from a recipe; an interrupted run goes on where it stopped",
        description=__doc__,
    )
    parser.add_argument("recipe", type=Path, help="a TOML recipe, such as those in rsc_snn/recipes")
    parser.add_argument(
        "--scale",
        choices=("cpu", "gpu"),
        help="which variant of the recipe (default: for a student the one of its teacher's size, "
        "else gpu on a CUDA device and cpu elsewhere)",
    )
    parser.add_argument("--seed", type=int, help="instead of the recipe's seed")
    add_zoo_option(parser)
    parser.add_argument("--data", type=Path, help="data folder (default: RSC_SNN_DATA or data/)")
    parser.add_argument("--out", type=Path, help="the run's folder (default: runs/NAME)")
    parser.add_argument("--device", help="cuda, mps or cpu (default: the best there is)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--restart", action="store_true", help="discard an earlier run in --out")
    parser.add_argument(
        "--export",
        type=Path,
        metavar="FOLDER",
        help="when done, evaluate on the test split and write weights and card to this folder",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and export if asked to."""
    from rsc_snn.training.batch import (
        prepare_device,
        read_fitting,
        teacher_zoo,
        train_recipe,
    )
    from rsc_snn.training.recipe import read_recipe

    device = prepare_device(args.device, args.threads)
    changes = {} if args.seed is None else {"seed": args.seed}
    first = read_recipe(args.recipe, args.scale or "cpu", **changes)
    teachers = teacher_zoo(first, args.export, args.zoo)
    recipe = first if args.scale else read_fitting(args.recipe, device, teachers, **changes)
    train_recipe(
        recipe,
        args.out or Path("runs") / recipe.name,
        device,
        data=args.data,
        teachers=teachers,
        export=args.export,
        restart=args.restart,
        recipe_file=args.recipe,
    )
    return 0
