"""A neuron in time: current in, membrane, threshold, reset, spikes out; its rate with noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st

from rsc_snn.coding import TIME_STEPS_RANGE
from rsc_snn.figures.lesson_neuron import course_figure, rate_figure
from rsc_snn.neuron_lab import NEURONS, NeuronCourse, RateCurve, neuron_course, rate_curve
from rsc_snn.neurons import LIFConfig
from rsc_snn.theory import rheobase, staircase, steps_to_spike
from rsc_snn.ui import resources
from rsc_snn.ui.lesson.inputs import choose_number, draw_again
from rsc_snn.ui.lesson.words import say
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.results import draw_figure

CODE = (neuron_course, steps_to_spike, rate_curve, staircase)

_MOST_CURRENT = 1.5
_CURRENTS = np.linspace(0, _MOST_CURRENT, 76)


@dataclass(frozen=True)
class _Choice:
    """The neuron and its input."""

    config: LIFConfig
    current: float
    noise: float
    time_steps: int
    seed: int


def draw(link: PageLink) -> None:
    """The step: controls, the neuron's course, its rate over the current."""
    choice = _choose(link)
    course = resources.run_live(
        partial(
            neuron_course,
            choice.config,
            choice.current,
            choice.noise,
            choice.time_steps,
            choice.seed,
        )
    )
    left, right = st.columns([3, 2], gap="large")
    with left:
        _draw_course(choice, course)
    with right:
        _draw_rates(choice, course)


def _choose(link: PageLink) -> _Choice:
    left, middle, right = st.columns(3, gap="large")
    with left:
        current = choose_number(
            link,
            "neuron_current",
            "Current",
            (0.0, _MOST_CURRENT),
            0.6,
            0.01,
            "What flows into the neuron at every time step, before noise.",
        )
        noise = choose_number(
            link,
            "neuron_noise",
            "Noise of the current",
            (0.0, 0.6),
            0.2,
            0.02,
            "Standard deviation of the noise that is added to the current, anew at every step. "
            "Noise of level σ on the pixels makes it σ √(Σ w²), with w the neuron’s weights.",
        )
    with middle:
        tau = choose_number(
            link,
            "neuron_tau",
            "Time constant τ",
            (1.1, 10.0),
            2.0,
            0.1,
            "How slowly the potential leaks: each step keeps the share 1 − 1/τ of it.",
        )
        threshold = choose_number(
            link,
            "neuron_threshold",
            "Threshold θ",
            (0.2, 1.5),
            1.0,
            0.05,
            "The potential at which the neuron spikes and starts again from 0.",
        )
    with right:
        steps = choose_number(
            link,
            "neuron_steps",
            "Time steps T",
            TIME_STEPS_RANGE,
            32,
            1,
            "How long the neuron is watched.",
        )
        seed = draw_again(link, "neuron_seed")
    return _Choice(LIFConfig(tau=tau, threshold=threshold), current, noise, steps, seed)


def _draw_course(choice: _Choice, course: NeuronCourse) -> None:
    draw_figure(
        course_figure(course),
        "lesson-neuron-course",
        "Lines over time: the current into one neuron, its membrane potential, its spikes.",
    )
    kept = 1 - 1 / choice.config.tau
    noise = " plus noise" if choice.noise > 0 else ""
    count = int(course.spikes.sum())
    spikes = "1 spike" if count == 1 else f"{count} spikes"
    steps = "1 step" if choice.time_steps == 1 else f"{choice.time_steps} steps"
    say(
        f"Top: the current, {choice.current:.2f}{noise}. Middle: at each step the membrane "
        f"potential keeps 1 − 1/τ = {kept:.2f} of itself and adds the current; where it reaches "
        f"the threshold {choice.config.threshold:.2f}, the neuron spikes (dot) and starts again "
        f"from 0. Bottom: {spikes} in {steps}, all that the next layer gets to see."
    )


def _draw_rates(choice: _Choice, course: NeuronCourse) -> None:
    rate = float(course.spikes.mean())
    curve = _rates(choice) if choice.noise > 0 else None
    stairs = staircase(choice.config, choice.time_steps)
    draw_figure(
        rate_figure(
            curve,
            stairs,
            most=_MOST_CURRENT,
            here=(choice.current, rate),
        ),
        "lesson-neuron-rates",
        "Lines: spikes per step over the current, a staircase without noise, a ramp with it.",
    )
    say(f"{_without_noise(choice, float(stairs[0][0]))} {_with_noise(choice, curve)}")


def _rates(choice: _Choice) -> RateCurve:
    setting = (choice.config, choice.noise, choice.time_steps, choice.seed)
    config, noise, steps, seed = setting
    work = partial(rate_curve, config, _CURRENTS, noise, steps, seed)
    return resources.live(("lesson.rates", *setting), RateCurve, work)


def _without_noise(choice: _Choice, first_stair: float) -> str:
    """first_stair: the current from which the neuron spikes within the steps that are watched."""
    limit = rheobase(choice.config)
    interval = steps_to_spike(choice.current, choice.config)
    if math.isclose(choice.current, limit, rel_tol=1e-6):
        now = (
            "At just threshold / τ its potential creeps up to the threshold, which only rounding "
            "lets it reach"
        )
    elif interval is None:
        now = f"A current of {choice.current:.2f} never makes it spike"
    elif interval > choice.time_steps:
        now = (
            f"At {choice.current:.2f} its first spike would come at step {interval}, after the T = "
            f"{choice.time_steps} that are watched"
        )
    elif interval == 1:
        now = f"At {choice.current:.2f} it spikes at every step"
    else:
        now = f"At {choice.current:.2f} it spikes every {interval} steps"
    return (
        "Without noise the rate is a staircase (dashed): within T = "
        f"{choice.time_steps} the neuron is silent below a current of {first_stair:.3f}; it never "
        f"spikes, however long one waits, up to threshold / τ = {limit:.3f}. {now}."
    )


def _with_noise(choice: _Choice, curve: RateCurve | None) -> str:
    if curve is None:
        return "Turn the noise up and watch the stairs melt."
    mean = float(np.interp(choice.current, curve.currents, curve.mean))
    return (
        f"With noise, {NEURONS} such neurons spike in {mean:.0%} of the steps on average (line; "
        "the band holds 9 of 10), and the stairs melt into a ramp: just below a stair, noise now "
        "and then lifts a neuron onto it; just above, it holds one back. A small change of the "
        "current, such as an [attack](#attack) makes, moves the mean rate a little instead of by a "
        "whole stair: that is [smoothing](#randomized-smoothing), at one neuron."
    )
