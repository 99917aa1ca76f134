"""Readers against archives and folders of the same layout as the real ones."""

from __future__ import annotations

import os
import pickle
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rsc_snn.data import DATASETS, catalogue, data_root, load_dataset, readers, to_unit
from rsc_snn.errors import DataError
from tests.conftest import as_ordinary_user


def expected_order(pixels: dict[tuple[str, int, int], Any], split: str) -> torch.Tensor:
    """First of every class, then second of every class, ..."""
    keys = sorted((k for k in pixels if k[0] == split), key=lambda k: (k[2], k[1]))
    return torch.from_numpy(np.stack([pixels[key] for key in keys]))


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("dataset", "size", "filename", "test_folder", "prefix"),
    [
        ("cifar10", 32, "cifar10-jpeg.tar.xz", "test", ""),
        ("imagenette", 128, "imagenette-128.tar.xz", "val", "./"),
        ("imagenette", 128, "imagenette2-160.tgz", "val", "imagenette2-160/"),
    ],
)
def test_archives_of_image_folders(
    tmp_path: Path,
    make_tar: Any,
    photographs: Any,
    image_files: Any,
    dataset: str,
    size: int,
    filename: str,
    test_folder: str,
    prefix: str,
    split: str,
) -> None:
    pixels = photographs(size)
    make_tar(tmp_path / filename, image_files(dataset, pixels, test_folder, prefix))
    for _ in range(2):  # From the archive, then from the cache.
        data = load_dataset(dataset, split, tmp_path)
        assert data.images.dtype == torch.uint8 and data.labels.dtype == torch.int64
        assert torch.equal(data.images, expected_order(pixels, split))
        assert data.labels.tolist() == list(range(10)) * 2
        assert data.classes == DATASETS[dataset].classes and len(data) == 20
    assert ("re-encoded" in data.note) == (not prefix.startswith("imagenette2"))


def test_note_of_the_test_split_says_that_it_is_a_part(
    tmp_path: Path, make_tar: Any, photographs: Any, image_files: Any
) -> None:
    make_tar(tmp_path / "cifar10-jpeg.tar.xz", image_files("cifar10", photographs(32, 1)))
    assert "5,000 of the 10,000" in load_dataset("cifar10", "test", tmp_path).note
    assert "5,000 of the 10,000" not in load_dataset("cifar10", "train", tmp_path).note


@pytest.mark.parametrize("packed", [True, False])
def test_official_cifar10(tmp_path: Path, make_tar: Any, write_files: Any, packed: bool) -> None:
    files, images, labels = _official(5)
    if packed:
        make_tar(tmp_path / "cifar-10-python.tar.gz", files)
    else:
        write_files(tmp_path, files)
    train = load_dataset("cifar10", "train", tmp_path)
    test = load_dataset("cifar10", "test", tmp_path)
    assert torch.equal(train.images, torch.from_numpy(images[:25]))
    assert torch.equal(test.images, torch.from_numpy(images[25:]))
    assert train.labels.tolist() + test.labels.tolist() == labels
    assert "official" in train.note
    assert torch.equal(load_dataset("cifar10", "train", tmp_path, limit=3).images, train.images[:3])
    larger = load_dataset("cifar10", "test", tmp_path, image_size=64)
    assert larger.images.shape == (5, 3, 64, 64)


