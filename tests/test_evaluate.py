from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from rsc_snn.attacks import run_attack
from rsc_snn.classifier import SpikingClassifier
from rsc_snn.errors import AttackError, Cancelled, ConfigError, DataError
from rsc_snn.evaluate import (
    AttackChoice,
    accuracy_estimate,
    evaluate_accuracy,
    evaluate_worst,
    image_scores,
    sigma_sweep,
    wilson,
)
from rsc_snn.randomness import derive_seed
from tests.attacks.tiny import random_images, tiny_model

Batch = tuple[Tensor, Tensor]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Models this small are slower on several threads, and far slower beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def noisy() -> SpikingClassifier:
    return tiny_model(sigma=0.05)


@pytest.fixture(scope="module")
def plain() -> SpikingClassifier:
    return tiny_model(neuron="relu", coding="direct", time_steps=1)


@pytest.fixture(scope="module")
def batch(plain: SpikingClassifier) -> Batch:
    """Images with the classes that `plain` gives two thirds of them."""
    x = random_images(30, seed=11)
    labels = plain(x).argmax(dim=-1)
    labels[::3] = (labels[::3] + 1) % 10
    return x, labels


class TestWilson:
    @settings(deadline=None)
    @given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from([0.9, 0.95, 0.99]))
    def test_closed_form(self, n: int, share: float, confidence: float) -> None:
        successes = round(share * n)
        z = math.sqrt(2) * float(torch.erfinv(torch.tensor(confidence, dtype=torch.float64)))
        p = successes / n
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        estimate = wilson(successes, n, confidence)
        assert estimate.lower == pytest.approx(max(centre - half, 0), abs=1e-9)
        assert estimate.upper == pytest.approx(min(centre + half, 1), abs=1e-9)
        assert 0 <= estimate.lower <= estimate.value == p <= estimate.upper <= 1
        assert estimate.n == n

    def test_published_value(self) -> None:
        """81 of 263: Newcombe 1998, table I, method 3."""
        estimate = wilson(81, 263)
        assert estimate.lower == pytest.approx(0.2553, abs=5e-5)
        assert estimate.upper == pytest.approx(0.3662, abs=5e-5)

    @pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 5), (6, 5), (0, -1)])
    def test_no_share(self, successes: int, n: int) -> None:
        with pytest.raises(ConfigError):
            wilson(successes, n)


