"""A row of buttons of which one is chosen, kept in the page's link."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import choice_field


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
