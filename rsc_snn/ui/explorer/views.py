"""The explorer's views: one at a time, chosen by a row of buttons; only that one is computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import streamlit as st

from rsc_snn.evaluate import Estimate
from rsc_snn.figures.explorer import (
    QUANTITIES,
    CurveAxis,
    Quantity,
    curves_figure,
    epsilon_figure,
    heat_figure,
    plane_figure,
)
from rsc_snn.tradeoff import OperatingPoint, explains, harmonic_means, pareto_front
from rsc_snn.tradeoff.rows import (
    PointRow,
    accuracy_words,
    epsilon_words,
    harmonic_words,
    point_rows,
    setting_words,
    sigma_words,
    steps_words,
)
from rsc_snn.ui import resources
from rsc_snn.ui.choices import choose_button
from rsc_snn.ui.explorer.frame import (
    Frame,
    beside_words,
    draw_point,
    draw_provenance,
    left_out_words,
    marked_words,
    nothing_here,
)
from rsc_snn.ui.explorer.legible import best_of_dials, few_dials, few_levels, few_settings
from rsc_snn.ui.explorer.measured import has_time, setting_order
from rsc_snn.ui.explorer.numbers import draw_numbers
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import choice_field
from rsc_snn.ui.results import draw_figure
from rsc_snn.ui.words import explained

VIEWS = {
    "curves": ":material/ssid_chart: Curves",
    "plane": ":material/scatter_plot: Plane",
    "map": ":material/grid_on: Map",
    "epsilon": ":material/bolt: Epsilon",
    "votes": ":material/how_to_vote: Votes",
    "noise": ":material/grain: Noise",
    "prices": ":material/sell: Prices",
    "ask": ":material/contact_support: Ask",
}
# Names in the link of controls that belong to a view.
OF_VIEWS = ("quantity", "model", "setting", "dial", "levels", "lose")
Draw = Callable[[Frame], None]
_AXES: dict[CurveAxis, str] = {
    "sigma": "sigma",
    "effective": "sigma / sqrt(T), the noise of the mean of T frames",
    "steps": "the [time steps](#time-step) T",
}
_NOISE_COSTS = "Look at what noise costs on clean images, and whether it buys robustness."
_LOOKS: dict[CurveAxis, str] = {
    "sigma": _NOISE_COSTS,
    "effective": _NOISE_COSTS,
    "steps": (
        "More frames average out more noise: look at what that gives on clean images, and whether "
        "it takes robustness."
    ),
}


def choose_view(link: PageLink, frame: Frame) -> Draw:
    """Draw the row of views and the controls of the chosen one; returns its drawing."""
    view = choose_button(link, "view", "View", VIEWS, hidden=True, terse=True)
    if view == "map":
        return _read_map(link, frame)
    if view in ("votes", "noise", "prices", "ask"):
        if not frame.points:
            link.defer(OF_VIEWS)
            return _draw_nothing
        if view == "votes":
            from rsc_snn.ui.explorer.noise import read_votes

            return read_votes(link, frame)
        if view == "noise":
            from rsc_snn.ui.explorer.noise import draw_noise

            return draw_noise
        if view == "prices":
            from rsc_snn.ui.explorer.prices import read_prices

            return read_prices(link, frame)
        from rsc_snn.ui.explorer.ask import read_question

        return read_question(link, frame)
    return {"curves": _draw_curves, "plane": _draw_plane, "epsilon": _draw_epsilon}[view]


def _draw_nothing(frame: Frame) -> None:
    """Until there are points, a sentence; then the page runs again, with the view's controls."""
    if not nothing_here(frame):
        st.rerun()


def _draw_curves(frame: Frame) -> None:
    if nothing_here(frame, beside=True):
        return
    over = frame.selection.axis
    points, beside, left_out = _few_levels(frame) if over == "steps" else _few_dials(frame)
    show = frame.show(points, beside)
    figure = curves_figure((*points, *beside), over=over, coming=_coming(frame), show=show)
    rows = point_rows((*points, *beside))
    clicked = draw_figure(
        figure,
        "explorer.curves",
        f"Lines: {accuracy_words(rows)}{_over(_across_words(rows, over))}, {setting_words(rows)}.",
    )
    st.caption(
        explained(
            f"Accuracy {frame.answer_words} over {_AXES[over]}: [clean](#clean-accuracy) above, "
            f"below [under attack](#robust-accuracy), {frame.attack_words}. {_LOOKS[over]}"
            f"{_level_words(frame)}{marked_words('The larger mark of each panel', show)}"
            f"{beside_words(beside)}{left_out}"
        )
    )
    draw_point(points, beside, clicked)
    draw_numbers(frame, rows, "curves")
    _say_collapse(frame)
    draw_provenance(frame, frame.points, beside)


