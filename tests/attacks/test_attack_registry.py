from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rsc_snn.attacks import ATTACKS, attacks_markdown, get_attack, validate_parameters
from rsc_snn.attacks.parameters import ParameterSpec
from rsc_snn.attacks.registry import AttackSpec
from rsc_snn.attacks.run import run_attack
from rsc_snn.classifier import ModelConfig
from rsc_snn.errors import AttackError
from tests.attacks.tiny import SIZE, linear_model
from tests.conftest import lively_model

EXPECTED = {
    "fgsm",
    "rfgsm",
    "pgd",
    "eot_pgd",
    "apgd",
    "mi_fgsm",
    "pgd_l2",
    "cw",
    "deepfool",
    "square",
    "gaussian_noise",
    "uniform_noise",
}
CASES = [(spec, parameter) for spec in ATTACKS.values() for parameter in spec.parameters]
NUMBERS = [case for case in CASES if case[1].kind in ("int", "float")]


def each(cases: list[tuple[AttackSpec, ParameterSpec]]) -> pytest.MarkDecorator:
    ids = [f"{spec.name}-{parameter.name}" for spec, parameter in cases]
    return pytest.mark.parametrize(("spec", "parameter"), cases, ids=ids)


def test_the_promised_attacks_are_there() -> None:
    assert set(ATTACKS) >= EXPECTED
    assert all(name == spec.name for name, spec in ATTACKS.items())


@pytest.mark.parametrize("spec", ATTACKS.values(), ids=lambda spec: spec.name)
def test_entry_can_be_read_by_a_person(spec: AttackSpec) -> None:
    assert spec.norm in ("Linf", "L2", "none")
    assert spec.family in ("gradient", "black-box", "noise", "adaptive")
    assert len(spec.explanation.split()) >= 25
    assert "\n" not in spec.explanation
    assert spec.calls(validate_parameters(spec, {})) >= 0


@each(CASES)
def test_default_is_valid_and_explained(spec: AttackSpec, parameter: ParameterSpec) -> None:
    assert parameter.validate(parameter.default) == parameter.default
    assert parameter.help.endswith(".")


@each(NUMBERS)
def test_range_ends_are_allowed_and_nothing_beyond(
    spec: AttackSpec, parameter: ParameterSpec
) -> None:
    assert parameter.minimum is not None
    assert parameter.maximum is not None
    for inside in (parameter.minimum, parameter.maximum):
        assert validate_parameters(spec, {parameter.name: inside})[parameter.name] == inside
    beyond = (parameter.minimum - 1, parameter.maximum + 1, 10**400, -(10**400))
    for outside in (*beyond, float("nan"), float("inf")):
        with pytest.raises(AttackError, match=r"between|number"):
            validate_parameters(spec, {parameter.name: outside})


@pytest.mark.parametrize("value", ["8", None, [8], True, 2.5])
def test_wrong_types_are_refused(value: object) -> None:
    with pytest.raises(AttackError, match="whole number"):
        validate_parameters(ATTACKS["pgd"], {"steps": value})


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(AttackError, match="epsilon, eot_draws"):
        validate_parameters(ATTACKS["fgsm"], {"steps": 3})
    with pytest.raises(AttackError, match="Unknown attack 'pdg'.*pgd"):
        get_attack("pdg")


@pytest.mark.parametrize(
    ("name", "values", "reach"),
    [
        ("rfgsm", {"epsilon": 8}, None),
        ("rfgsm", {"epsilon": 16}, 8),
        ("rfgsm", {"epsilon": 16, "steps": 3}, None),
        ("mi_fgsm", {"epsilon": 32, "step_size": 2, "steps": 10}, 20),
        ("pgd", {"epsilon": 32, "step_size": 2, "steps": 10, "random_start": False}, 20),
        ("pgd", {"epsilon": 32, "step_size": 2, "steps": 10}, 20),
        ("pgd", {"epsilon": 10, "step_size": 2, "steps": 10}, None),
        ("fgsm", {"epsilon": 64}, None),
    ],
)
def test_how_far_the_steps_of_an_attack_reach(
    name: str, values: dict[str, Any], reach: float | None
) -> None:
    spec = ATTACKS[name]
    parameters = validate_parameters(spec, values)
    assert spec.reach(parameters) == reach
    model = lively_model(ModelConfig(widths=(8,), depths=(1,), coding="direct"))
    x = torch.full((4, 3, 32, 32), 0.5)
    found = run_attack(model, x, torch.arange(4), name, parameters, seed=0)
    largest = 255 * float((found.adversarial - x).abs().max())
    start = parameters.get("random_start", False)
    most = values["epsilon"] if reach is None or start else reach
    assert largest == pytest.approx(most, rel=0.02)


