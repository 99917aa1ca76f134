"""The gallery that ships, and galleries that were built, damaged or lost."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rsc_snn.data import DATASETS, gallery_set, load_gallery
from rsc_snn.data.gallery import build_gallery, gallery_image, gallery_reference, images_folder
from rsc_snn.errors import DataError, ImageError

# --- What ships ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cifar10", "imagenette"])
def test_shipped_gallery(name: str) -> None:
    spec = DATASETS[name]
    images = [image for image in load_gallery() if image.dataset == name]
    counts = np.bincount([image.class_index for image in images])
    assert len(counts) == 10 and counts.min() >= 5
    assert [image.index for image in images] == list(range(len(images)))
    for image in images:
        pixels = image.pixels()  # Checks the SHA-256 too.
        assert pixels.shape == (1, 3, spec.image_size, spec.image_size)
        assert 0 <= pixels.min() < pixels.max() <= 1
        assert image.class_name == spec.classes[image.class_index]
        assert spec.folders[image.class_index] in image.path.name
        assert f"/{spec.folders[image.class_index]}/" in image.source
        assert image.licence == spec.licence
    assert len({image.sha256 for image in images}) == len(images)


def test_shipped_gallery_is_small_and_complete() -> None:
    files = {path for path in images_folder().rglob("*") if path.is_file()}
    listed = {image.path for image in load_gallery()}
    assert sum(path.stat().st_size for path in files) < 3 * 2**20
    assert files - listed == {images_folder() / "gallery.json", images_folder() / "ATTRIBUTION.md"}
    assert "not covered by the licence" in (images_folder() / "ATTRIBUTION.md").read_text()


def test_gallery_set() -> None:
    data = gallery_set("cifar10", 32)
    images = [image for image in load_gallery() if image.dataset == "cifar10"]
    assert len(data) == len(images) and data.images.dtype == torch.uint8
    assert data.labels[:10].tolist() == list(range(10))
    assert torch.equal(data.images[3:4] / 255.0, images[3].pixels())
    assert data.split == "test" and "missing" not in data.note
    assert gallery_set("imagenette", 64).images.shape[1:] == (3, 64, 64)


def test_pixels_in_another_size() -> None:
    image = next(image for image in load_gallery() if image.dataset == "imagenette")
    assert image.pixels(32).shape == (1, 3, 32, 32)
    assert abs(float(image.pixels(32).mean() - image.pixels().mean())) < 0.01


def test_every_photograph_has_a_reference_of_its_own() -> None:
    images = load_gallery()
    references = [gallery_reference(image) for image in images]
    assert len(set(references)) == len(images)
    assert "imagenette/french-horn-5" in references
    for image, reference in list(zip(images, references, strict=True))[::17]:
        assert gallery_image(reference) == image
        assert gallery_image(f"{image.dataset}/{image.index}") == image


@pytest.mark.parametrize(
    "reference", ["", "/", "cat-3", "cifar10/cat-4", "cifar10/-1", "cifar10/03", "x" * 9999]
)
def test_a_reference_to_nothing(reference: str) -> None:
    with pytest.raises(DataError, match="The gallery has no image") as caught:
        gallery_image(reference)
    assert len(str(caught.value)) < 200


# --- Building ------------------------------------------------------------------------------------


@pytest.fixture
def source(
    tmp_path: Path, make_tar: Any, photographs: Any, image_files: Any, encode: Any
) -> tuple[Path, dict[str, bytes]]:
    """A data folder with both archives, Imagenette's as WebP; and all files by path."""
    root = tmp_path / "data"
    root.mkdir()
    cifar = image_files("cifar10", photographs(32, 4))
    imagenette = {
        f"val/{DATASETS['imagenette'].folders[label]}/{number}.webp": encode(image, "WEBP")
        for (split, label, number), image in photographs(128, 3).items()
        if split == "test"
    }
    make_tar(root / "cifar10-jpeg.tar.xz", cifar)
    make_tar(root / "imagenette-128.tar.xz", imagenette)
    return root, cifar | imagenette


@pytest.fixture
def built(tmp_path: Path, source: tuple[Path, dict[str, bytes]]) -> Path:
    out = tmp_path / "images"
    build_gallery(out, source[0], per_class=2, seed=3)
    return out


