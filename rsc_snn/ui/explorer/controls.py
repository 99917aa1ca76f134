"""The explorer's panel: which results are looked at. Each control reads and writes the link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import streamlit as st

from rsc_snn.data import dataset_label
from rsc_snn.evaluate import Predictor
from rsc_snn.figures.explorer import CurveAxis
from rsc_snn.tradeoff import WORST
from rsc_snn.ui import resources
from rsc_snn.ui.choices import choose_button, network_labels
from rsc_snn.ui.explorer.measured import (
    Menu,
    Sample,
    Selection,
    Variant,
    compatible,
    has_time,
)
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import Field, choice_field, choices_field
from rsc_snn.ui.words import explained

_MODELS = 6
_STEPS = 8
BESIDE = 2
_ATTACKS = 6
_DEFAULT_EPSILON = 4.0
# The model of a range of sigma is the one that a dial turns.
_RANGE = "-range"
_AXES = {"sigma": "σ", "effective": "σ / √T", "steps": "T"}
_PREDICTORS = {"single": "A single pass", "vote": "A vote"}


def read_selection(link: PageLink, menu: Menu, measured: Menu) -> Selection:
    """Draw the panel and read it. The menu must not be empty.

    measured: the part of the menu that is no plan, by which the attack begins.
    """
    st.header("Results")
    dataset = _choose_dataset(link, menu)
    sample = _choose_sample(link, menu.only(dataset), dataset)
    beside = _choose_beside(link, menu.only(dataset), sample, dataset)
    part = menu.only(dataset, sample)
    models = _choose_models(link, part, dataset)
    steps = _choose_steps(link, part, models, dataset)
    st.header("Attack")
    known = measured.only(dataset, sample)
    base = known if known.variants else part
    start = base.worst_of(models)
    attack = _choose_attack(link, part, start if base.epsilons(start) else ())
    worst = _choose_worst(link, part, start, dataset) if attack == WORST else ()
    epsilon = _choose_epsilon(link, part, part.chosen(worst or (attack,)))
    st.header("Answer")
    predictor, passes = _choose_predictor(link, part, models)
    axis = _choose_axis(link)
    return Selection(
        dataset, sample, models, steps, attack, epsilon, predictor, passes, axis, worst, beside
    )


def _choose_dataset(link: PageLink, menu: Menu) -> str:
    labels = {name: dataset_label(name) for name in menu.datasets}
    return choose_button(link, "dataset", "Data", labels, noun="data set")


def _choose_sample(link: PageLink, menu: Menu, dataset: str) -> Sample:
    """Which images; asked only where several sets of them were measured."""
    slugs = {sample.slug: sample for sample in menu.samples}
    field = replace(
        choice_field("sample", "set of images", list(slugs), next(iter(slugs))),
        store=f"sample.{dataset}",
    )
    key = link.seed(field)
    if len(slugs) == 1:
        # In the link all the same: with other results, others may come first.
        return slugs[link.keep(field, field.default)]
    chosen = st.selectbox(
        "Images",
        list(slugs),
        format_func=lambda slug: menu.sample_labels[slugs[slug]],
        key=key,
        help=explained(
            "Prices, the [Pareto front](#pareto-front) and all differences are of one set of "
            "images."
        ),
    )
    return slugs[link.keep(field, chosen)]


def _choose_beside(link: PageLink, menu: Menu, sample: Sample, dataset: str) -> tuple[Sample, ...]:
    """Other images, whose points are shown too; asked only where there are any.

    Those that shipped by default: what one visitor measured is not shown to all others unasked.
    """
    slugs = {other.slug: other for other in menu.samples if other != sample}
    if not slugs:
        return ()
    start = [other.slug for other in menu.shipped_samples if other != sample][:BESIDE]
    field = _several("beside", "the images beside", list(slugs), start, BESIDE, dataset)
    chosen = st.multiselect(
        "Other images to show",
        list(slugs),
        format_func=lambda slug: menu.sample_labels[slugs[slug]],
        key=link.seed(field),
        max_selections=BESIDE,
        help="Thin dotted lines: the same settings on other images, not compared image by image.",
    )
    return tuple(slugs[slug] for slug in link.keep(field, chosen))


def _choose_models(link: PageLink, menu: Menu, dataset: str) -> tuple[str, ...]:
    labels = network_labels(map(resources.zoo().card, menu.models))
    field = _several("models", "the models", menu.models, _first_models(menu), _MODELS, dataset)
    chosen = st.multiselect(
        "Models",
        menu.models,
        format_func=labels.__getitem__,
        key=link.seed(field),
        max_selections=_MODELS,
        help=explained(
            "Networks without a [noise level](#sigma) are horizontal lines, to compare the others "
            "with."
        ),
    )
    return tuple(link.keep(field, chosen))


def _first_models(menu: Menu) -> list[str]:
    """The dial with most noise levels, one over a range first, and the plain ordinary network."""
    levels: dict[str, set[float]] = {name: set() for name in menu.models}
    for cell in menu.cells:
        if cell.sigma is not None:
            levels[cell.model].add(cell.sigma)
    dial = max(menu.models, key=lambda name: (name.endswith(_RANGE), len(levels[name])))
    cards = [resources.zoo().card(name) for name in menu.models if name != dial]
    plain = [
        card.name
        for card in cards
        if card.config.neuron == "relu"
        and card.config.coding == "direct"
        and card.adversarial == "none"
    ]
    return [dial, *plain[:1]]


def _choose_steps(
    link: PageLink, menu: Menu, models: Sequence[str], dataset: str
) -> tuple[int, ...]:
    """The T of spiking models; ordinary networks are shown in any case."""
    steps = [f"{step}" for step in _steps_of(menu, models)]
    field = _several("steps", "the time steps", steps, steps[:_STEPS], _STEPS, dataset)
    if not steps:
        return ()
    chosen = st.pills(
        "Time steps T",
        steps,
        selection_mode="multi",
        key=link.seed(field),
        wrap=True,
        help=explained(
            "How many [frames](#frame) the network sees before it answers, one at each [time "
            "step](#time-step); more frames average out more noise."
        ),
    )
    return tuple(int(step) for step in link.keep(field, chosen))


def _steps_of(menu: Menu, models: Sequence[str]) -> list[int]:
    spiking = {name for name in models if has_time(name)}
    return sorted({cell.time_steps for cell in menu.cells if cell.model in spiking})


def _choose_attack(link: PageLink, menu: Menu, start: Sequence[Variant]) -> str:
    """A slug or WORST, which is the default if it can begin with several attacks."""
    labels = {variant.slug: variant.label for variant in menu.variants}
    default = WORST if len(start) > 1 else next(iter(labels))
    if len(compatible(menu.variants)) > 1:
        labels = {WORST: "The worst of several"} | labels
    field = choice_field("attack", "attack", list(labels), default)
    chosen = st.selectbox(
        "Attack",
        list(labels),
        format_func=labels.__getitem__,
        key=link.seed(field),
        help=explained(
            "The worst case counts an image as right only as far as it withstands each of the "
            "[attacks](#attack) chosen. [EOT](#eot) attacks average their gradients over "
            "[draws](#draw) of the noise: without such an attack, noise looks stronger than it is."
        ),
    )
    return str(link.keep(field, chosen))


def _choose_worst(
    link: PageLink, menu: Menu, start: Sequence[Variant], dataset: str
) -> tuple[str, ...]:
    """The attacks of the worst case; they stand in the link, so that it shows the same again."""
    labels = {variant.slug: variant.label for variant in menu.variants}
    slugs = [variant.slug for variant in start]
    field = _several("worst", "the attacks", list(labels), slugs, _ATTACKS, dataset)
    chosen = st.multiselect(
        "The worst of",
        list(labels),
        format_func=labels.__getitem__,
        key=link.seed(field),
        max_selections=_ATTACKS,
    )
    chosen = link.keep(field, chosen)
    by_slug = {variant.slug: variant for variant in menu.variants}
    kept = compatible(by_slug[slug] for slug in chosen)
    if len(kept) < len(chosen):
        names = ", ".join(variant.label for variant in kept)
        st.caption(f"Only {names} count: each attack once, and all with one unit of epsilon.")
    return tuple(variant.slug for variant in kept)


def _choose_epsilon(link: PageLink, menu: Menu, variants: Sequence[Variant]) -> float:
    """A size at which all of the attacks were measured; any if there is none."""
    shown = variants or menu.variants
    found = menu.epsilons(shown) or menu.epsilons(shown[:1])
    sizes = {f"{epsilon:.9g}": epsilon for epsilon in found}
    default = _DEFAULT_EPSILON if _DEFAULT_EPSILON in found else found[len(found) // 2]
    unit = shown[0].unit
    chosen = choose_button(
        link,
        "epsilon",
        "Size of the attack ε (epsilon)",
        {size: f"{size}{unit}" for size in sizes},
        f"{default:.9g}",
        help=explained(
            "[Epsilon](#epsilon): the most that a pixel may change, in 255ths of the pixel range."
            if unit
            else "[Epsilon](#epsilon): the most that the image may change, in [L2](#l2)."
        ),
    )
    return sizes[chosen]


def _choose_predictor(
    link: PageLink, menu: Menu, models: Sequence[str]
) -> tuple[Predictor, int | None]:
    """A single pass, or the majority of some; a model without noise answers both the same."""
    predictor = choose_button(
        link,
        "predictor",
        "Answer given by",
        _PREDICTORS,
        "single",
        help=explained(
            "A single [pass](#noisy-pass) of the network, or the class that most of m passes name "
            "in a [vote](#vote)."
        ),
        terse=True,
    )
    odd = [f"{m}" for m in range(3, menu.draws + 1, 2)]
    if predictor == "single":
        return "single", None
    if not odd:
        st.caption("There are too few draws for a vote; a single pass is shown.")
        return "single", None
    everywhere = [m for m in odd if int(m) <= menu.fewest_draws(models)]
    passes = choice_field("passes", "number of passes", odd, (everywhere or odd[:1])[-1])
    chosen = st.select_slider("Passes m of the vote", odd, key=link.seed(passes))
    return cast(Predictor, predictor), int(link.keep(passes, chosen))


def _choose_axis(link: PageLink) -> CurveAxis:
    chosen = choose_button(
        link,
        "axis",
        "Curves over",
        _AXES,
        "sigma",
        help=explained(
            "The noise of each frame, or that of the mean of T frames, the [effective "
            "sigma](#effective-sigma): do curves of all T agree? Over [T](#time-step) itself there "
            "is a curve for each noise level."
        ),
        terse=True,
    )
    return cast(CurveAxis, chosen)


def _several(
    name: str, label: str, options: list[str], default: list[str], most: int, dataset: str
) -> Field:
    """A choice of some that each data set has for itself: it is there again on the way back."""
    field = choices_field(name, label, options, most)
    return replace(field, default=default, store=f"{name}.{dataset}")
