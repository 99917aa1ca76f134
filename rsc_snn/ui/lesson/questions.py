"""One question for each step: what is right, and what to say to every answer.

Two tries: a wrong first answer is told why it is wrong, a wrong second one also what is right.
Whoever skips is told nothing and may come back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

TRIES = 2


@dataclass(frozen=True)
class Option:
    """An answer to choose, and what to say to it."""

    text: str
    reply: str


@dataclass(frozen=True)
class Choice:
    """A question with answers to choose from; `right` is the place of the right one."""

    text: str
    options: tuple[Option, ...]
    right: int

    def is_right(self, answer: float) -> bool:
        """True for the place of the right option."""
        return answer == self.right

    def reply(self, answer: float) -> str:
        """What to say to an answer."""
        return self.options[int(answer)].reply

    @property
    def solution(self) -> str:
        """What is right, and why."""
        option = self.options[self.right]
        return f"{option.text}: {option.reply}"


@dataclass(frozen=True)
class Slip:
    """A wrong number that follows from a known mistake, and what to say to it."""

    value: float
    reply: str


@dataclass(frozen=True)
class Number:
    """A question whose answer is a number, right within `tolerance`.

    slips: wrong numbers with replies of their own. wrong: the reply to others. limits: what can be
    entered, by steps of `step`.
    """

    text: str
    value: float
    tolerance: float
    why: str
    wrong: str
    step: float
    limits: tuple[float, float]
    slips: tuple[Slip, ...] = ()

    def is_right(self, answer: float) -> bool:
        """True within the tolerance, up to rounding."""
        return self._is_near(answer, self.value)

    def reply(self, answer: float) -> str:
        """What to say to an answer."""
        if self.is_right(answer):
            return self.why
        near = (slip.reply for slip in self.slips if self._is_near(answer, slip.value))
        return next(near, self.wrong)

    def _is_near(self, answer: float, value: float) -> bool:
        return abs(answer - value) <= self.tolerance + 1e-9

    @property
    def solution(self) -> str:
        """What is right, and why."""
        return f"{self.value:g}: {self.why}"


Question = Choice | Number


@dataclass(frozen=True)
class Progress:
    """How far a person is with one question. answers: given so far. skipped: went on without."""

    answers: tuple[float, ...] = field(default=())
    skipped: bool = False

    def with_answer(self, answer: float) -> Progress:
        """After one more answer."""
        return Progress((*self.answers, answer))

    def solved(self, question: Question) -> bool:
        """True once an answer was right."""
        return any(map(question.is_right, self.answers))

    def finished(self, question: Question) -> bool:
        """True if there is nothing left to try."""
        return self.solved(question) or len(self.answers) >= TRIES


QUESTIONS: dict[str, Question] = {
    "pixel": Number(
        "A pixel has the value 0.2. Over T = 8 time steps, what is the **variance** of the mean of "
        "its spikes? (The sliders can check your answer.)",
        value=0.02,
        tolerance=0.001,
        why="x (1 − x) / T = 0.2 × 0.8 / 8 = 0.02.",
        wrong="Put x = 0.2 and T = 8 into the formula above, or set the two sliders and read the "
        "caption of the figure of the variance.",
        step=0.001,
        limits=(0.0, 10.0),
        slips=(
            Slip(0.16, "0.16 is the variance of one spike. The mean of 8 has less: divide by T."),
            Slip(0.141, "0.141 is the standard deviation, the root of the variance."),
            Slip(0.025, "0.025 is x / T. The variance of one spike is not x but x (1 − x)."),
            Slip(
                0.057,
                "You divided by the root of T. That is right for the standard deviation; the "
                "variance falls as 1/T.",
            ),
        ),
    ),
    "image": Choice(
        "On which photograph does the noise of Poisson coding have the **largest variance**?",
        (
            Option(
                "One of pure black and pure white",
                "x (1 − x) is 0 at 0 and at 1: black never spikes, white always does, and neither "
                "leaves anything to chance. It is the photograph without any noise.",
            ),
            Option(
                "One of middle grey all over",
                "x (1 − x) is largest at x = 0.5, where it is 0.25. The matching sigma is then "
                "0.5, the largest there is.",
            ),
            Option(
                "A dark one, for noise drowns weak signals",
                "Relative to its signal a dark pixel is indeed noisy. But the noise itself, "
                "x (1 − x), is small there.",
            ),
        ),
        right=1,
    ),
    "currents": Choice(
        "One pixel under Poisson coding is 0 or 1, nothing in between. Why does the current of a "
        "neuron look nearly normal all the same?",
        (
            Option(
                "Because the weights of a trained network follow a normal law",
                "The weights are fixed: they scale the terms of the sum, and the chance comes from "
                "the spikes alone. With one input the same weights give just two values: see "
                "“More inputs”.",
            ),
            Option(
                "Because a long mean over time steps is smooth",
                "The histogram shows single frames; no mean over time is in it.",
            ),
            Option(
                "Because it sums many independent spikes, none of which dominates",
                "That is the central limit theorem. With few inputs the fit is poor: see “More "
                "inputs”. So it would be with one weight far above all others.",
            ),
        ),
        right=2,
    ),
    "neuron": Number(
        "Threshold 1, tau 4, a constant current of 0.4 and no noise. At which **time step** does "
        "the neuron fire for the first time? (Try it by hand first, then with the sliders.)",
        value=4,
        tolerance=0,
        why="The neuron keeps 1 − 1/4 = 0.75 of its potential, which is 0.4, then 0.7, then 0.925, "
        "then 0.75 × 0.925 + 0.4 = 1.094: it reaches the threshold at step 4.",
        wrong="Start from 0. At each step take 1 − 1/τ = 0.75 of the potential and add 0.4, until "
        "it is 1 or more.",
        step=1,
        limits=(0, 64),
        slips=(
            Slip(
                3,
                "0.4 + 0.4 + 0.4 would be above 1, but the neuron leaks: it keeps three quarters "
                "of its potential from one step to the next.",
            ),
        ),
    ),
    "decision": Number(
        "Sigma is 0.25 and T is 16. A noisy pass gives the winner with probability 0.977, for "
        "which Φ⁻¹(0.977) is about 2. What is the certified radius **R**?",
        value=0.125,
        tolerance=0.003,
        why="R = σ / √T × Φ⁻¹(pA) = 0.25 / 4 × 2 = 0.125.",
        wrong="Put the three numbers into the formula above. The root of 16 is 4.",
        step=0.001,
        limits=(0.0, 10.0),
        slips=(
            Slip(
                0.5,
                "That leaves out the root of T. A change of the input is in each of the T frames, "
                "so it counts √T times; forgetting this promises too much.",
            ),
            Slip(0.0625, "That is sigma / √T; it is still to be multiplied by Φ⁻¹(pA)."),
            Slip(0.03125, "You divided by T; the mean of T frames has the noise sigma / √T."),
            Slip(
                0.25,
                "That is sigma alone. The radius also depends on T and on how sure the passes are, "
                "Φ⁻¹(pA).",
            ),
        ),
    ),
    "bill": Choice(
        "Three settings, made up for this question: **A** clean 80%, robust 20%; **B** clean 75%, "
        "robust 30%; **C** clean 70%, robust 25%. Which one should nobody take?",
        (
            Option(
                "A",
                "A is the best of the three in clean accuracy. Whoever is never attacked takes it.",
            ),
            Option(
                "B",
                "B is the best of the three in robust accuracy. Whoever is often attacked takes "
                "it.",
            ),
            Option(
                "C",
                "B is better in both, so C is not on the Pareto front. Between A and B numbers "
                "alone do not decide.",
            ),
            Option(
                "None: each is best for someone",
                "Compare B and C in clean accuracy, then in robust accuracy.",
            ),
        ),
        right=2,
    ),
}
