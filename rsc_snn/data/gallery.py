"""The gallery: a few test photographs of each class that ship with the project.

`assets/images/gallery.json` lists them with their licence, source file and SHA-256; a file that is
missing or was changed is reported when it is opened, and the others go on working.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rsc_snn.data.catalogue import DatasetSpec, dataset_spec
from rsc_snn.data.pixels import square_rgb, to_array, to_png, to_unit
from rsc_snn.data.readers import EncodedImage, ImageSet, data_root, decode_file, encoded_images
from rsc_snn.errors import DataError, ImageError

GALLERY_DATASETS = ("cifar10", "imagenette")
MANIFEST = "gallery.json"
ATTRIBUTION = "ATTRIBUTION.md"


@dataclass(frozen=True)
class GalleryImage:
    """One photograph; `index` counts within its data set, interleaved over the classes."""

    dataset: str
    class_index: int
    class_name: str
    path: Path
    index: int
    source: str
    licence: str
    sha256: str

    def array(self, image_size: int | None = None) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """uint8 [3, H, W], resampled by Lanczos to `image_size` if given; ImageError if damaged."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise ImageError(f"The gallery image {self.path.name!r} is missing.") from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise ImageError(f"The gallery image {self.path.name!r} is damaged or was changed.")
        with Image.open(io.BytesIO(content), formats=("PNG", "WEBP")) as image:
            return to_array(square_rgb(image, image_size or min(image.size)))

    def pixels(self, image_size: int | None = None) -> Tensor:
        """float32 [1, 3, H, W] in 0..1; see `array`."""
        return to_unit(torch.from_numpy(self.array(image_size)).unsqueeze(0))


def image_id(image: GalleryImage) -> str:
    """A short name of a photograph for links, such as `cat-3`."""
    return re.sub(r"[^a-z0-9]+", "-", image.class_name.lower()) + f"-{image.index}"


def gallery_reference(image: GalleryImage) -> str:
    """The name of a photograph among all data sets, such as `cifar10/cat-3`."""
    return f"{image.dataset}/{image_id(image)}"


def gallery_image(reference: str, folder: Path | None = None) -> GalleryImage:
    """The photograph called `cifar10/cat-3`, or `cifar10/3` by its index. Raises DataError."""
    for image in load_gallery(folder):
        if reference in (gallery_reference(image), f"{image.dataset}/{image.index}"):
            return image
    raise DataError(
        f"The gallery has no image {reference[:80]!r}; images are DATASET/INDEX or "
        "DATASET/CLASS-INDEX."
    )


def images_folder() -> Path:
    """assets/images of the project, or of the folder named by RSC_SNN_ASSETS."""
    assets = os.environ.get("RSC_SNN_ASSETS")
    return (Path(assets) if assets else Path(__file__).parents[2] / "assets") / "images"


