"""Data sets, their download, uploads and the image gallery."""

from __future__ import annotations

from rsc_snn.data.catalogue import DATASETS, DatasetSpec, dataset_label, dataset_spec
from rsc_snn.data.gallery import GalleryImage, gallery_set, load_gallery
from rsc_snn.data.pixels import to_unit
from rsc_snn.data.readers import ImageSet, data_root, load_dataset
from rsc_snn.data.uploads import DecodedImage, decode_image

__all__ = [
    "DATASETS",
    "DatasetSpec",
    "DecodedImage",
    "GalleryImage",
    "ImageSet",
    "data_root",
    "dataset_label",
    "dataset_spec",
    "decode_image",
    "gallery_set",
    "load_dataset",
    "load_gallery",
    "to_unit",
]
