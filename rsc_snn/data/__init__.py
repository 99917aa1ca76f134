"""Data sets, uploads and the image gallery."""

from __future__ import annotations

from rsc_snn.data.catalogue import DATASETS, DatasetSpec, dataset_spec
from rsc_snn.data.pixels import to_unit
from rsc_snn.data.readers import ImageSet, data_root, load_dataset

__all__ = [
    "DATASETS",
    "DatasetSpec",
    "ImageSet",
    "data_root",
    "dataset_spec",
    "load_dataset",
    "to_unit",
]
