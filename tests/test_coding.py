"""Codings against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from rsc_snn.coding import (
    CODINGS,
    DirectCoding,
    PoissonCoding,
    RSCCoding,
    coding_sigma,
    make_coding,
)
from rsc_snn.errors import ConfigError
from rsc_snn.randomness import make_generator

DRAWS = 20_000
# Two-sided z for a false-alarm rate of 1e-6 a comparison.
Z = float(norm.isf(1e-6 / 2))


def frames_of_pixel(name: str, value: float, sigma: float, seed: int) -> torch.Tensor:
    """DRAWS independent frames of one pixel (as the batch), `[DRAWS]`."""
    x = torch.full((DRAWS // 8, 1, 1, 1), value, dtype=torch.float64)
    return make_coding(name, sigma)(x, 8, make_generator(seed)).flatten()


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(sorted(CODINGS)),
    value=st.floats(0, 1),
    sigma=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_mean_and_variance_are_the_closed_forms(
    name: str, value: float, sigma: float, seed: int
) -> None:
    frames = frames_of_pixel(name, value, sigma, seed)
    coding = make_coding(name, sigma)
    x = torch.full((1, 1, 1, 1), value, dtype=torch.float64)
    mean, variance = coding.mean(x).item(), coding.variance(x).item()
    expected = {"direct": 0.0, "poisson": value * (1 - value), "rsc": sigma**2}[name]
    assert mean == pytest.approx(value)
    assert variance == pytest.approx(expected, abs=1e-12)
    assert abs(frames.mean().item() - mean) <= Z * math.sqrt(variance / DRAWS) + 1e-9
    fourth = {
        "direct": 0.0,
        "poisson": expected * ((1 - value) ** 3 + value**3),
        "rsc": 3 * sigma**4,
    }[name]
    spread = math.sqrt(max(fourth - variance**2, 0.0) / DRAWS)
    measured = ((frames - mean) ** 2).mean().item()
    # The second term covers values so rare that the normal approximation of the spread fails.
    assert abs(measured - variance) <= Z * spread + 30 / DRAWS * (name == "poisson") + 1e-9


@pytest.mark.parametrize("name", ["poisson", "rsc"])
def test_the_mean_over_time_steps_has_variance_over_t(name: str) -> None:
    time_steps = 8
    x = torch.full((DRAWS, 1, 1, 1), 0.3, dtype=torch.float64)
    coding = make_coding(name, 0.25)
    means = coding(x, time_steps, make_generator(3)).mean(dim=0).flatten()
    expected = coding.variance(x[:1]).item() / time_steps
    assert means.var().item() == pytest.approx(expected, rel=0.06)


def test_time_steps_and_pixels_are_independent() -> None:
    x = torch.full((DRAWS, 1, 1, 2), 0.5, dtype=torch.float64)
    for coding in (PoissonCoding(), RSCCoding(0.5)):
        frames = coding(x, 2, make_generator(5)).reshape(2, DRAWS, 2).transpose(0, 1).flatten(1)
        correlations = torch.corrcoef(frames.T)[~torch.eye(4, dtype=torch.bool)]
        assert correlations.abs().max().item() < Z / math.sqrt(DRAWS)


@pytest.mark.parametrize("name", sorted(CODINGS))
def test_gradient_is_that_of_the_mean(name: str) -> None:
    x = torch.rand(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(5, 2, 3, 4, 4, dtype=torch.float64)
    frames = make_coding(name, 0.1)(x, 5, make_generator(0))
    (gradient,) = torch.autograd.grad((frames * weights).sum(), x)
    torch.testing.assert_close(gradient, weights.sum(dim=0))


@pytest.mark.parametrize("name", ["direct", "rsc"])
def test_gradient_matches_finite_differences(name: str) -> None:
    x = torch.rand(1, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    coding = make_coding(name, 0.3)

    def squared(image: torch.Tensor) -> torch.Tensor:
        return coding(image, 3, make_generator(7)).square().sum()

    assert torch.autograd.gradcheck(squared, (x,))


@pytest.mark.parametrize("name", ["poisson", "rsc"])
def test_a_seed_gives_the_same_frames_and_another_seed_others(name: str) -> None:
    x = torch.rand(1, 3, 8, 8)
    coding = make_coding(name, 0.2)
    first = coding(x, 4, make_generator(1))
    assert torch.equal(first, coding(x, 4, make_generator(1)))
    assert not torch.equal(first, coding(x, 4, make_generator(2)))


def test_poisson_frames_are_spikes_and_the_gradient_path_does_not_change_them() -> None:
    x = torch.rand(1, 3, 8, 8)
    plain = PoissonCoding()(x, 4, make_generator(1))
    assert set(plain.unique().tolist()) <= {0.0, 1.0}
    with_gradient = PoissonCoding()(x.requires_grad_(), 4, make_generator(1))
    torch.testing.assert_close(with_gradient.detach(), plain)


def test_rsc_is_not_clipped() -> None:
    frames = RSCCoding(1.0)(torch.zeros(1, 1, 16, 16), 4, make_generator(0))
    assert frames.min() < 0


def test_direct_frames_are_the_image_at_no_cost() -> None:
    x = torch.rand(2, 3, 4, 4)
    frames = DirectCoding()(x, 6)
    assert frames.shape == (6, 2, 3, 4, 4)
    assert all(torch.equal(frame, x) for frame in frames)
    assert frames.data_ptr() == x.data_ptr()


def test_sigma_of_each_coding() -> None:
    assert coding_sigma(RSCCoding(0.3)) == 0.3
    assert coding_sigma(PoissonCoding()) is None
    assert coding_sigma(DirectCoding()) is None


@pytest.mark.parametrize("sigma", [-0.1, 1.5, math.nan, "a", True])
def test_a_wrong_sigma_is_refused(sigma: object) -> None:
    with pytest.raises(ConfigError, match="sigma must be a number between 0 and 1"):
        make_coding("rsc", sigma)  # type: ignore[arg-type]


@pytest.mark.parametrize("time_steps", [0, -1, 65, 2.5, True])
@pytest.mark.parametrize("name", sorted(CODINGS))
def test_wrong_time_steps_are_refused(name: str, time_steps: object) -> None:
    with pytest.raises(ConfigError, match="time steps must be"):
        make_coding(name, 0.1)(torch.rand(1, 3, 2, 2), time_steps)  # type: ignore[arg-type]


def test_an_unknown_coding_is_refused() -> None:
    with pytest.raises(ConfigError, match="Unknown coding 'latency'"):
        make_coding("latency")
