"""The Playground's flow: get an outcome for each network, at once or through the job queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from rsc_snn.attacks import AttackSpec
from rsc_snn.jobs import JobContext
from rsc_snn.outcome import AttackRequest, Outcome, attack_image, clean_logits, is_heavy
from rsc_snn.ui import controls, photograph, resources
from rsc_snn.ui.images import Panel, row_html, to_bytes
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.results import seen_as
from rsc_snn.ui.sweep import SweepRequest
from rsc_snn.ui.tasks import Slot, is_active, polled, task_row

if TYPE_CHECKING:
    from rsc_snn.zoo import ModelCard

LAST = "playground.last"


@dataclass(frozen=True)
class Choices:
    """What the controls say: one card and one request a network, the first one's in front."""

    spec: AttackSpec
    cards: tuple[ModelCard, ...]
    requests: tuple[AttackRequest, ...]

    @property
    def card(self) -> ModelCard:
        """The first network's."""
        return self.cards[0]

    @property
    def request(self) -> AttackRequest:
        """The first network's."""
        return self.requests[0]

    @property
    def sweep(self) -> SweepRequest:
        """The first network's, for all photographs of the gallery and many sigmas."""
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

    def heavy(self) -> tuple[AttackRequest, ...]:
        """The requests that are too slow to follow the sliders, together or alone."""
        return tuple(
            request
            for card, request in zip(self.cards, self.requests, strict=True)
            if is_heavy(
                self.spec,
                dict(request.parameters),
                card.config,
                request.time_steps,
                resources.device(),
                resources.settings().live_passes,
                request.draws,
            )
        )


@dataclass(frozen=True)
class Shown:
    """The outcome of one network that the page shows; `stale` if of earlier settings."""

    card: ModelCard
    request: AttackRequest
    outcome: Outcome
    stale: bool = False


def read_controls(link: PageLink) -> Choices:
    """Draw the controls and read them. Raises the errors of a zoo or gallery that is missing."""
    st.header("Networks")
    card = controls.choose_model(link)
    cards = (card, *controls.choose_rivals(link, card))
    noise = controls.choose_noise(link, cards)
    st.header("Photograph")
    image = photograph.choose_image(link, card)
    st.header("Attack")
    spec, parameters = controls.choose_attack(link)
    st.header("Scoring")
    draws, seed = controls.choose_scoring(link)
    requests = tuple(
        AttackRequest(
            model=card.name,
            sha256=card.identity,
            image=image,
            attack=spec.name,
            parameters=tuple(parameters.items()),
            time_steps=time_steps,
            sigma=sigma,
            draws=draws,
            seed=seed,
        )
        for card, (sigma, time_steps) in zip(cards, noise, strict=True)
    )
    return Choices(spec, cards, requests)


def obtain(choices: Choices) -> tuple[Shown, ...]:
    """What there is to show of each network: known, computed now, or the last one of it.

    Attacks that are too slow for a slider's move wait for a button; they then pass through the
    queue together. While they wait, a network shows its latest outcome of the same photograph,
    with a line that says so, or nothing.
    """
    memo, heavy = resources.memo(), choices.heavy()
    outcomes = {
        request: _latest(request) or memo.get(request.key, Outcome)
        if request in heavy
        else resources.live(request.key, Outcome, partial(compute, request))
        for request in choices.requests
    }
    waiting = tuple(request for request, outcome in outcomes.items() if outcome is None)
    # Of all slow attacks, not of those that wait: the first one done would make it another job.
    slot = Slot("attack", tuple(request.key for request in heavy))
    if waiting or (is_active(slot.view()) and not slot.is_for(slot.key)):
        polled(slot, lambda: _draw_task(slot, choices.spec.label, waiting))
    shown = [
        _shown(card, request, outcomes[request])
        for card, request in zip(choices.cards, choices.requests, strict=True)
    ]
    found = tuple(item for item in shown if item is not None)
    if not found:
        _draw_originals(choices)
    if any(item.stale for item in found):
        st.info("Below, the attack before this one is still shown.", icon=":material/history:")
    return found


def _draw_originals(choices: Choices) -> None:
    """The photograph and what each network makes of it, until the attack has run."""
    panels = []
    for card, request in zip(choices.cards, choices.requests, strict=True):
        logits = resources.live(
            ("clean", replace(request, attack="", parameters=())),
            np.ndarray,
            partial(_clean_logits, request),
        )
        pixels = to_bytes(request.image.pixels[0].numpy())
        seen = seen_as(logits.argmax(axis=1), card.classes)
        panels.append(Panel(pixels, card.label, seen, alt="The original photograph"))
    st.html(row_html(panels))
    st.caption("The original photograph, before the attack.")


def _clean_logits(request: AttackRequest) -> NDArray[np.float32]:
    return clean_logits(resources.zoo().load(request.model, resources.device()), request)


def _latest(request: AttackRequest) -> Outcome | None:
    """The session's own outcome of a request, which others' results cannot drive out."""
    last = st.session_state.get(LAST, {}).get(request.model)
    return last[1] if last is not None and last[0].key == request.key else None


def _shown(card: ModelCard, request: AttackRequest, outcome: Outcome | None) -> Shown | None:
    """The outcome of one network; the last one of the same photograph if there is none yet."""
    last: dict[str, tuple[AttackRequest, Outcome]] = st.session_state.setdefault(LAST, {})
    if outcome is not None:
        last[card.name] = (request, outcome)
        return Shown(card, request, outcome)
    before = last.get(card.name)
    if before is None or before[0].image != request.image:
        return None
    return Shown(card, before[0], before[1], stale=True)


def compute(
    request: AttackRequest,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Outcome:
    """The outcome of one request."""
    model = resources.zoo().load(request.model, resources.device())
    return attack_image(model, request, progress, cancelled)


def _compute_all(requests: Sequence[AttackRequest], context: JobContext) -> None:
    """One request after the other, as one job with one progress."""
    for index, request in enumerate(requests):

        def progress(share: float, index: int = index) -> None:
            context.progress((index + share) / len(requests))

        resources.memo().put(request.key, compute(request, progress, context.cancelled))


def _draw_task(slot: Slot, label: str, waiting: tuple[AttackRequest, ...]) -> None:
    """Progress of the attack under way, or the button that starts it."""
    task_row(
        slot,
        f"Run {label}",
        label,
        lambda context: _compute_all(waiting, context),
        f"With these settings {label} takes a while, so it does not follow the sliders: it runs "
        "when you press the button, and the page stays usable.",
    )