class TestAccuracyEstimate:
    @settings(deadline=None)
    @given(st.lists(st.booleans(), min_size=1, max_size=200), st.integers(1, 16))
    def test_zeros_and_ones_give_wilson(self, correct: list[bool], draws: int) -> None:
        estimate = accuracy_estimate(torch.tensor(correct).float(), draws)
        expected = wilson(sum(correct), len(correct))
        assert estimate.value == pytest.approx(expected.value)
        assert estimate.lower == pytest.approx(expected.lower, abs=1e-6)
        assert estimate.upper == pytest.approx(expected.upper, abs=1e-6)
        assert estimate.n == len(correct)

    def test_equal_scores_count_as_nearly_independent_draws(self) -> None:
        estimate = accuracy_estimate(torch.full((50,), 0.5), draws=8)
        ratio = stats.t.ppf(0.975, 399) / stats.t.ppf(0.975, 49)
        expected = wilson(200 * ratio**2, 400 * ratio**2)
        assert (estimate.lower, estimate.upper) == pytest.approx((expected.lower, expected.upper))
        assert estimate.n == 50

    def test_a_single_image_is_one_trial_however_many_draws(self) -> None:
        estimate = accuracy_estimate(torch.tensor([0.9]), draws=100)
        expected = wilson(0.9, 1)
        assert (estimate.lower, estimate.upper) == pytest.approx((expected.lower, expected.upper))

    @settings(deadline=None)
    @given(
        st.lists(st.integers(0, 8), min_size=2, max_size=60).filter(lambda s: sum(s) > 0),
    )
    def test_between_the_two_extremes(self, hits: list[int]) -> None:
        n, draws = len(hits), 8
        estimate = accuracy_estimate(torch.tensor(hits) / draws, draws)
        widest = wilson(sum(hits) / draws, n)
        narrowest = wilson(sum(hits), n * draws)
        width = estimate.upper - estimate.lower
        assert narrowest.upper - narrowest.lower - 1e-6 <= width
        assert width <= widest.upper - widest.lower + 1e-6
        assert estimate.lower <= estimate.value <= estimate.upper

    @pytest.mark.parametrize("shape", [(0.4, 0.2), (2.0, 2.0), (8.0, 1.0), (30.0, 30.0)])
    @pytest.mark.parametrize("draws", [1, 4, 16])
    def test_coverage(self, shape: tuple[float, float], draws: int) -> None:
        """Images of a population Beta(a, b) of chances to be correct: 95 % must be covered."""
        torch.manual_seed(0)
        repeats, n = 400, 60
        chances = torch.distributions.Beta(*shape).sample((repeats, n))
        hits = torch.distributions.Binomial(draws, chances).sample() / draws
        truth = shape[0] / sum(shape)
        estimates = [accuracy_estimate(row, draws) for row in hits]
        covered = sum(e.lower <= truth <= e.upper for e in estimates) / repeats
        assert 0.92 <= covered <= 0.985

    @pytest.mark.parametrize(
        ("n", "draws", "sure", "hard", "chance"),
        [
            (20, 16, 0.05, 0.95, 0.05),
            (50, 16, 0.03, 0.97, 0.05),
            (100, 4, 0.02, 0.2, 0.05),
            (300, 5, 0.006, 0.02, 0.1),
        ],
    )
    @pytest.mark.parametrize("mirrored", [False, True])
    def test_coverage_where_few_images_decide(
        self, n: int, draws: int, sure: float, hard: float, chance: float, mirrored: bool
    ) -> None:
        """Few images are right for sure, others by chance, the rest never: few or none is drawn."""
        torch.manual_seed(0)
        repeats, place = 400, torch.rand(400, n)
        chances = torch.where(place < sure, 1.0, torch.where(place < sure + hard, chance, 0.0))
        truth = sure + hard * chance
        if mirrored:
            chances, truth = 1 - chances, 1 - truth
        hits = torch.distributions.Binomial(draws, chances.double()).sample() / draws
        estimates = [accuracy_estimate(row, draws) for row in hits]
        covered = sum(e.lower <= truth <= e.upper for e in estimates) / repeats
        assert covered >= 0.94

    @pytest.mark.parametrize("n", [1, 2, 5, 10])
    @pytest.mark.parametrize("draws", [10, 100])
    def test_coverage_of_few_images(self, n: int, draws: int) -> None:
        """Any chance to be correct as likely as any other: the scores may agree by luck alone."""
        torch.manual_seed(0)
        chances = torch.rand(1000, n)
        hits = torch.distributions.Binomial(draws, chances).sample() / draws
        estimates = [accuracy_estimate(row, draws) for row in hits]
        assert sum(e.lower <= 0.5 <= e.upper for e in estimates) >= 930

    def test_of_many_images_the_variance_is_known(self) -> None:
        """From 50 images on the interval is at most 7 % wider than at a known variance."""
        torch.manual_seed(0)
        for n in (50, 200, 1000):
            scores = torch.distributions.Binomial(8, torch.rand(n)).sample().double() / 8
            share, variance = float(scores.mean()), float(scores.var(unbiased=False))
            effective = n * share * (1 - share) / variance
            known, found = wilson(share * effective, effective), accuracy_estimate(scores, 8)
            assert 1 < (found.upper - found.lower) / (known.upper - known.lower) < 1 + 3.5 / n

    def test_empty(self) -> None:
        with pytest.raises(DataError):
            accuracy_estimate(torch.zeros(0))


