"""What the Playground shows of an outcome: verdict, pictures, answers, spikes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from rsc_snn.activity import Activity
from rsc_snn.figures import evolution_figure, probability_figure
from rsc_snn.outcome import Outcome, majority
from rsc_snn.ui.components import plot
from rsc_snn.ui.figure_files import figure_config, remember_figure
from rsc_snn.ui.images import Panel, amplify, row_html, to_bytes
from rsc_snn.ui.words import explained

# Of the pixel range, with room for rounding: a larger change does not fit on mid-grey.
_HALF = 0.502


def draw_figure(figure: go.Figure, key: str, alt: str) -> str | None:
    """A figure at the width of its place, in the page's light or dark theme.

    It is also kept for `rsc_snn.ui.figure_files`. Returns what `components.plot` does.
    """
    remember_figure(key, alt, figure)
    return plot(figure, key=key, alt=alt, config=figure_config(key))


def draw_verdict(
    outcome: Outcome, classes: Sequence[str], *, assumed: bool = False, short: bool = False
) -> None:
    """One sentence: held, fooled or undecided, and on what share of the draws.

    assumed: the true class was not known, and is what the network said of the original. short:
    for a narrow column.
    """
    draws = len(outcome.clean_votes)
    before, after = (
        int(counts[outcome.label]) for counts in (outcome.clean_counts, outcome.adversarial_counts)
    )
    truth, rival = classes[outcome.label], classes[outcome.rival]
    if draws == 1:
        said = ("does not see it", "sees it")
        looks = (
            f"The one look at the original {said[before].replace('it', f'the {truth}')}, the one "
            f"at the attacked photograph {said[after]}"
        )
    elif short:
        looks = f"Looks that see the {truth}: {before} → {after} of {draws}"
    else:
        looks = (
            f"Of {draws} looks, {before} see the {truth} in the original, {after} in the attacked "
            "photograph"
        )
    if short:
        most, other = "most often now", "; choose another photograph."
    else:
        most = "it is now taken for" if draws == 1 else "most often it is now taken for"
        other = "; choose another photograph to see an attack at work."
    match outcome.verdict:
        case "wrong" if majority(outcome.clean_counts) is None:
            st.warning(
                f"**Undecided without any attack.** Of {draws} looks at the original, no class has "
                f"more than half: the {truth} has {before}{other}",
                icon=":material/balance:",
            )
        case "wrong":
            found = (
                f"The one look at the original does not see the {truth}"
                if draws == 1
                else f"Of {draws} looks at the original, {before} see the {truth}"
            )
            st.warning(
                f"**Wrong without any attack.** {found}{other}",
                icon=":material/help:",
            )
        case "fooled":
            st.error(f"**Fooled.** {looks}; {most}: {rival}.", icon=":material/gpp_bad:")
        case "abstained":
            st.warning(
                f"**Undecided.** {looks}; no class has more than half of them.",
                icon=":material/balance:",
            )
        case _:
            st.success(f"**Held.** {looks}.", icon=":material/verified_user:")
    if assumed:
        st.caption(
            f"Nobody said what your photograph shows, so the network's own answer, {truth}, "
            "counts as right."
        )


def draw_pictures(outcome: Outcome, classes: Sequence[str]) -> None:
    """Original, perturbation and attacked photograph side by side."""
    change = outcome.adversarial - outcome.original
    shown, factor = amplify(change)
    clipped = float(np.abs(change).max()) > _HALF
    cut = " and cut off where it is more than half of the range" * clipped
    words = f"is shown {factor} times stronger than it is, on grey."
    if factor == 1:
        words = f"is shown as it is, on grey{cut}." if change.any() else "is none: nothing changed."
    peak, length = float(np.abs(change).max()) * 255, float(np.linalg.norm(change))
    before = seen_as(outcome.clean_votes, classes)
    after = seen_as(outcome.adversarial_votes, classes)
    panels = [
        Panel(to_bytes(outcome.original), "Original", before),
        Panel(shown, f"Change × {factor}", f"at most {peak:.3g}/255, L2 {length:.2f}"),
        Panel(to_bytes(outcome.adversarial), "Attacked", after),
    ]
    st.html(row_html(panels))
    st.caption(
        explained(f"The change, or [perturbation](#perturbation), {words} ")
        + "Cost of the attack: "
        f"forward passes {outcome.queries:,}, gradients {outcome.gradients:,}; with the scoring it "
        f"took {outcome.seconds:.2f} s."
    )


def seen_as(votes: np.ndarray, classes: Sequence[str]) -> str:
    """The class that most draws give, and how many of them."""
    counts = np.bincount(votes)
    return f"{classes[int(counts.argmax())]}, {counts.max()} of {len(votes)} looks"


def draw_answers(outcome: Outcome, classes: Sequence[str], name: str) -> None:
    """Class probabilities of the network `name` before and after."""
    draw_figure(
        probability_figure(outcome.clean_logits, outcome.adversarial_logits, classes),
        f"probabilities-{name}",
        f"Bars: probability of each class for the original and the attacked photograph, {name}.",
    )


def draw_evolution(outcome: Outcome, activity: Activity, classes: Sequence[str], seed: int) -> None:
    """How the answer forms over the time steps."""
    clean, adversarial = activity.clean.step_logits, activity.adversarial.step_logits
    st.subheader("How the answer forms")
    draw_figure(
        evolution_figure(clean, adversarial, classes, outcome.label, outcome.rival),
        "evolution",
        "Lines: probability of the true class and of its rival after each time step.",
    )
    if activity.spiking or activity.noisy:
        noise = f", with the same noise (seed {seed})" if activity.noisy else ""
        text = (
            "The answer after the first steps: probability of the right class (solid) and of its "
            f"strongest rival (dotted). One look at each photograph{noise}."
        )
    else:
        text = "An ordinary network answers at once: more steps would repeat the same answer."
    st.caption(text)
