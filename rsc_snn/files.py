"""Files that are never half written."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file beside `path`, then move it there.

    A kill at any moment leaves either the old file or the new one, whole; of several writers at
    once the last one's. Raises OSError.
    """
    # A name of its own for each writer: in one that they share, the bytes of two would mix.
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        write(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)  # A full disk needs the room.
        raise
