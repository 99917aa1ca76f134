"""The Models page: a table that compares the models, and a card for each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import streamlit as st

from rsc_snn.data.catalogue import DATASETS, dataset_label
from rsc_snn.figures import training_figure
from rsc_snn.figures.classes import MOST_CLASSES, ClassBar, class_figure
from rsc_snn.ui import resources
from rsc_snn.ui.controls import has_sigma
from rsc_snn.ui.results import draw_figure
from rsc_snn.ui.words import explained
from rsc_snn.zoo import NOT_STATED

if TYPE_CHECKING:
    from rsc_snn.zoo import ModelCard

_CODINGS = {
    "direct": "direct (the photograph itself)",
    "poisson": "Poisson (random spikes)",
    "rsc": "RSC (photograph plus noise)",
}
_ATTACKED = {
    "fgsm": "fast (one FGSM step from a random start)",
    "pgd": "PGD",
    "trades": "TRADES",
}


def draw_problems() -> None:
    """A sentence for each model that cannot be used."""
    for problem in resources.zoo().problems().values():
        st.warning(problem, icon=":material/broken_image:")


def by_dataset(cards: list[ModelCard]) -> list[tuple[str, list[ModelCard]]]:
    """(label of the data set, its cards), in the order of the catalogue, unknown ones last."""
    names = [*DATASETS, *sorted({card.dataset for card in cards} - set(DATASETS))]
    groups = [[card for card in cards if card.dataset == name] for name in names]
    return [(dataset_label(group[0].dataset), group) for group in groups if group]


def dataset_anchor(dataset: str) -> str:
    """Where on the page a data set begins; the names of models are the anchors of their cards."""
    return "data-" + re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-")


def draw_contents(groups: list[tuple[str, list[ModelCard]]]) -> None:
    """The way to each data set, if there are several."""
    if len(groups) > 1:
        links = [
            f"[{label}](#{dataset_anchor(cards[0].dataset)}), {_count(len(cards), 'model')}"
            for label, cards in groups
        ]
        st.markdown(f"On this page: {' · '.join(links)}")


def card_link(card: ModelCard) -> str:
    """A model's name as a link to its card."""
    return f"[{card.label}](#{card.name})"


def draw_table(cards: list[ModelCard]) -> None:
    """Models of one data set side by side.

    A plain table: the framework's interactive one loads two data-frame libraries and cannot be
    read on a phone without scrolling in two directions.
    """
    head = explained(
        "| Model | [Input coding](#coding) | [T](#time-step) | [Clean accuracy](#clean-accuracy) "
        "([95 % interval](#confidence-interval)) | n |"
    )
    rows = [
        f"| {card_link(card)} | {_coding(card)} | {_steps(card)} | {_accuracy(card)} "
        f"| {_images(card)} |"
        for card in cards
    ]
    st.markdown("\n".join([head, "| --- | --- | --- | --- | --- |", *rows]))
    st.caption(
        explained(
            "Accuracy on n test photographs without an [attack](#attack). Where intervals overlap, "
            "the difference may be chance."
        )
    )


def draw_card(card: ModelCard) -> None:
    """One model in two lines; what it can do and how it came to be only once it is opened."""
    with st.container(border=True, gap="xsmall"):
        st.subheader(card.label, anchor=card.name)
        st.caption(f"`{card.name}` · {_network(card)} · {card.size_bytes / 1e6:.1f} MB")
        details = st.expander(
            f"Clean accuracy {_accuracy(card)}: by class, training, limits",
            key=f"models.open.{card.name}",
            on_change="rerun",
        )
        if details.open:
            with details:
                left, right = st.columns(2, gap="large")
                with left:
                    _draw_accuracy(card)
                    _draw_facts(card)
                with right:
                    _draw_training(card)
                    st.markdown(f"**Limits.** {card.limits or NOT_STATED}")


def _draw_accuracy(card: ModelCard) -> None:
    clean = card.clean_accuracy
    st.metric(
        "Clean accuracy",
        NOT_STATED if clean is None else f"{clean.value:.1%}",
        help="Share of right answers on test photographs that nobody attacked.",
    )
    if clean is None:
        return
    st.caption(
        f"{clean.confidence:.0%} interval {clean.lower:.1%} to {clean.upper:.1%}; n = {clean.n:,} "
        f"({clean.split}), {_count(clean.draws, 'draw')} each, seed {clean.seed}."
        + (f" Test photographs: {clean.note}." if clean.note else "")
    )
    if not card.class_accuracy:
        return
    bars = [
        ClassBar(name, item.value, item.lower, item.upper, item.n)
        for name, item in zip(card.classes, card.class_accuracy, strict=True)
    ]
    draw_figure(
        class_figure(bars, clean.value),
        f"classes.{card.name}",
        f"Bars: accuracy of {card.label} on the test photographs of each class.",
    )
    shown = (
        "" if len(bars) <= MOST_CLASSES else f" Of {len(bars):,} classes the best and the worst."
    )
    st.caption(
        f"Accuracy on each class with its {clean.confidence:.0%} interval; the dotted line is that "
        f"on all.{shown}"
    )


