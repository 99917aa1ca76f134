"""Every number of the handout's solutions is computed here, by the program where it can."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from statistics import NormalDist
from types import SimpleNamespace

import pytest
import torch

from rsc_snn.coding import PoissonCoding, RSCCoding
from rsc_snn.neurons import LIFConfig
from rsc_snn.theory import (
    LinearLayer,
    certified_radius,
    clopper_pearson_lower,
    current_law,
    effective_sigma,
    exact_rate,
    expected_rms,
    matched_sigma,
    mixed_accuracy,
    rheobase,
    steps_to_spike,
    time_mean_moments,
)
from rsc_snn.tradeoff import pareto_front
from tests.readme_tables import ROOT

HANDOUT = ROOT / "docs" / "lesson-handout.md"
CHECK = re.compile(r"<!-- check: (.+?) = (-?[\d.]+) -->")
TEXT = HANDOUT.read_text(encoding="utf-8")
SOLUTIONS = TEXT.partition("## Solutions")[2].partition("## For teachers")[0]


def covariance(
    coding: PoissonCoding | RSCCoding,
    first: tuple[float, ...],
    second: tuple[float, ...],
    pixels: tuple[float, ...],
) -> float:
    layer = LinearLayer(torch.tensor([first, second]).double(), torch.zeros(2).double())
    return float(current_law(layer, coding, torch.tensor(pixels).double()).covariance[0, 1])


def on_front(*settings: tuple[float, float]) -> int:
    """How many of settings (clean, robust) are on the Pareto front."""
    points = [
        SimpleNamespace(clean=SimpleNamespace(value=clean), robust=SimpleNamespace(value=robust))
        for clean, robust in settings
    ]
    return len(pareto_front(points))  # type: ignore[arg-type]


WORDS: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt,
    "quantile": lambda p: NormalDist().inv_cdf(p),
    "mean_variance": lambda x, steps: float(
        time_mean_moments(PoissonCoding(), torch.tensor([x]).double(), steps).variance
    ),
    "matching_sigma": lambda *pixels: float(matched_sigma(torch.tensor([pixels]))[0]),
    "rsc_error": lambda sigma, steps: float(
        expected_rms(RSCCoding(sigma), torch.full((4,), 0.5), steps)[-1]
    ),
    "poisson_covariance": lambda first, second, pixels: covariance(
        PoissonCoding(), first, second, pixels
    ),
    "rsc_covariance": lambda first, second, sigma: covariance(
        RSCCoding(sigma), first, second, (0.5,) * len(first)
    ),
    "first_spike": lambda current, tau, threshold: float(
        steps_to_spike(current, LIFConfig(tau=tau, threshold=threshold)) or math.inf
    ),
    "firing_rate": lambda current, tau, threshold, steps: exact_rate(
        current, LIFConfig(tau=tau, threshold=threshold), steps
    ),
    "silent_current": lambda tau, threshold: rheobase(LIFConfig(tau=tau, threshold=threshold)),
    "mean_noise": effective_sigma,
    "radius": certified_radius,
    "lower_bound": clopper_pearson_lower,
    "on_front": on_front,
    "mixed": lambda clean, robust, attacked: float(mixed_accuracy(clean, robust, attacked)),
}  # fmt: skip


def evaluate(expression: str) -> float:
    """An expression of numbers and WORDS alone."""
    names = set(re.findall(r"[A-Za-z_]+", expression))
    assert names <= set(WORDS), names - set(WORDS)
    return float(eval(expression, {"__builtins__": {}}, dict(WORDS)))


def agrees(expression: str, written: str) -> bool:
    """True if the value, rounded to the digits that are written, is what is written."""
    digits = len(written.partition(".")[2])
    return abs(evaluate(expression) - float(written)) <= 0.5 * 10**-digits + 1e-9


@pytest.mark.parametrize(("expression", "written"), CHECK.findall(TEXT))
def test_what_is_written_is_what_is_computed(expression: str, written: str) -> None:
    assert agrees(expression, written), evaluate(expression)


def test_a_wrong_number_would_fail() -> None:
    assert agrees("radius(0.99, 0.25, 4)", "0.291")
    assert not agrees("radius(0.99, 0.25, 4)", "0.292")
    assert not agrees("radius(0.99, 0.25, 1)", "0.291")


def test_every_bold_number_of_the_solutions_is_checked() -> None:
    bold = [number.replace("−", "-") for number in re.findall(r"\*\*([−\d.]+)\*\*", SOLUTIONS)]
    written = [value for _, value in CHECK.findall(SOLUTIONS)]
    assert len(bold) >= 15
    assert [number for number in bold if number not in written] == []


def test_checks_stand_beside_the_number_that_they_check() -> None:
    for match in CHECK.finditer(SOLUTIONS):
        before = SOLUTIONS[max(0, match.start() - 220) : match.start()].replace("−", "-")
        letters = match[1].startswith("on_front")
        assert letters or f"**{match[2]}**" in before, match[0]


def test_every_exercise_has_a_solution() -> None:
    exercises = TEXT.partition("## Exercises")[2].partition("## Solutions")[0]
    counts = [
        [len(re.findall(r"\n\d+\. ", part)) for part in text.split("\n### ")[1:]]
        for text in (exercises, SOLUTIONS)
    ]
    titles = [re.findall(r"^### (.+)$", text, re.MULTILINE) for text in (exercises, SOLUTIONS)]
    assert counts[0] == counts[1] == [3, 3, 3, 3, 3, 4]
    assert titles[0] == titles[1]


def test_the_handout_holds_no_html_but_its_checks() -> None:
    rest = CHECK.sub("", TEXT)
    assert not re.search(r"<[a-z!/]", rest)


def test_the_letters_of_the_front() -> None:
    assert on_front((85, 10), (80, 25), (70, 30)) == 3
