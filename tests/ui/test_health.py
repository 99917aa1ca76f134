"""What programs read of the app: the health check and the marker of a result."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from starlette.applications import Starlette
from streamlit.testing.v1 import AppTest

from rsc_snn.marker import read_markers
from rsc_snn.ui import resources
from rsc_snn.ui.health import PATH, health, health_routes
from tests.app_assets import make_assets
from tests.conftest import TINY_CONFIGS


@pytest.fixture
def assets(tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    st.cache_resource.clear()
    folder = make_assets(tiny_zoo, tmp_path / "assets")
    monkeypatch.setenv("RSC_SNN_ASSETS", str(folder))
    yield folder
    st.cache_resource.clear()


def ask(method: str = "GET") -> tuple[int, dict[str, Any]]:
    """Status and JSON of the health check's answer, through the interface of servers (ASGI)."""
    messages: list[Any] = []
    scope = {"type": "http", "method": method, "path": PATH, "headers": [], "query_string": b""}

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    # In a thread of its own: this one may have an event loop already, that of the browser's tests.
    serving = Starlette(routes=health_routes())(scope, receive, send)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, serving).result()
    body = b"".join(message.get("body", b"") for message in messages)
    return messages[0]["status"], json.loads(body) if body.startswith(b"{") else {}


def test_a_healthy_app_says_how_it_is(assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSC_SNN_LIMIT_QUEUE", "7")
    resources.memo().put("key", b"x" * 1000)
    status, facts = ask()
    assert (status, facts["status"]) == (200, "ok")
    assert set(facts["models"]) == set(TINY_CONFIGS)
    assert facts["queue"] == {"waiting": 0, "running": 0, "capacity": 7}
    assert facts["remembered"]["results"] == 1 and facts["remembered"]["bytes"] >= 1000
    assert facts["memory"] > 50 * 2**20
    assert str(assets) not in json.dumps(facts)
    assert ask("POST")[0] == 405


def test_an_app_without_models_is_not_healthy(assets: Path) -> None:
    for path in (assets / "models").glob("*.safetensors"):
        path.unlink()
    for path in (assets / "models").glob("*.json"):
        path.unlink()
    status, facts = ask()
    assert status == 503
    assert facts["reason"].endswith(".")


def test_a_bad_setting_is_a_sentence(assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSC_SNN_LIMIT_QUEUE", "none")
    assert health() == {
        "status": "error",
        "reason": "RSC_SNN_LIMIT_QUEUE must be a number, not 'none'.",
    }


def test_memory_grows_with_what_is_held() -> None:
    """In a process of its own: threads of other tests may free memory at any moment."""
    program = (
        "from rsc_snn.ui.health import memory_in_use\n"
        "before = memory_in_use()\n"
        "block = bytearray(b'x') * (400 * 2**20)\n"
        "print(memory_in_use() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(done.stdout.split()[-1]) > 300 * 2**20


def test_the_marker_says_what_is_shown(assets: Path) -> None:
    def script() -> None:
        import torch

        from rsc_snn.outcome import AttackRequest, ImageChoice, attack_image
        from rsc_snn.ui import resources
        from rsc_snn.ui.health import result_marker

        image = ImageChoice("x", "cat", 3, torch.full((1, 3, 32, 32), 0.5))
        request = AttackRequest("tiny-ann", "0", image, "fgsm", (), None, None, 1, 0)
        outcome = attack_image(resources.zoo().load("tiny-ann"), request)
        result_marker("digest", outcome)
        result_marker("digest", outcome)

    app = AppTest.from_function(script, default_timeout=30).run()
    assert not app.exception
    first, second = (read_markers(element.proto.body) for element in app.get("html"))
    assert first == second and first[0]["request"] == "digest"
