"""A served app and a real Chromium, for browser tests, screenshots and the speed benchmark."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

ROOT = Path(__file__).parents[2]
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
FIGURES = 3
# Seconds that a step may take: an idle machine needs a fraction of a second, a busy one minutes.
TIMEOUT = 180
EXCEPTION = '[data-testid="stException"]'


def find_chromium(playwright: Playwright) -> str | None:
    """Chromium from RSC_SNN_CHROMIUM, from the system, or Playwright's own, in that order."""
    named = os.environ.get("RSC_SNN_CHROMIUM")
    if named:
        return named
    for name in _NAMES:
        found = shutil.which(name)
        if found:
            return found
    own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def launch(playwright: Playwright, executable: str) -> Browser:
    """A headless Chromium that contacts nobody by itself."""
    return playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))


@contextmanager
def served_app(
    log: Path, assets: Path | None = None, script: str = "app.py"
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The app on a free port: its address and its process. `assets` None: those that ship.

    script: the app's file, relative to the project's root.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.headless", "true"]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1"]
    environment = dict(os.environ)
    if assets is not None:
        environment["RSC_SNN_ASSETS"] = str(assets)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address, process, log)
            yield address, process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the app stopped: {log.read_text(errors='replace')[-2000:]}")
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the app did not start in time")


def settle(page: Page) -> None:
    """Wait until the app has run to its end and shows no exception."""
    page.wait_for_selector(IDLE)
    assert page.locator(EXCEPTION).count() == 0, page.locator(EXCEPTION).first.inner_text()


def control(page: Page, key: str) -> str:
    """The selector of the control with a session key."""
    return f".st-key-{re.sub(r'[^A-Za-z0-9_-]', '-', key)}"


def open_playground(page: Page, address: str, query: str = "", figures: int = FIGURES) -> None:
    """Open the Playground and wait until all of its figures are drawn.

    figures: one less than FIGURES for a model without sigma, which has no trade-off.
    """
    page.goto(f"{address}/?{query}")
    page.wait_for_function(
        "count => document.querySelectorAll('.js-plotly-plot .draglayer').length >= count",
        arg=figures,
    )
    settle(page)
