"""The view that answers: "at most so many points of accuracy lost: which sigma and T?"."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from rsc_snn.data.gallery import GalleryImage
from rsc_snn.energy import PassCost, measure_pass
from rsc_snn.tradeoff import Choice, OperatingPoint, best_under_budget
from rsc_snn.ui import resources
from rsc_snn.ui.explorer.frame import Frame, draw_provenance, ends_words, nothing_here
from rsc_snn.ui.explorer.handover import draw_handover
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import number_field
from rsc_snn.ui.words import explained

_PASSES = 7
_MOST_LOSS = 50.0
_RIVALS = 5


def read_question(link: PageLink, frame: Frame) -> Callable[[Frame], None]:
    """The loss that is allowed."""
    field = number_field("lose", "The loss of accuracy", 0.0, _MOST_LOSS, 5.0)
    lose = st.slider(
        "Points of clean accuracy that may be lost",
        0.0,
        _MOST_LOSS,
        step=0.5,
        format="%g",
        key=link.seed(field),
        help=explained(
            "Against the setting of the highest [clean accuracy](#clean-accuracy) of the chosen "
            "networks at any T, on the half of the images that chooses."
        ),
    )
    return partial(_draw_answer, float(link.keep(field, float(lose))))


def _draw_answer(lose: float, frame: Frame) -> None:
    if nothing_here(frame):
        return
    points = frame.everywhere.points
    key = ("explorer.ask", frame.key, lose)
    found = resources.memo().compute(
        key,
        tuple,
        lambda: (best_under_budget(points, max_loss=lose / 100, names=frame.labels),),
    )
    choice: Choice | None = found[0]
    if choice is None:
        st.info("No setting that was measured stays within this limit.", icon=":material/info:")
        return
    point = choice.point
    say = {"yes": st.success, "perhaps": st.info, "no": st.warning}[choice.held]
    if not choice.shared and choice.held == "yes":
        say = st.info
    say(
        f"{_headline(frame, choice)} {verdict(choice, lose)}",
        icon=":material/my_location:",
    )
    _draw_numbers(frame, choice)
    st.caption(f"{choice.limit}. {choice.caveat()}")
    _draw_rivals(frame, choice)
    passes = frame.selection.passes
    vote = "" if passes is None else f" A vote takes {passes} times the energy and time of a pass."
    st.caption(
        f"Searched: all that was measured of the chosen networks, at every T, under "
        f"{frame.attack_words}; accuracies {frame.answer_words}. One half of the images chooses "
        "the setting and the other half says what it is worth, so that luck is not counted."
        f"{ends_words(points)}{vote}"
    )
    draw_handover(point)
    draw_provenance(frame.everywhere, points)


def _headline(frame: Frame, choice: Choice) -> str:
    """The setting; where the two ends of the worst case choose differently, that of each."""
    if choice.shared:
        return f"**{frame.name(choice.point)}.**"
    return (
        "**The two ends of the worst case choose differently.** By each image's lowest score: "
        f"{frame.name(choice.point)}; by the strongest attack alone: "
        f"{frame.name(choice.upper)}. What follows is of the first."
    )


def verdict(choice: Choice, lose: float) -> str:
    """What the setting costs, against what it may cost, and whether that is certain."""
    if choice.loss is None:
        return choice.held_sentence
    noun = "point" if lose == 1 else "points"
    cost = f"It loses {choice.loss.text()} of at most {lose:g} {noun} of clean accuracy."
    return f"{cost} {choice.held_sentence}"


def _draw_numbers(frame: Frame, choice: Choice) -> None:
    """Accuracies, energy and latency of the setting; the last two need a photograph of its data."""
    pictures = resources.gallery(frame.selection.dataset)
    with st.container(key="rsc-metrics"):
        columns = st.columns(4)
    for column, name, estimate in (
        (columns[0], "Clean accuracy", choice.clean),
        (columns[1], "Robust accuracy", choice.robust),
    ):
        ends = f"{100 * estimate.lower:.1f} to {100 * estimate.upper:.1f}"
        value = f"{100 * estimate.value:.1f}%"
        column.metric(name, value, ends, delta_color="off", delta_arrow="off")
    if not pictures:
        return
    cost = _pass_cost(choice.point, pictures[0])
    energy = f"{cost.energy.energy_pj / cost.energy.ann_energy_pj:.2f} × its ANN twin"
    columns[2].metric(
        "Energy of a pass",
        f"{cost.energy.energy_pj / 1e6:.1f} µJ",
        energy,
        delta_color="off",
        delta_arrow="off",
        help=explained(
            "Estimated from the [spikes](#spike) on the first photograph of the gallery; "
            "arithmetic alone."
        ),
    )
    columns[3].metric(
        "Time of a pass",
        f"{1000 * cost.seconds:.1f} ms",
        "measured on this machine",
        delta_color="off",
        delta_arrow="off",
        help=f"Median of {_PASSES} passes of one photograph on this device; longer while something "
        "else is computed here.",
    )


def _draw_rivals(frame: Frame, choice: Choice) -> None:
    """Settings that are as good or within the limit, as far as the images can tell."""
    better, tied, apart = (
        [f"{frame.name(rival.point)} ({100 * rival.robust.value:.1f}% robust)" for rival in found]
        for found in (choice.better, choice.tied, choice.apart)
    )
    near = [frame.name(point) for point in choice.near]
    for start, names in (
        ("Better on the other half of the images, by more than noise", better),
        ("As good, within the noise", tied),
        ("Not told from it at both ends of the worst case", apart),
        ("Beyond the limit, but by no more than noise", near),
    ):
        more = len(names) - _RIVALS
        rest = f" and {more} more" if more > 0 else ""
        if names:
            st.markdown(f"{start}: {'; '.join(names[:_RIVALS])}{rest}.")


def _pass_cost(point: OperatingPoint, picture: GalleryImage) -> PassCost:
    """Energy and time of one pass in the setting; remembered, unless a job slowed it down."""
    cell = point.robust_result.cell
    key = ("explorer.pass", cell.sha256, cell.sigma, cell.time_steps, str(resources.device()))
    known = resources.memo().get(key, PassCost)
    if known is None and resources.queue().status().running:
        return resources.run_live(lambda: _measure(point, picture))
    return resources.live(key, PassCost, lambda: _measure(point, picture))


def _measure(point: OperatingPoint, picture: GalleryImage) -> PassCost:
    device = resources.device()
    model = resources.zoo().load(point.model, device)
    steps = point.time_steps if model.config.has_time else None
    x = picture.pixels(model.config.image_size).to(device)
    return measure_pass(model, x, time_steps=steps, sigma=point.sigma, passes=_PASSES)
