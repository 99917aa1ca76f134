"""What the Playground shows below the networks: one view at a time, chosen by a row of buttons.

Only the chosen view is computed, so that a slider's move pays for what is on the screen alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from rsc_snn.ui.choices import choose_button, network_labels
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.playground import Choices, Shown

VIEWS = {
    "neurons": ":material/bolt: Neurons",
    "rates": ":material/bar_chart: Firing rates",
    "tradeoff": ":material/ssid_chart: Trade-off",
    "transfer": ":material/swap_horiz: Transfer",
    "energy": ":material/battery_charging_full: Energy",
    "paint": ":material/brush: Paint",
    "take": ":material/download: Download",
}
_NEEDS_OUTCOME = {"neurons", "rates", "energy", "paint", "take"}
# Names in the link of controls that belong to a view.
_OF_VIEWS = ("focus", "layer", "neuron", "order", "paint", "paint_epsilon")


def choose_view(link: PageLink, choices: Choices, shown: Sequence[Shown]) -> Callable[[], None]:
    """Draw the row of views and the controls that belong to the chosen one; returns its drawing."""
    view = choose_button(link, "view", "View", VIEWS, hidden=True, terse=True)
    if view in _NEEDS_OUTCOME and not shown:
        link.defer(_OF_VIEWS)
        return _nothing_yet
    if view == "tradeoff":
        from rsc_snn.ui.sweep import draw_sweep

        return partial(draw_sweep, choices.card, choices.sweep, choices.request.sigma)
    if view == "transfer":
        from rsc_snn.ui.transfer import draw_transfer

        return partial(draw_transfer, choices)
    if view == "energy":
        from rsc_snn.ui.energy import draw_energy

        return partial(draw_energy, shown)
    item = _choose_focus(link, shown)
    if view == "neurons":
        from rsc_snn.ui.neurons import read_neurons

        return read_neurons(link, item)
    if view == "rates":
        from rsc_snn.ui.rates import read_rates

        return read_rates(link, item)
    if view == "paint":
        from rsc_snn.ui.painting import read_painting

        return read_painting(link, item, shown)
    from rsc_snn.ui.takeaway import read_takeaway

    return read_takeaway(link, choices, shown, item)


def _nothing_yet() -> None:
    st.caption("Run the attack first; then there is something to look at here.")


def _choose_focus(link: PageLink, shown: Sequence[Shown]) -> Shown:
    """The network to look into, where there are several."""
    if len(shown) == 1:
        return shown[0]
    names = {item.card.name: item for item in shown}
    labels = network_labels(item.card for item in shown)
    return names[choose_button(link, "focus", "Look into", labels, noun="network to look into")]
