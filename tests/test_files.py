"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from rsc_snn.files import write_atomically


def test_two_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "results.bin"

    def second(partial: Path) -> None:
        partial.write_bytes(b"second" * 100)

    def first(partial: Path) -> None:
        with partial.open("wb") as file:
            file.write(b"fir")
            file.flush()
            write_atomically(path, second)
            assert path.read_bytes() == b"second" * 100
            file.write(b"st")

    write_atomically(path, first)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_a_writer_that_does_not_finish_leaves_the_old_file(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "results.bin"
    path.write_bytes(b"old")

    def fail(partial: Path) -> None:
        partial.write_bytes(b"half")
        raise error

    with pytest.raises(error):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_power_cut_finds_the_bytes_before_the_name_and_the_name_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flushed = tmp_path / "results.bin", []
    flush = os.fsync

    def note(descriptor: int) -> None:
        what = os.fstat(descriptor)
        kind = "folder" if stat.S_ISDIR(what.st_mode) else what.st_size
        flushed.append((kind, path.exists()))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    write_atomically(path, lambda partial: partial.write_bytes(b"whole"))
    assert flushed == [(5, False), ("folder", True)]


def test_a_platform_that_flushes_no_folders_writes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    write_atomically(tmp_path / "results.bin", lambda partial: partial.write_bytes(b"whole"))
    assert (tmp_path / "results.bin").read_bytes() == b"whole"


def test_a_disk_that_fails_to_keep_the_bytes_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "results.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_atomically(path, lambda partial: partial.write_bytes(b"new"))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_half_written_file_is_one_that_git_ignores(tmp_path: Path) -> None:
    names: list[str] = []

    def note(partial: Path) -> None:
        assert partial.parent == tmp_path
        names.append(partial.name)
        partial.touch()

    write_atomically(tmp_path / "results.bin", note)
    assert names[0].endswith(".partial")
