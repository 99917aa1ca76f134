"""Reading data sets into memory: official archives, re-encoded archives, any image folder.

Archives are read as streams and never unpacked to disk here. CIFAR-10's official batches are
pickles; they are read by an unpickler that knows nothing but stand-ins for the three NumPy names
they use, so that nothing in the file can run (see `_BatchUnpickler`).

Order of the images: those of folders and tar archives are interleaved over the classes (the first
of every class, then the second of every class, ...), so that any prefix, and hence any `limit`, is
balanced. The official CIFAR-10 archive keeps its own order, so that "the first n test images" are
the ones that others mean by it.
"""

from __future__ import annotations

import io
import lzma
import os
import pickle
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rsc_snn.data import cache
from rsc_snn.data.catalogue import CIFAR10_FILES, DATASETS, DatasetSpec, dataset_spec
from rsc_snn.data.pixels import square_rgb, to_array, to_png
from rsc_snn.errors import DataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
SPLITS = ("train", "test")
# Folder names that hold each split, the first with classes in it wins.
SPLIT_FOLDERS: Mapping[str, tuple[str, ...]] = {"train": ("train",), "test": ("test", "val")}
MAX_FILE_BYTES = 64 * 2**20
MAX_PIXELS = 100_000_000
MEMORY_LIMIT = 8 * 2**30
IMAGE_SIZE_RANGE = (8, 1024)

# What a damaged archive, or one that is not an archive, makes the standard library raise.
_DAMAGED = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError)


@dataclass(frozen=True)
class ImageSet:
    """Images in memory: `images` uint8 [M, C, H, W], `labels` int64 [M] into `classes`."""

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    name: str
    split: str
    note: str

    def __len__(self) -> int:
        return int(self.labels.shape[0])


@dataclass(frozen=True)
class EncodedImage:
    """One image file: its name within the data set, where it is (for messages), how to read it."""

    name: str
    place: str
    label: int
    read: Callable[[], bytes]


@dataclass(frozen=True)
class _Found:
    """The images of one split before decoding, in a stable order."""

    items: tuple[EncodedImage, ...]
    classes: tuple[str, ...]


def data_root() -> Path:
    """The data folder: RSC_SNN_DATA, or data/ under the working directory."""
    return Path(os.environ.get("RSC_SNN_DATA") or "data")


def load_dataset(
    name: str,
    split: str,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
) -> ImageSet:
    """Load one split, from the first source of the data set found under `root`.

    Sources in order: official folders, official archives, the re-encoded archive, then `root`
    itself or `root/NAME` as an ImageNet-style image folder. `image_size` (pixels) defaults to the
    data set's; images of another size are resized and centre-cropped by Lanczos. `limit` keeps the
    first images only.
    """
    spec = dataset_spec(name)
    if split not in SPLITS:
        raise DataError(f"There is no split {split!r}; choose one of {', '.join(SPLITS)}.")
    size = spec.image_size if image_size is None else image_size
    if not IMAGE_SIZE_RANGE[0] <= size <= IMAGE_SIZE_RANGE[1]:
        low, high = IMAGE_SIZE_RANGE
        raise DataError(f"The image size must be {low} to {high} pixels, not {size}.")
    if limit is not None and limit < 1:
        raise DataError(f"The limit must be at least 1 image, not {limit}.")
    return _load(spec, split, data_root() if root is None else root, size, limit)


def _load(spec: DatasetSpec, split: str, root: Path, size: int, limit: int | None) -> ImageSet:
    source = _source(spec, root)
    if source.kind == "batches":
        arrays = read_batches(source.path, split, size)
        classes = spec.classes
    elif source.kind == "archive":
        arrays, classes = _load_archive(spec, source.path, split, size)
    else:
        found = _folder_items(spec, source.path, split)
        classes = found.classes
        arrays = _decode_all(_interleave(found.items)[:limit], size)
    images, labels = (array[:limit] for array in arrays)
    return ImageSet(
        images=torch.from_numpy(images),
        labels=torch.from_numpy(labels),
        classes=classes,
        name=spec.name,
        split=split,
        note=source.note_of(split),
    )


def encoded_images(name: str, split: str, root: Path) -> tuple[list[EncodedImage], str]:
    """The image files of one split in a stable order, and the note of their source."""
    spec = dataset_spec(name)
    source = _source(spec, root)
    if source.kind == "archive":
        return _archive_items(spec, source.path, split), source.note_of(split)
    if source.kind == "folder":
        return list(_folder_items(spec, source.path, split).items), source.note_of(split)
    images, labels = read_batches(source.path, split, spec.image_size)
    files = [
        EncodedImage(f"{split}[{i}]", f"{source.path}:{split}[{i}]", int(labels[i]), png)
        for i, png in enumerate(partial(to_png, image) for image in images)
    ]
    return files, source.note_of(split)