def test_python_2_pickle_reads_as_the_pickle_module_does() -> None:
    images, labels = _random_images(3), [4, 0, 9]
    content = _python_2_batch(images, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy may remark on the old module name.
        plain = pickle.loads(content, encoding="bytes")
    assert np.array_equal(plain[b"data"].reshape(3, 3, 32, 32), images)
    read_images, read_labels = readers._read_batch(content, "here")
    assert np.array_equal(read_images, images) and read_labels.tolist() == labels


def test_column_major_array_in_a_batch() -> None:
    images = _random_images(4)
    batch = {b"data": np.asfortranarray(images.reshape(4, 3072)), b"labels": [0, 1, 2, 3]}
    read, _ = readers._read_batch(pickle.dumps(batch, protocol=2), "here")
    assert np.array_equal(read, images)


class _Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_pickle_that_runs_code_is_refused(tmp_path: Path, write_files: Any) -> None:
    content = pickle.dumps({b"data": _Hostile(tmp_path / "ran"), b"labels": [1]}, protocol=2)
    write_files(tmp_path, _official(1)[0] | {"cifar-10-batches-py/test_batch": content})
    with pytest.raises(DataError, match="test_batch' is not a CIFAR-10 batch"):
        load_dataset("cifar10", "test", tmp_path)
    assert not (tmp_path / "ran").exists()
    pickle.loads(content)  # The file would have done it.
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "batch",
    [
        {b"data": np.zeros((1, 3072), np.float32), b"labels": [1]},
        {b"data": np.array([[None] * 3072]), b"labels": [1]},
        {b"data": np.zeros((1, 3071), np.uint8), b"labels": [1]},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [-1]},
        {b"data": np.zeros((0, 3072), np.uint8), b"labels": []},
        {b"labels": [1]},
        [1, 2],
    ],
)
def test_batches_of_a_wrong_shape(batch: Any) -> None:
    with pytest.raises(DataError, match="batch.bin"):
        readers._read_batch(pickle.dumps(batch, protocol=2), "batch.bin")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_as_a_batch(content: bytes) -> None:
    with pytest.raises(DataError):
        readers._read_batch(content, "batch.bin")


def test_incomplete_cifar10(tmp_path: Path, make_tar: Any) -> None:
    files, _, _ = _official(2)
    del files["cifar-10-batches-py/data_batch_3"]
    make_tar(tmp_path / "cifar-10-python.tar.gz", files)
    with pytest.raises(DataError, match="no file 'data_batch_3'"):
        load_dataset("cifar10", "train", tmp_path)
    assert len(load_dataset("cifar10", "test", tmp_path)) == 2


@pytest.mark.parametrize("kept", [(), ("batches.meta", "test_batch", "data_batch_1")])
def test_an_incomplete_official_folder_hides_no_archive(
    tmp_path: Path, make_tar: Any, write_files: Any, kept: tuple[str, ...]
) -> None:
    files, images, _ = _official(2)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    write_files(folder, dict.fromkeys(kept, b"of an unpacking that was cut short"))
    with pytest.raises(DataError, match=r"batches-py' is incomplete .*data_batch_.*; delete that"):
        load_dataset("cifar10", "test", tmp_path)
    make_tar(tmp_path / "cifar-10-python.tar.gz", files)
    test = load_dataset("cifar10", "test", tmp_path)
    assert torch.equal(test.images, torch.from_numpy(images[10:]))


@pytest.mark.parametrize("missing", ["train/n03888257", "val/n01440764", "val"])
@pytest.mark.parametrize("emptied", [True, False])
def test_incomplete_imagenette(
    tmp_path: Path,
    make_tar: Any,
    write_files: Any,
    photographs: Any,
    image_files: Any,
    missing: str,
    emptied: bool,
) -> None:
    files = image_files("imagenette", photographs(128, 1), "val")
    folder = tmp_path / "imagenette2-160"
    write_files(folder, {name: b"" for name in files if not name.startswith(missing)})
    if emptied:
        (folder / missing).mkdir(parents=True)
    with pytest.raises(DataError, match=r"2-160' is incomplete .*n0.*; delete that folder"):
        load_dataset("imagenette", "test", tmp_path)
    make_tar(tmp_path / "imagenette-128.tar.xz", files)
    assert "re-encoded" in load_dataset("imagenette", "test", tmp_path).note
    write_files(tmp_path / "imagenette2-320", files)
    assert "official" in load_dataset("imagenette", "test", tmp_path).note


