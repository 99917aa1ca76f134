"""A small image folder and its recipe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

RECIPE = """
name = "tiny"
label = "Tiny"
dataset = "folder"
epochs = 2
batch_size = 8
validation = 8

[model]
num_classes = 2
image_size = 16
widths = [8]
depths = [1]
time_steps = 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that `write_folder` filled."""
    return write_folder(tmp_path)


def write_folder(place: Path) -> Path:
    """`data/` with 40 training and 8 test images (dark `a`, bright `b`), and `tiny.toml`."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 4)):
        for name, level in (("a", 40), ("b", 200)):
            target = place / "data" / split / name
            target.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(level - 30, level + 30, (16, 16, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(target / f"{index}.png")
    (place / "tiny.toml").write_text(RECIPE)
    return place
