"""The networks side by side: a column each with verdict, pictures, answers and smallest epsilon."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from rsc_snn.attacks import ATTACKS
from rsc_snn.coding import has_noise, make_coding
from rsc_snn.figures.style import CODING_COLOURS
from rsc_snn.ui import results
from rsc_snn.ui.epsilon import draw_epsilon, draw_search, known_epsilon
from rsc_snn.ui.playground import Choices, Shown
from rsc_snn.ui.words import explained, one_draw_caution

if TYPE_CHECKING:
    from rsc_snn.zoo import ModelCard

SPLIT = (3, 2)


def draw_networks(choices: Choices, shown: Sequence[Shown]) -> None:
    """One network over the width of the page, or two to three in columns."""
    if len(shown) == 1:
        _draw_alone(shown[0])
        _say_reach(shown[0])
        draw_search(choices, shown)
        return
    for column, item in zip(st.columns(len(shown), gap="medium"), shown, strict=True):
        with column, st.container(key=f"rsc-column-{item.card.name}"):
            _draw_column(item)
    draws = len(shown[0].outcome.clean_votes)
    noisy = [is_noisy(item) for item in shown]
    still = "; networks without noise answer the same at every look"
    st.caption(
        explained(
            f"Bars: {_spread_words(draws, any(noisy))}{still * (any(noisy) and not all(noisy))}. "
            "The attack was made for each network anew."
        )
    )
    if any(map(_is_flattered, shown)):
        st.caption(
            explained(
                f"{one_draw_caution()}, also against networks that held, and would find a smaller "
                "epsilon."
            )
        )
    _say_reach(shown[0])
    draw_search(choices, shown)


def _say_reach(item: Shown) -> None:
    """That the attack's steps are too few or too small for its epsilon, if they are."""
    spec, values = ATTACKS[item.request.attack], dict(item.request.parameters)
    reach = spec.reach(values)
    if reach is None:
        return
    pixels = spec.norm == "Linf"
    unit = "/255" if pixels else ""
    most = f"{'No pixel changes' if pixels else 'The image does not change'} by more than {reach:g}"
    epsilon = float(values["epsilon"])
    short = f"less than the [epsilon](#epsilon) of {epsilon:g}{unit}"
    if values.get("random_start"):
        short = (
            "and the random start may be at the far side of what [epsilon](#epsilon) allows, "
            f"{2 * epsilon:g}{unit} away from the worst place"
        )
    st.caption(
        explained(
            f"**{most}{unit} in these steps**, {short}; more steps, or larger ones, would make use "
            "of it."
        )
    )


def title_html(card: ModelCard) -> str:
    """The network's name under a line in the colour of its kind."""
    colour = CODING_COLOURS[card.config.kind]
    return (
        f'<div class="rsc-network" style="border-color:{colour}"><b>{escape(card.label)}</b></div>'
    )


def is_noisy(item: Shown) -> bool:
    """True if two looks of the network may differ."""
    config, sigma = item.card.config, item.request.sigma
    return has_noise(make_coding(config.coding, config.sigma if sigma is None else sigma))


def _is_flattered(item: Shown) -> bool:
    """True for a network that held against an attack that does not see through its noise.

    Also where the smallest epsilon that fooled it was found by such an attack.
    """
    one_draw = ATTACKS[item.request.attack].follows_one_draw(dict(item.request.parameters))
    held = item.outcome.verdict == "held" and item.outcome.gradients > 0
    found = known_epsilon(item)
    searched = found is not None and not found.already_wrong and not item.stale
    return is_noisy(item) and one_draw and (held or searched)


def _spread_words(draws: int, noisy: bool) -> str:
    """What the bars of class probabilities are, and the thin lines on them."""
    name = "[class probability](#class-probability)"
    if not noisy:
        return f"{name}; without noise every [look](#draw) is the same"
    if draws == 1:
        return f"{name} in one [look](#draw); of its spread more draws would tell"
    return (
        f"mean {name} over {draws} [looks](#draw) with fresh noise; the thin lines run from the "
        "lowest to the highest value"
    )


def _sentence(words: str) -> str:
    """`words` with a capital, also at the start of a link."""
    place = 1 if words.startswith("[") else 0
    return words[:place] + words[place].upper() + words[place + 1 :]


def _draw_title(item: Shown) -> None:
    """The network's name, and its noise where it was not trained with that."""
    st.html(title_html(item.card))
    sigma, known = item.request.sigma, item.card.trained_sigmas
    if sigma is None or known is None or known[0] <= sigma <= known[1]:
        return
    trained = f"σ = {known[0]:g}" if known[0] == known[1] else f"σ = {known[0]:g} to {known[1]:g}"
    st.caption(
        explained(
            f"Runs at [σ](#sigma) = {sigma:g}, but was trained at {trained}: away from there "
            "networks mostly lose accuracy."
        )
    )


def _draw_alone(item: Shown) -> None:
    classes = item.card.classes
    left, right = st.columns(SPLIT, gap="large")
    with left:
        _draw_title(item)
        results.draw_verdict(item.outcome, classes, assumed=item.request.image.label is None)
        if _is_flattered(item):
            st.caption(explained(f"{one_draw_caution()}."))
        results.draw_pictures(item.outcome, classes)
        draw_epsilon(item)
    noisy = is_noisy(item)
    several = len(item.outcome.clean_votes) > 1
    long = " Long lines: noise decides the answer." * (noisy and several)
    with right:
        st.subheader("What the network answers")
        results.draw_answers(item.outcome, classes, item.card.name)
        st.caption(
            explained(f"{_sentence(_spread_words(len(item.outcome.clean_votes), noisy))}.{long}")
        )


def _draw_column(item: Shown) -> None:
    classes = item.card.classes
    _draw_title(item)
    results.draw_verdict(
        item.outcome, classes, assumed=item.request.image.label is None, short=True
    )
    results.draw_pictures(item.outcome, classes)
    results.draw_answers(item.outcome, classes, item.card.name)
    draw_epsilon(item)