def _source(spec: DatasetSpec, root: Path) -> Source:
    if not root.is_dir():
        raise DataError(
            f"The data folder {str(root)!r} does not exist; name another one (see --help) or in "
            f"RSC_SNN_DATA, or download a data set with `python -m rsc_snn data download`."
        )
    source = find_source(spec, root)
    if source is None:
        problems = (download.problem(root) for download in spec.downloads)
        raise DataError(next(filter(None, problems), None) or _nothing_found(spec, root))
    return source


@dataclass(frozen=True)
class Source:
    """Where a data set was found: `kind` is batches, archive or folder.

    `note` says what the pixels are, `test_note` which part of the test split there is, if not all.
    """

    kind: str
    path: Path
    note: str
    test_note: str = ""

    def note_of(self, split: str) -> str:
        """The note that goes with the images of one split."""
        return f"{self.note}; {self.test_note}" if self.test_note and split == "test" else self.note


def find_source(spec: DatasetSpec, root: Path) -> Source | None:
    """The best source of a data set under `root`, None if there is none.

    An official folder that is incomplete hides no other source. Raises DataError if `root` cannot
    be looked into.
    """
    try:
        return _find_source(spec, root)
    except OSError as error:
        raise DataError(
            f"The data folder {str(root)!r} cannot be read: {error.strerror}."
        ) from error


def _find_source(spec: DatasetSpec, root: Path) -> Source | None:
    kind = "batches" if spec.name == "cifar10" else "folder"
    for download in spec.downloads:
        if download.is_unpacked(root):
            return Source(kind, root / download.folder, spec.official_note)
    for download in spec.downloads:
        if (root / download.filename).is_file():
            archive_kind = "batches" if kind == "batches" else "archive"
            return Source(archive_kind, root / download.filename, spec.official_note)
    if spec.reencoding is not None and (root / spec.reencoding.filename).is_file():
        return Source(
            "archive",
            root / spec.reencoding.filename,
            spec.reencoding.note,
            spec.reencoding.test_note,
        )
    return _folder_source(spec, root)


def _folder_source(spec: DatasetSpec, root: Path) -> Source | None:
    if not spec.folders:
        return Source("folder", root, spec.official_note)
    note = "images of a folder, resized and centre-cropped"
    for folder in (root, root / spec.name):
        splits = [folder / name for names in SPLIT_FOLDERS.values() for name in names]
        if any((place / spec.folders[0]).is_dir() for place in [folder, *splits]):
            return Source("folder", folder, note)
    return None


def _nothing_found(spec: DatasetSpec, root: Path) -> str:
    names = [download.folder for download in spec.downloads]
    names += [download.filename for download in spec.downloads]
    if spec.reencoding is not None:
        names.append(spec.reencoding.filename)
    return (
        f"No {spec.label} data in {str(root)!r} (looked for {', '.join(names)} and an image "
        f"folder); get it with `python -m rsc_snn data download {spec.name}`."
    )


# --- ImageNet-style folders and archives -------------------------------------------------------


def _folder_items(spec: DatasetSpec, folder: Path, split: str) -> _Found:
    """The images of one split of an ImageNet-style folder."""
    place = _split_folder(folder, split)
    names = spec.folders or tuple(sorted(path.name for path in _sub_folders(place)))
    if not names:
        raise DataError(f"The folder {str(place)!r} has no class folders with images in it.")
    items: list[EncodedImage] = []
    for label, name in enumerate(names):
        paths = _image_paths(place / name)
        if not paths:
            raise DataError(f"The class folder {str(place / name)!r} is missing or has no images.")
        items += [
            EncodedImage(_member_name(path, folder), str(path), label, path.read_bytes)
            for path in paths
        ]
    return _Found(tuple(items), spec.classes or names)


def _split_folder(folder: Path, split: str) -> Path:
    for name in SPLIT_FOLDERS[split]:
        if (folder / name).is_dir() and _sub_folders(folder / name):
            return folder / name
    has_splits = any((folder / name).is_dir() for names in SPLIT_FOLDERS.values() for name in names)
    if split == "test" and not has_splits:
        return folder  # Class folders directly: they are evaluated, never trained on.
    wanted = " or ".join(f"{name}/" for name in SPLIT_FOLDERS[split])
    raise DataError(f"The folder {str(folder)!r} has no {wanted} with class folders in it.")


