"""Many tabs on one server: who closes a tab stops its job, but not one that others wait for."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app_assets import make_assets
from tests.browser.driving import TIMEOUT, served_app

pytestmark = pytest.mark.browser

# Seconds on a busy machine, and far fewer than after which a silent tab counts as closed.
SOON = 60
# Minutes of work for the tiny model.
LONG = "model=tiny-rsc&image=cat-3&attack=square&queries=20000&eot_draws=128&time_steps=8"


@pytest.fixture(scope="module")
def address(tiny_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An app that gives a lost browser one second to come back."""
    folder = tmp_path_factory.mktemp("serving")
    assets = make_assets(tiny_zoo, folder / "assets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RSC_SNN_LIMIT_RECONNECT_SECONDS", "1")
        with served_app(folder / "log", assets) as (where, _):
            yield where


def health(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}/healthz", timeout=TIMEOUT) as answer:
        facts: dict[str, Any] = json.load(answer)
    return facts


def jobs(address: str) -> int:
    """How many jobs wait or run."""
    queue = health(address)["queue"]
    return int(queue["waiting"] + queue["running"])


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.1)


def open_and_start(chromium: Any, address: str, seed: int) -> Any:
    """A tab of its own visitor, with a job under way."""
    page = chromium.new_page()
    page.set_default_timeout(TIMEOUT * 1000)
    page.goto(f"{address}/?{LONG}&seed={seed}")
    page.get_by_role("button", name=re.compile("^Run ")).first.click()
    page.get_by_role("button", name="Cancel").first.wait_for()
    return page


def test_the_health_check_answers(address: str) -> None:
    facts = health(address)
    assert facts["status"] == "ok"
    assert "tiny-rsc" in facts["models"]


def test_a_closed_tab_stops_its_job(chromium: Any, address: str) -> None:
    page = open_and_start(chromium, address, 1)
    assert jobs(address) == 1
    page.wait_for_timeout(2500)
    assert jobs(address) == 1  # an open tab keeps it
    page.close()
    wait_until(lambda: jobs(address) == 0)


def test_a_tab_closed_by_one_leaves_the_job_to_the_other(chromium: Any, address: str) -> None:
    first = open_and_start(chromium, address, 2)
    second = open_and_start(chromium, address, 2)
    assert jobs(address) == 1
    first.close()
    time.sleep(3)
    assert jobs(address) == 1
    second.close()
    wait_until(lambda: jobs(address) == 0)
