"""The shared classifier: shapes, draws, traces, and no state between calls or threads."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from rsc_snn.classifier import ModelConfig, SpikingClassifier, build_classifier
from rsc_snn.coding import DirectCoding, PoissonCoding
from rsc_snn.errors import ConfigError
from rsc_snn.randomness import make_generator

TINY = ModelConfig(widths=(8, 12), depths=(1, 2), num_classes=5, image_size=16)
FAMILIES = {
    "vgg": TINY,
    "ms_resnet18": replace(TINY, network="ms_resnet18", depths=(1, 1)),
}


def lively(config: ModelConfig) -> SpikingClassifier:
    """A random classifier whose batch norms have seen images, so that its neurons fire."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_classifier(config)
        model.train()
        for _ in range(20):
            model(torch.rand(16, config.in_channels, config.image_size, config.image_size))
    return model.eval().requires_grad_(False)


def images(count: int = 3, seed: int = 0, size: int = 16) -> Tensor:
    return torch.rand(count, 3, size, size, generator=make_generator(seed))


@pytest.fixture(scope="module")
def rsc() -> SpikingClassifier:
    return lively(TINY)


@pytest.mark.parametrize("neuron", ["lif", "relu"])
@pytest.mark.parametrize("coding", ["direct", "poisson", "rsc"])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_runs_with_every_coding(family: str, coding: str, neuron: str) -> None:
    model = lively(replace(FAMILIES[family], coding=coding, neuron=neuron))
    x = images()
    assert model(x, generator=make_generator(0)).shape == (3, 5)
    assert model(x, draws=4, generator=make_generator(0)).shape == (4, 3, 5)
    assert model.step_logits(x, time_steps=7, generator=make_generator(0)).shape == (7, 3, 5)
    trace = model.trace(x, generator=make_generator(0), membranes=True)
    assert tuple(layer.name for layer in trace.layers) == model.layer_names
    assert all(layer.spiking == (neuron == "lif") for layer in trace.layers)
    assert any(layer.firing_rate().max() > 0 for layer in trace.layers)


@pytest.mark.parametrize("size", [32, 64, 224])
def test_ms_resnet18_takes_images_from_32_to_224_pixels(size: int) -> None:
    stride = {32: 1, 64: 2, 224: 4}[size]
    config = ModelConfig(network="ms_resnet18", image_size=size, stem_stride=stride, time_steps=1)
    model = build_classifier(config).eval()
    assert len(model.layer_names) == 17
    assert model(images(1, size=size)).shape == (1, 10)


def test_the_logits_are_the_mean_of_the_step_logits(rsc: SpikingClassifier) -> None:
    x = images()
    steps = rsc.step_logits(x, generator=make_generator(4))
    logits = rsc(x, generator=make_generator(4))
    torch.testing.assert_close(logits, steps.mean(dim=0))
    trace = rsc.trace(x, generator=make_generator(4))
    assert torch.equal(trace.step_logits, steps)
    assert torch.equal(trace.logits, logits)


def test_time_is_causal(rsc: SpikingClassifier) -> None:
    """A prefix of the frames gives the prefix of the step logits."""
    x = images()
    long = rsc.step_logits(x, time_steps=6, coding=DirectCoding())
    short = rsc.step_logits(x, time_steps=2, coding=DirectCoding())
    torch.testing.assert_close(long[:2], short)


def test_draws_are_independent_passes_with_their_own_noise(rsc: SpikingClassifier) -> None:
    draws = rsc(images(), draws=3, generator=make_generator(1))
    assert not torch.equal(draws[0], draws[1])
    again = rsc(images(), draws=3, generator=make_generator(1))
    assert torch.equal(draws, again)


def test_sigma_zero_is_direct_coding(rsc: SpikingClassifier) -> None:
    x = images()
    quiet = rsc(x, sigma=0.0, generator=make_generator(0))
    torch.testing.assert_close(quiet, rsc(x, coding=DirectCoding()), atol=1e-4, rtol=1e-4)


def test_draws_of_a_model_without_noise_are_one_pass_repeated() -> None:
    model = lively(replace(TINY, coding="direct"))
    x = images()
    draws = model(x, draws=3)
    assert torch.equal(draws, model(x).expand(3, -1, -1))


def test_the_repeated_stem_of_direct_coding_changes_nothing() -> None:
    model = lively(replace(TINY, coding="direct"))
    x = images()

    class Copied(DirectCoding):
        def __call__(
            self, x: Tensor, time_steps: int, generator: torch.Generator | None = None
        ) -> Tensor:
            return super().__call__(x, time_steps, generator).contiguous()

    torch.testing.assert_close(model(x), model(x, coding=Copied()))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("coding", ["direct", "rsc"])
def test_channels_stay_last_in_every_layer(family: str, coding: str) -> None:
    """Convolutions are slower with channels first."""
    model = build_classifier(replace(FAMILIES[family], coding=coding))
    layers: list[Tensor] = []
    model(images(), generator=make_generator(0), currents=layers)
    wide = [layer.flatten(0, 1) for layer in layers if layer.shape[-1] > 1]
    assert len(wide) > 1
    assert all(layer.is_contiguous(memory_format=torch.channels_last) for layer in wide)


