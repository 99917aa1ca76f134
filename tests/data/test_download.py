"""Downloads against a local HTTP server, and unpacking of archives that mean harm."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import threading
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsc_snn.data import download as downloads
from rsc_snn.data.catalogue import Download
from rsc_snn.data.download import fetch_archive, fetch_dataset, find_download, unpack
from rsc_snn.errors import DataError


@dataclass
class Site:
    """What the local server does, and what it was asked for."""

    content: bytes = b""
    ranges: bool = True
    status: int = 0  # Answer with this error instead.
    break_after: list[int] = field(default_factory=list)  # Bytes sent before each hang-up.
    offset: int = 0  # How far the server misses the range it was asked for.
    stall: threading.Event | None = None  # Wait for this before answering.
    asked: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server on this machine that follows a Site's orders."""
    monkeypatch.setattr(downloads, "RETRY_PAUSE", 0.0)
    orders = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, orders)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    orders.url = f"http://127.0.0.1:{server.server_port}/archive.tgz"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield orders
    if orders.stall is not None:
        orders.stall.set()
    server.shutdown()
    server.server_close()
    thread.join()


def _answer(handler: BaseHTTPRequestHandler, orders: Site) -> None:
    wanted = handler.headers.get("Range")
    orders.asked.append(wanted)
    if orders.stall is not None:
        orders.stall.wait(10)
        return
    if orders.status:
        handler.send_error(orders.status)
        return
    start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and orders.ranges else 0
    if start and start >= len(orders.content):
        handler.send_error(416)
        return
    start += orders.offset if start else 0
    body = orders.content[start:]
    handler.send_response(206 if start else 200)
    if start:
        end, size = len(orders.content) - 1, len(orders.content)
        handler.send_header("Content-Range", f"bytes {start}-{end}/{size}")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: orders.break_after.pop(0)] if orders.break_after else body)


def describe(content: bytes, folder: str = "photos") -> Download:
    """The catalogue entry of an archive with this content."""
    return Download(
        name="test",
        url="https://example.invalid/archive.tgz",
        filename="archive.tgz",
        size=len(content),
        md5=hashlib.md5(content).hexdigest(),
        sha256=hashlib.sha256(content).hexdigest(),
        folder=folder,
    )


CONTENT = bytes(os.urandom(300_000))
HALF = len(CONTENT) // 2


def test_download(tmp_path: Path, site: Site) -> None:
    site.content = CONTENT
    seen: list[tuple[int, int]] = []
    fetch_archive(
        describe(CONTENT),
        tmp_path / "archive.tgz",
        url=site.url,
        progress=lambda done, size: seen.append((done, size)),
    )
    assert (tmp_path / "archive.tgz").read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and seen == sorted(seen)
    assert [path.name for path in tmp_path.iterdir()] == ["archive.tgz"]


def test_broken_connection_is_taken_up_where_it_broke(tmp_path: Path, site: Site) -> None:
    site.content, site.break_after = CONTENT, [HALF, 1000]
    fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url)
    assert (tmp_path / "archive.tgz").read_bytes() == CONTENT
    assert site.asked == [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"]


def test_later_call_goes_on_from_the_part(tmp_path: Path, site: Site) -> None:
    site.content, site.break_after = CONTENT, [HALF, 0, 0, 0]
    with pytest.raises(DataError, match=r"broke off after 0\.1 MB .* run the command again"):
        fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url)
    assert not (tmp_path / "archive.tgz").exists()
    assert (tmp_path / "archive.tgz.part").read_bytes() == CONTENT[:HALF]
    site.asked.clear()
    fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url)
    assert site.asked == [f"bytes={HALF}-"]
    assert (tmp_path / "archive.tgz").read_bytes() == CONTENT


def test_server_that_cannot_resume_sends_all_again(tmp_path: Path, site: Site) -> None:
    site.content, site.ranges, site.break_after = CONTENT, False, [HALF]
    fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url)
    assert (tmp_path / "archive.tgz").read_bytes() == CONTENT


def test_complete_part_is_not_asked_for(tmp_path: Path, site: Site) -> None:
    (tmp_path / "archive.tgz.part").write_bytes(CONTENT)
    fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url)
    assert site.asked == [] and (tmp_path / "archive.tgz").read_bytes() == CONTENT


def test_part_that_is_too_long_is_started_anew(tmp_path: Path, site: Site) -> None:
    site.content = CONTENT
    (tmp_path / "archive.tgz.part").write_bytes(CONTENT + b"more")
    fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url)
    assert site.asked == [None] and (tmp_path / "archive.tgz").read_bytes() == CONTENT


def test_wrong_content_of_the_right_size(tmp_path: Path, site: Site) -> None:
    site.content = bytes(len(CONTENT))
    with pytest.raises(DataError, match="does not have the expected checksum; it was deleted"):
        fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("checksum", ["md5", "sha256"])
