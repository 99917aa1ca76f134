"""The photograph to attack: from the gallery, a file or the camera."""

from __future__ import annotations

from dataclasses import dataclass, field
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
from rsc_snn.ui.query import choice_field, clean_text

if TYPE_CHECKING:
    from rsc_snn.data.gallery import GalleryImage
    from rsc_snn.zoo import ModelCard

_THUMBNAIL = 64
_UNKNOWN_CLASS = "let the network decide"
_SOURCE = "playground.own.source"


SOURCES = ("gallery", "file", "camera")


@dataclass(frozen=True)
class _Own:
    """A photograph that the visitor gave.

    It lives in the session under a key of no control: the framework empties controls when the
    visitor looks at another page. said: the class that the visitor says it shows, by the classes
    that there were to choose from.
    """

    name: str
    file_id: str
    content: bytes = field(repr=False)
    said: dict[tuple[str, ...], str] = field(default_factory=dict)


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
    widget = "playground.source"
    if st.session_state.get(widget) not in sources:
        before = st.session_state.get(_SOURCE)
        st.session_state[widget] = before if before in sources else sources[0]
    source = st.segmented_control(
        "Where the photograph comes from",
        sources,
        format_func=str.capitalize,
        required=True,
        key=widget,
        label_visibility="collapsed",
        width="stretch",
    )
    st.session_state[_SOURCE] = source
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


def own_photographs() -> dict[str, object]:
    """What the session keeps of the visitor's own photographs, which no link can bring back."""
    kept = [f"playground.own.{source}" for source in SOURCES[1:]]
    return {key: st.session_state[key] for key in kept if key in st.session_state}


def _own_photograph(card: ModelCard, source: str) -> ImageChoice | None:
    """The visitor's own photograph, or None. Raises ImageError with a sentence."""
    own = _given(source)
    if own is None:
        return None
    limits = resources.settings()
    size = card.config.image_size
    key = ("upload", resources.owner(), own.file_id, size)
    pixels, note = resources.pictures().compute(
        key,
        tuple,
        lambda: tuple(
            decode_image(
                own.content,
                size,
                most_bytes=limits.upload_bytes,
                most_pixels=limits.upload_pixels,
            )
        ),
    )
    if note:
        st.caption(note)
    label = _ask_class(card, own)
    known = None if label == _UNKNOWN_CLASS else list(card.classes).index(label)
    return ImageChoice(f"upload/{own.file_id}/{size}/{known}", "your photograph", known, pixels)


def _given(source: str) -> _Own | None:
    """What the visitor gave by this source, now or before looking at another page."""
    kept, widget = f"playground.own.{source}", f"playground.upload.{source}"

    def forget() -> None:
        st.session_state.pop(kept, None)

    def changed() -> None:
        if st.session_state[widget] is None:
            forget()

    privacy = (
        "It stays in the app's memory: the file until you remove it, press Reset or have closed "
        "the page, what was computed from it until newer results push it out. It is written to no "
        "disk, no other visitor sees it, and no link has it."
    )
    if source == "camera":
        file = st.camera_input("Take a photograph", key=widget, help=privacy, on_change=changed)
    else:
        file = st.file_uploader(
            f"Drop a PNG, JPEG or WebP here, up to {resources.settings().upload_megabytes} MB",
            type=["png", "jpg", "jpeg", "webp"],
            key=widget,
            help=privacy,
            on_change=changed,
        )
    own: _Own | None = st.session_state.get(kept)
    if file is not None and (own is None or own.file_id != file.file_id):
        own = st.session_state[kept] = _Own(file.name, file.file_id, file.getvalue())
    if file is None and own is not None:
        st.caption(f"Still in use: your photograph {clean_text(own.name)}")
        st.button("Remove it", key=f"{widget}.remove", on_click=forget, icon=":material/delete:")
    return own


def _ask_class(card: ModelCard, own: _Own) -> str:
    """What the visitor says that the photograph shows, or `_UNKNOWN_CLASS`."""
    widget, classes = "playground.upload.class", tuple(card.classes)
    st.session_state[widget] = own.said.get(classes, _UNKNOWN_CLASS)

    def say() -> None:
        own.said[classes] = st.session_state[widget]

    return st.selectbox(
        "It shows a",
        [_UNKNOWN_CLASS, *card.classes],
        key=widget,
        on_change=say,
        help=(
            "The right answer, which the attack tries to prevent. If you let the network decide, "
            "its answer to the untouched photograph counts as right."
        ),
    )