def _draw_facts(card: ModelCard) -> None:
    training, zoo = card.training, resources.zoo()
    own = zoo.is_own(card.name)
    facts = {
        "Folder": f"`{zoo.origin(card.name)}`" if own else "",
        "Data": dataset_label(card.dataset),
        "Network": _network(card),
        "Input coding": _coding(card),
        "Time steps": _steps(card),
        "Training": NOT_STATED
        if training is None
        else f"{_count(training.epochs, 'epoch')}, seed {training.seed}, "
        f"{_duration(training.seconds)} on {training.device}",
        "Scale of the recipe": "" if training is None else training.scale.upper(),
        "Teacher": "" if training is None else training.teacher,
        "Adversarial training": _adversarial(card),
        "File": f"{card.size_bytes / 1e6:.1f} MB, {'' if own else 'float16 '}safetensors",
        "Rounding to float16": _rounding(card),
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
                [row.get("validation_robust") for row in evaluated],
            ),
            f"training.{card.name}",
            f"Lines: accuracy of {card.label} on training and held-out photographs by epoch.",
        )
        st.caption(_curve_text(card))
    if card.training is None:
        return
    st.markdown("**Train it again**")
    st.code(card.training.command, language="bash", wrap_lines=True)
    if card.training.note:
        st.caption(f"Training photographs: {card.training.note}.")


def _curve_text(card: ModelCard) -> str:
    text = "Accuracy after each epoch, on training and on held-out photographs."
    config = card.recipe.get("adversarial")
    if card.adversarial in _ATTACKED and isinstance(config, dict):
        watched = config.get("watched", 0)
        text += f" Attacked: {watched} of the held-out photographs, by PGD-10." if watched else ""
    if card.adversarial in ("fgsm", "pgd"):
        text += " The training photographs were attacked."
    return text


def _network(card: ModelCard) -> str:
    config = card.config
    kind = "spiking (LIF neurons)" if config.neuron == "lif" else "ordinary (ReLU neurons)"
    stages = "-".join(map(str, config.widths))
    return f"{config.network}, {kind}, {stages} channels, {config.image_size} px images"


def _coding(card: ModelCard) -> str:
    text = _CODINGS.get(card.config.coding, card.config.coding)
    return f"{text}, σ = {card.config.sigma:g}" if has_sigma(card.config) else text


def _steps(card: ModelCard) -> str:
    return str(card.config.time_steps) if card.config.has_time else "–"


def _adversarial(card: ModelCard) -> str:
    method = card.adversarial
    config = card.recipe.get("adversarial")
    if method not in _ATTACKED or not isinstance(config, dict):
        return method
    steps = "" if method == "fgsm" else f", {_count(config.get('steps', 0), 'step')}"
    return f"{_ATTACKED[method]}{steps}, epsilon {config.get('epsilon', 0):g}/255"


def _rounding(card: ModelCard) -> str:
    exact = card.float32_accuracy
    if exact is None:
        return ""
    rounded = card.recipe.get("float16_epochs")
    if isinstance(rounded, int) and rounded and exact.difference == 0:
        return f"changed nothing: training ended on rounded weights ({_count(rounded, 'epoch')})"
    before = f"from {exact.value:.2%} in float32"
    if exact.difference == 0:
        return f"did not change the accuracy of {exact.value:.2%} in float32"
    points = f"{100 * exact.difference:+.2f}"
    if float(points) == 0:
        return f"changed the accuracy by less than 0.01 points, {before}"
    return f"changed the accuracy by {points} points, {before}"


def _accuracy(card: ModelCard) -> str:
    clean = card.clean_accuracy
    if clean is None:
        return NOT_STATED
    return f"{clean.value:.1%} ({clean.lower:.1%} to {clean.upper:.1%})"


def _images(card: ModelCard) -> str:
    return "–" if card.clean_accuracy is None else f"{card.clean_accuracy.n:,}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
