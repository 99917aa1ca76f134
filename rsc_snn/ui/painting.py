"""The view of painting: a change made by hand, beside the attack's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from rsc_snn.attacks import score
from rsc_snn.errors import PaintError
from rsc_snn.outcome import judge, vote_counts
from rsc_snn.paint import apply_paint, decode_paint
from rsc_snn.ui import resources
from rsc_snn.ui.comparison import title_html
from rsc_snn.ui.components import PaintData, painter
from rsc_snn.ui.images import Panel, amplify, row_html, to_bytes
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.playground import Shown
from rsc_snn.ui.query import number_field, text_field

SPLIT = (2, 3)
_LONGEST = 3000
_MOST_EPSILON = 64.0
_WORDS = {
    "held": "still right",
    "fooled": "fooled",
    "wrong": "wrong without any change",
    "abstained": "undecided",
}


@dataclass(frozen=True)
class Painted:
    """A painted image `[C, H, W]` and its logits `[D, K]` on the draws of the outcome."""

    image: NDArray[np.float32]
    logits: NDArray[np.float32]


def read_painting(link: PageLink, item: Shown, shown: Sequence[Shown]) -> Callable[[], None]:
    """The brush and its strength; returns the drawing of what the networks say."""
    left, right = st.columns(SPLIT, gap="large")
    with left:
        st.subheader("Paint a change")
        strength = number_field("paint_epsilon", "The strength", 0.0, _MOST_EPSILON, 8.0)
        epsilon = st.slider(
            "Strength of the paint (n/255)",
            0.0,
            _MOST_EPSILON,
            step=0.5,
            format="%g/255",
            key=link.seed(strength),
            help="By how much a painted pixel becomes lighter or darker: the epsilon of your hand.",
        )
        link.keep(strength, epsilon, linked=epsilon != strength.default)
        pattern = _read_pattern(link, item)
        st.caption("Lighten and darken what you like. Can you fool the network as the attack does?")
    return partial(_draw, right, shown, pattern, float(epsilon))


def _read_pattern(link: PageLink, item: Shown) -> str:
    """The painted pattern as text; it goes into the link."""
    pixels = to_bytes(item.outcome.original)
    field = text_field("paint", _LONGEST, str)
    widget = link.seed(field)
    start = str(st.session_state[widget])
    try:
        decode_paint(start, pixels.shape[:2])
    except PaintError as error:
        link.problems.append(f"{error} Nothing is painted.")
        start = ""
    key = f"playground.painter.{pixels.shape[0]}.{link.generation}"
    painted = painter(PaintData(pixels, start), key=key)
    # The browser forgets a canvas that another view replaces; it starts from here when it is back.
    st.session_state[widget] = painted
    if len(painted) > _LONGEST:
        st.caption("This painting is too detailed for a link; it stays on this page alone.")
    link.keep(field, painted, linked=0 < len(painted) <= _LONGEST)
    return painted


def _draw(
    place: st.delta_generator.DeltaGenerator, shown: Sequence[Shown], pattern: str, epsilon: float
) -> None:
    with place:
        st.subheader("What the networks say")
        if not pattern:
            st.caption("Nothing is painted yet: drag over the photograph on the left.")
        for column, item in zip(st.columns(len(shown)), shown, strict=True):
            with column:
                _draw_one(item, pattern, epsilon)
        st.caption(
            "Your change and the attack's are scored on the same looks. The attack knows which "
            "pixels matter; a hand does not."
        )


def _draw_one(item: Shown, pattern: str, epsilon: float) -> None:
    outcome, classes = item.outcome, item.card.classes
    painted = _obtain(item, pattern, epsilon)
    st.html(title_html(item.card))
    counts = vote_counts(painted.logits)
    verdict = judge(outcome.clean_counts, counts, outcome.label)
    change, factor = amplify(painted.image - outcome.original)
    st.html(
        row_html(
            [
                Panel(to_bytes(painted.image), "Painted", _seen(counts, classes)),
                Panel(change, f"Your change × {factor}", f"at most {epsilon:g}/255"),
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


def _obtain(item: Shown, pattern: str, epsilon: float) -> Painted:
    request = item.request
    key = ("painted", request.key, pattern, epsilon)
    return resources.live(key, Painted, partial(score_painted, item, pattern, epsilon))


def score_painted(item: Shown, pattern: str, epsilon: float) -> Painted:
    """The painted photograph and its logits. Raises PaintError, and the errors of `score`."""
    request, device = item.request, resources.device()
    x = request.image.pixels.to(device)
    painted = apply_paint(x, decode_paint(pattern, (x.shape[-2], x.shape[-1])), epsilon / 255)
    logits = score(
        resources.zoo().load(request.model, device),
        painted,
        request.draws,
        time_steps=request.time_steps,
        sigma=request.sigma,
        seed=request.seed,
    )
    return Painted(painted[0].cpu().numpy(), logits[:, 0].cpu().numpy())
