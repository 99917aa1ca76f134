"""Operation counts against brute force and against spikingjelly's counters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based.op_counter import (
    DispatchCounterMode,
    MACCounter,
    SynOpCounter,
)
from torch import Tensor, nn

from rsc_snn import energy as energy_module
from rsc_snn.classifier import ModelConfig, SpikingClassifier
from rsc_snn.coding import DirectCoding
from rsc_snn.energy import AC_PJ, MAC_PJ, EnergyEstimate, estimate_energy, measure_pass
from rsc_snn.errors import ConfigError
from rsc_snn.neurons import Call
from rsc_snn.randomness import derive_seed, make_generator
from rsc_snn.trace import Trace
from tests.attacks.tiny import linear_model, random_images
from tests.conftest import lively_model

SIDE = 8


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make(**options: Any) -> SpikingClassifier:
    values = {"image_size": SIDE, "widths": [4, 6], "depths": [1, 2], "time_steps": 3} | options
    return lively_model(ModelConfig.from_json(values)).freeze()


def traced(model: SpikingClassifier, images: int = 2, **options: Any) -> Trace:
    x = random_images(images, seed=4)
    return model.trace(x, generator=make_generator(1), **options)


def counted(model: SpikingClassifier, frames: Tensor, counter: Any) -> int:
    """What a counter of spikingjelly makes of a pass over `frames` `[T, N, C, H, W]`."""
    with torch.no_grad(), DispatchCounterMode([counter]):
        model._run(frames, Call(len(frames)))
    return int(counter.get_total())


def meetings(spikes: Tensor, conv: nn.Conv2d, pool: int) -> int:
    """Weights that the spikes `[T, C, H, W]` meet: a convolution of their pooled sums with ones."""
    summed = F.avg_pool2d(spikes.double(), pool) * pool**2
    ones = torch.ones_like(conv.weight, dtype=torch.float64)
    return int(F.conv2d(summed, ones, None, conv.stride, conv.padding).sum().round())


@pytest.mark.parametrize("coding", ["direct", "poisson", "rsc"])
def test_vgg_against_brute_force(coding: str) -> None:
    model = make(coding=coding)
    trace = traced(model)
    estimate = estimate_energy(model, trace, image=1)
    convs = [conv.conv for conv in model.backbone.convs]  # type: ignore[union-attr]
    first, second, third, readout = estimate.per_layer
    if coding == "poisson":
        assert (first.macs, first.acs) == (0, meetings(trace.frames[:, 1], convs[0], 1))
        assert first.spikes == int(trace.frames[:, 1].sum())
    else:
        assert (first.macs, first.acs, first.spikes) == (3 * first.ann_macs, 0, 0)
    assert first.ann_macs == 3 * 9 * 4 * SIDE**2
    spikes = [layer.spikes[:, 1] for layer in trace.layers]
    assert second.acs == meetings(spikes[0], convs[1], 2) > 0
    assert third.acs == meetings(spikes[1], convs[2], 1) > 0
    assert (second.macs, third.macs) == (0, 0)
    assert readout.acs == 10 * int(spikes[2].sum())
    assert [layer.spikes for layer in estimate.per_layer[1:]] == [int(s.sum()) for s in spikes]
    assert third.ann_macs == 6 * 9 * 6 * (SIDE // 2) ** 2
    assert readout.ann_macs == 6 * 10


@pytest.mark.parametrize("stem_stride", [1, 2, 4])
def test_ms_resnet_against_brute_force(stem_stride: int) -> None:
    model = make(
        network="ms_resnet18", coding="rsc", image_size=16, depths=[1, 1], stem_stride=stem_stride
    )
    x = torch.rand(1, 3, 16, 16, generator=make_generator(3))
    trace = model.trace(x, generator=make_generator(1))
    layers = {layer.name: layer for layer in estimate_energy(model, trace).per_layer}
    assert list(layers) == [
        "stem",
        *("block 1 conv 1", "block 1 conv 2"),
        *("block 2 conv 1", "block 2 conv 2", "block 2 shortcut"),
        "readout",
    ]
    names = [name for name in layers if "conv" in name]
    blocks: Any = model.backbone.blocks
    convs = [conv.conv for block in blocks for conv in (block.conv1, block.conv2)]
    for name, conv, heard in zip(names, convs, trace.layers, strict=False):
        assert layers[name].acs == meetings(heard.spikes[:, 0], conv, 1)
    side = 16 // stem_stride
    shortcut = layers["block 2 shortcut"]
    assert (shortcut.macs, shortcut.acs) == (3 * shortcut.ann_macs, 0)
    assert shortcut.ann_macs == 4 * 6 * (side // 2) ** 2
    assert layers["readout"].acs == 10 * int(trace.layers[-1].spikes.sum())
    assert any("currents" in line for line in estimate_energy(model, trace).assumptions)


@pytest.mark.parametrize("network", ["vgg", "ms_resnet18"])
def test_the_anns_operations_are_spikingjellys(network: str) -> None:
    """On inputs of 0.5 to 1.5, for it takes zeros and ones as spikes and ReLU makes zeros."""
    options = {"neuron": "relu", "coding": "direct", "time_steps": 1, "network": network}
    model = make(**options)
    for parameter in model.parameters():
        parameter.data = parameter.abs() + 0.01
    frames = 1.5 * random_images(1).unsqueeze(0) + 5
    estimate = estimate_energy(model, traced(model, images=1))
    assert estimate.ann_macs == estimate.macs == counted(model, frames, MACCounter())
    assert (estimate.acs, estimate.energy_pj) == (0, estimate.ann_energy_pj)
    # The same for the spiking network of the same shape.
    spiking = make(network=network)
    assert estimate_energy(spiking, traced(spiking)).ann_macs == estimate.ann_macs


def test_synaptic_operations_are_spikingjellys() -> None:
    """On a network in which nothing makes spikes fractions: no pooling, no normalisation."""
    model = make(
        coding="poisson", widths=[5], depths=[3], mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0]
    )
    trace = traced(model, images=1)
    estimate = estimate_energy(model, trace)
    convolutions = estimate.acs - estimate.per_layer[-1].acs
    assert convolutions == counted(model, trace.frames, SynOpCounter()) > 0


@given(
    size=st.integers(1, 12),
    pool=st.integers(1, 3),
    kernel=st.sampled_from([1, 3, 7]),
    stride=st.integers(1, 2),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_any_convolution_against_one_with_ones(
    size: int, pool: int, kernel: int, stride: int, seed: int
) -> None:
    conv = nn.Conv2d(2, 3, kernel, stride, kernel // 2, bias=False)
    spikes = torch.rand(4, 2, size, size + pool, generator=make_generator(seed)) < 0.4
    weights = energy_module._Weights.of(conv)
    fan_out = weights.fan_out(size, size + pool, pool)
    found = int((spikes.sum(dim=(0, 1)) * fan_out).sum())
    assert found == (meetings(spikes, conv, pool) if size >= pool else 0)


def test_energy_is_the_sum_of_the_prices() -> None:
    model = make()
    estimate = estimate_energy(model, traced(model))
    assert (MAC_PJ, AC_PJ) == (4.6, 0.9)
    assert estimate.energy_pj == pytest.approx(4.6 * estimate.macs + 0.9 * estimate.acs)
    assert estimate.ann_energy_pj == pytest.approx(4.6 * estimate.ann_macs)
    for total, part in (("macs", "macs"), ("acs", "acs"), ("ann_macs", "ann_macs")):
        assert getattr(estimate, total) == sum(getattr(item, part) for item in estimate.per_layer)


def test_a_measured_pass_has_the_energy_of_its_setting() -> None:
    model = make(coding="rsc", sigma=0.3)
    x = random_images(1, seed=4)
    cost = measure_pass(model, x, time_steps=3, sigma=0.1, passes=2)
    seed = make_generator(derive_seed(0, "pass"))
    trace = model.trace(x, time_steps=3, sigma=0.1, generator=seed)
    assert cost.energy == estimate_energy(model, trace)
    assert cost.seconds > 0


def test_more_steps_cost_more() -> None:
    model = make(coding="rsc")

    def estimate(time_steps: int) -> EnergyEstimate:
        return estimate_energy(model, traced(model, time_steps=time_steps))

    short, long = estimate(2), estimate(8)
    assert long.macs == 4 * short.macs
    assert long.acs > 2 * short.acs
    assert long.ann_macs == short.ann_macs


def test_a_silent_network_costs_its_first_layer_alone() -> None:
    model = make(coding="direct", lif={"threshold": 1e9})
    estimate = estimate_energy(model, traced(model))
    assert estimate.acs == 0
    assert estimate.macs == estimate.per_layer[0].macs > 0


def test_poisson_frames_are_spikes_only_if_they_are() -> None:
    model = make(coding="poisson")
    spikes = estimate_energy(model, traced(model))
    assert spikes.macs == 0
    assert any("normalisation" in line for line in spikes.assumptions)
    image = estimate_energy(model, traced(model, coding=DirectCoding()))
    assert image.per_layer[0].macs == 3 * image.per_layer[0].ann_macs
    (input_line,) = (line for line in image.assumptions if "image itself" in line)
    assert "× T" in input_line and "computes it once" in input_line


def test_the_assumptions_name_source_and_limits() -> None:
    ann = make(neuron="relu", coding="direct", time_steps=1)
    common = " ".join(estimate_energy(ann, traced(ann)).assumptions)
    assert "Horowitz, ISSCC 2014" in common and "Memory traffic" in common
    assert "spike" not in common.lower()
    snn = make(coding="rsc")
    assert "plus noise" in " ".join(estimate_energy(snn, traced(snn)).assumptions)


def test_a_network_of_unknown_layout() -> None:
    model = linear_model(torch.zeros(2, 3 * SIDE * SIDE))
    trace = Trace(torch.zeros(2, 1, 3, SIDE, SIDE), (), torch.zeros(2, 1, 2))
    with pytest.raises(ConfigError, match="LinearBackbone cannot be estimated"):
        estimate_energy(model, trace)
