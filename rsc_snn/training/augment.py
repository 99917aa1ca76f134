"""Random crops and flips on a whole batch of tensors.

torchvision would do this image by image in the loader; it is not among the requirements of a
run, and one gather on a batch needs no worker processes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def augment(x: Tensor, padding: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Shift each image of `[N, C, H, W]` by up to `padding` pixels (zeros come in) and mirror
    half of them. The draws come from `generator`, a CPU generator."""
    count, _, height, width = x.shape
    shifts = torch.randint(0, 2 * padding + 1, (2, count), generator=generator).to(x.device)
    rows = shifts[0, :, None] + torch.arange(height, device=x.device)
    columns = shifts[1, :, None] + torch.arange(width, device=x.device)
    if flip:
        mirrored = (torch.rand(count, generator=generator) < 0.5).to(x.device)
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    padded = functional.pad(x, (padding,) * 4)
    images = torch.arange(count, device=x.device)[:, None, None]
    shifted = padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]]
    return shifted.permute(0, 3, 1, 2)
