"""Streams: the same images as in memory, crops that depend on image and epoch alone."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import ks_2samp

from rsc_snn.data import load_dataset
from rsc_snn.data.streaming import (
    AREA,
    RATIO,
    ImageStream,
    crop_box,
    decode_crop,
    is_streamed,
    open_stream,
    stream_folder,
)
from rsc_snn.errors import DataError
from rsc_snn.randomness import make_generator

CPU = torch.device("cpu")
COUNTS = {"n01": 5, "n02": 3, "n03": 4}


def write_images(root: Path, split: str, counts: dict[str, int] = COUNTS) -> None:
    """Smooth random photographs of several sizes, as JPEG files."""
    rng = np.random.default_rng(len(split))
    for name, count in counts.items():
        folder = root / split / name
        folder.mkdir(parents=True)
        for index in range(count):
            coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
            picture = Image.fromarray(coarse).resize((50 + 9 * index, 40), Image.Resampling.BICUBIC)
            picture.save(folder / f"{index}.JPEG", quality=90)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        write_images(tmp_path, split)
    return tmp_path


def train(root: Path, seed: int = 0, limit: int | None = None) -> ImageStream:
    return open_stream("imagenet", "train", root, 24, seed=seed, limit=limit)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("limit", [None, 5])
def test_a_stream_holds_what_the_reader_loads(root: Path, split: str, limit: int | None) -> None:
    loaded = load_dataset("folder", split, root, 24, limit)
    stream = open_stream("imagenet", split, root, 24, limit=limit)
    assert stream.classes == loaded.classes == tuple(COUNTS)
    assert torch.equal(stream.labels, loaded.labels)
    assert torch.equal(stream.decoded().stack(), loaded.images)
    assert torch.equal(stream.pixels(CPU), loaded.images.float() / 255)
    assert stream.note == "images of a folder, resized and centre-cropped"


def test_parts_are_the_whole_in_order(root: Path) -> None:
    stream = open_stream("imagenet", "test", root, 24)
    parts = list(stream.parts(5))
    assert [len(part) for part in parts] == [5, 5, 2]
    assert torch.equal(torch.cat([part.images for part in parts]), stream.decoded().stack())
    assert torch.equal(torch.cat([part.labels for part in parts]), stream.labels)
    assert {(part.name, part.split, part.classes) for part in parts} == {
        ("imagenet", "test", tuple(COUNTS))
    }


def test_take_chooses_images(root: Path) -> None:
    stream = train(root)
    chosen = torch.tensor([7, 0, 3])
    part = stream.take(chosen)
    assert len(part) == 3
    assert torch.equal(part.labels, stream.labels[chosen])
    assert torch.equal(part.pixels(CPU), stream.pixels(CPU)[chosen])
    assert part.paths() == [stream.paths()[index] for index in chosen]


def test_crops_follow_image_epoch_and_seed_alone(root: Path) -> None:
    stream = train(root)
    every = stream.sample(torch.arange(12), 1).stack()
    assert every.shape == (12, 3, 24, 24)
    assert every.dtype == torch.uint8
    # One by one, in another order, from a part of the stream: the same crops.
    for index in (11, 0, 4):
        alone = stream.sample(torch.tensor([index]), 1)
        assert torch.equal(alone.stack()[0], every[index])
        assert alone.labels.tolist() == [int(stream.labels[index])]
    part = stream.take(torch.tensor([9, 2, 5])).sample(torch.tensor([2, 0]), 1)
    assert torch.equal(part.stack(), every[[5, 9]])
    # Another epoch, another seed, or no training at all: other pixels.
    for other in (
        stream.sample(torch.arange(12), 2).stack(),
        train(root, seed=1).sample(torch.arange(12), 1).stack(),
        stream.decoded().stack(),
    ):
        assert not any(torch.equal(a, b) for a, b in zip(every, other, strict=True))


def test_crops_are_uniform_in_area_logarithmic_ratio_and_place() -> None:
    """Against the definition, sampled all at once: of all shapes drawn, those that fit."""
    width, height = 500, 375
    generator, rng = make_generator(0), np.random.default_rng(1)
    boxes = np.array([crop_box(width, height, generator) for _ in range(3000)])
    left, top, w, h = *boxes.T[:2], boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area = width * height * rng.uniform(*AREA, 20_000)
    ratio = np.exp(rng.uniform(np.log(RATIO[0]), np.log(RATIO[1]), 20_000))
    across, down = np.sqrt(area * ratio), np.sqrt(area / ratio)
    fits = (across <= width) & (down <= height)
    for ours, defined in (
        (w, across[fits]),
        (h, down[fits]),
        (w * h, area[fits]),
        (w / h, ratio[fits]),
        (left / (width - w + 1), rng.uniform(size=20_000)),
        (top / (height - h + 1), rng.uniform(size=20_000)),
    ):
        assert ks_2samp(ours, defined).statistic < 0.04  # 0.03 for p = 0.02, and whole pixels
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= width
    assert boxes[:, 3].max() <= height


@pytest.mark.parametrize(("width", "height"), [(1000, 20), (20, 1000), (1, 1), (3, 700)])
def test_long_images_get_a_centre_crop_of_an_allowed_ratio(width: int, height: int) -> None:
    boxes = Counter(crop_box(width, height, make_generator(seed)) for seed in range(50))
    (left, top, right, bottom), _ = boxes.most_common(1)[0]
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    if min(width, height) > 3:
        ratio = (right - left) / (bottom - top)
        assert ratio == pytest.approx(RATIO[1] if width > height else RATIO[0], rel=0.1)
        assert abs(left + right - width) <= 1
        assert abs(top + bottom - height) <= 1


def test_a_crop_is_that_part_of_the_photograph(tmp_path: Path) -> None:
    """A photograph whose red grows to the right and green downwards tells where a crop is from.

    It is large enough to be decoded at a fraction of its size.
    """
    width, height, size = 1600, 1200, 32
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([255 * columns / width, 255 * rows / height, 0 * rows + 90], axis=2)
    path = tmp_path / "ramp.jpg"
    Image.fromarray(pixels.round().astype(np.uint8)).save(path, quality=95, subsampling=0)
    for seed in range(8):
        left, top, right, bottom = crop_box(width, height, make_generator(seed))
        crop = decode_crop(path, seed, size).astype(float)
        centres = (np.arange(size) + 0.5) / size
        red = 255 * (left + (right - left) * centres) / width
        green = 255 * (top + (bottom - top) * centres) / height
        np.testing.assert_allclose(crop[0].mean(axis=0), red, atol=2.5)
        np.testing.assert_allclose(crop[1].mean(axis=1), green, atol=2.5)
        assert math.isclose(crop[2].mean(), 90, abs_tol=2.5)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA"])
def test_images_of_any_mode_are_cropped_to_rgb(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGB", (40, 30), (200, 200, 200)).convert(mode)
    path = tmp_path / ("x.jpg" if mode in ("L", "CMYK") else "x.png")
    picture.save(path)
    crop = decode_crop(path, 0, 8)
    assert crop.shape == (3, 8, 8)
    expected = 255 if mode == "1" else 200
    assert abs(crop.astype(int).mean() - expected) < (60 if mode == "1" else 8)


def test_transparency_is_white(tmp_path: Path) -> None:
    Image.new("RGBA", (40, 30), (10, 20, 30, 0)).save(tmp_path / "x.png")
    assert (decode_crop(tmp_path / "x.png", 0, 8) == 255).all()


def test_names(tmp_path: Path) -> None:
    assert [is_streamed(name) for name in ("imagenet", "folder:mine", "folder", "cifar10")] == [
        True,
        True,
        False,
        False,
    ]
    write_images(tmp_path / "imagenet", "train")
    write_images(tmp_path / "mine", "train", {"a": 1, "b": 1})
    assert stream_folder("imagenet", tmp_path) == tmp_path / "imagenet"
    assert stream_folder("imagenet", tmp_path / "imagenet") == tmp_path / "imagenet"
    assert open_stream("folder:mine", "train", tmp_path, 8).classes == ("a", "b")
    with pytest.raises(DataError, match="not one that is streamed"):
        stream_folder("cifar10", tmp_path)


def test_missing_images_are_a_sentence(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No images of 'imagenet': there is no folder .*train"):
        open_stream("imagenet", "train", tmp_path / "nowhere", 24)
    with pytest.raises(DataError, match="No images of 'folder:mine'"):
        open_stream("folder:mine", "train", root, 24)
    for path in (root / "val" / "n02").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"n02' has no images"):
        open_stream("imagenet", "test", root, 24)


def test_a_damaged_image_is_named(root: Path) -> None:
    path = train(root).paths()[4]
    path.write_bytes(path.read_bytes()[:200])
    for read in (lambda s: s.sample(torch.arange(12), 0).stack(), lambda s: s.pixels(CPU)):
        with pytest.raises(DataError, match=f"{path.name}' is damaged"):
            read(train(root))


def test_huge_images_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsc_snn.data.streaming.MAX_PIXELS", 100)
    with pytest.raises(DataError, match="more than 100 pixels"):
        train(root).sample(torch.arange(1), 0).stack()
