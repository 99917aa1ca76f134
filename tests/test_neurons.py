"""The LIF layer against its equations, written out, and against spikingjelly's module."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import functional, neuron, surrogate

from rsc_snn.errors import ConfigError
from rsc_snn.neurons import Call, LIFConfig, LIFNeuron, _spikingjelly_suits, make_neuron
from rsc_snn.randomness import make_generator


def lif_by_hand(
    currents: list[float], tau: float, threshold: float
) -> tuple[list[float], list[float]]:
    """Spikes and membranes after reset of one neuron, in plain Python."""
    v, spikes, membranes = 0.0, [], []
    for current in currents:
        h = v * (1 - 1 / tau) + current
        spike = 1.0 if h >= threshold else 0.0
        v = h * (1 - spike)
        spikes.append(spike)
        membranes.append(v)
    return spikes, membranes


@settings(max_examples=50, deadline=None)
@given(
    currents=st.lists(st.integers(-8, 16), min_size=1, max_size=12),
    tau=st.sampled_from([1.25, 2.0, 4.0]),
    threshold=st.sampled_from([0.5, 1.0, 1.5]),
)
def test_spikes_and_membranes_follow_the_equations(
    currents: list[int], tau: float, threshold: float
) -> None:
    # Odd multiples of 1/7.3 keep the charge away from the threshold by more than rounding.
    values = [current / 7.3 for current in currents]
    expected, potentials = lif_by_hand(values, tau, threshold)
    seen: list[torch.Tensor] = []

    def observe(spikes: torch.Tensor, membranes: torch.Tensor | None) -> None:
        assert membranes is not None
        seen.extend((spikes, membranes))

    layer = LIFNeuron(LIFConfig(tau=tau, threshold=threshold))
    layer(torch.tensor(values).view(-1, 1), Call(len(values), observe, membranes=True))
    assert seen[0].flatten().tolist() == expected
    torch.testing.assert_close(seen[1].flatten(), torch.tensor(potentials), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("tau", "alpha"), [(2.0, 2.0), (1.7, 3.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_output_and_gradient_equal_those_of_spikingjellys_module(
    tau: float, alpha: float, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    time_steps, batch = 5, 3
    config = LIFConfig(tau=tau, threshold=0.8, surrogate_alpha=alpha)
    theirs = neuron.LIFNode(
        tau=tau,
        decay_input=False,
        v_threshold=0.8,
        v_reset=0.0,
        surrogate_function=surrogate.ATan(alpha=alpha),
        detach_reset=True,
        step_mode="s",
    )
    x = torch.randn(time_steps * batch, 4, 6, 6, dtype=dtype, generator=make_generator(0))
    x = x.to(memory_format=layout).requires_grad_()
    weights = torch.randn_like(x)
    ours = LIFNeuron(config)(x, Call(time_steps))
    (gradient,) = torch.autograd.grad((ours * weights).sum(), x)
    reference = torch.cat([theirs(step) for step in x.unflatten(0, (time_steps, batch))])
    (expected,) = torch.autograd.grad((reference * weights).sum(), x)
    assert torch.equal(ours, reference)
    torch.testing.assert_close(gradient, expected)
    assert gradient.abs().max() > 0


class _Seen(torch.autograd.Function):
    """Passes a tensor on, and notes whether its gradient is contiguous."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, seen: list[bool]) -> torch.Tensor:
        ctx.seen = seen
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        ctx.seen.append(gradients[0].is_contiguous())
        return gradients[0], None


