"""Downloading official archives: resumable, checked, and unpacked without trusting them.

The standard library does all of it: the few lines of HTTP that resuming needs do not justify a
further dependency, and `tarfile`'s own extraction filters are missing from the first releases of
Python 3.11.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import http
import http.client
import io
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import rsc_snn
from rsc_snn.data.catalogue import Download, dataset_spec
from rsc_snn.errors import DataError

CHUNK = 2**20
ATTEMPTS = 4
RETRY_PAUSE = 2.0
TIMEOUT = 30.0
MAX_MEMBERS = 200_000
# Photographs do not compress: an archive that grows more than this is not one of ours.
MAX_EXPANSION = 10
EXPANSION_SLACK = 16 * 2**20

Progress = Callable[[int, int], None]  # bytes done, bytes in all


class _Interrupted(Exception):
    """The connection ended early; what has arrived is kept."""


def find_download(dataset: str, variant: str | None = None) -> Download:
    """The official archive of a data set; the first (smallest) one if `variant` is None."""
    downloads = dataset_spec(dataset).downloads
    if not downloads:
        raise DataError(f"There is nothing to download for {dataset!r}.")
    if variant is None:
        return downloads[0]
    for download in downloads:
        if download.name == variant:
            return download
    names = ", ".join(download.name for download in downloads)
    raise DataError(f"{dataset!r} has no variant {variant!r}; choose one of {names}.")


def fetch_dataset(
    download: Download,
    root: Path,
    *,
    url: str | None = None,
    keep_archive: bool = False,
    timeout: float = TIMEOUT,
    progress: Progress | None = None,
) -> Path:
    """Download, check and unpack an archive into `root`; its folder. Nothing is done twice.

    `url` replaces the official address, for a mirror; size and checksums stay the official ones.
    Raises DataError for what goes wrong, and for a folder that is there, but incomplete.
    """
    folder = root / download.folder
    if problem := download.problem(root):
        raise DataError(problem)
    if download.is_unpacked(root):
        return folder
    with _disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
    archive = root / download.filename
    if not archive.is_file():
        fetch_archive(download, archive, url=url, timeout=timeout, progress=progress)
    elif problem := _mismatch(download, archive):
        raise DataError(f"The file {str(archive)!r} {problem}; delete it to download it again.")
    unpack(archive, root, download.folder)
    if not keep_archive:
        archive.unlink()
    return folder


def fetch_archive(
    download: Download,
    archive: Path,
    *,
    url: str | None = None,
    timeout: float = TIMEOUT,
    progress: Progress | None = None,
) -> None:
    """Download one archive to `archive`, going on from a `.part` file of an earlier try.

    A connection that breaks is taken up again a few times where it broke; after that the part
    stays for the next call. The file gets its name only when size and checksums fit.
    """
    address = url or download.url
    if not address.startswith(("http://", "https://")):
        raise DataError(f"The address {address!r} must begin with http:// or https://.")
    part = archive.with_name(archive.name + ".part")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _receive(address, part, download.size, timeout, progress)
            break
        except _Interrupted as error:
            if attempt == ATTEMPTS:
                raise DataError(
                    f"The download of {address} broke off after {_megabytes(part)} ({error}); "
                    f"run the command again to go on from there."
                ) from error
            time.sleep(RETRY_PAUSE)
    if problem := _mismatch(download, part):
        part.unlink()
        raise DataError(f"The file from {address} {problem}; it was deleted.")
    part.replace(archive)


def _receive(
    address: str, part: Path, size: int, timeout: float, progress: Progress | None
) -> None:
    """Append to `part` what is missing of `size` bytes."""
    done = part.stat().st_size if part.exists() else 0
    if done > size:
        part.unlink()
        done = 0
    if done == size:
        return
    headers = {"User-Agent": f"rsc-snn/{rsc_snn.__version__}"}
    if done:
        headers["Range"] = f"bytes={done}-"
    try:
        request = urllib.request.Request(address, headers=headers)
        with urllib.request.urlopen(request, timeout=timeout) as response:
            done = _resume_point(response, done)
            with _disk_errors(part.parent):
                _check_space(part, size - done)
            _copy(response, part, done, size, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # Range not satisfiable: the part is of some other file.
            part.unlink(missing_ok=True)
            raise _Interrupted("the server could not resume") from error
        raise DataError(
            f"The server answered {error.code} {error.reason} for {address}."
        ) from error
    except (ValueError, http.client.InvalidURL) as error:
        raise DataError(f"The address {address!r} is not valid.") from error
    except TimeoutError as error:
        raise _Interrupted(f"no answer for {timeout:g} s") from error
    except urllib.error.URLError as error:
        raise _Interrupted(str(error.reason)) from error
    except (http.client.HTTPException, OSError) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error


def _resume_point(response: http.client.HTTPResponse, done: int) -> int:
    """Where the body that follows begins: `done` if the server resumes, 0 if it starts anew."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    start = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    if start != str(done):
        raise DataError("The server answered with another part of the file than was asked for.")
    return done