def test_an_official_folder_that_cannot_be_read(
    tmp_path: Path, write_files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    write_files(tmp_path, _official(1)[0])
    monkeypatch.setattr(catalogue, "_holds", refuse)
    with pytest.raises(DataError, match="batches-py' cannot be read: Permission denied"):
        load_dataset("cifar10", "test", tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "imagenette"])
def test_a_data_folder_that_cannot_be_looked_into(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0)
    with as_ordinary_user(), pytest.raises(DataError, match="cannot be read: Permission denied"):
        readers.find_source(DATASETS[name], tmp_path / "data")
    with as_ordinary_user():
        (download, *_) = DATASETS[name].downloads
        assert "cannot be read" in str(download.problem(tmp_path / "data"))
        assert not download.is_unpacked(tmp_path / "data")
    (tmp_path / "data").chmod(0o700)


def test_official_source_wins(
    tmp_path: Path, make_tar: Any, write_files: Any, photographs: Any, image_files: Any
) -> None:
    make_tar(tmp_path / "cifar10-jpeg.tar.xz", image_files("cifar10", photographs(32, 1)))
    assert "re-encoded" in load_dataset("cifar10", "test", tmp_path).note
    make_tar(tmp_path / "cifar-10-python.tar.gz", _official(2)[0])
    assert "official" in load_dataset("cifar10", "test", tmp_path).note


@pytest.mark.parametrize("folder", ["imagenette2-160", "imagenette2-320", "imagenette", "."])
def test_imagenette_folders(
    tmp_path: Path, write_files: Any, photographs: Any, image_files: Any, folder: str
) -> None:
    pixels = photographs(128, 1)
    write_files(tmp_path / folder, image_files("imagenette", pixels, "val"))
    data = load_dataset("imagenette", "test", tmp_path)
    assert torch.equal(data.images, expected_order(pixels, "test"))
    assert data.classes[9] == "parachute"


def test_any_image_folder(tmp_path: Path, write_files: Any, encode: Any) -> None:
    dark, light = np.zeros((3, 10, 30), np.uint8), np.full((3, 30, 10), 255, np.uint8)
    files = {
        "train/owl/a.JPEG": encode(dark, "JPEG"),
        "train/elk/b.webp": encode(light, "WEBP", lossless=True),
        "train/elk/c.png": encode(dark),
        "train/elk/notes.txt": b"not an image",
        "train/elk/.hidden.png": b"not an image either",
        "train/.cache/x.png": b"",
        "val/owl/d.png": encode(light),
        "val/elk/e.png": encode(dark),
    }
    write_files(tmp_path, files)
    train = load_dataset("folder", "train", tmp_path, image_size=16)
    assert train.classes == ("elk", "owl")
    assert train.images.shape == (3, 3, 16, 16)
    assert train.labels.tolist() == [0, 1, 0]
    assert train.images.float().mean(dim=(1, 2, 3)).tolist() == [255.0, 0.0, 0.0]
    test = load_dataset("folder", "test", tmp_path, image_size=16)
    assert test.images.float().mean(dim=(1, 2, 3)).tolist() == [0.0, 255.0]


@pytest.mark.parametrize("closed", ["val", "elk"])
def test_an_image_folder_that_cannot_be_read(
    tmp_path: Path,
    write_files: Any,
    encode: Any,
    monkeypatch: pytest.MonkeyPatch,
    closed: str,
) -> None:
    write_files(tmp_path, {"val/elk/a.png": encode(np.zeros((3, 9, 9), np.uint8))})
    iterdir = Path.iterdir

    def refuse(path: Path) -> Any:
        if path.name == closed:
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=f"Cannot read the folder .*{closed}': Permission denied"):
        load_dataset("folder", "test", tmp_path)


