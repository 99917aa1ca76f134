"""Each scene shows what its sentence says, with the models that ship."""

from __future__ import annotations

from typing import Any

import pytest

from rsc_snn.attacks import get_attack
from rsc_snn.scene import ModelResult, Scene, replay
from rsc_snn.ui.presets import PRESETS
from rsc_snn.zoo import Zoo

ANN, DIRECT, POISSON = "cifar10-ann", "cifar10-snn-direct", "cifar10-snn-poisson"
RSC_ANN = "cifar10-ann-rsc-020"
RSC, RSC_AT, ANN_AT = "cifar10-snn-rsc-020", "cifar10-snn-rsc-020-at", "cifar10-ann-at"

pytestmark = pytest.mark.usefixtures("shipped")


def results(key: str, **changes: str) -> dict[str, ModelResult]:
    """What the scene's link shows, by network; `changes` to the link are the visitor's."""
    query = PRESETS[key].query(Zoo().names())
    if query is None:
        pytest.skip("this copy ships without a model of the scene")
    values: dict[str, str] = {**query, **changes}
    spec = get_attack(values["attack"])
    given = [
        (item.name, item.parse(values[item.name]))
        for item in spec.parameters
        if item.name in values
    ]
    numbers: dict[str, Any] = {
        name: kind(values[name])
        for name, kind in (("sigma", float), ("time_steps", int), ("draws", int), ("seed", int))
        if name in values
    }
    names = [values["model"], *filter(None, values.get("compare", "").split(","))]
    scene = Scene(
        models=tuple(names),
        attack=spec.name,
        image=f"cifar10/{values['image']}",
        parameters=tuple(given),
        **numbers,
    )
    return {result.model: result for result in replay(scene, Zoo())}


@pytest.mark.parametrize(
    ("key", "changes", "verdicts"),
    [
        ("poisson-rsc", {}, {RSC: "held", POISSON: "held", ANN: "fooled"}),
        ("small-sigma", {}, {RSC: "fooled"}),
        ("small-sigma", {"sigma": "0.2"}, {RSC: "held"}),
        ("noise-is-no-attack", {}, {RSC: "held", ANN: "held"}),
        ("noise-is-no-attack", {"attack": "pgd"}, {RSC: "fooled", ANN: "fooled"}),
        ("direct", {}, {DIRECT: "fooled", ANN: "fooled", RSC: "held"}),
        ("noise-alone", {}, {RSC_ANN: "held", ANN: "fooled", RSC: "held"}),
        ("trained-to-hold", {}, {RSC_AT: "held", ANN_AT: "held", RSC: "fooled"}),
    ],
)
def test_verdicts(key: str, changes: dict[str, str], verdicts: dict[str, str]) -> None:
    found = results(key, **changes)
    assert {name: result.verdict for name, result in found.items()} == verdicts


def test_averaging_over_noise_makes_the_attack_stronger() -> None:
    before, after = (results("no-eot", eot_draws=draws)[RSC] for draws in ("1", "8"))
    right = before.label
    assert before.clean_counts == after.clean_counts
    assert after.adversarial_counts[right] < before.adversarial_counts[right]
    assert after.verdict == "fooled"


def test_the_answer_gets_surer_with_more_steps() -> None:
    few, many = (results("time", time_steps=steps)[RSC] for steps in ("1", "8"))
    assert many.clean_probabilities[many.label] > few.clean_probabilities[few.label]