def load_gallery(folder: Path | None = None) -> tuple[GalleryImage, ...]:
    """All photographs of the gallery, from its list; none is opened yet."""
    place = images_folder() if folder is None else folder
    try:
        manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        licences = {name: str(facts["licence"]) for name, facts in manifest["datasets"].items()}
        return tuple(
            GalleryImage(
                dataset=entry["dataset"],
                class_index=int(entry["class_index"]),
                class_name=entry["class"],
                path=_inside(place, entry["file"]),
                index=int(entry["index"]),
                source=entry["source"],
                licence=licences[entry["dataset"]],
                sha256=entry["sha256"],
            )
            for entry in manifest["images"]
        )
    except OSError as error:
        raise DataError(f"The image gallery {str(place / MANIFEST)!r} is missing.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"The image gallery {str(place / MANIFEST)!r} is damaged.") from error


def _inside(folder: Path, file: str) -> Path:
    """The path of a listed file; ValueError if the list points out of its folder."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(file)
    return folder / path


def gallery_set(dataset: str, image_size: int, folder: Path | None = None) -> ImageSet:
    """All gallery photographs of a data set, balanced over the classes.

    Photographs that are missing or damaged are left out and counted in the note; DataError if none
    is left.
    """
    spec = dataset_spec(dataset)
    entries = [image for image in load_gallery(folder) if image.dataset == dataset]
    arrays, labels = [], []
    for entry in entries:
        try:
            arrays.append(entry.array(image_size))
        except ImageError:
            continue
        labels.append(entry.class_index)
    if not arrays:
        raise DataError(f"The image gallery has no usable photograph of {spec.label}.")
    lost = len(entries) - len(arrays)
    note = f"{len(arrays)} test photographs of the gallery"
    return ImageSet(
        images=torch.from_numpy(np.stack(arrays)),
        labels=torch.tensor(labels, dtype=torch.int64),
        classes=spec.classes,
        name=dataset,
        split="test",
        note=f"{note}; {lost} missing or damaged" if lost else note,
    )


def build_gallery(
    out: Path, root: Path | None = None, *, per_class: int = 10, seed: int = 0
) -> tuple[GalleryImage, ...]:
    """Draw `per_class` test photographs of each class, write them and their list to `out`."""
    if per_class < 1:
        raise DataError(f"There must be at least 1 photograph a class, not {per_class}.")
    if seed < 0:
        raise DataError(f"A seed is a whole number from 0, not {seed}.")
    try:
        _write_gallery(out, data_root() if root is None else root, per_class, seed)
    except OSError as error:
        raise DataError(f"The gallery {str(out)!r} cannot be written: {error}.") from error
    return load_gallery(out)


def _write_gallery(out: Path, root: Path, per_class: int, seed: int) -> None:
    entries: list[dict[str, Any]] = []
    datasets: dict[str, dict[str, str]] = {}
    chosen: list[tuple[DatasetSpec, list[EncodedImage]]] = []
    for name in GALLERY_DATASETS:
        spec = dataset_spec(name)
        images, note = encoded_images(name, "test", root)
        chosen.append((spec, _choose(spec, images, per_class, seed)))
        datasets[name] = {"source": spec.source, "licence": spec.licence, "note": note}
    # Once all are at hand, and from beside: the list would not fit photographs of which only some
    # are new, as after a full disk.
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{out.name}.", dir=out.parent) as scratch:
        stage = Path(scratch)
        for spec, photographs in chosen:
            entries += _write_images(stage, spec, photographs)
        manifest = {"seed": seed, "per_class": per_class, "datasets": datasets, "images": entries}
        text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
        (stage / MANIFEST).write_text(text, encoding="utf-8")
        attribution = _attribution(datasets, per_class, seed)
        (stage / ATTRIBUTION).write_text(attribution, encoding="utf-8")
        for name in (*(entry["file"] for entry in entries), ATTRIBUTION, MANIFEST):
            (out / name).parent.mkdir(exist_ok=True)
            (stage / name).replace(out / name)


def _choose(
    spec: DatasetSpec, images: Sequence[EncodedImage], per_class: int, seed: int
) -> list[EncodedImage]:
    """A seeded draw without replacement from every class, interleaved over the classes."""
    drawn: list[list[EncodedImage]] = []
    for label, name in enumerate(spec.classes):
        pool = [image for image in images if image.label == label]
        if len(pool) < per_class:
            raise DataError(f"The test split has only {len(pool)} photographs of class {name!r}.")
        order = np.random.default_rng([seed, label]).permutation(len(pool))[:per_class]
        drawn.append([pool[number] for number in order])
    return [image for row in zip(*drawn, strict=True) for image in row]


def _write_images(
    out: Path, spec: DatasetSpec, images: Sequence[EncodedImage]
) -> list[dict[str, Any]]:
    folder = out / spec.name
    folder.mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, Any]] = []
    for index, image in enumerate(images):
        content, suffix = _gallery_file(image, spec.image_size)
        file = f"{spec.name}/{spec.folders[image.label]}_{index:03d}{suffix}"
        (out / file).write_bytes(content)
        entries.append(
            {
                "dataset": spec.name,
                "index": index,
                "class_index": image.label,
                "class": spec.classes[image.label],
                "file": file,
                "source": image.name,
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )
    return entries


def _gallery_file(image: EncodedImage, size: int) -> tuple[bytes, str]:
    """The original bytes of a WebP of the right size, else a PNG of the decoded pixels."""
    content = image.read()
    pixels = decode_file(image.read, image.place, size)
    with Image.open(io.BytesIO(content)) as opened:
        if opened.format == "WEBP" and opened.size == (size, size):
            return content, ".webp"
    return to_png(pixels), ".png"


def _attribution(datasets: dict[str, dict[str, str]], per_class: int, seed: int) -> str:
    lines = [
        "# Where these photographs come from",
        "",
        f"{per_class} photographs a class, drawn with seed {seed} from the test splits by",
        f"`python -m rsc_snn data gallery --per-class {per_class} --seed {seed}`.",
        "`gallery.json` names the source file and the SHA-256 of each. They are here to try the",
        "models on, and are not covered by the licence of the code.",
        "",
    ]
    for name, facts in datasets.items():
        lines += [
            f"## {dataset_spec(name).label}",
            "",
            f"- Source: {facts['source']}",
            f"- Licence: {facts['licence']}",
            f"- Pixels: {facts['note']}",
            "",
        ]
    return "\n".join(lines)
