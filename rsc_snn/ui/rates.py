"""The view of the firing rates: by layer, by channel, and over the photograph."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from rsc_snn.activity import Activity, Which, channel_rates, rate_map, rate_of_one, rates
from rsc_snn.figures import channel_rates_figure, layer_rates_figure, rate_overlay, rate_scale
from rsc_snn.ui.images import Panel, row_html, scale_html, to_bytes
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.neurons import choose_layer, obtain_activity, turnover_words
from rsc_snn.ui.playground import Shown
from rsc_snn.ui.results import draw_figure
from rsc_snn.ui.words import explained

_PASSES: tuple[tuple[Which, str], ...] = (
    ("clean", "Original"),
    ("adversarial", "Attacked"),
    ("control", "Original, other noise"),
)


def read_rates(link: PageLink, item: Shown) -> Callable[[], None]:
    """The view's controls; returns its drawing."""
    activity = obtain_activity(item)
    return partial(_draw, item, activity, choose_layer(link, activity))


def _draw(item: Shown, activity: Activity, layer: str) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Layer by layer")
        _draw_layers(activity)
    with right:
        st.subheader(f"The channels of {layer}")
        _draw_channels(activity, layer)
    st.subheader("Where the layer is busy")
    _draw_maps(item, activity, layer)


def _draw_layers(activity: Activity) -> None:
    found = rates(activity)
    control = found.control if activity.noisy else None
    what = "firing rate" if activity.spiking else "mean activation"
    draw_figure(
        layer_rates_figure(
            activity.names, found.clean, found.adversarial, control, activity.spiking
        ),
        "layer-rates",
        f"Bars: {what} of every layer, original and attacked; below, the changes"
        f"{', and those by chance' * activity.noisy}.",
    )
    who = "who fires" if activity.spiking else "which neurons answer"
    unit = (
        "[Firing rate](#firing-rate), spikes per neuron and time step"
        if activity.spiking
        else "Mean activation"
    )
    st.caption(
        explained(
            f"{unit}, from the photograph (left) to the answer (right). Attacks often leave these "
            f"means alone and change {who}. {turnover_words(activity)}"
        )
    )


def _draw_channels(activity: Activity, layer: str) -> None:
    found = channel_rates(activity, layer)
    control = found.control if activity.noisy else None
    what = "firing rate" if activity.spiking else "mean activation"
    draw_figure(
        channel_rates_figure(found.clean, found.adversarial, control, activity.spiking),
        "channel-rates",
        f"Marks: {what} of every channel of a layer; below, the change under attack"
        f"{' and that by chance' * activity.noisy}.",
    )
    st.caption(
        "One position per channel, the busiest on the original first. Marks far from the line"
        + (
            ", and far from the grey ones, are the attack's work; what the grey ones do is chance."
            if activity.noisy
            else " are the attack's work: without noise nothing is left to chance."
        )
    )


def _draw_maps(item: Shown, activity: Activity, layer: str) -> None:
    original = item.outcome.original
    images = {
        "clean": original,
        "adversarial": item.outcome.adversarial,
        "control": original,
    }
    passes = _PASSES if activity.noisy else _PASSES[:2]
    maps = {which: rate_map(activity, layer, which, original.shape[-1]) for which, _ in passes}
    top = max(float(values.max()) for values in maps.values())
    one = rate_of_one(activity, layer)
    panels = [
        Panel(
            rate_overlay(images[which], maps[which], top or None),
            title,
            f"up to {one * maps[which].max():.3f}",
        )
        for which, title in passes
    ]
    if len(panels) == 2:
        panels.insert(0, Panel(to_bytes(original), "Photograph", "as it is"))
    unit = "spikes per neuron and step" if activity.spiking else "mean activation"
    st.html(row_html(panels) + scale_html(rate_scale(), "0", f"{one * top:.3f} {unit}"))
    over = "its channels and all steps" if activity.spiking else "its channels"
    what = "rate" if activity.spiking else "activation"
    which = "all three" if activity.noisy else "both"
    st.caption(
        f"The mean {what} of {layer} over {over} at each place, laid over the photograph in grey: "
        f"the busier, the more colour, on one scale for {which} maps; where it is silent, the "
        "photograph stays grey."
    )
