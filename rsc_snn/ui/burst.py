"""Elements that reach the browser together, not one by one as they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from streamlit.runtime.scriptrunner import get_script_run_ctx

if TYPE_CHECKING:
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


class _Burst:
    """Stands where the framework hands over the messages of a run, and keeps them."""

    def __init__(self, send: Callable[[ForwardMsg], None], stop: Callable[[], None]) -> None:
        self._send = send
        self._stop = stop
        self._kept: list[ForwardMsg] = []

    def __call__(self, message: ForwardMsg) -> None:
        self._stop()  # A visitor's next move ends this run at the next element, as ever.
        self._kept.append(message)

    def flush(self) -> None:
        kept, self._kept = self._kept, []
        for message in kept:
            self._send(message)


@contextmanager
def burst() -> Iterator[None]:
    """Send what is drawn inside when `flush` is called, and when it ends or fails.

    Every message makes the browser go over the whole page, and where it shares a small machine
    with the server, that takes the processor from what the page waits for. The framework has no
    such thing; `_enqueue` is what it calls for each message.
    """
    context = get_script_run_ctx()
    if context is None:
        yield
        return
    send = context._enqueue
    waiting = _Burst(send, context.yield_check)
    context._enqueue = waiting
    try:
        yield
    finally:
        context._enqueue = send
        waiting.flush()


def flush() -> None:
    """Send what was drawn in the burst so far."""
    context = get_script_run_ctx()
    waiting = None if context is None else context._enqueue
    if isinstance(waiting, _Burst):
        waiting.flush()