def test_class_folders_without_splits_are_only_for_testing(
    tmp_path: Path, write_files: Any, encode: Any
) -> None:
    write_files(tmp_path, {"owl/a.png": encode(np.zeros((3, 9, 9), np.uint8))})
    assert len(load_dataset("folder", "test", tmp_path)) == 1
    with pytest.raises(DataError, match="has no train/ with class folders"):
        load_dataset("folder", "train", tmp_path)


def test_test_folder_without_classes_gives_way_to_val(
    tmp_path: Path, write_files: Any, encode: Any
) -> None:
    image = encode(np.zeros((3, 9, 9), np.uint8))
    write_files(tmp_path, {"test/unlabelled.png": image, "val/owl/a.png": image})
    assert load_dataset("folder", "test", tmp_path).classes == ("owl",)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n broken"])
def test_bad_image_in_a_folder_is_named(tmp_path: Path, write_files: Any, content: bytes) -> None:
    write_files(tmp_path, {"owl/good_name.png": content})
    with pytest.raises(DataError, match=r"good_name\.png' is damaged or not an image"):
        load_dataset("folder", "test", tmp_path)


def test_truncated_image_in_an_archive_is_named(
    tmp_path: Path, make_tar: Any, photographs: Any, image_files: Any
) -> None:
    files = image_files("cifar10", photographs(32, 1))
    files["test/dog/0000.png"] = files["test/dog/0000.png"][:1000]
    make_tar(tmp_path / "cifar10-jpeg.tar.xz", files)
    with pytest.raises(DataError, match=r"test/dog/0000\.png' is damaged"):
        load_dataset("cifar10", "test", tmp_path)
    assert len(load_dataset("cifar10", "train", tmp_path)) == 10


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data folder '.*nowhere' does not exist"):
        load_dataset("cifar10", "test", tmp_path / "nowhere")
    with pytest.raises(DataError, match="No CIFAR-10 data in .* data download cifar10"):
        load_dataset("cifar10", "test", tmp_path)
    with pytest.raises(DataError, match="no class folders"):
        load_dataset("folder", "test", tmp_path)
    (tmp_path / "empty_class").mkdir()
    with pytest.raises(DataError, match="empty_class' is missing or has no images"):
        load_dataset("folder", "test", tmp_path)


def test_archive_without_a_class(
    tmp_path: Path, make_tar: Any, photographs: Any, image_files: Any
) -> None:
    pixels = {key: value for key, value in photographs(128, 1).items() if key[1] != 8}
    make_tar(tmp_path / "imagenette-128.tar.xz", image_files("imagenette", pixels, "val"))
    with pytest.raises(DataError, match="no test images of class 'golf ball'"):
        load_dataset("imagenette", "test", tmp_path)


@pytest.mark.parametrize("name", ["cifar10-jpeg.tar.xz", "cifar-10-python.tar.gz"])
@pytest.mark.parametrize("keep", [0, 300, 5000])
def test_damaged_archives(
    tmp_path: Path, make_tar: Any, photographs: Any, image_files: Any, name: str, keep: int
) -> None:
    files = image_files("cifar10", photographs(32)) if "jpeg" in name else _official(5)[0]
    path = make_tar(tmp_path / name, files)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"is damaged or incomplete|is not the whole CIFAR-10"):
        load_dataset("cifar10", "test", tmp_path)


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data set"):
        load_dataset("mnist", "test", tmp_path)
    with pytest.raises(DataError, match="no split 'valid'"):
        load_dataset("cifar10", "valid", tmp_path)
    with pytest.raises(DataError, match="8 to 1024 pixels, not 4"):
        load_dataset("cifar10", "test", tmp_path, image_size=4)
    with pytest.raises(DataError, match="at least 1 image, not 0"):
        load_dataset("cifar10", "test", tmp_path, limit=0)


