"""The networks by name. The ANN twin of each has ReLU in place of the LIF neuron."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from rsc_snn.networks.ms_resnet import MSResNet
from rsc_snn.networks.vgg import VGG


@dataclass(frozen=True)
class NetworkSpec:
    """A network family: its builder and the width and depth it has unless told otherwise."""

    name: str
    label: str
    builder: Callable[..., nn.Module]
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    stem_strides: tuple[int, ...]


NETWORKS: dict[str, NetworkSpec] = {
    spec.name: spec
    for spec in (
        NetworkSpec("vgg", "VGG", VGG, (32, 64, 128, 256), (1, 1, 2, 2), (1, 2, 4)),
        NetworkSpec(
            "ms_resnet18", "MS-ResNet-18", MSResNet, (64, 128, 256, 512), (2, 2, 2, 2), (1, 2, 4)
        ),
    )
}
