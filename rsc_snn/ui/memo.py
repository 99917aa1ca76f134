"""A small bounded memory of results, shared by all sessions and by the job queue."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

T = TypeVar("T")


class Memo:
    """Keeps the `most` results used last, by key. Safe to use from any thread.

    The framework's own cache decorators copy a result through pickle at every hit, and cannot be
    asked without computing, or filled by a worker thread, both of which a job queue needs. Values
    are shared, so they must not be changed.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, object] = OrderedDict()

    def get(self, key: Hashable, kind: type[T]) -> T | None:
        """The value under `key` if there is one and it is a `kind`, else None."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
        return value if isinstance(value, kind) else None

    def put(self, key: Hashable, value: object) -> None:
        """Remember `value`, forgetting the one used longest ago if there are too many."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def compute(self, key: Hashable, kind: type[T], work: Callable[[], T]) -> T:
        """The remembered value, or that of `work`, which runs outside the lock."""
        found = self.get(key, kind)
        if found is None:
            found = work()
            self.put(key, found)
        return found

    def __len__(self) -> int:
        with self._lock:
            return len(self._values)