def _coming(frame: Frame) -> list[float]:
    """Places on the axis of the curves at which the selection has, or will have, a point."""
    chosen = frame.selection
    if chosen.axis == "steps":
        return [float(step) for step in frame.menu.steps if step in chosen.steps]
    if chosen.axis != "sigma":
        return []
    menu = frame.menu
    settings = menu.settings(chosen.models, chosen.steps, menu.chosen(chosen.slugs))
    return sorted({sigma for _, _, sigma in settings if sigma is not None})


def _across_words(rows: tuple[PointRow, ...], over: CurveAxis) -> str:
    if over == "steps":
        return steps_words(rows)
    return sigma_words(rows, effective=over == "effective")


def _level_words(frame: Frame) -> str:
    """Where to look instead if all curves over sigma are level lines; or ""."""
    timed = any(has_time(point.model) for point in frame.points)
    level = all(point.sigma is None for point in frame.points)
    if frame.selection.axis == "steps" or not timed or not level:
        return ""
    return " These networks have no noise level: choose T under “Curves over”."


def _over(words: str) -> str:
    return words and f" over {words}"


def _few_dials(
    frame: Frame,
) -> tuple[tuple[OperatingPoint, ...], tuple[OperatingPoint, ...], str]:
    """The points of as many lines as can be told apart, those beside them, and what is said."""
    both = (*frame.points, *frame.beside)
    every = {(point.model, point.time_steps, point.sigma) for point in both}
    kept = few_dials(every)
    points, beside = (
        tuple(point for point in found if (point.model, point.time_steps) in kept)
        for found in (frame.points, frame.beside)
    )
    dials = {(model, steps) for model, steps, _ in every}
    return points, beside, left_out_words(len(dials) - len(kept))


def _few_levels(
    frame: Frame,
) -> tuple[tuple[OperatingPoint, ...], tuple[OperatingPoint, ...], str]:
    """As `_few_dials`, of the lines over T."""
    both = (*frame.points, *frame.beside)
    every = {(point.model, point.sigma) for point in both}
    kept = few_levels((point.model, point.time_steps, point.sigma) for point in both)
    points, beside = (
        tuple(point for point in found if (point.model, point.sigma) in kept)
        for found in (frame.points, frame.beside)
    )
    left_out = left_out_words(len(every) - len(kept), "over sigma every noise level is shown")
    return points, beside, left_out


def _say_collapse(frame: Frame) -> None:
    """Whether sigma / sqrt(T) explains the curves of different T."""

    def work() -> tuple[str, ...]:
        both = (explains(frame.points, "clean", 2), explains(frame.points, "robust", 2))
        return tuple(found.sentence() for found in both if found is not None)

    sentences = resources.memo().compute(("explorer.collapse", frame.key), tuple, work)
    if sentences:
        st.markdown(
            explained(
                "**Does the [effective sigma](#effective-sigma), σ / √T, explain the curves?**"
            )
        )
        st.markdown("\n".join(f"- {sentence}" for sentence in sentences))


def _draw_plane(frame: Frame) -> None:
    if nothing_here(frame, beside=True):
        return
    points, beside, left_out = _few_dials(frame)
    front, show = pareto_front(points), frame.show(points, beside)
    figure = plane_figure((*points, *beside), front, show=show)
    rows = point_rows((*points, *beside))
    clicked = draw_figure(
        figure,
        "explorer.plane",
        f"Points: {accuracy_words(rows)}{_over(sigma_words(rows))}, {setting_words(rows)}; on the "
        f"Pareto front: {len(front)}.",
    )
    st.caption(
        explained(
            f"Each point is a setting, {frame.answer_words}, under {frame.attack_words}; settings "
            "of one network and T are joined to a path, with [sigma](#sigma) beside it where there "
            "is room. Right and up is better. On the grey [Pareto front](#pareto-front) no other "
            "point that is shown of the same images is better in one accuracy without being worse "
            "in the other; points beside it may belong there within their intervals."
            f"{marked_words('The point in the ring, shown with its intervals,', show)}"
            f"{beside_words(beside)}{left_out}"
        )
    )
    draw_point(points, beside, clicked)
    draw_numbers(frame, rows, "plane")
    draw_provenance(frame, points, beside)


