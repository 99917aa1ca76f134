"""The Playground's flow: get an outcome for the choices, at once or through the job queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from rsc_snn.attacks import AttackSpec
from rsc_snn.jobs import JobContext
from rsc_snn.outcome import AttackRequest, Outcome, attack_image, is_heavy
from rsc_snn.ui import controls, photograph, resources
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.sweep import SweepRequest
from rsc_snn.ui.tasks import Slot, is_active, polled, progress_row, start_button

if TYPE_CHECKING:
    from rsc_snn.zoo import ModelCard


@dataclass(frozen=True)
class Choices:
    """What the controls say."""

    card: ModelCard
    spec: AttackSpec
    request: AttackRequest

    @property
    def sweep(self) -> SweepRequest:
        """The same, for all photographs of the gallery and many sigmas."""
        request = self.request
        return SweepRequest(
            model=request.model,
            sha256=request.sha256,
            dataset=self.card.dataset,
            attack=request.attack,
            parameters=request.parameters,
            time_steps=request.time_steps,
            seed=request.seed,
        )


def read_controls(link: PageLink) -> Choices:
    """Draw the controls and read them. Raises the errors of a zoo or gallery that is missing."""
    st.header("Network")
    card = controls.choose_model(link)
    sigma, time_steps = controls.choose_noise(link, card.config)
    st.header("Photograph")
    image = photograph.choose_image(link, card)
    st.header("Attack")
    spec, parameters = controls.choose_attack(link)
    st.header("Scoring")
    draws, seed = controls.choose_scoring(link)
    request = AttackRequest(
        model=card.name,
        sha256=card.sha256,
        image=image,
        attack=spec.name,
        parameters=tuple(parameters.items()),
        time_steps=time_steps,
        sigma=sigma,
        draws=draws,
        seed=seed,
    )
    return Choices(card, spec, request)


def obtain(choices: Choices) -> Outcome | None:
    """The outcome of the choices if it is known or quick; else the means to get it, and None.

    While a heavy attack waits for its button, the outcome last shown stays on the page if it is
    of the same model, with a line that says so.
    """
    request = choices.request
    outcome = resources.memo().get(request.key, Outcome)
    slot = Slot("attack", request.key)
    heavy = is_heavy(
        choices.spec,
        dict(request.parameters),
        choices.card.config,
        request.time_steps,
        resources.device(),
    )
    if outcome is None and not heavy:
        outcome = resources.run_live(lambda: _compute(request))
    if outcome is None or (is_active(slot.view()) and not slot.is_for(request.key)):
        polled(slot, lambda: _draw_task(slot, choices))
    if outcome is not None:
        st.session_state["playground.last"] = (request, outcome)
        return outcome
    return _last_outcome(request)


def _compute(request: AttackRequest, context: JobContext | None = None) -> Outcome:
    model = resources.zoo().load(request.model, resources.device())
    if context is None:
        outcome = attack_image(model, request)
    else:
        outcome = attack_image(model, request, context.progress, context.cancelled)
    resources.memo().put(request.key, outcome)
    return outcome


def _draw_task(slot: Slot, choices: Choices) -> None:
    """Progress of the attack under way, or the button that starts it."""
    view = slot.view()
    with st.container(key="rsc-attack-run"):
        if view is not None and is_active(view):
            stale = "" if slot.is_for(choices.request.key) else " (for earlier settings)"
            progress_row(slot, view, stale)
            return
        st.caption(
            f"With these settings {choices.spec.label} takes a while, so it does not follow the "
            "sliders: it runs when you say so, and the page stays usable."
        )
        start_button(
            slot,
            f"Run {choices.spec.label}",
            choices.spec.label,
            lambda context: _compute(choices.request, context),
        )


def _last_outcome(request: AttackRequest) -> Outcome | None:
    last: tuple[AttackRequest, Any] | None = st.session_state.get("playground.last")
    if last is None or last[0].model != request.model or last[0].image != request.image:
        return None
    st.info("Below is still the attack before this one.", icon=":material/history:")
    return last[1]
