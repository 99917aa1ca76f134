"""`python -m rsc_snn`: one module a command in `rsc_snn/commands/`."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import pkgutil
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

import rsc_snn
from rsc_snn import commands
from rsc_snn.errors import RscSnnError


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, without the usage: `--help` has that."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"rsc-snn: error: {message}; see `{self.prog} --help`.\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command module's `add_parser` applied."""
    parser = _Parser(prog="rsc-snn", description=rsc_snn.__doc__)
    parser.add_argument("--version", action="version", version=f"rsc-snn {rsc_snn.__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in sorted(item.name for item in pkgutil.iter_modules(commands.__path__)):
        importlib.import_module(f"{commands.__name__}.{module}").add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 2 and one line on stderr for a mistake of the user, 130 for Ctrl-C."""
    warnings.formatwarning = _warning_line
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files may hold what the terminal's encoding does not.
        sys.stdout.reconfigure(errors="backslashreplace")

    def run() -> int:
        args = build_parser().parse_args(arguments)
        return int(args.run(args) or 0)

    return exit_code(run)


def _warning_line(message: Warning | str, *details: object, **more: object) -> str:
    """A warning for a person: without the file and the line of code that it came from."""
    return f"rsc-snn: warning: {message}\n"


def exit_code(run: Callable[[], int | None]) -> int:
    """What `run` returns, 0 for nothing; 2 and 130 as `main`. The benchmarks use it as well.

    141, as of a program that SIGPIPE ends, if nobody reads the output any more.
    """
    try:
        code = int(run() or 0)
        sys.stdout.flush()
        return code
    except RscSnnError as error:
        print(f"rsc-snn: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        _discard_output()
        return 141
    except OSError as error:
        # A file or folder that cannot be used, where no command has a sentence of its own.
        name = f"{error.filename!r}: " if error.filename else ""
        print(f"rsc-snn: error: {name}{error.strerror or error}.", file=sys.stderr)
        _discard_output()
        return 2
    except KeyboardInterrupt:
        print("rsc-snn: stopped", file=sys.stderr)
        return 130


def _discard_output() -> None:
    """Let what is still to be written go nowhere: the interpreter would try again at its end."""
    with suppress(OSError, ValueError):
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        os.close(sink)
