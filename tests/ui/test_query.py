"""Reading and writing the values of a link."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsc_snn.attacks import ATTACKS
from rsc_snn.ui.query import (
    choice_field,
    clean_text,
    format_value,
    number_field,
    parameter_field,
    read_field,
)

SIGMA = number_field("sigma", "Sigma", 0.0, 1.0, 0.2)
STEPS = number_field("time_steps", "Steps", 1, 32, 4)
MODEL = choice_field("model", "model", ["a", "b"], "b")
RESERVED = {"model", "image", "attack", "sigma", "time_steps", "draws", "seed"}


@given(st.text())
def test_any_text_gives_a_usable_value(text: str) -> None:
    for field in (SIGMA, STEPS, MODEL):
        value, problem = read_field(field, text)
        assert field.usable(value)
        assert problem is None or (value == field.default and "\n" not in problem)


@given(st.floats(0, 1))
def test_numbers_survive_the_link(value: float) -> None:
    text = format_value(value)
    read, problem = read_field(SIGMA, text)
    assert problem is None
    assert math.isclose(read, value, rel_tol=1e-5, abs_tol=1e-9)


@pytest.mark.parametrize("attack", list(ATTACKS))
def test_parameters_of_attacks_survive_the_link(attack: str) -> None:
    for parameter in ATTACKS[attack].parameters:
        field = parameter_field(parameter, attack)
        assert read_field(field, format_value(parameter.default)) == (parameter.default, None)


def test_parameter_names_do_not_clash_with_the_pages_own() -> None:
    names = {parameter.name for spec in ATTACKS.values() for parameter in spec.parameters}
    assert not names & RESERVED


@pytest.mark.parametrize("text", ["1.5", "-1", "", "inf", "two", "1e400", "0x1"])
def test_bad_numbers_are_explained(text: str) -> None:
    value, problem = read_field(SIGMA, text)
    assert value == 0.2
    assert problem is not None and "Sigma must be" in problem and problem.endswith("is used.")


def test_numbers_in_complaints_are_short_and_whole_ones_in_full() -> None:
    seed = number_field("seed", "The seed", 0, 2**31 - 1, 0)
    assert "between 0 and 2147483647, not -1;" in (read_field(seed, "-1")[1] or "")
    assert "not 1e+99;" in (read_field(STEPS, "1e99")[1] or "")
    assert "between 0 and 1, not 2.5;" in (read_field(SIGMA, "2.5")[1] or "")


def test_whole_numbers_stay_whole() -> None:
    assert read_field(STEPS, "7") == (7, None)
    assert isinstance(read_field(STEPS, "7")[0], int)
    assert read_field(STEPS, "7.5")[0] == 4


@given(st.text(max_size=200))
def test_cleaned_text_has_no_markup(text: str) -> None:
    cleaned = clean_text(text)
    assert len(cleaned) <= 60
    assert not set(cleaned) & set("<>[]()`*&$\\\n")


def test_choices() -> None:
    assert read_field(MODEL, "a") == ("a", None)
    value, problem = read_field(MODEL, "c")
    assert value == "b" and problem is not None
    assert not MODEL.usable(None)
