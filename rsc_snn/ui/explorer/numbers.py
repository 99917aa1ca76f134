"""The numbers of a figure as a table, as a file, and row by row in the Playground."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from rsc_snn import exports
from rsc_snn.evaluate import Estimate
from rsc_snn.sweep.grid import attack_label
from rsc_snn.tradeoff import WORST
from rsc_snn.tradeoff.rows import PointRow
from rsc_snn.ui import resources
from rsc_snn.ui.explorer.frame import Frame
from rsc_snn.ui.explorer.handover import choose_row, playground_address
from rsc_snn.ui.explorer.measured import Sample, variant_of

# One state for all views: who reads one figure's numbers reads those of the next.
_KEY = "explorer.numbers"
_TABLE = "explorer.numbers.table"


def draw_numbers(frame: Frame, rows: Sequence[PointRow], name: str, *, votes: bool = False) -> None:
    """An expander with a row for each point of a figure; the table is made once it is opened.

    name: of the view, for the file. votes: rows are of one setting, over votes, and lead nowhere
    else than the figure's own link does; all others can be chosen, as points of the figure can.
    """
    details = st.expander("The numbers", icon=":material/table:", key=_KEY, on_change="rerun")
    if not details.open:
        return
    with details:
        choice: dict[str, Any] = {}
        if not votes:
            keys = [row.point.key for row in rows]
            choice = {
                "on_select": partial(choose_row, _TABLE, keys),
                "selection_mode": "single-row",
            }
        st.dataframe(
            _columns(frame, rows, votes),
            hide_index=True,
            placeholder="–",
            key=f"{_TABLE}.votes" if votes else _TABLE,
            alt=f"The numbers of the figure, {len(rows)} rows",
            column_config=_config(),
            **choice,
        )
        st.caption(_words(frame, rows, votes))
        st.download_button(
            "Table, CSV",
            partial(exports.points_csv, rows, resources.zoo()),
            f"rsc-snn-{name}.csv",
            "text/csv",
            key=f"{_KEY}.file",
            on_click="ignore",
            icon=":material/download:",
        )


def _words(frame: Frame, rows: Sequence[PointRow], votes: bool) -> str:
    sample = frame.selection.sample
    others = any(Sample.of(row.cell) != sample for row in rows)
    choose = (
        ""
        if votes
        else "Choose a row (its box, or Shift and Space) to open it in the Playground, as with a "
        "point of the figure; “Open” opens it in a new tab. "
    )
    return (
        f"{choose}The CSV has the same rows with all digits and, for each, a command that measures "
        "it alone, with other noise and at one epsilon; the sweep below measures all of them again"
        f"{f' (of the {frame.chosen_images})' if others else ''}."
    )


def _columns(frame: Frame, rows: Sequence[PointRow], votes: bool) -> dict[str, list[Any]]:
    """The table, column by column; what is the same in all rows comes last, for narrow screens."""
    labels = frame.labels
    unit = variant_of(rows[0].cell).unit
    over: dict[str, list[Any]] = {
        "votes over": [row.passes for row in rows],
        "votes an image": [row.scored for row in rows],
    }
    columns: dict[str, list[Any]] = {
        "model": [labels[row.point.model] for row in rows],
        "sigma": [row.point.sigma for row in rows],
        "T": [row.point.time_steps for row in rows],
        f"epsilon{unit and ', 255ths'}": [row.point.epsilon for row in rows],
        "clean, %": [_percent(row.clean.value) for row in rows],
        "clean, interval": [_interval(row.clean) for row in rows],
        "robust, %": [_percent(row.robust.value) for row in rows],
        "robust, interval": [_interval(row.robust) for row in rows],
        "Playground": [playground_address(row.cell) for row in rows],
        "attacks": [", ".join(map(attack_label, row.attacks)) for row in rows],
        "images": [frame.images(row.point) for row in rows],
        "draws": [row.cell.draws for row in rows],
        "result": ["added here" if frame.added(row.point) else "shipped" for row in rows],
    }
    if votes:
        columns = over | columns
    elif frame.selection.attack == WORST:
        columns["strongest alone, %"] = [_percent(row.point.alone) for row in rows]
    return dict(sorted(columns.items(), key=lambda column: len(set(column[1])) == 1))


def _percent(share: float) -> float:
    """As a screen reader should say it."""
    return round(100 * share, 1)


def _interval(estimate: Estimate) -> str:
    return f"{100 * estimate.lower:.1f} to {100 * estimate.upper:.1f}"


def _config() -> dict[str, Any]:
    percent = st.column_config.NumberColumn(format="%.1f")
    return {
        "clean, %": percent,
        "robust, %": percent,
        "strongest alone, %": percent,
        "Playground": st.column_config.LinkColumn(display_text="Open"),
    }
