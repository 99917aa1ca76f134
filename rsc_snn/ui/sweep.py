"""The live trade-off: clean and robust accuracy over sigma, on the photographs of the gallery."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from rsc_snn.attacks import ATTACKS
from rsc_snn.data.gallery import gallery_set
from rsc_snn.data.numbering import model_labels
from rsc_snn.figures import CurvePoint, tradeoff_figure
from rsc_snn.jobs import JobContext
from rsc_snn.ui import resources
from rsc_snn.ui.controls import has_sigma
from rsc_snn.ui.results import draw_figure
from rsc_snn.ui.tasks import Slot, is_active, polled, progress_row, start_button
from rsc_snn.ui.words import explained, one_draw_caution

if TYPE_CHECKING:
    from rsc_snn.evaluate import SweepPoint
    from rsc_snn.zoo import ModelCard

SIGMAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
DRAWS = 4
# The gallery goes round the classes, so its beginning is balanced.
PHOTOGRAPHS = 50


@dataclass(frozen=True)
class SweepRequest:
    """Everything that determines the curve."""

    model: str
    sha256: str
    dataset: str
    attack: str
    parameters: tuple[tuple[str, Any], ...]
    time_steps: int | None
    seed: int

    @property
    def key(self) -> Hashable:
        """What to remember the curve by."""
        return ("sweep", self)


def run_sweep(request: SweepRequest, context: JobContext) -> tuple[SweepPoint, ...]:
    """Publish each point as it is computed; remember and return all."""
    from rsc_snn.evaluate import sigma_sweep

    zoo = resources.zoo()
    model = zoo.load(request.model, resources.device())
    images = gallery_set(request.dataset, model.config.image_size)
    labels = model_labels(images, request.dataset, zoo.card(request.model).classes)
    points = []
    for point in sigma_sweep(
        model,
        images.images[:PHOTOGRAPHS],
        labels[:PHOTOGRAPHS],
        attack=request.attack,
        parameters=dict(request.parameters),
        sigmas=SIGMAS,
        time_steps=request.time_steps,
        draws=DRAWS,
        seed=request.seed,
        progress=context.progress,
        cancelled=context.cancelled,
    ):
        context.publish(point)
        points.append(point)
    resources.memo().put(request.key, tuple(points))
    return tuple(points)


def draw_sweep(card: ModelCard, request: SweepRequest, sigma: float | None) -> None:
    """The section of the page; `sigma` is the page's own, to be marked."""
    st.subheader("The trade-off, measured live")
    if not has_sigma(card.config):
        st.info(
            "This network has no noise level to vary; choose an RSC-SNN to see its trade-off.",
            icon=":material/info:",
        )
        return
    slot = Slot("sweep", request.key)
    polled(slot, lambda: _draw(slot, card, request, sigma))


def _draw(slot: Slot, card: ModelCard, request: SweepRequest, sigma: float | None) -> None:
    known = resources.memo().get(request.key, tuple)
    view = slot.view()
    active = is_active(view) and not (known is not None and slot.is_for(request.key))
    points: tuple[Any, ...] = known or ()
    with st.container(key="rsc-sweep-controls"):
        if view is not None and active:
            stale = "" if slot.is_for(request.key) else " (for earlier settings)"
            progress_row(slot, view, stale)
        elif known is None:
            start_button(
                slot,
                "Measure the curve",
                "Trade-off",
                lambda context: run_sweep(request, context),
            )
    if view is not None and slot.is_for(request.key) and active:
        points = view.items
    draw_figure(
        tradeoff_figure(
            [_point(point, "clean") for point in points],
            [_point(point, "robust") for point in points],
            SIGMAS,
            here=sigma,
            trained=_trained(card),
        ),
        "tradeoff",
        "Lines: accuracy on clean and on attacked photographs over the noise level sigma.",
    )
    st.caption(_caption(card, request, points, active))


def _trained(card: ModelCard) -> float | None:
    """The one noise level that the network was trained with, if it is known and one alone."""
    low, high = card.trained_sigmas or (None, None)
    return low if low == high else None


def _point(point: SweepPoint, which: str) -> CurvePoint:
    estimate = getattr(point, which)
    return CurvePoint(point.sigma, estimate.value, estimate.lower, estimate.upper, point.n)


def _caption(
    card: ModelCard, request: SweepRequest, points: tuple[SweepPoint, ...], active: bool
) -> str:
    spec = ATTACKS[request.attack]
    values = dict(request.parameters)
    settings = ", ".join(
        f"{parameter.label} {parameter.value_text(values[parameter.name])}"
        for parameter in spec.parameters
    )
    count = points[0].n if points else PHOTOGRAPHS
    steps = request.time_steps or card.config.time_steps
    took = f" Took {sum(point.seconds for point in points):.0f} s."
    state = took if points and not active else ""
    caution = (
        f" {one_draw_caution()}: with noise the robust accuracies may be lower than shown."
        if spec.follows_one_draw(values)
        else ""
    )
    return (
        f"Accuracy at each noise level, with 95 % intervals: {card.label}, T = {steps}, against "
        f"{spec.label} ({settings}), on the n = {count} gallery photographs, {DRAWS} draws each, "
        f"seed {request.seed}.{state} Few photographs: the wide intervals say how little such a "
        + explained(f"quick measurement can tell of the [trade-off](#trade-off).{caution}")
    )
