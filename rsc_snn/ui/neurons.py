"""The view of the neurons: play the time steps, see all spikes, look into one neuron."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from rsc_snn.activity import (
    ONLY_ADVERSARIAL,
    ONLY_CLEAN,
    Activity,
    Membranes,
    NeuronTrace,
    Raster,
    Which,
    channel_maps,
    neuron_inside,
    neuron_trace,
    raster,
    record_activity,
    running_prediction,
    turnover,
)
from rsc_snn.figures import membrane_figure
from rsc_snn.figures.style import ADVERSARIAL, CLEAN
from rsc_snn.ui import resources
from rsc_snn.ui.components import (
    PlayerColumn,
    PlayerData,
    RasterBand,
    RasterData,
    raster_view,
    time_player,
)
from rsc_snn.ui.components.raster import ORDERS
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.playground import Shown
from rsc_snn.ui.query import choice_field, text_field
from rsc_snn.ui.results import draw_evolution, draw_figure
from rsc_snn.ui.words import explained

if TYPE_CHECKING:
    from rsc_snn.classifier import SpikingClassifier

SPLIT = (3, 2)
# `layer.index` of the neuron that was chosen; a name has at most 20 characters.
_NEURON = text_field("neuron", 20, str)
_ORDER = "order"
# How many rasters links have brought.
_RASTERS = "playground.rasters"


def obtain_activity(item: Shown, neuron: str | None = None) -> Activity:
    """Everything that the network did on the photograph, on its attacked twin, and by chance.

    neuron: the one that will be looked into, as in the link, or "" for the one that changes most.
    If the passes have to be made, its trace is remembered on the way; None if nobody asks for it.
    """
    request = item.request

    def work() -> Activity:
        inside: dict[Which, Membranes] | None = None if neuron is None else {}
        activity = record_activity(
            _model(item),
            item.outcome.original,
            item.outcome.adversarial,
            time_steps=request.time_steps,
            sigma=request.sigma,
            seed=request.seed,
            membranes=inside,
        )
        if inside:
            shown = _raster(item, activity)
            layer, index = shown.neuron(_row_or_most_changed(shown, _row_of(shown, neuron or "")))
            for which, one in inside.items():
                trace = neuron_inside(_model(item), one, layer, index)
                resources.memo().put(_neuron_key(item, which, layer, index), trace)
        return activity

    return resources.live(("activity", request.key), Activity, work)


def _raster(item: Shown, activity: Activity) -> Raster:
    seed = item.request.seed
    key = ("raster", item.request.key)
    return resources.memo().compute(key, Raster, lambda: raster(activity, seed=seed))


def _neuron_key(item: Shown, which: Which, layer: str, index: int) -> Hashable:
    return ("neuron", item.request.key, which, layer, index)


def _model(item: Shown) -> SpikingClassifier:
    return resources.zoo().load(item.card.name, resources.device())


def read_neurons(link: PageLink, item: Shown) -> Callable[[], None]:
    """The view's controls; returns its drawing."""
    wanted = str(st.session_state[link.seed(_NEURON)])
    activity = obtain_activity(item, wanted)
    layer = choose_layer(link, activity)
    if not activity.spiking:
        return partial(_draw, item, activity, layer, None)
    shown = _raster(item, activity)
    # Put back, or given another neuron or order by a link, the page has another raster, in which
    # nobody has chosen anything: that of before would go on saying what is known.
    brought = link.brings(_NEURON.name) or link.brings(_ORDER)
    rasters = int(st.session_state.get(_RASTERS, 0)) + brought
    st.session_state[_RASTERS] = rasters
    key = f"playground.raster.{link.generation}.{rasters}"
    view = View(shown, _chosen_row(link, shown, key), _chosen_order(link, key), key)
    return partial(_draw, item, activity, layer, view)


@dataclass(frozen=True)
class View:
    """The raster, the chosen neuron's row if there is one, the rows' order, the component's key."""

    raster: Raster
    row: int | None
    order: str
    key: str


