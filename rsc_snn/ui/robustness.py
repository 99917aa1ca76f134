"""The Models page: how well the models of a data set withstand the suite of attacks."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from rsc_snn.errors import DataError
from rsc_snn.evaluate import accuracy_estimate
from rsc_snn.figures.robustness import RobustLine, RobustPoint, robustness_figure
from rsc_snn.robustness import report
from rsc_snn.robustness.compare import WITHOUT_SPIKES, Results
from rsc_snn.robustness.store import FILE, Row, current, read_results, results_folder
from rsc_snn.robustness.suite import CLEAN, WORST
from rsc_snn.ui.cards import card_link
from rsc_snn.ui.results import draw_figure
from rsc_snn.ui.words import explained
from rsc_snn.zoo import ModelCard

_COMMAND = "python -m rsc_snn zoo evaluate"


def draw_robustness(dataset: str, cards: list[ModelCard]) -> None:
    """Figures, claim and table of one data set; a sentence where nothing was measured."""
    st.markdown("### Under attack")
    try:
        results = _measured(dataset, cards)
    except DataError as error:
        st.error(str(error), icon=":material/broken_image:")
        return
    if not results.rows:
        st.info(
            f"The robustness of these models was not measured yet; `{_COMMAND}` does it.",
            icon=":material/science:",
        )
        return
    _draw_figures(dataset, results, cards)
    _draw_claims(dataset, results, cards)
    with st.expander("All attacks", key=f"robustness.table.{dataset}"):
        _draw_wide(_named(report.table_markdown(results), cards), f"attacks-{dataset}")
        st.caption(
            "Accuracy in percent with its interval. Uniform noise is the control: every gradient "
            "attack must do more harm (Square, of few queries with one draw each, is too weak "
            f"against noise for that). {report.MINUTES} {report.provenance(results)}"
        )
        published = report.published_markdown(results, {card.name: card for card in cards})
        if published:
            st.markdown("**Published numbers beside ours, at 8/255**")
            _draw_wide(_named(published, cards), f"published-{dataset}")
            st.caption(
                "The published ones are secondary, as later papers quote them. Networks, time "
                "steps, epochs, test images and protocols differ, so that they cannot be ranked "
                "with ours; only models attacked side by side can."
            )


def _draw_wide(table: str, key: str) -> None:
    """A table that scrolls by itself where the screen is narrower, so that the page does not."""
    with st.container(key=f"rsc-wide-{key}"):
        st.markdown(table)


def _named(table: str, cards: list[ModelCard]) -> str:
    """The table with the models called as in the figures, each name a link to its card."""
    for card in cards:
        table = table.replace(f"`{card.name}`", card_link(card))
    return table


def _measured(dataset: str, cards: list[ModelCard]) -> Results:
    """The rows of these very models: others may have taken their names since."""
    path = results_folder() / FILE
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    known = {card.name: card.identity for card in cards}
    return Results(tuple(current(_read(str(path.parent), stamp), known))).of(dataset)


@st.cache_resource(show_spinner=False, max_entries=2)
def _read(folder: str, stamp: int) -> tuple[Row, ...]:
    return tuple(read_results(Path(folder)))


def _draw_figures(dataset: str, results: Results, cards: list[ModelCard]) -> None:
    """Plain and adversarially trained models apart, for one figure would be too crowded."""
    groups = {
        "Trained without attacks": [card for card in cards if not _attacked(card)],
        "Adversarially trained": [card for card in cards if _attacked(card)],
    }
    shown = {
        title: lines
        for title, group in groups.items()
        if (lines := [line for card in group if (line := _line(results, card)) is not None])
    }
    if not shown:
        return
    for column, (title, lines) in zip(st.columns(len(shown)), shown.items(), strict=True):
        with column:
            st.markdown(f"**{title}**")
            draw_figure(
                robustness_figure(lines),
                f"robustness.{dataset}.{len(lines)}.{title.split()[0].lower()}",
                f"Lines: worst case over all attacks, by epsilon, of the models of {dataset} "
                f"({title.lower()}).",
            )
    st.caption(
        explained(
            "[Robust accuracy](#robust-accuracy) over the attacks' [epsilon](#epsilon). Worst "
            "case: an image counts as right only as far as it withstands every attack of the suite "
            "at that size; with noise the worst case errs low, by the luck of the draws. All "
            "points of this figure, also those of clean images, are of the images of the worst "
            "case; lines stand a little apart sideways, so that intervals can be told apart. "
        )
        + report.provenance(results)
    )


def _line(results: Results, card: ModelCard) -> RobustLine | None:
    """Clean accuracy and worst cases of one model, all over the same images."""
    clean = results.get(card.name, CLEAN)
    worst = [results.get(card.name, WORST, epsilon) for epsilon in results.epsilons()]
    rows = [row for row in worst if row is not None]
    if clean is None or not rows:
        return None
    scores = clean.subset_scores()
    start = accuracy_estimate(scores, clean.draws)
    points = [RobustPoint(0.0, start.value, start.lower, start.upper, start.n)]
    points += [RobustPoint(r.epsilon_255, r.value, r.lower, r.upper, r.n) for r in rows]
    name = card.label.removesuffix(", adversarially trained")  # the figure's title says it
    return RobustLine(name, card.config.kind, tuple(points))


def _attacked(card: ModelCard) -> bool:
    return card.adversarial not in ("", "none")


@st.cache_resource(show_spinner=False, max_entries=8)
def _outcomes(_results: Results, marks: tuple[str, ...]) -> str:
    """The table of outcomes; `marks` says which measurements they rest on."""
    return report.outcomes_markdown(_results)


def _draw_claims(dataset: str, results: Results, cards: list[ModelCard]) -> None:
    marks = tuple(f"{row.place}{row.sha256}{row.data}{row.n}{row.value}" for row in results.rows)
    table = _outcomes(results, marks)
    if table:
        st.markdown("**Which network is more robust than its twin?**")
        _draw_wide(_named(table, cards), f"claims-{dataset}")
        st.caption(
            "The paper's claim is that random coding makes a network more robust than its twin; "
            + explained(_controls(results))
            + " Points: the difference over the same images, with its "
            "interval. Where there are two values: the worst case of a network with noise lies "
            "between the lowest score of each image, which errs low, and the attack that does most "
            "harm by itself, which errs high as a rule; a verdict must hold at both ends. One "
            "training run each: the intervals are over images, not over training. "
            "Under this suite: gradient attacks of up to 20 steps and 10 draws a gradient. What "
            "more of both adds, and what a surrogate gradient that adapts to each neuron (SA-PGD) "
            "finds on a few images, is in docs/results.md. The spiking networks learned from the "
            "ANN."
        )


def _controls(results: Results) -> str:
    """What the comparisons without a claim are for."""
    spikes = "the network with direct coding, which has the spikes and the teacher without the"
    if any(model.endswith(WITHOUT_SPIKES) for model in results.models()):
        return (
            f"{spikes} noise, and the [RSC-ANN](#rsc-ann), which has the noise and the teacher "
            "without the spikes, are the controls."
        )
    return (
        f"{spikes} noise, is the control. There is no ANN with the same noise, so what the spikes "
        "add to it is not shown."
    )
