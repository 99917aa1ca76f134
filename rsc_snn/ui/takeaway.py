"""The view of what to take away: pictures, numbers, the scene as a file and as a program."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from rsc_snn import exports
from rsc_snn.errors import PaintError
from rsc_snn.exports import Rounding
from rsc_snn.paint import decode_paint
from rsc_snn.scene import Scene, model_result, scene_of
from rsc_snn.ui import resources
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.neurons import obtain_activity
from rsc_snn.ui.painting import Painting, kept_painting, obtain_painted
from rsc_snn.ui.playground import Choices, Shown
from rsc_snn.ui.words import explained


def read_takeaway(
    link: PageLink, choices: Choices, shown: Sequence[Shown], item: Shown
) -> Callable[[], None]:
    """Downloads of the network that is looked into, and of the whole scene; their drawing.

    What was painted belongs to the scene, and so to the link.
    """
    return partial(_draw, choices, shown, item, kept_painting(link))


def _draw(choices: Choices, shown: Sequence[Shown], item: Shown, painting: Painting | None) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("The attacked photograph and its numbers")
        _draw_files(item)
    with right:
        st.subheader("The whole scene")
        _draw_scene(choices, shown, painting)


def _draw_files(item: Shown) -> None:
    name = f"rsc-snn-{item.card.name}"
    outcome, request, classes = item.outcome, item.request, item.card.classes
    activity = obtain_activity(item)
    with st.container(horizontal=True):
        _file("PNG", partial(exports.adversarial_png, outcome), f"{name}.png", "image/png", "image")
        _file(
            "NPZ",
            partial(exports.archive_npz, outcome, request, activity),
            f"{name}.npz",
            "application/octet-stream",
            "data_object",
        )
        _file(
            "Logits, CSV",
            partial(exports.logits_csv, outcome, classes),
            f"{name}-logits.csv",
            "text/csv",
            "table",
        )
        _file(
            "Rates, CSV",
            partial(exports.rates_csv, activity),
            f"{name}-rates.csv",
            "text/csv",
            "table",
        )
    st.caption(
        explained(
            "PNG: the attacked image. NPZ: both images, [logits](#logit) of all looks, logits of "
            "all steps, rates and spikes. Names of the arrays: docs/scenes.md."
        )
    )
    _draw_rounding(item)


def _draw_rounding(item: Shown) -> None:
    """A PNG holds 8 bits a channel; whether the attack survives that is measured."""
    key = ("rounding", item.request.key)
    found = resources.live(
        key,
        Rounding,
        lambda: exports.survives_rounding(
            resources.zoo().load(item.card.name, resources.device()), item.request, item.outcome
        ),
    )
    truth = item.card.classes[item.outcome.label]
    looks = (
        f"{found.before:.0%} of {found.draws} looks see the {truth} before rounding to 8 bits, "
        f"{found.after:.0%} after; the largest change is then {found.linf_255:.3g}/255."
    )
    if found.survives is None:
        st.info(
            f"There is no successful attack that rounding could undo: {looks}",
            icon=":material/info:",
        )
    elif found.survives:
        st.success(f"The attack survives in the PNG: {looks}", icon=":material/check:")
    else:
        st.warning(f"The attack does not survive in the PNG: {looks}", icon=":material/warning:")


def _draw_scene(choices: Choices, shown: Sequence[Shown], painting: Painting | None) -> None:
    current = [item for item in shown if not item.stale]
    problem = _misfit(choices, painting)
    if problem is not None:
        painting = None
    scene = scene_of(
        choices.requests,
        resources.zoo(),
        paint=None if painting is None else painting.pattern,
        paint_epsilon=None if painting is None else painting.epsilon,
    )
    results = [
        model_result(
            item.request,
            item.outcome,
            None if painting is None else obtain_painted(item, painting),
        )
        for item in current
    ]
    _file(
        "Scene, JSON",
        partial(exports.scene_json, scene, results),
        "scene.json",
        "application/json",
        "theaters",
    )
    folders = resources.zoo().own_origins(scene.models)
    options = "".join(f" --zoo {shlex.quote(str(folder))}" for folder in folders)
    st.caption(
        f"`python -m rsc_snn attack --scene scene.json{options}` computes it again without the app "
        "and compares every number."
    )
    if painting is not None:
        st.caption("The change that you painted is in it, and what the networks say of it.")
    elif problem is not None:
        st.caption(f"{problem} The scene file leaves it out.")
    threads = current[0].outcome.threads if current else None
    _draw_program(scene, threads)


def _misfit(choices: Choices, painting: Painting | None) -> str | None:
    """Why what was painted cannot be on the photographs of all networks; None if it can."""
    if painting is None:
        return None
    try:
        for height, width in {request.image.pixels.shape[-2:] for request in choices.requests}:
            decode_paint(painting.pattern, (height, width))
    except PaintError as error:
        return str(error)
    return None


def _draw_program(scene: Scene, threads: int | None) -> None:
    with st.expander("The same as a Python program", icon=":material/code:", expanded=True):
        st.code(exports.snippet(scene, threads, resources.zoo()), language="python")


def _file(label: str, data: Callable[[], bytes], name: str, mime: str, icon: str) -> None:
    """A button that makes the file when it is clicked."""
    st.download_button(
        label, data, name, mime, key=f"take.{name}", on_click="ignore", icon=f":material/{icon}:"
    )
