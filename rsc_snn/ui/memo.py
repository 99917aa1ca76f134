"""A small bounded memory of results, shared by all sessions and by the job queue."""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from rsc_snn.errors import Cancelled

T = TypeVar("T")
# Most of what results hold; these have no parts, and no array is behind them.
_PLAIN = frozenset({str, bytes, int, float, bool, type(None)})


def size_of(value: object) -> int:
    """About how many bytes `value` holds: its arrays, in dataclasses and containers of any depth.

    An array that is a view counts as the whole that it keeps alive; what is met twice counts once.
    """
    return _size(value, set())


def _size(value: Any, seen: set[int]) -> int:
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if type(value) in _PLAIN:
        return sys.getsizeof(value)
    base = getattr(value, "base", None)
    if base is not None and hasattr(base, "nbytes"):
        return _size(base, seen)
    if hasattr(value, "untyped_storage"):
        return int(value.untyped_storage().nbytes())
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = [getattr(value, each.name) for each in dataclasses.fields(value)]
    elif isinstance(value, Mapping):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts = list(value)
    else:
        parts = []
    return sys.getsizeof(value) + sum(_size(part, seen) for part in parts)


class Memo:
    """Keeps the `most` results used last, `most_bytes` of them by `size`. Safe in any thread.

    The framework's own cache decorators copy a result through pickle at every hit, and cannot be
    asked without computing, or filled by a worker thread, both of which a job queue needs. Values
    are shared, so they must not be changed.
    """

    def __init__(
        self,
        most: int,
        most_bytes: int | None = None,
        size: Callable[[object], int] = size_of,
    ) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._size = size
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()
        self._bytes = 0
        self._flights: dict[Hashable, Future[Any]] = {}

    def get(self, key: Hashable, kind: type[T]) -> T | None:
        """The value under `key` if there is one and it is a `kind`, else None."""
        with self._lock:
            value, _ = self._values.get(key, (None, 0))
            if value is not None:
                self._values.move_to_end(key)
        return value if isinstance(value, kind) else None

    def put(self, key: Hashable, value: object) -> None:
        """Remember `value`, forgetting those used longest ago if there is no room.

        A value that has no room on its own is not remembered.
        """
        size = self._size(value)
        with self._lock:
            self._bytes -= self._values.pop(key, (None, 0))[1]
            if self._most_bytes is not None and size > self._most_bytes:
                return
            self._values[key] = (value, size)
            self._bytes += size
            while self._is_over():
                self._bytes -= self._values.popitem(last=False)[1][1]

    def _is_over(self) -> bool:
        too_large = self._most_bytes is not None and self._bytes > self._most_bytes
        return too_large or len(self._values) > self._most

    def compute(self, key: Hashable, kind: type[T], work: Callable[[], T]) -> T:
        """The remembered value, or that of `work`, which runs outside the lock.

        Threads that ask for the same key at the same time get the value, or the error, of one
        run. `work` must not ask for its own key.
        """
        while True:
            found = self.get(key, kind)
            if found is not None:
                return found
            with self._lock:
                flight = self._flights.get(key)
                leads = flight is None
                if flight is None:
                    flight = self._flights[key] = Future()
            value = self._lead(key, flight, work) if leads else _follow(flight)
            if isinstance(value, kind):
                return value

    def _lead(self, key: Hashable, flight: Future[Any], work: Callable[[], T]) -> T:
        try:
            value = work()
            self.put(key, value)
        except BaseException as error:
            self._land(key)
            flight.set_exception(error)
            raise
        self._land(key)
        flight.set_result(value)
        return value

    def _land(self, key: Hashable) -> None:
        with self._lock:
            del self._flights[key]

    @property
    def nbytes(self) -> int:
        """The bytes of all that is remembered, by `size`."""
        with self._lock:
            return self._bytes

    def __len__(self) -> int:
        with self._lock:
            return len(self._values)


def _follow(flight: Future[Any]) -> Any:
    """What another thread's run gives; None if it was stopped, which says nothing of this one's."""
    try:
        return flight.result()
    except Cancelled:
        return None
    except Exception:
        raise
    except BaseException:
        return None
