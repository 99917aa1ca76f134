"""The command line as a whole: what a program around it sees when something goes wrong."""

from __future__ import annotations

import io
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rsc_snn.cli import exit_code, main
from rsc_snn.errors import ConfigError

ROOT = Path(__file__).parents[1]


def raising(error: BaseException) -> Callable[[], int]:
    def run() -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("No."), 2, "rsc-snn: error: No.\n"),
        (PermissionError(13, "Permission denied", "a/b"), 2, "error: 'a/b': Permission denied.\n"),
        (OSError(28, "No space left on device"), 2, "error: No space left on device.\n"),
        (KeyboardInterrupt(), 130, "rsc-snn: stopped\n"),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_what_goes_wrong_is_one_line(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(raising(error)) == code
    assert capsys.readouterr().err.endswith(line)


def rsc_snn(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rsc_snn", *words],
        cwd=ROOT,
        text=True,
        timeout=120,
        check=False,
        stderr=subprocess.PIPE,
        **options,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_output_that_cannot_be_written_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = rsc_snn("data", "list", stdout=full)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


def test_an_output_that_nobody_reads_is_silent() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = rsc_snn("data", "list", stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_names_that_the_terminal_cannot_show_are_printed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["data", "list", "--data", "d\udce9"]) == 0
    out.flush()
    assert b"d\\udce9" in out.buffer.getvalue()


@pytest.mark.parametrize("half_imported", [False, True])
def test_an_interrupted_import_ends_the_program(
    half_imported: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Some modules fail in odd ways if it is only cut short."""

    class Ended(Exception):
        """In place of the end of the process."""

    def end(code: int) -> None:
        raise Ended(code)

    module = ModuleType("half")
    module.__spec__ = ModuleSpec("half", None)
    module.__spec__._initializing = half_imported  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "half", module)
    monkeypatch.setattr(os, "_exit", end)
    interrupt = runpy.run_module("rsc_snn.__main__", run_name="not main")["_interrupt"]
    with pytest.raises(Ended if half_imported else KeyboardInterrupt):
        interrupt(signal.SIGINT, None)
    assert ("stopped" in capfd.readouterr().err) == half_imported
