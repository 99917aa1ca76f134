"""The view of prices: what each turn of the dial costs and buys, QTE, harmonic mean."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import streamlit as st

from rsc_snn.evaluate import Estimate
from rsc_snn.figures.indices import prices_figure
from rsc_snn.tradeoff import OperatingPoint, Price, Qte, marginal_prices, qte
from rsc_snn.tradeoff.points import dials
from rsc_snn.ui import resources
from rsc_snn.ui.explorer.frame import Frame, draw_point, draw_provenance, nothing_here
from rsc_snn.ui.results import draw_figure

_DEFINITIONS = """
- **Price** of a step of the dial: clean accuracy lost and robust accuracy won from one noise level
  to the next, on the same images. A difference that many comparisons could bring about by chance
  is said to be within the noise.
- **QTE** = (R - R0) / max(A0 - A, ε): points of robust accuracy R gained for each point of clean
  accuracy A paid, against the lowest noise level (A0, R0) of the same network and T. This is *our*
  definition of the paper's Quantification Trade-off Estimation, whose formula could not be
  established.
- **Harmonic mean** 2 A R / (A + R) of both accuracies: high only where both are.

Exact definitions, tests and intervals: `docs/tradeoff.md`.
"""


def draw_prices(frame: Frame) -> None:
    """Figure, sentences and table."""
    if nothing_here(frame):
        return
    curves = [dial for dial in dials(frame.points) if len(dial) > 1]
    if not curves:
        st.info(
            "Prices are of steps from one noise level to the next; choose an RSC-SNN that was "
            "measured at several.",
            icon=":material/info:",
        )
        return
    prices = resources.memo().compute(
        ("explorer.prices", frame.key), tuple, lambda: marginal_prices(frame.points)
    )
    clicked = draw_figure(
        prices_figure(prices, show=frame.show(frame.points)),
        "explorer.prices",
        "Points: robustness gained over accuracy paid, for each step of the dial.",
    )
    st.caption(
        f"Each point is one step of the dial, {frame.answer_words}, under {frame.attack_words}. "
        "Above the dotted line a point of accuracy buys more than a point of robustness; pale "
        "crosses are steps of which a part is within the noise."
    )
    draw_point(frame.points, clicked)
    for dial in curves:
        title = f"{frame.labels[dial[0].model]}, T = {dial[0].time_steps}"
        with st.expander(title, expanded=dial is curves[0]):
            _draw_dial(frame, dial, prices)
    with st.expander("What the numbers mean", icon=":material/help:"):
        st.markdown(_DEFINITIONS)
    draw_provenance(frame)


def _draw_dial(frame: Frame, dial: Sequence[OperatingPoint], prices: Sequence[Price]) -> None:
    """The steps of one network at one T in words, and the table of its settings."""
    first = dial[0]
    own = [price for price in prices if price.after in dial]
    st.markdown("\n".join(f"- {price.sentence()}" for price in own))
    ratios = resources.memo().compute(
        ("explorer.qte", frame.key, first.key),
        tuple,
        lambda: tuple(qte(first, point) for point in dial[1:]),
    )
    with st.container(key=f"rsc-wide-prices-{first.model}-{first.time_steps}"):
        st.markdown(_table(dial, ratios))


def _table(dial: Sequence[OperatingPoint], ratios: Sequence[Qte]) -> str:
    lines = [
        "| σ | accuracy | robust accuracy | harmonic mean | QTE (interval) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for point, ratio in zip(dial, [None, *ratios], strict=True):
        lines.append(
            f"| {point.sigma:g} | {_percent(point.clean)} | {_percent(point.robust)} "
            f"| {100 * point.harmonic:.1f} | {_ratio(ratio)} |"
        )
    return "\n".join(lines)


def _percent(estimate: Estimate) -> str:
    value, lower, upper = (100 * x for x in (estimate.value, estimate.lower, estimate.upper))
    return f"{value:.1f} ({lower:.1f} to {upper:.1f})"


def _ratio(ratio: Qte | None) -> str:
    if ratio is None:
        return "start"
    if not ratio.defined or isnan(ratio.value):
        return "nothing paid"
    if not ratio.bounded:
        return f"{ratio.value:.2f} (not known: perhaps nothing was paid)"
    return f"{ratio.value:.2f} ({ratio.lower:.2f} to {ratio.upper:.2f})"