def test_few_steps_do_not_lead_across_the_ball() -> None:
    """From a random start at its far side: what `reach` warns of."""
    weight = torch.ones(2, 3 * SIZE * SIZE)
    weight[1] = 0
    model = linear_model(weight, torch.zeros(2))
    x, labels = torch.full((4, 3, SIZE, SIZE), 0.5), torch.zeros(4, dtype=torch.int64)
    values = {"epsilon": 32, "step_size": 2, "steps": 10}
    found = run_attack(model, x, labels, "pgd", values, seed=0)
    # The gradient leads every pixel down, by 20/255 from wherever it began.
    assert float((found.adversarial - x).max()) > 8 / 255
    assert float((found.adversarial - x).min()) == pytest.approx(-32 / 255, rel=0.01)


def test_hyphens_name_the_same_attack() -> None:
    assert get_attack("eot-pgd") is ATTACKS["eot_pgd"]


def test_pixel_parameters_become_fractions() -> None:
    spec = ATTACKS["pgd"]
    values = spec.fractions(validate_parameters(spec, {"epsilon": 51, "steps": 7}))
    assert values["epsilon"] == pytest.approx(0.2)
    assert values["steps"] == 7
    assert ATTACKS["pgd_l2"].fractions({"epsilon": 0.5, "step_size": 0.1} | _rest())[
        "epsilon"
    ] == pytest.approx(0.5)


def _rest() -> dict[str, object]:
    return {"steps": 1, "random_start": True, "eot_draws": 1}


@st.composite
def valid_values(draw: st.DrawFn) -> tuple[AttackSpec, dict[str, object]]:
    """An attack with valid values for some of its parameters."""
    spec = draw(st.sampled_from(list(ATTACKS.values())))
    values: dict[str, object] = {}
    for parameter in spec.parameters:
        if draw(st.booleans()):
            values[parameter.name] = draw(_values_of(parameter))
    return spec, values


def _values_of(parameter: ParameterSpec) -> st.SearchStrategy[object]:
    if parameter.kind == "choice":
        return st.sampled_from(parameter.choices)
    if parameter.kind == "bool":
        return st.booleans()
    assert parameter.minimum is not None
    assert parameter.maximum is not None
    if parameter.kind == "int":
        return st.integers(int(parameter.minimum), int(parameter.maximum))
    return st.floats(parameter.minimum, parameter.maximum)


@settings(deadline=None)
@given(valid_values())
def test_valid_values_are_kept_and_completed(
    choice: tuple[AttackSpec, dict[str, object]],
) -> None:
    spec, values = choice
    complete = validate_parameters(spec, values)
    assert list(complete) == [parameter.name for parameter in spec.parameters]
    for parameter in spec.parameters:
        assert complete[parameter.name] == values.get(parameter.name, parameter.default)
    assert validate_parameters(spec, complete) == complete


@settings(deadline=None)
@given(valid_values())
def test_text_round_trip(choice: tuple[AttackSpec, dict[str, object]]) -> None:
    spec, values = choice
    specs = {parameter.name: parameter for parameter in spec.parameters}
    for name, value in validate_parameters(spec, values).items():
        assert specs[name].parse(str(value)) == value


@settings(deadline=None)
@given(st.text(max_size=12))
def test_any_text_gives_a_value_or_a_sentence(text: str) -> None:
    for parameter in ATTACKS["apgd"].parameters:
        try:
            value = parameter.parse(text)
        except AttackError as error:
            assert str(error).startswith(parameter.label)
        else:
            assert parameter.validate(value) == value


def test_table_has_every_attack_and_parameter() -> None:
    rows = attacks_markdown().strip().split("\n")
    assert len(rows) == len(ATTACKS) + 2
    assert {row.count("|") for row in rows} == {6}
    for spec, row in zip(ATTACKS.values(), rows[2:], strict=True):
        assert f"`{spec.name}`" in row
        assert all(f"`{parameter.name}`" in row for parameter in spec.parameters)


def test_registry_is_quick_to_import() -> None:
    code = "import sys, rsc_snn.attacks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
