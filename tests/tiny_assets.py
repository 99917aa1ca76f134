"""Assets for tests: tiny untrained models of every coding, and a gallery of drawn pictures."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from rsc_snn.classifier import ModelConfig, build_classifier
from rsc_snn.data.catalogue import dataset_spec
from rsc_snn.data.pixels import to_png
from rsc_snn.zoo import CleanAccuracy, TrainingFacts, save_model

PER_CLASS = 2
MODELS = {
    "tiny-ann": ("Tiny ANN", {"neuron": "relu", "coding": "direct", "time_steps": 1}),
    "tiny-direct": ("Tiny direct SNN", {"coding": "direct", "time_steps": 2}),
    "tiny-poisson": ("Tiny Poisson SNN", {"coding": "poisson", "time_steps": 2}),
    "tiny-rsc": ("Tiny RSC-SNN", {"coding": "rsc", "sigma": 0.25, "time_steps": 2}),
}


def make_assets(folder: Path) -> Path:
    """Write models and gallery to `folder`, and return it."""
    make_models(folder / "models")
    make_gallery(folder / "images")
    return folder


def make_models(folder: Path) -> None:
    """One model of each coding, with a training curve beside the last."""
    classes = dataset_spec("cifar10").classes
    for name, (label, options) in MODELS.items():
        torch.manual_seed(7)
        config = ModelConfig(widths=(8, 16), depths=(1, 1), **options)  # type: ignore[arg-type]
        save_model(
            build_classifier(config).eval(),
            name=name,
            label=label,
            dataset="cifar10",
            classes=classes,
            training=TrainingFacts({}, 3, 7, 12.0, "CPU", {}, f"train {name}", "Untrained."),
            clean_accuracy=CleanAccuracy(0.125, 0.1, 0.15, 800, 0.95, 1, 7, "test", "Made up."),
            limits="Knows nothing.",
            folder=folder,
        )
    rows = ["epoch,train_accuracy,validation_accuracy", "1,0.2,0.15", "2,0.3,"]
    (folder / "tiny-rsc.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def make_gallery(folder: Path) -> None:
    """PER_CLASS random pictures of each CIFAR-10 class, with their list."""
    spec = dataset_spec("cifar10")
    rng = np.random.default_rng(7)
    (folder / "cifar10").mkdir(parents=True)
    entries = []
    for index in range(PER_CLASS * len(spec.classes)):
        label = index % len(spec.classes)
        coarse = rng.integers(0, 256, (3, 4, 4), dtype=np.uint8)
        content = to_png(coarse.repeat(8, axis=1).repeat(8, axis=2))
        file = f"cifar10/{index:03d}.png"
        (folder / file).write_bytes(content)
        entries.append(
            {
                "dataset": "cifar10",
                "index": index,
                "class_index": label,
                "class": spec.classes[label],
                "file": file,
                "source": file,
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )
    facts = {"source": "drawn", "licence": "none", "note": "drawn"}
    manifest = {"datasets": {"cifar10": facts}, "images": entries}
    (folder / "gallery.json").write_text(json.dumps(manifest), encoding="utf-8")
