"""Image folders too large for memory: decoded when asked for, by threads, a batch ahead.

A recipe streams if its data set is `imagenet` (the folder `imagenet` in the data folder, or the
data folder itself) or `folder:NAME` (any folder in the data folder). The layout is ImageNet's:
`train/CLASS/IMAGE` and `val/CLASS/IMAGE` (or `test/`); the classes are the folders of `train/`,
sorted, and those of `val/` must be the same.

Training sees random crops, drawn for each image and epoch from a seed of its own, so that neither
the number of processes nor a resumed run changes them. Elsewhere an image is its centre square,
as in `rsc_snn.data.readers`: the numbers are those of `python -m rsc_snn evaluate`.
"""

from __future__ import annotations

import functools
import hashlib
import io
import math
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rsc_snn.data.pixels import _to_8_bit_colour, square_rgb, to_array
from rsc_snn.data.readers import (
    IMAGE_FORMATS,
    MAX_PIXELS,
    ImageSet,
    _image_paths,
    _split_folder,
    _sub_folders,
    decode_file,
)
from rsc_snn.errors import DataError
from rsc_snn.randomness import derive_seed, make_generator

NAME = "imagenet"
PREFIX = "folder:"
# The share of an image's area and the ratio of width to height of a training crop (Szegedy et
# al., 2015, arXiv 1409.4842).
AREA = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
CROPS_NOTE = (
    f"images of a folder, random crops of {100 * AREA[0]:g} % to {100 * AREA[1]:g} % of the area"
)
_ATTEMPTS = 10

Box = tuple[int, int, int, int]


def is_streamed(dataset: str) -> bool:
    """True if a recipe's data set of this name is streamed rather than held in memory."""
    return dataset == NAME or dataset.startswith(PREFIX)


def stream_folder(dataset: str, root: Path) -> Path:
    """The folder of a streamed data set under the data folder `root`. Raises DataError."""
    if dataset == NAME:
        places = [root / NAME, root]
    elif dataset.startswith(PREFIX):
        places = [root / dataset.removeprefix(PREFIX)]
    else:
        raise DataError(f"The data set {dataset!r} is not one that is streamed.")
    for place in places:
        if (place / "train").is_dir():
            return place
    looked = " or ".join(repr(str(place / "train")) for place in places)
    raise DataError(f"No images of {dataset!r}: there is no folder {looked}.")


def stream_classes(dataset: str, root: Path) -> tuple[str, ...]:
    """The classes of a streamed data set, in the order of their labels.

    Raises DataError if there are none.
    """
    return tuple(path.name for path in _class_folders(stream_folder(dataset, root), "train"))


def _class_folders(place: Path, split: str) -> tuple[Path, ...]:
    folders = tuple(sorted(_sub_folders(_split_folder(place, split))))
    if split != "train":
        known = {path.name for path in _class_folders(place, "train")}
        if strange := sorted(known ^ {path.name for path in folders}):
            raise DataError(
                f"The class {strange[0]!r} of {str(place)!r} is only in one of its splits."
            )
    return folders


class Decoding:
    """A batch of images that threads decode; `labels` int64 `[B]`."""

    def __init__(self, images: list[Future[NDArray[np.uint8]]], labels: Tensor) -> None:
        self._images = images
        self.labels = labels

    def stack(self) -> Tensor:
        """uint8 `[B, 3, H, W]`, once all are decoded. Raises DataError naming a bad image."""
        return torch.from_numpy(np.stack([image.result() for image in self._images]))

    def pixels(self, device: torch.device) -> Tensor:
        """Float images in 0..1 on `device`."""
        return self.stack().to(device).float().div_(255)


