"""One training at a time in a run's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import torch
from torch import distributed

from rsc_snn.errors import ConfigError
from rsc_snn.training.loop import Worker

# It stays when the run is done: another command may be about to lock it.
LOCK_FILE = "run.lock"


@contextmanager
def alone_in(run: Path, worker: Worker, device: torch.device) -> Iterator[None]:
    """Until the block ends, no other command trains in the folder `run`, which is made if need be.

    The first process holds a lock on a file there, which the system lifts when that process ends
    in whatever way. Raises ConfigError, in all processes, if another command holds it or the
    folder cannot be written. Where the system has no such lock, nobody can tell.
    """
    lock, refusal = _try_lock(run) if worker.first else (None, "")
    try:
        if refusal := _first_says(refusal, worker, device):
            raise ConfigError(refusal)
        yield
    finally:
        if lock is not None:
            lock.close()


def _try_lock(run: Path) -> tuple[TextIO | None, str]:
    """(the file that holds the lock, why it cannot be had); closing the file lifts the lock."""
    try:
        import fcntl
    except ImportError:  # No such lock on this system.
        return None, ""
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = (run / LOCK_FILE).open("a", encoding="utf-8")
    except OSError as error:
        return None, f"Cannot write to {run}: {error.strerror}."
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None, f"Another process is training in {run}; wait until it ends, or stop it."
    except OSError:  # Some network file systems have no such lock.
        pass
    return lock, ""


def _first_says(text: str, worker: Worker, device: torch.device) -> str:
    """What the first process has to say, in all processes."""
    if worker.world == 1:
        return text
    said = [text]
    distributed.broadcast_object_list(said, 0, device=device)
    return said[0]