class TestImageScores:
    logits = torch.tensor(
        [
            [[2.0, 1.0, 0.0], [0.0, 1.0, 0.0]],
            [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]],
            [[3.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
        ]
    )
    labels = torch.tensor([0, 1])

    def test_single_is_the_share_of_draws(self) -> None:
        assert image_scores(self.logits, self.labels).tolist() == [0.5, 0.5]

    def test_vote_is_the_most_frequent_class(self) -> None:
        assert image_scores(self.logits, self.labels, "vote").tolist() == [1.0, 1.0]
        tie = image_scores(self.logits, torch.tensor([1, 1]), "vote")
        assert tie.tolist() == [0.0, 1.0], "a tie goes to the lowest class"

    def test_unknown(self) -> None:
        with pytest.raises(ConfigError, match="single, vote"):
            image_scores(self.logits, self.labels, "mean")  # type: ignore[arg-type]


class TestEvaluateAccuracy:
    def test_clean_against_brute_force(self, plain: SpikingClassifier, batch: Batch) -> None:
        result = evaluate_accuracy(plain, *batch, batch_size=7)
        expected = (plain(batch[0]).argmax(dim=-1) == batch[1]).float()
        assert torch.equal(result.clean_scores, expected)
        assert result.clean == accuracy_estimate(expected)
        assert result.robust is None
        assert result.n == 30

    @pytest.mark.parametrize("predictor", ["single", "vote"])
    def test_robust_against_brute_force(
        self, predictor: Any, noisy: SpikingClassifier, batch: Batch
    ) -> None:
        parameters = {"epsilon": 4, "steps": 3}
        result = evaluate_accuracy(
            noisy,
            *batch,
            attack="pgd",
            parameters=parameters,
            batch_size=16,
            draws=5,
            predictor=predictor,
            seed=3,
        )
        clean, robust, queries = [], [], 0
        for index, rows in enumerate((slice(0, 16), slice(16, 30))):
            seed = derive_seed(3, "batch", index)
            labels = batch[1][rows]
            one = run_attack(noisy, batch[0][rows], labels, "pgd", parameters, draws=5, seed=seed)
            clean.append(image_scores(one.clean_logits, labels, predictor))
            robust.append(image_scores(one.adversarial_logits, labels, predictor))
            queries += one.queries
        assert torch.equal(result.clean_scores, torch.cat(clean))
        assert result.robust_scores is not None
        assert torch.equal(result.robust_scores, torch.cat(robust))
        assert result.queries == queries == 30 * 3
        assert result.parameters["epsilon"] == 4

    def test_clean_is_the_same_with_and_without_an_attack(
        self, noisy: SpikingClassifier, batch: Batch
    ) -> None:
        alone = evaluate_accuracy(noisy, *batch, draws=3, seed=1)
        attacked = evaluate_accuracy(noisy, *batch, draws=3, seed=1, attack="fgsm")
        assert torch.equal(alone.clean_scores, attacked.clean_scores)

    def test_bytes_are_pixels(self, plain: SpikingClassifier, batch: Batch) -> None:
        images = (batch[0] * 255).byte()
        as_bytes = evaluate_accuracy(plain, images, batch[1])
        as_floats = evaluate_accuracy(plain, images.float() / 255, batch[1])
        assert torch.equal(as_bytes.clean_scores, as_floats.clean_scores)

    def test_limit_takes_a_random_subset_of_the_seed(
        self, plain: SpikingClassifier, batch: Batch
    ) -> None:
        expected = evaluate_accuracy(plain, *batch).clean_scores
        subsets = []
        for seed in range(4):
            first = evaluate_accuracy(plain, *batch, limit=9, seed=seed)
            second = evaluate_accuracy(plain, *batch, limit=9, seed=seed)
            assert first.n == 9
            assert torch.equal(first.clean_scores, second.clean_scores)
            subsets.append(tuple(first.clean_scores.tolist()))
        assert len(set(subsets)) > 1, "every seed took the same images"
        assert torch.equal(evaluate_accuracy(plain, *batch, limit=1000).clean_scores, expected)

    def test_progress_and_json(self, noisy: SpikingClassifier, batch: Batch) -> None:
        seen: list[float] = []
        result = evaluate_accuracy(
            noisy, *batch, attack="pgd", batch_size=8, progress=seen.append, draws=2
        )
        assert seen == sorted(seen)
        assert seen[-1] == 1.0
        assert len(set(seen)) > 20
        record = result.to_json()
        assert record["robust"]["n"] == record["n"] == 30
        assert record["clean"]["value"] == result.clean.value
        assert (record["attack"], record["draws"], record["sigma"]) == ("pgd", 2, 0.05)

    def test_cancel(self, noisy: SpikingClassifier, batch: Batch) -> None:
        with pytest.raises(Cancelled):
            evaluate_accuracy(noisy, *batch, cancelled=lambda: True)
        with pytest.raises(Cancelled):
            evaluate_accuracy(noisy, *batch, attack="pgd", cancelled=lambda: True)

    def test_mistakes(self, noisy: SpikingClassifier, batch: Batch) -> None:
        x, labels = batch
        with pytest.raises(DataError):
            evaluate_accuracy(noisy, x[:0], labels[:0])
        with pytest.raises(DataError, match="30 images but 29"):
            evaluate_accuracy(noisy, x, labels[:-1])
        with pytest.raises(ConfigError, match="batch size"):
            evaluate_accuracy(noisy, x, labels, batch_size=0)
        with pytest.raises(ConfigError, match="number of images"):
            evaluate_accuracy(noisy, x, labels, limit=0)
        with pytest.raises(AttackError, match="Unknown attack"):
            evaluate_accuracy(noisy, x, labels, attack="nope")
        with pytest.raises(AttackError, match="Epsilon"):
            evaluate_accuracy(noisy, x, labels, attack="pgd", parameters={"epsilon": -1})


class TestWorstCase:
    attacks: tuple[AttackChoice, ...] = (
        ("fgsm", {"epsilon": 2}),
        ("uniform_noise", {"epsilon": 30}),
        ("pgd", {}),
    )

    @pytest.mark.parametrize("draws", [1, 6])
    def test_lowest_score_of_each_image(
        self, draws: int, noisy: SpikingClassifier, batch: Batch
    ) -> None:
        result = evaluate_worst(noisy, *batch, self.attacks, draws=draws, seed=2)
        single = [
            evaluate_accuracy(noisy, *batch, attack=name, parameters=p, draws=draws, seed=2)
            for name, p in self.attacks
        ]
        for image in range(30):
            lowest = min(float(one.robust_scores[image]) for one in single)  # type: ignore[index]
            expected = min(lowest, float(single[0].clean_scores[image]))
            assert float(result.scores[image]) == expected
        assert len(result.each) == 3
        assert all(
            one.robust is not None and result.robust.value <= one.robust.value
            for one in result.each
        )
        assert result.robust.value <= result.clean.value

    def test_needs_an_attack(self, noisy: SpikingClassifier, batch: Batch) -> None:
        with pytest.raises(DataError):
            evaluate_worst(noisy, *batch, [])


class TestSigmaSweep:
    def test_points_come_one_by_one(self, noisy: SpikingClassifier, batch: Batch) -> None:
        seen: list[float] = []
        sigmas = [0.0, 0.05, 0.5]
        options: dict[str, Any] = {"attack": "fgsm", "parameters": {"epsilon": 2}, "draws": 2}
        points = []
        for point in sigma_sweep(noisy, *batch, sigmas=sigmas, progress=seen.append, **options):
            points.append(point)
            assert seen[-1] == pytest.approx(len(points) / 3)
        assert [point.sigma for point in points] == sigmas
        for point in points:
            expected = evaluate_accuracy(noisy, *batch, sigma=point.sigma, **options)
            assert (point.clean, point.robust) == (expected.clean, expected.robust)
            assert point.n == 30

    def test_a_model_without_sigma(self, plain: SpikingClassifier, batch: Batch) -> None:
        with pytest.raises(ConfigError, match="sigma"):
            next(sigma_sweep(plain, *batch, attack="fgsm", sigmas=[0.1]))

    def test_cancel_between_points(self, noisy: SpikingClassifier, batch: Batch) -> None:
        stop = False
        points = sigma_sweep(
            noisy, *batch, attack="fgsm", sigmas=[0.0, 0.1], cancelled=lambda: stop
        )
        next(points)
        stop = True
        with pytest.raises(Cancelled):
            next(points)