def test_more_images_than_memory(
    tmp_path: Path, write_files: Any, encode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = encode(np.zeros((3, 32, 32), np.uint8))
    write_files(tmp_path, {f"owl/{number}.png": image for number in range(5)})
    monkeypatch.setattr(readers, "MEMORY_LIMIT", 4 * 3 * 32 * 32)
    with pytest.raises(DataError, match="at most 4 can be loaded"):
        load_dataset("folder", "test", tmp_path, image_size=32)
    assert len(load_dataset("folder", "test", tmp_path, image_size=32, limit=4)) == 4


def test_data_root_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_root() == Path("data")
    monkeypatch.setenv("RSC_SNN_DATA", "elsewhere")
    assert data_root() == Path("elsewhere")


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=60))
def test_interleaving_keeps_every_prefix_balanced(labels: list[int]) -> None:
    items = [readers.EncodedImage(str(i), "", label, bytes) for i, label in enumerate(labels)]
    mixed = readers._interleave(items)
    assert sorted(int(item.name) for item in mixed) == list(range(len(labels)))
    for end in range(len(mixed) + 1):
        counts = [sum(item.label == label for item in mixed[:end]) for label in range(5)]
        for label, count in enumerate(counts):
            # A class lags behind the fullest only by one, or because it has no more images.
            assert count >= max(counts) - 1 or count == labels.count(label)
    for label in range(5):  # Within a class the order stays.
        numbers = [int(item.name) for item in mixed if item.label == label]
        assert numbers == sorted(numbers)


def test_to_unit() -> None:
    pixels = torch.arange(256, dtype=torch.uint8)
    unit = to_unit(pixels)
    assert unit.dtype == torch.float32
    assert torch.equal((unit * 255).round().to(torch.uint8), pixels)
    assert unit.min() == 0 and unit.max() == 1
    with pytest.raises(TypeError, match="uint8"):
        to_unit(unit)


def test_the_real_archives(real_data: Path) -> None:
    data = load_dataset("cifar10", "test", real_data)
    assert len(data) == 5000 and data.labels.bincount().tolist() == [500] * 10
    # A blue sky is the mark of airplanes and ships: labels and pictures belong together.
    blueness = (data.images[:, 2].float() - data.images[:, 0].float()).mean(dim=(1, 2))
    means = torch.stack([blueness[data.labels == label].mean() for label in range(10)])
    assert set(means.topk(2).indices.tolist()) == {0, 8}


@pytest.fixture
def real_data() -> Path:
    """The data folder of the environment; skips without the CIFAR-10 archive in it."""
    folder = _REAL_DATA
    if not (folder / "cifar10-jpeg.tar.xz").is_file():
        pytest.skip("needs cifar10-jpeg.tar.xz in the folder named by RSC_SNN_DATA")
    return folder


_REAL_DATA = data_root()


def _random_images(count: int) -> Any:
    return np.random.default_rng(5).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


def _official(per_batch: int) -> tuple[dict[str, bytes], Any, list[int]]:
    """Files of the official layout as Python 2 wrote them, all pixels, all labels."""
    images = _random_images(6 * per_batch)
    labels = [number % 10 for number in range(6 * per_batch)]
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    files = {"cifar-10-batches-py/batches.meta": b"not read"}
    for number, name in enumerate(names):
        rows = slice(number * per_batch, (number + 1) * per_batch)
        files[f"cifar-10-batches-py/{name}"] = _python_2_batch(images[rows], labels[rows])
    return files, images, labels


def _python_2_batch(images: Any, labels: list[int]) -> bytes:
    """A batch in the opcodes of the official files: protocol 2, written by Python 2's cPickle."""
    raw = images.tobytes()
    kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ" + b"\xff" * 4 + b"J"
    kind += b"\xff" * 4 + b"K\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    shape = b"M" + struct.pack("<H", len(images)) + b"M" + struct.pack("<H", 3072) + b"\x86"
    state = b"(K\x01" + shape + kind + b"\x89T" + struct.pack("<I", len(raw)) + raw + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(U\x04data" + array + state + b"U\x06labels" + numbers + b"u."
