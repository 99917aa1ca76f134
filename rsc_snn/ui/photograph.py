"""The photograph to attack: from the gallery, a file or the camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from rsc_snn.data.gallery import image_id
from rsc_snn.data.numbering import class_numbers
from rsc_snn.data.uploads import decode_image
from rsc_snn.errors import DataError, ImageError
from rsc_snn.outcome import ImageChoice
from rsc_snn.ui import resources
from rsc_snn.ui.errors import shown_errors
from rsc_snn.ui.images import data_link, to_bytes
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import choice_field

if TYPE_CHECKING:
    from rsc_snn.data.gallery import GalleryImage
    from rsc_snn.zoo import ModelCard

_THUMBNAIL = 64
_UNKNOWN_CLASS = "let the network decide"


SOURCES = ("gallery", "file", "camera")


def choose_image(link: PageLink, card: ModelCard) -> ImageChoice:
    """A photograph of the gallery, or the visitor's own.

    While the visitor has not given a photograph yet, or one that cannot be used, it is that of
    the gallery, which shows what the model has a class for. Raises DataError without a gallery,
    or, until there is an own photograph, if the gallery has none of the model's data set.
    """
    numbers = class_numbers(card.dataset, card.classes)
    photographs = {
        image_id(image): image
        for image in resources.gallery(card.dataset)
        if image.class_name.lower() in numbers
    }
    sources = SOURCES if photographs else SOURCES[1:]
    source = st.segmented_control(
        "Where the photograph comes from",
        sources,
        format_func=str.capitalize,
        default=sources[0],
        required=True,
        key="playground.source",
        label_visibility="collapsed",
        width="stretch",
    )
    own = None
    if source != "gallery":
        with shown_errors():
            own = _own_photograph(card, str(source))
    if own is not None:
        return own
    if not photographs:
        raise DataError(f"The gallery has no photographs for {card.label}; give it one of yours.")
    if source != "gallery":
        st.caption("Until there is one, the page shows this photograph of the gallery.")
    chosen = photographs[_pick(link, photographs)]
    return ImageChoice(
        digest=f"{chosen.dataset}/{image_id(chosen)}",
        name=chosen.class_name,
        label=numbers[chosen.class_name.lower()],
        pixels=chosen.pixels(card.config.image_size),
    )


def _pick(link: PageLink, photographs: dict[str, GalleryImage]) -> str:
    """Class, then one of its photographs as thumbnails."""
    by_class: dict[str, list[str]] = {}
    for name, image in photographs.items():
        by_class.setdefault(image.class_name, []).append(name)
    field = choice_field("image", "photograph", list(photographs), next(iter(photographs)))
    widget = link.seed(field)
    class_widget = f"{widget}.class"
    st.session_state[class_widget] = photographs[st.session_state[widget]].class_name

    def first_of_class() -> None:
        st.session_state[widget] = by_class[st.session_state[class_widget]][0]

    st.selectbox(
        "Class",
        list(by_class),
        key=class_widget,
        on_change=first_of_class,
        help="Test photographs: the networks have not seen them in training.",
    )
    with st.container(key="rsc-thumbnails"):
        chosen = st.pills(
            "Photographs of this class",
            by_class[photographs[st.session_state[widget]].class_name],
            format_func=lambda name: _thumbnail(name, photographs[name]),
            key=widget,
            required=True,
            label_visibility="collapsed",
        )
    return str(link.keep(field, chosen))


def _thumbnail(name: str, image: GalleryImage) -> str:
    """A photograph as the Markdown of a label; its name where it cannot be opened."""
    key = ("thumbnail", str(image.path))
    try:
        picture = resources.pictures().compute(
            key, str, lambda: data_link(to_bytes(image.pixels()[0].numpy()), _THUMBNAIL)
        )
    except ImageError:
        return name
    return f"![{name}]({picture})"


def _own_photograph(card: ModelCard, source: str) -> ImageChoice | None:
    """The visitor's own photograph, or None. Raises ImageError with a sentence."""
    privacy = (
        "It stays in the app's memory until newer photographs push it out; it is written to no "
        "disk, no other visitor sees it, and no link has it."
    )
    limits = resources.settings()
    if source == "camera":
        file = st.camera_input("Take a photograph", key="playground.camera", help=privacy)
    else:
        file = st.file_uploader(
            f"Drop a PNG, JPEG or WebP here, up to {limits.upload_megabytes} MB",
            type=["png", "jpg", "jpeg", "webp"],
            key="playground.upload",
            help=privacy,
        )
    if file is None:
        return None
    size = card.config.image_size
    key = ("upload", resources.owner(), file.file_id, size)
    pixels, note = resources.pictures().compute(
        key,
        tuple,
        lambda: tuple(
            decode_image(
                file.getvalue(),
                size,
                most_bytes=limits.upload_bytes,
                most_pixels=limits.upload_pixels,
            )
        ),
    )
    if note:
        st.caption(note)
    label = st.selectbox(
        "It shows a",
        [_UNKNOWN_CLASS, *card.classes],
        key="playground.upload.class",
        help=(
            "The right answer, which the attack tries to prevent. If you let the network decide, "
            "its answer to the untouched photograph counts as right."
        ),
    )
    known = None if label == _UNKNOWN_CLASS else list(card.classes).index(label)
    return ImageChoice(f"upload/{file.file_id}/{size}/{known}", "your photograph", known, pixels)
