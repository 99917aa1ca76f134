"""Smoothing a decision: a toy with two pixels, its smoothed decision and its certified radius.

The toy `PlaneClassifier` decides between two classes on the plane of two pixels, u and v. Its
plane is a picture of M x M cells over pixels 0..1, whose outermost cells reach to infinity (noise
is clipped to the pixel range, which is part of the classifier). So chances under Gaussian noise
are exact sums, not draws: the mass of a cell is a product of two differences of Phi,

    p_k(x) = sum over cells (i, j) of class k of  A_i(x_u) A_j(x_v),
    A_i(x) = Phi((e_{i+1} - x) / s) - Phi((e_i - x) / s),     e the edges, s the effective sigma.

As in the networks, one pass sees T frames `x + sigma e_t`, here averaged by a linear readout before
the decision: the mean frame is N(x, sigma^2 / T), so the noise that counts is the effective sigma
`s = sigma / sqrt(T)`. The smoothed decision is the majority over passes; its certified radius is in
`rsc_snn.theory`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from rsc_snn.coding import RSCCoding
from rsc_snn.errors import ConfigError
from rsc_snn.randomness import derive_seed, make_generator
from rsc_snn.theory import ALPHA, certified_radius, clopper_pearson_lower, effective_sigma

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]

CLASSES = ("blue", "orange")
# Draws that choose the class (Cohen, Rosenfeld, Kolter 2019).
CHOICE_DRAWS = 100

_CELLS = 256
# The toy's score: a disc that hills and hollows fray at its edge.
_CENTRE = np.array([0.44, 0.5])
_RADIUS = 0.3
_HILLS = 0.07
_WAVES = 2 * math.pi * np.array([5.5, 5.0])


@dataclass(frozen=True)
class PlaneClassifier:
    """Two classes on a plane; `cells` `[M, M]` holds the class (0 or 1) at pixels (u, v)."""

    cells: NDArray[np.uint8]

    def classify(self, points: ArrayLike) -> Classes:
        """The classes `[N]` of `points` `[N, 2]`, without noise."""
        size = len(self.cells)
        at = np.clip(np.floor(np.asarray(points, float) * size), 0, size - 1).astype(int)
        return self.cells[at[:, 0], at[:, 1]].astype(np.int64)

    def chances(self, points: ArrayLike, sigma: float | Floats) -> Floats:
        """The chance of both classes `[N, 2]` at `points` `[N, 2]` under noise of effective
        `sigma`, one for all or `[N]`, > 0.

        Each is a sum of its own: of a chance near 1 the small other one keeps its precision.
        """
        points = np.asarray(points, float)
        across, along = (_masses(points[:, axis], sigma, len(self.cells)) for axis in (0, 1))
        both = [((across @ part) * along).sum(1) for part in self._parts]
        return np.stack(both, axis=1)

    def surface(self, axis: Floats, sigma: float) -> Floats:
        """The chance of class 0 `[G, G]` at all (u, v) of `axis` x `axis`."""
        masses = _masses(axis, sigma, len(self.cells))
        surface: Floats = masses @ self._parts[0] @ masses.T
        return surface

    def slope(self, point: Floats, sigma: float) -> tuple[float, Floats]:
        """The chance of class 0 at `point` `[2]` and its gradient `[2]`.

        The gradient is computed from the smaller of the two chances, which keeps its precision.
        """
        size = len(self.cells)
        u, v = _masses(point, sigma, size)
        du, dv = _mass_slopes(point, sigma, size)
        chances = [float(u @ part @ v) for part in self._parts]
        rare = int(np.argmin(chances))
        part = self._parts[rare]
        gradient = np.array([du @ (part @ v), (u @ part) @ dv])
        return chances[0], -gradient if rare else gradient

    def nearest_change(self, point: Floats) -> Floats:
        """The closest point `[2]` whose class, without noise, is another. Within 0..1.

        Raises ConfigError if there is none.
        """
        size = len(self.cells)
        rivals = np.argwhere(self.cells != self.classify(point[None])[0])
        if not len(rivals):
            raise ConfigError("A classifier of one class has no other class to change to.")
        closest = np.clip(point, rivals / size, (rivals + 1) / size)
        found: Floats = closest[((closest - point) ** 2).sum(1).argmin()]
        return found

    @cached_property
    def _parts(self) -> tuple[Floats, Floats]:
        """Each class's cells as ones."""
        return (self.cells == 0).astype(float), (self.cells == 1).astype(float)


