"""Spiking VGG: stages of conv-bn-neuron, halved in size between stages."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from rsc_snn.networks.blocks import ConvBN, NeuronFactory, PooledReadout, apply_to_frames
from rsc_snn.neurons import Call


class VGG(nn.Module):
    """A VGG of `len(widths)` stages; stage i has `depths[i]` layers of `widths[i]` channels.

    Average pooling by 2 between stages, global average pooling and a linear readout at the end.
    `stem_stride` is the stride of the first convolution, for images larger than 32x32.
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
        channels = [
            width for width, depth in zip(widths, depths, strict=True) for _ in range(depth)
        ]
        ends = {sum(depths[: stage + 1]) - 1 for stage in range(len(depths) - 1)}
        self.convs = nn.ModuleList(
            ConvBN(before, after, stride=stem_stride if layer == 0 else 1)
            for layer, (before, after) in enumerate(
                zip([in_channels, *channels], channels, strict=False)
            )
        )
        self.neurons = nn.ModuleList(make_neuron() for _ in channels)
        self.pools = nn.ModuleList(
            nn.AvgPool2d(2) if layer in ends else nn.Identity() for layer in range(len(channels))
        )
        self.readout = PooledReadout(channels[-1], num_classes)

    def forward(self, frames: Tensor, call: Call) -> Tensor:
        current = apply_to_frames(self.convs[0], frames)
        spikes = self.pools[0](self.neurons[0](current, call))
        for conv, neuron, pool in zip(
            self.convs[1:], self.neurons[1:], self.pools[1:], strict=True
        ):
            spikes = pool(neuron(conv(spikes), call))
        logits: Tensor = self.readout(spikes, call.time_steps)
        return logits
