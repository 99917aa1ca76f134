"""The point within a limit: chosen on one half of the images, reported on the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from rsc_snn.errors import ConfigError, DataError
from rsc_snn.tradeoff import OperatingPoint, best_under_budget
from tests.tradeoff_cells import draw_right, make_point, quiet_and_noisy, worst_point

N = 400


def point(sigma: float, clean: float, robust: float, **changes: Any) -> OperatingPoint:
    """A point with these shares right among the even images and among the odd ones."""
    place = np.arange(N) // 2 / (N // 2)
    return make_point(place < clean, place < robust, sigma=sigma, **changes)


DIAL = [point(0.0, 0.9, 0.1), point(0.1, 0.86, 0.3), point(0.2, 0.8, 0.5), point(0.3, 0.6, 0.45)]


@pytest.mark.parametrize(
    ("max_loss", "sigma"), [(0.0, 0.0), (0.04, 0.1), (0.05, 0.1), (0.1, 0.2), (1.0, 0.2)]
)
def test_the_most_robust_point_within_the_loss(max_loss: float, sigma: float) -> None:
    choice = best_under_budget(DIAL, max_loss=max_loss)
    assert choice is not None and choice.reference is DIAL[0]
    assert choice.point.sigma == sigma
    assert choice.within == sum(0.9 - p.clean.value <= max_loss + 1e-9 for p in DIAL)
    assert choice.robust.n == N // 2 and choice.candidates == 4
    assert choice.loss is not None
    assert choice.loss.value == pytest.approx(0.9 - choice.clean.value)


def test_a_least_accuracy_and_none_that_reaches_it() -> None:
    choice = best_under_budget(DIAL, min_clean=0.85)
    assert choice is not None and choice.point.sigma == 0.1 and choice.loss is None
    assert choice.held == "perhaps"
    assert choice.sentence().startswith("At least 85% clean accuracy: tiny-rsc at sigma 0.1, T = 4")
    assert best_under_budget(DIAL, min_clean=0.95) is None
    assert best_under_budget([], max_loss=0.1) is None


def test_a_reference_of_another_model() -> None:
    ann = point(0.0, 0.95, 0.0, model="ann", sha256="c" * 64)
    choice = best_under_budget(DIAL, max_loss=0.1, reference=ann)
    assert choice is not None and choice.point.sigma == 0.1
    assert "At most 10 points of accuracy below ann at sigma 0" in choice.sentence()
    assert best_under_budget(DIAL, max_loss=0.01, reference=ann) is None
    names = {"ann": "ANN", "tiny-rsc": "RSC-SNN"}
    named = best_under_budget(DIAL, max_loss=0.1, reference=ann, names=names)
    assert named is not None
    words = "At most 10 points of accuracy below ANN at sigma 0, T = 4: RSC-SNN at sigma 0.1, T = 4"
    assert named.sentence().startswith(words)


def test_even_images_choose_and_odd_ones_report() -> None:
    even = np.arange(N) % 2 == 0
    lucky = make_point(np.ones(N), even, sigma=0.1)
    steady = make_point(np.ones(N), (np.arange(N) // 2) % 2 == 0, sigma=0.2)
    choice = best_under_budget([steady, lucky], max_loss=0.0)
    assert choice is not None and choice.point is lucky
    assert choice.promised == 1.0 and choice.robust.value == 0.0
    (rival,) = choice.rivals
    assert rival.point is steady and rival.robust.value == 0.5
    assert rival.behind.value == -0.5 and not rival.tied
    assert choice.better == (rival,) and choice.tied == ()
    assert "promised 100.0%" in choice.caveat()
    assert "2 of 2 settings kept the limit" in choice.caveat()
    assert choice.caveat().endswith(
        "Others that kept it: 1, of which none as good within the noise; 1 better by more than "
        "noise, so that the choice was luck."
    )


@pytest.mark.parametrize(("loss", "words"), [(0.01, "1 point of"), (0.05, "5 points of")])
def test_one_point_is_one_point(loss: float, words: str) -> None:
    choice = best_under_budget(DIAL, max_loss=loss)
    assert choice is not None and choice.limit.startswith(f"At most {words} accuracy below")


@pytest.mark.parametrize("turned", [False, True])
def test_of_equally_robust_points_the_more_accurate_one_is_chosen(turned: bool) -> None:
    """None withstands; by each image's lowest score and by the strongest attack alone."""
    none = np.zeros((2, 8))
    lame = worst_point([[0] + [1] * 7] * 2, [none, none], sigma=0.3 if turned else 0.1)
    able = worst_point([[1] * 8] * 2, [none, none], sigma=0.2)
    for points in ([lame, able], [able, lame]):
        choice = best_under_budget(points, min_clean=0.5)
        assert choice is not None and choice.point is able and choice.shared


