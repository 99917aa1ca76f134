"""`python -m rsc_snn attack`: attack one image of a pretrained model."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsc_snn.attacks.options import add_attack_options, attack_parameters
from rsc_snn.attacks.registry import get_attack
from rsc_snn.commands import add_zoo_option, open_zoo
from rsc_snn.errors import DataError, ImageError

if TYPE_CHECKING:
    from torch import Tensor

    from rsc_snn.attacks.run import AttackResult


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "attack", help="attack one image", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="a model of the zoo")
    add_zoo_option(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--image", type=Path, metavar="FILE", help="a PNG, JPEG or WebP file")
    source.add_argument(
        "--gallery", metavar="ID", help="an image of the gallery, as DATASET/INDEX: cifar10/12"
    )
    parser.add_argument(
        "--label",
        metavar="CLASS",
        help="the true class (default: the gallery's, or what the model answers)",
    )
    add_attack_options(parser, required=True)
    add_model_options(parser, draws=8)
    parser.add_argument("--out", type=Path, metavar="FILE", help="save the attacked image as PNG")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.set_defaults(run=run)


def add_model_options(parser: argparse.ArgumentParser, *, draws: int) -> None:
    """Options on how the model runs; `draws` is the default number of draws."""
    parser.add_argument("--sigma", type=float, help="noise level 0..1 (default: the model's)")
    parser.add_argument("--time-steps", type=int, help="time steps (default: the model's)")
    parser.add_argument(
        "--draws", type=int, default=draws, help=f"fresh draws to score on (default: {draws})"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of all noise (default: 0)")
    parser.add_argument("--device", help="cuda, mps or cpu (default: the best there is)")


def run(args: argparse.Namespace) -> int:
    """Attack, save if asked to, and print what happened."""
    spec = get_attack(args.attack)
    parameters = attack_parameters(args, spec)

    from rsc_snn.attacks.run import run_attack
    from rsc_snn.device import pick_device

    zoo = open_zoo(args)
    card = zoo.card(args.model)
    model = zoo.load(args.model, pick_device(args.device))
    x, true_class = _read_image(args, model.config.image_size)
    settings = {"time_steps": args.time_steps, "sigma": args.sigma, "seed": args.seed}
    label = _class_index(args.label or true_class, card.classes)
    if label is None:
        label = _answer(model, x, args.draws, settings)
    result = run_attack(
        model,
        x,
        _labels(label),
        spec.name,
        parameters,
        draws=args.draws,
        **settings,
    )
    summary = _summary(args, result, card.classes)
    if args.out is not None:
        _save(result.adversarial[0], args.out)
        summary["out"] = str(args.out)
    print(json.dumps(summary) if args.json else _sentence(summary))
    return 0


def command_line() -> str:
    """The command as it was typed, for records."""
    return shlex.join(["python", "-m", "rsc_snn", *sys.argv[1:]])


def _read_image(args: argparse.Namespace, image_size: int) -> tuple[Tensor, str | None]:
    """Pixels `[1, 3, H, W]` and the name of the true class, if known."""
    from rsc_snn.data.gallery import load_gallery
    from rsc_snn.data.uploads import decode_image

    if args.image is not None:
        try:
            content = args.image.read_bytes()
        except OSError as error:
            raise ImageError(f"The image {args.image} cannot be read.") from error
        return decode_image(content, image_size).pixels, None
    dataset, _, index = args.gallery.rpartition("/")
    for image in load_gallery():
        if image.dataset == dataset and str(image.index) == index:
            return image.pixels(image_size), image.class_name
    raise DataError(f"The gallery has no image {args.gallery!r}; images are DATASET/INDEX.")


def _class_index(text: str | None, classes: tuple[str, ...]) -> int | None:
    """The number of the class called `text` (or numbered so); None for no text."""
    if text is None:
        return None
    names = [name.lower() for name in classes]
    if text.lower() in names:
        return names.index(text.lower())
    if text.isdecimal() and int(text) < len(classes):
        return int(text)
    raise DataError(f"The model has no class {text!r}; it has {', '.join(classes)}.")


def _labels(label: int) -> Tensor:
    import torch

    return torch.tensor([label])


def _answer(model: Any, x: Tensor, draws: int, settings: dict[str, Any]) -> int:
    """The class that the model answers for the clean image, by its mean probability."""
    from rsc_snn.attacks.run import score

    device = next(model.parameters()).device
    logits = score(model, x.to(device), draws, **settings)
    return int(logits.softmax(dim=-1).mean(dim=0).argmax())


def _summary(
    args: argparse.Namespace, result: AttackResult, classes: tuple[str, ...]
) -> dict[str, Any]:
    label = int(result.labels[0])
    change = result.perturbation[0]
    return {
        "model": args.model,
        "image": args.gallery or str(args.image),
        "true_class": classes[label],
        "attack": result.attack,
        "parameters": result.parameters,
        "sigma": result.sigma,
        "time_steps": result.time_steps,
        "draws": result.draws,
        "seed": result.seed,
        "before": _prediction(result.clean_logits[:, 0], label, classes),
        "after": _prediction(result.adversarial_logits[:, 0], label, classes),
        "linf_255": round(float(change.abs().max()) * 255, 4),
        "l2": round(float(change.norm()), 4),
        "queries": result.queries,
        "gradients": result.gradients,
        "seconds": round(result.seconds, 3),
        "command": command_line(),
    }


def _prediction(logits: Tensor, label: int, classes: tuple[str, ...]) -> dict[str, Any]:
    """The answer for one image from logits `[D, K]`."""
    probabilities = logits.softmax(dim=-1).mean(dim=0)
    best = int(probabilities.argmax())
    correct = (logits.argmax(dim=-1) == label).float().mean()
    return {
        "class": classes[best],
        "probability": round(float(probabilities[best]), 4),
        "correct_share_of_draws": round(float(correct), 4),
    }


def _sentence(summary: dict[str, Any]) -> str:
    before, after = summary["before"], summary["after"]
    return (
        f"{summary['model']} on {summary['image']} ({summary['true_class']}), "
        f"{summary['attack']}: {before['class']} {before['probability']:.0%} -> "
        f"{after['class']} {after['probability']:.0%}; correct in "
        f"{before['correct_share_of_draws']:.0%} -> {after['correct_share_of_draws']:.0%} of "
        f"{summary['draws']} draws; largest change {summary['linf_255']:g}/255, "
        f"L2 {summary['l2']:g}; {summary['queries']} queries, {summary['seconds']:g} s"
    )


def _save(pixels: Tensor, path: Path) -> None:
    """Write pixels `[C, H, W]` in 0..1 as PNG, rounded to 8 bits (by at most half of 1/255)."""
    from PIL import Image

    array = (pixels * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    try:
        Image.fromarray(array).save(path, format="PNG")
    except OSError as error:
        raise ImageError(f"The image cannot be written to {path}.") from error
