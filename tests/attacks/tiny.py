"""Small models on which attacks run in milliseconds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rsc_snn.classifier import ModelConfig, SpikingClassifier, build_classifier
from rsc_snn.neurons import Call

SIZE = 8


def random_images(count: int, seed: int = 5) -> Tensor:
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def tiny_model(**options: object) -> SpikingClassifier:
    """A spiking VGG of two layers for 8x8 images, with fixed random weights.

    Random networks answer one class for every image; here the readout is centred and scaled
    such that images differ and small changes matter.
    """
    config = ModelConfig.from_json(
        {"widths": [8, 8], "depths": [1, 1], "image_size": SIZE, "time_steps": 3} | options
    )
    state = torch.random.get_rng_state()
    torch.manual_seed(3)
    model = build_classifier(config).freeze()
    torch.random.set_rng_state(state)
    generator = torch.Generator().manual_seed(1)
    logits = model(random_images(200, seed=9), generator=generator)
    readout = model.get_submodule("backbone.readout.linear")
    assert isinstance(readout, nn.Linear)
    readout.bias.sub_(logits.mean(dim=0))
    readout.weight.mul_(40)
    readout.bias.mul_(40)
    correction = model(random_images(200, seed=9), generator=generator.manual_seed(1)).mean(dim=0)
    readout.bias.sub_(correction)
    return model


class LinearBackbone(nn.Module):
    """Logits `W a_t` of the normalised frames: a model whose attacks have closed forms."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, frames: Tensor, call: Call) -> Tensor:
        return frames.flatten(2) @ self.weight.T + self.bias


def linear_model(
    weight: Tensor, bias: Tensor | None = None, coding: str = "direct", sigma: float = 0.0
) -> SpikingClassifier:
    """Logits `weight @ x + bias` on raw pixels; weight is `[K, 3 * SIZE * SIZE]`."""
    config = ModelConfig(
        coding=coding,
        sigma=sigma,
        num_classes=len(weight),
        image_size=SIZE,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        time_steps=2,
    )
    model = build_classifier(config).freeze()
    model.backbone = LinearBackbone(weight, torch.zeros(len(weight)) if bias is None else bias)
    return model
