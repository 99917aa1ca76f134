"""Small archives and folders in the layouts of the real ones."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rsc_snn.data import DATASETS

Pixels = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's data, cache or proxy settings."""
    monkeypatch.setenv("RSC_SNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RSC_SNN_DATA", raising=False)
    monkeypatch.delenv("RSC_SNN_ASSETS", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """encode(pixels [3, H, W] or a Pillow image, format, **options) -> the file's bytes."""

    def to_bytes(image: Pixels | Image.Image, kind: str = "PNG", **options: object) -> bytes:
        if not isinstance(image, Image.Image):
            image = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
        content = io.BytesIO()
        image.save(content, kind, **options)
        return content.getvalue()

    return to_bytes


@pytest.fixture
def make_tar() -> Callable[..., Path]:
    """make_tar(path, {name: content}) -> path; the compression follows the suffix."""

    def write(path: Path, files: Mapping[str, bytes]) -> Path:
        pack = tarfile.TarFile.xzopen if path.suffix == ".xz" else tarfile.TarFile.gzopen
        with pack(str(path), "w") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return path

    return write


@pytest.fixture
def photographs(encode: Callable[..., bytes]) -> Callable[..., dict[tuple[str, int, int], Pixels]]:
    """photographs(size, per_class) -> random pixels by (split, label, number)."""

    def draw(size: int, per_class: int = 2) -> dict[tuple[str, int, int], Pixels]:
        random = np.random.default_rng(7)
        return {
            (split, label, number): random.integers(0, 256, (3, size, size), dtype=np.uint8)
            for split in ("train", "test")
            for label in range(10)
            for number in range(per_class)
        }

    return draw


@pytest.fixture
def image_files(encode: Callable[..., bytes]) -> Callable[..., dict[str, bytes]]:
    """image_files(dataset, photographs, test folder, prefix) -> PNG files by path."""

    def name_them(
        dataset: str,
        pixels: Mapping[tuple[str, int, int], Pixels],
        test: str = "test",
        prefix: str = "",
    ) -> dict[str, bytes]:
        folders = DATASETS[dataset].folders
        return {
            f"{prefix}{'train' if split == 'train' else test}/{folders[label]}/{number:04d}.png": (
                encode(image)
            )
            for (split, label, number), image in pixels.items()
        }

    return name_them


@pytest.fixture
def write_files() -> Callable[[Path, Mapping[str, bytes]], Path]:
    """write_files(folder, {path: content}) -> folder."""

    def write(folder: Path, files: Mapping[str, bytes]) -> Path:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder

    return write
