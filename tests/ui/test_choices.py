"""What networks are called where one is chosen among several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rsc_snn.ui.choices import network_labels
from rsc_snn.zoo import ModelCard, Zoo


@pytest.fixture(scope="module")
def card(tiny_zoo: Path) -> ModelCard:
    return Zoo(tiny_zoo).card("tiny-ann")


def test_networks_of_one_data_set_have_their_labels(card: ModelCard) -> None:
    other = replace(card, name="other", label="SNN")
    assert network_labels([card, other]) == {"tiny-ann": card.label, "other": "SNN"}


def test_networks_of_several_data_sets_have_theirs_before_the_label(card: ModelCard) -> None:
    photographs, unknown = (
        replace(card, name=name, dataset=name) for name in ("imagenette", "birds")
    )
    assert network_labels([card, photographs, unknown]) == {
        "tiny-ann": f"CIFAR-10: {card.label}",
        "imagenette": f"Imagenette: {card.label}",
        "birds": f"birds: {card.label}",
    }


def test_networks_of_one_label_are_told_apart_by_their_names(card: ModelCard) -> None:
    assert network_labels([card, replace(card, name="mine")]) == {
        "tiny-ann": f"{card.label} (tiny-ann)",
        "mine": f"{card.label} (mine)",
    }
