"""A pixel becomes spikes: Bernoulli draws, their running mean, and its variance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from rsc_snn.coding import TIME_STEPS_RANGE, PoissonCoding
from rsc_snn.figures.lesson_coding import spikes_figure, variance_figure
from rsc_snn.randomness import derive_seed, make_generator
from rsc_snn.theory import (
    measured_moments,
    repeated_means,
    running_intervals,
    running_means,
    time_mean_moments,
)
from rsc_snn.ui import resources
from rsc_snn.ui.lesson.inputs import choose_number, draw_again
from rsc_snn.ui.lesson.words import say
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.results import draw_figure

CODE = (PoissonCoding, running_means, repeated_means, time_mean_moments)

Floats = NDArray[np.float64]

_MOST_STEPS = TIME_STEPS_RANGE[1]
_REPEATS = 2000


@dataclass(frozen=True)
class _Pixel:
    """A pixel coded for the most steps: spikes and what follows from them, each `[T]`.

    measured: the variance of the mean over repeats. expected: the formula.
    """

    spikes: Floats
    means: Floats
    lower: Floats
    upper: Floats
    measured: Floats
    expected: Floats


def draw(link: PageLink) -> None:
    """The step: controls, spikes and running mean, variance against the formula."""
    left, middle, right = st.columns([2, 2, 1], gap="large", vertical_alignment="bottom")
    with left:
        value = choose_number(
            link,
            "pixel_x",
            "Grey value x",
            (0.0, 1.0),
            0.3,
            0.01,
            "How bright the pixel is: 0 is black, 1 is white. It is the probability of a spike.",
        )
    with middle:
        steps = choose_number(
            link,
            "pixel_steps",
            "Time steps T",
            (1, _MOST_STEPS),
            16,
            1,
            "How many time steps the pixel is coded for. Each step is a spike, or none.",
        )
    with right:
        seed = draw_again(link, "pixel_seed")
    pixel = resources.live(("lesson.pixel", value, seed), _Pixel, partial(_code, value, seed))
    left, right = st.columns(2, gap="large")
    with left:
        _draw_spikes(pixel, value, steps)
    with right:
        _draw_variance(pixel, value, steps)


def _code(value: float, seed: int) -> _Pixel:
    """All steps at once: fewer of them are the first of the same draws."""
    x = torch.full((1,), value, dtype=torch.float64)
    generator = make_generator(derive_seed(seed, "pixel"))
    spikes = PoissonCoding()(x, _MOST_STEPS, generator)[:, 0]
    lower, upper = running_intervals(spikes)
    repeats = repeated_means(PoissonCoding(), value, _MOST_STEPS, _REPEATS, seed)
    measured = measured_moments(repeats.T).variance
    expected = [
        float(time_mean_moments(PoissonCoding(), x, step).variance)
        for step in range(1, _MOST_STEPS + 1)
    ]
    return _Pixel(
        spikes.numpy(),
        running_means(spikes).numpy(),
        lower.numpy(),
        upper.numpy(),
        measured.numpy(),
        np.array(expected),
    )


def _draw_spikes(pixel: _Pixel, value: float, steps: int) -> None:
    spikes, means, lower, upper = (
        part[:steps] for part in (pixel.spikes, pixel.means, pixel.lower, pixel.upper)
    )
    draw_figure(
        spikes_figure(spikes, means, lower, upper, value),
        "lesson-pixel-spikes",
        "Strokes: the spikes of one pixel; below, their running mean and its interval.",
    )
    count, mean, low, high = int(spikes.sum()), means[-1], lower[-1], upper[-1]
    fired = "1 spike" if count == 1 else f"{count} spikes"
    looks = "1 step" if steps == 1 else f"{steps} steps"
    say(
        f"Each stroke is a spike. {fired} in {looks}: the mean so far is {mean:.3f}, and the grey "
        f"value is {value:.2f} (dashed). The band is the [95 % interval](#confidence-interval), "
        f"{low:.3f} to {high:.3f}: all that the spikes alone tell about x. Watch it close on the "
        "dashed line as T grows. At any one T it misses that line in about one of twenty "
        "[draws](#draw); at few steps, or near black and white, in anything from none to one in "
        "five."
    )


def _draw_variance(pixel: _Pixel, value: float, steps: int) -> None:
    draw_figure(
        variance_figure(pixel.measured, pixel.expected, steps),
        "lesson-pixel-variance",
        "Marks on a falling line: variance of the mean over T steps, measured and by formula.",
    )
    say(
        f"The same pixel, [coded](#coding) {_REPEATS:,} times: how much the mean over T steps "
        f"varies. At T = {steps} measured **{pixel.measured[steps - 1]:.5f}**, by the formula "
        f"x (1 − x) / T = {value:.2f} × {1 - value:.2f} / {steps} = "
        f"**{pixel.expected[steps - 1]:.5f}**. Twice the steps, half the variance. Move x: black "
        "and white have no noise, middle grey has the most."
    )
