"""`python -m rsc_snn attack`: attack one image of a pretrained model, or replay a saved scene."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsc_snn.attacks.options import add_attack_options, attack_parameters
from rsc_snn.attacks.registry import get_attack
from rsc_snn.commands import add_zoo_option, open_zoo
from rsc_snn.errors import ConfigError, DataError, ImageError
from rsc_snn.settings import check_threads, most_threads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from rsc_snn.attacks.run import AttackResult
    from rsc_snn.scene import Environment, ModelResult, Scene, SceneFile


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "attack", help="attack one image", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--model", metavar="NAME", help="a model of the zoo")
    add_zoo_option(parser)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--image", type=Path, metavar="FILE", help="a PNG, JPEG or WebP file")
    source.add_argument(
        "--gallery", metavar="ID", help="an image of the gallery, as DATASET/INDEX: cifar10/12"
    )
    source.add_argument(
        "--scene",
        type=Path,
        metavar="FILE",
        help="replay a scene that the app saved, and compare if it holds results (1 if they "
        "differ); instead of --model, --image or --gallery, --attack and their options",
    )
    parser.add_argument(
        "--label",
        metavar="CLASS",
        help="the true class (default: the gallery's, or what the model answers)",
    )
    add_attack_options(parser, required=False)
    add_model_options(parser, draws=8)
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads of the CPU; they decide the last digits"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="save the attacked image as PNG")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.set_defaults(run=lambda args: run(args, parser))


def add_model_options(parser: argparse.ArgumentParser, *, draws: int) -> None:
    """Options on how the model runs; `draws` is the default number of draws."""
    parser.add_argument("--sigma", type=float, help="noise level 0..1 (default: the model's)")
    parser.add_argument("--time-steps", type=int, help="time steps (default: the model's)")
    parser.add_argument(
        "--draws", type=int, default=draws, help=f"fresh draws to score on (default: {draws})"
    )
    parser.add_argument("--seed", type=_seed, default=0, help="seed of all noise (default: 0)")
    parser.add_argument("--device", help="cuda, mps or cpu (default: the best there is)")


def _seed(text: str) -> int:
    """A seed as scenes and sweeps take it. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError("a seed is a whole number from 0 to 2**63 - 1")
    return int(text)


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Attack one image, or replay a scene."""
    _check_options(args, parser)

    from rsc_snn.scene import cpu_threads

    if args.scene is not None:
        return _replay(args)
    with cpu_threads(args.threads):
        return _attack(args)


def _check_options(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Leave with a usage message, or raise ConfigError, unless the options fit together."""
    if args.scene is not None:
        beside = {"scene", "zoo", "device", "threads", "out", "json", "run", "command"}
        if any(
            value != parser.get_default(name)
            for name, value in vars(args).items()
            if name not in beside
        ):
            raise ConfigError(
                "A scene has all settings in it; only --zoo, --device, --threads, --out and "
                "--json may stand beside --scene."
            )
    else:
        source = args.image or args.gallery
        needed = {"--model": args.model, "--image, --gallery or --scene": source}
        missing = [name for name, value in needed.items() if value is None]
        missing += ["--attack"] if args.attack is None else []
        if missing:
            parser.error(f"the following arguments are required: {', '.join(missing)}")
    if args.out is not None and not args.out.parent.is_dir():
        raise ConfigError(f"There is no folder {str(args.out.parent)!r} for --out.")
    if args.threads is not None:
        check_threads(args.threads)


def _attack(args: argparse.Namespace) -> int:
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
    summary = _summary(args, result, card.classes, card.identity)
    if args.out is not None:
        _save(result.adversarial[0].cpu().numpy(), args.out)
        summary["out"] = str(args.out)
    print(json.dumps(summary) if args.json else _sentence(summary))
    return 0


def _replay(args: argparse.Namespace) -> int:
    """Compute a scene, save if asked to, print the numbers; 1 if they are not the file's."""
    from rsc_snn.device import pick_device
    from rsc_snn.scene import Environment, differences, load_scene, model_result, play

    file = load_scene(args.scene)
    zoo, device = open_zoo(args), pick_device(args.device)
    found = []
    for request, outcome, painted in play(file.scene, zoo, device, threads=_threads(args, file)):
        found.append(model_result(request, outcome, painted))
        if args.out is not None:
            several = len(file.scene.models) > 1
            name = f"{args.out.stem}-{request.model}{args.out.suffix}"
            _save(outcome.adversarial, args.out.with_name(name) if several else args.out)
    here = Environment.here(device)
    changed = differences(file.results, found)
    if args.json:
        record = {
            "results": [result.to_json() for result in found],
            "environment": asdict(here),
            "same": not changed if file.results else None,
            "differences": changed,
            "command": command_line(),
        }
        print(json.dumps(record))
    else:
        for result in found:
            classes = zoo.card(result.model).classes
            print(_line(result, classes))
            if result.painted_counts is not None:
                print(_painted_line(result, result.painted_counts, classes, file.scene))
        _print_comparison(file, found, here, changed)
    return 1 if changed else 0


def _threads(args: argparse.Namespace, file: SceneFile) -> dict[str, int]:
    """The threads for each model: as asked for, else as many as the file's results had."""
    if args.threads is not None:
        return dict.fromkeys(file.scene.models, args.threads)
    most = most_threads()
    return {item.model: item.threads for item in file.results if 1 <= item.threads <= most}


def _line(result: ModelResult, classes: tuple[str, ...]) -> str:
    """One model's result for a person."""
    return (
        f"{result.model}: {result.verdict}; {_votes(result, result.adversarial_counts, classes)}; "
        f"largest change {result.linf * 255:.4g}/255, L2 {result.l2:.4g}; "
        f"{result.queries} queries, {result.gradients} gradients"
    )


