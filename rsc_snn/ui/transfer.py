"""The view of transfer: whose attack fools whom, and attacks that look through the wrong coding."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import streamlit as st

from rsc_snn.attacks import AttackSpec
from rsc_snn.coding import CODING_LABELS
from rsc_snn.comparison import Mismatch, Transfer, encoder_mismatch, transfer
from rsc_snn.figures import transfer_figure
from rsc_snn.jobs import JobContext
from rsc_snn.outcome import AttackRequest, answer_of
from rsc_snn.ui import resources
from rsc_snn.ui.playground import Choices
from rsc_snn.ui.results import draw_figure
from rsc_snn.ui.tasks import Slot, is_active, polled, task_row
from rsc_snn.ui.words import explained

SPLIT = (3, 2)
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class _Results:
    """What the view shows. transfer: None for one network alone. mismatches: one a network.

    label: the class that counts as right.
    """

    transfer: Transfer | None
    mismatches: tuple[Mismatch, ...]
    label: int


def draw_transfer(choices: Choices) -> None:
    """The matrix and the mismatches, or the button that measures them."""
    key: Hashable = ("transfer", tuple(request.key for request in choices.requests))
    slot = Slot("transfer", key)
    known = resources.memo().get(key, _Results)
    if known is None or (is_active(slot.view()) and not slot.is_for(key)):
        polled(
            slot,
            lambda: task_row(
                slot,
                "Measure transfer and mismatch",
                "Transfer",
                lambda context: _measure(key, choices, context),
            ),
        )
    if known is None:
        st.caption(
            "This measures how often each network still sees the true class in the image that was "
            "made for another one, and in one that was made through a coding that it does not use."
        )
        return
    left, right = st.columns(SPLIT, gap="large")
    with left:
        st.subheader("Whose attack fools whom")
        _draw_matrix(choices, known.transfer)
        if choices.requests[0].image.label is None and len(choices.cards) > 1:
            first = choices.cards[0]
            st.caption(
                f"Nobody said what your photograph shows. Here the answer of {first.label}, "
                f"{first.classes[known.label]}, counts as right for all networks; in the verdicts "
                "above, each network's own answer does."
            )
    with right:
        st.subheader("The wrong coding")
        _draw_mismatches(choices, known.mismatches)


def _measure(key: Hashable, choices: Choices, context: JobContext) -> None:
    requests = choices.requests
    parts = len(requests) * (1 if len(requests) == 1 else 2)

    def part(index: int, length: int = 1) -> Callable[[float], None]:
        return lambda share: context.progress((index + share * length) / parts)

    device = resources.device()
    models = {request.model: resources.zoo().load(request.model, device) for request in requests}
    first = requests[0]
    x = first.image.pixels.to(device)
    label = first.image.label
    if label is None:
        label = answer_of(models[first.model], first)
    matrix = None
    if len(requests) > 1:
        matrix = transfer(
            models,
            x,
            label,
            first.attack,
            dict(first.parameters),
            time_steps=_shared(request.time_steps for request in requests),
            sigma=_shared(request.sigma for request in requests),
            draws=first.draws,
            seed=first.seed,
            progress=part(0, len(requests)),
            cancelled=context.cancelled,
        )
    done = parts - len(requests)
    mismatches = tuple(
        encoder_mismatch(
            models[request.model],
            x,
            label,
            request.attack,
            dict(request.parameters),
            time_steps=request.time_steps,
            sigma=request.sigma,
            draws=request.draws,
            seed=request.seed,
            progress=part(done + index),
            cancelled=context.cancelled,
        )
        for index, request in enumerate(requests)
        if models[request.model].is_spiking
    )
    resources.memo().put(key, _Results(matrix, mismatches, label))


def _shared(values: Iterable[Number | None]) -> Number | None:
    """The value of a dial where all networks that have it share it; else None, each one's own."""
    known = {value for value in values if value is not None}
    return known.pop() if len(known) == 1 else None


def _draw_matrix(choices: Choices, found: Transfer | None) -> None:
    if found is None:
        st.info(
            "Choose a network under “Compare with” to see whether an attack made for one fools "
            "the other.",
            icon=":material/info:",
        )
        return
    labels = {card.name: card.label for card in choices.cards}
    draw_figure(
        transfer_figure(found, labels),
        "transfer",
        "Matrix: share of right looks for each pair of network attacked and network that answers.",
    )
    st.caption(
        explained("How attacks [transfer](#transfer). ")
        + "Each row is an image: the original, then one made for each network. Each column is a "
        f"network that looks at it {found.draws} times. On the diagonal from the second row each "
        "network meets its own attack; blue is right, orange is fooled."
    )


def _draw_mismatches(choices: Choices, found: tuple[Mismatch, ...]) -> None:
    if not found:
        st.info(
            "Attacks through the wrong coding are made for spiking networks only.",
            icon=":material/info:",
        )
        return
    spiking = [card for card in choices.cards if card.config.neuron == "lif"]
    for card, mismatch in zip(spiking, found, strict=True):
        right, wrong = (
            CODING_LABELS[name] for name in (mismatch.model_coding, mismatch.attack_coding)
        )
        st.markdown(
            f"**{card.label}** answers through {right} coding. Right looks: "
            f"**{mismatch.clean:.0%}** without an attack, **{mismatch.other:.0%}** against one "
            f"computed through {wrong} coding, **{mismatch.own:.0%}** against "
            "one computed through its own."
        )
        if mismatch.verdicts[0] == "held" != mismatch.verdicts[1]:
            st.warning(
                "Attacked through the wrong coding it looks more robust than it is.",
                icon=":material/visibility_off:",
            )
        else:
            st.caption(explained(_comparison(choices.spec, choices.requests[0], mismatch)))
    if choices.spec.follows_gradients:
        st.caption(
            explained(
                "An attack follows [gradients](#gradient) through a [coding](#coding). If that is "
                "not the coding the network uses, the gradients are those of another network; "
                "where they do less harm, a weak attack passes for a strong defence."
            )
        )


def _comparison(spec: AttackSpec, request: AttackRequest, mismatch: Mismatch) -> str:
    """What the two attacks show where the wrong coding does not flatter the network."""
    if spec.family == "noise":
        return "This is no attack that looks at the network: the coding does not enter."
    if request.sigma == 0 and mismatch.model_coding == "rsc":
        return "At sigma 0 both codings are the same."
    other, own = mismatch.verdicts
    if own == "held" != other:
        averaged = (
            " Each gradient of that through its own is of a single noise [draw](#draw); averaged "
            "over more ([EOT](#eot)) it would do more."
            if spec.follows_one_draw(dict(request.parameters))
            else ""
        )
        return f"Here the attack through the wrong coding is the stronger one.{averaged}"
    change = "; {} epsilon to see a difference" if spec.bounded else ""
    if own == "held":
        return f"It holds either way here{change.format('raise')}."
    if own == "wrong":
        return "It is not right without an attack, so neither had anything to do."
    return f"Neither leaves the true class a majority{change.format('lower')}."
