"""A cell is everything that determines one number; its result is every answer that was given.

Keeping the answers, not an accuracy, lets all that follows be computed without measuring again:
single passes and votes, differences on the same images, the noise of images and of coding.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rsc_snn.attacks.parameters import Value
from rsc_snn.errors import DataError
from rsc_snn.evaluate import Estimate, Predictor, accuracy_estimate, image_scores

CLEAN = "none"
# Raised whenever the same cell would give other numbers than before. 2: which images an attack goes
# on with is decided on draws of its own, not on those of the scoring. 3: those are drawn in rounds.
PROTOCOL = 3
# Draws that decide whether an image is broken, round by round: each round is for the images that
# were wrong in all before. One that is right half of the time is taken to be broken once in 256
# times, one that is right in a tenth of the draws 43 times in 100.
SELECTION = (1, 1, 2, 4)
# Of a result beside its arrays.
_RECORD_BYTES = 2000


@dataclass(frozen=True)
class Cell:
    """What one number is about.

    model, sha256: a model and its `ModelCard.identity`. data: fingerprint of the `images` test
    images. attack: a name of the registry, or CLEAN at epsilon 0. parameters: all of the attack's
    but epsilon, sorted by name. epsilon: 255ths of the pixel range (L-infinity), or the pixel
    units of an L2 attack. chain: smaller epsilons that were tried before; an image that one of
    them broke stays broken. sigma: None for a coding without noise level. draws: scoring passes,
    1 for a model without noise. batch_size: it groups the noise.
    """

    model: str
    sha256: str
    dataset: str
    split: str
    data: str
    images: int
    attack: str
    parameters: tuple[tuple[str, Value], ...]
    epsilon: float
    chain: tuple[float, ...]
    coding: str
    sigma: float | None
    time_steps: int
    draws: int
    seed: int
    batch_size: int
    protocol: int = PROTOCOL

    @cached_property
    def key(self) -> str:
        """32 hexadecimal digits; two cells share them only if every field is equal."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def known_as(self, key: str) -> Cell:
        """The cell, with its key from where it was stored: hashing 100,000 takes seconds."""
        self.__dict__["key"] = key
        return self

    @property
    def effective_sigma(self) -> float | None:
        """sigma / sqrt(T), the noise level of the mean frame; None for a coding without sigma."""
        return None if self.sigma is None else self.sigma / self.time_steps**0.5

    @property
    def noisy(self) -> bool:
        """True if answers may differ between draws; one stored draw alone does not tell."""
        return not (self.coding == "direct" or self.sigma == 0)

    def to_json(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Cell:
        """The cell of `to_json`'s dictionary. Raises DataError if it is none."""
        try:
            parameters = tuple((str(name), value) for name, value in values["parameters"])
            chain = tuple(float(epsilon) for epsilon in values["chain"])
            return cls(**{**values, "parameters": parameters, "chain": chain})
        except (KeyError, TypeError, ValueError) as error:
            raise DataError("A stored cell is damaged, or of another version.") from error


@dataclass(frozen=True)
class CellResult:
    """A measured cell.

    answers: `[D, n]` uint16, the class that each of D fresh draws gave each image. labels: `[n]`
    uint16, the true classes. attacked: images that were attacked, not passed through as broken.
    queries: forward passes of single images by the attack. seconds: compute time. versions: of
    what computed it. standing: `[n]` bool, the images that are not broken, which an attack at a
    larger epsilon goes on with. Raises DataError for what cannot be.
    """

    cell: Cell
    answers: NDArray[np.uint16]
    labels: NDArray[np.uint16]
    attacked: int
    queries: int
    seconds: float
    device: str
    versions: Mapping[str, str]
    standing: NDArray[np.bool_]

    @property
    def nbytes(self) -> int:
        """About how many bytes it holds."""
        return self.answers.nbytes + self.labels.nbytes + self.standing.nbytes + _RECORD_BYTES

    def __post_init__(self) -> None:
        shape = (self.cell.draws, self.cell.images)
        each = (self.labels.shape, self.standing.shape)
        if self.answers.shape != shape or any(one != shape[1:] for one in each):
            raise DataError(f"The result of cell {self.cell.key} does not fit it.")

    @property
    def right(self) -> NDArray[np.bool_]:
        """Right or wrong, `[D, n]`."""
        return self.answers == self.labels

    def scores(self, predictor: Predictor = "single", passes: int | None = None) -> torch.Tensor:
        """Scores float64 `[n]` in 0..1 of the images under a predictor of `rsc_snn.evaluate`.

        passes: how many draws the vote is over, from the first; None for all. For "single" all
        draws are used in any case, as they make each score more certain.
        """
        if predictor == "single":  # Without the votes, for a sweep asks for each of its cells.
            return torch.from_numpy(self.right).double().mean(dim=0)
        used = self.answers if passes is None else self.answers[:passes]
        classes = int(max(used.max(), self.labels.max())) + 1
        chosen = torch.from_numpy(used.astype(np.int64))
        votes = torch.nn.functional.one_hot(chosen, classes)
        return image_scores(votes, torch.from_numpy(self.labels.astype(np.int64)), predictor)

    def estimate(self, predictor: Predictor = "single", passes: int | None = None) -> Estimate:
        """The accuracy with its interval; see `rsc_snn.evaluate.accuracy_estimate`."""
        draws = self.cell.draws if predictor == "single" else 1
        return accuracy_estimate(self.scores(predictor, passes), draws)