def test_recording_does_not_change_the_answer_and_rates_are_spike_means(
    rsc: SpikingClassifier,
) -> None:
    trace = rsc.trace(images(), generator=make_generator(2))
    layer = trace.layers[0]
    assert layer.spikes.dtype == torch.bool
    assert layer.membranes is None
    assert layer.spikes.shape == (4, 3, 8, 16, 16)
    expected = layer.spikes.float().mean(dim=(0, 2, 3, 4))
    torch.testing.assert_close(layer.firing_rate(), expected)


def test_freezing_keeps_the_function() -> None:
    for config in FAMILIES.values():
        model = lively(replace(config, neuron="relu", coding="direct"))
        x = images()
        before = model(x)
        model.freeze()
        torch.testing.assert_close(model(x), before, atol=1e-4, rtol=1e-4)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
        assert not any(parameter.requires_grad for parameter in model.parameters())
        model.freeze()
        torch.testing.assert_close(model(x), before, atol=1e-4, rtol=1e-4)


def test_input_gradient_of_the_ann_twin_matches_finite_differences() -> None:
    config = replace(TINY, neuron="relu", coding="direct", time_steps=1, image_size=8)
    model = lively(config).double()
    x = images(1, size=8).double().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[0, 2], x)
    for index in [(0, 0, 0, 0), (0, 1, 3, 4), (0, 2, 7, 7)]:
        step = torch.zeros_like(x)
        step[index] = 1e-3
        with torch.no_grad():
            slope = (model(x + step)[0, 2] - model(x - step)[0, 2]) / 2e-3
        assert gradient[index].item() == pytest.approx(slope.item(), rel=0.02, abs=1e-4)


def test_eight_threads_get_what_each_gets_alone() -> None:
    """Different images, sigma and T on one shared model: bit for bit the same logits."""
    model = lively(TINY).freeze()
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def job(number: int) -> tuple[Tensor, Tensor, Tensor]:
        x = images(1 + number % 3, seed=number).requires_grad_()
        sigma, steps = 0.05 * (number % 7), 1 + number % 6
        generator = make_generator(number)
        logits = model(x, sigma=sigma, time_steps=steps, generator=generator)
        (gradient,) = torch.autograd.grad(logits.square().sum(), x)
        trace = model.trace(x.detach(), sigma=sigma, time_steps=steps, generator=generator)
        return logits.detach(), gradient, trace.layers[-1].spikes

    alone = [job(number) for number in range(64)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(job, range(64)))
    for expected, got in zip(alone, together, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_no_call_leaves_anything_on_the_module(rsc: SpikingClassifier) -> None:
    before = {name: dict(vars(module)) for name, module in rsc.named_modules()}
    rsc(images(), draws=2, generator=make_generator(0))
    rsc.trace(images(), generator=make_generator(0), membranes=True)
    assert {name: dict(vars(module)) for name, module in rsc.named_modules()} == before


def test_sigma_on_a_coding_without_sigma_is_refused() -> None:
    model = lively(replace(TINY, coding="poisson"))
    with pytest.raises(ConfigError, match="Poisson coding has no noise level"):
        model(images(), sigma=0.1)


def test_coding_can_be_set_per_call(rsc: SpikingClassifier) -> None:
    x = images()
    poisson = rsc.trace(x, coding=PoissonCoding(), generator=make_generator(0))
    assert set(poisson.frames.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 1, 16, 16)])
def test_a_wrong_shape_is_refused(rsc: SpikingClassifier, shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="Images must have shape"):
        rsc(torch.rand(shape))


@pytest.mark.parametrize("draws", [0, -1, 1.5, True])
def test_wrong_draws_are_refused(rsc: SpikingClassifier, draws: object) -> None:
    with pytest.raises(ConfigError, match="draws"):
        rsc(images(), draws=draws)


@pytest.mark.parametrize("config", [TINY, *FAMILIES.values(), ModelConfig()])
def test_a_config_survives_json(config: ModelConfig) -> None:
    assert ModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "lenet"}, "Unknown network"),
        ({"neuron": "tanh"}, "Unknown neuron"),
        ({"coding": "latency"}, "Unknown coding"),
        ({"sigma": 2}, "sigma"),
        ({"time_steps": 0}, "time steps"),
        ({"num_classes": 0}, "num_classes"),
        ({"widths": [8, 0], "depths": [1, 1]}, "widths"),
        ({"widths": [8, 8]}, "widths and depths"),
        ({"stem_stride": 3}, "stem_stride"),
        ({"network": "ms_resnet18", "stem_stride": 2.0}, "stem_stride"),
        ({"stem_stride": True}, "stem_stride"),
        ({"mean": [10**400, 0, 0]}, "finite numbers"),
        ({"image_size": 4}, "too small"),
        ({"mean": [0.5]}, "mean and std"),
        ({"std": [0.2, 0.0, 0.2]}, "std"),
        ({"lif": {"tau": 0.5}}, "tau"),
        ({"lif": {"leak": 0.5}}, "Unknown configuration fields: leak"),
        ({"lif": 3}, "must be a table"),
        ({"colour": "blue"}, "Unknown configuration fields: colour"),
    ],
)
def test_a_config_without_meaning_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelConfig.from_json(change)
