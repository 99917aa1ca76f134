"""What programs read of the app: how it is, at /healthz, and what a page shows."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st
from starlette.responses import JSONResponse
from starlette.routing import Route

from rsc_snn.errors import RscSnnError
from rsc_snn.marker import ATTRIBUTE, marker_html, result_facts
from rsc_snn.ui import resources

if TYPE_CHECKING:
    from starlette.requests import Request

    from rsc_snn.outcome import Outcome

PATH = "/healthz"
# A hidden element's frame would still take the gap between two elements.
_NO_GAP = f"<style>.stElementContainer:has([{ATTRIBUTE}]){{display:none}}</style>"


def health_routes() -> list[Route]:
    """The route of the health check, for `st.App(routes=...)`."""
    return [Route(PATH, _answer, methods=["GET"])]


def _answer(_: Request) -> JSONResponse:
    """200 if the app can serve, else 503. A plain function: the server gives it a thread."""
    facts = health()
    headers = {"Cache-Control": "no-store"}
    return JSONResponse(facts, 200 if facts["status"] == "ok" else 503, headers)


def health() -> dict[str, Any]:
    """How the app is. Names nothing of the machine and nothing of any visitor.

    status: "ok", or "error" with a sentence in `reason`. memory: bytes of the process.
    """
    try:
        return _health()
    except RscSnnError as error:
        return {"status": "error", "reason": str(error)}


def _health() -> dict[str, Any]:
    queue, memo, zoo = resources.queue().status(), resources.memo(), resources.zoo()
    problems = zoo.problems()
    models = [name for name in zoo.names() if name not in problems]
    facts: dict[str, Any] = {"status": "ok"}
    if not models:
        facts = {"status": "error", "reason": "There is no model that can be used."}
    return facts | {
        "device": resources.device_text(),
        "models": models,
        "problems": sorted(problems),
        "queue": {
            "waiting": queue.waiting,
            "running": queue.running,
            "capacity": queue.capacity,
        },
        "remembered": {"results": len(memo), "bytes": memo.nbytes},
        "memory": memory_in_use(),
    }


def memory_in_use() -> int | None:
    """Resident bytes of this process; the most it ever had where the system says no more."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def result_marker(request_key_digest: str, outcome: Outcome) -> None:
    """A hidden element that says what the page shows of the request with this digest.

    The digest is `rsc_snn.marker.request_digest`, the content `rsc_snn.marker.result_facts`.
    """
    st.html(_NO_GAP + marker_html(result_facts(request_key_digest, outcome)))