def _painted_line(
    result: ModelResult, counts: tuple[int, ...], classes: tuple[str, ...], scene: Scene
) -> str:
    """What the change painted by hand did to one model, for a person."""
    return (
        f"{result.model}, painted: {result.painted_verdict}; {_votes(result, counts, classes)}; "
        f"paint of {scene.paint_epsilon:g}/255"
    )


def _votes(result: ModelResult, after: tuple[int, ...], classes: tuple[str, ...]) -> str:
    """The draws that see the true class in the original, and in a changed image."""
    before, now = (
        f"{counts[result.label]} of {sum(counts)}" for counts in (result.clean_counts, after)
    )
    return f"draws that see the {classes[result.label]}: {before} -> {now}"


def _print_comparison(
    file: SceneFile, found: list[ModelResult], here: Environment, changed: tuple[str, ...]
) -> None:
    """Whether the numbers are those of the file; if not, which differ and what may be why."""
    from rsc_snn.scene import conditions

    if not file.results:
        print("The scene holds no results to compare with.")
    elif not changed:
        print("The results are the same to the digit.")
    else:
        lines = [*changed, *conditions(file, found, here)]
        print("\n".join(["The results differ:", *(f"- {line}" for line in lines)]))


def command_line() -> str:
    """The command as it was typed, for records."""
    return shlex.join(["python", "-m", "rsc_snn", *sys.argv[1:]])


def _read_image(args: argparse.Namespace, image_size: int) -> tuple[Tensor, str | None]:
    """Pixels `[1, 3, H, W]` and the name of the true class, if known."""
    from rsc_snn.data.gallery import gallery_image
    from rsc_snn.data.uploads import MAX_BYTES, decode_image

    if args.image is not None:
        try:
            with args.image.open("rb") as file:
                content = file.read(MAX_BYTES + 1)  # Of a larger one, enough to tell.
        except OSError as error:
            raise ImageError(f"The image {args.image} cannot be read.") from error
        if len(content) > MAX_BYTES:
            raise ImageError(
                f"The image {args.image} is too large; at most {MAX_BYTES // 2**20} MB can be used."
            )
        return decode_image(content, image_size).pixels, None
    image = gallery_image(args.gallery)
    return image.pixels(image_size), image.class_name


# Of the number of a class.
_DIGITS = 9


def _class_index(text: str | None, classes: tuple[str, ...]) -> int | None:
    """The number of the class called `text` (or numbered so); None for no text."""
    if text is None:
        return None
    if text in classes:
        return classes.index(text)
    names = [name.lower() for name in classes]
    if text.lower() in names:
        return names.index(text.lower())
    if text.isdecimal() and len(text) <= _DIGITS and int(text) < len(classes):
        return int(text)
    raise DataError(f"The model has no class {text!r}; it has {', '.join(classes)}.")


def _labels(label: int) -> Tensor:
    import torch

    return torch.tensor([label])


def _answer(model: Any, x: Tensor, draws: int, settings: dict[str, Any]) -> int:
    """The class that most draws give the clean image, as in the app."""
    from rsc_snn.attacks.run import score
    from rsc_snn.outcome import vote_counts

    device = next(model.parameters()).device
    logits = score(model, x.to(device), draws, **settings)
    return int(vote_counts(logits[:, 0].cpu().numpy()).argmax())


def _summary(
    args: argparse.Namespace, result: AttackResult, classes: tuple[str, ...], identity: str
) -> dict[str, Any]:
    """The record of an attack, with all digits. identity: `ModelCard.identity`."""
    import torch

    from rsc_snn.scene import Environment

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
        "linf_255": float(change.abs().max()) * 255,
        "l2": float(change.norm()),
        "queries": result.queries,
        "gradients": result.gradients,
        "seconds": round(result.seconds, 3),
        "sha256": identity,
        "device": str(result.adversarial.device),
        "threads": torch.get_num_threads(),
        "environment": asdict(Environment.here(result.adversarial.device)),
        "command": command_line(),
    }


def _prediction(logits: Tensor, label: int, classes: tuple[str, ...]) -> dict[str, Any]:
    """The answer for one image from logits `[D, K]`: what most draws choose, as in the app."""
    from rsc_snn.outcome import vote_counts

    probabilities = logits.softmax(dim=-1).mean(dim=0)
    best = int(vote_counts(logits.cpu().numpy()).argmax())
    correct = (logits.argmax(dim=-1) == label).float().mean()
    return {
        "class": classes[best],
        "probability": float(probabilities[best]),
        "correct_share_of_draws": float(correct),
    }


def _sentence(summary: dict[str, Any]) -> str:
    before, after = summary["before"], summary["after"]
    return (
        f"{summary['model']} on {summary['image']} ({summary['true_class']}), "
        f"{summary['attack']}: {before['class']} {before['probability']:.0%} -> "
        f"{after['class']} {after['probability']:.0%}; correct in "
        f"{before['correct_share_of_draws']:.0%} -> {after['correct_share_of_draws']:.0%} of "
        f"{summary['draws']} draws; largest change {summary['linf_255']:.4g}/255, "
        f"L2 {summary['l2']:.4g}; {summary['queries']} queries, {summary['seconds']:g} s"
    )


def _save(pixels: NDArray[np.float32], path: Path) -> None:
    """Write pixels `[C, H, W]` in 0..1 as PNG, rounded to 8 bits (by at most half of 1/255)."""
    from rsc_snn.data.pixels import to_png
    from rsc_snn.exports import to_8_bit
    from rsc_snn.files import write_atomically

    try:
        content = to_png(to_8_bit(pixels))
        write_atomically(path, lambda partial: partial.write_bytes(content))
    except OSError as error:
        raise ImageError(f"The image cannot be written to {path}.") from error
