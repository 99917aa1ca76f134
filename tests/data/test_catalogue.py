"""The catalogue's facts and their consistency."""

from __future__ import annotations

import re

import pytest

from rsc_snn.data import DATASETS, dataset_spec
from rsc_snn.errors import DataError


def test_cifar10_has_the_official_label_order() -> None:
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    assert DATASETS["cifar10"].classes == tuple(names.split())


def test_imagenette_labels_follow_the_sorted_folders() -> None:
    spec = DATASETS["imagenette"]
    assert list(spec.folders) == sorted(spec.folders)
    assert dict(zip(spec.folders, spec.classes, strict=True))["n03394916"] == "French horn"


@pytest.mark.parametrize("name", DATASETS)
def test_every_entry_is_consistent(name: str) -> None:
    spec = dataset_spec(name)
    assert spec.name == name
    assert len(spec.classes) == len(spec.folders) == len(set(spec.folders))
    assert spec.licence and spec.source and spec.official_note
    for download in spec.downloads:
        assert download.url.startswith("https://") and download.url.endswith(download.filename)
        assert re.fullmatch("[0-9a-f]{32}", download.md5)
        assert re.fullmatch("[0-9a-f]{64}", download.sha256)


def test_unknown_data_set() -> None:
    with pytest.raises(DataError, match=r"no data set 'mnist'; choose one of cifar10"):
        dataset_spec("mnist")