def _chosen_row(link: PageLink, shown: Raster, component: str) -> int | None:
    """The row of the neuron that was clicked last, or that the link names; kept in the link.

    A click counts once: a link that is opened after it wins, and in another network's raster the
    neuron stays, not the row.
    """
    key = link.seed(_NEURON)
    clicked = _news(component, "row")
    row = _row_of(shown, str(st.session_state[key]))
    if isinstance(clicked, int) and 0 <= clicked < len(shown.index):
        row = clicked
    text = "" if row is None else f"{shown.layer[row]}.{shown.index[row]}"
    st.session_state[key] = text
    link.keep(_NEURON, text, linked=bool(text))
    return row


def _chosen_order(link: PageLink, component: str) -> str:
    """The order of the rows that was chosen last, or that the link names; kept in the link."""
    field = choice_field(_ORDER, "order of neurons", ORDERS, ORDERS[0])
    key = link.seed(field)
    chosen = _news(component, "order")
    if chosen in ORDERS:
        st.session_state[key] = chosen
    order = str(st.session_state[key])
    return str(link.keep(field, order, linked=order != field.default))


def _news(component: str, name: str) -> object:
    """What the browser says of `name`, if it did not say so before; else None."""
    seen = f"{component}.{name}.seen"
    said = dict(st.session_state.get(component) or {}).get(name)
    if said == st.session_state.get(seen):
        return None
    st.session_state[seen] = said
    return said


def _row_of(shown: Raster, neuron: str) -> int | None:
    """The row of a neuron written as `layer.index`; None if the raster does not show it."""
    layer, _, index = neuron.partition(".")
    if not (layer.isdecimal() and index.isdecimal()):
        return None
    rows = np.flatnonzero((shown.layer == int(layer)) & (shown.index == int(index)))
    return int(rows[0]) if len(rows) else None


def choose_layer(link: PageLink, activity: Activity) -> str:
    """The layer to look into."""
    sizes = {layer.name: " × ".join(map(str, layer.shape)) for layer in activity.clean.layers}
    field = choice_field("layer", "layer", list(sizes), next(iter(sizes)))
    chosen = st.selectbox(
        "Layer",
        list(sizes),
        format_func=lambda name: f"{name} ({sizes[name]})",
        key=link.seed(field),
        help="Layers nearer to the photograph come first; in brackets channels × height × width.",
    )
    return str(link.keep(field, chosen, linked=chosen != field.default))


def _draw(item: Shown, activity: Activity, layer: str, view: View | None) -> None:
    left, right = st.columns(SPLIT, gap="large")
    with left:
        st.subheader("Watch it think")
        time_player(_player_data(item, activity, layer), key="playground.player")
        _player_caption(item, activity, layer)
    with right:
        draw_evolution(item.outcome, activity, item.card.classes, item.request.seed)
    if view is None:
        st.info(
            "This is an ordinary network: its neurons do not spike but answer with a number, so "
            "there is no raster and no membrane. Its activity is under “Firing rates”.",
            icon=":material/info:",
        )
        return
    left, right = st.columns(SPLIT, gap="large")
    with left:
        st.subheader("Every spike")
        raster_view(_raster_data(view), key=view.key)
        _raster_caption(activity, view.raster)
    with right:
        st.subheader("One neuron")
        row = _row_or_most_changed(view.raster, view.row)
        _draw_neuron(item, *view.raster.neuron(row))


def _player_data(item: Shown, activity: Activity, layer: str) -> PlayerData:
    columns: list[tuple[Which, str, str]] = [
        ("clean", "Original", CLEAN),
        ("adversarial", "Attacked", ADVERSARIAL),
    ]
    return PlayerData(
        tuple(
            PlayerColumn(
                title,
                colour,
                _pictures(activity.of(which).frames),
                _maps_of_steps(activity, layer, which),
                running_prediction(activity, which),
            )
            for which, title, colour in columns
        ),
        item.card.classes,
        item.outcome.label,
        layer,
    )


def _maps_of_steps(activity: Activity, layer: str, which: Which) -> np.ndarray:
    """A picture of the layer for each step, `[T, h, w]`; without spikes the same for all steps."""
    maps = channel_maps(activity, layer, which)
    return np.broadcast_to(maps, (activity.time_steps, *maps.shape[1:]))