def test_equal_sums_in_another_order_are_equal() -> None:
    """0.1, 0.2 and 0.3 add up to 0.6, or to a little more."""
    images = [np.arange(10) < right for right in (1, 2, 3)]
    rights = [
        np.repeat([images[i] for i in order], 2, axis=0).T for order in ((0, 1, 2), (2, 1, 0))
    ]
    ones = np.ones((10, 6))
    worse = np.concatenate([np.zeros((10, 2)), ones[:, 2:]], axis=1)
    for first, second in (rights, rights[::-1]):
        lame, able = make_point(worse, first, sigma=0.1), make_point(ones, second, sigma=0.2)
        choice = best_under_budget([lame, able], min_clean=0.1)
        assert choice is not None and choice.point is able


@pytest.mark.parametrize("images", [2, 20, 50])
def test_few_images_cannot_tell_that_a_budget_is_kept(images: int) -> None:
    """Without a difference among so few, five points may be lost all the same."""
    same = np.ones(images)
    dial = [make_point(same, 0 * same, sigma=0.0), make_point(same, same, sigma=0.1)]
    choice = best_under_budget(dial, max_loss=0.05, reference=dial[0])
    assert choice is not None and choice.point is dial[1]
    assert choice.held == "perhaps"
    assert choice.loss is not None and choice.loss.value == 0 < 0.05 < choice.loss.upper


def test_against_itself_nothing_is_lost() -> None:
    choice = best_under_budget([make_point(np.ones(4), np.ones(4), sigma=0.1)], max_loss=0.0)
    assert choice is not None and choice.point is choice.reference and choice.held == "yes"
    assert choice.loss is not None and choice.loss.text() == "0.0 (0.0 to 0.0)"


def test_a_choice_without_rivals_was_compared_with_none() -> None:
    choice = best_under_budget(DIAL, max_loss=0.0)
    assert choice is not None and choice.within == 1 and choice.rivals == ()
    assert "1 of 4 settings kept the limit" in choice.caveat()
    assert choice.caveat().endswith(
        "No other setting kept the limit, so it was compared with none."
    )


@pytest.mark.parametrize(
    ("limits", "near"),
    [
        ({"max_loss": 0.0}, []),
        ({"max_loss": 0.02}, [0.1]),
        ({"max_loss": 0.06}, [0.2]),
        ({"max_loss": 1.0}, []),
        ({"min_clean": 0.84}, [0.2]),
        ({"min_clean": 0.89}, [0.1]),
    ],
)
def test_points_that_miss_the_budget_by_noise_are_named(
    limits: dict[str, float], near: list[float]
) -> None:
    choice = best_under_budget(DIAL, **limits)  # type: ignore[arg-type]
    assert choice is not None
    assert [point.sigma for point in choice.near] == near