@pytest.mark.parametrize("given", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("back", [torch.contiguous_format, torch.channels_last])
def test_spikingjelly_gets_contiguous_tensors_alone(
    monkeypatch: pytest.MonkeyPatch, given: torch.memory_format, back: torch.memory_format
) -> None:
    """Of any others it compiles a GPU's kernels for every shape anew."""
    seen: list[bool] = []
    theirs = functional.lif_multi_step

    def step(x: torch.Tensor, v: torch.Tensor, **options: Any) -> Any:
        spikes, last, potentials = theirs(x, v, **options)
        seen.extend([x.is_contiguous(), v.is_contiguous()])
        return _Seen.apply(spikes, seen), last, potentials

    x = torch.randn(6, 4, 5, 5, dtype=torch.float64, generator=make_generator(0))
    x, weights = x.to(memory_format=given), torch.randn_like(x).to(memory_format=back)
    monkeypatch.setattr(functional, "lif_multi_step", step)
    found: list[Any] = []
    call = Call(3, membranes=True, observe=lambda *both: found.extend(both))
    x.requires_grad_()
    torch.autograd.grad((LIFNeuron(LIFConfig())(x, call) * weights).sum(), x)
    assert seen == [True, True, True]
    spikes, membranes = found
    assert spikes.shape == membranes.shape == (3, 2, 4, 5, 5)
    plain, expected = theirs(
        x.detach().contiguous().view(3, 2, 4, 5, 5),
        torch.zeros(2, 4, 5, 5),
        tau=2.0,
        decay_input=False,
        v_threshold=1.0,
        v_reset=0.0,
        surrogate_function=surrogate.ATan(),
        detach_reset=True,
        store_v_seq=True,
    )[::2]
    assert torch.equal(spikes.detach(), plain) and torch.equal(membranes.detach(), expected)


@pytest.mark.parametrize(
    ("device", "dtype", "hip", "theirs"),
    [
        ("cpu", torch.float32, None, False),
        ("cpu", torch.bfloat16, None, False),
        ("cpu", torch.float64, None, True),
        ("cuda", torch.float32, None, True),
        ("cuda", torch.bfloat16, None, True),
        ("cuda", torch.float32, "6.4", False),
        ("mps", torch.float32, None, False),
        ("mps", torch.float16, None, False),
    ],
)
def test_spikingjelly_runs_where_it_can(
    monkeypatch: pytest.MonkeyPatch, device: str, dtype: torch.dtype, hip: str | None, theirs: bool
) -> None:
    monkeypatch.setattr(torch.version, "hip", hip)
    assert _spikingjelly_suits(torch.device(device), dtype) == theirs


def test_a_device_that_spikingjelly_refuses_computes_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("SpikingJelly neurons support CPU and NVIDIA CUDA")

    monkeypatch.setattr(LIFNeuron, "_spikingjelly", refuse)
    layer, x = LIFNeuron(LIFConfig()), torch.ones(6, 2, device="meta", requires_grad=True)
    spikes = layer(x, Call(3))
    (gradient,) = torch.autograd.grad(spikes.sum(), x)
    assert spikes.device.type == gradient.device.type == "meta"


def test_the_surrogate_gradient_is_the_arctan_formula() -> None:
    alpha, threshold = 2.5, 1.0
    current = torch.linspace(-1, 3, 41).view(-1, 1).requires_grad_()
    layer = LIFNeuron(LIFConfig(surrogate_alpha=alpha, threshold=threshold))
    (gradient,) = torch.autograd.grad(layer(current, Call(1)).sum(), current)
    distance = current.detach() - threshold
    expected = alpha / (2 * (1 + (math.pi / 2 * alpha * distance) ** 2))
    torch.testing.assert_close(gradient, expected)


def test_no_call_sees_another() -> None:
    layer = LIFNeuron(LIFConfig())
    before = dict(vars(layer))
    current = torch.full((3, 1), 0.6)
    first = layer(current, Call(3))
    assert torch.equal(first, layer(current, Call(3)))
    assert vars(layer) == before
    assert not list(layer.buffers())


def test_the_membrane_stays_float32_under_bfloat16() -> None:
    # 1/256 steps towards the threshold are below bfloat16's resolution near 1.
    seen: list[torch.Tensor] = []
    layer = LIFNeuron(LIFConfig())
    layer(
        torch.full((4, 1), 0.3, dtype=torch.bfloat16),
        Call(4, lambda spikes, membranes: seen.append(membranes), membranes=True),  # type: ignore[arg-type]
    )
    assert seen[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tau", 1.0),
        ("tau", "2"),
        ("tau", float("inf")),
        ("threshold", 0),
        ("threshold", 10**400),
        ("threshold", float("nan")),
        ("surrogate_alpha", -1),
        ("surrogate_alpha", float("inf")),
    ],
)
def test_meaningless_parameters_are_refused(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        LIFConfig(**{field: value})  # type: ignore[arg-type]


def test_an_unknown_neuron_is_refused() -> None:
    with pytest.raises(ConfigError, match="Unknown neuron 'gelu'"):
        make_neuron("gelu", LIFConfig())