def test_each_checksum_counts(tmp_path: Path, site: Site, checksum: str) -> None:
    site.content = CONTENT
    wrong = replace(describe(CONTENT), **{checksum: "0" * 64})  # type: ignore[arg-type]
    with pytest.raises(DataError, match="expected checksum"):
        fetch_archive(wrong, tmp_path / "archive.tgz", url=site.url)


def test_part_of_another_file_fails_the_checksum(tmp_path: Path, site: Site) -> None:
    site.content = CONTENT
    (tmp_path / "archive.tgz.part").write_bytes(b"other" * 100)
    with pytest.raises(DataError, match="expected checksum"):
        fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url)
    fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url)


def test_server_with_a_longer_file(tmp_path: Path, site: Site) -> None:
    site.content = CONTENT + b"more"
    with pytest.raises(DataError, match="sends more than the 300,000 bytes"):
        fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url)


def test_server_with_a_shorter_file(tmp_path: Path, site: Site) -> None:
    site.content = CONTENT[:HALF]
    with pytest.raises(DataError, match="broke off"):
        fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url)


def test_server_that_answers_with_another_range(tmp_path: Path, site: Site) -> None:
    site.content, site.break_after, site.offset = CONTENT, [HALF], 5
    with pytest.raises(DataError, match="another part of the file"):
        fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url)


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_http_errors(tmp_path: Path, site: Site, status: int) -> None:
    site.status = status
    with pytest.raises(DataError, match=rf"The server answered {status} .* for {site.url}"):
        fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url)
    assert len(site.asked) == 1


def test_silent_server(tmp_path: Path, site: Site) -> None:
    site.stall = threading.Event()
    with pytest.raises(DataError, match=r"broke off after 0\.0 MB"):
        fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url, timeout=0.05)
    assert len(site.asked) == downloads.ATTEMPTS


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "RETRY_PAUSE", 0.0)
    with pytest.raises(DataError, match="broke off after 0.0 MB .*refused"):
        fetch_archive(describe(b"x"), tmp_path / "archive.tgz", url="http://127.0.0.1:9/a")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a/b", "archive.tgz"])
def test_other_schemes_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match="must begin with http"):
        fetch_archive(describe(b"x"), tmp_path / "archive.tgz", url=url)


@pytest.mark.parametrize("url", ["http://[::1/a", "http://127.0.0.1:port/a", "http://a b/c"])
def test_addresses_that_are_none(tmp_path: Path, site: Site, url: str) -> None:
    with pytest.raises(DataError, match="is not valid"):
        fetch_archive(describe(b"x"), tmp_path / "archive.tgz", url=url)


def test_disk_too_small(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.content = CONTENT
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 0, 10))
    with pytest.raises(DataError, match=r"The disk of .* is full: 0 MB needed, 0 MB free"):
        fetch_archive(describe(CONTENT), tmp_path / "archive.tgz", url=site.url)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("size", [1000, 300_000])
def test_disk_that_fills_up(tmp_path: Path, site: Site, size: int) -> None:
    site.content = CONTENT[:size]
    (tmp_path / "archive.tgz.part").symlink_to("/dev/full")
    with pytest.raises(DataError, match="The disk of .* is full"):
        fetch_archive(describe(site.content), tmp_path / "archive.tgz", url=site.url)


def test_folder_that_cannot_be_made(tmp_path: Path, site: Site) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        fetch_dataset(describe(CONTENT), tmp_path / "file" / "data", url=site.url)