def _sub_folders(folder: Path) -> list[Path]:
    paths = _paths_in(folder)
    return [path for path in paths if path.is_dir() and not path.name.startswith(".")]


def _paths_in(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise DataError(f"Cannot read the folder {str(folder)!r}: {error.strerror}.") from error


def _member_name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _image_paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in _paths_in(folder) if _is_image_name(path.name))


def _is_image_name(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")


def _load_archive(
    spec: DatasetSpec, path: Path, split: str, size: int
) -> tuple[tuple[NDArray[np.uint8], NDArray[np.int64]], tuple[str, ...]]:
    """One split of an archive that holds an image folder, through the cache of decoded pixels."""
    key = cache.key(path, spec.name, split, size)
    arrays = cache.load(key)
    if arrays is None:
        items = _archive_items(spec, path, split)
        arrays = _decode_all(_interleave(items), size)
        cache.save(key, arrays)
    return arrays, spec.classes


def _archive_items(spec: DatasetSpec, path: Path, split: str) -> list[EncodedImage]:
    """The still encoded images of one split of a tar archive, read in one pass."""
    labels = {name: label for label, name in enumerate(spec.folders)}
    items: list[EncodedImage] = []
    total = 0
    for member, content in _tar_files(path, lambda member: _is_wanted(spec, split, member)):
        total += len(content)
        if total > MEMORY_LIMIT:
            raise DataError(f"The archive {str(path)!r} holds more images than fit in memory.")
        label = labels[PurePosixPath(member).parts[-2]]
        items.append(EncodedImage(member, f"{path}:{member}", label, partial(bytes, content)))
    items.sort(key=lambda item: (item.label, item.place))
    missing = sorted(set(labels.values()) - {item.label for item in items})
    if missing:
        name = spec.classes[missing[0]]
        raise DataError(f"The archive {str(path)!r} has no {split} images of class {name!r}.")
    return items


def _is_wanted(spec: DatasetSpec, split: str, member: str) -> bool:
    parts = PurePosixPath(member).parts
    return (
        len(parts) >= 3
        and parts[-3] in SPLIT_FOLDERS[split]
        and parts[-2] in spec.folders
        and _is_image_name(parts[-1])
    )


def _tar_files(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the wanted regular files of a compressed tar, in one pass."""
    with _reading(path), tarfile.open(path, "r|*") as archive:
        for member in archive:
            if not member.isfile() or not wanted(member.name):
                continue
            if member.size > MAX_FILE_BYTES:
                raise DataError(
                    f"The file {member.name!r} in {str(path)!r} is larger than "
                    f"{MAX_FILE_BYTES // 2**20} MB."
                )
            handle = archive.extractfile(member)
            if handle is not None:
                yield member.name, handle.read()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what a damaged or unreadable archive raises into a sentence."""
    try:
        yield
    except _DAMAGED as error:
        raise DataError(f"The archive {str(path)!r} is damaged or incomplete: {error}.") from error
    except OSError as error:
        raise DataError(f"The archive {str(path)!r} cannot be read: {error}.") from error


def _interleave(items: Sequence[EncodedImage]) -> list[EncodedImage]:
    """First of every class, then second of every class, ...: every prefix is balanced."""
    seen: dict[int, int] = {}
    ranked: list[tuple[int, int, int]] = []
    for index, item in enumerate(items):
        rank = seen.get(item.label, 0)
        seen[item.label] = rank + 1
        ranked.append((rank, item.label, index))
    return [items[index] for _, _, index in sorted(ranked)]


def _decode_all(
    items: Sequence[EncodedImage], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Decode to uint8 [M, 3, size, size] and int64 labels [M]."""
    needed = len(items) * 3 * size * size
    if needed > MEMORY_LIMIT:
        raise DataError(
            f"{len(items):,} images of {size}x{size} need {needed / 2**30:.1f} GB of memory; at "
            f"most {MEMORY_LIMIT // (3 * size * size):,} can be loaded at this size."
        )
    images = np.empty((len(items), 3, size, size), dtype=np.uint8)
    labels = np.empty(len(items), dtype=np.int64)
    for index, item in enumerate(items):
        images[index] = decode_file(item.read, item.place, size)
        labels[index] = item.label
    return images, labels


def decode_file(read: Callable[[], bytes], place: str, size: int) -> NDArray[np.uint8]:
    """One image of a data set to uint8 [3, size, size]; DataError naming the file if it is bad."""
    try:
        with Image.open(io.BytesIO(read()), formats=IMAGE_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"The image {place!r} has more than {MAX_PIXELS:,} pixels.")
            return to_array(square_rgb(image, size))
    except (DataError, MemoryError):
        raise
    except Exception as error:  # Decoders fed with damaged data raise all kinds of errors.
        raise DataError(f"The image {place!r} is damaged or not an image.") from error


# --- The official CIFAR-10 batches -------------------------------------------------------------


def read_batches(path: Path, split: str, size: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """CIFAR-10's official pixels from the archive or its unpacked folder, in the official order."""
    contents = _batch_files(path, CIFAR10_FILES[split])
    batches = [_read_batch(contents[name], f"{path}:{name}") for name in CIFAR10_FILES[split]]
    images = np.concatenate([batch[0] for batch in batches])
    labels = np.concatenate([batch[1] for batch in batches])
    if size != images.shape[-1]:
        resized = [
            to_array(square_rgb(Image.fromarray(image.transpose(1, 2, 0)), size))
            for image in images
        ]
        images = np.stack(resized)
    return images, labels


def _batch_files(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The named batch files of the archive or folder."""
    contents: dict[str, bytes] = {}
    if path.is_dir():
        with _reading(path):
            contents = {n: (path / n).read_bytes() for n in names if (path / n).is_file()}
    else:
        for member, content in _tar_files(path, lambda m: PurePosixPath(m).name in names):
            contents[PurePosixPath(member).name] = content
    missing = [name for name in names if name not in contents]
    if missing:
        raise DataError(f"{str(path)!r} has no file {missing[0]!r}; it is not the whole CIFAR-10.")
    return contents


def _read_batch(content: bytes, place: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """One pickled batch to uint8 [M, 3, 32, 32] and int64 [M]."""
    try:
        batch = _BatchUnpickler(io.BytesIO(content)).load()
        images = batch[b"data"].array().reshape(-1, 3, 32, 32)
        labels = np.asarray([int(label) for label in batch[b"labels"]], dtype=np.int64)
    except Exception as error:  # A hostile pickle can raise anything; none of it is ours to keep.
        raise DataError(f"The file {place!r} is not a CIFAR-10 batch, or is damaged.") from error
    known = len(DATASETS["cifar10"].classes)
    if len(images) != len(labels) or not len(labels) or not _within(labels, known):
        raise DataError(f"The labels of {place!r} do not fit its images.")
    return images, labels


def _within(labels: NDArray[np.int64], classes: int) -> bool:
    return bool((labels >= 0).all() and (labels < classes).all())


class _PickledType:
    """Stand-in for numpy.dtype: remembers its code."""

    def __init__(self, code: bytes | str = b"", *_: Any) -> None:
        self.code = code.decode("ascii") if isinstance(code, bytes) else str(code)

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like: bytes have none."""


class _PickledArray:
    """Stand-in for numpy.ndarray: keeps the raw bytes until `array` has checked them."""

    state: tuple[Any, ...] = ()

    def __setstate__(self, state: Any) -> None:
        self.state = tuple(state)

    def array(self) -> NDArray[np.uint8]:
        """The pixels, if they are plain bytes of the shape they claim."""
        _, shape, kind, fortran, raw = self.state
        if not isinstance(kind, _PickledType) or kind.code != "u1" or not isinstance(raw, bytes):
            raise ValueError("not an array of bytes")
        pixels = np.frombuffer(raw, dtype=np.uint8)
        return np.ascontiguousarray(pixels.reshape(shape, order="F" if fortran else "C"))


def _pickled_array(*_: Any) -> _PickledArray:
    return _PickledArray()


def _latin1(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into pickles of protocol 2."""
    if encoding != "latin1":
        raise ValueError(f"unexpected encoding {encoding}")
    return text.encode("latin1")


class _BatchUnpickler(pickle.Unpickler):
    """Reads the official batches, and can do nothing else.

    A pickle may name any function and call it. Here the few names that a NumPy array needs lead to
    inert stand-ins, every other name is an error, and NumPy itself only sees a byte string whose
    length and type have been checked.
    """

    _NAMES: Mapping[tuple[str, str], Any] = {
        ("numpy.core.multiarray", "_reconstruct"): _pickled_array,
        ("numpy._core.multiarray", "_reconstruct"): _pickled_array,
        ("numpy", "ndarray"): _PickledArray,
        ("numpy", "dtype"): _PickledType,
        ("_codecs", "encode"): _latin1,
    }

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="bytes")

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """The stand-in of an allowed name."""
        if (module_name, global_name) not in self._NAMES:
            raise pickle.UnpicklingError(f"{module_name}.{global_name} is not allowed")
        return self._NAMES[module_name, global_name]
