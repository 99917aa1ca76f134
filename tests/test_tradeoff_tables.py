"""What docs/tradeoff.md says of where noise wins, from hand-made points."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from tests.tradeoff_cells import draw_right, make_point
from tests.tradeoff_tables import COLUMNS, Points, where_noise_wins

FALSE_ALARM = 1e-6
_DIALS = 60
KNOWN = (0.0, 0.4)
SIGMAS = (0.1, 0.2, 0.3, 0.4, 0.5)


def dial(*robust: int) -> Points:
    """Of 200 images the first so many withstand, at each of the sigmas."""
    images = np.arange(200)
    return {
        sigma: make_point(images < 180, images < count, sigma=sigma)
        for sigma, count in zip(SIGMAS, robust, strict=True)
    }


@pytest.mark.parametrize(
    ("robust", "words"),
    [
        (
            (40, 97, 100, 96, 60),
            "measured highest at sigma 0.3 and is not told from that at 0.2, 0.4; "
            "the first larger sigma at which it is lower is 0.5†, by 20.0 (14.5 to 25.5) points.",
        ),
        (
            (40, 60, 100, 60, 20),
            "highest at sigma 0.3 and is above that at all others; the first "
            "larger sigma at which it is lower is 0.4, by 20.0 (14.5 to 25.5) points.",
        ),
        (
            (40, 60, 80, 98, 99),
            "highest at sigma 0.5†, the largest that was measured, and is not told from that at "
            "0.4.",
        ),
        (
            (40, 60, 80, 100, 99),
            "highest at sigma 0.4 and is not told from that at 0.5†; at no larger "
            "sigma it is lower by more than noise.",
        ),
        # Of 8 lost images the exact p is 0.0078: chance as one of ten pairs.
        ((100, 92, 92, 92, 92), "at sigma 0.1 and is not told from that at 0.2, 0.3, 0.4, 0.5†;"),
    ],
)
def test_the_highest_is_told_only_from_what_is_lower_by_more_than_noise(
    robust: tuple[int, ...], words: str
) -> None:
    text = where_noise_wins([dial(*robust), *[{}] * (len(COLUMNS) - 1)], KNOWN)
    assert f"- Under {COLUMNS[0][0]} robust accuracy was measured " in text
    assert words in text


def test_of_equal_sigmas_none_is_said_to_be_lower() -> None:
    """A dial of equal rates has a sigma below the highest in 5 % at most, all pairs considered."""
    every = "not told from that at " + ", ".join(["0.{}†?"] * 4)
    wrong = 0
    for seed in range(_DIALS):
        rights = [draw_right(np.full(200, 0.5), 3, 100 * seed + place) for place in range(5)]
        points: Points = {
            sigma: make_point(np.ones((3, 200)), right, sigma=sigma)
            for sigma, right in zip(SIGMAS, rights, strict=True)
        }
        text = where_noise_wins([points, {}, {}, {}], KNOWN)
        wrong += re.search(every.format(*[r"\d"] * 4), text) is None
    assert wrong <= stats.binom.isf(FALSE_ALARM, _DIALS, 0.05)
