"""Measuring one model, cell by cell: a cell is (model, attack, epsilon), written once it is done.

An image is scored by its number of right answers in D fresh noise draws that no attack has seen.

Each attack goes through the epsilons in rising order, and an image broken at a smaller epsilon is
not attacked again: the adversarial image lies in the larger ball as well, so the attack keeps it,
and its score is the one it had on fresh draws, 0. "Broken" means that not one of the D draws was
right (for a model without noise: wrong). An image that no draw gets right without any attack is
passed through in the same way. So each row is the strength of that attack alone, at least: at a
larger epsilon an attack can only break more images. An image that 0 of D draws got right by chance
counts as broken; that can make a stochastic model look a little weaker, never stronger.

Cells are JSON files named after everything that decides them (`Subject.key`). A killed evaluation
loses the cell it was at; a cell that does not fit, or is damaged, is measured again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import rsc_snn
from rsc_snn.attacks.run import Progress, run_attack, score
from rsc_snn.attacks.target import is_stochastic
from rsc_snn.classifier import SpikingClassifier
from rsc_snn.coding import coding_sigma
from rsc_snn.data import ImageSet
from rsc_snn.data.pixels import image_digest, to_unit
from rsc_snn.device import arithmetic, describe_device
from rsc_snn.errors import DataError, ZooError
from rsc_snn.files import write_atomically
from rsc_snn.randomness import derive_seed, make_generator
from rsc_snn.robustness.suite import CLEAN, PROTOCOL, SUITE, Settings
from rsc_snn.zoo import ModelCard


@dataclass(frozen=True)
class Cell:
    """One measured cell.

    counts: `[n]` uint8, right answers of each image in `draws` fresh draws. attacked: images that
    were attacked, not passed through. queries: forward passes of single images by the attack.
    """

    key: Mapping[str, Any]
    counts: Tensor
    attacked: int
    queries: int
    seconds: float
    device: str
    versions: Mapping[str, str]

    @property
    def draws(self) -> int:
        """Fresh draws that each image was scored on."""
        return int(self.key["draws"])


@dataclass(frozen=True)
class Subject:
    """A model with the images that it is measured on. Raises DataError if they do not fit."""

    card: ModelCard
    model: SpikingClassifier
    data: ImageSet
    settings: Settings

    def __post_init__(self) -> None:
        if len(self.data) == 0:
            raise DataError("There are no images to evaluate.")
        if tuple(self.data.classes) != tuple(self.card.classes):
            raise DataError(f"The classes of the data are not those of {self.card.name}.")

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    @property
    def draws(self) -> int:
        """Scoring draws: 1 for a model without noise, whose draws would all be the same."""
        return self.settings.draws if is_stochastic(self.model) else 1

    def rows(self, attack: str) -> Tensor:
        """Numbers `[n]` of the test images that `attack` is measured on."""
        if attack == CLEAN or SUITE[attack].all_images:
            return torch.arange(len(self.data))
        return subset_rows(len(self.data), self.settings.images, self.settings.seed)

    def key(self, attack: str, epsilon: float, fingerprint: str, after: str) -> dict[str, Any]:
        """Everything that decides a cell; `after` is the digest of the cell it builds on."""
        settings = self.settings
        parameters = {} if attack == CLEAN else SUITE[attack].parameters(epsilon)
        return {
            "model": self.card.name,
            "sha256": self.card.identity,
            "dataset": self.card.dataset,
            "split": self.data.split,
            "data": fingerprint,
            "attack": attack,
            "kind": None if attack == CLEAN else SUITE[attack].attack,
            "parameters": parameters,
            "epsilon": epsilon,
            "n": len(self.rows(attack)),
            "seed": settings.seed,
            "draws": self.draws,
            "batch_size": settings.batch_size,
            "time_steps": self.model.time_steps,
            "sigma": coding_sigma(self.model.resolve_coding(None)),
            "after": after,
            "protocol": PROTOCOL,
        }

    def chain(self) -> list[dict[str, Any]]:
        """The keys of all cells: clean first, then attack by attack with rising epsilon."""
        mark = fingerprint(self.data)
        clean = self.key(CLEAN, 0.0, mark, "")
        keys = [clean]
        for attack in self.settings.attacks:
            before = clean
            for epsilon in self.settings.epsilons:
                before = self.key(attack, epsilon, mark, digest(before))
                keys.append(before)
        return keys


def fingerprint(data: ImageSet) -> str:
    """16 hexadecimal digits that change with any pixel or label of `data`."""
    return image_digest(data.images, data.labels)[:16]


def subset_rows(total: int, images: int, seed: int) -> Tensor:
    """Numbers `[min(images, total)]` of a random subset, rising.

    The same images as `evaluate_accuracy(limit=images, seed=seed)` takes.
    """
    if images >= total:
        return torch.arange(total)
    order = torch.randperm(total, generator=make_generator(derive_seed(seed, "subset")))
    return order[:images].sort().values


def digest(key: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of a key."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


def cost(subject: Subject, attack: str, images: int) -> float:
    """Work of a cell in which `images` are attacked, in single passes of one time step."""
    passes = float(subject.draws)
    if attack != CLEAN:
        spec, values = SUITE[attack].spec, SUITE[attack].parameters(1.0)
        draws = int(values.get("eot_draws", 1)) if is_stochastic(subject.model) else 1
        passes += 2 + spec.calls(values) * draws * spec.pass_cost
    return passes * images * subject.model.time_steps


def evaluate_cells(
    subject: Subject,
    folder: Path,
    progress: Progress | None = None,
    known: Mapping[str, Cell] | None = None,
) -> Iterator[tuple[Cell, bool]]:
    """All cells of one model, each as it is there, with True if it was measured just now.

    Clean first, then attack by attack with rising epsilon. `progress` gets the share of the cell
    being measured. `known`: cells from elsewhere than `folder`, by the digest of their keys.
    Raises ZooError if `folder` cannot be written, and what `run_attack` raises.
    """
    before: dict[str, Cell] = {}
    for key in subject.chain():
        cell, fresh = (known or {}).get(digest(key)), False
        if cell is None:
            smaller = before.get(key["attack"], before.get(CLEAN))
            cell, fresh = _cell(subject, folder, key, smaller, progress)
        before[key["attack"]] = cell
        yield cell, fresh


def _cell(
    subject: Subject,
    folder: Path,
    key: Mapping[str, Any],
    before: Cell | None,
    progress: Progress | None,
) -> tuple[Cell, bool]:
    """One cell, read or measured and written."""
    attack = str(key["attack"])
    path = folder / subject.card.name / f"{attack}-{key['epsilon']:g}-{digest(key)}.json"
    stored = read_cell(path, key)
    if stored is not None:
        return stored, False
    measured = _measure(subject, key, alive(subject, attack, before), progress)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda partial: partial.write_text(_to_text(measured)))
    except OSError as error:
        raise ZooError(f"Cannot write to {path.parent}: {error.strerror}.") from error
    return measured, True


def alive(subject: Subject, attack: str, before: Cell | None) -> Tensor:
    """`[n]` True for the images of `attack` that are not broken yet."""
    rows = subject.rows(attack)
    if before is None:
        return torch.ones(len(rows), dtype=torch.bool)
    if before.key["attack"] == CLEAN:
        return before.counts[rows] > 0
    return before.counts > 0


def _measure(
    subject: Subject, key: Mapping[str, Any], alive: Tensor, progress: Progress | None
) -> Cell:
    """Attack and score the images of a cell that are `alive`; the others keep their 0."""
    start = time.perf_counter()
    rows = subject.rows(str(key["attack"]))
    counts = torch.zeros(len(rows), dtype=torch.uint8)
    places = alive.nonzero()[:, 0]
    queries = 0
    # Nothing at all, torch splits into one empty part.
    parts = places.split(subject.settings.batch_size) if len(places) else ()
    for index, part in enumerate(parts):
        seed = derive_seed(
            subject.settings.seed, "suite", str(key["attack"]), f"{key['epsilon']:g}", index
        )
        done = _part(progress, index * subject.settings.batch_size, len(part), len(places))
        counts[part], made = _batch(subject, key, rows[part], seed, done)
        queries += made
    return Cell(
        key=key,
        counts=counts,
        attacked=0 if key["attack"] == CLEAN else len(places),
        queries=queries,
        seconds=round(time.perf_counter() - start, 3),
        device=describe_device(subject.device),
        versions={
            **arithmetic(subject.device),
            "rsc_snn": rsc_snn.__version__,
            "torch": torch.__version__,
            "torchattacks": metadata.version("torchattacks"),
        },
    )


def _batch(
    subject: Subject, key: Mapping[str, Any], rows: Tensor, seed: int, done: Progress
) -> tuple[Tensor, int]:
    """(counts `[n]`, queries) of the test images `rows`, attacked at once."""
    x = to_unit(subject.data.images[rows].to(subject.device))
    labels = subject.data.labels[rows].to(subject.device)
    queries = 0
    if key["attack"] != CLEAN:
        found = run_attack(
            subject.model,
            x,
            labels,
            key["kind"],
            key["parameters"],
            draws=1,
            seed=seed,
            progress=done,
        )
        x, queries = found.adversarial, found.queries
    logits = score(subject.model, x, subject.draws, seed=derive_seed(seed, "fresh"))
    done(1.0)
    right = (logits.argmax(dim=-1) == labels).sum(dim=0)
    return right.to(torch.uint8).cpu(), queries


def _part(progress: Progress | None, at: int, size: int, total: int) -> Callable[[float], None]:
    """Progress of a batch of `size` that begins at `at` of `total` images."""
    if progress is None:
        return lambda share: None
    return lambda share: progress((at + size * share) / total)


def read_cell(path: Path, key: Mapping[str, Any]) -> Cell | None:
    """The cell in a file; None if there is none, it is damaged, or it is of another key."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        cell = Cell(
            key=values["key"],
            counts=torch.tensor(list(bytes.fromhex(values["counts"])), dtype=torch.uint8),
            attacked=int(values["attacked"]),
            queries=int(values["queries"]),
            seconds=float(values["seconds"]),
            device=str(values["device"]),
            versions=dict(values["versions"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = cell.key == json.loads(json.dumps(key)) and len(cell.counts) == key["n"]
    return cell if whole and int(cell.counts.max()) <= key["draws"] else None


def _to_text(cell: Cell) -> str:
    return json.dumps(
        {
            "key": cell.key,
            "counts": bytes(cell.counts.tolist()).hex(),
            "attacked": cell.attacked,
            "queries": cell.queries,
            "seconds": cell.seconds,
            "device": cell.device,
            "versions": cell.versions,
        }
    )
