"""The smallest epsilon that fools each network, found on request."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import streamlit as st

from rsc_snn.comparison import SmallestEpsilon, smallest_epsilon
from rsc_snn.jobs import JobContext
from rsc_snn.outcome import AttackRequest
from rsc_snn.ui import resources
from rsc_snn.ui.playground import Choices, Shown
from rsc_snn.ui.tasks import Slot, is_active, polled, task_row


def _key(request: AttackRequest, label: int) -> Hashable:
    """What the search depends on: all but the epsilon and the step size, which it sets itself."""
    kept = tuple(pair for pair in request.parameters if pair[0] not in {"epsilon", "step_size"})
    return ("epsilon", replace(request, parameters=kept), label)


def known_epsilon(item: Shown) -> SmallestEpsilon | None:
    """The result for one network, if it was found before."""
    key = _key(item.request, item.outcome.label)
    return resources.memo().get(key, SmallestEpsilon)


def epsilon_sentence(found: SmallestEpsilon) -> str:
    """The result for a person."""
    if found.already_wrong:
        return "Smallest epsilon: none needed, it is not right without an attack."
    word = "undecided" if found.spared == "abstained" else "held"
    below = f", {word} at {found.spared_at:g}{found.unit}" if found.spared else ""
    if found.fooled_at is None:
        return f"Smallest epsilon: none found{below}, the largest."
    return f"Smallest epsilon: **{found.fooled_at:g}{found.unit}**{below}."


def epsilon_method(found: SmallestEpsilon) -> str:
    """How the result was found, and what it does not say."""
    how = "Only the largest was tried" if found.never else "Found by bisection"
    step = ""
    if found.step_size is not None:
        step = (
            f", with a step size of {found.step_size:g}{found.unit} there, in proportion to "
            "epsilon, instead of yours"
        )
    return f"{how}{step}. A smaller epsilon may fool too."


def draw_epsilon(item: Shown) -> None:
    """The result for one network, if it was found before and is of the settings shown."""
    found = known_epsilon(item)
    if found is None or item.stale:
        return
    st.markdown(epsilon_sentence(found))
    if not found.already_wrong:
        st.caption(epsilon_method(found))


def draw_search(choices: Choices, shown: Sequence[Shown]) -> None:
    """The button, or the progress of the search; nothing for an attack without epsilon."""
    fresh = [item for item in shown if not item.stale]
    if not choices.spec.bounded or not fresh:
        return
    waiting = tuple(item for item in fresh if known_epsilon(item) is None)
    slot = Slot("epsilon", tuple(_key(item.request, item.outcome.label) for item in fresh))
    if not waiting and not (is_active(slot.view()) and not slot.is_for(slot.key)):
        return
    polled(
        slot,
        lambda: task_row(
            slot,
            "Find the smallest epsilon that fools the network",
            "Smallest epsilon",
            lambda context: _search(waiting, context),
        ),
    )


def _search(waiting: tuple[Shown, ...], context: JobContext) -> None:
    """One network after the other, each result remembered as soon as it is there."""
    for index, item in enumerate(waiting):
        request, label = item.request, item.outcome.label
        model = resources.zoo().load(request.model, resources.device())

        def progress(share: float, index: int = index) -> None:
            context.progress((index + share) / len(waiting))

        found = smallest_epsilon(
            model,
            request.image.pixels.to(resources.device()),
            label,
            request.attack,
            dict(request.parameters),
            time_steps=request.time_steps,
            sigma=request.sigma,
            draws=request.draws,
            seed=request.seed,
            progress=progress,
            cancelled=context.cancelled,
        )
        resources.memo().put(_key(request, label), found)