@dataclass(frozen=True, eq=False)
class ImageStream:
    """The images of one split, on disk until they are asked for.

    folders: the class folders by label. files: file names as bytes `[M]`, which a million of cost
    30 MB. labels: int64 `[M]`. numbers: int64 `[M]`, each image's place in the whole split, from
    which, with `seed`, its crops are drawn. size: pixels of a side.
    """

    folders: tuple[Path, ...]
    classes: tuple[str, ...]
    files: NDArray[np.bytes_]
    labels: Tensor
    numbers: Tensor
    size: int
    seed: int
    name: str
    split: str
    note: str

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> ImageStream:
        """The images at `indices` `[B]`, still on disk."""
        return replace(
            self,
            files=self.files[indices.numpy()],
            labels=self.labels[indices],
            numbers=self.numbers[indices],
        )

    def sample(self, indices: Tensor, epoch: int) -> Decoding:
        """Random crops of the images at `indices` `[B]`, those of `epoch`; returns at once."""
        chosen = self.take(indices)
        seeds = [
            derive_seed(self.seed, "crop", epoch, number) for number in chosen.numbers.tolist()
        ]
        decode = functools.partial(decode_crop, size=self.size)
        images = [
            _pool().submit(decode, path, seed)
            for path, seed in zip(chosen.paths(), seeds, strict=True)
        ]
        return Decoding(images, chosen.labels)

    def decoded(self) -> Decoding:
        """The centre squares of all images."""
        images = [
            _pool().submit(decode_file, path.read_bytes, str(path), self.size)
            for path in self.paths()
        ]
        return Decoding(images, self.labels)

    def pixels(self, device: torch.device) -> Tensor:
        """Centre squares as floats in 0..1 `[M, 3, size, size]` on `device`."""
        return self.decoded().pixels(device)

    def parts(self, count: int) -> Iterator[ImageSet]:
        """The centre squares, at most `count` in memory at a time."""
        for indices in torch.arange(len(self)).split(count):
            part = self.take(indices).decoded()
            yield ImageSet(
                part.stack(), part.labels, self.classes, self.name, self.split, self.note
            )

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that change with any name, label or class of the images.

        Their pixels are not read: that would take as long as an epoch.
        """
        digest = hashlib.sha256("/".join(self.classes).encode())
        digest.update(self.files.tobytes())
        digest.update(self.labels.numpy().tobytes())
        return digest.hexdigest()

    def paths(self) -> list[Path]:
        """Where the images are."""
        return [
            self.folders[label] / os.fsdecode(file)
            for label, file in zip(self.labels.tolist(), self.files.tolist(), strict=True)
        ]


def open_stream(
    dataset: str,
    split: str,
    root: Path,
    size: int,
    *,
    limit: int | None = None,
    seed: int = 0,
) -> ImageStream:
    """The images of one split of a streamed data set, interleaved over the classes.

    `limit` keeps the first of them. `size`: pixels of a side; `seed`: of the random crops. Raises
    DataError if there are none, a class has none, or the splits have not the same classes.
    """
    folders = _class_folders(stream_folder(dataset, root), split)
    names: list[bytes] = []
    counts = []
    for folder in folders:
        paths = _image_paths(folder)
        if not paths:
            raise DataError(f"The class folder {str(folder)!r} has no images.")
        names += [os.fsencode(path.name) for path in paths]
        counts.append(len(paths))
    labels = np.repeat(np.arange(len(folders)), counts)
    ranks = np.concatenate([np.arange(count) for count in counts])
    order = np.lexsort((labels, ranks))[:limit]
    return ImageStream(
        folders=folders,
        classes=tuple(folder.name for folder in folders),
        files=np.array(names)[order],
        labels=torch.from_numpy(labels[order]),
        numbers=torch.arange(len(order)),
        size=size,
        seed=seed,
        name=dataset,
        split=split,
        note="images of a folder, resized and centre-cropped",
    )


def decode_crop(path: Path, seed: int, size: int) -> NDArray[np.uint8]:
    """A random crop of an image file, uint8 `[3, size, size]`. Raises DataError naming the file."""
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=IMAGE_FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DataError(f"The image {str(path)!r} has more than {MAX_PIXELS:,} pixels.")
            left, top, right, bottom = crop_box(width, height, make_generator(seed))
            # A JPEG much larger than needed is decoded at a half, a quarter or an eighth.
            enough = (width * size // (right - left) + 1, height * size // (bottom - top) + 1)
            image.draft(image.mode, enough)
            across, down = image.width / width, image.height / height
            box = (left * across, top * down, right * across, bottom * down)
            crop = _to_8_bit_colour(image).resize((size, size), Image.Resampling.BILINEAR, box)
            return to_array(square_rgb(crop, size))  # which puts transparency on white
    except (DataError, MemoryError):
        raise
    except Exception as error:  # Decoders fed with damaged data raise all kinds of errors.
        raise DataError(f"The image {str(path)!r} is damaged or not an image.") from error


def crop_box(width: int, height: int, generator: torch.Generator) -> Box:
    """(left, top, right, bottom) of a random crop of AREA and RATIO.

    If none of ten fits, the largest centre crop whose ratio is allowed.
    """
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    for _ in range(_ATTEMPTS):
        area, shape, across, down = torch.rand(4, generator=generator).tolist()
        pixels = width * height * (AREA[0] + (AREA[1] - AREA[0]) * area)
        ratio = math.exp(low + (high - low) * shape)
        w, h = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(across * (width - w + 1)), int(down * (height - h + 1))
            return left, top, left + w, top + h
    w = min(width, max(1, round(height * RATIO[1])))
    h = min(height, max(1, round(width / RATIO[0])))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """The threads that decode: this machine's cores, shared by its training processes."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // processes), "decode")
