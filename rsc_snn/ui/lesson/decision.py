"""Smoothing a decision: a toy's plane, the attack on it, and the circle that is certified."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from rsc_snn.figures.lesson_neuron import PlanePicture, plane_figure, radius_figure
from rsc_snn.glossary import linked
from rsc_snn.smoothing import (
    ATTACK_STEP,
    ATTACK_STEPS,
    CLASSES,
    AttackPath,
    Certificate,
    PlaneClassifier,
    attack_score,
    attack_smoothed,
    estimated_certificate,
    exact_certificate,
    exact_radii,
    toy_classifier,
    toy_score,
)
from rsc_snn.theory import ALPHA, certified_radius, effective_sigma
from rsc_snn.ui import resources
from rsc_snn.ui.lesson.inputs import choose_number, draw_again
from rsc_snn.ui.lesson.words import say
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import choice_field
from rsc_snn.ui.results import draw_figure

CODE = (
    PlaneClassifier.chances,
    attack_smoothed,
    certified_radius,
    exact_certificate,
    estimated_certificate,
)

Floats = NDArray[np.float64]

_SIGMAS = (0.05, 0.6)
_MOST_STEPS = 16
_AXIS = np.linspace(0, 1, 81)
_RADII = np.linspace(*_SIGMAS, 56)
_EXACT = "exact"
_DRAWS = {_EXACT: 0, "100": 100, "1000": 1_000, "10000": 10_000}


@dataclass(frozen=True)
class _Choice:
    """The point, the noise, and from how many draws (0: exact) the certificate is made."""

    point: tuple[float, float]
    sigma: float
    time_steps: int
    draws: int
    seed: int


@dataclass(frozen=True)
class _Found:
    """All that is known of the point.

    exact, shown: the certificate, and the one on show. smoothed, raw: the attacks. nearest: the
    closest change without smoothing, `[2]`. radii, labels: over _RADII, `[S]`.
    """

    exact: Certificate
    shown: Certificate
    smoothed: AttackPath
    raw: AttackPath
    raw_label: int
    nearest: Floats
    radii: Floats
    labels: NDArray[np.int64]


def draw(link: PageLink) -> None:
    """The step: controls, the plane, the radius over sigma."""
    choice = _choose(link)
    found = resources.run_live(partial(_find, choice))
    left, right = st.columns([3, 2], gap="large")
    with left:
        _draw_plane(choice, found)
    with right:
        st.markdown(linked(_verdict(choice, found)))
        _draw_radii(choice, found)


def _choose(link: PageLink) -> _Choice:
    left, middle, right = st.columns(3, gap="large")
    with left:
        u, v = (
            choose_number(
                link,
                f"decision_{axis}",
                f"Your point: pixel {axis}",
                (0.0, 1.0),
                start,
                0.01,
                "The input has two pixels, so that all inputs fit on a plane.",
            )
            for axis, start in (("u", 0.62), ("v", 0.41))
        )
    with middle:
        sigma = choose_number(
            link,
            "decision_sigma",
            "Noise level σ",
            _SIGMAS,
            0.2,
            0.01,
            "Strength of the noise that is added to both pixels in every frame.",
        )
        steps = choose_number(
            link,
            "decision_steps",
            "Time steps T",
            (1, _MOST_STEPS),
            4,
            1,
            "Frames in one pass. The toy decides on their mean.",
        )
    with right:
        draws = _choose_draws(link)
        seed = draw_again(link, "decision_seed") if draws else 0
    return _Choice((u, v), sigma, steps, draws, seed)


def _choose_draws(link: PageLink) -> int:
    field = choice_field("decision_draws", "number of passes", list(_DRAWS), _EXACT)
    chosen = st.radio(
        "The chance pA is",
        list(_DRAWS),
        format_func=lambda name: (
            "known exactly" if name == _EXACT else f"estimated from {_DRAWS[name]:,} passes"
        ),
        key=link.seed(field),
        help=(
            "A toy's chance can be computed. A network's must be estimated from passes, and only "
            "a lower bound of it certifies anything."
        ),
    )
    return _DRAWS[link.keep(field, chosen)]


def _find(choice: _Choice) -> _Found:
    classifier, point = toy_classifier(), np.array(choice.point)
    sigma, steps = choice.sigma, choice.time_steps
    exact = exact_certificate(classifier, point, sigma, steps)
    shown = exact
    if choice.draws:
        shown = estimated_certificate(classifier, point, sigma, steps, choice.draws, choice.seed)
    radii, labels = exact_radii(classifier, point, _RADII, steps)
    return _Found(
        exact,
        shown,
        attack_smoothed(classifier, point, effective_sigma(sigma, steps)),
        attack_score(point),
        int(classifier.classify(point[None])[0]),
        classifier.nearest_change(point),
        radii,
        labels,
    )


def _surface(sigma: float, time_steps: int) -> Floats:
    work = partial(toy_classifier().surface, _AXIS, effective_sigma(sigma, time_steps))
    return resources.live(("lesson.plane", sigma, time_steps), np.ndarray, work)


@lru_cache(maxsize=1)
def _scores() -> Floats:
    """The toy's score at all points of the plane's picture, `[G, G]`."""
    u, v = np.meshgrid(_AXIS, _AXIS, indexing="ij")
    return toy_score(np.stack([u.ravel(), v.ravel()], axis=1)).reshape(u.shape)


def _draw_plane(choice: _Choice, found: _Found) -> None:
    picture = PlanePicture(
        axis=_AXIS,
        chance=_surface(choice.sigma, choice.time_steps),
        score=_scores(),
        point=np.array(choice.point),
        radius=found.shown.radius,
        smoothed=found.smoothed.points,
        raw=found.raw.points,
        nearest=found.nearest,
        label=found.shown.label,
    )
    draw_figure(
        plane_figure(picture, CLASSES),
        "lesson-decision-plane",
        "A plane of two pixels: chance of the classes as colour, their edges before and after "
        "smoothing, a point, its certified circle and the ways of two attacks.",
    )
    say(
        "Every place is an input of two [pixels](#pixel). The thin line is the edge of a toy "
        "network, frayed and with islands. The colour says how many of its noisy passes answer "
        "blue or orange; where they are even runs the smoothed edge. Inside the dashed circle, "
        "if there is one, the vote is certified to be that at your point. Both [attacks](#attack) "
        f"take at most {ATTACK_STEPS} steps of {ATTACK_STEP:g} along a [gradient](#gradient). That "
        "of the smoothed decision leads to its edge. The decision without noise has no gradient: "
        "the attack on it follows that of a score behind it, up and down hills, and often gets "
        "lost. This is no safety: the triangle marks a change that turns the decision all the same."
    )


def _draw_radii(choice: _Choice, found: _Found) -> None:
    draw_figure(
        radius_figure(
            _RADII,
            found.radii,
            found.labels,
            CLASSES,
            here=(choice.sigma, found.shown.radius),
            nearest=math.dist(choice.point, found.nearest),
        ),
        "lesson-decision-radius",
        "Lines: the certified radius of the point over sigma, in the colour of its class.",
    )
    estimated = (
        " Estimated from passes it is smaller, for only a lower bound is certain enough."
        if choice.draws
        else ""
    )
    say(
        "The radius of the circle around your point (diamond), and the exact one at every sigma "
        f"(lines).{estimated} Little noise smooths little. More of it averages the frayed edge "
        "away, and the circle grows. Too much drowns the blue disc in orange: the circle of a blue "
        "point shrinks to nothing, and then its class changes."
    )


def _verdict(choice: _Choice, found: _Found) -> str:
    parts = [_chance(choice, found), _certified(choice, found), _attacked(choice, found)]
    if found.exact.label != found.raw_label:
        parts.append(
            f"Without noise the point is {CLASSES[found.raw_label]}: smoothing changed its class."
        )
    return "\n".join(f"- {part}" for part in parts)


def _chance(choice: _Choice, found: _Found) -> str:
    exact, shown = found.exact, found.shown
    assert exact.label is not None  # exact certificates never abstain
    said = CLASSES[exact.label]
    if not shown.draws:
        return f"**pA = {exact.chance:.2%}** of passes say {said}."
    known = f"exactly {exact.chance:.2%} say {said}"
    if shown.label is None:
        return (
            f"With {1 - ALPHA:.1%} confidence at least {shown.chance:.2%} of passes agree "
            f"({shown.count:,} of {shown.draws:,} did; {known}). That is not above one half."
        )
    return (
        f"{shown.count:,} of {shown.draws:,} passes say {CLASSES[shown.label]}; with "
        f"{1 - ALPHA:.1%} confidence **pA is at least {shown.chance:.2%}**, by the "
        f"[Clopper-Pearson bound](#clopper-pearson-bound) ({known})."
    )


def _certified(choice: _Choice, found: _Found) -> str:
    noise = effective_sigma(choice.sigma, choice.time_steps)
    averaged = (
        f"A pass averages T = {choice.time_steps} frames, so the noise that counts is σ / √T = "
        f"{noise:.3f}, the [effective sigma](#effective-sigma). "
        if choice.time_steps > 1
        else ""
    )
    radius = found.shown.radius
    if found.shown.label is None or radius == 0:
        return f"{averaged}Nothing is certified: there is no circle."
    return (
        f"{averaged}Certified radius: R = σ / √T · Φ⁻¹(pA) = {noise:.3f} × {radius / noise:.3f} = "
        f"**{radius:.3f}**. No shorter change can turn the majority of passes."
    )


def _attacked(choice: _Choice, found: _Found) -> str:
    near = math.dist(choice.point, found.nearest)
    smoothed = (
        f"The attack on the smoothed decision turned it at distance {found.smoothed.distance:.3f}."
        if found.smoothed.fooled
        else f"The attack on the smoothed decision did not turn it in {ATTACK_STEPS} steps."
    )
    raw = (
        f"the attack turned it at {found.raw.distance:.3f}."
        if found.raw.fooled
        else f"the attack, lost among hills, did not in {ATTACK_STEPS} steps."
    )
    return f"{smoothed} Without noise a change of {near:.3f} would turn the decision; {raw}"
