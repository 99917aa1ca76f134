"""Recorded activity against the model's own traces, brute force and other libraries."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import neuron as sj_neuron
from torch import Tensor

from rsc_snn.activity import (
    BRIGHTEST,
    DARKEST,
    GAP,
    Activity,
    Membranes,
    PassActivity,
    Which,
    channel_maps,
    channel_rates,
    neuron_inside,
    neuron_trace,
    raster,
    rate_map,
    rate_of_one,
    rates,
    record_activity,
    running_prediction,
    turnover,
)
from rsc_snn.activity.record import layer_activity
from rsc_snn.classifier import ModelConfig, SpikingClassifier, build_classifier
from rsc_snn.errors import ConfigError
from rsc_snn.neurons import LIFConfig
from rsc_snn.randomness import derive_seed, make_generator
from rsc_snn.trace import LayerTrace, Trace
from rsc_snn.zoo import Zoo
from tests.conftest import lively_model

STEPS, SIGMA, SEED = 5, 0.3, 11
PASSES: tuple[Which, ...] = ("clean", "adversarial", "control")
quick = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="module")
def zoo(tiny_zoo: object) -> Zoo:
    return Zoo(tiny_zoo)  # type: ignore[arg-type]


def pair(size: int = 32) -> tuple[Tensor, Tensor]:
    """An image and another within 16/255 of it."""
    x = torch.rand(3, size, size, generator=make_generator(1))
    change = torch.randn(x.shape, generator=make_generator(2)).sign() * 16 / 255
    return x, (x + change).clamp(0, 1)


def record(model: SpikingClassifier, **changes: Any) -> Activity:
    options = {"time_steps": STEPS, "sigma": SIGMA, "seed": SEED} | changes
    return record_activity(model, *pair(), **options)


@pytest.fixture(scope="module")
def rsc(zoo: Zoo) -> Activity:
    return record(zoo.load("tiny-rsc"))


@pytest.fixture(scope="module")
def ann(zoo: Zoo) -> Activity:
    return record(zoo.load("tiny-ann"), time_steps=None, sigma=None)


def trace_of(model: SpikingClassifier, image: Tensor) -> Trace:
    generator = make_generator(derive_seed(SEED, "trace"))
    return model.trace(image[None], time_steps=STEPS, sigma=SIGMA, generator=generator)


def made(clean: list[np.ndarray], adversarial: list[np.ndarray]) -> Activity:
    """An activity of given spikes `[T, C, H, W]` a layer; the control is the clean pass."""

    def one(layers: list[np.ndarray]) -> PassActivity:
        steps = len(layers[0])
        packed = tuple(
            layer_activity(LayerTrace(f"L{at}", torch.from_numpy(spikes)[:, None], None, True))
            for at, spikes in enumerate(layers)
        )
        return PassActivity(np.zeros((steps, 3, 2, 2), np.uint8), packed, np.zeros((steps, 2), "f"))

    first = one(clean)
    return Activity(first, one(adversarial), first, spiking=True, noisy=False)


@st.composite
def activities(draw: st.DrawFn) -> tuple[Activity, np.ndarray, np.ndarray]:
    """An activity of one to three layers, and its spikes `[T, all neurons]`, clean and attacked."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    steps, rate = draw(st.integers(1, 6)), draw(st.floats(0, 1))
    shapes = draw(st.lists(st.tuples(*[st.integers(1, 4)] * 3), min_size=1, max_size=3))
    clean, adversarial = (
        [rng.random((steps, *shape)) < rate for shape in shapes] for _ in range(2)
    )
    flat = [
        np.concatenate([layer.reshape(steps, -1) for layer in layers], axis=1)
        for layers in (clean, adversarial)
    ]
    return made(clean, adversarial), flat[0], flat[1]


# The recording


@pytest.mark.parametrize("name", ["tiny-rsc", "tiny-poisson", "tiny-direct"])
def test_the_passes_are_the_models_traces(zoo: Zoo, name: str) -> None:
    model = zoo.load(name)
    sigma = SIGMA if name == "tiny-rsc" else None
    activity = record(model, sigma=sigma)
    for passed, image in zip((activity.clean, activity.adversarial), pair(), strict=True):
        generator = make_generator(derive_seed(SEED, "trace"))
        trace = model.trace(image[None], time_steps=STEPS, sigma=sigma, generator=generator)
        frames = np.rint(np.clip(trace.frames[:, 0].numpy(), 0, 1) * 255)
        np.testing.assert_array_equal(passed.frames, frames)
        np.testing.assert_array_equal(passed.step_logits, trace.step_logits[:, 0])
        for mine, theirs in zip(passed.layers, trace.layers, strict=True):
            assert mine.name == theirs.name
            np.testing.assert_array_equal(mine.values(), theirs.spikes[:, 0])
            assert mine.rate() == pytest.approx(float(theirs.firing_rate()[0]))


