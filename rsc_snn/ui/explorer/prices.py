"""The view of prices: what each turn of the dial costs and buys, QTE, harmonic mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isnan

import streamlit as st

from rsc_snn.evaluate import Estimate
from rsc_snn.figures.indices import prices_figure
from rsc_snn.tradeoff import OperatingPoint, Qte, harmonic_means, in_tenths, prices_of_dial
from rsc_snn.tradeoff.points import dials
from rsc_snn.ui import resources
from rsc_snn.ui.choices import choose_button
from rsc_snn.ui.explorer.frame import Frame, draw_point, draw_provenance, ends_words, nothing_here
from rsc_snn.ui.explorer.handover import chosen_point
from rsc_snn.ui.link import PageLink
from rsc_snn.ui.query import choice_field
from rsc_snn.ui.results import draw_figure
from rsc_snn.ui.words import explained

# Between which noise levels steps are. Fewer tenths than this are no dial of their own.
_EVERY = "all"
_LEVELS = {"tenths": "0.1", _EVERY: "every level measured"}
_FEW_TENTHS = 3
_DEFINITIONS = """
- **Price** of a step of the dial: clean accuracy lost and robust accuracy won from one noise level
  to the next, on the same images. A difference that many comparisons could bring about by chance
  is said to be within the noise. Under the worst of several attacks a difference of networks with
  noise lies between two ends, and is called one only if it holds at both.
- **[QTE](#qte)** = (R - R0) / max(A0 - A, δ): points of [robust accuracy](#robust-accuracy) R
  gained for each point of [clean accuracy](#clean-accuracy) A paid, against the lowest noise level
  (A0, R0) of the same network and T; δ is the smallest loss that can be seen, one answer of one
  image. This is *our* definition of the paper's Quantification Trade-off Estimation, whose formula
  could not be established. There is no QTE where the accuracy paid is within the noise of all
  comparisons of this view, and no interval of it where fewer than 10 images differ in either
  accuracy; each interval by itself is of 95 %.
- **Harmonic mean** 2 A R / (A + R) of both accuracies: high only where both are. Its interval is a
  [bootstrap](#bootstrap) over images; where fewer than 10 are right, or wrong, that of both ends.

Exact definitions, tests and intervals: `docs/tradeoff.md`.
"""


def read_prices(link: PageLink, frame: Frame) -> Callable[[Frame], None]:
    """The dial whose prices are shown, if there are several, and between which levels."""
    slugs = {_slug(dial): dial for dial in _dials(frame)}
    slug = _choose_dial(link, frame, slugs)
    if slug is None:
        return partial(_draw_prices, slug, _EVERY)
    dial = slugs[slug]
    if not _FEW_TENTHS <= len(in_tenths(dial)) < len(dial):
        return partial(_draw_prices, slug, _EVERY)
    levels = choose_button(link, "levels", "Steps", _LEVELS, terse=True)
    return partial(_draw_prices, slug, levels)


def _choose_dial(
    link: PageLink, frame: Frame, slugs: Mapping[str, list[OperatingPoint]]
) -> str | None:
    if len(slugs) < 2:
        return next(iter(slugs), None)
    here = chosen_point([point for dial in slugs.values() for point in dial])
    default = next(slug for slug, dial in slugs.items() if here in dial)
    field = choice_field("dial", "dial", list(slugs), default)
    chosen = st.selectbox(
        "Dial",
        list(slugs),
        format_func=lambda slug: _name(frame, slugs[slug]),
        key=link.seed(field),
    )
    return str(link.keep(field, chosen))


def _dials(frame: Frame) -> list[list[OperatingPoint]]:
    """The points of each network at one T, where there are steps between them."""
    return [dial for dial in dials(frame.points) if len(dial) > 1]


def _slug(dial: Sequence[OperatingPoint]) -> str:
    return f"{dial[0].model}/{dial[0].time_steps}"


def _name(frame: Frame, dial: Sequence[OperatingPoint]) -> str:
    return f"{frame.labels[dial[0].model]}, T = {dial[0].time_steps}"


def _draw_prices(slug: str | None, levels: str, frame: Frame) -> None:
    """Figure, sentences and table."""
    if nothing_here(frame):
        return
    found = [dial for dial in _dials(frame) if slug in (None, _slug(dial))]
    if not found:
        st.info(
            "Prices are of steps from one noise level to the next; choose an RSC-SNN that was "
            "measured at several.",
            icon=":material/info:",
        )
        return
    dial = found[0] if levels == _EVERY else in_tenths(found[0])
    prices, ratios, harmonics = resources.memo().compute(
        ("explorer.prices", frame.key, _slug(dial), levels),
        tuple,
        lambda: (*prices_of_dial(dial), harmonic_means(dial)),
    )
    clicked = draw_figure(
        prices_figure(prices, show=frame.show(dial)),
        "explorer.prices",
        "Points: robustness gained over accuracy paid, for each step of the dial.",
    )
    st.caption(
        f"Each point is one step of the dial of {_name(frame, dial)}, {frame.answer_words}, under "
        f"{frame.attack_words}. Right of zero, above the dotted line, each point of accuracy paid "
        "buys more than a point of robustness; left of zero accuracy was won. Crosses are "
        f"steps whose change in accuracy or in robustness is within the noise.{ends_words(dial)}"
    )
    draw_point(dial, (), clicked, steps=True)
    st.markdown("\n".join(f"- {price.sentence()}" for price in prices))
    with st.container(key="rsc-wide-prices"):
        st.markdown(_table(frame, dial, ratios, harmonics))
    with st.expander("What the numbers mean", icon=":material/help:"):
        st.markdown(explained(_DEFINITIONS))
    draw_provenance(frame, dial)


def _table(
    frame: Frame,
    dial: Sequence[OperatingPoint],
    ratios: Sequence[Qte],
    harmonics: Mapping[str, Estimate],
) -> str:
    lines = [
        "| σ | clean accuracy | robust accuracy | harmonic mean | QTE (interval, not corrected) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for point, ratio in zip(dial, [None, *ratios], strict=True):
        lines.append(
            f"| {point.sigma:g}{' (added here)' * frame.added(point)} | {_percent(point.clean)} "
            f"| {_percent(point.robust)} | {_percent(harmonics[point.key])} | {_ratio(ratio)} |"
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
    if ratio.few:
        return f"{ratio.value:.2f} (no interval: too few images differ)"
    if not ratio.bounded:
        return f"{ratio.value:.2f} (not known: perhaps nothing was paid)"
    return f"{ratio.value:.2f} ({ratio.lower:.2f} to {ratio.upper:.2f})"
