"""A cache of decoded pixels, so that an archive is decompressed and decoded once.

One `.npz` file (uncompressed, no pickle) per archive, split and size, named after what it was made
from, in RSC_SNN_CACHE or ~/.cache/rsc_snn. It is only ever a shortcut: a cache that cannot be
written gives a warning, one that cannot be read is ignored.
"""

from __future__ import annotations

import hashlib
import os
import warnings
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsc_snn.files import write_atomically

_VERSION = 1

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


def folder() -> Path:
    """The cache folder: RSC_SNN_CACHE, or ~/.cache/rsc_snn. Raises OSError if there is no home."""
    if named := os.environ.get("RSC_SNN_CACHE"):
        return Path(named)
    try:
        return Path.home() / ".cache" / "rsc_snn"
    except RuntimeError as error:
        raise OSError("there is no home folder, and RSC_SNN_CACHE names no other") from error


def key(archive: Path, name: str, split: str, size: int) -> str:
    """File name of the cache of one split; changes with the archive's name, size and time."""
    facts = archive.stat()
    made_from = f"{_VERSION}|{archive.name}|{facts.st_size}|{facts.st_mtime_ns}"
    digest = hashlib.sha256(made_from.encode()).hexdigest()[:16]
    return f"{name}-{split}-{size}-{digest}.npz"


def load(name: str) -> Arrays | None:
    """Images uint8 [M, C, H, W] and labels int64 [M], None if absent or unusable."""
    try:
        with (folder() / name).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            images, labels = stored["images"], stored["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if images.dtype != np.uint8 or images.ndim != 4 or labels.shape != images.shape[:1]:
        return None
    return images, labels.astype(np.int64)


def save(name: str, arrays: Arrays) -> None:
    """Write atomically: the file appears whole or not at all."""
    images, labels = arrays

    def write(partial: Path) -> None:
        with partial.open("wb") as file:
            np.savez(file, images=images, labels=labels)

    try:
        folder().mkdir(parents=True, exist_ok=True)
        write_atomically(folder() / name, write)
    except OSError as error:
        warnings.warn(f"The decoded images could not be cached: {error}", stacklevel=2)