def _copy(
    response: http.client.HTTPResponse,
    part: Path,
    done: int,
    size: int,
    progress: Progress | None,
) -> None:
    with _disk_errors(part.parent):
        file = part.open("r+b" if done else "wb", buffering=0)
    with file:
        file.seek(done)
        while chunk := response.read(CHUNK):
            if done + len(chunk) > size:
                raise DataError(f"The server sends more than the {size:,} bytes of the archive.")
            with _disk_errors(part.parent):
                _write_all(file, chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, size)
    if done < size:
        raise _Interrupted(f"{done:,} of {size:,} bytes")


def _write_all(file: io.FileIO, data: bytes) -> None:
    """Write unbuffered: a full disk shows here, not when the file is closed."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"{needed / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free")


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Errors of the local disk as a sentence (those of the network are OSErrors as well)."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DataError(f"The disk of {str(folder)!r} is full: {error.strerror}.") from error
        raise DataError(f"{str(folder)!r} cannot be written: {error.strerror}.") from error


def _mismatch(download: Download, path: Path) -> str | None:
    """What is wrong with a file, None if size and both checksums fit."""
    size = path.stat().st_size
    if size != download.size:
        return f"has {size:,} bytes instead of {download.size:,}"
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            md5.update(chunk)
            sha256.update(chunk)
    if (md5.hexdigest(), sha256.hexdigest()) != (download.md5, download.sha256):
        return "does not have the expected checksum"
    return None


def _megabytes(path: Path) -> str:
    size = path.stat().st_size if path.exists() else 0
    return f"{size / 1e6:.1f} MB"


# --- Unpacking ---------------------------------------------------------------------------------


class _Limited:
    """A stream that ends in a DataError when more than `limit` bytes come out of it."""

    def __init__(self, stream: IO[bytes], limit: int, path: Path) -> None:
        self._stream, self._left, self._path = stream, limit, path

    def read(self, size: int = -1) -> bytes:
        """At most one byte more than is allowed is ever decompressed."""
        wanted = self._left + 1 if size < 0 else min(size, self._left + 1)
        data = self._stream.read(wanted)
        self._left -= len(data)
        if self._left < 0:
            raise DataError(f"The archive {str(self._path)!r} expands to far more than it should.")
        return data


def unpack(archive: Path, root: Path, folder: str) -> Path:
    """Unpack a .tar.gz whose entries all lie under `folder` into `root`; all of it or nothing.

    Only plain files and folders are taken. Anything else in the archive (links, devices, absolute
    paths, `..`, other top folders) or an expansion beyond MAX_EXPANSION makes it refused whole.
    """
    target = root / folder
    limit = MAX_EXPANSION * archive.stat().st_size + EXPANSION_SLACK
    with _disk_errors(root):
        workplace = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=root))
    try:
        with gzip.open(archive, "rb") as stream:
            limited = _Limited(stream, limit, archive)  # type: ignore[arg-type]
            with tarfile.open(fileobj=limited, mode="r|") as tar:  # type: ignore[call-overload]
                _unpack_members(tar, workplace, folder, archive)
        if not (workplace / folder).is_dir():
            raise DataError(f"The archive {str(archive)!r} has no folder {folder!r}.")
        with _disk_errors(root):
            (workplace / folder).replace(target)
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"The archive {str(archive)!r} is damaged: {error}.") from error
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
    return target


def _unpack_members(tar: tarfile.TarFile, workplace: Path, folder: str, archive: Path) -> None:
    for number, member in enumerate(tar):
        if number >= MAX_MEMBERS:
            raise DataError(f"The archive {str(archive)!r} has more than {MAX_MEMBERS:,} entries.")
        place = workplace / _safe_name(member, folder, archive)
        with _disk_errors(workplace.parent):
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            file = place.open("xb", buffering=0)
        content = tar.extractfile(member)
        with file:
            while content is not None and (chunk := content.read(CHUNK)):
                with _disk_errors(workplace.parent):
                    _write_all(file, chunk)


def _safe_name(member: tarfile.TarInfo, folder: str, archive: Path) -> PurePosixPath:
    """The member's path if it is a plain file or folder under `folder`; DataError otherwise."""
    name = PurePosixPath(member.name)
    unsafe = (
        not (member.isreg() or member.isdir())
        or member.issparse()  # A sparse file grows out of almost nothing.
        or name.is_absolute()
        or ".." in name.parts
        or "\\" in member.name
        or ":" in member.name
        or "\0" in member.name
        or not name.parts
        or name.parts[0] != folder
    )
    if unsafe:
        raise DataError(
            f"The archive {str(archive)!r} has an entry that is not allowed: {member.name!r}."
        )
    return name
