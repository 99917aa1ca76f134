"""Training on images too large for memory: random crops, decoded a batch ahead."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from rsc_snn.data.streaming import Decoding, ImageStream
from rsc_snn.training.loop import Trainer, TrainingData, Worker
from rsc_snn.training.recipe import Recipe
from rsc_snn.training.teacher import Teacher


class Crops:
    """The random crops of a stream of M images, numbered on from epoch to epoch.

    Crop n is that of image n % M in epoch n // M. `take` answers as `TrainingData.take` does.
    """

    def __init__(self, stream: ImageStream) -> None:
        self._stream = stream
        self._ahead: dict[int, Decoding] = {}

    def __len__(self) -> int:
        return len(self._stream)

    def prepare(self, numbers: Tensor) -> None:
        """Begin to decode the crops `numbers` `[B]` of one epoch."""
        first = int(numbers[0])
        if first not in self._ahead:
            epoch = first // len(self)
            self._ahead[first] = self._stream.sample(numbers % len(self), epoch)

    def take(self, numbers: Tensor) -> Decoding:
        """The crops `numbers` `[B]` of one epoch: labels, and pixels once they are decoded."""
        self.prepare(numbers)
        return self._ahead.pop(int(numbers[0]))


class StreamTrainer(Trainer):
    """A Trainer whose images stay on disk; arguments, files and errors as there.

    Training sees a new random crop of each image in each epoch, drawn from the recipe's seed
    however many processes train and however often they were stopped; validation sees the centre.
    """

    def __init__(
        self,
        recipe: Recipe,
        stream: ImageStream,
        folder: Path,
        device: torch.device,
        worker: Worker | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        # A stream and its crops do all that the loop asks of its images: len, take, pixels.
        super().__init__(
            recipe, cast(TrainingData, stream), folder, device, worker, teacher=teacher
        )
        self._crops = Crops(cast(ImageStream, self.training))
        self.training = cast(TrainingData, self._crops)
        self._numbers: dict[int, Tensor] = {}

    def _batch_indices(self, epoch: int, index: int) -> Tensor:
        """Numbers of this step's crops; those of the next step are decoded meanwhile."""
        step = epoch * self.steps_per_epoch + index
        self._prepare(step)
        if step + 1 < self.steps:
            self._prepare(step + 1)
        return self._numbers.pop(step)

    def _prepare(self, step: int) -> None:
        if step in self._numbers:
            return
        epoch, index = divmod(step, self.steps_per_epoch)
        numbers = super()._batch_indices(epoch, index) + epoch * len(self._crops)
        self._crops.prepare(numbers)
        self._numbers[step] = numbers
