"""The section "Measure your own grid": its controls, its cost, and the job under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from rsc_snn.attacks import ATTACKS
from rsc_snn.attacks.run import MAX_DRAWS
from rsc_snn.errors import RscSnnError
from rsc_snn.jobs import JobState, JobView
from rsc_snn.settings import Settings
from rsc_snn.sweep.cells import CLEAN, Cell, CellResult
from rsc_snn.sweep.cost import duration_text
from rsc_snn.sweep.grid import GALLERY, PRESETS, Grid
from rsc_snn.sweep.run import SweepReport
from rsc_snn.ui import resources
from rsc_snn.ui.choices import choose_button, network_labels
from rsc_snn.ui.controls import is_dial
from rsc_snn.ui.explorer.controls import BESIDE
from rsc_snn.ui.explorer.frame import outdone_by
from rsc_snn.ui.explorer.live import cells_of_grid, cost_of, measure_grid, splits_at_hand
from rsc_snn.ui.explorer.measured import (
    Sample,
    has_time,
    menu_of,
    preset_label,
    setting_of,
    variant_of,
)
from rsc_snn.ui.explorer.sources import Evidence
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import choices_field, number_field, switch_field
from rsc_snn.ui.tasks import Slot, is_active, polled, progress_row

FILE = "my-grid.toml"
_MODELS = 6
_SIGMAS = tuple(f"{step / 20:g}" for step in range(11))
_STEPS = (1, 2, 4, 8, 16)
_EPSILONS = ("1", "2", "4", "8", "16")
_SEEDS = (0, 2**31 - 1)
_MOST_IMAGES = 1000
_IMAGES = {"test": 100, GALLERY: 50}
_SOURCES = {"test": "Test images", GALLERY: "The gallery's photographs"}
_SLOT = "tradeoff"
# Cells of the grid that was started or joined last, whatever the controls say since.
_LAST = "grid.cells"
_REFUSED = "tradeoff.refused"
_CHANGED = "tradeoff.changed"
# Names in the link of what was chosen among other results than the grid's.
_OF_OTHERS = ("worst", "passes", "setting", "dial", "model", "point")
_NAMES = (
    "grid_models", "grid_sigmas", "grid_steps", "grid_attacks", "grid_epsilons", "grid_from",
    "grid_images", "grid_draws", "grid_seed",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """A grid that the controls say, and its cells."""

    grid: Grid
    cells: tuple[Cell, ...]

    @property
    def slot(self) -> Slot:
        """Where its job is."""
        return Slot(_SLOT, tuple(cell.key for cell in self.cells))

    def missing(self, evidence: Evidence) -> list[Cell]:
        """The cells that nobody measured."""
        return [cell for cell in self.cells if cell.key not in evidence.cells]


def read_plan(link: PageLink) -> Plan | None:
    """The switch of the section and, if it is on, the controls of the grid."""
    field = switch_field("grid", "Measuring a grid", False)
    on = st.toggle(
        "Measure your own grid",
        key=link.seed(field),
        help="Measure other settings here and now; they join the figures point by point.",
    )
    if not link.keep(field, on, linked=on):
        link.defer(_NAMES)
        return None
    try:
        grid = _read_grid(link)
        if grid is None:
            return None
        plan = Plan(grid, cells_of_grid(grid))
        slot = plan.slot
        slot.join()
        if slot.is_for(slot.key):
            st.session_state[_LAST] = plan.cells
        return plan
    except RscSnnError as error:
        st.error(str(error), icon=":material/error:")
        return None


def _read_grid(link: PageLink) -> Grid | None:
    """The controls; None while a list is empty."""
    limits = resources.settings()
    left, right = st.columns(2)
    with left:
        models = _models(link)
        sigmas = _several(
            link, "grid_sigmas", "Noise levels σ", _SIGMAS, ("0", "0.1", "0.2", "0.3")
        )
        every = [f"{step}" for step in _STEPS if step <= limits.time_steps]
        steps = _several(link, "grid_steps", "Time steps T", every, [every[len(every) // 2]])
        split = _split(link, models)
    with right:
        names = _presets(limits)
        attacks = _several(link, "grid_attacks", "Attacks", list(names), [next(iter(names))], names)
        epsilons = _several(link, "grid_epsilons", "Sizes of the attack ε, n/255", _EPSILONS, ["4"])
        images, draws, seed = _numbers(link, limits, split)
    lists = (models, sigmas, steps, attacks, epsilons)
    if split is None or not all(lists):
        st.info("Choose at least one of each.", icon=":material/checklist:")
        return None
    return Grid(
        models=tuple(models),
        attacks=tuple(PRESETS[name] for name in attacks),
        epsilons=tuple(float(epsilon) for epsilon in epsilons),
        sigmas=tuple(float(sigma) for sigma in sigmas),
        time_steps=tuple(int(step) for step in steps),
        images=images,
        draws=draws,
        seed=seed,
        split=split,
    )


def _models(link: PageLink) -> list[str]:
    cards = resources.usable_cards()
    names = list(cards)
    noisy = [name for name in names if is_dial(cards[name].config)]
    field = choices_field("grid_models", "the models of the grid", names, _MODELS)
    chosen = st.multiselect(
        "Models to measure",
        names,
        format_func=network_labels(cards.values()).__getitem__,
        key=link.seed(replace(field, default=(noisy or names)[:1])),
        max_selections=_MODELS,
    )
    return list(link.keep(field, chosen))


def _several(
    link: PageLink,
    name: str,
    label: str,
    options: Sequence[str],
    default: Sequence[str],
    labels: dict[str, str] | None = None,
) -> list[str]:
    """Some of a few values, as a row of buttons."""
    field = replace(choices_field(name, label, options, len(options)), default=list(default))
    chosen = st.pills(
        label,
        options,
        selection_mode="multi",
        format_func=lambda option: (labels or {}).get(option, option),
        key=link.seed(field),
        wrap=True,
    )
    return list(link.keep(field, chosen))


def _split(link: PageLink, models: Sequence[str]) -> str | None:
    if not models:
        return None
    found = splits_at_hand(models[0])
    if not found:
        st.warning("There are neither test images nor a gallery to measure on.")
        return None
    labels = {name: _SOURCES[name] for name in found}
    return choose_button(link, "grid_from", "Measured on", labels, noun="source of images")


def _presets(limits: Settings) -> dict[str, str]:
    """The attacks within the limits of this app, with their labels."""
    found = {}
    for name, attack in PRESETS.items():
        spec = limits.cap_attack(ATTACKS[attack.attack])
        most = {parameter.name: parameter.maximum for parameter in spec.parameters}
        numbers = [(key, value) for key, value in attack.parameters if isinstance(value, int)]
        if all(most[key] is None or value <= (most[key] or 0) for key, value in numbers):
            found[name] = preset_label(name)
    return found


def _numbers(link: PageLink, limits: Settings, split: str | None) -> tuple[int, int, int]:
    """Images, draws and seed."""
    columns = st.columns(3)
    most = _most_draws(limits)
    fields = (
        number_field(
            "grid_images", "The number of images", 2, _MOST_IMAGES, _IMAGES[split or "test"]
        ),
        number_field("grid_draws", "The number of draws", 1, most, min(4, most)),
        number_field("grid_seed", "The seed", *_SEEDS, 0),
    )
    ends = ((2, _MOST_IMAGES), (1, most), _SEEDS)
    values = []
    for column, field, (low, high), label in zip(
        columns, fields, ends, ("Images", "Draws", "Seed"), strict=True
    ):
        value = column.number_input(label, low, high, step=1, key=link.seed(field))
        values.append(int(link.keep(field, int(value))))
    return values[0], values[1], values[2]


def _most_draws(limits: Settings) -> int:
    return min(MAX_DRAWS, limits.draws)


def own_slot() -> Slot:
    """Where the grid that this session measures is, whatever the controls say now."""
    return Slot(_SLOT, None)


def cells_ahead(plan: Plan | None) -> tuple[Cell, ...]:
    """Cells of the grid of the controls, and of one under way that they no longer say."""
    cells = () if plan is None else plan.cells
    if is_active(own_slot().view()):
        cells = (*cells, *st.session_state.get(_LAST, ()))
    return tuple({cell.key: cell for cell in cells}.values())


def draw_grid(plan: Plan | None, evidence: Evidence) -> None:
    """What the grid of the controls takes and the button, or the job under way.

    A job goes on, and can be cancelled, without a grid in the controls too.
    """
    if plan is None:
        slot = own_slot()
        if is_active(slot.view()):
            polled(slot, lambda: _draw_progress(slot, _GROWS + _ENDS_ON_RELOAD))
        return
    outdone = outdone_by(evidence, plan.cells)
    polled(plan.slot, lambda: _draw_job(plan, evidence, outdone))
    st.download_button(
        "Download as a sweep file",
        plan.grid.to_toml(),
        FILE,
        "application/toml",
        key="tradeoff.toml",
        on_click="ignore",
        icon=":material/download:",
        help=f"`python -m rsc_snn sweep {FILE}` measures the same with all cores, or on a cluster.",
    )


def _draw_progress(slot: Slot, words: str, stale: str = "") -> None:
    """The job under way, and what to expect of it."""
    view = slot.view()
    with st.container(key="rsc-task-tradeoff"):
        if view is not None:
            progress_row(slot, view, stale)
            st.caption(words)


def _draw_job(plan: Plan, evidence: Evidence, outdone: Mapping[str, Cell]) -> None:
    if st.session_state.pop(_CHANGED, False):
        st.rerun()  # A button runs this part of the page alone; all of it must follow.
    slot = plan.slot
    view = slot.view()
    if is_active(view):
        if slot.is_for(slot.key):
            _draw_progress(slot, _progress_words(plan, outdone))
        else:
            _draw_progress(slot, _GROWS + _ENDS_ON_RELOAD, " (an earlier grid)")
        return
    with st.container(key="rsc-task-tradeoff"):
        if view is not None and slot.is_for(slot.key):
            _say_end(view)
        _draw_start(plan, plan.missing(evidence), evidence, outdone)


_GROWS = (
    "[The figure above](#accuracy-against-robustness) grows point by point: clean accuracies are "
    "measured first, and a point appears once its attack is measured too. "
)
_GOES_ON = (
    "The measurement goes on through a reload of this page and while you look at other pages, and "
    "ends when this tab is closed. Nothing is lost by that: every finished measurement is stored, "
    "and the same link goes on from there."
)
# A page that is opened anew finds its job by the grid in its link.
_ENDS_ON_RELOAD = (
    "The measurement goes on while you look at other pages. A reload would end it, for the "
    "page's link does not hold its grid any more; every finished measurement is stored, and the "
    "same grid goes on from there."
)


def _progress_words(plan: Plan, outdone: Mapping[str, Cell]) -> str:
    """What a visitor may expect of the grid of the controls while it is measured."""
    attacked = sum(cell.attack != CLEAN for cell in plan.cells)
    grows = _GROWS if len(outdone) < attacked else ""
    stay_out = f"{_outdone_words(len(outdone))} " if outdone else ""
    return f"{grows}{stay_out}{_GOES_ON}"


def _outdone_words(count: int) -> str:
    """That so many of the measurements of a grid are in no figure, and why."""
    stay = "stays" if count == 1 else "stay"
    return (
        f"{count:,} of these measurements {stay} out of the figures: the same is stored with more "
        "draws, or through more or larger of the smaller epsilons, and that is shown."
    )


def _say_end(view: JobView) -> None:
    """How the last job of this grid ended, unless all is well."""
    if view.state is JobState.FAILED:
        st.error(view.error or "", icon=":material/error:")
    elif view.state is JobState.CANCELLED:
        st.info("Stopped; what was measured is kept.", icon=":material/stop_circle:")
    elif isinstance(view.result, SweepReport):
        for sentence in dict.fromkeys(view.result.failed.values()):
            st.error(sentence, icon=":material/error:")


def _draw_start(
    plan: Plan, missing: list[Cell], evidence: Evidence, outdone: Mapping[str, Cell]
) -> None:
    refused = st.session_state.pop(_REFUSED, None)
    if refused:
        st.error(refused, icon=":material/error:")
    total = len(plan.cells)
    if not missing:
        st.caption(f"All {total:,} measurements of this grid are done.")
        if outdone:
            st.caption(_outdone_words(len(outdone)))
        st.button(
            "Show it in the figures",
            key="tradeoff.show",
            on_click=_show,
            args=(plan, evidence),
            icon=":material/visibility:",
        )
        return
    _say_images(plan, evidence)
    _say_outdone(plan, outdone)
    cost = cost_of(missing)
    limits = resources.settings()
    settings = len({setting_of(cell) for cell in plan.cells})
    count = (
        f"{total:,} measurements ({settings:,} setting{'s' * (settings != 1)}, each clean and "
        f"under attack), {total - len(missing):,} of them measured already"
    )
    st.caption(f"{count}; the rest takes at most about {duration_text(cost.seconds)} here.")
    too_many = len(missing) > limits.grid_cells or cost.seconds > limits.grid_seconds
    if too_many:
        st.warning(
            f"This app takes up to {limits.grid_cells:,} measurements and "
            f"{duration_text(limits.grid_seconds)} at a time. Make the grid smaller, or download "
            f"it and run `python -m rsc_snn sweep {FILE}`.",
            icon=":material/hourglass_disabled:",
        )
    st.button(
        "Go on" if len(missing) < total else "Measure",
        key="tradeoff.start",
        type="primary",
        icon=":material/play_arrow:",
        on_click=_begin,
        args=(plan, evidence),
        disabled=too_many,
    )


def _say_images(plan: Plan, evidence: Evidence) -> None:
    """Which images to take for points that can be compared with the stored ones."""
    first = plan.cells[0]
    menu = menu_of(evidence).only(first.dataset)
    if menu.samples and Sample.of(first) not in menu.samples:
        label = menu.sample_labels[menu.samples[0]]
        st.caption(
            f"The stored results are of other images ({label}): both are shown, but "
            "only points of the same images are compared image by image."
        )


def _say_outdone(plan: Plan, outdone: Mapping[str, Cell]) -> None:
    """Before any wait: what the figures will not show, and how to measure what they will."""
    if not outdone:
        return
    st.info(_outdone_words(len(outdone)), icon=":material/visibility_off:")
    values = _as_stored(plan, outdone)
    if values:
        st.button(
            "Take the stored draws and epsilons",
            key="tradeoff.match",
            on_click=_follow,
            args=(values,),
            icon=":material/sync_alt:",
        )


def _as_stored(plan: Plan, outdone: Mapping[str, Cell]) -> dict[str, str]:
    """In the link, the draws and epsilons of the grid with which nothing of it is outdone.

    {} if the controls do not offer them.
    """
    stored = outdone.values()
    draws = max(plan.grid.draws, *(cell.draws for cell in stored))
    ladders = {epsilon for cell in stored for epsilon in (*cell.chain, cell.epsilon)}
    epsilons = [f"{epsilon:g}" for epsilon in sorted({*plan.grid.epsilons, *ladders})]
    if draws > _most_draws(resources.settings()) or not set(epsilons) <= set(_EPSILONS):
        return {}
    return {"grid_draws": f"{draws}", "grid_epsilons": ",".join(epsilons)}


def _begin(plan: Plan, evidence: Evidence) -> None:
    """Start the job, and set the page to what it measures; runs before the page does."""
    try:
        plan.slot.start("Your grid", lambda context: measure_grid(plan.cells, context))
        _show(plan, evidence)
    except RscSnnError as error:
        st.session_state[_REFUSED] = str(error)


def _show(plan: Plan, evidence: Evidence) -> None:
    """Set the panel of results to the grid, beside the stored results, through the link."""
    attacked = [cell for cell in plan.cells if cell.attack != CLEAN]
    if not attacked:
        return
    cell = attacked[0]  # Of the smallest epsilon, which is measured first.
    own = [other for other in plan.cells if other.dataset == cell.dataset]
    steps = sorted({other.time_steps for other in own if has_time(other.model)})
    menu, sample = menu_of(evidence).only(cell.dataset), Sample.of(cell)
    beside = [other for other in menu.shipped_samples or menu.samples if other != sample]
    values = {
        "dataset": cell.dataset,
        "sample": sample.slug,
        "beside": ",".join(other.slug for other in beside[:BESIDE]),
        "models": ",".join(sorted({other.model for other in own})),
        "steps": ",".join(map(str, steps)),
        "attack": variant_of(cell).slug,
        "epsilon": f"{cell.epsilon:.9g}",
    }
    _follow(values, without=_OF_OTHERS)


def _follow(values: Mapping[str, str], without: Sequence[str] = ()) -> None:
    """Set controls of the page through its link, in a callback."""
    query = st.query_params.to_dict()
    kept = {name: value for name, value in query.items() if name not in without}
    st.query_params.from_dict(kept | dict(values))
    st.session_state[_CHANGED] = True


def measured_so_far() -> tuple[CellResult, ...]:
    """What the job under way, or the last one, has measured."""
    view = own_slot().view()
    return () if view is None else view.items
