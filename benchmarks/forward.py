"""The forward pass of the spiking VGG at T=4, against two peers with the same weights.

    python -m benchmarks.forward [--model NAME] [--repeats 30] [--threads N] [--device NAME]

Ours is frozen, as the zoo loads it: batch norms are fused into the convolutions, whose weights lie
channels-last. The peers have neither, as their tutorials build them; part of the ratio is that.
Peers: (a) a plain spikingjelly network, single-step modules in a loop over T with `reset_net`; (b)
the same loop with snntorch's Leaky, whose reset to zero is the same equation. All three code the
same images with the same noise, on the same device in the same process. First the outputs are
compared: in float64, where rounding flips no spike, they must agree. Then each round times all of
them in turn, so that a busy machine slows all alike; a ratio is the median over rounds of the
peer's time divided by ours.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import snntorch
import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from rsc_snn.classifier import ModelConfig, SpikingClassifier, build_classifier
from rsc_snn.cli import exit_code
from rsc_snn.device import describe_device, pick_device, use_threads
from rsc_snn.errors import ConfigError, ZooError
from rsc_snn.networks.blocks import ConvBN
from rsc_snn.networks.vgg import VGG
from rsc_snn.randomness import make_generator
from rsc_snn.zoo import Zoo

TIME_STEPS = 4
TARGETS = {1: "faster", 64: "at least 1.5x"}
FALLBACK = ModelConfig()
Forward = Callable[[Tensor, int], Tensor]


class SpikingjellyLoop(nn.Module):
    """The VGG of `model` as spikingjelly's tutorials build it: single-step, state in the modules.

    Copies the weights of `model`, which must not be frozen yet.
    """

    def __init__(self, model: SpikingClassifier) -> None:
        super().__init__()
        backbone = model.backbone
        assert isinstance(backbone, VGG)
        lif = model.config.lif
        parts: list[nn.Module] = []
        for block, pool in zip(backbone.convs, backbone.pools, strict=True):
            parts += [
                single_step_conv(block),
                single_step_bn(block),
                neuron.LIFNode(
                    tau=lif.tau,
                    decay_input=False,
                    v_threshold=lif.threshold,
                    v_reset=0.0,
                    surrogate_function=surrogate.ATan(alpha=lif.surrogate_alpha),
                    detach_reset=True,
                    step_mode="s",
                ),
            ]
            if isinstance(pool, nn.AvgPool2d):
                parts.append(layer.AvgPool2d(2, step_mode="s"))
        self.features = nn.Sequential(*parts)
        self.linear = layer.Linear(
            backbone.readout.linear.in_features, model.config.num_classes, step_mode="s"
        )
        self.linear.load_state_dict(backbone.readout.linear.state_dict())
        self.register_buffer("mean", model.mean.clone())
        self.register_buffer("std", model.std.clone())
        self.coding = model.coding

    def forward(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Logits `[N, K]` of images `[N, C, H, W]`, the mean over T steps."""
        functional.reset_net(self)
        frames = self.coding(x, TIME_STEPS, generator)
        logits = torch.zeros((), dtype=x.dtype, device=x.device)
        for frame in frames:
            spikes = self.features((frame - self.mean) / self.std)
            logits = logits + self.linear(spikes.mean(dim=(2, 3)))
        return logits / TIME_STEPS


class SnntorchLoop(nn.Module):
    """The same network in snntorch's style: Leaky neurons, membranes handed from step to step."""

    def __init__(self, model: SpikingClassifier) -> None:
        super().__init__()
        backbone = model.backbone
        assert isinstance(backbone, VGG)
        lif = model.config.lif
        self.convs = nn.ModuleList(
            nn.Sequential(single_step_conv(block), single_step_bn(block))
            for block in backbone.convs
        )
        self.leaky = nn.ModuleList(
            snntorch.Leaky(
                beta=1 - 1 / lif.tau,
                threshold=lif.threshold,
                reset_mechanism="zero",
                spike_grad=snntorch.surrogate.atan(alpha=lif.surrogate_alpha),
            )
            for _ in backbone.convs
        )
        self.pools = nn.ModuleList(
            nn.AvgPool2d(2) if isinstance(pool, nn.AvgPool2d) else nn.Identity()
            for pool in backbone.pools
        )
        self.linear = copy.deepcopy(backbone.readout.linear)
        self.register_buffer("mean", model.mean.clone())
        self.register_buffer("std", model.std.clone())
        self.coding = model.coding

    def forward(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Logits `[N, K]` of images `[N, C, H, W]`, the mean over T steps."""
        neurons = [leaky for leaky in self.leaky if isinstance(leaky, snntorch.Leaky)]
        membranes = [leaky.reset_mem() for leaky in neurons]
        frames = self.coding(x, TIME_STEPS, generator)
        logits = torch.zeros((), dtype=x.dtype, device=x.device)
        for frame in frames:
            spikes = (frame - self.mean) / self.std
            for index, (conv, leaky, pool) in enumerate(
                zip(self.convs, neurons, self.pools, strict=True)
            ):
                spikes, membranes[index] = leaky(conv(spikes), membranes[index])
                # Leaky fires in float32, whatever it is given.
                spikes = pool(spikes.to(x.dtype))
            logits = logits + self.linear(spikes.mean(dim=(2, 3)))
        return logits / TIME_STEPS


def single_step_conv(block: nn.Module) -> nn.Conv2d:
    """spikingjelly's convolution with a copy of the block's weights, in torch's own layout."""
    assert isinstance(block, ConvBN)
    conv = block.conv
    twin: nn.Conv2d = layer.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        bias=False,
        step_mode="s",
    )
    twin.load_state_dict(conv.state_dict())
    return twin


