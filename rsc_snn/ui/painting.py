"""The view of painting: a change made by hand, beside the attack's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from rsc_snn.errors import PaintError
from rsc_snn.outcome import judge, vote_counts
from rsc_snn.paint import Painted, decode_paint, score_painted
from rsc_snn.scene import cpu_threads
from rsc_snn.ui import resources
from rsc_snn.ui.comparison import title_html
from rsc_snn.ui.components import PaintData, painter
from rsc_snn.ui.images import Panel, amplify, row_html, to_bytes
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.playground import Shown
from rsc_snn.ui.query import number_field, text_field

SPLIT = (2, 3)
_LONGEST_LINKED = 3000
_LONGEST = 2**15
_MOST_EPSILON = 64.0
_STRENGTH = number_field("paint_epsilon", "The strength", 0.0, _MOST_EPSILON, 8.0)
_PATTERN = text_field("paint", _LONGEST, str)
_CANVAS = "painting.canvas"
_WORDS = {
    "held": "still right",
    "fooled": "fooled",
    "wrong": "not right without any change",
    "abstained": "undecided",
}


@dataclass(frozen=True)
class Painting:
    """What was painted: the pattern as text, and its strength in n/255."""

    pattern: str
    epsilon: float


def kept_painting(link: PageLink) -> Painting | None:
    """What was painted on this page, if anything, for a view without a brush; into the link."""
    epsilon = float(st.session_state[link.seed(_STRENGTH)])
    pattern = str(st.session_state[link.seed(_PATTERN)])
    _keep(link, pattern, epsilon)
    return Painting(pattern, epsilon) if pattern else None


def obtain_painted(item: Shown, painting: Painting) -> Painted:
    """What a network says of the painted photograph. Raises PaintError, and those of `score`.

    On as many threads as the outcome, for a scene is replayed on one number of them.
    """
    threads = item.outcome.threads or None

    def work() -> Painted:
        model = resources.zoo().load(item.request.model, resources.device())
        with cpu_threads(threads):
            return score_painted(model, item.request, painting.pattern, painting.epsilon)

    return resources.live(("painted", item.request.key, painting, threads), Painted, work)


def read_painting(link: PageLink, item: Shown, shown: Sequence[Shown]) -> Callable[[], None]:
    """The brush and its strength; returns the drawing of what the networks say."""
    left, right = st.columns(SPLIT, gap="large")
    with left:
        st.subheader("Paint a change")
        epsilon = st.slider(
            "Strength of the paint (n/255)",
            0.0,
            _MOST_EPSILON,
            step=0.5,
            format="%g/255",
            key=link.seed(_STRENGTH),
            help="By how much a painted pixel becomes lighter or darker: the epsilon of your hand.",
        )
        pattern = _read_pattern(link, item)
        _keep(link, pattern, epsilon)
        st.caption("Lighten and darken what you like. Can you fool the network as the attack does?")
    return partial(_draw, right, shown, Painting(pattern, float(epsilon)))


def _keep(link: PageLink, pattern: str, epsilon: float) -> None:
    link.keep(_STRENGTH, epsilon, linked=epsilon != _STRENGTH.default)
    link.keep(_PATTERN, pattern, linked=0 < len(pattern) <= _LONGEST_LINKED)


def _read_pattern(link: PageLink, item: Shown) -> str:
    """The painted pattern as text."""
    pixels = to_bytes(item.outcome.original)
    widget = link.seed(_PATTERN)
    start = str(st.session_state[widget])
    try:
        decode_paint(start, pixels.shape[:2])
    except PaintError as error:
        link.problems.append(f"{error} Nothing is painted.")
        start = ""
    # The browser's canvas would win over a painting that a link brings: that one gets a new canvas.
    canvas = int(st.session_state.get(_CANVAS, 0)) + link.brings("paint")
    st.session_state[_CANVAS] = canvas
    key = f"playground.painter.{pixels.shape[0]}.{link.generation}.{canvas}"
    painted = painter(PaintData(pixels, start), key=key)
    # The browser forgets a canvas that another view replaces; it starts from here when it is back.
    st.session_state[widget] = painted
    if len(painted) > _LONGEST_LINKED:
        st.caption("This painting is too detailed for a link; it stays on this page alone.")
    return painted


def _draw(
    place: st.delta_generator.DeltaGenerator, shown: Sequence[Shown], painting: Painting
) -> None:
    with place:
        st.subheader("What the networks say")
        if not painting.pattern:
            st.caption("Nothing is painted yet: drag over the photograph.")
        for item in shown:
            _draw_one(item, painting)
        st.caption(
            "Your change and the attack's are scored on the same looks. The attack knows which "
            "pixels matter; a hand does not."
        )


def _draw_one(item: Shown, painting: Painting) -> None:
    outcome, classes = item.outcome, item.card.classes
    painted = obtain_painted(item, painting)
    st.html(title_html(item.card))
    counts = vote_counts(painted.logits)
    verdict = judge(outcome.clean_counts, counts, outcome.label)
    change, factor = amplify(painted.image - outcome.original)
    st.html(
        row_html(
            [
                Panel(to_bytes(painted.image), "Painted", _seen(counts, classes)),
                Panel(change, f"Your change × {factor}", f"at most {painting.epsilon:g}/255"),
                Panel(
                    to_bytes(outcome.adversarial),
                    "Attacked",
                    _seen(outcome.adversarial_counts, classes),
                ),
            ]
        )
    )
    draws = int(counts.sum())
    st.markdown(
        f"Painted: **{_WORDS[verdict]}**, {counts[outcome.label]} of {draws} looks see the "
        f"{classes[outcome.label]}. Attacked: **{_WORDS[outcome.verdict]}**, "
        f"{outcome.adversarial_counts[outcome.label]} of {draws}."
    )


def _seen(counts: NDArray[np.int64], classes: Sequence[str]) -> str:
    return f"{classes[int(counts.argmax())]}, {counts.max()} of {counts.sum()} looks"