@pytest.mark.parametrize(("fallen", "held"), [(10, "yes"), (30, "perhaps"), (60, "no")])
def test_whether_the_budget_is_kept_is_read_from_the_other_half(fallen: int, held: str) -> None:
    odd = np.arange(N) % 2 == 1
    wrong = odd & (np.arange(N) // 2 < fallen)
    points = [make_point(np.ones(N), np.zeros(N), sigma=0.0), make_point(~wrong, ~wrong, sigma=0.1)]
    choice = best_under_budget(points, max_loss=0.15)
    assert choice is not None and choice.point is points[1]
    assert choice.loss is not None and choice.loss.value == pytest.approx(fallen / 200)
    assert choice.held == held


def test_rivals_that_cannot_be_told_apart_are_tied() -> None:
    close = point(0.25, 0.8, 0.495)
    choice = best_under_budget([*DIAL, close], max_loss=0.2)
    assert choice is not None and choice.point.sigma == 0.2
    assert [rival.point.sigma for rival in choice.tied] == [0.25]
    assert [rival.point.sigma for rival in choice.rivals] == [0.25, 0.1, 0.0]
    assert {rival.behind.comparisons for rival in choice.rivals} == {3}


def test_the_report_is_free_of_the_winners_curse() -> None:
    """Eight equal points, many times: the promise is too high, the report right on average."""
    promised, reported = [], []
    for trial in range(25):
        points = [
            make_point(np.ones(80), draw_right(np.full(80, 0.4), 1, 100 * trial + index), sigma=0.1)
            for index in range(8)
        ]
        choice = best_under_budget(points, max_loss=0.0)
        assert choice is not None
        promised.append(choice.promised)
        reported.append(choice.robust.value)
    spread = (0.4 * 0.6 / 40 / 25) ** 0.5
    assert abs(np.mean(reported) - 0.4) < stats.norm.isf(1e-6) * spread
    assert np.mean(promised) - 0.4 > stats.norm.isf(1e-6) * spread


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_does_not_choose(seed: int) -> None:
    """Of two settings with one true worst case the one without noise is chosen, but not told."""
    quiet, noisy = quiet_and_noisy(seed)
    choice = best_under_budget([quiet, noisy], max_loss=0.0)
    assert choice is not None and choice.point is quiet
    (rival,) = choice.rivals
    assert rival.behind.value > 0.1, "by each image's lowest score"
    assert choice.apart == (rival,) and choice.tied == choice.better == ()
    assert "none as good within the noise; 1 not told from it at both ends" in choice.caveat()


def test_a_choice_that_the_strongest_attack_alone_does_not_share_says_so() -> None:
    """By the strongest attack alone the noisy setting, 0.6, is before the quiet one, 0.5."""
    sure, every, clean = np.arange(N) % 4 < 2, np.full(N, 0.6), np.ones((5, N))
    quiet = worst_point(clean, [[sure] * 5] * 3, sigma=0.1)
    noisy = worst_point(clean, [draw_right(every, 5, seed) for seed in range(3)], sigma=0.2)
    choice = best_under_budget([quiet, noisy], max_loss=0.0)
    assert choice is not None and choice.point is quiet and choice.upper is noisy
    assert not choice.shared
    assert choice.sentence().endswith("The choice is not shared by the strongest attack alone.")
    for one in (best_under_budget(DIAL, max_loss=0.1), best_under_budget([quiet], max_loss=0.0)):
        assert one is not None and one.shared and "shared" not in one.sentence()


def test_bad_budgets() -> None:
    for limits in ({}, {"max_loss": 0.1, "min_clean": 0.5}):
        with pytest.raises(ConfigError, match="either a loss"):
            best_under_budget(DIAL, **limits)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="share from 0 to 1"):
        best_under_budget(DIAL, max_loss=5)
    with pytest.raises(DataError, match="other images"):
        best_under_budget([*DIAL, point(0.5, 0.5, 0.5, data="other")], max_loss=0.1)
    with pytest.raises(DataError, match="two images"):
        best_under_budget([make_point([1], [1])], max_loss=0.1)
