"""A visitor without a browser: speaks the app framework's protocol over one websocket.

The browser's side of the protocol is small: a visitor sends the link and the state of its
controls, and gets the page as a stream of elements. Thirty such visitors cost a hundredth of
thirty browser tabs, so that what is measured is the server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from rsc_snn.marker import read_markers

START_BUTTON = "-attack.start"
# Icons of sentences of errors; a verdict is no error, whatever its colour.
_ERROR_ICONS = (":material/error:", ":material/link_off:")
_REFUSALS = ("Too many computations are waiting", "You already have")
# Seconds without a message after which a page that has ended its run shows nothing more.
_QUIET = 10.0


@dataclass
class Seen:
    """What one visit gave: the facts of the result, how long it took, and what went wrong."""

    facts: dict[str, Any] | None = None
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    refused: bool = False
    queued: bool = False


@dataclass
class _Poll:
    """A part of the page that wants to run every so many seconds, and when it is next."""

    every: float
    due: float = 0.0

    def __post_init__(self) -> None:
        self.due = time.perf_counter() + self.every


class Visitor:
    """One session. Use as an asynchronous context; `visit` opens one link after the other."""

    def __init__(self, address: str) -> None:
        self._address = address.replace("http", "ws", 1) + "/_stcore/stream"
        self._socket: ClientConnection | None = None
        self._query = ""
        self._polls: dict[str, _Poll] = {}
        self._button = ""

    async def __aenter__(self) -> Self:
        self._socket = await connect(
            self._address, subprotocols=[Subprotocol("streamlit")], max_size=None
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def visit(self, query: str, digest: str, timeout: float) -> Seen:
        """Open a link and wait for the result with this digest, pressing the button if need be."""
        self._query, self._polls, self._button = query, {}, ""
        seen, start, finished = Seen(), time.perf_counter(), False
        await self._rerun(opens=True)
        while not (finished and (seen.facts or seen.refused)):
            left = start + timeout - time.perf_counter()
            message = await self._next(min(left, _QUIET if finished else left))
            if message is None:
                seen.problems.append("no result" if finished else f"no answer in {timeout:g} s")
                break
            self._read(message, digest, seen)
            finished = _ends(message) or (finished and not _starts(message))
            if finished and not seen.facts and self._button and not seen.queued:
                seen.queued, finished = True, False
                await self._rerun(pressed=self._button)
        seen.seconds = time.perf_counter() - start
        return seen

    def _read(self, message: ForwardMsg, digest: str, seen: Seen) -> None:
        """Take in one message."""
        kind = message.WhichOneof("type")
        if kind == "auto_rerun":
            asked = message.auto_rerun
            self._polls[asked.fragment_id] = _Poll(asked.interval)
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self._polls.pop(fragment, None)
        elif _starts(message):
            self._polls = {}
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self._read_element(message.delta.new_element, digest, seen)

    def _read_element(self, element: Any, digest: str, seen: Seen) -> None:
        kind = element.WhichOneof("type")
        if kind == "html":
            found = [each for each in read_markers(element.html.body) if each["request"] == digest]
            seen.facts = found[0] if found else seen.facts
        elif kind == "button" and element.button.id.endswith(START_BUTTON):
            self._button = element.button.id
        elif kind == "exception":
            seen.problems.append(f"exception: {element.exception.message}")
        elif kind == "alert" and element.alert.icon in _ERROR_ICONS:
            if element.alert.body.startswith(_REFUSALS):
                seen.refused = True
            else:
                seen.problems.append(element.alert.body)

    async def _next(self, timeout: float) -> ForwardMsg | None:
        """The next message, or None after `timeout` seconds; polls as the page asked for."""
        assert self._socket is not None
        end = time.perf_counter() + timeout
        while time.perf_counter() < end:
            due = min([end, *(poll.due for poll in self._polls.values())])
            try:
                data = await asyncio.wait_for(
                    self._socket.recv(), max(due - time.perf_counter(), 0.001)
                )
            except TimeoutError:
                await self._poll()
                continue
            assert isinstance(data, bytes)
            return ForwardMsg.FromString(data)
        return None

    async def _poll(self) -> None:
        """Ask for the parts of the page whose time has come."""
        for fragment, poll in self._polls.items():
            if poll.due <= time.perf_counter():
                poll.due = time.perf_counter() + poll.every
                await self._rerun(fragment=fragment)

    async def _rerun(self, *, opens: bool = False, pressed: str = "", fragment: str = "") -> None:
        """Ask for a run of the page, or of one fragment of it; `opens` a link."""
        assert self._socket is not None
        widgets: Sequence[WidgetState] = (
            [WidgetState(id=pressed, trigger_value=True)] if pressed else []
        )
        state = ClientState(
            query_string=self._query,
            widget_states=WidgetStates(widgets=widgets),
            fragment_id=fragment,
            is_auto_rerun=bool(fragment),
            # The way in which one session gets another link, perhaps one that it had before.
            is_history_navigation=opens,
        )
        await self._socket.send(BackMsg(rerun_script=state).SerializeToString())


def _starts(message: ForwardMsg) -> bool:
    """True for the first message of a run of the whole page."""
    part = list(message.metadata.run.fragment_ids)
    return message.WhichOneof("type") == "new_session" and not part


def _ends(message: ForwardMsg) -> bool:
    """True for the last message of a run of the whole page that came to its end."""
    success = message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
    return message.WhichOneof("type") == "script_finished" and success
