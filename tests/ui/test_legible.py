"""Which lines of the explorer's figures are shown where there are too many."""

from __future__ import annotations

from itertools import product

from rsc_snn.ui.explorer.legible import few_dials, few_levels, few_settings, spread
from rsc_snn.ui.explorer.measured import Setting

SIGMAS = [step / 20 for step in range(11)]


def settings(models: int, steps: tuple[int, ...] = (1, 2, 4, 8)) -> list[Setting]:
    names = [f"rsc-{index}" for index in range(models)]
    return [*product(names, steps, SIGMAS), ("ann", 1, None)]


def test_the_ends_stay_and_the_rest_is_even() -> None:
    assert spread([1, 2, 4, 8], 8) == [1, 2, 4, 8]
    assert spread(SIGMAS, 3) == [0, 0.25, 0.5]
    assert spread([1, 2, 4, 8], 1) == [4]
    assert spread([], 1) == []
    assert spread([1, 2, 3, 4, 5], 3, wanted=4) in ([1, 4, 5], [1, 3, 4])
    assert spread([1, 2, 3, 4, 5], 2, wanted=2) == [1, 2], "the lowest stays"
    assert spread([1, 2, 3, 4, 5], 1, wanted=5) == [5]
    assert spread([1, 2, 3, 4, 5], 2, wanted=9) == [1, 5]


def test_a_dozen_dials_at_most_and_every_model_has_one() -> None:
    assert len(few_dials(settings(1))) == 5
    kept = few_dials(settings(6))
    assert len(kept) <= 12 and {model for model, _ in kept} == {m for m, _, _ in settings(6)}
    assert len(few_dials(settings(20))) == 21, "one line for each model, however many there are"


def test_five_noise_levels_of_a_model_at_most_and_every_model_has_one() -> None:
    kept = few_levels(settings(1))
    assert sorted(sigma for _, sigma in kept if sigma is not None) == [0, 0.1, 0.25, 0.4, 0.5]
    assert ("ann", None) in kept
    assert len(few_levels(settings(5))) == 11, "a dozen lines at most"
    assert len(few_levels(settings(20))) == 21, "one line for each model, however many there are"


def test_eight_settings_at_most_with_the_ends_of_the_dials() -> None:
    kept = few_settings(settings(1))
    assert len(kept) <= 8 and ("ann", 1, None) in kept
    dials = {(model, steps) for model, steps, sigma in kept if sigma is not None}
    assert len(dials) == 3
    for dial in dials:
        assert {(*dial, 0.0), (*dial, 0.5)} <= kept
    assert len(few_settings(settings(1, (4,)))) == 8, "one dial has room for seven sigmas"
    assert len(few_settings(settings(6))) == 7, "one sigma of each of many models"
    assert few_settings([]) == frozenset()
    wanted = [("m0", t, 0.3) for t in (1, 2, 4, 8)]
    every = [("m0", t, sigma) for t in (1, 2, 4, 8) for sigma in (0.0, 0.1, 0.2, 0.3, 0.4, 1.0)]
    kept = few_settings(every, wanted)
    assert kept == {("m0", t, sigma) for t in (1, 2, 4, 8) for sigma in (0.0, 0.3)}
