"""MS-ResNet: residual learning on membrane currents (Hu et al., IEEE TNNLS 2024).

spikingjelly ships an MS-ResNet of stateful modules; ours keeps no state between calls, so that
threads can share it, takes images from 32x32 to 224x224, and has an ANN twin.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from rsc_snn.networks.blocks import ConvBN, NeuronFactory, PooledReadout, apply_to_frames
from rsc_snn.neurons import Call


class MSBlock(nn.Module):
    """neuron-conv-bn-neuron-conv-bn plus a shortcut that carries currents, not spikes."""

    def __init__(
        self, make_neuron: NeuronFactory, in_channels: int, out_channels: int, stride: int
    ) -> None:
        super().__init__()
        self.neuron1 = make_neuron()
        self.conv1 = ConvBN(in_channels, out_channels, stride=stride)
        self.neuron2 = make_neuron()
        self.conv2 = ConvBN(out_channels, out_channels)
        same = stride == 1 and in_channels == out_channels
        self.shortcut: nn.Module = (
            nn.Identity()
            if same
            else ConvBN(in_channels, out_channels, kernel_size=1, stride=stride)
        )

    def forward(self, current: Tensor, call: Call) -> Tensor:
        inner = self.conv1(self.neuron1(current, call))
        inner = self.conv2(self.neuron2(inner, call))
        output: Tensor = inner + self.shortcut(current)
        return output


class MSResNet(nn.Module):
    """Stages of `depths[i]` MSBlocks with `widths[i]` channels, a neuron and a linear readout.

    `stem_stride` 1 suits 32x32, 2 suits 64x64 to 128x128, 4 suits 224x224 (a 7x7 convolution of
    stride 2 and a max pooling, as in ResNet).
    Input: frames `[T, N, C, H, W]`; output: step logits `[T, N, K]`.
    """

    def __init__(
        self,
        make_neuron: NeuronFactory,
        in_channels: int,
        num_classes: int,
        widths: Sequence[int],
        depths: Sequence[int],
        stem_stride: int,
    ) -> None:
        super().__init__()
        large = stem_stride == 4
        stem = ConvBN(
            in_channels,
            widths[0],
            kernel_size=7 if large else 3,
            stride=2 if large else stem_stride,
        )
        self.stem = nn.Sequential(stem, nn.MaxPool2d(3, 2, 1)) if large else stem
        self.blocks = nn.ModuleList()
        channels = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                self.blocks.append(MSBlock(make_neuron, channels, width, stride))
                channels = width
        self.neuron = make_neuron()
        self.readout = PooledReadout(channels, num_classes)

    def forward(self, frames: Tensor, call: Call) -> Tensor:
        current = apply_to_frames(self.stem, frames)
        for block in self.blocks:
            current = block(current, call)
        logits: Tensor = self.readout(self.neuron(current, call), call.time_steps)
        return logits
