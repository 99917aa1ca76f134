"""The cache of decoded pixels is a shortcut and nothing more."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rsc_snn.data import DATASETS, load_dataset
from rsc_snn.data import cache as pixel_cache


@pytest.fixture
def archive(tmp_path: Path, make_tar: Any, photographs: Any, image_files: Any) -> Path:
    files = image_files("cifar10", photographs(32, 1))
    path: Path = make_tar(tmp_path / "cifar10-jpeg.tar.xz", files)
    return path


def test_second_load_does_not_read_the_archive(archive: Path) -> None:
    first = load_dataset("cifar10", "test", archive.parent)
    facts = archive.stat()
    archive.write_bytes(bytes(facts.st_size))  # Unreadable, yet of the same size and time.
    os.utime(archive, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    again = load_dataset("cifar10", "test", archive.parent)
    assert torch.equal(first.images, again.images) and torch.equal(first.labels, again.labels)


def test_a_changed_archive_is_read_anew(archive: Path, make_tar: Any, encode: Any) -> None:
    load_dataset("cifar10", "test", archive.parent)
    white = encode(np.full((3, 32, 32), 255, np.uint8))
    make_tar(archive, {f"test/{name}/0.png": white for name in DATASETS["cifar10"].folders})
    os.utime(archive, (1, 1))
    assert load_dataset("cifar10", "test", archive.parent).images.min() == 255


def test_key_follows_name_size_and_time(archive: Path) -> None:
    def key() -> str:
        return pixel_cache.key(archive, "cifar10", "test", 32)

    first = key()
    os.utime(archive, (1, 1))
    second = key()
    archive.write_bytes(archive.read_bytes() + b"\0")
    os.utime(archive, (1, 1))
    third = key()
    assert key() == third and len({first, second, third}) == 3


def test_splits_and_sizes_do_not_mix(archive: Path) -> None:
    for split in ("train", "test"):
        for size in (16, 32):
            first = load_dataset("cifar10", split, archive.parent, image_size=size)
            assert torch.equal(
                first.images,
                load_dataset("cifar10", split, archive.parent, image_size=size).images,
            )
    assert len(list(pixel_cache.folder().iterdir())) == 4


def _pickled() -> bytes:
    return pickle.dumps({"images": 1})


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", _pickled()])
def test_a_damaged_cache_is_ignored_and_replaced(archive: Path, content: bytes) -> None:
    first = load_dataset("cifar10", "test", archive.parent)
    (stored,) = pixel_cache.folder().iterdir()
    whole = stored.read_bytes()
    stored.write_bytes(content)
    assert torch.equal(load_dataset("cifar10", "test", archive.parent).images, first.images)
    assert stored.read_bytes() == whole


def test_a_flipped_byte_in_the_cache_is_noticed(archive: Path) -> None:
    first = load_dataset("cifar10", "test", archive.parent)
    (stored,) = pixel_cache.folder().iterdir()
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 0xFF
    stored.write_bytes(content)
    assert torch.equal(load_dataset("cifar10", "test", archive.parent).images, first.images)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_cache_that_is_cut_short_leaves_nothing_behind(
    archive: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def stop(file: Any, **arrays: Any) -> None:
        file.write(b"half of it")
        raise error("stopped")

    monkeypatch.setattr(np, "savez", stop)
    expected: Any = (
        pytest.raises(KeyboardInterrupt)
        if error is KeyboardInterrupt
        else pytest.warns(UserWarning, match="could not be cached: stopped")
    )
    with expected:
        load_dataset("cifar10", "test", archive.parent)
    assert list(pixel_cache.folder().iterdir()) == []


def test_a_cache_that_cannot_be_written_is_a_warning(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("in the way")
    monkeypatch.setenv("RSC_SNN_CACHE", str(tmp_path / "a file"))
    with pytest.warns(UserWarning, match="could not be cached"):
        assert len(load_dataset("cifar10", "test", archive.parent)) == 10


def test_without_a_home_folder_images_are_read_all_the_same(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a user whom the system does not know, in a container without HOME."""

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("RSC_SNN_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    for _ in range(2):
        with pytest.warns(UserWarning, match="could not be cached: there is no home folder"):
            assert len(load_dataset("cifar10", "test", archive.parent)) == 10
