"""`python -m rsc_snn train RECIPE`: train one model, resuming where a killed run stopped."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from rsc_snn.errors import ConfigError


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
        help="which variant of the recipe (default: gpu on a CUDA device, else cpu)",
    )
    parser.add_argument("--seed", type=int, help="instead of the recipe's seed")
    parser.add_argument(
        "--zoo",
        type=Path,
        metavar="FOLDER",
        help="where the teacher is (default: the app's models)",
    )
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
    import torch
    from tqdm import tqdm

    from rsc_snn.data import load_dataset
    from rsc_snn.device import describe_device, keep_freed_memory, pick_device
    from rsc_snn.training.loop import Trainer, TrainingData, join_workers
    from rsc_snn.training.recipe import read_recipe
    from rsc_snn.training.teacher import load_teacher

    if args.threads is not None:
        if args.threads < 1:
            raise ConfigError(f"--threads must be at least 1, not {args.threads}.")
        torch.set_num_threads(args.threads)
    device = pick_device(args.device)
    scale = args.scale or ("gpu" if device.type == "cuda" else "cpu")
    changes = {} if args.seed is None else {"seed": args.seed}
    recipe = read_recipe(args.recipe, scale, **changes)
    if device.type == "cpu":
        keep_freed_memory()
    folder = args.out or Path("runs") / recipe.name
    data = load_dataset(
        recipe.dataset, "train", args.data, recipe.model.image_size, recipe.limit or None
    )
    if len(data.classes) != recipe.model.num_classes:
        raise ConfigError(
            f"The data has {len(data.classes)} classes, "
            f"the recipe's model {recipe.model.num_classes}."
        )
    with join_workers(device) as worker:
        if args.restart and worker.first:
            shutil.rmtree(folder, ignore_errors=True)
        trainer = Trainer(
            recipe,
            TrainingData(data.images, data.labels),
            folder,
            device,
            worker,
            teacher=load_teacher(recipe, args.zoo or args.export, device),
        )
        if worker.first:
            print(f"{recipe.name}: {len(data)} images, {describe_device(device)}, run in {folder}")
        with tqdm(
            total=trainer.steps,
            initial=trainer.step,
            unit="step",
            disable=not worker.first,
            mininterval=1.0,
        ) as bar:

            def show(step: int, steps: int, loss: float) -> None:
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
                bar.update(step - bar.n)

            trainer.run(show)
        if args.export is not None and worker.first:
            from rsc_snn.training.export import export_run

            card = export_run(trainer, data.note, args.data, args.export)
            print(f"{card.name}: {card.clean_accuracy.value:.2%} clean, written to {args.export}")
    return 0
