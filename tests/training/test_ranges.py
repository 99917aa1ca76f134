"""A sigma for every image, a number of time steps for every batch."""

from __future__ import annotations

import pytest
import torch

from rsc_snn.coding import Coding
from rsc_snn.errors import ConfigError
from rsc_snn.randomness import make_generator
from rsc_snn.training.ranges import SigmaRangeCoding, pick_time_steps


def test_mean_and_variance_are_the_closed_forms() -> None:
    """4,000 images of 16 pixels, T=4. The variance of a sample of mixed normals: z-test at 5."""
    coding = SigmaRangeCoding(0.1, 0.4)
    x = torch.full((4000, 1, 4, 4), 0.3)
    noise = coding(x, 4, make_generator(0)) - x
    expected = float(coding.variance(x).flatten()[0])
    each = (noise**2).mean(dim=(0, 2, 3, 4))  # one number an image: images are independent
    error = float(each.std()) / len(each) ** 0.5
    assert abs(float(each.mean()) - expected) < 5 * error
    assert error < expected / 50
    assert abs(float(noise.mean())) < 5 * (expected / noise.numel()) ** 0.5


def test_an_image_keeps_its_sigma_over_time_and_images_differ() -> None:
    noise = SigmaRangeCoding(0.0, 0.5)(torch.zeros(50, 3, 16, 16), 8, make_generator(0))
    levels = noise.std(dim=(2, 3, 4))  # [T, N], each from 768 pixels: 2.6 % standard error
    assert (levels.std(dim=0) / levels.mean(dim=0)).max() < 0.1
    sigmas = levels.mean(dim=0)
    assert 0 <= sigmas.min() < 0.1 and 0.4 < sigmas.max() < 0.52


def test_it_is_a_coding_and_repeats_with_the_seed() -> None:
    coding = SigmaRangeCoding(0.1, 0.2)
    assert isinstance(coding, Coding)
    x = torch.rand(2, 3, 4, 4)
    one, other = (coding(x, 3, make_generator(5)) for _ in range(2))
    assert torch.equal(one, other)
    assert one.shape == (3, 2, 3, 4, 4)


def test_time_steps_are_each_as_likely() -> None:
    draws = [pick_time_steps((2, 4, 6, 8), make_generator(seed)) for seed in range(4000)]
    assert set(draws) == {2, 4, 6, 8}
    # Each count is Binomial(4000, 1/4): standard deviation 27.4.
    assert all(abs(draws.count(choice) - 1000) < 5 * 27.4 for choice in (2, 4, 6, 8))
    assert pick_time_steps((), make_generator(0)) is None


@pytest.mark.parametrize("bounds", [(0.3, 0.1), (0.2, 0.2), (-0.1, 0.2), (0.1, 1.5)])
def test_a_senseless_range_is_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ConfigError):
        SigmaRangeCoding(*bounds)