def _read_map(link: PageLink, frame: Frame) -> Draw:
    """The quantity and the model of the map."""
    left, right = st.columns(2)
    labels: dict[str, str] = {name: text.capitalize() for name, text in QUANTITIES.items()}
    quantity = cast(
        Quantity, choose_button(link, "quantity", "Shown", labels, "robust", place=left)
    )
    names = list(dict.fromkeys(point.model for point in frame.points if point.sigma is not None))
    if len(names) < 2:
        return partial(_draw_map, quantity, names[0] if names else None)
    model = choice_field("model", "model", names, names[0])
    name = right.selectbox(
        "Model of the map", names, format_func=frame.labels.__getitem__, key=link.seed(model)
    )
    return partial(_draw_map, quantity, link.keep(model, name))


def _draw_map(quantity: Quantity, model: str | None, frame: Frame) -> None:
    if nothing_here(frame):
        return
    points = tuple(point for point in frame.everywhere.points if point.model == model)
    if not points:
        st.info(
            "These networks have no noise level, so there is no map; choose an RSC-SNN.",
            icon=":material/info:",
        )
        return
    rows, show = point_rows(points), frame.show(points)
    harmonics: dict[str, Estimate] = {}
    if quantity == "harmonic":
        key = ("explorer.harmonic", frame.key, model)
        harmonics = resources.memo().compute(key, dict, lambda: harmonic_means(points))
    clicked = draw_figure(
        heat_figure(points, quantity, harmonics=harmonics, show=show),
        "explorer.map",
        f"A map of {QUANTITIES[quantity]}: {_map_words(rows, quantity)} over {sigma_words(rows)} "
        f"and {steps_words(rows)}, {setting_words(rows)}.",
    )
    st.caption(
        f"{QUANTITIES[quantity].capitalize()} {frame.answer_words} in percent, "
        f"{frame.labels[points[0].model]}, under {frame.attack_words}, at every T that was "
        "measured. The harmonic mean is high only where both accuracies are. Along a row the "
        "noise grows; along a column more frames average it out. Colours go from the lowest to the "
        f"highest value of this map.{marked_words('The framed cell', show)}"
        f"{' A star marks what was added here; the rest shipped.' if show.own else ''}"
    )
    draw_point(points, (), clicked)
    draw_numbers(frame, rows, "map")
    draw_provenance(frame.everywhere.other(models=(points[0].model,)), points)


def _map_words(rows: tuple[PointRow, ...], quantity: Quantity) -> str:
    return harmonic_words(rows) if quantity == "harmonic" else accuracy_words(rows)


def _draw_epsilon(frame: Frame) -> None:
    if nothing_here(frame, beside=True):
        return
    chosen = frame.selection
    variants = frame.menu.chosen(chosen.slugs)
    # Those of points, not of the menu: a grid may only plan some, and they would draw nothing.
    every = setting_order(
        (point.model, point.time_steps, point.sigma) for point in (*frame.points, *frame.beside)
    )
    kept = few_settings(every, best_of_dials(frame.points))
    sizes = [frame.other(epsilon=size, settings=kept) for size in frame.menu.epsilons(variants)]
    points = [point for each in sizes for point in each.points]
    beside = [point for each in sizes for point in each.beside]
    # Before a click the choice is at the epsilon of the panel, as in the other figures.
    here = [point for point in points if point.epsilon == chosen.epsilon]
    show = frame.show(here, [*points, *beside])
    rows = point_rows([*points, *beside])
    unit = variants[0].unit
    clicked = draw_figure(
        epsilon_figure([*points, *beside], unit=unit, show=show),
        "explorer.epsilon",
        f"Lines: {accuracy_words(rows)} over {epsilon_words(rows)}{unit and ' in 255ths'} under "
        f"{frame.attack_name}, {setting_words(rows)}.",
    )
    st.caption(
        explained(
            f"Accuracy {frame.answer_words} under {frame.attack_name}, as it may change more "
            "([epsilon](#epsilon)). Look for lines that cross: what is ahead on clean images may "
            f"be behind under attack.{marked_words('The larger mark', show)}"
            f"{beside_words(beside)}{left_out_words(len(every) - len(kept))}"
        )
    )
    draw_point(here, [*points, *beside], clicked)
    draw_numbers(frame, rows, "epsilon")
    draw_provenance(frame, points, beside)
