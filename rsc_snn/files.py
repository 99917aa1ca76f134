"""Files that are never half written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file beside `path`, then move it there.

    A kill at any moment leaves either the old file or the new one, whole. Raises OSError.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        write(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)  # A full disk needs the room.
        raise
