"""Controls that several steps of the lesson have: a slider, fresh draws, a photograph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import streamlit as st

from rsc_snn.data.gallery import image_id
from rsc_snn.errors import DataError
from rsc_snn.ui import resources
from rsc_snn.ui.images import data_link, to_bytes
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import choice_field, number_field

if TYPE_CHECKING:
    from rsc_snn.data.gallery import GalleryImage

Number = TypeVar("Number", int, float)

_DECIMALS = 6
_SEEDS = (0, 2**31 - 1)


def choose_number(
    link: PageLink,
    name: str,
    label: str,
    limits: tuple[Number, Number],
    start: Number,
    step: Number,
    text: str,
) -> Number:
    """A slider called `name` in the link."""
    field = number_field(name, label, *limits, start)
    # What the slider shows is what is computed, and what the equations are printed with.
    field = replace(field, parse=partial(_on_step, field.parse, limits, step))
    value = st.slider(label, *limits, step=step, key=link.seed(field), help=text)
    return link.keep(field, value)


def _on_step(
    parse: Callable[[str], Number], limits: tuple[Number, Number], step: Number, text: str
) -> Number:
    """The nearest value to that of `text` at which the slider stops."""
    low, high = limits
    nearest = min(low + round((parse(text) - low) / step) * step, high)
    return round(nearest, _DECIMALS) if isinstance(nearest, float) else nearest


def draw_again(link: PageLink, name: str) -> int:
    """A button for fresh draws; the seed that it has come to, which the link has as `name`."""
    field = number_field(name, "The seed", *_SEEDS, 0)
    key = link.seed(field)
    st.button(
        "Draw again",
        icon=":material/casino:",
        key=f"{key}.again",
        on_click=partial(_next_seed, key),
        help="The same settings with other random numbers. The link keeps which.",
    )
    return int(link.keep(field, int(st.session_state[key])))


def _next_seed(key: str) -> None:
    st.session_state[key] = (int(st.session_state[key]) + 1) % (_SEEDS[1] + 1)


def choose_photograph(link: PageLink, name: str, dataset: str) -> GalleryImage:
    """One photograph of each class, as thumbnails; the link has it as `name`.

    Raises DataError if the gallery has none of this data set.
    """
    first: dict[str, GalleryImage] = {}
    for image in resources.gallery(dataset):
        first.setdefault(image.class_name, image)
    photographs = {image_id(image): image for image in first.values()}
    if not photographs:
        raise DataError(f"The gallery has no photographs of {dataset}.")
    names = list(photographs)
    field = choice_field(name, "photograph", names, names[len(names) // 2])
    with st.container(key="rsc-thumbnails"):
        chosen = st.pills(
            "Photograph",
            names,
            format_func=lambda key: _thumbnail(photographs[key]),
            key=link.seed(field),
            required=True,
        )
    return photographs[link.keep(field, chosen)]


def _thumbnail(image: GalleryImage) -> str:
    """A photograph as the Markdown of a label."""
    picture = resources.pictures().compute(
        ("thumbnail", str(image.path)), str, lambda: data_link(to_bytes(image.pixels()[0].numpy()))
    )
    return f"![{image.class_name}]({picture})"