def _masses(values: Floats, sigma: float | Floats, cells: int) -> Floats:
    """The share of N(value, sigma^2) in each cell, `[N, M]`; the outermost reach to infinity."""
    lower, upper = _standard_edges(values, sigma, cells)
    # Phi near 1 has no digits left for small differences; its mirror image has.
    above = lower > 0
    return ndtr(np.where(above, -lower, upper)) - ndtr(np.where(above, -upper, lower))


def _mass_slopes(values: Floats, sigma: float, cells: int) -> Floats:
    """The derivative of `_masses` by the value, `[N, M]`."""
    lower, upper = (
        np.exp(-(edge**2) / 2) / math.sqrt(2 * math.pi)
        for edge in _standard_edges(values, sigma, cells)
    )
    slopes: Floats = (lower - upper) / sigma
    return slopes


def _standard_edges(values: Floats, sigma: float | Floats, cells: int) -> tuple[Floats, Floats]:
    """Lower and upper edge of each cell in units of sigma from each value, `[N, M]`."""
    inner = np.arange(1, cells) / cells
    edges = np.concatenate([[-np.inf], inner, [np.inf]])
    standard = (edges - values[:, None]) / np.reshape(sigma, (-1, 1))
    return standard[:, :-1], standard[:, 1:]


def toy_score(points: ArrayLike) -> Floats:
    """The toy's score `[N]` at `points` `[N, 2]`: class 0 where it is positive.

    A disc, `(r^2 - |x - c|^2) / 2r`, about the distance to its edge near there, plus hills
    `h sin(a u) sin(b v)`, which fray the edge and point gradients wherever they like.
    """
    points = np.asarray(points, float)
    disc = (_RADIUS**2 - ((points - _CENTRE) ** 2).sum(1)) / (2 * _RADIUS)
    score: Floats = disc + _HILLS * np.sin(points * _WAVES).prod(1)
    return score


def toy_slope(point: Floats) -> Floats:
    """The gradient `[2]` of `toy_score` at `point` `[2]`."""
    phase = point * _WAVES
    hills = _HILLS * _WAVES * np.cos(phase) * np.sin(phase[::-1])
    slope: Floats = (_CENTRE - point) / _RADIUS + hills
    return slope


@lru_cache(maxsize=1)
def toy_classifier() -> PlaneClassifier:
    """The lesson's classifier: `toy_score` decided at the middle of each cell."""
    middles = (np.arange(_CELLS) + 0.5) / _CELLS
    u, v = np.meshgrid(middles, middles, indexing="ij")
    score = toy_score(np.stack([u.ravel(), v.ravel()], axis=1)).reshape(u.shape)
    return PlaneClassifier((score <= 0).astype(np.uint8))


@lru_cache(maxsize=1)
def drowning_noise() -> float:
    """The effective sigma from which on the toy's class 0 has the majority nowhere, on a grid."""
    toy, axis = toy_classifier(), np.linspace(0, 1, 81)
    return float(brentq(lambda noise: toy.surface(axis, noise).max() - 0.5, 0.05, 0.6))


@dataclass(frozen=True)
class Certificate:
    """What is known of the smoothed decision at a point.

    label: its class; None if it abstains. chance: pA, or its lower bound if `draws` passes
    estimated it (0: exact). count: how many of the draws gave the class. radius: certified, L2.
    """

    label: int | None
    chance: float
    radius: float
    draws: int = 0
    count: int = 0


def exact_certificate(
    classifier: PlaneClassifier, point: Floats, sigma: float, time_steps: int = 1
) -> Certificate:
    """The certificate at `point` `[2]` from the exact chance. Raises ConfigError."""
    noise = effective_sigma(sigma, time_steps)
    (chances,) = classifier.chances(point[None], noise)
    label, radius = int(chances.argmax()), noise * _quantiles(chances[None])[0]
    return Certificate(label, float(chances[label]), float(radius))


def exact_radii(
    classifier: PlaneClassifier, point: Floats, sigmas: Floats, time_steps: int = 1
) -> tuple[Floats, Classes]:
    """Certified radii and smoothed classes at `point` `[2]` for each of `sigmas`, both `[S]`."""
    noise = np.array([effective_sigma(float(sigma), time_steps) for sigma in sigmas])
    chances = classifier.chances(np.broadcast_to(point, (len(noise), 2)), noise)
    return noise * _quantiles(chances), chances.argmax(1)


