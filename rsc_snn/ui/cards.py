"""The Models page: a table that compares the models, and a card for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from rsc_snn.data.catalogue import DATASETS
from rsc_snn.figures import training_figure
from rsc_snn.ui import resources
from rsc_snn.ui.controls import has_sigma
from rsc_snn.ui.results import draw_figure

if TYPE_CHECKING:
    from rsc_snn.zoo import ModelCard

_CODINGS = {
    "direct": "direct (the photograph itself)",
    "poisson": "Poisson (random spikes)",
    "rsc": "RSC (photograph plus noise)",
}


def draw_problems() -> None:
    """A sentence for each model that cannot be used."""
    for problem in resources.zoo().problems().values():
        st.warning(problem, icon=":material/broken_image:")


def draw_table(cards: list[ModelCard]) -> None:
    """All models side by side.

    A plain table: the framework's interactive one loads two data-frame libraries and cannot be
    read on a phone without scrolling in two directions.
    """
    head = "| Model | Data | Input coding | T | Clean accuracy (95 % interval) | n |"
    rows = [
        f"| {card.label} | {_dataset(card)} | {_coding(card)} | {_steps(card)} "
        f"| {_accuracy(card)} | {card.clean_accuracy.n:,} |"
        for card in cards
    ]
    st.markdown("\n".join([head, "| --- | --- | --- | --- | --- | --- |", *rows]))
    st.caption(
        "Accuracy on test photographs without an attack. Intervals that overlap: the difference "
        "may be chance."
    )


def draw_card(card: ModelCard) -> None:
    """One model: what it is, what it can do, how it came to be."""
    with st.container(border=True):
        st.subheader(card.label, anchor=card.name)
        left, right = st.columns(2, gap="large")
        with left:
            _draw_facts(card)
        with right:
            _draw_training(card)


def _draw_facts(card: ModelCard) -> None:
    clean, training = card.clean_accuracy, card.training
    st.metric(
        "Clean accuracy",
        f"{clean.value:.1%}",
        help="Share of right answers on test photographs that nobody attacked.",
    )
    st.caption(
        f"{clean.confidence:.0%} interval {clean.lower:.1%} to {clean.upper:.1%}; n = {clean.n:,} "
        f"({clean.split}), {_count(clean.draws, 'draw')} each, seed {clean.seed}. {clean.note}"
    )
    facts = {
        "Data": _dataset(card),
        "Network": _network(card),
        "Input coding": _coding(card),
        "Time steps": _steps(card),
        "Training": f"{_count(training.epochs, 'epoch')}, seed {training.seed}, "
        f"{_duration(training.seconds)} on {training.device}",
        "File": f"{card.size_bytes / 1e6:.1f} MB, float16 safetensors",
        "SHA-256": f"`{card.sha256}`",
    }
    st.markdown("\n".join(f"- **{name}:** {text}" for name, text in facts.items() if text))


def _draw_training(card: ModelCard) -> None:
    rows = resources.zoo().curve(card.name)
    evaluated = [row for row in rows if "epoch" in row and "train_accuracy" in row]
    if evaluated:
        draw_figure(
            training_figure(
                [row["epoch"] for row in evaluated],
                [row["train_accuracy"] for row in evaluated],
                [row.get("validation_accuracy") for row in evaluated],
            ),
            f"training.{card.name}",
            f"Lines: accuracy of {card.label} on training and held-out photographs by epoch.",
        )
        st.caption("Accuracy after each epoch, on training and on held-out photographs.")
    st.markdown("**Train it again**")
    st.code(card.training.command, language="bash", wrap_lines=True)
    if card.training.note:
        st.caption(card.training.note)
    st.markdown(f"**Limits.** {card.limits}")


def _dataset(card: ModelCard) -> str:
    spec = DATASETS.get(card.dataset)
    return spec.label if spec is not None else card.dataset


def _network(card: ModelCard) -> str:
    config = card.config
    kind = "spiking (LIF neurons)" if config.neuron == "lif" else "ordinary (ReLU neurons)"
    stages = "-".join(map(str, config.widths))
    return f"{config.network}, {kind}, {stages} channels, {config.image_size} px images"


def _coding(card: ModelCard) -> str:
    text = _CODINGS.get(card.config.coding, card.config.coding)
    return f"{text}, σ = {card.config.sigma:g}" if has_sigma(card.config) else text


def _steps(card: ModelCard) -> str:
    return str(card.config.time_steps) if card.config.neuron == "lif" else "–"


def _accuracy(card: ModelCard) -> str:
    clean: Any = card.clean_accuracy
    return f"{clean.value:.1%} ({clean.lower:.1%} to {clean.upper:.1%})"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