def _pictures(frames: np.ndarray) -> np.ndarray:
    """Frames `[T, C, H, W]` as pictures `[T, H, W, 3]`; a grey channel becomes three."""
    pictures = frames.transpose(0, 2, 3, 1)
    return np.repeat(pictures, 3, axis=3) if pictures.shape[3] == 1 else pictures


def _player_caption(item: Shown, activity: Activity, layer: str) -> None:
    if not activity.spiking and not activity.noisy:
        st.caption(
            "What goes in, what the channels of the chosen layer answer (one tile per channel, the "
            "brighter the stronger), and the answer."
        )
        return
    coded = {
        "direct": "Direct coding: the photograph itself at every step.",
        "poisson": "Poisson coding: at each step every pixel is on or off; the brighter it is, the "
        "more often it is on.",
        "rsc": "RSC: the photograph with fresh Gaussian noise at every step."
        if activity.noisy
        else "RSC at sigma 0: the photograph itself at every step.",
    }[item.card.config.coding]
    same = "Both passes have the same noise: what" if activity.noisy else "What"
    if not activity.spiking:
        st.caption(
            f"{coded} Below it what the channels of {layer} answer, on average over all steps (one "
            "tile per channel, the brighter the stronger), and the answer so far."
        )
        return
    st.caption(
        f"{coded} Below it the spikes of {layer} at that step, one tile per channel, and the "
        f"answer so far. {same} differs is the attack's work."
    )


def _raster_data(view: View) -> RasterData:
    shown = view.raster
    bands = tuple(RasterBand(band.name, band.last - band.first + 1) for band in shown.bands)
    return RasterData(shown.codes, bands, shown.index, view.row, view.order)


def _row_or_most_changed(shown: Raster, row: int | None) -> int:
    """`row`, or that of the neuron that changed most: worth a look before any is chosen."""
    if row is not None:
        return row
    changed = ((shown.codes == ONLY_CLEAN) | (shown.codes == ONLY_ADVERSARIAL)).sum(axis=0)
    return int(changed.argmax())


def turnover_words(activity: Activity) -> str:
    """What two passes do not share, under attack and by chance, as a sentence with links."""
    attack, noise = turnover(activity)
    chance = (
        f"; with other noise instead of the attack, {noise.mean():.0%}" if activity.noisy else ""
    )
    if activity.spiking:
        return (
            f"Of the [spikes](#spike) of either pass, original or attacked, {attack.mean():.0%} "
            f"occur in only one (mean over layers){chance}."
        )
    return (
        f"The two passes, original and attacked, differ by {attack.mean():.0%} of the larger "
        f"activation of each neuron, summed over a layer (mean over layers){chance}."
    )


def _raster_caption(activity: Activity, shown: Raster) -> None:
    rows = shown.codes.shape[1]
    which = "all" if rows == shown.total else f"{rows:,} of the"
    st.caption(
        explained(
            f"Each row is a neuron ({which} {shown.total:,}), each column a time step. "
            f"{turnover_words(activity)} Click a row to look into that neuron."
        )
    )


def _draw_neuron(item: Shown, layer: str, index: int) -> None:
    images: tuple[tuple[Which, np.ndarray], ...] = (
        ("clean", item.outcome.original),
        ("adversarial", item.outcome.adversarial),
    )
    traces = [
        resources.live(
            _neuron_key(item, which, layer, index),
            NeuronTrace,
            partial(_trace, item, image, layer, index),
        )
        for which, image in images
    ]
    draw_figure(
        membrane_figure(*traces),
        "membrane",
        "Lines: membrane potential of one neuron over the time steps, original and attacked.",
    )
    channel, *place = traces[0].place
    where = f", row {place[0]}, column {place[1]}" if len(place) == 2 else ""
    st.caption(
        explained(
            f"{layer}, channel {channel}{where}. The "
            "[membrane potential](#membrane-potential) leaks, adds the "
            "[input current](#input-current) at each step, and where it reaches the "
            f"[threshold](#threshold) {traces[0].threshold:g} the neuron spikes and starts again "
            "from 0."
        )
    )


def _trace(item: Shown, image: np.ndarray, layer: str, index: int) -> NeuronTrace:
    request = item.request
    return neuron_trace(
        _model(item),
        image,
        layer,
        index,
        time_steps=request.time_steps,
        sigma=request.sigma,
        seed=request.seed,
    )
