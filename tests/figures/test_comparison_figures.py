"""Transfer and energy: the figures hold the numbers of what they show."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rsc_snn.comparison import Transfer
from rsc_snn.energy import EnergyEstimate, LayerEnergy
from rsc_snn.figures import energy_figure, transfer_figure
from rsc_snn.figures.comparison import _MIDDLE, _ON_CELL
from rsc_snn.figures.style import ADVERSARIAL, CLEAN, CODING_COLOURS
from tests.figures.test_figures import contrast

TRANSFER = Transfer(
    names=("ann", "rsc"),
    attack="pgd",
    clean=np.array([1.0, 0.25]),
    correct=np.array([[0.0, 0.25], [0.75, 0.0]]),
    verdicts=(("fooled", "wrong"), ("held", "wrong")),
    adversarial=torch.zeros(2, 3, 4, 4),
    draws=4,
)
ESTIMATE = EnergyEstimate(
    per_layer=(
        LayerEnergy("conv 1", macs=4_000_000, acs=0, spikes=0, ann_macs=1_000_000),
        LayerEnergy("conv 2", macs=0, acs=2_000_000, spikes=10_000, ann_macs=3_000_000),
    ),
    assumptions=(),
)


def test_the_matrix_has_the_clean_row_first_and_says_each_verdict() -> None:
    figure = transfer_figure(TRANSFER, {"ann": "ANN"})
    (cells,) = figure.data
    assert np.asarray(cells.z).tolist() == [[1, 0.25], [0, 0.25], [0.75, 0]]
    assert [list(row) for row in cells.text] == [
        ["100%<br>right", "25%<br>not right"],
        ["0%<br>fooled", "25%<br>not right anyway"],
        ["75%<br>held", "0%<br>not right anyway"],
    ]
    assert list(figure.layout.xaxis.ticktext) == ["ANN", "rsc"]
    assert list(figure.layout.yaxis.ticktext) == ["not attacked", "made for ANN", "made for rsc"]
    assert "of 4 draws" in cells.hovertemplate


def test_a_long_name_is_in_lines_that_lose_nothing() -> None:
    long = "RSC-SNN, sigma 0.2, adversarially trained"
    figure = transfer_figure(TRANSFER, {"ann": "ANN", "rsc": long})
    columns, rows = figure.layout.xaxis.ticktext, figure.layout.yaxis.ticktext
    assert long in [name.replace("<br>", " ") for name in columns]
    assert f"made for {long}" in [name.replace("<br>", " ") for name in rows]
    assert all(len(line) <= 22 for name in (*columns, *rows) for line in name.split("<br>"))


def test_two_models_of_one_label_keep_their_cells() -> None:
    figure = transfer_figure(TRANSFER, {"ann": "same", "rsc": "same"})
    (cells,) = figure.data
    assert list(cells.x) == [0, 1] and list(cells.y) == [0, 1, 2]


@pytest.mark.parametrize("colour", [ADVERSARIAL, _MIDDLE, CLEAN])
def test_words_can_be_read_on_every_cell(colour: str) -> None:
    assert contrast(_ON_CELL, colour) >= 4.5


def test_bars_are_microjoules_and_the_parts_stand_on_each_other() -> None:
    figure = energy_figure(ESTIMATE, "poisson")
    accumulates, multiplied, ann = figure.data
    np.testing.assert_allclose(accumulates.x, [0, 1.8])
    np.testing.assert_allclose(multiplied.x, [18.4, 0])
    np.testing.assert_allclose(multiplied.base, accumulates.x)
    np.testing.assert_allclose(ann.x, [4.6, 13.8])
    assert accumulates.offsetgroup == multiplied.offsetgroup != ann.offsetgroup
    assert list(accumulates.customdata) == [0, 2_000_000]
    assert accumulates.marker.color == CODING_COLOURS["poisson"]
    assert ann.marker.color == CODING_COLOURS["ann"]
    patterns = {trace.marker.pattern.shape for trace in figure.data}
    assert len(patterns) == 3, "told apart without colour too"
    network = np.asarray(accumulates.x) + np.asarray(multiplied.x)
    assert 1e6 * network.sum() == pytest.approx(ESTIMATE.energy_pj)
