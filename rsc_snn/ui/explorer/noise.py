"""The views of noise: a vote over passes, and what of an accuracy's noise is coding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from rsc_snn.errors import RscSnnError
from rsc_snn.exports import answer_command
from rsc_snn.figures.indices import Row, components_figure, votes_figure
from rsc_snn.sweep.grid import cell_command
from rsc_snn.tradeoff import WORST, OperatingPoint, attack_cost, variance_components, vote_curve
from rsc_snn.tradeoff.points import Accuracy
from rsc_snn.tradeoff.rows import accuracy_words, passes_words, vote_rows
from rsc_snn.ui import resources
from rsc_snn.ui.explorer.frame import Frame, draw_provenance, left_out_words, nothing_here
from rsc_snn.ui.explorer.handover import attack_name, chosen_point, draw_handover
from rsc_snn.ui.explorer.legible import best_of_dials, few_settings
from rsc_snn.ui.explorer.measured import setting_order
from rsc_snn.ui.explorer.numbers import draw_numbers
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import choice_field
from rsc_snn.ui.results import draw_figure
from rsc_snn.ui.words import explained

# Settings that are named one by one.
_NAMED = 5


def read_votes(link: PageLink, frame: Frame) -> Callable[[Frame], None]:
    """The setting whose votes are shown."""
    names = {setting_slug(point): frame.name(point) for point in frame.points}
    start = chosen_point(
        [p for p in frame.points if p.robust_result.cell.draws > 1] or frame.points
    )
    default = next(iter(names)) if start is None else setting_slug(start)
    field = choice_field("setting", "setting", list(names), default)
    chosen = st.selectbox(
        "Setting", list(names), format_func=names.__getitem__, key=link.seed(field)
    )
    return partial(_draw_votes, link.keep(field, chosen))


def setting_slug(point: OperatingPoint) -> str:
    """The name of a point's model and setting in a link."""
    sigma = "none" if point.sigma is None else f"{point.sigma:g}"
    return f"{point.model}/{sigma}/{point.time_steps}"


def _draw_votes(slug: str, frame: Frame) -> None:
    found = [point for point in frame.points if setting_slug(point) == slug]
    if nothing_here(frame) or not found:
        return
    point = found[0]
    draws = point.robust_result.cell.draws
    clean, robust = vote_curve(point.clean_result), vote_curve(point.robust_result)
    rows = vote_rows(point, clean, robust)
    cells = {"clean": point.clean_result.cell, "robust": point.robust_result.cell}
    zoo = resources.zoo()

    def command(passes: int, accuracy: Accuracy) -> str:
        return answer_command(cells[accuracy], passes if passes > 1 else None, zoo)

    draw_figure(
        votes_figure(clean, robust, command=command),
        "explorer.votes",
        f"Lines: {accuracy_words(rows)} over {passes_words(rows)}.",
    )
    if not point.robust_result.cell.noisy:
        st.caption("This network has no noise: every pass answers the same, and so does a vote.")
    elif draws < 3:
        number = "One draw is" if draws == 1 else "Two draws are"
        st.caption(f"{number} too few for a vote; measure this setting with three or more.")
    else:
        strongest = (
            " Of those of the worst case it is the one that does most harm to all images together, "
            "so that its accuracy is above that of the worst case of each image."
            if point.attack == WORST
            else ""
        )
        st.caption(
            f"{frame.name(point)}: "
            + explained(
                f"what a [vote](#vote) over m of the {draws} measured "
                "[passes](#noisy-pass) answers; m = 1 is a single pass. It shows whether averaging "
                "the coding noise out helps. An image that most of all passes get right gains, "
                "one that few get right loses. The attack, "
                f"{attack_name(point)}, did not aim at the vote.{strongest}"
            )
        )
    draw_handover(point)
    draw_numbers(frame, rows, "votes", votes=True)
    draw_provenance(frame, [point], alone=True)


