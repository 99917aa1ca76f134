"""The view of energy: operations of the spiking network against those of its ANN twin."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from rsc_snn.energy import EnergyEstimate, estimate_energy
from rsc_snn.figures import energy_figure
from rsc_snn.outcome import AttackRequest, record
from rsc_snn.ui import resources
from rsc_snn.ui.comparison import title_html
from rsc_snn.ui.controls import is_dial
from rsc_snn.ui.playground import Shown
from rsc_snn.ui.results import draw_figure
from rsc_snn.ui.words import explained

_PICOJOULES = 1e6  # in one microjoule


def draw_energy(shown: Sequence[Shown]) -> None:
    """One column a network, and what the estimate takes for granted."""
    estimates = [obtain_energy(item.request) for item in shown]
    for column, item, estimate in zip(st.columns(len(shown)), shown, estimates, strict=True):
        with column, st.container(key=f"rsc-column-energy-{item.card.name}"):
            _draw_one(item, estimate, alone=len(shown) == 1)
    configs = [item.card.config for item in shown]
    dials = [
        *["Move T: more steps cost more."] * any(config.has_time for config in configs),
        *["Move sigma: other noise makes more spikes or fewer."] * any(map(is_dial, configs)),
    ]
    st.caption(" ".join(["One pass over the original photograph.", *dials]))
    lines = dict.fromkeys(line for estimate in estimates for line in estimate.assumptions)
    with st.expander("What the estimate takes for granted", icon=":material/rule:"):
        st.markdown("\n".join(f"- {line}" for line in lines))


def obtain_energy(request: AttackRequest) -> EnergyEstimate:
    """The estimate for the original photograph of a request."""

    def work() -> EnergyEstimate:
        model = resources.zoo().load(request.model, resources.device())
        return estimate_energy(model, record(model, request))

    return resources.live(("energy", request.key), EnergyEstimate, work)


def _draw_one(item: Shown, estimate: EnergyEstimate, *, alone: bool) -> None:
    """One network; its two numbers side by side if it is `alone` and has the room."""
    config = item.card.config
    spiking = config.neuron == "lif"
    st.html(title_html(item.card))
    energy, twin = estimate.energy_pj / _PICOJOULES, estimate.ann_energy_pj / _PICOJOULES
    if spiking:
        places = st.columns(2) if alone else (st.container(), st.container())
        places[0].metric(
            "Spiking network",
            f"{energy:.1f} µJ",
            f"{energy / twin:.2f} × its ANN twin",
            delta_color="off",
            delta_arrow="off",
        )
        places[1].metric("Its ANN twin", f"{twin:.1f} µJ")
        st.caption(
            explained(
                f"{estimate.acs:,} accumulates after spikes, or "
                f"[synaptic operations](#synaptic-operation), and {estimate.macs:,} "
                "multiply-accumulates; its [ANN twin](#ann-twin) has "
                f"{estimate.ann_macs:,} multiply-accumulates."
            )
        )
    else:
        st.metric(
            "Ordinary network",
            f"{energy:.1f} µJ",
            f"{energy / twin:.2f} × one pass without noise" if config.has_time else None,
            delta_color="off",
            delta_arrow="off",
        )
        steps = "its work on all T frames counts" if config.has_time else "no time steps"
        st.caption(f"{estimate.macs:,} multiply-accumulates; no spikes, {steps}.")
    draw_figure(
        energy_figure(estimate, config.coding if spiking else "ann"),
        f"energy-{item.card.name}",
        f"Bars: estimated energy of every layer of {item.card.label}"
        f"{' and of its ANN twin' * spiking}.",
    )
