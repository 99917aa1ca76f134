"""EOT-PGD with draws folded into the batch, against torchattacks.EOTPGD on the same model.

    python -m benchmarks.eot_pgd [--model NAME] [--images 200] [--repeats 9] [--threads N]

Times one image (10 steps, 8 draws) for both, in turn in each round and in turning order, so that a
busy machine slows both alike; the ratio is the median over rounds. Both compute in float32; a third
line is our default, whose gradients are of bfloat16 where the CPU has instructions for it. Then the
robust accuracy of both on the same test images, scored on the same fresh draws, shows whether the
quicker attack is as strong; without the data there is no accuracy.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torchattacks
from torch import Tensor, nn

from rsc_snn.attacks import run_attack, score
from rsc_snn.classifier import SpikingClassifier
from rsc_snn.cli import exit_code
from rsc_snn.data import load_dataset, to_unit
from rsc_snn.device import (
    describe_device,
    has_fast_bfloat16,
    keep_freed_memory,
    pick_device,
    use_threads,
)
from rsc_snn.errors import DataError
from rsc_snn.evaluate import accuracy_estimate, image_scores
from rsc_snn.randomness import make_generator, seeded_draws
from rsc_snn.zoo import Zoo

STEPS, DRAWS, SCORING_DRAWS, EPSILON = 10, 8, 8, 8
BATCH = 25


class OneDraw(nn.Module):
    """The model as torchattacks takes it: one fresh draw a call."""

    def __init__(self, model: SpikingClassifier, seed: int) -> None:
        super().__init__()
        self.model = model
        self.generator = make_generator(seed, next(model.parameters()).device)

    def forward(self, x: Tensor) -> Tensor:
        # As ours: the model's own calls need not pass the mode that seeds the library's draws.
        with torch._C.DisableTorchFunction():
            logits: Tensor = self.model(x, generator=self.generator)
        return logits


def ours(
    model: SpikingClassifier, x: Tensor, labels: Tensor, seed: int, precision: str = "full"
) -> Tensor:
    """Adversarial images from this project's EOT-PGD."""
    parameters = {
        "steps": STEPS,
        "eot_draws": DRAWS,
        "epsilon": EPSILON,
        "precision": precision,
    }
    return run_attack(model, x, labels, "eot_pgd", parameters, draws=1, seed=seed).adversarial


def theirs(model: SpikingClassifier, x: Tensor, labels: Tensor, seed: int) -> Tensor:
    """Adversarial images from torchattacks' own loop over draws, and a pass to score as ours."""
    attack = torchattacks.EOTPGD(
        OneDraw(model, seed), eps=EPSILON / 255, alpha=2 / 255, steps=STEPS, eot_iter=DRAWS
    )
    with seeded_draws(make_generator(seed + 1, x.device)):
        adversarial: Tensor = attack(x, labels)
    score(model, x, 1)
    score(model, adversarial, 1)
    return adversarial


Attack = Callable[[SpikingClassifier, Tensor, Tensor, int], Tensor]


def compare_speed(model: SpikingClassifier, repeats: int) -> None:
    """Print the median seconds of both, run in turn, and the median ratio of the rounds."""
    size, device = model.config.image_size, next(model.parameters()).device
    x = torch.rand(1, 3, size, size, generator=make_generator(0)).to(device)
    labels = torch.zeros(1, dtype=torch.int64, device=device)
    fast = has_fast_bfloat16(device)
    contestants: dict[str, Attack] = {"ours": ours, "torchattacks": theirs}
    if fast:
        contestants["ours, bf16"] = partial(ours, precision="fast")
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for repeat in range(repeats + 1):
        for name in sorted(contestants, reverse=bool(repeat % 2)):
            attack = contestants[name]
            start = time.perf_counter()
            attack(model, x, labels, repeat)
            if device.type == "cuda":
                torch.cuda.synchronize()
            if repeat:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    print(f"one image, {STEPS} steps, {DRAWS} draws, median (least) of {repeats}:")
    for name, values in times.items():
        print(f"  {name:13s}{statistics.median(values):8.3f} s  ({min(values):.3f} s)")
    ratio = _ratio(times["torchattacks"], times["ours"])
    print(f"  ratio {ratio:.2f}x, both in float32 (target: at least 2x)")
    if fast:
        default = _ratio(times["torchattacks"], times["ours, bf16"])
        print(f"  ratio {default:.2f}x of our default, with gradients in bfloat16")


def _ratio(peer: Sequence[float], own: Sequence[float]) -> float:
    """The median over rounds of how many times longer the peer took."""
    return statistics.median(theirs / ours for theirs, ours in zip(peer, own, strict=True))


def compare_strength(model: SpikingClassifier, images: Tensor, labels: Tensor) -> None:
    """Print clean accuracy and robust accuracy under both, scored on the same fresh draws."""
    attacks: dict[str, Attack] = {
        "clean": lambda m, x, y, s: x,
        "ours": ours,
        "torchattacks": theirs,
    }
    print(f"accuracy of a single pass, {len(images)} images, {SCORING_DRAWS} draws, 95 % interval:")
    for name, attack in attacks.items():
        scores = []
        for at in range(0, len(images), BATCH):
            x, truth = images[at : at + BATCH], labels[at : at + BATCH]
            adversarial = attack(model, x, truth, at)
            scores.append(image_scores(score(model, adversarial, SCORING_DRAWS, seed=at), truth))
        e = accuracy_estimate(torch.cat(scores), SCORING_DRAWS)
        print(f"  {name:13s}{100 * e.value:6.1f} %  ({100 * e.lower:.1f} to {100 * e.upper:.1f})")


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="cifar10-snn-rsc-020")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--device", help="cuda, mps or cpu (default: the best there is)")
    args = parser.parse_args()
    if args.threads:
        use_threads(args.threads)
    device = pick_device(args.device)
    if device.type == "cpu":
        keep_freed_memory()
    zoo = Zoo()
    model, card = zoo.load(args.model, device), zoo.card(args.model)
    print(f"{describe_device(device)}, PyTorch {torch.__version__}")
    compare_speed(model, args.repeats)
    try:
        data = load_dataset(card.dataset, "test", None, card.config.image_size, args.images)
    except DataError as error:
        print(f"The strength of the attacks cannot be compared: {error}")
        return
    compare_strength(model, to_unit(data.images).to(device), data.labels.to(device))


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
