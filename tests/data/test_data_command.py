"""`python -m rsc_snn data ...` as a person types it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rsc_snn.cli import main
from rsc_snn.data import DATASETS, catalogue, load_dataset


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder without a log."""

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def mirror(
    served: tuple[Path, str],
    make_tar: Any,
    photographs: Any,
    image_files: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The address of a small imagenette2-160.tgz that the catalogue is made to expect."""
    folder, address = served
    files = image_files("imagenette", photographs(16, 1), "val", "imagenette2-160/")
    content = make_tar(folder / "small.tgz", files).read_bytes()
    spec = DATASETS["imagenette"]
    small = replace(
        spec.downloads[0],
        size=len(content),
        md5=hashlib.md5(content).hexdigest(),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    monkeypatch.setitem(
        catalogue.DATASETS, "imagenette", replace(spec, downloads=(small, *spec.downloads[1:]))
    )
    return f"{address}/small.tgz"


def test_download_then_load(
    tmp_path: Path, mirror: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    arguments = ["data", "download", "imagenette", "--data", str(data), "--url", mirror]
    assert main(arguments) == 0
    assert f"imagenette: in {data / 'imagenette2-160'}" in capsys.readouterr().out
    assert [path.name for path in data.iterdir()] == ["imagenette2-160"]
    assert len(load_dataset("imagenette", "test", data)) == 10
    assert main(arguments) == 0  # Nothing left to do.
    assert main(["data", "list", "--data", str(data)]) == 0
    listed = capsys.readouterr().out
    assert "official Imagenette" in listed and "CIFAR-10    not found" in listed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["download", "cifar10", "--url", "file:///x"], "must begin with http"),
        (["download", "cifar10", "--variant", "320px"], "no variant '320px'; choose one of python"),
        (["download", "cifar10", "--timeout", "0"], "--timeout must be more than 0 seconds"),
        (["download", "cifar10", "--timeout", "inf"], "at most 86,400, not inf"),
        (["download", "cifar10", "--timeout", "nan"], "at most 86,400, not nan"),
        (["gallery", "--data", "nowhere"], "data folder 'nowhere' does not exist"),
        (["gallery", "--per-class", "0"], "at least 1 photograph"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", *arguments]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("rsc-snn: error: ") and sentence in last


def test_missing_file_on_the_server(
    tmp_path: Path, served: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{served[1]}/none.tgz"
    assert main(["data", "download", "cifar10", "--data", str(tmp_path), "--url", url]) == 2
    assert "The server answered 404" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["data"], ["data", "download", "mnist"], ["data", "no"]])
def test_unknown_words(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize("name", DATASETS)
def test_info(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", name, "--data", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert DATASETS[name].licence in text
    for download in DATASETS[name].downloads:
        assert download.url in text and download.md5 in text


def test_gallery(
    tmp_path: Path,
    make_tar: Any,
    photographs: Any,
    image_files: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, filename, size in (
        ("cifar10", "cifar10-jpeg.tar.xz", 32),
        ("imagenette", "imagenette-128.tar.xz", 16),
    ):
        make_tar(tmp_path / filename, image_files(name, photographs(size, 1)))
    out = tmp_path / "images"
    arguments = ["--out", str(out), "--per-class", "1", "--data", str(tmp_path)]
    assert main(["data", "gallery", *arguments]) == 0
    assert "20 photographs" in capsys.readouterr().out
    assert len(list(out.rglob("*.png"))) == 20
