"""The recording itself: three passes, their frames, packed spikes and step logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsc_snn.coding import has_noise
from rsc_snn.errors import ConfigError
from rsc_snn.randomness import derive_seed, make_generator

if TYPE_CHECKING:
    from rsc_snn.classifier import SpikingClassifier
    from rsc_snn.trace import LayerTrace, Trace

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Pixels = NDArray[np.floating[Any]] | Tensor
Which = Literal["clean", "adversarial", "control"]


@dataclass(frozen=True)
class LayerActivity:
    """One neuron layer in one pass.

    shape: of the layer, usually `(C, H, W)`; its neurons are numbered in this order. data: the
    spikes of each step, packed, `[T, ceil(M / 8)]` uint8; for a layer without spikes its
    activations `[1, M]` float16, the mean over the steps.
    """

    name: str
    shape: tuple[int, ...]
    data: NDArray[Any]
    spiking: bool

    @property
    def size(self) -> int:
        """The number of neurons."""
        return int(np.prod(self.shape))

    def values(self) -> NDArray[Any]:
        """Spikes `[T, *shape]` uint8 (0 or 1), or activations `[1, *shape]` float32."""
        flat = (
            np.unpackbits(self.data, axis=1, count=self.size)
            if self.spiking
            else self.data.astype(np.float32)
        )
        return flat.reshape(-1, *self.shape)

    def rate(self) -> float:
        """Spikes per neuron and step; the mean activation of a layer without spikes."""
        if self.spiking:
            return float(np.bitwise_count(self.data).sum() / (len(self.data) * self.size))
        return float(self.data.mean(dtype=np.float64))


@dataclass(frozen=True)
class PassActivity:
    """One pass of one image.

    frames: what entered at each step, `[T, C, H, W]`, rounded to 0..255 for display; noise takes
    RSC frames out of the range of pixels, and what is beyond is clipped here, not in the network.
    step_logits: `[T, K]`.
    """

    frames: Bytes
    layers: tuple[LayerActivity, ...]
    step_logits: Floats

    @property
    def nbytes(self) -> int:
        """The memory of its arrays, in bytes."""
        layers = sum(layer.data.nbytes for layer in self.layers)
        return self.frames.nbytes + self.step_logits.nbytes + layers


@dataclass(frozen=True)
class Activity:
    """The three passes; see the module's docstring.

    noisy: False if the coding has no noise, and the control pass therefore is the clean one.
    spiking: False for the ANN twin, whose layers hold activations and no steps.
    """

    clean: PassActivity
    adversarial: PassActivity
    control: PassActivity
    spiking: bool
    noisy: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The layers, from the image to the answer."""
        return tuple(layer.name for layer in self.clean.layers)

    @property
    def time_steps(self) -> int:
        """T."""
        return len(self.clean.step_logits)

    @property
    def nbytes(self) -> int:
        """The memory of all arrays, in bytes."""
        passes = [self.clean, self.adversarial, *([self.control] if self.noisy else [])]
        return sum(one.nbytes for one in passes)

    def of(self, which: Which) -> PassActivity:
        """The pass called `which`. Raises ConfigError."""
        if which not in ("clean", "adversarial", "control"):
            raise ConfigError(f"There is no pass {which!r}: choose clean, adversarial or control.")
        found: PassActivity = getattr(self, which)
        return found

    def position(self, layer: str) -> int:
        """The place of a layer among `names`. Raises ConfigError."""
        if layer not in self.names:
            raise ConfigError(
                f"There is no layer {layer!r}; choose one of {', '.join(self.names)}."
            )
        return self.names.index(layer)

    def three(self, position: int) -> tuple[LayerActivity, LayerActivity, LayerActivity]:
        """A layer in the clean, the adversarial and the control pass."""
        passes = (self.clean, self.adversarial, self.control)
        clean, adversarial, control = (one.layers[position] for one in passes)
        return clean, adversarial, control


