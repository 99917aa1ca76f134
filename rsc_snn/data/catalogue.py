"""The data sets the project knows: classes in label order, sizes, sources, licences, downloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rsc_snn.errors import DataError


@dataclass(frozen=True)
class Download:
    """One official archive: where it is, how to check it, and the folder it unpacks to.

    `size` in bytes; both checksums, as hexadecimal digits, must fit. `needed`: files, and folders
    with something in them, without which that folder is of no use.
    """

    name: str
    url: str
    filename: str
    size: int
    md5: str
    sha256: str
    folder: str
    needed: tuple[str, ...] = ()

    def is_unpacked(self, root: Path) -> bool:
        """True if the folder is under `root`, with all that is needed."""
        return self.problem(root) is None and (root / self.folder).is_dir()

    def problem(self, root: Path) -> str | None:
        """A sentence if the folder is under `root`, but something in it is missing."""
        place = root / self.folder
        try:
            if not place.is_dir():
                return None
            missing = next((name for name in self.needed if not _holds(place / name)), None)
        except OSError as error:
            return f"The folder {str(place)!r} cannot be read: {error.strerror}."
        if missing is None:
            return None
        return (
            f"The folder {str(place)!r} is incomplete ({missing!r} is missing or empty), as after "
            "an unpacking that was cut short; delete that folder."
        )


def _holds(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.is_file()


@dataclass(frozen=True)
class Reencoding:
    """A re-encoded copy of a data set in one ImageNet-style tar archive."""

    filename: str
    note: str
    test_note: str


@dataclass(frozen=True)
class DatasetSpec:
    """One data set.

    `folders[i]` is the class folder of label `i` in ImageNet-style layouts, `classes[i]` its
    readable name. Both are empty for a user's own image folder, whose classes are its sub-folders
    in sorted order.
    """

    name: str
    label: str
    classes: tuple[str, ...]
    folders: tuple[str, ...]
    image_size: int
    source: str
    licence: str
    official_note: str
    reencoding: Reencoding | None
    downloads: tuple[Download, ...]


_CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

# The official batches of each split.
CIFAR10_FILES: Mapping[str, tuple[str, ...]] = {
    "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
    "test": ("test_batch",),
}

# Label order of Imagenette: the WordNet identifiers, sorted.
_IMAGENETTE_CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}

_IMAGENETTE_FOLDERS = tuple(
    f"{split}/{folder}" for split in ("train", "val") for folder in _IMAGENETTE_CLASSES
)

_CIFAR10 = DatasetSpec(
    name="cifar10",
    label="CIFAR-10",
    classes=_CIFAR10_CLASSES,
    folders=_CIFAR10_CLASSES,
    image_size=32,
    source="CIFAR-10 (Krizhevsky 2009), https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="No licence stated by the authors; distributed for research, to be cited as "
    "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images.",
    official_note="official CIFAR-10 pixels",
    reencoding=Reencoding(
        "cifar10-jpeg.tar.xz",
        "re-encoded as JPEG quality 75 (lossy)",
        "5,000 of the 10,000 test images",
    ),
    downloads=(
        Download(
            name="python",
            url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            filename="cifar-10-python.tar.gz",
            size=170_498_071,
            md5="c58f30108f718f92721af3b95e74349a",
            sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            folder="cifar-10-batches-py",
            needed=tuple(name for names in CIFAR10_FILES.values() for name in names),
        ),
    ),
)

_IMAGENETTE = DatasetSpec(
    name="imagenette",
    label="Imagenette",
    classes=tuple(_IMAGENETTE_CLASSES.values()),
    folders=tuple(_IMAGENETTE_CLASSES),
    image_size=128,
    source="Imagenette v2 (Howard 2019), ten classes of ImageNet-1k, "
    "https://github.com/fastai/imagenette",
    licence="Imagenette: Apache License 2.0; the photographs come from ImageNet and stay under "
    "its terms of access (non-commercial research) and their owners' copyright.",
    official_note="official Imagenette v2 photographs",
    reencoding=Reencoding(
        "imagenette-128.tar.xz",
        "resized from 224x224 copies to 128x128 by Lanczos and re-encoded as WebP quality 85",
        "about half of each class's validation images",
    ),
    # MD5 as listed by torchvision (datasets/imagenette.py), size and SHA-256 by TensorFlow
    # Datasets (datasets/imagenette/checksums.tsv).
    downloads=(
        Download(
            name="160px",
            url="https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz",
            filename="imagenette2-160.tgz",
            size=99_003_388,
            md5="e793b78cc4c9e9a4ccc0c1155377a412",
            sha256="64d0c4859f35a461889e0147755a999a48b49bf38a7e0f9bd27003f10db02fe5",
            folder="imagenette2-160",
            needed=_IMAGENETTE_FOLDERS,
        ),
        Download(
            name="320px",
            url="https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
            filename="imagenette2-320.tgz",
            size=341_663_724,
            md5="3df6f0d01a2c9592104656642f5e78a3",
            sha256="569b4497c98db6dd29f335d1f109cf315fe127053cedf69010d047f0188e158c",
            folder="imagenette2-320",
            needed=_IMAGENETTE_FOLDERS,
        ),
    ),
)

_FOLDER = DatasetSpec(
    name="folder",
    label="Image folder",
    classes=(),
    folders=(),
    image_size=224,
    source="a folder of your own in the layout of ImageNet: [train|val|test]/CLASS/IMAGE",
    licence="yours",
    official_note="images of the folder, resized and centre-cropped",
    reencoding=None,
    downloads=(),
)

DATASETS: dict[str, DatasetSpec] = {spec.name: spec for spec in (_CIFAR10, _IMAGENETTE, _FOLDER)}


def dataset_spec(name: str) -> DatasetSpec:
    """The entry of `name`; DataError if there is none."""
    if name not in DATASETS:
        raise DataError(f"There is no data set {name!r}; choose one of {', '.join(DATASETS)}.")
    return DATASETS[name]


def dataset_label(name: str) -> str:
    """What people call a data set; `name` itself if it is not in the catalogue."""
    return DATASETS[name].label if name in DATASETS else name
