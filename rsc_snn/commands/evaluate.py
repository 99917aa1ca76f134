"""`python -m rsc_snn evaluate`: accuracy of a model, clean and under attack, as one JSON line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsc_snn.attacks.options import add_attack_options, attack_parameters
from rsc_snn.attacks.registry import get_attack
from rsc_snn.commands import add_zoo_option, open_zoo
from rsc_snn.commands.attack import add_model_options, command_line
from rsc_snn.errors import AttackError, DataError

if TYPE_CHECKING:
    from rsc_snn.data import ImageSet


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure accuracy, clean and under attack",
        description=__doc__,
        allow_abbrev=False,
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="a model of the zoo")
    add_zoo_option(parser)
    parser.add_argument(
        "--data",
        required=True,
        metavar="DATASET|FOLDER",
        help="a data set by name, or a folder with one folder of images for each class",
    )
    parser.add_argument(
        "--root", type=Path, help="the data folder (default: RSC_SNN_DATA or data/)"
    )
    parser.add_argument("--split", default="test", choices=("train", "test", "gallery"))
    parser.add_argument("--limit", type=int, help="evaluate a random subset of so many images")
    parser.add_argument("--batch-size", type=int, default=64, help="images a batch (default: 64)")
    parser.add_argument(
        "--predictor",
        default="single",
        choices=("single", "vote"),
        help="a single pass (its expected accuracy) or the majority vote of the draws",
    )
    add_attack_options(parser, required=False)
    add_model_options(parser, draws=1)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate and print one line of JSON."""
    spec = None if args.attack is None else get_attack(args.attack)
    if spec is None and _attack_options(args):
        raise AttackError(f"{_attack_options(args)[0]} needs an --attack.")
    parameters = {} if spec is None else attack_parameters(args, spec)

    from tqdm import tqdm

    from rsc_snn.data.numbering import model_labels
    from rsc_snn.device import describe_device, keep_freed_memory, pick_device
    from rsc_snn.evaluate import evaluate_accuracy
    from rsc_snn.robustness.cells import fingerprint

    zoo = open_zoo(args)
    card = zoo.card(args.model)
    device = pick_device(args.device)
    if device.type == "cpu":
        keep_freed_memory()
    model = zoo.load(args.model, device)
    data = _load(args, model.config.image_size)
    labels = model_labels(data, card.dataset, card.classes)
    hide = args.quiet or not sys.stderr.isatty()
    with tqdm(total=1.0, disable=hide, bar_format="{l_bar}{bar}| {elapsed}<{remaining}") as bar:
        result = evaluate_accuracy(
            model,
            data.images,
            labels,
            attack=None if spec is None else spec.name,
            parameters=parameters,
            batch_size=args.batch_size,
            draws=args.draws,
            predictor=args.predictor,
            time_steps=args.time_steps,
            sigma=args.sigma,
            seed=args.seed,
            progress=lambda share: bar.update(share - bar.n),
            limit=args.limit,
        )
    record = {
        "model": args.model,
        "data": args.data,
        "split": args.split,
        "data_note": data.note,
        "data_fingerprint": fingerprint(data),
        "sha256": card.identity,
        "device": describe_device(device),
        **result.to_json(),
        "command": command_line(),
    }
    print(json.dumps(record))
    return 0


def _attack_options(args: argparse.Namespace) -> list[str]:
    """The attack's options that were given."""
    given = [
        f"--{name.removeprefix('parameter_').replace('_', '-')}"
        for name, value in vars(args).items()
        if name.startswith("parameter_") and value is not None
    ]
    return given + ["--set"] * bool(args.settings)


def _load(args: argparse.Namespace, image_size: int) -> ImageSet:
    from rsc_snn.data import DATASETS, gallery_set, load_dataset

    if args.split == "gallery":
        return gallery_set(args.data, image_size)
    if args.data in DATASETS:
        return load_dataset(args.data, args.split, args.root, image_size)
    if Path(args.data).is_dir():
        return load_dataset("folder", args.split, Path(args.data), image_size)
    names = ", ".join(DATASETS)
    raise DataError(f"{args.data!r} is neither a data set ({names}) nor a folder.")