def test_without_a_perturbation_only_the_control_differs(zoo: Zoo) -> None:
    x = pair()[0]
    activity = record_activity(
        zoo.load("tiny-rsc"), x, x.numpy(), time_steps=STEPS, sigma=SIGMA, seed=SEED
    )
    assert activity.noisy
    attack, noise = turnover(activity)
    assert (attack == 0).all() and (noise > 0).all()
    np.testing.assert_array_equal(activity.clean.frames, activity.adversarial.frames)
    assert (activity.clean.frames != activity.control.frames).any()
    assert (activity.clean.step_logits != activity.control.step_logits).any()


@pytest.mark.parametrize(("name", "sigma"), [("tiny-direct", None), ("tiny-rsc", 0.0)])
def test_without_noise_the_control_is_the_clean_pass(
    zoo: Zoo, name: str, sigma: float | None
) -> None:
    activity = record(zoo.load(name), sigma=sigma)
    assert not activity.noisy
    assert activity.control is activity.clean
    assert (turnover(activity)[1] == 0).all()


def test_the_same_seed_gives_the_same_recording(zoo: Zoo, rsc: Activity) -> None:
    again, other = record(zoo.load("tiny-rsc")), record(zoo.load("tiny-rsc"), seed=SEED + 1)
    for which in PASSES:
        np.testing.assert_array_equal(again.of(which).step_logits, rsc.of(which).step_logits)
        assert (other.of(which).step_logits != rsc.of(which).step_logits).any()


def test_the_largest_network_of_the_zoo_takes_little_memory() -> None:
    with torch.random.fork_rng():
        activity = record(build_classifier(ModelConfig()).eval(), time_steps=8)
    assert sum(layer.size for layer in activity.clean.layers) == 73_728
    assert activity.nbytes < 300_000


def test_an_ann_keeps_activations(zoo: Zoo, ann: Activity) -> None:
    trace = zoo.load("tiny-ann").trace(pair()[1][None])
    assert not ann.spiking and not ann.noisy
    for mine, theirs in zip(ann.adversarial.layers, trace.layers, strict=True):
        assert mine.data.dtype == np.float16
        np.testing.assert_allclose(mine.values(), theirs.spikes[:, 0], rtol=1e-3, atol=1e-6)


def test_activations_beyond_float16_stay_finite() -> None:
    layer = layer_activity(LayerTrace("a", torch.full((1, 1, 2, 1, 1), 1e9), None, False))
    assert np.isfinite(layer.data).all()