def test_build(built: Path, source: tuple[Path, dict[str, bytes]]) -> None:
    images = load_gallery(built)
    assert len(images) == 40
    for image in images:
        original = source[1][image.source]
        content = image.path.read_bytes()
        if image.dataset == "imagenette":
            assert content == original and image.path.suffix == ".webp"
        else:
            assert np.array_equal(image.array(), _pixels(original))
        assert image.source.startswith(("test/", "val/"))
    assert len({image.source for image in images}) == 40
    manifest = json.loads((built / "gallery.json").read_text())
    assert manifest["seed"] == 3 and manifest["per_class"] == 2
    assert "re-encoded" in manifest["datasets"]["cifar10"]["note"]


def _pixels(content: bytes) -> Any:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def test_build_is_reproducible(
    tmp_path: Path, built: Path, source: tuple[Path, dict[str, bytes]]
) -> None:
    build_gallery(tmp_path / "again", source[0], per_class=2, seed=3)
    build_gallery(tmp_path / "other", source[0], per_class=2, seed=4)
    first = (built / "gallery.json").read_text()
    assert (tmp_path / "again" / "gallery.json").read_text() == first
    chosen = [{i.source for i in load_gallery(f)} for f in (built, tmp_path / "other")]
    assert chosen[0] != chosen[1]


def test_build_with_too_few_photographs(
    tmp_path: Path, source: tuple[Path, dict[str, bytes]]
) -> None:
    with pytest.raises(DataError, match="only 4 photographs of class 'airplane'"):
        build_gallery(tmp_path / "out", source[0], per_class=5)
    with pytest.raises(DataError, match="at least 1"):
        build_gallery(tmp_path / "out", source[0], per_class=0)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        build_gallery(tmp_path / "file" / "out", source[0], per_class=1)


def test_photographs_of_one_data_set_alone_change_nothing(
    built: Path, source: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    """Half of the photographs would not be those of the list."""
    before = {path: path.read_bytes() for path in built.rglob("*") if path.is_file()}
    alone = tmp_path / "alone"
    alone.mkdir()
    for path in source[0].iterdir():
        if "cifar" in path.name:
            (shutil.copytree if path.is_dir() else shutil.copy)(path, alone / path.name)
    with pytest.raises(DataError, match="No Imagenette data"):
        build_gallery(built, alone, per_class=2, seed=5)
    assert {path: path.read_bytes() for path in built.rglob("*") if path.is_file()} == before


def test_a_seed_below_0_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="whole number from 0"):
        build_gallery(tmp_path / "out", tmp_path, seed=-1)


# --- Damage --------------------------------------------------------------------------------------


def test_damaged_and_missing_files_leave_the_others_alone(built: Path) -> None:
    images = [image for image in load_gallery(built) if image.dataset == "cifar10"]
    images[0].path.unlink()
    images[1].path.write_bytes(b"")
    images[2].path.write_bytes(images[3].path.read_bytes())
    with pytest.raises(ImageError, match=rf"{images[0].path.name}' is missing"):
        images[0].pixels()
    for image in images[1:3]:
        with pytest.raises(ImageError, match=rf"{image.path.name}' is damaged or was changed"):
            image.pixels()
    assert images[3].pixels().shape == (1, 3, 32, 32)
    assert len(load_gallery(built)) == 40
    data = gallery_set("cifar10", 32, built)
    assert len(data) == 17 and data.labels.tolist() == [i.class_index for i in images[3:]]
    assert data.note == "17 test photographs of the gallery; 3 missing or damaged"


def test_no_photograph_left(built: Path) -> None:
    shutil.rmtree(built / "imagenette")
    with pytest.raises(DataError, match="no usable photograph of Imagenette"):
        gallery_set("imagenette", 128, built)
    assert len(gallery_set("cifar10", 32, built)) == 20


def test_missing_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSC_SNN_ASSETS", str(tmp_path))
    with pytest.raises(DataError, match=r"image gallery '.*images.gallery\.json' is missing"):
        load_gallery()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"images": []}', '{"datasets": {}, "images": [{"dataset": "x"}]}']
)
def test_damaged_list(tmp_path: Path, text: str) -> None:
    (tmp_path / "gallery.json").write_text(text)
    with pytest.raises(DataError, match="is damaged"):
        load_gallery(tmp_path)


def test_list_that_points_elsewhere(built: Path) -> None:
    manifest = json.loads((built / "gallery.json").read_text())
    manifest["images"][0]["file"] = "../secret.png"
    (built / "gallery.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="is damaged"):
        load_gallery(built)
