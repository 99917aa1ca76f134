"""A row of buttons of which one is chosen, kept in the page's link; names of networks to choose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from rsc_snn.data import dataset_label
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import choice_field

if TYPE_CHECKING:
    from rsc_snn.zoo import ModelCard


def choose_button(
    link: PageLink,
    name: str,
    label: str,
    labels: Mapping[str, str],
    default: str | None = None,
    *,
    noun: str | None = None,
    help: str | None = None,
    hidden: bool = False,
    terse: bool = False,
    place: DeltaGenerator | None = None,
) -> str:
    """The chosen key of `labels` (value in the link to text on the button).

    default: the first if None. noun: what a choice is called in a sentence about a bad link, by
    default `name`. hidden: the label is for screen readers alone. terse: the default is left out
    of the link. place: where to draw; None is the page's current place.
    """
    field = choice_field(name, noun or name, list(labels), default or next(iter(labels)))
    chosen = (place or st).segmented_control(
        label,
        list(labels),
        format_func=labels.__getitem__,
        key=link.seed(field),
        required=True,
        help=help,
        label_visibility="collapsed" if hidden else "visible",
    )
    return str(link.keep(field, chosen, linked=not terse or chosen != field.default))


def network_labels(cards: Iterable[ModelCard]) -> dict[str, str]:
    """What each network is called in one list of options, by its name; no two are called the same.

    Networks of several data sets have theirs before the label, and those that are still called the
    same their name behind it. The framework tells options apart by their text alone.
    """
    listed = list(cards)
    labels = {card.name: card.label for card in listed}
    if len({card.dataset for card in listed}) > 1:
        labels = {card.name: f"{dataset_label(card.dataset)}: {card.label}" for card in listed}
    counts = Counter(labels.values())
    return {
        name: label if counts[label] == 1 else f"{label} ({name})" for name, label in labels.items()
    }