@dataclass(frozen=True)
class Membranes:
    """The inside of all neurons in one pass: much memory, meant for a moment.

    trace: with membranes. currents: the input of each layer, `[T, 1, *shape]`.
    """

    trace: Trace
    currents: tuple[Tensor, ...]


def record_activity(
    model: SpikingClassifier,
    original: Pixels,
    adversarial: Pixels,
    *,
    time_steps: int | None,
    sigma: float | None,
    seed: int,
    membranes: dict[Which, Membranes] | None = None,
) -> Activity:
    """Record the three passes of an image and its attacked twin, both `[C, H, W]` in 0..1.

    time_steps, sigma: None for the model's own. The clean and the adversarial pass have the same
    noise. membranes: if given, filled with those of these two passes, unless the network has none.
    Raises ConfigError for wrong shapes or settings.
    """
    if tuple(original.shape) != tuple(adversarial.shape):
        raise ConfigError("The original and the attacked image must have the same size.")
    coding = model.resolve_coding(sigma)
    noisy = has_noise(coding)
    passes: dict[Which, PassActivity] = {}
    images: tuple[tuple[Which, Pixels], ...] = (("clean", original), ("adversarial", adversarial))
    for which, image in images:
        if membranes is None or not model.is_spiking:
            trace = _trace(model, image, time_steps, sigma, trace_seed(seed))
        else:
            membranes[which] = look_inside(model, image, time_steps, sigma, trace_seed(seed))
            trace = membranes[which].trace
        passes[which] = _pass_activity(trace)
    if noisy:
        other = derive_seed(seed, "trace", "control")
        passes["control"] = _pass_activity(_trace(model, original, time_steps, sigma, other))
    return Activity(
        clean=passes["clean"],
        adversarial=passes["adversarial"],
        control=passes.get("control", passes["clean"]),
        spiking=model.is_spiking,
        noisy=noisy,
    )


def trace_seed(seed: int) -> int:
    """The seed of the noise in which the network is watched, given that of a request."""
    return derive_seed(seed, "trace")


def look_inside(
    model: SpikingClassifier, image: Pixels, time_steps: int | None, sigma: float | None, seed: int
) -> Membranes:
    """One pass of a spiking network with noise of `seed`, watched closely."""
    currents: list[Tensor] = []
    trace = _trace(model, image, time_steps, sigma, seed, currents)
    return Membranes(trace, tuple(currents))


def _trace(
    model: SpikingClassifier,
    image: Pixels,
    time_steps: int | None,
    sigma: float | None,
    seed: int,
    currents: list[Tensor] | None = None,
) -> Trace:
    """One pass; with membranes if `currents` is given, which it fills."""
    x = single_batch(model, image)
    return model.trace(
        x,
        time_steps=time_steps,
        sigma=sigma,
        generator=make_generator(seed, x.device),
        membranes=currents is not None,
        currents=currents,
    )


def _pass_activity(trace: Trace) -> PassActivity:
    frames = (trace.frames[:, 0].clamp(0, 1) * 255).round().to(torch.uint8)
    return PassActivity(
        frames=frames.cpu().numpy(),
        layers=tuple(layer_activity(layer) for layer in trace.layers),
        step_logits=trace.step_logits[:, 0].float().cpu().numpy(),
    )


def single_batch(model: SpikingClassifier, image: Pixels) -> Tensor:
    """`[C, H, W]` as a batch of one on the model's device."""
    parameter = next(model.parameters())
    return torch.as_tensor(image, dtype=torch.float32, device=parameter.device).unsqueeze(0)


def layer_activity(layer: LayerTrace) -> LayerActivity:
    """The packed form of a layer's trace of one image."""
    values = layer.spikes[:, 0]
    shape = tuple(values.shape[1:])
    if layer.spiking:
        data = np.packbits(values.cpu().numpy().reshape(len(values), -1), axis=1)
    else:
        # An activation beyond the largest float16 would become infinite.
        mean = values.float().mean(dim=0).clamp(max=torch.finfo(torch.float16).max)
        data = mean.half().cpu().numpy().reshape(1, -1)
    return LayerActivity(layer.name, shape, data, layer.spiking)
