"""SpikingClassifier: coding + backbone + readout, safe to share between threads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rsc_snn.coding import Coding, check_sigma, check_time_steps, coding_sigma, make_coding
from rsc_snn.errors import ConfigError
from rsc_snn.networks import NETWORKS
from rsc_snn.networks.blocks import ConvBN
from rsc_snn.neurons import (
    NEURONS,
    Call,
    LIFConfig,
    LIFNeuron,
    ReLUNeuron,
    Sharpness,
    make_neuron,
)
from rsc_snn.trace import Recorder, Trace

# On a CPU a large batch runs in parts: tensors beyond 32 MB are mapped afresh from the system
# each time, and those that outgrow the caches are slower still.
_PASS_BYTES = 16 * 2**20
# A larger one would cost all of the memory before anyone sees that the card is wrong.
_LARGEST_IMAGE = 1024
# More fit no tensor's shape.
_LARGEST_COUNT = 2**40


@dataclass(frozen=True)
class ModelConfig:
    """All that determines a classifier but its weights. Raises ConfigError if it has no meaning.

    widths and depths: channels and layers (VGG) or blocks (MS-ResNet) of each stage; left empty,
    the network's own defaults. mean, std: per-channel normalisation in pixel units, applied to
    the coded frames inside the model. sigma, time_steps: what a call uses if it names none.
    """

    network: str = "vgg"
    neuron: str = "lif"
    coding: str = "rsc"
    sigma: float = 0.2
    time_steps: int = 4
    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32
    widths: tuple[int, ...] = ()
    depths: tuple[int, ...] = ()
    stem_stride: int = 1
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)
    lif: LIFConfig = field(default_factory=LIFConfig)

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ConfigError(
                f"Unknown network {self.network!r}; choose one of {', '.join(NETWORKS)}."
            )
        if self.neuron not in NEURONS:
            raise ConfigError(
                f"Unknown neuron {self.neuron!r}; choose one of {', '.join(NEURONS)}."
            )
        spec = NETWORKS[self.network]
        object.__setattr__(self, "widths", tuple(self.widths) or spec.widths)
        object.__setattr__(self, "depths", tuple(self.depths) or spec.depths)
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "std", tuple(self.std))
        if not isinstance(self.lif, LIFConfig):
            object.__setattr__(self, "lif", LIFConfig(**_known(LIFConfig, self.lif)))
        make_coding(self.coding, check_sigma(self.sigma))
        check_time_steps(self.time_steps)
        self._check_sizes(spec.stem_strides)

    def _check_sizes(self, stem_strides: tuple[int, ...]) -> None:
        for name in ("num_classes", "in_channels"):
            _check_counts(name, [getattr(self, name)])
        _check_counts("image_size", [self.image_size], _LARGEST_IMAGE)
        _check_counts("widths", self.widths)
        _check_counts("depths", self.depths)
        if len(self.widths) != len(self.depths):
            raise ConfigError("widths and depths must have one number for each stage.")
        _check_counts("stem_stride", [self.stem_stride])
        if self.stem_stride not in stem_strides:
            raise ConfigError(f"stem_stride must be one of {stem_strides}, not {self.stem_stride}.")
        if self.image_size < self.stem_stride * 2 ** (len(self.widths) - 1):
            raise ConfigError(
                f"Images of {self.image_size} pixels are too small for {len(self.widths)} stages."
            )
        if not len(self.mean) == len(self.std) == self.in_channels:
            raise ConfigError("mean and std must have one number for each input channel.")
        if not all(map(_is_finite, (*self.mean, *self.std))):
            raise ConfigError("mean and std must hold finite numbers.")
        if not all(value > 0 for value in self.std):
            raise ConfigError("Each number of std must be above 0.")

    @property
    def has_time(self) -> bool:
        """True if T changes the answer: through membranes, or through noise at every time step."""
        return self.neuron == "lif" or self.coding != "direct"

    @property
    def kind(self) -> str:
        """What figures tell apart by colour: `ann` for any ordinary network, else its coding."""
        return "ann" if self.neuron == "relu" else self.coding

    def to_json(self) -> dict[str, Any]:
        """A dictionary that JSON can hold; `from_json` gives the same config back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: object) -> ModelConfig:
        """The config that `to_json` wrote. Raises ConfigError for unknown or wrong fields."""
        try:
            return cls(**_known(cls, values))
        except TypeError as error:
            raise ConfigError(f"The model's configuration is not valid: {error}.") from error


