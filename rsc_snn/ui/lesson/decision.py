"""Smoothing a decision: a toy's plane, the attack on it, and the circle that is certified."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from scipy.special import ndtr

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
    drowning_noise,
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
# Effective sigma below which the frayed edge is not averaged away everywhere.
_HOLLOWS = 0.05
_EXACT = "exact"
_ALL_ORANGE = f"Everything is {CLASSES[1]} now: there is no edge"
_DRAWS = {_EXACT: 0, "100": 100, "1000": 1_000, "10000": 10_000}
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


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
    surface = _surface(choice.sigma, choice.time_steps)
    # Noise that reaches far beyond the blue disc leaves no place where blue has the majority.
    constant = _is_constant(choice.sigma, choice.time_steps)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _draw_plane(choice, found, surface, constant)
    with right:
        st.markdown(linked(_verdict(choice, found, constant)))
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


def _draw_plane(choice: _Choice, found: _Found, surface: Floats, constant: bool) -> None:
    """surface: the chance of blue over the plane, `[G, G]`. constant: it is nowhere above 1/2."""
    picture = PlanePicture(
        axis=_AXIS,
        chance=surface,
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
    if constant:
        edge = "the two shares are equal nowhere, so there is no smoothed edge"
        way = "has no edge to lead to"
    else:
        edge = "where the two shares are equal runs the smoothed edge"
        way = "misleads, with so little noise" if _is_lost(choice, found) else "leads to its edge"
    say(
        "Every place is an input of two [pixels](#pixel). The thin line is the edge of a toy "
        "network, frayed and with islands. The colour says how many of its noisy passes answer "
        f"blue or orange; {edge}. Inside the dashed circle, if there is one, the vote is certified "
        "to be the same as at your point. Both [attacks](#attack) "
        f"take at most {ATTACK_STEPS} steps of {ATTACK_STEP:g} along a [gradient](#gradient). The "
        f"gradient of the smoothed decision {way}. The decision without noise has no gradient: "
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
        f"(lines).{estimated} {_radius_words(found, choice.time_steps)}"
    )


def _radius_words(found: _Found, time_steps: int) -> str:
    """What the lines over sigma show of this point."""
    words = ["Little noise smooths little; more of it averages the frayed edge away."]
    turns = np.flatnonzero(np.diff(found.labels))
    if len(turns):
        words.append(
            "The circle around a point shrinks to nothing before its class changes, here at σ = "
            f"{_RADII[turns[-1] + 1]:.2f}, and grows again as one of the other class."
        )
    flat = _RADII[np.array([_is_constant(sigma, time_steps) for sigma in _RADII])]
    if len(flat):
        words.append(
            f"Too much noise drowns the blue disc in orange: from σ = {flat[0]:.2f} on every input "
            "is orange, and what a circle certifies is a constant answer."
        )
    elif found.labels[-1] == 0:
        words.append("Still more noise would drown the blue disc in orange.")
    return " ".join(words)


def _is_constant(sigma: float, time_steps: int) -> bool:
    """True if blue has the majority nowhere on the plane's picture."""
    return effective_sigma(sigma, time_steps) >= drowning_noise()


def _verdict(choice: _Choice, found: _Found, constant: bool) -> str:
    parts = [
        _chance(choice, found),
        _certified(choice, found, constant),
        _attacked(choice, found, constant),
    ]
    return "\n".join(f"- {part}" for part in parts)


def _chance(choice: _Choice, found: _Found) -> str:
    exact, shown = found.exact, found.shown
    assert exact.label is not None  # exact certificates never abstain
    said = CLASSES[exact.label]
    share = f"{exact.chance:.2%}"
    if share == "100.00%":
        # R is the quantile of the small chance of the other class, which keeps all of its digits.
        noise = effective_sigma(choice.sigma, choice.time_steps)
        share = f"1 − {_power(float(ndtr(-exact.radius / noise)))}"
    if not shown.draws:
        return f"**pA = {share}** of passes say {said}."
    known = f"exactly {share} say {said}"
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


def _power(value: float) -> str:
    """Such as `3.1 × 10⁻⁵`."""
    factor, exponent = f"{value:.1e}".split("e")
    return f"{factor} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def _product(noise: float, radius: float) -> str:
    """`noise × quantile = radius`, with as many digits as the product needs to hold as written."""
    result = f"{radius:.3f}"
    for digits in range(4, 18):
        first, second = f"{noise:#.{digits}g}", f"{radius / noise:.{digits - 1}f}"
        if f"{float(first) * float(second):.3f}" == result:
            break
    return f"{first} × {second} = **{result}**"


def _certified(choice: _Choice, found: _Found, constant: bool) -> str:
    noise = effective_sigma(choice.sigma, choice.time_steps)
    averaged = (
        f"A pass averages T = {choice.time_steps} frames, so the noise that counts is σ / √T = "
        f"{noise:#.4g}, the [effective sigma](#effective-sigma). "
        if choice.time_steps > 1
        else ""
    )
    label, radius = found.shown.label, found.shown.radius
    if label is None or radius == 0:
        flat = f" {_ALL_ORANGE}." if constant else ""
        return f"{averaged}Nothing is certified: there is no circle.{flat}{_changed(found)}"
    said = CLASSES[label]
    parts = [
        f"{averaged}Certified radius: R = σ / √T · Φ⁻¹(pA) = {_product(noise, radius)}. No shorter "
        f"change can turn the majority of passes from {said}.{_changed(found)}"
    ]
    if label != found.exact.label:
        parts.append(
            f"This estimate is wrong, as {ALPHA:.1%} of them may be: most passes do not say {said}."
        )
    if constant:
        parts.append(f"{_ALL_ORANGE}, and the circle certifies a constant answer.")
    return " ".join(parts)


def _changed(found: _Found) -> str:
    """That the vote is not the class of the point; nothing if it is."""
    if found.exact.label == found.raw_label:
        return ""
    return f" Without noise the point is {CLASSES[found.raw_label]}: smoothing changed its class."


def _is_lost(choice: _Choice, found: _Found) -> bool:
    """True if the attack on the smoothed decision fails for want of noise, not of steps."""
    noise = effective_sigma(choice.sigma, choice.time_steps)
    return not found.smoothed.fooled and noise < _HOLLOWS


def _attacked(choice: _Choice, found: _Found, constant: bool) -> str:
    near = math.dist(found.raw.points[0], found.nearest)
    if constant:
        smoothed = "The attack on the smoothed decision has no edge to find."
    elif found.smoothed.fooled:
        distance = found.smoothed.distance
        smoothed = f"The attack on the smoothed decision turned it at distance {distance:.3f}."
    else:
        why = (
            ": with so little noise the chance has flats and hollows, in which it gets lost"
            if _is_lost(choice, found)
            else ""
        )
        steps = found.smoothed.steps
        smoothed = f"The attack on the smoothed decision did not turn it in {steps} steps{why}."
    raw = (
        f"the attack turned it at {found.raw.distance:.3f}."
        if found.raw.fooled
        else f"the attack, lost among hills, did not in {ATTACK_STEPS} steps."
    )
    return f"{smoothed} Without noise a change of {near:.3f} would turn the decision; {raw}"
