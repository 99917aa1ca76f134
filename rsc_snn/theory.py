"""What the paper claims, as formulas and as measurements: Poisson coding acts like smoothing.

Frames. One Poisson frame has mean `x` and variance `x (1 - x)`, one RSC frame mean `x` and
variance `sigma^2` (`rsc_snn.coding`); steps are independent, so the mean over T frames has the
variance of one, divided by T.

Currents. A linear first layer sees `W a + b` of a frame `a` whose pixels are independent: mean
`W x + b`, covariance `W diag(v) W^T` with v the variance of each pixel, so `W diag(x(1-x)) W^T`
under Poisson coding and `sigma^2 W W^T` under RSC. RSC currents are exactly normal. Poisson
currents are sums of independent bounded terms: with growing fan-in they tend to the normal law
(central limit theorem of Lindeberg), and Poisson coding acts like smoothing with Gaussian noise.
But that noise changes with the input and vanishes at 0 and 1, so the radius below holds for RSC
alone. RSC-SNN (Wu et al., ACM MM 2024) argues by a covariance analysis; these formulas are ours.

One LIF neuron (`rsc_snn.neurons`) at a constant current, without noise. From V = 0 and with decay
d = 1 - 1/tau the charge after k steps without a spike is a geometric sum,

    H[k] = current (1 + d + ... + d^(k-1)) = current tau (1 - d^k),

so that the neuron fires first at the smallest k with `d^k <= 1 - threshold / (current tau)`, never
if `current <= threshold / tau` (the rheobase; at just this current the charge nears the threshold
until, in floating point, it is the same number), and, since the reset is to 0, every k steps from
then on: a rate that is a staircase of the current.

A smoothed decision: the majority over passes, each of which sees T frames `x + sigma e_t`, whose
noise is the same for all x, and gives the winner with chance pA > 1/2. It cannot change within

    R = sigma / sqrt(T) Phi^-1(pA)

in L2 (Cohen, Rosenfeld, Kolter 2019, theorem 1, which is T = 1): a change of x is in each of the T
frames, so that in the space of all noise it is sqrt(T) times as long.

Everything is computed in float64; pixels are 0..1, and so is sigma.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, kolmogi, ndtr, ndtri
from statsmodels.stats.proportion import proportion_confint
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rsc_snn.classifier import SpikingClassifier
from rsc_snn.coding import Coding, PoissonCoding, check_sigma, check_time_steps
from rsc_snn.errors import ConfigError
from rsc_snn.networks.blocks import ConvBN
from rsc_snn.neurons import LIFConfig
from rsc_snn.randomness import derive_seed, make_generator

Floats = NDArray[np.float64]

# The chance that a certificate is wrong (Cohen, Rosenfeld, Kolter 2019).
ALPHA = 0.001
# A charge that meets the threshold up to rounding reaches it.
_ROUNDING = 1e-9
# Berry-Esseen for sums of independent terms that need not have one law: Shevtsova, "An
# improvement of convergence rate estimates in the Lyapunov theorem", Doklady Mathematics 82, 2010.
BERRY_ESSEEN = 0.5600


class Moments(NamedTuple):
    """Mean and variance of each entry, of one shape."""

    mean: Tensor
    variance: Tensor


# Coded frames


def frame_moments(coding: Coding, x: Tensor) -> Moments:
    """Mean and variance of one frame of `x`, in closed form; both of the shape of `x`."""
    values = x.double()
    return Moments(coding.mean(values), coding.variance(values))


def time_mean_moments(coding: Coding, x: Tensor, time_steps: int) -> Moments:
    """Mean and variance of the mean over T frames of `x`: the variance of one, over T."""
    mean, variance = frame_moments(coding, x)
    return Moments(mean, variance / check_time_steps(time_steps))


def measured_moments(samples: Tensor) -> Moments:
    """Mean and unbiased variance of samples `[n, ...]` over n: two tensors `[...]`."""
    values = samples.double()
    return Moments(values.mean(dim=0), values.var(dim=0))


def running_means(frames: Tensor) -> Tensor:
    """The mean of the first 1, 2, ..., T of frames `[T, ...]`: `[T, ...]`."""
    steps = torch.arange(1, len(frames) + 1, dtype=torch.float64)
    return frames.double().cumsum(dim=0) / steps.view(-1, *[1] * (frames.ndim - 1))


def repeated_means(
    coding: Coding, value: float, time_steps: int, repeats: int, seed: int
) -> Tensor:
    """Running means of one pixel, coded again and again: `[T, repeats]`."""
    x = torch.full((repeats,), value, dtype=torch.float64)
    return running_means(coding(x, time_steps, make_generator(derive_seed(seed, "repeats"))))


def running_intervals(spikes: Tensor, confidence: float = 0.95) -> tuple[Tensor, Tensor]:
    """Wilson's interval of the share of spikes in the first 1, 2, ..., T of `[T]`: two of `[T]`.

    The same as `rsc_snn.evaluate.wilson` at each step, all at once.
    """
    shares = running_means(spikes).numpy()
    steps = np.arange(1, len(shares) + 1)
    lower, upper = proportion_confint(shares * steps, steps, alpha=1 - confidence, method="wilson")
    # At 0 and at 1 the formula's ends differ from the share by float rounding alone.
    return torch.from_numpy(np.minimum(lower, shares)), torch.from_numpy(np.maximum(upper, shares))


def rms_error(means: Tensor, x: Tensor) -> Tensor:
    """Root mean square over the pixels of `means - x`: `[T, ...]` against `[...]` gives `[T]`."""
    return (means - x.double()).flatten(1).square().mean(dim=1).sqrt()


def expected_rms(coding: Coding, x: Tensor, time_steps: int) -> Tensor:
    """The error to expect after 1, 2, ..., T steps, `sqrt(mean(variance) / t)`: `[T]`.

    Its square is the expectation of the square of `rms_error` exactly.
    """
    steps = torch.arange(1, check_time_steps(time_steps) + 1, dtype=torch.float64)
    return (frame_moments(coding, x).variance.mean() / steps).sqrt()


def matched_sigma(x: Tensor) -> Tensor:
    """The RSC noise as strong as Poisson coding's, `sqrt(mean(x (1 - x)))`, of each image `[N]`.

    x: `[N, ...]`. Both codings then have the same mean variance over the image; at most 0.5.
    """
    return PoissonCoding().variance(x.double()).flatten(1).mean(dim=1).sqrt()


# The first layer


@dataclass(frozen=True)
class LinearLayer:
    """Currents `weights a + bias` of the pixels `a` `[D]` that one place of a layer sees.

    weights: `[O, D]`, bias: `[O]`, in units of pixels: the network's normalisation
    `(a - mean) / std` is folded in, so each weight is the convolution's divided by std, and the
    covariance of the currents has the factor 1/std^2.
    """

    weights: Tensor
    bias: Tensor


def first_layer(
    model: SpikingClassifier, x: Tensor, row: int, column: int
) -> tuple[LinearLayer, Tensor]:
    """The first convolution of `model` at one place, and the pixels `[D]` of `x` that it sees.

    x: `[C, H, W]`. row, column: the place in the convolution's output. The padding around the
    image is 0 after normalisation and has no noise: pixels outside the image are left out.
    Batch norm is folded in, as in eval mode. Raises ConfigError if there is no such place.
    """
    conv = _first_convolution(model)
    rows, columns = _seen(conv, row, column, x.shape[1], x.shape[2])
    kernel = conv.weight.detach().cpu().double()[..., rows.kernel, columns.kernel]
    mean, std = model.mean.cpu().double(), model.std.cpu().double()
    bias = torch.zeros(len(kernel)) if conv.bias is None else conv.bias.detach().cpu()
    shift = (kernel * (mean / std)).sum(dim=(1, 2, 3))
    layer = LinearLayer((kernel / std).flatten(1), bias.double() - shift)
    return layer, x[:, rows.image, columns.image].cpu().double().flatten()


def _first_convolution(model: SpikingClassifier) -> torch.nn.Conv2d:
    """The convolution that the frames meet first, its batch norm folded in."""
    block = next(module for module in model.modules() if isinstance(module, ConvBN))
    if isinstance(block.bn, torch.nn.BatchNorm2d):
        return fuse_conv_bn_eval(block.conv.eval(), block.bn.eval())
    return block.conv


class _Span(NamedTuple):
    """What a neuron sees along one side: pixels of the image, and the weights that meet them."""

    image: slice
    kernel: slice


def seen_pixels(
    model: SpikingClassifier, row: int, column: int, height: int, width: int
) -> tuple[slice, slice]:
    """Rows and columns of an image that the first layer sees at one place of its output.

    Raises ConfigError if there is no such place.
    """
    rows, columns = _seen(_first_convolution(model), row, column, height, width)
    return rows.image, columns.image


def _seen(
    conv: torch.nn.Conv2d, row: int, column: int, height: int, width: int
) -> tuple[_Span, _Span]:
    spans = []
    for axis, (at, side) in enumerate(((row, height), (column, width))):
        size, stride = conv.kernel_size[axis], conv.stride[axis]
        padding = int(conv.padding[axis])
        if not 0 <= at <= (side + 2 * padding - size) // stride:
            raise ConfigError(f"The first layer has no place at row {row}, column {column}.")
        begin = at * stride - padding
        first, last = max(begin, 0), min(begin + size, side)
        spans.append(_Span(slice(first, last), slice(first - begin, last - begin)))
    return spans[0], spans[1]


class CurrentLaw(NamedTuple):
    """Mean `[O]` and covariance `[O, O]` of the currents at one place."""

    mean: Tensor
    covariance: Tensor


def current_law(layer: LinearLayer, coding: Coding, pixels: Tensor) -> CurrentLaw:
    """Closed form: mean `W x + b`, covariance `W diag(v) W^T`, v the variance of each pixel."""
    mean, variance = frame_moments(coding, pixels)
    weights = layer.weights
    return CurrentLaw(weights @ mean + layer.bias, (weights * variance) @ weights.T)


def draw_currents(
    layer: LinearLayer, coding: Coding, pixels: Tensor, draws: int, seed: int
) -> Tensor:
    """Currents of `draws` independent frames, `[draws, O]`."""
    generator = make_generator(derive_seed(seed, "currents", coding.name))
    frames = coding(pixels.expand(draws, -1), 1, generator)[0]
    return frames @ layer.weights.T + layer.bias


def measured_law(samples: Tensor) -> CurrentLaw:
    """Mean and unbiased covariance of currents `[n, O]`."""
    return CurrentLaw(samples.mean(dim=0), torch.atleast_2d(torch.cov(samples.T)))


def covariance_error(layer: LinearLayer, coding: Coding, pixels: Tensor, draws: int) -> Tensor:
    """Standard error of each entry of the covariance `[O, O]` that n `draws` of currents measure.

    `sqrt((C_ii C_jj + C_ij^2) / (n - 1) + K_ij / n)`: the first term alone is that of normal
    currents (Wishart); the fourth cumulant `K_ij = sum_d w_id^2 w_jd^2 k_d` of the pixels' noise
    adds what a law with other tails, such as that of rare spikes, has more or less.
    """
    covariance = current_law(layer, coding, pixels).covariance
    variances = covariance.diagonal()
    normal = (torch.outer(variances, variances) + covariance.square()) / (draws - 1)
    squares = layer.weights.square()
    tails = (squares * _fourth_cumulant(coding, pixels)) @ squares.T / draws
    # Without noise both are 0 up to rounding.
    return (normal + tails).clamp(min=0).sqrt()


def _fourth_cumulant(coding: Coding, pixels: Tensor) -> Tensor:
    """Of each pixel of one frame: `v (1 - 6 v)` of a spike with variance v, 0 of normal noise."""
    if not isinstance(coding, PoissonCoding):
        return torch.zeros_like(pixels)
    variance = coding.variance(pixels)
    return variance * (1 - 6 * variance)


# One neuron


def rheobase(config: LIFConfig) -> float:
    """The constant current up to which the neuron never fires: threshold / tau."""
    return config.threshold / config.tau


def steps_to_spike(current: float, config: LIFConfig) -> int | None:
    """Steps from rest to the first spike at a constant current, which is also the interval from
    spike to spike; None if it never fires."""
    if current <= rheobase(config):
        return None
    steps = math.log1p(-rheobase(config) / current) / math.log1p(-1 / config.tau)
    return max(1, math.ceil(steps - _ROUNDING))


def exact_rate(current: float, config: LIFConfig, time_steps: int) -> float:
    """Spikes per step in `time_steps` steps from rest at a constant current, without noise."""
    interval = steps_to_spike(current, config)
    return 0.0 if interval is None else (time_steps // interval) / time_steps


def staircase(config: LIFConfig, time_steps: int) -> tuple[Floats, Floats]:
    """The currents `[J]` at which the rate without noise jumps, rising, and the rates `[J]` from
    there on.

    Among the currents that fire within k steps `threshold / (tau (1 - d^k))` is the lowest.
    """
    steps = np.arange(time_steps, 0.0, -1.0)
    decay = 1 - 1 / config.tau
    currents = rheobase(config) / (1 - decay**steps)
    rates = (time_steps // steps) / time_steps
    jumps = np.flatnonzero(np.diff(rates, prepend=0.0))
    return currents[jumps], rates[jumps]


# A smoothed decision


def effective_sigma(sigma: float, time_steps: int) -> float:
    """sigma / sqrt(T): the noise of the mean of T frames. Raises ConfigError if sigma is 0."""
    if not check_sigma(sigma) > 0:
        raise ConfigError("Smoothing needs noise: sigma must be above 0.")
    return sigma / math.sqrt(check_time_steps(time_steps))


def certified_radius(chance: float, sigma: float, time_steps: int = 1) -> float:
    """R = sigma / sqrt(T) Phi^-1(pA), in L2 of pixels 0..1, `chance` = pA (0..1) that one pass
    over T noisy frames gives the class, or a lower bound of it.

    0 where the chance is at most 1/2: nothing is certified. Raises ConfigError.
    """
    if not 0 <= chance <= 1:
        raise ConfigError(f"A chance lies between 0 and 1, not at {chance!r}.")
    return effective_sigma(sigma, time_steps) * max(0.0, float(ndtri(chance)))


def clopper_pearson_lower(successes: int, n: int, alpha: float = ALPHA) -> float:
    """The chance that is below the true one with confidence 1 - alpha, after `successes` of `n`.

    One-sided exact bound of Clopper and Pearson 1934: the alpha quantile of
    Beta(successes, n - successes + 1). Raises ConfigError.
    """
    if not (n > 0 and 0 <= successes <= n and 0 < alpha < 1):
        raise ConfigError(f"{successes} successes of {n} trials at alpha {alpha:g} give no bound.")
    return 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, alpha))


# The bill


def mixed_accuracy(clean: ArrayLike, robust: ArrayLike, attacked: float) -> Floats:
    """Accuracy where a share q = `attacked` (0..1) of the images is attacked: `(1 - q) A + q R`.

    clean, robust: accuracies, or scores of images `[n]`, 0..1; the result has their shape. The law
    of total probability. Raises ConfigError.
    """
    if not 0 <= attacked <= 1:
        raise ConfigError(f"The share that is attacked lies between 0 and 1, not at {attacked!r}.")
    return (1 - attacked) * np.asarray(clean, float) + attacked * np.asarray(robust, float)


# How normal


class Distance(NamedTuple):
    """How far samples are from a normal law, after standardisation.

    ks: Kolmogorov-Smirnov, the largest gap between the two distribution functions, 0..1.
    wasserstein: the mean distance that a sample has to move, in standard deviations.
    """

    ks: float
    wasserstein: float


def normal_distance(samples: Tensor, mean: float, variance: float) -> Distance:
    """The distance of samples `[n]` from the normal law of this mean and variance.

    Both distances are those of the empirical law itself: no binning, and no second sample. The
    samples of a normal law are not at 0 either: chance alone leaves about 0.87 / sqrt(n) in ks, the
    mean `sqrt(pi / 2) ln 2` of Kolmogorov's distribution, over sqrt(n).
    Raises ConfigError unless variance > 0.
    """
    if not variance > 0:
        raise ConfigError("A current without noise has no distance from a normal law.")
    scores = ((samples.double() - mean) / math.sqrt(variance)).sort().values
    levels, _ = _levels(len(scores))
    normal = torch.from_numpy(ndtr(scores.numpy()))
    low, high = levels[:-1], levels[1:]
    gap = torch.maximum(high - normal, normal - low).max()
    return Distance(float(gap), _wasserstein(scores, normal.clamp(min=low, max=high)))


def chance_ks(draws: int, level: float = 0.05) -> float:
    """The ks distance that `draws` of a normal law exceed with probability `level`.

    From Kolmogorov's distribution, the limit for many draws.
    """
    return float(kolmogi(level)) / math.sqrt(draws)


def _wasserstein(scores: Tensor, turns: Tensor) -> float:
    """The first Wasserstein distance of sorted `scores` `[n]` from N(0, 1), exactly.

    It is the integral over q of |F^-1(q) - Phi^-1(q)|. The i-th score is F^-1 between the levels
    (i-1)/n and i/n, where the integrand changes its sign at Phi(score), or `turns` if that lies
    outside; and the integral of Phi^-1 is -phi(Phi^-1).
    """
    levels, densities = _levels(len(scores))
    at_turn = _density_at_level(turns)
    below = scores * (turns - levels[:-1]) + at_turn - densities[:-1]
    above = at_turn - densities[1:] - scores * (levels[1:] - turns)
    return float((below + above).sum())


@lru_cache(maxsize=8)
def _levels(count: int) -> tuple[Tensor, Tensor]:
    """The levels 0, 1/n, ..., 1, and the normal density at their quantiles."""
    levels = torch.linspace(0, 1, count + 1, dtype=torch.float64)
    return levels, _density_at_level(levels)


def _density_at_level(levels: Tensor) -> Tensor:
    """The normal density at its quantiles of `levels`, 0 at the levels 0 and 1."""
    quantiles = torch.from_numpy(ndtri(levels.numpy()))
    return torch.exp(-quantiles.square() / 2) / math.sqrt(2 * math.pi)


def quantile_pairs(
    samples: Tensor, mean: float, variance: float, points: int
) -> tuple[Tensor, Tensor]:
    """Of a QQ plot: normal quantiles and those of the standardised samples, `[points]` each.

    At the levels (i - 1/2) / points; the samples' quantiles are interpolated linearly. Raises
    ConfigError unless variance > 0.
    """
    if not variance > 0:
        raise ConfigError("A current without noise has no quantiles to compare.")
    levels = (torch.arange(points, dtype=torch.float64) + 0.5) / points
    scores = (samples.double() - mean) / math.sqrt(variance)
    return torch.from_numpy(ndtri(levels.numpy())), torch.quantile(scores, levels)


def berry_esseen(x: Tensor, weights: Tensor) -> float:
    """A ceiling of the ks distance of a Poisson current of pixels `[D]` with weights `[D]`.

    `0.56 sum E|w_i (s_i - x_i)|^3 / (sum w_i^2 x_i (1 - x_i))^(3/2)` (Berry-Esseen, constant of
    Shevtsova 2010), where `E|s - x|^3 = x (1 - x) (x^2 + (1 - x)^2)`. Raises ConfigError if no
    pixel has noise and a weight.
    """
    pixels, scale = x.double(), weights.double().abs()
    variance = pixels * (1 - pixels)
    total = float((scale.square() * variance).sum())
    if not total > 0:
        raise ConfigError("A current without noise has no distance from a normal law.")
    third = scale**3 * variance * (pixels.square() + (1 - pixels).square())
    return BERRY_ESSEEN * float(third.sum()) / total**1.5


@dataclass(frozen=True)
class FanIn:
    """How normal the currents of this fan-in are: means over several random neurons.

    poisson: of the Poisson current. chance: of as many draws of a normal law, which is what RSC
    currents have. ceiling: of the ks distance, by Berry-Esseen; 1 where that says nothing.
    """

    fan_in: int
    poisson: Distance
    chance: Distance
    ceiling: float


def fan_in_distances(
    x: Tensor,
    weights: Tensor,
    fan_ins: Sequence[int],
    draws: int,
    seed: int,
    neurons: int = 4,
) -> tuple[FanIn, ...]:
    """The distance of Poisson currents from the normal law, over the number of their inputs.

    For each fan-in k, `neurons` neurons with k inputs each: pixels drawn from `x` `[P]` and
    weights from `weights` `[Q]`, both with replacement, so that k may exceed either. Pixels that
    are black or white have no noise and add only a constant: they, and weights of 0, are left
    out. Raises ConfigError if nothing is left.
    """
    noisy = x.double()[(x > 0) & (x < 1)]
    used = weights.double()[weights != 0]
    if len(noisy) == 0 or len(used) == 0:
        raise ConfigError("A current without noise has no distance from a normal law.")
    return tuple(_fan_in(noisy, used, size, draws, seed, neurons) for size in fan_ins)


def _fan_in(x: Tensor, weights: Tensor, fan_in: int, draws: int, seed: int, neurons: int) -> FanIn:
    generator = make_generator(derive_seed(seed, "fan-in", fan_in))
    poisson, chance, ceilings = [], [], []
    for _ in range(neurons):
        pixels = x[torch.randint(len(x), (fan_in,), generator=generator)]
        scale = weights[torch.randint(len(weights), (fan_in,), generator=generator)]
        # Half the bytes: the uniform numbers of all draws are most of the work.
        frames = PoissonCoding()(pixels.float().expand(draws, -1), 1, generator)[0]
        variance = float((scale.square() * pixels * (1 - pixels)).sum())
        currents = (frames @ scale.float()).double()
        poisson.append(normal_distance(currents, float(scale @ pixels), variance))
        normal = torch.randn(draws, generator=generator, dtype=torch.float64)
        chance.append(normal_distance(normal, 0.0, 1.0))
        ceilings.append(min(berry_esseen(pixels, scale), 1.0))
    return FanIn(fan_in, _mean(poisson), _mean(chance), sum(ceilings) / neurons)


def _mean(distances: Sequence[Distance]) -> Distance:
    """The mean of each of the two distances."""
    ks, wasserstein = (sum(values) / len(distances) for values in zip(*distances, strict=True))
    return Distance(ks, wasserstein)
