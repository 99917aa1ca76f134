"""The commands of `python -m rsc_snn`; each module has `add_parser(subparsers)`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rsc_snn.zoo import Zoo


def add_zoo_option(parser: argparse.ArgumentParser) -> None:
    """Add `--zoo DIR`, for commands that use models of one's own beside those that ship."""
    parser.add_argument(
        "--zoo",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="a folder of own models, beside those that ship and those of RSC_SNN_ZOO; "
        "may be repeated",
    )


def open_zoo(args: argparse.Namespace, folder: Path | None = None) -> Zoo:
    """The models of `folder` (None: those of the app) and the own ones. Raises ZooError."""
    from rsc_snn.zoo import named_zoo, own_folders

    return named_zoo(folder, own_folders(args.zoo))