def single_step_bn(block: nn.Module) -> nn.BatchNorm2d:
    """spikingjelly's batch norm with a copy of the block's weights and statistics."""
    assert isinstance(block, ConvBN)
    bn = block.bn
    assert isinstance(bn, nn.BatchNorm2d)
    twin: nn.BatchNorm2d = layer.BatchNorm2d(bn.num_features, eps=bn.eps, step_mode="s")
    twin.load_state_dict(bn.state_dict())
    return twin


def load_unfrozen(name: str) -> SpikingClassifier:
    """The model of the zoo before batch norms are fused, or random weights if it is not there.

    Raises ConfigError if it is no spiking VGG.
    """
    try:
        zoo = Zoo()
        tensors = zoo.weights(name)
        config = zoo.card(name).config
    except ZooError as error:
        print(f"{error} Random weights of the same architecture instead.")
        model = build_classifier(FALLBACK).train()
        for seed in range(20):  # gives the batch norms statistics with which neurons fire
            model(torch.rand(16, 3, 32, 32, generator=make_generator(seed)))
        return model.eval()
    if config.network != "vgg" or config.neuron != "lif":
        raise ConfigError(f"{name} is no spiking VGG.")
    model = build_classifier(config)
    model.load_state_dict({**model.state_dict(), **tensors})
    return model.eval()


def contestants(name: str, device: torch.device, dtype: torch.dtype) -> dict[str, Forward]:
    """Ours, frozen as the zoo does it, and the peers, as functions of images and a seed."""
    model = load_unfrozen(name)
    peers = {
        "spikingjelly loop": SpikingjellyLoop(model),
        "snntorch Leaky": SnntorchLoop(model),
    }
    model.freeze().to(device=device, dtype=dtype)

    def ours(x: Tensor, seed: int) -> Tensor:
        return model(x, time_steps=TIME_STEPS, generator=make_generator(seed, device))

    def run(peer: nn.Module) -> Forward:
        peer.eval().requires_grad_(False).to(device=device, dtype=dtype)
        return lambda x, seed: peer(x, make_generator(seed, device))

    return {"ours": ours, **{label: run(peer) for label, peer in peers.items()}}


def images(count: int, size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Smooth random images `[count, 3, size, size]` in 0..1."""
    coarse = torch.rand(count, 3, 8, 8, generator=make_generator(count))
    x = nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    return x.to(device=device, dtype=dtype)


def check_outputs(name: str, size: int, device: torch.device) -> None:
    """Assert that all contestants give the same logits in float64; print float32's differences."""
    for dtype in (torch.float64, torch.float32):
        x = images(64, size, device, dtype)
        runs = contestants(name, device, dtype)
        expected = runs.pop("ours")(x, 1)
        for label, forward in runs.items():
            other = forward(x, 1)
            error = (other - expected).abs().max().item()
            same = (other.argmax(dim=1) == expected.argmax(dim=1)).float().mean().item()
            if dtype == torch.float64:
                assert error < 1e-4, f"{label} computes something else: {error}"
            print(
                f"  {label}: largest difference in {str(dtype)[6:]} logits {error:.1e}, "
                f"same answer for {same:.0%} of {len(x)} images"
            )


def compare_speed(runs: dict[str, Forward], x: Tensor, repeats: int) -> None:
    """Print the median milliseconds of each and each peer's ratio to ours."""
    times: dict[str, list[float]] = {label: [] for label in runs}
    for repeat in range(repeats + 3):
        for label in sorted(runs, reverse=bool(repeat % 2)):
            start = time.perf_counter()
            runs[label](x, repeat)
            if x.is_cuda:
                torch.cuda.synchronize()
            if repeat >= 3:
                times[label].append(time.perf_counter() - start)
    print(f"batch {len(x)}, median of {repeats} rounds (target: {TARGETS.get(len(x), 'none')}):")
    for label, seconds in times.items():
        pairs = zip(seconds, times["ours"], strict=True)
        ratio = statistics.median(theirs / ours for theirs, ours in pairs)
        print(f"  {label:18}{1000 * statistics.median(seconds):9.2f} ms   {ratio:5.2f}x")


@torch.no_grad()
def main() -> None:
    """Compare outputs, then speed at batch 1 and 64."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="cifar10-snn-rsc-020")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's)")
    parser.add_argument("--device")
    args = parser.parse_args()
    if args.threads:
        use_threads(args.threads)
    device = pick_device(args.device)
    size = load_unfrozen(args.model).config.image_size
    print(f"{args.model}, T={TIME_STEPS}, {describe_device(device)}, PyTorch {torch.__version__}")
    check_outputs(args.model, size, device)
    runs = contestants(args.model, device, torch.float32)
    for batch in TARGETS:
        compare_speed(runs, images(batch, size, device, torch.float32), args.repeats)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