def _quantiles(chances: Floats) -> Floats:
    """Phi^-1 of the larger chance of each row of `[N, 2]`, from the smaller one's digits.

    One that is too small for a float counts as the smallest there is: about 38, which is safe.
    """
    return np.maximum(0.0, -ndtri(np.maximum(chances.min(1), np.finfo(float).smallest_subnormal)))


def estimated_certificate(
    classifier: PlaneClassifier,
    point: Floats,
    sigma: float,
    time_steps: int,
    draws: int,
    seed: int,
    alpha: float = ALPHA,
) -> Certificate:
    """The certificate at `point` `[2]` as one gets it for a network: from passes with noise.

    Algorithm CERTIFY of Cohen, Rosenfeld, Kolter 2019: CHOICE_DRAWS passes choose the class,
    `draws` other ones count it, and with confidence 1 - alpha the radius holds. Abstains where
    the bound is at most 1/2. Raises ConfigError.
    """
    effective_sigma(sigma, time_steps)
    chosen, counted = (
        np.bincount(
            _passes(classifier, point, sigma, time_steps, n, derive_seed(seed, part)), minlength=2
        )
        for n, part in ((CHOICE_DRAWS, "choice"), (draws, "count"))
    )
    label = int(chosen.argmax())
    count = int(counted[label])
    bound = clopper_pearson_lower(count, draws, alpha)
    radius = certified_radius(bound, sigma, time_steps)
    return Certificate(label if bound > 0.5 else None, bound, radius, draws, count)


def _passes(
    classifier: PlaneClassifier, point: Floats, sigma: float, time_steps: int, n: int, seed: int
) -> Classes:
    """The classes `[n]` that passes over T noisy frames give, in the coding of the networks."""
    x = torch.tensor(point, dtype=torch.float32).view(1, 2, 1, 1).expand(n, 2, 1, 1)
    frames = RSCCoding(sigma)(x, time_steps, make_generator(seed))
    return classifier.classify(frames.mean(0).flatten(1).numpy())


@dataclass(frozen=True)
class AttackPath:
    """Where an attack went: `points` `[K+1, 2]` from the start on; `fooled`: the decision changed
    at the last of them. It ends early where there is no slope to follow."""

    points: Floats
    fooled: bool

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self.points) - 1

    @property
    def distance(self) -> float:
        """From the first point to the last, L2."""
        return float(np.linalg.norm(self.points[-1] - self.points[0]))


ATTACK_STEPS = 60
ATTACK_STEP = 0.01


def attack_smoothed(classifier: PlaneClassifier, point: Floats, noise: float) -> AttackPath:
    """Steps of length ATTACK_STEP down the chance of the smoothed decision's class, at effective
    sigma `noise`, until the decision changes or ATTACK_STEPS are done; pixels stay in 0..1."""

    def look(at: Floats) -> tuple[int, Floats]:
        chance, slope = classifier.slope(at, noise)
        return int(chance < 0.5), slope

    return _walk(point, look)


def attack_score(point: Floats) -> AttackPath:
    """The same steps against the toy without noise, down the gradient of its score.

    The decision itself is a step: its gradient is 0, so a score must stand in for it, as a
    network's logits do.
    """
    return _walk(point, lambda at: (int(toy_classifier().classify(at[None])[0]), toy_slope(at)))


def _walk(start: Floats, look: Callable[[Floats], tuple[int, Floats]]) -> AttackPath:
    """Steps away from the class at `start`; `look` gives a place's class and the gradient there
    towards class 0."""
    label, slope = look(start)
    sign = -1.0 if label == 0 else 1.0
    points = [start]
    for _ in range(ATTACK_STEPS):
        steepest = float(np.abs(slope).max())
        if steepest == 0:
            break
        slope = slope / steepest  # The squares of small slopes would be 0.
        way = sign * ATTACK_STEP / float(np.linalg.norm(slope)) * slope
        points.append(np.clip(points[-1] + way, 0, 1))
        now, slope = look(points[-1])
        if now != label:
            return AttackPath(np.array(points), True)
    return AttackPath(np.array(points), False)
