"""What the page says of the smallest epsilon: the bracket, and how it was found."""

from __future__ import annotations

import pytest

from rsc_snn.comparison import SmallestEpsilon, Trial
from rsc_snn.ui.epsilon import epsilon_method, epsilon_sentence


def result(
    *trials: Trial, fooled_at: float | None, spared_at: float | None, step: float | None = None
) -> SmallestEpsilon:
    return SmallestEpsilon(
        attack="pgd",
        unit="/255",
        fooled_at=fooled_at,
        spared_at=spared_at,
        already_wrong=trials[0].verdict == "wrong",
        never=fooled_at is None,
        step_size=step,
        trials=trials,
    )


HELD, UNDECIDED = Trial(5.0, 0.75, "held"), Trial(5.0, 0.25, "abstained")
FOOLED = Trial(5.25, 0.25, "fooled")


@pytest.mark.parametrize(("trial", "word"), [(HELD, "held"), (UNDECIDED, "undecided")])
def test_the_sentence_has_the_verdict_just_below(trial: Trial, word: str) -> None:
    found = result(trial, FOOLED, fooled_at=5.25, spared_at=5.0)
    assert epsilon_sentence(found) == f"Smallest epsilon: **5.25/255**, {word} at 5/255."
    never = result(trial, fooled_at=None, spared_at=5.0)
    assert epsilon_sentence(never) == f"Smallest epsilon: none found, {word} at 5/255, the largest."


def test_a_network_that_is_wrong_anyway_needs_none() -> None:
    found = result(Trial(0.0, 0.5, "wrong"), fooled_at=0.0, spared_at=None)
    assert "not right without an attack" in epsilon_sentence(found)


def test_the_method_says_which_step_size_was_used_and_what_is_not_known() -> None:
    stepped = result(HELD, FOOLED, fooled_at=5.25, spared_at=5.0, step=1.3125)
    assert "bisection" in epsilon_method(stepped) and "1.3125/255" in epsilon_method(stepped)
    plain = result(HELD, fooled_at=None, spared_at=5.0)
    assert "step size" not in epsilon_method(plain) and "bisection" not in epsilon_method(plain)
    assert all("A smaller epsilon may fool too." in epsilon_method(one) for one in (stepped, plain))
