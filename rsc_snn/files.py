"""Files that are never half written."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file beside `path`, then move it there.

    A kill or a power cut at any moment leaves either the old file or the new one, whole; once this
    returns, the new one. Of several writers at once the last one's. Raises OSError.
    """
    # A name of its own for each writer: in one that they share, the bytes of two would mix.
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        write(partial)
        with partial.open("rb+") as file:  # Windows flushes only what is open for writing.
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)  # A full disk needs the room.
        raise
    _keep_names(path.parent)


def try_folder(folder: Path) -> None:
    """Make a folder if there is none, and see that a file can be written to it. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def _keep_names(folder: Path) -> None:
    """Flush a folder, and so a file's move, to the disk; nothing where the platform refuses."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
