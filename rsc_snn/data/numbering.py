"""From the classes of a data set to the numbers that a model gives them, by name.

A model's classes are in the order of its outputs, which need not be that of the data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rsc_snn.data.catalogue import DATASETS
from rsc_snn.data.readers import ImageSet
from rsc_snn.errors import DataError

_NAMED = 20


def renumbered(data: ImageSet, dataset: str, classes: Sequence[str]) -> ImageSet:
    """`data` with a model's `classes` and labels in their numbering, see `model_labels`."""
    if data.classes == tuple(classes):
        return data
    return replace(data, labels=model_labels(data, dataset, classes), classes=tuple(classes))


def class_numbers(dataset: str, classes: Sequence[str]) -> dict[str, int]:
    """The number among a model's `classes` for each name of a class, in lower case.

    A class goes by its name or by its folder in the model's own data set `dataset` (a WordNet
    identifier in Imagenette).
    """
    numbers = {name.lower(): number for number, name in enumerate(classes)}
    if dataset in DATASETS:
        spec = DATASETS[dataset]
        for folder, name in zip(spec.folders, spec.classes, strict=True):
            if name.lower() in numbers:
                numbers.setdefault(folder.lower(), numbers[name.lower()])
    return numbers


def model_labels(data: ImageSet, dataset: str, classes: Sequence[str]) -> Tensor:
    """The labels of `data` `[M]` in the numbering of a model's `classes`. Raises DataError.

    `dataset` is the model's own, see `class_numbers`.
    """
    numbers = class_numbers(dataset, classes)
    # A name as it is written first: two may differ in large letters alone.
    exact = {name: number for number, name in enumerate(classes)}
    found = {name: exact.get(name, numbers.get(name.lower())) for name in data.classes}
    missing = [name for name, number in found.items() if number is None]
    if missing:
        known = ", ".join(classes[:_NAMED]) + ", ..." * (len(classes) > _NAMED)
        raise DataError(
            f"The data has a class {missing[0]!r} that the model does not know; it knows {known}."
        )
    return torch.tensor([found[name] for name in data.classes])[data.labels]
