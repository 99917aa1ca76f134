"""What every view of the explorer is given, and what is said under every figure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import streamlit as st

from rsc_snn.attacks import ATTACKS
from rsc_snn.errors import RscSnnError
from rsc_snn.exports import point_command
from rsc_snn.figures.explorer import Look, Show
from rsc_snn.sweep.cells import CLEAN, Cell
from rsc_snn.tradeoff import WORST, OperatingPoint
from rsc_snn.ui import resources
from rsc_snn.ui.choices import network_labels
from rsc_snn.ui.explorer.handover import chosen_point, draw_handover, follow_click
from rsc_snn.ui.explorer.measured import (
    Menu,
    Sample,
    Selection,
    Setting,
    Variant,
    has_time,
    in_order,
    menu_of,
    points_of,
    setting_of,
    variant_of,
)
from rsc_snn.ui.explorer.provenance import INTERVALS, cells_of, grids_of, provenance
from rsc_snn.ui.explorer.sources import Evidence
from rsc_snn.ui.words import explained, one_draw_caution

_AGAIN = (
    "On the kind of CPU that measured a number, with the same version of PyTorch, this gives it to "
    "the digit. Other processors round otherwise, and a GPU draws other noise than a CPU: "
    "accuracies then differ by chance."
)
# With "" or the number of the file, if there are several.
_FILE = "shown{}.toml"
# Ends of a worst case that differ by less are not worth a sentence.
_APART = 0.005


@dataclass(frozen=True)
class Frame:
    """A selection and what was measured of it; planned: cells that a grid will measure."""

    selection: Selection
    evidence: Evidence
    planned: tuple[Cell, ...] = ()

    @cached_property
    def points(self) -> tuple[OperatingPoint, ...]:
        """The operating points. Raises the errors of reading them."""
        return points_of(self.evidence, self.selection)

    @cached_property
    def everywhere(self) -> Frame:
        """The same at every T."""
        return self.other(steps=tuple(self.menu.steps))

    @cached_property
    def beside(self) -> tuple[OperatingPoint, ...]:
        """The same settings under the same attacks on other images."""
        others = [self.other(sample=sample, beside=()) for sample in self.selection.beside]
        return tuple(point for other in others for point in other.points)

    def other(self, **changes: object) -> Frame:
        """Another selection of the same evidence."""
        return replace(self, selection=replace(self.selection, **changes))  # type: ignore[arg-type]

    @property
    def menu(self) -> Menu:
        """What there is, or will be, of the chosen images."""
        menu = menu_of(self.evidence, self.planned)
        return menu.only(self.selection.dataset, self.selection.sample)

    @cached_property
    def _of_dataset(self) -> Menu:
        return menu_of(self.evidence, self.planned).only(self.selection.dataset)

    def images(self, point: OperatingPoint) -> str:
        """The images that a point is of, in words."""
        return self._of_dataset.sample_labels[Sample.of(point.robust_result.cell)]

    @property
    def chosen_images(self) -> str:
        """The chosen images, in words."""
        return self._of_dataset.sample_labels[self.selection.sample]

    @property
    def key(self) -> Hashable:
        """By which to remember what is computed from the points."""
        return (self.evidence.stamp, replace(self.selection, axis="sigma", beside=()))

    @cached_property
    def labels(self) -> dict[str, str]:
        """What each model that was measured on the data set is called, no two the same."""
        return network_labels(map(resources.zoo().card, self._of_dataset.models))

    def show(self, points: Sequence[OperatingPoint], beside: Sequence[OperatingPoint] = ()) -> Show:
        """How figures show points, and those beside them or that are not to be chosen yet."""
        zoo = resources.zoo()
        cards = {name: zoo.card(name) for name in self.selection.models}
        looks = {
            name: Look(self.labels[name], card.config.kind, card.config.has_time)
            for name, card in cards.items()
        }
        here = chosen_point(points, beside)
        others = {
            point.key: self.images(point)
            for point in (*points, *beside)
            if Sample.of(point.robust_result.cell) != self.selection.sample
        }
        key = None if here is None else here.key
        # A legend of open marks where there are none would only ask for room.
        own = {point.key for point in (*points, *beside) if self.added(point)}
        return Show(looks, own, others, key, partial(point_command, zoo=zoo))

    def added(self, point: OperatingPoint) -> bool:
        """True if any result that the point rests on did not ship but was added here."""
        results = (point.clean_result, *point.robust_results)
        return any(result.cell.key in self.evidence.own for result in results)

    def name(self, point: OperatingPoint) -> str:
        """The model and the setting, in words, and whether it was added here."""
        return f"{self.labels[point.model]} at {self.setting(point)}"

    def setting(self, point: OperatingPoint) -> str:
        """The setting in words, and whether it was added here."""
        return f"{point.setting}{' (added here)' * self.added(point)}"

    @property
    def attack_words(self) -> str:
        """The attack and its size, in words."""
        variants = self._variants
        unit = variants[0].unit if variants else ""
        return f"{self.attack_name} at epsilon {self.selection.epsilon:g}{unit}"

    @property
    def attack_name(self) -> str:
        """The attack at any size, in words."""
        names = ", ".join(variant.label for variant in self._variants)
        return f"the worst of {names}" if self.selection.attack == WORST else names

    @property
    def _variants(self) -> list[Variant]:
        """The attacks of the points, once there are any, else those that were chosen."""
        cells = [result.cell for point in self.points for result in point.robust_results]
        measured = in_order(dict.fromkeys(map(variant_of, cells)))
        return measured or self.menu.chosen(self.selection.slugs)

    @property
    def answer_words(self) -> str:
        """What answers, in words."""
        passes = self.selection.passes
        return "of a single pass" if passes is None else f"of a vote over {passes} passes"


def nothing_here(frame: Frame, *, beside: bool = False) -> bool:
    """True, and a sentence, if nothing was measured for this selection.

    Otherwise the chosen models that have no point are named. beside: the view shows the points
    beside too.
    """
    chosen = frame.selection
    points = (*frame.points, *(frame.beside if beside else ()))
    absent = [name for name in chosen.models if name not in {point.model for point in points}]
    names = "; ".join(frame.labels[name] for name in absent)
    if not chosen.models:
        st.info("Choose a model in the panel.", icon=":material/checklist:")
    elif not chosen.slugs:
        st.info("Choose at least one attack in the panel.", icon=":material/checklist:")
    elif not chosen.steps and any(map(has_time, absent)):
        st.info(f"Choose at least one T in the panel to see {names}.", icon=":material/checklist:")
    elif not points:
        st.info(
            f"Nothing was measured yet for this choice, under {frame.attack_words}"
            f"{_votes_need(frame)}.{_clean_first(frame)}",
            icon=":material/hourglass_empty:",
        )
    elif absent:
        at = f" at T = {', '.join(map(str, chosen.steps))}" if any(map(has_time, absent)) else ""
        st.info(
            f"Nothing was measured yet for this choice of {names}, under {frame.attack_words}{at}"
            f"{_votes_need(frame)}.",
            icon=":material/hourglass_empty:",
        )
    return not points


def _clean_first(frame: Frame) -> str:
    """Why nothing is shown though a grid has measured something; or ""."""
    if not frame.planned:
        return ""
    return " A grid measures clean accuracies first; a point appears once its attack is measured."


def _votes_need(frame: Frame) -> str:
    passes = frame.selection.passes
    return "" if passes is None else f", with the {passes} draws that the vote needs"


def draw_point(
    points: Sequence[OperatingPoint],
    beside: Sequence[OperatingPoint],
    clicked: str | None,
    *,
    steps: bool = False,
) -> None:
    """To the Playground with the clicked one of all points, or a link with the chosen one.

    steps: the figure's marks are steps of a dial, not points, and no table of points follows.
    """
    follow_click((*points, *beside), clicked)
    point = chosen_point(points, beside)
    if point is not None:
        draw_handover(point)
        st.caption(
            "A click on a step of the figure opens the setting after it; on a touch screen, a "
            "second tap."
            if steps
            else "A click on a point of the figure opens that one; on a touch screen, a second "
            "tap. So does its row among the numbers."
        )


def marked_words(mark: str, show: Show) -> str:
    """Which point of a figure has a mark of its own, if one has."""
    if show.here is None:
        return ""
    return (
        f" {mark} is what the link below the figure opens: the point that was clicked or, before "
        "any click, that of the best harmonic mean."
    )


def beside_words(beside: Sequence[OperatingPoint]) -> str:
    """What the thin lines of a figure are, if there are any."""
    if not beside:
        return ""
    return (
        " Thin dotted lines were measured on other images: each point has its own interval, and "
        "none is compared image by image with the others."
    )


def left_out_words(count: int, remedy: str = "choose fewer T or models", noun: str = "line") -> str:
    """How many lines of a figure had no room, if there are any, and where to see them."""
    said = f"{noun} is" if count == 1 else f"{noun}s are"
    return f" {count} more {said} left out; {remedy}." if count else ""


def ends_words(points: Sequence[OperatingPoint]) -> str:
    """How differences of worst cases are tested, if any of the points has two ends."""
    if all(np.array_equal(point.robust_scores, point.upper_scores) for point in points):
        return ""
    return (
        " With noise the worst case lies between each image's lowest score, which is shown, and "
        "the strongest attack alone. A difference in robustness counts only if it holds at both "
        "ends, and its interval holds both; under one attack alone there is one end."
    )


def incomplete(frame: Frame) -> str:
    """Which settings are left out, and why; or "".

    Some of the attacks were not tried there, or there are too few draws for a vote.
    """
    chosen = frame.selection
    # Without what a grid will measure: that is on its way, not left out.
    menu = menu_of(frame.evidence).only(chosen.dataset, chosen.sample)
    there = {(point.model, point.time_steps, point.sigma) for point in frame.points}
    # Models without any point, beside or not, are named above the figure.
    shown = {point.model for point in (*frame.points, *frame.beside)}
    models = [name for name in chosen.models if name in shown]
    tried = menu.settings(models, chosen.steps, menu.chosen(chosen.slugs))
    absent = [setting for setting in tried if setting not in there]
    short = _too_few_draws(frame)
    few = [setting for setting in absent if setting in short]
    others = [setting for setting in absent if setting not in short]
    reasons = []
    if few:
        reasons.append(f"{_absent(few)}: too few draws for a vote over {chosen.passes} passes.")
    if others:
        which = "not all of these attacks were" if len(chosen.slugs) > 1 else "this attack was not"
        reasons.append(f"{_absent(others)}: {which} measured there at this epsilon.")
    return " ".join(reasons)


def _absent(settings: Sequence[Setting]) -> str:
    noun = "setting is" if len(settings) == 1 else "settings are"
    steps = ", ".join(map(str, sorted({steps for _, steps, _ in settings})))
    return f"{len(settings)} {noun} left out (T = {steps})"


def _too_few_draws(frame: Frame) -> set[Setting]:
    """Settings with noise of which no measurement has the draws of the chosen vote."""
    passes = frame.selection.passes or 1
    return {setting for setting, draws in frame.menu.most_draws.items() if draws < passes}


def covered(evidence: Evidence, points: Iterable[OperatingPoint]) -> str:
    """How many added results lie under more exact ones that the points rest on; or ""."""
    shown = {_place(r.cell): r.cell for point in points for r in point.robust_results}
    menu = menu_of(evidence)
    groups = {(cell.dataset, Sample.of(cell), cell.model, cell.epsilon) for cell in shown.values()}
    count = sum(
        cell.key in evidence.own and _outdone(cell, shown.get(_place(cell), cell))
        for dataset, sample, model, epsilon in groups
        for cell in menu.only(dataset, sample).at(model, epsilon)
        if cell.attack != CLEAN
    )
    if not count:
        return ""
    noun = "result that was added here stays" if count == 1 else "results that were added here stay"
    return (
        f"{count} {noun} out of the figure: the same was measured with more draws, or through more "
        "or larger of the smaller epsilons."
    )


def outdone_by(evidence: Evidence, cells: Iterable[Cell]) -> dict[str, Cell]:
    """By the key of each cell that will stay out of figures, the stored one that is shown instead.

    As in `covered`, before anything was measured. Cells without an attack have no points.
    """
    attacked = {cell.key: cell for cell in cells if cell.attack != CLEAN}
    menu, best = menu_of(evidence), dict[Hashable, Cell]()
    for dataset, sample, model, epsilon in {
        (cell.dataset, Sample.of(cell), cell.model, cell.epsilon) for cell in attacked.values()
    }:
        stored = menu.only(dataset, sample).at(model, epsilon)
        clean = {(setting_of(cell), cell.draws) for cell in stored if cell.attack == CLEAN}
        for cell in stored:
            # Without its clean cell it is in no figure either.
            if cell.attack != CLEAN and (setting_of(cell), cell.draws) in clean:
                place = _place(cell)
                best[place] = max(best.get(place, cell), cell, key=_exactness)
    return {
        key: other
        for key, cell in attacked.items()
        if (other := best.get(_place(cell))) is not None and _outdone(cell, other)
    }


def _outdone(cell: Cell, other: Cell) -> bool:
    """True if of two measurements of the same the other one is shown."""
    return _exactness(cell) < _exactness(other)


def _place(cell: Cell) -> Hashable:
    """What an attacked cell is a measurement of."""
    return Sample.of(cell), setting_of(cell), variant_of(cell).slug, cell.epsilon


def _exactness(cell: Cell) -> tuple[int, int, tuple[float, ...]]:
    """Of two measurements of the same that with the larger one is shown."""
    return cell.draws, len(cell.chain), cell.chain


def unlike_chains(points: Sequence[OperatingPoint]) -> str:
    """What to mind where attacks came through different smaller epsilons; "" if none did."""
    chains: dict[tuple[str, float], set[tuple[float, ...]]] = {}
    for point in points:
        for result in point.robust_results:
            cell = result.cell
            chains.setdefault((variant_of(cell).slug, cell.epsilon), set()).add(cell.chain)
    if all(len(found) == 1 for found in chains.values()):
        return ""
    return (
        "These attacks did not all go through the same smaller epsilons first: what is broken on "
        "the way counts, so those that went through more may be lower by a little."
    )


def unlike_numbers(points: Sequence[OperatingPoint]) -> str:
    """What to mind where gradients of one attack were computed in different numbers; or ""."""
    found: dict[str, set[str]] = {}
    for point in points:
        for result in point.robust_results:
            if result.cell.noisy and dict(result.cell.parameters).get("precision") == "fast":
                numbers = result.versions.get("fast_gradients", "")
                found.setdefault(variant_of(result.cell).slug, set()).add(numbers)
    mixed = set().union(*(kinds for kinds in found.values() if len(kinds) > 1))
    if not mixed:
        return ""
    known = " or ".join(sorted(mixed - {""}))
    more = " (of some it was not noted)" if "" in mixed else ""
    return (
        f"Gradients of attacks with the precision “fast” were computed in {known}{more}, as the "
        "machine that measured a point does it: points may differ by a little for that alone."
    )


def caution(points: Sequence[OperatingPoint], *, alone: bool = False) -> str:
    """What makes robustness under noise look other than it is, with marks for the glossary.

    alone: the strongest attack is shown, not the lowest score of each image. "" without noise, or
    if nothing does.
    """
    noisy = [point for point in points if point.robust_result.cell.noisy]
    if not noisy:
        return ""
    vote = "" if alone else _vote_caution(noisy)
    attacks = {result.cell for point in noisy for result in point.robust_results}
    guided = [cell for cell in attacks if ATTACKS[cell.attack].follows_gradients]
    if guided and all(
        ATTACKS[cell.attack].follows_one_draw(dict(cell.parameters)) for cell in guided
    ):
        return (
            f"{vote}{one_draw_caution('These attacks follow')}: robust accuracies with noise may "
            "be lower than what is shown here."
        )
    return "" if alone else f"{vote}{_lowest_caution(noisy)}".strip()


def _vote_caution(noisy: Sequence[OperatingPoint]) -> str:
    """That no attack was made for the vote, if one is shown."""
    if noisy[0].predictor != "vote":
        return ""
    return (
        "These attacks aimed at single passes (with [EOT](#eot), at the mean over draws), not at "
        "the vote: one that is made for it may leave fewer images right. "
    )


def _lowest_caution(noisy: Sequence[OperatingPoint]) -> str:
    """How far the lowest of several noisy scores may err, if that is shown."""
    apart = max(point.alone - point.robust.value for point in noisy)
    if noisy[0].attack != WORST or apart < _APART:
        return ""
    return (
        "With noise the lowest score of each image errs low, by the luck of the draws: under the "
        f"strongest of these attacks alone, up to {100 * apart:.1f} points more are right. An "
        "attacker who knew the best of them for each image would as a rule be between the two."
    )


def draw_provenance(
    frame: Frame,
    points: Sequence[OperatingPoint] = (),
    beside: Sequence[OperatingPoint] = (),
    *,
    alone: bool = False,
) -> None:
    """Under a figure: what it rests on, and the command that measures it again.

    beside: points of the figure that are of other images. alone: as in `caution`.
    """
    shown = tuple(points) or frame.points
    if not shown and not beside:
        return
    groups: dict[Sample, list[OperatingPoint]] = {}
    every = (*shown, *beside)
    for point in every:
        groups.setdefault(Sample.of(point.robust_result.cell), []).append(point)
    said = (
        caution(every, alone=alone),
        incomplete(frame),
        covered(frame.evidence, every),
        unlike_chains(every),
        unlike_numbers(every),
    )
    cautions = " ".join(filter(None, said))
    if cautions:
        st.caption(explained(cautions))
    sentences = [provenance(group, frame.labels) for group in groups.values()]
    st.caption(explained(f"{' '.join(sentences)} {INTERVALS}"))
    if not shown:
        return
    with st.expander("Measure these numbers again", icon=":material/terminal:"):
        try:
            texts = [grid.to_toml() for grid in grids_of(cells_of(shown))]
        except RscSnnError as error:
            st.caption(str(error))
            return
        numbers = [f"-{place}" for place in range(1, len(texts) + 1)] if len(texts) > 1 else [""]
        files = dict(zip(map(_FILE.format, numbers), texts, strict=True))
        st.code("\n".join(f"python -m rsc_snn sweep {file}" for file in files), language="bash")
        st.caption(_AGAIN)
        if len(files) > 1:
            st.caption(
                "One sweep would measure other points than these, or more; so one file each:"
            )
        for file, text in files.items():
            st.caption(f"The file {file}:")
            st.code(text, language="toml")
