"""`python -m rsc_snn data`: download data sets, see which are there, build the image gallery."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_MOST_SECONDS = 24 * 60 * 60  # Sockets take no infinite time, and no very long one.


def add_parser(subparsers: Any) -> None:
    """Register the command and its four actions."""
    parser = subparsers.add_parser(
        "data", help="download data sets, list those that are there", description=__doc__
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_download(actions)
    _add_list(actions)
    _add_info(actions)
    _add_gallery(actions)


def _add_data_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, help="the data folder (default: RSC_SNN_DATA or data/)"
    )


def _add_download(actions: Any) -> None:
    parser = actions.add_parser(
        "download",
        help="download an official archive, check it and unpack it",
        description="Download an official archive, check it and unpack it; run it again to go on "
        "with an interrupted download.",
    )
    parser.add_argument("dataset", choices=("cifar10", "imagenette"))
    parser.add_argument("--variant", help="imagenette: 160px (default) or 320px")
    parser.add_argument("--url", help="another address of the same archive, such as a mirror's")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds (default: 30)")
    parser.add_argument("--keep-archive", action="store_true", help="keep the archive as well")
    _add_data_option(parser)
    parser.set_defaults(run=run_download)


def _add_list(actions: Any) -> None:
    parser = actions.add_parser("list", help="the known data sets, and where each was found")
    _add_data_option(parser)
    parser.set_defaults(run=run_list)


def _add_info(actions: Any) -> None:
    parser = actions.add_parser("info", help="classes, source, licence and downloads of a data set")
    parser.add_argument("dataset", choices=("cifar10", "imagenette", "folder"))
    _add_data_option(parser)
    parser.set_defaults(run=run_info)


def _add_gallery(actions: Any) -> None:
    parser = actions.add_parser("gallery", help="build the image gallery from the test splits")
    parser.add_argument("--out", type=Path, default=Path("assets/images"), help="its folder")
    parser.add_argument("--per-class", type=int, default=10, help="photographs a class")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw (default: 0)")
    _add_data_option(parser)
    parser.set_defaults(run=run_gallery)


def run_download(args: argparse.Namespace) -> int:
    """Fetch with a progress bar; say where the data is."""
    from tqdm import tqdm

    from rsc_snn.data.download import fetch_dataset, find_download
    from rsc_snn.data.readers import data_root
    from rsc_snn.errors import ConfigError

    if not 0 < args.timeout <= _MOST_SECONDS:  # False for nan as well.
        raise ConfigError(
            f"--timeout must be more than 0 seconds and at most {_MOST_SECONDS:,}, not "
            f"{args.timeout:g}."
        )
    download = find_download(args.dataset, args.variant)
    with tqdm(total=download.size, unit="B", unit_scale=True, desc=download.filename) as bar:
        folder = fetch_dataset(
            download,
            args.data or data_root(),
            url=args.url,
            keep_archive=args.keep_archive,
            timeout=args.timeout,
            progress=lambda done, _: bar.update(done - bar.n),
        )
    print(f"{args.dataset}: in {folder}")
    return 0


def run_list(args: argparse.Namespace) -> int:
    """One line a data set."""
    from rsc_snn.data.catalogue import DATASETS
    from rsc_snn.data.readers import data_root, find_source

    root = args.data or data_root()
    for spec in DATASETS.values():
        if not spec.classes:
            continue  # A user's own folder is wherever the user says.
        source = find_source(spec, root) if root.is_dir() else None
        place = f"{source.path} ({source.note})" if source else f"not found in {root}"
        print(f"{spec.name:12}{spec.label:12}{place}")
    return 0


def run_info(args: argparse.Namespace) -> int:
    """What the catalogue knows of one data set."""
    from rsc_snn.data.catalogue import dataset_spec
    from rsc_snn.data.readers import data_root, find_source

    spec = dataset_spec(args.dataset)
    root = args.data or data_root()
    found = find_source(spec, root) if spec.classes and root.is_dir() else None
    print(f"{spec.label} ({spec.name})")
    print(f"  image size: {spec.image_size}x{spec.image_size}")
    print(f"  classes:    {', '.join(spec.classes) or 'the sub-folders, sorted'}")
    print(f"  source:     {spec.source}")
    print(f"  licence:    {spec.licence}")
    if spec.classes:
        print(f"  found:      {f'{found.path}: {found.note}' if found else 'no'}")
    for download in spec.downloads:
        size = f"{download.size / 1e6:.0f} MB"
        print(f"  download:   {download.name}: {download.url} ({size}, MD5 {download.md5})")
    return 0


def run_gallery(args: argparse.Namespace) -> int:
    """Build the gallery and say how large it is."""
    from rsc_snn.data.gallery import build_gallery

    images = build_gallery(args.out, args.data, per_class=args.per_class, seed=args.seed)
    size = sum(image.path.stat().st_size for image in images)
    print(f"{len(images)} photographs, {size / 1e6:.1f} MB, in {args.out}")
    return 0