def _known(cls: type, values: object) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise ConfigError("A configuration must be a table of named values.")
    unknown = set(values) - {item.name for item in fields(cls)}
    if unknown:
        raise ConfigError(f"Unknown configuration fields: {', '.join(sorted(unknown))}.")
    return dict(values)


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # A whole number too large for any tensor.
        return False


def _check_counts(name: str, values: Iterable[Any], most: int = _LARGEST_COUNT) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigError(f"{name} must hold whole numbers from 1, not {value!r}.")
        if value > most:
            raise ConfigError(f"{name} must hold whole numbers up to {most:,}.")


class SpikingClassifier(nn.Module):
    """A network with its coding: pixels 0..1 in, logits out.

    Parameters and batch-norm statistics are the only tensors on the module, and no call writes
    to them in eval mode. Membranes, noise and traces live in the call (see `rsc_snn.neurons`), so
    any number of threads may share one classifier; with the same seed each gets, bit for bit,
    what it would get alone.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.coding = make_coding(config.coding, config.sigma)
        self.time_steps = config.time_steps
        neuron = partial(make_neuron, config.neuron, config.lif)
        self.backbone = NETWORKS[config.network].builder(
            neuron,
            config.in_channels,
            config.num_classes,
            config.widths,
            config.depths,
            config.stem_stride,
        )
        self.register_buffer("mean", torch.tensor(config.mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(-1, 1, 1), persistent=False)
        _to_channels_last(self)

    @property
    def is_spiking(self) -> bool:
        """False for the ANN twin."""
        return self.config.neuron == "lif"

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The neuron layers, in the order in which a trace holds them."""
        label = "LIF" if self.is_spiking else "ReLU"
        count = sum(isinstance(module, (LIFNeuron, ReLUNeuron)) for module in self.modules())
        return tuple(f"{label} {layer + 1}" for layer in range(count))

    def resolve_coding(self, sigma: float | None = None, coding: Coding | None = None) -> Coding:
        """The coding of one call: `coding` or the model's own, at noise level `sigma` if given.

        Raises ConfigError if `sigma` is given and the coding has none.
        """
        chosen = self.coding if coding is None else coding
        if sigma is None:
            return chosen
        if coding_sigma(chosen) is None:
            raise ConfigError(f"{chosen.name.capitalize()} coding has no noise level sigma.")
        return make_coding(chosen.name, sigma)

    def forward(
        self,
        x: Tensor,
        *,
        time_steps: int | None = None,
        sigma: float | None = None,
        coding: Coding | None = None,
        draws: int | None = None,
        generator: torch.Generator | None = None,
        currents: list[Tensor] | None = None,
        sharpness: Sharpness | None = None,
    ) -> Tensor:
        """Logits `[N, K]` of images `[N, C, H, W]` in 0..1, the mean over time steps.

        With `draws=D`, `[D, N, K]`: D independent noise draws folded into one batch. A model
        whose coding has no noise computes one draw and repeats it. Without draws, `currents` is
        filled with each neuron layer's input current `[T, N, ...]`. `sharpness` replaces the
        surrogate gradient's alpha (see `Call` for both).
        Raises ConfigError for a wrong shape, sigma, time_steps or draws.
        """
        if draws is None:
            frames = self._frames(x, time_steps, sigma, coding, generator)
            call = Call(frames.shape[0], currents=currents, sharpness=sharpness)
            return self._run(frames, call).mean(dim=0)
        if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
            raise ConfigError(f"The number of draws must be a whole number from 1, not {draws!r}.")
        copies = draws if self.resolve_coding(sigma, coding).stochastic else 1
        repeated = x.unsqueeze(0).expand(copies, *x.shape).flatten(0, 1)
        frames = self._frames(repeated, time_steps, sigma, coding, generator)
        logits = self._run(frames, Call(frames.shape[0], sharpness=sharpness)).mean(dim=0)
        return logits.view(copies, len(x), -1).expand(draws, -1, -1)

    def step_logits(
        self,
        x: Tensor,
        *,
        time_steps: int | None = None,
        sigma: float | None = None,
        coding: Coding | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The readout at every time step, `[T, N, K]`; arguments as in `forward`."""
        frames = self._frames(x, time_steps, sigma, coding, generator)
        return self._run(frames, Call(frames.shape[0]))

    def trace(
        self,
        x: Tensor,
        *,
        time_steps: int | None = None,
        sigma: float | None = None,
        coding: Coding | None = None,
        generator: torch.Generator | None = None,
        membranes: bool = False,
        currents: list[Tensor] | None = None,
    ) -> Trace:
        """Run once without gradients and record every neuron layer; arguments as in `forward`."""
        recorder = Recorder(self.layer_names, self.is_spiking, membranes)
        with torch.no_grad():
            frames = self._frames(x, time_steps, sigma, coding, generator)
            step_logits = self._run(frames, recorder.call(frames.shape[0], currents))
        return Trace(frames, tuple(recorder.layers), step_logits)

    def _frames(
        self,
        x: Tensor,
        time_steps: int | None,
        sigma: float | None,
        coding: Coding | None,
        generator: torch.Generator | None,
    ) -> Tensor:
        if x.ndim != 4 or x.shape[1] != self.config.in_channels:
            raise ConfigError(
                f"Images must have shape [N, {self.config.in_channels}, H, W], not {list(x.shape)}."
            )
        chosen = self.resolve_coding(sigma, coding)
        return chosen(x, self.time_steps if time_steps is None else time_steps, generator)

    def _run(self, frames: Tensor, call: Call) -> Tensor:
        if frames.stride(0) == 0:
            # Normalising one frame of a repeated image keeps the view that is computed once.
            normalised = ((frames[0] - self.mean) / self.std).expand_as(frames)
        else:
            normalised = (frames - self.mean) / self.std
        watched = (call.observe, call.currents, call.sharpness)
        whole = self.training or any(one is not None for one in watched)
        if whole or normalised.is_cuda:
            logits: Tensor = self.backbone(normalised, call)
            return logits.float()
        parts = normalised.split(self._images_at_once(len(normalised)), dim=1)
        return torch.cat([self.backbone(part, call).float() for part in parts], dim=1)

    def _images_at_once(self, time_steps: int) -> int:
        """Images of one pass on a CPU such that the first layer's output fits in `_PASS_BYTES`."""
        side = self.config.image_size // self.config.stem_stride
        floats = time_steps * self.config.widths[0] * side * side
        return max(1, _PASS_BYTES // (4 * floats))

    def freeze(self) -> SpikingClassifier:
        """Make it ready to share: eval mode, no parameter gradients, batch norms fused.

        Works in place and returns self. Fusing folds each batch norm into its convolution: the
        same function up to float rounding.
        """
        self.eval()
        for module in self.modules():
            if isinstance(module, ConvBN):
                module.fuse()
        _to_channels_last(self)
        self.requires_grad_(False)
        return self


def _to_channels_last(module: nn.Module) -> None:
    """Lay out the convolutions' weights as the kernels want them, on CPUs and GPUs alike."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def build_classifier(config: ModelConfig) -> SpikingClassifier:
    """A classifier with random weights, drawn from torch's global generator."""
    return SpikingClassifier(config)
