"""Operations and estimated energy of one image's pass, against the ANN of the same shape.

A multiply-accumulate (MAC) is what a weight costs where its input is any number; an accumulate
(AC) what it costs where the input is a spike, for then the weight itself is added. An ANN makes a
MAC for each weight of each output. A spiking network makes an AC for each spike and each weight
that the spike meets (a synaptic operation), and nothing where there is no spike.

Energy = MACs x 4.6 pJ + ACs x 0.9 pJ: 45 nm, 32-bit floating point, a multiplication 3.7 pJ and an
addition 0.9 pJ (M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC
2014, DOI 10.1109/ISSCC.2014.6757323). Arithmetic alone: memory traffic, which dominates on real
hardware, is not counted, so the ratio is what matters, and even that is a best case. The first
layer under direct coding counts T times, though this program, as any machine that can store its
result, computes it once.

Counts come from a `Trace`, which the app has anyway, and from the layers' shapes, in about a
millisecond. spikingjelly's `op_counter` counts in a second pass under a dispatch mode with hooks
on all modules of the process, which other threads would run into; and it takes as spikes only
tensors of zeros and ones, so normalised Poisson frames and average-pooled spikes would be MACs.
Where its rules and ours are about the same thing, tests hold the counts to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from rsc_snn.classifier import SpikingClassifier
from rsc_snn.errors import ConfigError
from rsc_snn.networks.blocks import ConvBN
from rsc_snn.networks.ms_resnet import MSBlock, MSResNet
from rsc_snn.networks.vgg import VGG
from rsc_snn.randomness import derive_seed, make_generator
from rsc_snn.trace import Trace

MAC_PJ = 4.6
AC_PJ = 0.9

_COMMON = (
    "45 nm, 32-bit floating point: 4.6 pJ a multiply-accumulate, 0.9 pJ an accumulate "
    "(M. Horowitz, ISSCC 2014).",
    "Memory traffic, which dominates on real hardware, is not counted.",
    "Convolutions and the linear readout only: biases, batch norms (folded into the weights), "
    "pooling and the neurons' own updates are not counted, in neither network.",
    "The ANN makes every multiply-accumulate, also where its input is zero.",
)
_SPIKING = (
    "Average pooling makes spikes fractions; it is linear, so its factor is folded into the next "
    "weights, and each spike that entered the pool counts for itself.",
)
_INPUT = {
    "direct": "The first layer sees the image itself: multiply-accumulates × T, as in a machine "
    "that cannot store the first layer's result; this program computes it once.",
    "rsc": "The first layer sees the image plus noise: multiply-accumulates at each time step.",
    "poisson": "The first layer sees spikes: normalisation (s - mean) / std is folded into its "
    "weights (1 / std) and bias (-mean / std), so each spike causes accumulates.",
}
_ANALOG_SHORTCUT = (
    "Shortcuts with a convolution carry currents, not spikes: multiply-accumulates at each step.",
)


@dataclass(frozen=True)
class LayerEnergy:
    """One layer of weights in one pass of one image.

    macs, acs: its operations over all time steps. spikes: those that reach it, 0 where its input
    is no spikes. ann_macs: operations of the same layer of the ANN.
    """

    name: str
    macs: int
    acs: int
    spikes: int
    ann_macs: int

    @property
    def mac_energy_pj(self) -> float:
        """Estimated energy of its multiply-accumulates, in picojoules."""
        return MAC_PJ * self.macs

    @property
    def ac_energy_pj(self) -> float:
        """Estimated energy of its accumulates, in picojoules."""
        return AC_PJ * self.acs

    @property
    def energy_pj(self) -> float:
        """Estimated energy in picojoules."""
        return self.mac_energy_pj + self.ac_energy_pj

    @property
    def ann_energy_pj(self) -> float:
        """That of the ANN's layer."""
        return MAC_PJ * self.ann_macs


