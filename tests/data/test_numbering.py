"""A model's classes may be in another order than the data's: what counts is the name."""

from __future__ import annotations

import pytest
import torch

from rsc_snn.data import DATASETS, ImageSet
from rsc_snn.data.numbering import class_numbers, model_labels
from rsc_snn.errors import DataError

IMAGENETTE = DATASETS["imagenette"]


def image_set(classes: tuple[str, ...], labels: list[int]) -> ImageSet:
    images = torch.zeros(len(labels), 3, 8, 8, dtype=torch.uint8)
    return ImageSet(images, torch.tensor(labels), classes, "folder", "test", "drawn")


def test_labels_follow_the_names_and_the_folders() -> None:
    backwards = IMAGENETTE.classes[::-1]
    for data_classes in (IMAGENETTE.classes, IMAGENETTE.folders):
        data = image_set(data_classes, [0, 9, 3])
        assert model_labels(data, "imagenette", backwards).tolist() == [9, 0, 6]


def test_some_classes_in_any_case() -> None:
    data = image_set(("Frog", "CAT"), [1, 0, 1])
    assert model_labels(data, "cifar10", ("bird", "cat", "frog")).tolist() == [1, 2, 1]


def test_names_that_differ_in_large_letters_alone_keep_their_numbers() -> None:
    """As of ImageNet: a Cardigan is a dog, a cardigan is worn."""
    classes = ("Cardigan", "cardigan")
    assert model_labels(image_set(classes, [0, 1]), "imagenet", classes).tolist() == [0, 1]
    backwards = classes[::-1]
    assert model_labels(image_set(classes, [0, 1]), "imagenet", backwards).tolist() == [1, 0]


def test_a_folder_whose_class_the_model_has_not_got_is_unknown() -> None:
    known = IMAGENETTE.classes[:2]
    assert IMAGENETTE.folders[5] not in class_numbers("imagenette", known)
    with pytest.raises(DataError, match="does not know; it knows"):
        model_labels(image_set((IMAGENETTE.folders[5],), [0]), "imagenette", known)
