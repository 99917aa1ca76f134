"""What the Playground shows of an outcome: verdict, pictures, answers, spikes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from rsc_snn.figures import (
    activation_figure,
    evolution_figure,
    probability_figure,
    raster_figure,
    rates_figure,
)
from rsc_snn.outcome import LayerView, Outcome
from rsc_snn.ui.images import Panel, amplify, row_html, to_bytes

_STATIC = {"displayModeBar": False, "responsive": True}


def draw_figure(figure: go.Figure, key: str, alt: str) -> None:
    """A figure at the width of its place, in the page's light or dark theme.

    The framework replaces a changed chart by a new one, and for a moment shows both; a frame of
    the figure's height, whose style hides what is beyond it, keeps the page from jumping.
    """
    with st.container(height=int(figure.layout.height), border=False, key=f"rsc-figure-{key}"):
        st.plotly_chart(figure, key=key, config=_STATIC, alt=alt)


def draw_verdict(outcome: Outcome, classes: Sequence[str], *, assumed: bool = False) -> None:
    """One sentence: held or fooled, and on what share of the draws.

    assumed: the true class was not known, and is what the network said of the original.
    """
    draws = len(outcome.clean_votes)
    before = int((outcome.clean_votes == outcome.label).sum())
    after = int((outcome.adversarial_votes == outcome.label).sum())
    truth, rival = classes[outcome.label], classes[outcome.rival]
    if 2 * before <= draws:
        st.warning(
            f"**Wrong without any attack.** Of {draws} looks at the original, {before} see the "
            f"{truth}; choose another photograph to see an attack at work.",
            icon=":material/help:",
        )
    elif 2 * after <= draws:
        st.error(
            f"**Fooled.** Of {draws} looks, {before} see the {truth} in the original, "
            f"{after} in the attacked photograph; most often it is now taken for: {rival}.",
            icon=":material/gpp_bad:",
        )
    else:
        st.success(
            f"**Held.** Of {draws} looks, {before} see the {truth} in the original, "
            f"{after} in the attacked photograph.",
            icon=":material/verified_user:",
        )
    if assumed:
        st.caption(
            f"Nobody said what your photograph shows, so the network's own answer, {truth}, "
            "counts as right."
        )


def draw_pictures(outcome: Outcome, classes: Sequence[str]) -> None:
    """Original, perturbation and attacked photograph side by side."""
    change = outcome.adversarial - outcome.original
    shown, factor = amplify(change)
    peak, length = float(np.abs(change).max()) * 255, float(np.linalg.norm(change))
    before = _seen_as(outcome.clean_votes, classes)
    after = _seen_as(outcome.adversarial_votes, classes)
    panels = [
        Panel(to_bytes(outcome.original), "Original", before),
        Panel(shown, f"Change × {factor}", f"at most {peak:.3g}/255, L2 {length:.2f}"),
        Panel(to_bytes(outcome.adversarial), "Attacked", after),
    ]
    st.html(row_html(panels))
    st.caption(
        f"The change is shown {factor} times stronger than it is, on grey. Cost of the attack: "
        f"forward passes {outcome.queries:,}, gradients {outcome.gradients:,}; with the scoring it "
        f"took {outcome.seconds:.2f} s."
    )


def _seen_as(votes: np.ndarray, classes: Sequence[str]) -> str:
    """The class that most draws give, and how many of them."""
    counts = np.bincount(votes)
    return f"{classes[int(counts.argmax())]}, {counts.max()} of {len(votes)} looks"


def draw_answers(outcome: Outcome, classes: Sequence[str]) -> None:
    """Class probabilities before and after."""
    st.subheader("What the network answers")
    draw_figure(
        probability_figure(outcome.clean_logits, outcome.adversarial_logits, classes),
        "probabilities",
        "Bars: probability of each class for the original and for the attacked photograph.",
    )
    st.caption(
        f"Mean probability of each class over {len(outcome.clean_votes)} looks with fresh noise; "
        "the thin lines run from the lowest to the highest look. Long lines: the noise decides."
    )


def draw_evolution(outcome: Outcome, classes: Sequence[str], seed: int) -> None:
    """How the answer forms over the time steps."""
    st.subheader("How the answer forms")
    draw_figure(
        evolution_figure(
            outcome.clean_steps, outcome.adversarial_steps, classes, outcome.label, outcome.rival
        ),
        "evolution",
        "Lines: probability of the true class and of its rival after each time step.",
    )
    if outcome.spiking:
        text = (
            "The answer after the first steps: probability of the right class (solid) and of its "
            f"strongest rival (dotted). One look at each photograph, with the same noise "
            f"(seed {seed})."
        )
    else:
        text = "An ordinary network answers at once: more steps would repeat the same answer."
    st.caption(text)


def draw_spikes(outcome: Outcome, layer: LayerView) -> None:
    """Spike raster of one layer; activations where the network has no spikes."""
    if not outcome.spiking:
        draw_figure(
            activation_figure(layer.clean, layer.adversarial),
            "raster",
            "Mean activation of each channel, original and attacked.",
        )
        st.caption(
            "This is an ordinary network: its neurons do not spike but answer with a number. "
            "Shown is the mean answer of each channel; the further the orange marks lie from the "
            "blue line, the more the attack changed in this layer."
        )
        return
    draw_figure(
        raster_figure(layer.clean, layer.adversarial, layer.neurons),
        "raster",
        "Spike raster of one layer for the original and the attacked photograph.",
    )
    rows = len(layer.neurons)
    which = f"{rows:,} of its {layer.total:,} neurons" if rows < layer.total else "all its neurons"
    st.caption(
        f"Each row is a neuron ({which}), each mark a spike. Right: spikes that only one of the "
        f"two has, blue for the original, orange for the attacked one; that is "
        f"{layer.changed:.0%} of all spikes of this layer. Both saw the same noise, so the "
        "attack alone makes the difference."
    )


def choose_layer(outcome: Outcome, key: str) -> LayerView:
    """The layer to look into."""
    names = [layer.name for layer in outcome.layers]
    if st.session_state.get(key) not in names:
        st.session_state[key] = names[0]
    sizes = {layer.name: " × ".join(map(str, layer.shape)) for layer in outcome.layers}
    chosen = st.selectbox(
        "Layer",
        names,
        format_func=lambda name: f"{name} ({sizes[name]})",
        key=key,
        help="Layers nearer to the photograph come first; in brackets channels × height × width.",
    )
    return outcome.layers[names.index(chosen)]


def draw_rates(outcome: Outcome) -> None:
    """Firing rate of every layer."""
    st.subheader("How busy each layer is")
    draw_figure(
        rates_figure(
            [layer.name.split(" · ")[0] for layer in outcome.layers],
            np.array([layer.clean_rate for layer in outcome.layers]),
            np.array([layer.adversarial_rate for layer in outcome.layers]),
            spiking=outcome.spiking,
        ),
        "rates",
        "Bars: firing rate of every layer for the original and the attacked photograph.",
    )
    unit = "Spikes per neuron and time step" if outcome.spiking else "Mean activation"
    st.caption(
        f"{unit}, from the photograph (left) to the answer (right). Attacks often leave these "
        "averages alone and change which neurons fire."
    )