@dataclass(frozen=True)
class EnergyEstimate:
    """One pass of one image, layer by layer; assumptions: sentences for a person."""

    per_layer: tuple[LayerEnergy, ...]
    assumptions: tuple[str, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return sum(layer.macs for layer in self.per_layer)

    @property
    def acs(self) -> int:
        """Accumulates caused by spikes: the synaptic operations."""
        return sum(layer.acs for layer in self.per_layer)

    @property
    def energy_pj(self) -> float:
        """Estimated energy in picojoules."""
        return sum(layer.energy_pj for layer in self.per_layer)

    @property
    def ann_macs(self) -> int:
        """Multiply-accumulates of the ANN of the same shape."""
        return sum(layer.ann_macs for layer in self.per_layer)

    @property
    def ann_energy_pj(self) -> float:
        """Estimated energy of the ANN in picojoules."""
        return sum(layer.ann_energy_pj for layer in self.per_layer)


@dataclass(frozen=True)
class _Synapses:
    """A layer of weights and what it hears.

    source: the index of a neuron layer of the trace, or None for the frames. pool: the size of
    the average pooling between them. analog: it hears the current that goes into `source`, whose
    shape is the same, not its spikes.
    """

    name: str
    module: nn.Module
    source: int | None
    pool: int = 1
    analog: bool = False


def estimate_energy(model: SpikingClassifier, trace: Trace, image: int = 0) -> EnergyEstimate:
    """Operations and energy of the pass that `trace` recorded, for its image number `image`.

    trace: of `model`, with frames `[T, N, C, H, W]`. A model without spikes makes its ANN's
    operations at each of its T steps. Raises ConfigError for a network of unknown layout.
    """
    synapses = _layout(model.backbone)
    layers = tuple(_layer(item, model, trace, image) for item in synapses)
    assumptions = _COMMON
    if model.is_spiking:
        shortcuts = _ANALOG_SHORTCUT if any(item.analog for item in synapses) else ()
        assumptions += (_INPUT[_input_kind(model, trace)], *_SPIKING, *shortcuts)
    return EnergyEstimate(layers, assumptions)


@dataclass(frozen=True)
class PassCost:
    """One pass of one image. seconds: the median of several, on the device at hand."""

    seconds: float
    energy: EnergyEstimate


def measure_pass(
    model: SpikingClassifier,
    x: Tensor,
    *,
    time_steps: int | None = None,
    sigma: float | None = None,
    passes: int = 7,
) -> PassCost:
    """Energy and time of a pass of the image `x` `[1, C, H, W]`, which is on the model's device.

    The first pass is traced, for the energy; `passes` more are timed. Raises ConfigError.
    """
    generator = make_generator(derive_seed(0, "pass"), x.device)
    options: dict[str, Any] = {"time_steps": time_steps, "sigma": sigma, "generator": generator}
    energy = estimate_energy(model, model.trace(x, **options))
    seconds = []
    with torch.no_grad():
        for _ in range(passes):
            start = time.perf_counter()
            model(x, **options).cpu()  # On a GPU a pass has ended only when its result is there.
            seconds.append(time.perf_counter() - start)
    return PassCost(median(seconds), energy)


def _layer(item: _Synapses, model: SpikingClassifier, trace: Trace, image: int) -> LayerEnergy:
    heard = trace.frames if item.source is None else trace.layers[item.source].spikes
    weights = _Weights.of(item.module)
    height, width = heard.shape[-2] // item.pool, heard.shape[-1] // item.pool
    dense = weights.dense_macs(height, width)
    spiking = model.is_spiking and not item.analog
    if item.source is None:
        spiking = spiking and _input_kind(model, trace) == "poisson"
    if not spiking:
        return LayerEnergy(item.name, dense * len(heard), 0, 0, dense)
    # Spikes of all steps and channels at each place, [H, W]; a place meets the same weights in all.
    counts = heard[:, image].sum(dim=(0, 1), dtype=torch.int64).cpu()
    height, width = counts.shape
    acs = int((counts * weights.fan_out(height, width, item.pool)).sum())
    return LayerEnergy(item.name, 0, acs, int(counts.sum()), dense)


def _input_kind(model: SpikingClassifier, trace: Trace) -> str:
    """The model's coding; direct for a Poisson model whose frames are not spikes after all."""
    name, frames = model.coding.name, trace.frames
    if name != "poisson" or bool(((frames == 0) | (frames == 1)).all()):
        return name
    return "direct"


@dataclass(frozen=True)
class _Weights:
    """The shape of a convolution, or of a linear layer after global average pooling (kernel 0)."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int

    @classmethod
    def of(cls, module: nn.Module) -> _Weights:
        if isinstance(module, nn.Linear):
            return cls(module.in_features, module.out_features, 0, 1, 0)
        assert isinstance(module, nn.Conv2d)
        (kernel, _), (stride, _) = module.kernel_size, module.stride
        return cls(module.in_channels, module.out_channels, kernel, stride, int(module.padding[0]))

    def dense_macs(self, height: int, width: int) -> int:
        """MACs on an input of this size; zeros of the padding count, as is usual."""
        if not self.kernel:
            return self.inputs * self.outputs
        places = _places(height, *self._shape) * _places(width, *self._shape)
        return self.inputs * self.kernel**2 * self.outputs * places

    def fan_out(self, height: int, width: int, pool: int) -> Tensor:
        """Weights that a spike at each place meets, `[height, width]`, before pooling by `pool`."""
        if not self.kernel:
            return torch.full((height, width), self.outputs)
        rows, columns = (
            torch.tensor(_meetings(size, pool, *self._shape)) for size in (height, width)
        )
        return self.outputs * rows[:, None] * columns[None, :]

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.kernel, self.stride, self.padding


def _places(size: int, kernel: int, stride: int, padding: int) -> int:
    """Output places of a convolution along one axis."""
    return (size + 2 * padding - kernel) // stride + 1


@lru_cache(maxsize=256)
def _meetings(size: int, pool: int, kernel: int, stride: int, padding: int) -> tuple[int, ...]:
    """How many output places see each input place along one axis of `size` places.

    Those that pooling leaves out at the end are seen by none.
    """
    pooled = size // pool
    starts = [at * stride - padding for at in range(_places(pooled, kernel, stride, padding))]
    seen = [sum(start <= place < start + kernel for start in starts) for place in range(pooled)]
    return tuple(seen[at // pool] if at // pool < pooled else 0 for at in range(size))


def _layout(backbone: Any) -> list[_Synapses]:
    for kind, layout in _LAYOUTS.items():
        if isinstance(backbone, kind):
            return list(layout(backbone))
    raise ConfigError(f"The energy of a {type(backbone).__name__} cannot be estimated.")


def _conv(block: nn.Module) -> nn.Module:
    assert isinstance(block, ConvBN)
    return block.conv


def _vgg(backbone: VGG) -> Iterator[_Synapses]:
    pool = 1
    for index, (conv, after) in enumerate(zip(backbone.convs, backbone.pools, strict=True)):
        source = index - 1 if index else None
        yield _Synapses(f"conv {index + 1}", _conv(conv), source, pool)
        pool = int(after.kernel_size) if isinstance(after, nn.AvgPool2d) else 1  # type: ignore[arg-type]
    yield _Synapses("readout", backbone.readout.linear, len(backbone.convs) - 1, pool)


def _ms_resnet(backbone: MSResNet) -> Iterator[_Synapses]:
    stem = backbone.stem[0] if isinstance(backbone.stem, nn.Sequential) else backbone.stem
    yield _Synapses("stem", _conv(stem), None)
    for index, block in enumerate(backbone.blocks):
        assert isinstance(block, MSBlock)
        first = 2 * index
        yield _Synapses(f"block {index + 1} conv 1", _conv(block.conv1), first)
        yield _Synapses(f"block {index + 1} conv 2", _conv(block.conv2), first + 1)
        if isinstance(block.shortcut, ConvBN):
            name = f"block {index + 1} shortcut"
            yield _Synapses(name, block.shortcut.conv, first, analog=True)
    yield _Synapses("readout", backbone.readout.linear, 2 * len(backbone.blocks))


_LAYOUTS: dict[type, Callable[[Any], Iterator[_Synapses]]] = {VGG: _vgg, MSResNet: _ms_resnet}