@given(
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.integers(1, 5), *[st.integers(1, 7)] * 3),
    rate=st.floats(0, 1),
)
@quick
def test_packing_loses_nothing(seed: int, shape: tuple[int, ...], rate: float) -> None:
    spikes = np.random.default_rng(seed).random(shape) < rate
    layer = layer_activity(LayerTrace("a", torch.from_numpy(spikes)[:, None], None, True))
    np.testing.assert_array_equal(layer.values(), spikes)
    assert layer.data.nbytes == shape[0] * -(-spikes[0].size // 8)
    assert layer.rate() == pytest.approx(spikes.mean())


# Rasters


@given(made=activities(), order=st.sampled_from(["layer", "rate", "change"]))
@quick
def test_a_raster_is_a_permutation_of_all_neurons(
    made: tuple[Activity, np.ndarray, np.ndarray], order: Any
) -> None:
    activity, clean, adversarial = made
    shown = raster(activity, order=order)
    sizes = [layer.size for layer in activity.clean.layers]
    column = np.concatenate([[0], np.cumsum(sizes)])[shown.layer] + shown.index
    assert sorted(column) == list(range(sum(sizes)))
    assert shown.share == 1 and shown.total == sum(sizes)
    np.testing.assert_array_equal(shown.codes, (clean + 2 * adversarial)[:, column])
    if order == "rate":
        assert (np.diff(clean[:, column].sum(axis=0)) <= 0).all()
    elif order == "change":
        assert (np.diff((clean ^ adversarial)[:, column].sum(axis=0)) <= 0).all()
    else:
        rows = [row for band in shown.bands for row in range(band.first, band.last + 1)]
        assert rows == list(range(sum(sizes)))
        for band in shown.bands:
            layers = {shown.neuron(row)[0] for row in range(band.first, band.last + 1)}
            assert layers == {band.name}
    assert bool(shown.bands) == (order == "layer")


@given(made=activities(), most=st.integers(1, 40), seed=st.integers(0, 9))
@quick
def test_a_crowded_raster_shows_a_seeded_sample(
    made: tuple[Activity, np.ndarray, np.ndarray], most: int, seed: int
) -> None:
    activity, clean, _ = made
    everything, shown = raster(activity), raster(activity, order="change", most=most, seed=seed)
    total = clean.shape[1]
    assert shown.codes.shape == (len(clean), min(most, total))
    assert shown.share == min(most, total) / total
    codes = {everything.neuron(row): everything.codes[:, row] for row in range(total)}
    neurons = [shown.neuron(row) for row in range(shown.codes.shape[1])]
    assert len(set(neurons)) == len(neurons)
    for row, neuron in enumerate(neurons):
        np.testing.assert_array_equal(shown.codes[:, row], codes[neuron])
    again = raster(activity, order="change", most=most, seed=seed)
    np.testing.assert_array_equal(shown.index, again.index)


def test_equal_changes_are_sorted_by_what_the_attack_adds() -> None:
    clean = np.array([[1, 0, 0, 1], [1, 0, 0, 1]], bool).reshape(2, 4, 1, 1)
    adversarial = np.array([[0, 1, 0, 1], [0, 1, 1, 1]], bool).reshape(2, 4, 1, 1)
    shown = raster(made([clean], [adversarial]), order="change")
    assert shown.index.tolist() == [1, 0, 2, 3]
    assert shown.codes.T.tolist() == [[2, 2], [1, 1], [0, 2], [3, 3]]


def test_a_raster_of_one_layer(rsc: Activity) -> None:
    name = rsc.names[1]
    shown = raster(rsc, name)
    assert {shown.neuron(row)[0] for row in range(shown.codes.shape[1])} == {name}
    assert [(band.name, band.first) for band in shown.bands] == [(name, 0)]
    assert shown.total == rsc.clean.layers[1].size


# Maps


def loop_mosaic(values: np.ndarray, gap: int) -> np.ndarray:
    """Channels `[C, H, W]` pasted one by one, row by row."""
    channels, height, width = values.shape
    across = next(n for n in range(1, channels + 1) if n * n >= channels)
    down = (channels + across - 1) // across
    mosaic = np.full((down * (height + 1) - 1, across * (width + 1) - 1), gap)
    for channel in range(channels):
        top, left = channel // across * (height + 1), channel % across * (width + 1)
        mosaic[top : top + height, left : left + width] = values[channel]
    return mosaic


def test_maps_are_the_channels_side_by_side(rsc: Activity) -> None:
    for position, name in enumerate(rsc.names):
        for which in PASSES:
            spikes = rsc.of(which).layers[position].values()
            every = channel_maps(rsc, name, which)
            assert every.dtype == np.uint8 and len(every) == STEPS
            for step in range(STEPS):
                grey = np.where(spikes[step] == 1, BRIGHTEST, DARKEST)
                np.testing.assert_array_equal(every[step], loop_mosaic(grey, GAP))


def test_maps_of_activations_share_one_scale(ann: Activity) -> None:
    name = ann.names[0]
    maps = [channel_maps(ann, name, which) for which in PASSES]
    assert {len(one) for one in maps} == {1}
    top = max(layer.values().max() for layer in ann.three(0))
    share = ann.clean.layers[0].values()[0] / top
    grey = DARKEST + np.rint((BRIGHTEST - DARKEST) * share)
    np.testing.assert_array_equal(maps[0][0], loop_mosaic(grey, GAP))
    assert max(one.max() for one in maps) == BRIGHTEST


@pytest.mark.parametrize("size", [32, 48])
def test_rate_maps_are_resized_means(rsc: Activity, size: int) -> None:
    maps = []
    for position, name in enumerate(rsc.names):
        spikes = torch.from_numpy(rsc.adversarial.layers[position].values()).float()
        expected = torch.nn.functional.interpolate(
            spikes.mean(dim=(0, 1))[None, None], (size, size), mode="bilinear", antialias=True
        )
        maps.append(rate_map(rsc, name, "adversarial", size))
        np.testing.assert_allclose(maps[-1], expected[0, 0], atol=1e-5)
    np.testing.assert_allclose(
        rate_map(rsc, None, "adversarial", size), np.mean(maps, axis=0), atol=1e-6
    )


@given(made=activities(), size=st.integers(1, 12))
@quick
def test_rate_maps_are_shares(made: tuple[Activity, np.ndarray, np.ndarray], size: int) -> None:
    result = rate_map(made[0], None, "clean", size)
    assert result.shape == (size, size) and result.dtype == np.float32
    assert (result >= 0).all() and (result <= 1).all()


def test_rate_maps_of_activations_share_one_scale(ann: Activity) -> None:
    side = ann.clean.layers[0].shape[1]
    maps = np.array([rate_map(ann, ann.names[0], which, side) for which in PASSES])
    means = np.array([layer.values().mean(axis=(0, 1)) for layer in ann.three(0)])
    np.testing.assert_allclose(maps, means / means.max(), rtol=1e-4)
    one = rate_of_one(ann, ann.names[0])
    assert one == pytest.approx(means.max(), rel=1e-4) and one != pytest.approx(1, abs=0.01)


def test_rate_maps_of_spikes_are_rates(rsc: Activity) -> None:
    assert rate_of_one(rsc, rsc.names[0]) == 1


# Numbers


def test_rates_are_means(rsc: Activity, ann: Activity) -> None:
    for activity in (rsc, ann):
        measured = rates(activity)
        for position, name in enumerate(activity.names):
            layers = [layer.values() for layer in activity.three(position)]
            by_channel = channel_rates(activity, name)
            for which, values in zip(PASSES, layers, strict=True):
                assert getattr(measured, which)[position] == pytest.approx(values.mean(), rel=1e-5)
                np.testing.assert_allclose(
                    getattr(by_channel, which), values.mean(axis=(0, 2, 3)), rtol=1e-5
                )
            np.testing.assert_allclose(by_channel.change, by_channel.adversarial - by_channel.clean)


def test_turnover_is_the_share_of_exchanged_spikes(rsc: Activity, ann: Activity) -> None:
    for activity in (rsc, ann):
        for position in range(len(activity.names)):
            clean, *others = (layer.values() for layer in activity.three(position))
            for found, other in zip(turnover(activity), others, strict=True):
                one = np.maximum(clean, other).sum() - np.minimum(clean, other).sum()
                expected = one / np.maximum(clean, other).sum()
                assert found[position] == pytest.approx(expected, abs=1e-5)


def test_a_silent_layer_exchanges_nothing() -> None:
    silent = np.zeros((2, 3, 1, 1), bool)
    activity = made([silent], [silent])
    assert turnover(activity)[0].tolist() == [0]
    assert rates(activity).clean.tolist() == [0]


def test_the_running_prediction_ends_at_the_answer(zoo: Zoo, rsc: Activity) -> None:
    model = zoo.load("tiny-rsc")
    found = running_prediction(rsc, "adversarial")
    trace = trace_of(model, pair()[1])
    for step in range(STEPS):
        mean = trace.step_logits[: step + 1, 0].mean(dim=0)
        np.testing.assert_allclose(found[step], mean.softmax(dim=0), rtol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found[-1], trace.logits[0].softmax(dim=0), rtol=1e-4)


# One neuron


@pytest.mark.parametrize("family", ["vgg", "ms_resnet18"])
@pytest.mark.parametrize("tau", [2.0, 1.7])
def test_a_neuron_follows_its_equation(family: str, tau: float) -> None:
    config = ModelConfig(
        network=family, widths=(8, 12), depths=(1, 1), image_size=16, lif=LIFConfig(tau=tau)
    )
    model = lively_model(config)
    images = pair(16)
    options: dict[str, Any] = {"time_steps": 7, "sigma": 0.3, "seed": 4}
    activity = record_activity(model, *images, **options)
    fired = 0
    for position, name in enumerate(model.layer_names):
        for passed, image in zip((activity.clean, activity.adversarial), images, strict=True):
            spikes = passed.layers[position].values().reshape(7, -1)
            for index in (0, int(spikes.sum(axis=0).argmax()), spikes.shape[1] - 1):
                found = neuron_trace(model, image, name, index, **options)
                np.testing.assert_array_equal(found.spikes, spikes[:, index])
                assert found.rate == pytest.approx(spikes[:, index].mean())
                assert found.index == np.ravel_multi_index(
                    found.place, passed.layers[position].shape
                )
                before = np.append(0, found.membrane[:-1])
                np.testing.assert_allclose(
                    found.charged, found.current + (1 - 1 / tau) * before, rtol=1e-5, atol=1e-6
                )
                node = sj_neuron.LIFNode(
                    tau, decay_input=False, v_reset=0.0, step_mode="m", store_v_seq=True
                )
                np.testing.assert_array_equal(node(torch.from_numpy(found.current)), found.spikes)
                np.testing.assert_allclose(node.v_seq, found.membrane, rtol=1e-5, atol=1e-6)
                assert ((found.charged >= found.threshold) == found.spikes).all()
                fired += int(found.spikes.sum())
    assert fired > 0


def test_the_current_of_the_first_layer_is_its_convolution(zoo: Zoo) -> None:
    model = zoo.load("tiny-rsc")
    x = pair()[0]
    trace = trace_of(model, x)
    found = neuron_trace(model, x, "LIF 1", 77, time_steps=STEPS, sigma=SIGMA, seed=SEED)
    normalised = (trace.frames[:, 0] - model.mean) / model.std
    convs = cast(Any, model.backbone).convs
    expected = convs[0](normalised).flatten(1)[:, 77].detach()
    np.testing.assert_allclose(found.current, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["tiny-rsc", "tiny-direct"])
def test_a_recording_may_give_the_neurons_of_its_own_passes(zoo: Zoo, name: str) -> None:
    model, images = zoo.load(name), pair()
    sigma = SIGMA if name == "tiny-rsc" else None
    options: dict[str, Any] = {"time_steps": STEPS, "sigma": sigma, "seed": SEED}
    inside: dict[Which, Membranes] = {}
    activity = record_activity(model, *images, **options, membranes=inside)
    assert list(inside) == ["clean", "adversarial"]
    plain = record_activity(model, *images, **options)
    for which, image in zip(PASSES[:2], images, strict=True):
        np.testing.assert_array_equal(activity.of(which).step_logits, plain.of(which).step_logits)
        for layer in model.layer_names:
            found = neuron_inside(model, inside[which], layer, 5)
            alone = neuron_trace(model, image, layer, 5, **options)
            for part in ("current", "charged", "membrane", "spikes"):
                np.testing.assert_array_equal(getattr(found, part), getattr(alone, part))


def test_a_network_without_membranes_gives_none(zoo: Zoo) -> None:
    inside: dict[Which, Membranes] = {}
    options: dict[str, Any] = {"time_steps": None, "sigma": None, "seed": 0}
    record_activity(zoo.load("tiny-ann"), *pair(), **options, membranes=inside)
    assert not inside


# Mistakes


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda activity: raster(activity, "LIF 9"), "no layer 'LIF 9'"),
        (lambda activity: raster(activity, order=cast(Any, "size")), "sorted by 'size'"),
        (lambda activity: raster(activity, most=0), "at least one neuron"),
        (lambda activity: rate_map(activity, None, cast(Any, "noise"), 8), "no pass 'noise'"),
    ],
)
def test_mistakes_are_named(rsc: Activity, call: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        call(rsc)


def test_what_needs_spikes_says_so(zoo: Zoo, ann: Activity) -> None:
    options: dict[str, Any] = {"time_steps": None, "sigma": None, "seed": 0}
    with pytest.raises(ConfigError, match="no spike raster"):
        raster(ann)
    with pytest.raises(ConfigError, match="no membranes"):
        neuron_trace(zoo.load("tiny-ann"), pair()[0], "ReLU 1", 0, **options)


def test_neurons_and_images_that_do_not_exist(zoo: Zoo) -> None:
    model, (x, y) = zoo.load("tiny-rsc"), pair()
    options: dict[str, Any] = {"time_steps": 2, "sigma": None, "seed": 0}
    with pytest.raises(ConfigError, match="no layer 'LIF 7'"):
        neuron_trace(model, x, "LIF 7", 0, **options)
    for index in (-1, 8 * 32 * 32):
        with pytest.raises(ConfigError, match="the last is 8191"):
            neuron_trace(model, x, "LIF 1", index, **options)
    with pytest.raises(ConfigError, match="same size"):
        record_activity(model, x, y[:, :16, :16], **options)