def packed(**files: bytes) -> bytes:
    """A .tgz of files under photos/."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in files.items():
            archive.addfile(_member(f"photos/{name}", len(data)), io.BytesIO(data))
    return content.getvalue()


def _member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member


def test_fetch_dataset(tmp_path: Path, site: Site) -> None:
    site.content = packed(a=b"first", b=b"second")
    item = describe(site.content)
    folder = fetch_dataset(item, tmp_path / "new" / "data", url=site.url)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "a": b"first",
        "b": b"second",
    }
    assert [path.name for path in folder.parent.iterdir()] == ["photos"]
    fetch_dataset(item, tmp_path / "new" / "data", url=site.url)
    assert len(site.asked) == 1  # What is there is not downloaded again.


def test_an_incomplete_folder_is_no_finished_download(tmp_path: Path, site: Site) -> None:
    site.content = packed(a=b"first", b=b"second")
    item = replace(describe(site.content), needed=("a", "b"))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a").write_bytes(b"first")
    with pytest.raises(DataError, match=r"photos' is incomplete .*'b' is missing.*delete that"):
        fetch_dataset(item, tmp_path, url=site.url)
    assert site.asked == [] and [path.name for path in tmp_path.iterdir()] == ["photos"]
    shutil.rmtree(tmp_path / "photos")
    folder = fetch_dataset(item, tmp_path, url=site.url)
    assert (folder / "b").read_bytes() == b"second"
    assert fetch_dataset(item, tmp_path, url=site.url) == folder and len(site.asked) == 1


def test_archive_that_is_there_is_checked_and_used(tmp_path: Path, site: Site) -> None:
    content = packed(a=b"first")
    (tmp_path / "archive.tgz").write_bytes(content)
    fetch_dataset(describe(content), tmp_path, url=site.url, keep_archive=True)
    assert site.asked == [] and (tmp_path / "archive.tgz").is_file()
    other = describe(packed(a=b"other"), folder="else")
    with pytest.raises(DataError, match=r"archive\.tgz' .*; delete it to download it again"):
        fetch_dataset(other, tmp_path, url=site.url)


def test_find_download() -> None:
    assert find_download("cifar10").filename == "cifar-10-python.tar.gz"
    assert find_download("imagenette").name == "160px"
    assert find_download("imagenette", "320px").folder == "imagenette2-320"
    with pytest.raises(DataError, match="no variant 'full'; choose one of 160px, 320px"):
        find_download("imagenette", "full")
    with pytest.raises(DataError, match="nothing to download for 'folder'"):
        find_download("folder")


def _link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    member = _member(name, kind=kind)
    member.linkname = target
    return member


HOSTILE = {
    "parent": _member("../evil"),
    "parent inside": _member("photos/../../evil"),
    "absolute": _member("/evil"),
    "other folder": _member("evil"),
    "backslash": _member("photos\\..\\..\\evil"),
    "drive": _member("photos/C:evil"),
    "symbolic link": _link("photos/evil", "../../evil", tarfile.SYMTYPE),
    "hard link": _link("photos/evil", "photos/good", tarfile.LNKTYPE),
    "device": _member("photos/evil", kind=tarfile.CHRTYPE),
    "pipe": _member("photos/evil", kind=tarfile.FIFOTYPE),
    "dot": _member("."),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_entries(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "root" / "archive.tgz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(_member("photos/good", 3), io.BytesIO(b"abc"))
        tar.addfile(HOSTILE[name])
    with pytest.raises(DataError, match="an entry that is not allowed"):
        unpack(archive, archive.parent, "photos")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["archive.tgz", "root"]


def test_link_that_later_entries_go_through(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    archive = tmp_path / "root" / "archive.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(_link("photos/way", str(tmp_path), tarfile.SYMTYPE))
        tar.addfile(_member("photos/way/evil", 3), io.BytesIO(b"abc"))
    with pytest.raises(DataError, match="not allowed"):
        unpack(archive, archive.parent, "photos")
    assert not (tmp_path / "evil").exists()


def test_absurd_expansion(tmp_path: Path) -> None:
    archive = tmp_path / "archive.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        size = 60 * 2**20
        tar.addfile(_member("photos/zeros", size), io.BytesIO(bytes(size)))
    assert archive.stat().st_size < 100_000
    with pytest.raises(DataError, match="expands to far more than it should"):
        unpack(archive, tmp_path, "photos")
    assert [path.name for path in tmp_path.iterdir()] == ["archive.tgz"]


def test_sparse_file(tmp_path: Path) -> None:
    header = _member("photos/hole", kind=tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT)
    block = bytearray(header)
    block[483:495] = b"00777777777\0"  # The 134 MB that it claims to have.
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    archive = tmp_path / "archive.tgz"
    archive.write_bytes(gzip.compress(bytes(block) + bytes(1024)))
    with pytest.raises(DataError, match="not allowed"):
        unpack(archive, tmp_path, "photos")


def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MAX_MEMBERS", 2)
    (tmp_path / "archive.tgz").write_bytes(packed(a=b"", b=b"", c=b""))
    with pytest.raises(DataError, match="more than 2 entries"):
        unpack(tmp_path / "archive.tgz", tmp_path, "photos")


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "twice"])
def test_damaged_archives(tmp_path: Path, damage: str) -> None:
    whole = packed(a=os.urandom(5000))
    twice = io.BytesIO()
    with tarfile.open(fileobj=twice, mode="w:gz") as tar:
        tar.addfile(_member("photos/a"))
        tar.addfile(_member("photos/a"))
    content = {
        "cut": whole[: len(whole) // 2],
        "garbage": b"garbage",
        "empty": gzip.compress(bytes(10240)),
        "twice": twice.getvalue(),
    }[damage]
    (tmp_path / "archive.tgz").write_bytes(content)
    with pytest.raises(DataError):
        unpack(tmp_path / "archive.tgz", tmp_path, "photos")
    assert [path.name for path in tmp_path.iterdir()] == ["archive.tgz"]


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["photos", "..", ".", "", "a", "C:", "\\", "..\\", "~"])
        | st.text(max_size=3),
        max_size=5,
    )
)
def test_every_allowed_name_stays_inside(parts: list[str]) -> None:
    name = "/".join(parts)
    try:
        safe = downloads._safe_name(_member(name), "photos", Path("archive.tgz"))
    except DataError:
        return
    assert isinstance(safe, PurePosixPath)
    place = os.path.normpath(Path("/anywhere/workplace") / safe)
    assert PurePosixPath(place).is_relative_to("/anywhere/workplace/photos")
