"""The smoothed toy against closed forms, Monte Carlo and other libraries; its radius by force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter
from scipy.stats import binomtest, norm

from rsc_snn.errors import ConfigError
from rsc_snn.smoothing import (
    ATTACK_STEP,
    ATTACK_STEPS,
    PlaneClassifier,
    attack_score,
    attack_smoothed,
    drowning_noise,
    estimated_certificate,
    exact_certificate,
    exact_radii,
    toy_classifier,
    toy_score,
    toy_slope,
)
from rsc_snn.theory import certified_radius, clopper_pearson_lower, effective_sigma

GRID = np.linspace(0, 1, 81)
MESH = np.stack([axis.ravel() for axis in np.meshgrid(GRID, GRID, indexing="ij")], axis=1)
POINTS = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(np.array)
SIGMAS = st.floats(0.02, 1)
STEPS = st.integers(1, 64)


def half_plane(cells: int = 64, edge: int = 32) -> PlaneClassifier:
    """Class 0 where u < edge / cells, in the whole plane."""
    picture = np.zeros((cells, cells), np.uint8)
    picture[edge:] = 1
    return PlaneClassifier(picture)


def random_picture(seed: int, cells: int = 8) -> PlaneClassifier:
    rng = np.random.default_rng(seed)
    return PlaneClassifier(rng.integers(0, 2, (cells, cells)).astype(np.uint8))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 63), st.floats(-1, 2), st.floats(-1, 2), SIGMAS, STEPS)
def test_the_radius_of_a_half_plane_is_the_distance_to_its_edge(
    edge: int, u: float, v: float, sigma: float, time_steps: int
) -> None:
    distance = abs(edge / 64 - u)
    assume(distance < 30 * effective_sigma(sigma, time_steps))
    found = exact_certificate(half_plane(edge=edge), np.array([u, v]), sigma, time_steps)
    assert found.radius == pytest.approx(distance, abs=1e-9)
    if distance > 1e-9:
        assert found.label == int(u > edge / 64)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), SIGMAS, POINTS)
def test_no_point_within_the_radius_has_another_smoothed_class(
    seed: int, sigma: float, point: np.ndarray
) -> None:
    for classifier in (toy_classifier(), random_picture(seed)):
        found = exact_certificate(classifier, point, sigma)
        turns = np.linspace(0, 2 * math.pi, 361)
        rim = point + found.radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        inside = np.linalg.norm(MESH - point, axis=1) < found.radius
        blue = classifier.surface(GRID, sigma).ravel()[inside]
        # At the rim itself the chance may be exactly 1/2.
        assert np.all((1 - blue if found.label else blue) >= 0.5 - 1e-9)
        assert np.all(classifier.chances(rim, sigma)[:, found.label] >= 0.5 - 1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), SIGMAS, POINTS)
def test_chances_sum_to_one_and_fit_the_surface_and_its_slope(
    seed: int, sigma: float, point: np.ndarray
) -> None:
    classifier = random_picture(seed)
    chances = classifier.chances(point[None], sigma)
    assert chances.sum() == pytest.approx(1, abs=1e-12)
    surface = classifier.surface(point, sigma)
    assert surface[0, 1] == pytest.approx(chances[0, 0], abs=1e-12)
    step = 1e-4 * sigma
    moves = step * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    moved = classifier.chances(point + moves, sigma)[:, 0]
    chance, slope = classifier.slope(point, sigma)
    assert chance == pytest.approx(chances[0, 0], abs=1e-12)
    assert_allclose(slope, (moved[::2] - moved[1::2]) / (2 * step), atol=1e-6 / sigma)


@pytest.mark.parametrize("sigma", [0.03, 0.1, 0.4])
def test_the_surface_is_scipys_gaussian_blur(sigma: float) -> None:
    classifier = toy_classifier()
    cells = len(classifier.cells)
    middles = (np.arange(cells) + 0.5) / cells
    # Edge values repeated outside, as noise is clipped; the filter samples the bell at the middles.
    expected = gaussian_filter(
        (classifier.cells == 0).astype(float), sigma * cells, mode="nearest", truncate=8
    )
    assert np.abs(classifier.surface(middles, sigma) - expected).max() < 0.01


@pytest.mark.parametrize(("sigma", "time_steps"), [(0.1, 1), (0.4, 4), (0.9, 16)])
def test_passes_over_noisy_frames_meet_the_exact_chance(sigma: float, time_steps: int) -> None:
    draws, points = 20_000, np.array([[0.42, 0.48], [0.95, 0.2], [0.1, 0.9], [0.9, 0.6]])
    chances = toy_classifier().chances(points, effective_sigma(sigma, time_steps))
    for point, expected in zip(points, chances, strict=True):
        found = estimated_certificate(toy_classifier(), point, sigma, time_steps, draws, seed=1)
        label = int(expected.argmax())
        assert found.label == label
        # One in a million false alarms for all twelve.
        assert binomtest(found.count, draws, expected[label]).pvalue > 1e-6 / 12


def test_chances_keep_their_digits_far_from_the_edge() -> None:
    chances = half_plane().chances(np.array([[-2.0, 0.5], [3.0, 0.5]]), 0.1)
    assert_allclose([chances[0, 1], chances[1, 0]], norm.sf(25), rtol=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1), st.floats(0.01, 1), STEPS)
def test_the_radius_is_the_formula_and_never_negative(
    chance: float, sigma: float, time_steps: int
) -> None:
    found = certified_radius(chance, sigma, time_steps)
    if chance <= 0.5:
        assert found == 0
    else:
        assert found == pytest.approx(sigma / math.sqrt(time_steps) * norm.ppf(chance))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.floats(0, 1), st.floats(1e-4, 0.5))
def test_the_bound_is_scipys_clopper_pearson(n: int, share: float, alpha: float) -> None:
    successes = round(share * n)
    test = binomtest(successes, n, alternative="greater")
    expected = test.proportion_ci(1 - alpha, method="exact").low
    assert clopper_pearson_lower(successes, n, alpha) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("draws", [100, 1_000, 10_000])
def test_draws_that_all_agree_certify_at_most_what_alpha_allows(draws: int) -> None:
    # Far inside its half of the plane, every pass agrees, and the exact radius is the distance.
    point, sigma = np.array([-3.0, 0.5]), 0.2
    found = estimated_certificate(half_plane(), point, sigma, 1, draws, seed=0)
    assert (found.label, found.count) == (0, draws)
    assert found.radius == pytest.approx(sigma * norm.ppf(0.001 ** (1 / draws)))
    assert found.radius < exact_certificate(half_plane(), point, sigma).radius


def test_estimates_stay_below_the_exact_radius_as_often_as_alpha_says() -> None:
    point, sigma, alpha, runs = np.array([0.35, 0.5]), 0.2, 0.1, 400
    exact = exact_certificate(half_plane(), point, sigma).radius
    above = sum(
        estimated_certificate(half_plane(), point, sigma, 2, 200, seed, alpha).radius > exact
        for seed in range(runs)
    )
    assert binomtest(above, runs, alpha, alternative="greater").pvalue > 1e-6


def test_it_abstains_where_the_classes_are_even() -> None:
    found = estimated_certificate(half_plane(), np.array([0.5, 0.5]), 0.2, 4, 1_000, seed=0)
    assert (found.label, found.radius) == (None, 0.0)
    assert found.chance <= 0.5


def test_equal_seeds_give_equal_estimates() -> None:
    first, again, other = (
        estimated_certificate(toy_classifier(), np.array([0.62, 0.41]), 0.3, 4, 1_000, seed)
        for seed in (4, 4, 5)
    )
    assert first == again
    assert first.count != other.count


def test_the_circle_grows_then_shrinks_as_sigma_grows() -> None:
    sigmas = np.linspace(0.05, 0.8, 76)
    point = np.array([0.62, 0.5])
    radii, labels = exact_radii(toy_classifier(), point, sigmas, 4)
    for at in (0, 30, 75):
        one = exact_certificate(toy_classifier(), point, float(sigmas[at]), 4)
        assert (radii[at], labels[at]) == (pytest.approx(one.radius), one.label)
    own = radii[labels == 0]
    assert 0 < own.argmax() < len(own) - 1
    assert own.max() > 1.2 * own[0]
    assert own[-1] < 0.2 * own.max() and labels[-1] == 1


@settings(max_examples=40, deadline=None)
@given(POINTS)
def test_the_slope_of_the_score_is_its_derivative(point: np.ndarray) -> None:
    step = 1e-6
    moved = toy_score(point + step * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]))
    assert_allclose(toy_slope(point), (moved[::2] - moved[1::2]) / (2 * step), atol=1e-6)


def test_the_toy_is_its_score_but_for_the_cells_that_the_edge_crosses() -> None:
    points = np.random.default_rng(0).random((5000, 2))
    score = toy_score(points)
    clear = np.abs(score) > 0.02
    assert clear.mean() > 0.8
    assert np.array_equal(toy_classifier().classify(points)[clear], score[clear] <= 0)


@settings(max_examples=40, deadline=None)
@given(POINTS, st.floats(0.03, 0.4))
def test_an_attack_ends_beyond_the_radius_where_the_class_is_another(
    point: np.ndarray, noise: float
) -> None:
    classifier = toy_classifier()
    path = attack_smoothed(classifier, point, noise)
    assert np.all((path.points >= 0) & (path.points <= 1))
    assert len(path.points) <= ATTACK_STEPS + 1
    moves = np.linalg.norm(np.diff(path.points, axis=0), axis=1)
    assert np.all(moves <= ATTACK_STEP + 1e-12)
    labels = classifier.chances(path.points, noise).argmax(1)
    assert np.all(labels[:-1] == labels[0])
    assert path.fooled == (labels[-1] != labels[0])
    if path.fooled:
        assert path.distance >= exact_certificate(classifier, point, noise).radius - 1e-9


@pytest.mark.parametrize("noise", [0.0125, 0.025])
def test_far_from_the_edge_little_noise_leaves_a_slope_to_follow(noise: float) -> None:
    """Where nearly all passes agree, only the few others tell the direction."""
    classifier = toy_classifier()
    for u, v in ((0.5, 0.5), (0.44, 0.5), (0.9, 0.0), (0.0, 0.0)):
        path = attack_smoothed(classifier, np.array([u, v]), noise)
        chances = classifier.chances(path.points[:2], noise)
        assert path.steps > 0 and chances.min(axis=1)[1] > chances.min(axis=1)[0]


def test_from_the_drowning_noise_on_no_place_has_the_majority() -> None:
    toy, noise = toy_classifier(), drowning_noise()
    mesh = np.stack(np.meshgrid(*2 * [np.linspace(0, 1, 41)]), axis=-1).reshape(-1, 2)
    assert toy.chances(mesh, 1.01 * noise)[:, 0].max() < 0.5
    assert toy.chances(mesh, 0.99 * noise)[:, 0].max() > 0.5


def test_gradients_find_the_smoothed_edge_and_miss_the_raw_one() -> None:
    classifier = toy_classifier()
    points = np.random.default_rng(1).random((60, 2))
    raw = np.mean([attack_score(point).fooled for point in points])
    smoothed = np.mean([attack_smoothed(classifier, point, 0.1).fooled for point in points])
    assert smoothed == 1.0 and raw < 0.7


@settings(max_examples=40, deadline=None)
@given(POINTS, st.integers(0, 2**32 - 1))
def test_the_nearest_change_is_the_nearest_of_all_points(point: np.ndarray, seed: int) -> None:
    classifier = random_picture(seed)
    near = classifier.nearest_change(point)
    away = near + 1e-9 * (near - point)  # onto the other side of an edge that it lies on
    own = classifier.classify(point[None])[0]
    sides = away + 1e-9 * np.array([[0, 0], [1, 1], [1, -1], [-1, 1], [-1, -1]])
    assert np.any(classifier.classify(sides) != own)
    others = MESH[classifier.classify(MESH) != own]
    distances = np.linalg.norm(others - point, axis=1)
    assert np.linalg.norm(near - point) <= distances.min(initial=np.inf) + 1e-12


def test_what_has_no_meaning_is_refused() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        effective_sigma(0.0, 4)
    with pytest.raises(ConfigError, match="time steps"):
        certified_radius(0.9, 0.2, 0)
    with pytest.raises(ConfigError, match="chance"):
        certified_radius(1.1, 0.2)
    with pytest.raises(ConfigError, match="no bound"):
        clopper_pearson_lower(3, 2)
    with pytest.raises(ConfigError, match="one class"):
        PlaneClassifier(np.zeros((4, 4), np.uint8)).nearest_change(np.array([0.5, 0.5]))


@pytest.mark.parametrize(
    ("u", "v", "sigma", "time_steps"), [(0.44, 0.5, 0.02, 16), (1, 1, 0.05, 64)]
)
def test_a_chance_too_small_for_a_float_certifies_no_more_than_is_true(
    u: float, v: float, sigma: float, time_steps: int
) -> None:
    found = exact_certificate(toy_classifier(), np.array([u, v]), sigma, time_steps)
    assert 30 * sigma < found.radius * time_steps**0.5 < 40 * sigma
