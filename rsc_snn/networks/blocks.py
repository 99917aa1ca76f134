"""Building blocks of the spiking networks. All are stateless; only the neurons walk time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

NeuronFactory = Callable[[], nn.Module]


class ConvBN(nn.Module):
    """Convolution and batch norm on folded frames `[T*N, C, H, W]`: statistics span T and N."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False
        )
        self.bn: nn.Module = nn.BatchNorm2d(out_channels)
        # Drawing normal numbers without memory would import torch's compiler, which takes seconds.
        if not self.conv.weight.is_meta:
            nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.bn(self.conv(x))
        return output

    def fuse(self) -> None:
        """Fold the batch norm into the convolution: the same function in eval mode, faster."""
        if isinstance(self.bn, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.bn)
            self.bn = nn.Identity()


def apply_to_frames(stem: nn.Module, frames: Tensor) -> Tensor:
    """`stem` on frames `[T, N, C, H, W]`, folded to `[T*N, ...]`.

    Direct coding repeats one image as a stride-0 view; a stateless stem gives the same current
    at each step, so it runs once and its output is repeated.
    """
    time_steps = frames.shape[0]
    if time_steps > 1 and frames.stride(0) == 0:
        # Flattening an expanded view would copy it to channels first, which costs each later layer.
        return torch.cat([_channels_last(stem, frames[0])] * time_steps)
    return _channels_last(stem, frames.flatten(0, 1))


def _channels_last(stem: nn.Module, x: Tensor) -> Tensor:
    output: Tensor = stem(x.contiguous(memory_format=torch.channels_last))
    return output


class PooledReadout(nn.Module):
    """Global average pooling and a linear layer: folded `[T*N, C, H, W]` to `[T, N, K]`."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor, time_steps: int) -> Tensor:
        logits: Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits.view(time_steps, -1, logits.shape[-1])