def draw_noise(frame: Frame) -> None:
    """How much of each accuracy's noise is of images and attacks, and how much of the coding."""
    if nothing_here(frame):
        return
    told = [point for point in frame.points if not _one_draw(point) and not _alike(point)]
    untold = _untold(frame)
    if not told:
        st.info(untold, icon=":material/info:")
        return
    points, zoo = _few(told), resources.zoo()

    def work() -> tuple[Row, ...]:
        return tuple(
            Row(
                frame.labels[point.model],
                variance_components(point.robust_result),
                cell_command(point.robust_result.cell, zoo),
                attack_cost(point.robust_result),
                frame.setting(point),
            )
            for point in points
        )

    try:
        rows = resources.memo().compute(("explorer.noise", frame.key), tuple, work)
    except RscSnnError as error:
        st.info(str(error), icon=":material/info:")
        return
    draw_figure(
        components_figure(rows),
        "explorer.noise",
        "Bars: shares of images and the attack on each, and of coding noise, in the variance of "
        "the robust accuracy.",
    )
    attacks = ", ".join(dict.fromkeys(map(attack_name, points)))
    more = left_out_words(len(told) - len(points), noun="setting")
    st.caption(
        explained(
            f"Where the uncertainty of the accuracy of a single pass under {attacks} comes from: "
            "its [variance](#variance) in parts (one-way [random effects](#random-effects) over "
            "images). Bars: of the accuracy as it was measured, with all draws; SE is its "
            "standard error. The table's share is that of a single answer, in which there is more"
            " coding noise. Each image was attacked once, so the part of the images holds the "
            "luck of its attack too. More images shrink both parts, more [draws](#draw) only that"
            " of [coding](#coding): once most of the variance comes from the images, more draws "
            "help little. The last column is the number of draws per image that leaves the least "
            "error for a given number of passes, counting those of the attack and those that tell "
            "whether it broke the image (in brackets, per attacked image; one that was broken "
            f"before takes none, and no draws).{more}"
        )
    )
    if untold:
        st.caption(untold)
    with st.container(key="rsc-wide-noise"):
        st.markdown(_table(rows))
    draw_provenance(frame, points, alone=True)


def _one_draw(point: OperatingPoint) -> bool:
    cell = point.robust_result.cell
    return cell.noisy and cell.draws < 2


def _alike(point: OperatingPoint) -> bool:
    right = point.robust_result.right
    return bool(right.min() == right.max())


def _untold(frame: Frame) -> str:
    """Which settings are left out, and why; "" if none is."""
    said = [
        f"{why} {_names(frame, [point for point in frame.points if left_out(point)])}."
        for why, left_out in (
            (
                "The noise of coding can be told only from two draws or more. With one draw, left "
                "out:",
                _one_draw,
            ),
            (
                "Where every answer is wrong, or every one is right, there is no variance to part, "
                "and the accuracy's own interval says how sure it is. Left out:",
                lambda point: _alike(point) and not _one_draw(point),
            ),
        )
        if any(map(left_out, frame.points))
    ]
    return " ".join(said)


def _names(frame: Frame, points: Sequence[OperatingPoint]) -> str:
    more = f" and {len(points) - _NAMED} more" if len(points) > _NAMED else ""
    return "; ".join(map(frame.name, points[:_NAMED])) + more


def _few(points: Sequence[OperatingPoint]) -> list[OperatingPoint]:
    """As many as a figure holds, by model, T and sigma."""
    found = {(point.model, point.time_steps, point.sigma): point for point in points}
    every = setting_order(found)
    kept = few_settings(every, best_of_dials(points))
    return [found[setting] for setting in every if setting in kept]


def _best(row: Row) -> str:
    """The number of draws and, in brackets, what an image costs before its first draw."""
    if not row.image_cost:
        return "–"
    draws = row.parts.best_draws(row.image_cost)
    number = "as many as can be" if draws is None else f"{draws}"
    return f"{number} ({row.image_cost:.0f})"


def _table(rows: Sequence[Row]) -> str:
    """What more draws would buy: the standard error with one, with those there are, with all."""
    lines = [
        "| setting | images and the attack on each in the variance of an answer, % (interval) "
        "| standard error, points: with 1 draw | with those measured | with unlimited draws "
        "| draws, best for the effort (other passes per attacked image) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        parts = row.parts
        ends = "no interval: too few images are right, or wrong"
        if parts.has_interval:
            ends = f"{100 * parts.icc_lower:.0f} to {100 * parts.icc_upper:.0f}"
        share = f"{100 * parts.icc:.0f} ({ends})"
        errors = [100 * parts.se_at(parts.n, draws) for draws in (1, parts.draws, float("inf"))]
        lines.append(
            f"| {row.title} | {share} | {errors[0]:.2f} | {errors[1]:.2f} ({parts.draws}) "
            f"| {errors[2]:.2f} | {_best(row)} |"
        )
    return "\n".join(lines)
