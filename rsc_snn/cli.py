"""`python -m rsc_snn`: one module a command in `rsc_snn/commands/`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import warnings
from collections.abc import Callable, Sequence
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
    args = build_parser().parse_args(arguments)
    return exit_code(lambda: args.run(args))


def _warning_line(message: Warning | str, *details: object, **more: object) -> str:
    """A warning for a person: without the file and the line of code that it came from."""
    return f"rsc-snn: warning: {message}\n"


def exit_code(run: Callable[[], int | None]) -> int:
    """What `run` returns, 0 for nothing; 2 and 130 as `main`. The benchmarks use it as well."""
    try:
        return int(run() or 0)
    except RscSnnError as error:
        print(f"rsc-snn: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("rsc-snn: stopped", file=sys.stderr)
        return 130
