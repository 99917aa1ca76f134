"""The points of a figure as rows and in words, and the file of them, say what was measured."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from rsc_snn.exports import points_csv
from rsc_snn.sweep.grid import cell_command
from rsc_snn.tradeoff import WORST, OperatingPoint, operating_points, vote_curve
from rsc_snn.tradeoff.rows import (
    accuracy_words,
    epsilon_words,
    harmonic_words,
    passes_words,
    point_rows,
    setting_words,
    sigma_words,
    steps_words,
    vote_rows,
)
from rsc_snn.zoo import Zoo
from tests.tradeoff_cells import draw_right, make_point, make_result

N = 200
PGD = (
    ("eot_draws", 1),
    ("random_start", True),
    ("step_size", 2.0),
    ("steps", 10),
)


def point(sigma: float | None, clean: float, robust: float, **changes: Any) -> OperatingPoint:
    places = (np.arange(N) + 0.5) / N
    return make_point(places < clean, places < robust, sigma=sigma, **changes)


POINTS = [
    point(0.5, 0.61, 0.39),
    point(0.0, 0.82, 0.12),
    point(0.2, 0.75, 0.285, time_steps=1),
    point(None, 0.9, 0.02, model="ann", coding="direct", time_steps=1),
]


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_sentences_have_the_ends_of_what_was_measured() -> None:
    rows = point_rows(POINTS)
    assert accuracy_words(rows) == "clean accuracy 61.0 to 90.0 %, robust accuracy 2.0 to 39.0 %"
    assert sigma_words(rows) == "sigma 0 to 0.5"
    assert sigma_words(rows, effective=True) == "sigma / sqrt(T) 0 to 0.25"
    assert steps_words(rows) == "T 1 to 4" and epsilon_words(rows) == "epsilon 8"
    assert setting_words(rows) == "4 settings of 2 networks"
    assert harmonic_words(rows[:2]) == "harmonic mean 20.9 to 47.6 %"


def test_one_value_is_no_range() -> None:
    rows = point_rows(POINTS[3:])
    assert accuracy_words(rows) == "clean accuracy 90.0 %, robust accuracy 2.0 %"
    assert sigma_words(rows) == "" and setting_words(rows) == "1 setting of 1 network"


def test_a_setting_at_several_epsilons_counts_once() -> None:
    clean, *attacked = (
        make_result(draw_right(np.full(N, rate), 2, 0), **changes)
        for rate, changes in (
            (0.8, {}),
            (0.6, {"attack": "pgd", "epsilon": 2.0}),
            (0.3, {"attack": "pgd", "epsilon": 8.0}),
        )
    )
    rows = point_rows(p for e in (2.0, 8.0) for p in operating_points([clean, *attacked], "pgd", e))
    assert len(rows) == 2 and setting_words(rows) == "1 setting of 1 network"
    assert epsilon_words(rows) == "epsilon 2 to 8"


def test_the_file_has_every_digit_of_every_row() -> None:
    table = read(points_csv(point_rows(POINTS)))
    assert [line["model"] for line in table] == ["tiny-rsc"] * 3 + ["ann"]
    assert [line["sigma"] for line in table] == ["0.5", "0.0", "0.2", ""]
    for line, found in zip(table, POINTS, strict=True):
        for name, estimate in (("clean", found.clean), ("robust", found.robust)):
            ends = [float(line[key]) for key in (name, f"{name}_lower", f"{name}_upper")]
            assert ends == [estimate.value, estimate.lower, estimate.upper]
        assert (line["images"], line["draws"], line["seed"]) == (str(N), "1", "0")
        assert line["command"] == cell_command(found.robust_result.cell)
        assert line["predictor"] == "single" and line["passes"] == ""


def test_the_file_names_the_folder_of_an_own_model(tiny_zoo: Path, tmp_path: Path) -> None:
    (tmp_path / "ships").mkdir()
    zoo = Zoo(tmp_path / "ships", [tiny_zoo])
    (line,) = read(points_csv(point_rows(POINTS[:1]), zoo))
    assert f"--zoo {tiny_zoo}" in line["command"]


def test_the_worst_case_has_all_attacks_and_their_commands() -> None:
    values = {"attack": "pgd", "epsilon": 8.0, "parameters": PGD}
    results = [
        make_result([1, 1, 1, 1]),
        make_result([1, 1, 0, 0], attack="fgsm", epsilon=8.0),
        make_result([1, 0, 0, 0], **values),
    ]
    (found,) = operating_points(results, WORST, 8.0, attacks=("fgsm", "pgd"))
    (line,) = read(points_csv(point_rows([found])))
    assert line["attacks"] == "FGSM, PGD-10" and line["robust"] == "0.25"
    assert line["strongest_alone"] == "0.25"
    first, second = line["command"].split(" && ")
    assert "--attack fgsm" in first and "--attack pgd --epsilon 8" in second


def test_rows_of_votes_are_those_of_the_curves() -> None:
    results = [
        make_result(draw_right(np.full(N, 0.7), 5, 0)),
        make_result(draw_right(np.full(N, 0.4), 5, 1), attack="pgd", epsilon=8.0),
    ]
    (found,) = operating_points(results, "pgd", 8.0)
    clean, robust = (vote_curve(result) for result in results)
    rows = vote_rows(found, clean, robust)
    assert passes_words(rows) == "votes of 1 to 5 passes"
    table = read(points_csv(rows))
    assert [line["passes"] for line in table] == ["1", "3", "5"]
    assert [float(line["robust"]) for line in table] == [p.estimate.value for p in robust]
    assert [float(line["clean_lower"]) for line in table] == [p.estimate.lower for p in clean]
    assert [row.scored for row in rows] == [5, 1, 1]
    assert "--draws 3 " in table[1]["command"] and table[1]["draws"] == "5"
    assert table[1]["command"].endswith("--predictor vote")


def test_a_point_of_a_vote_says_over_how_many_passes() -> None:
    results = [
        make_result(draw_right(np.full(N, 0.7), 5, 0)),
        make_result(draw_right(np.full(N, 0.4), 5, 1), attack="pgd", epsilon=8.0),
    ]
    for passes, said in ((3, "3"), (None, "5")):
        (found,) = operating_points(results, "pgd", 8.0, "vote", passes)
        (line,) = read(points_csv(point_rows([found])))
        assert line["passes"] == said and f"--draws {said} " in line["command"]
