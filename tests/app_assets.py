"""Assets for tests of the app: the tiny zoo, a training curve, and a gallery of drawn pictures."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from rsc_snn.data.catalogue import dataset_spec
from rsc_snn.data.pixels import to_png

PER_CLASS = 2


def make_assets(tiny_zoo: Path, folder: Path) -> Path:
    """Copy the models of `tiny_zoo` and write a gallery to `folder`; returns it."""
    shutil.copytree(tiny_zoo, folder / "models")
    rows = ["epoch,train_accuracy,validation_accuracy", "1,0.2,0.15", "2,0.3,"]
    (folder / "models" / "tiny-rsc.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    make_gallery(folder / "images")
    return folder


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
