"""What a page says of an outcome to programs: the same in every process, and different by cause."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rsc_snn.marker import marker_html, read_markers, request_digest, result_facts
from rsc_snn.outcome import AttackRequest, ImageChoice, Outcome, attack_image
from rsc_snn.zoo import Zoo

ROOT = Path(__file__).parents[1]
REQUEST = AttackRequest(
    model="tiny-rsc",
    sha256="0" * 64,
    image=ImageChoice("cifar10/cat-3", "cat", 3, torch.full((1, 3, 32, 32), 0.5)),
    attack="pgd",
    parameters=(("epsilon", 8.0), ("steps", 2)),
    time_steps=2,
    sigma=0.25,
    draws=3,
    seed=0,
)


def outcome(folder: Path, request: AttackRequest = REQUEST) -> Outcome:
    return attack_image(Zoo(folder).load(request.model), request)


def test_equal_requests_have_one_digest_in_every_process() -> None:
    again = replace(REQUEST, parameters=(("steps", 2), ("epsilon", 8)))
    assert request_digest(again) == request_digest(REQUEST)
    script = (
        "from tests.test_marker import REQUEST\n"
        "from rsc_snn.marker import request_digest\n"
        "print(request_digest(REQUEST))\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == request_digest(REQUEST)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "tiny-ann"},
        {"sha256": "1" * 64},
        {"image": replace(REQUEST.image, digest="cifar10/cat-4")},
        {"image": replace(REQUEST.image, label=None)},
        {"attack": "fgsm"},
        {"parameters": (("epsilon", 8.5), ("steps", 2))},
        {"time_steps": None},
        {"sigma": 0.3},
        {"draws": 4},
        {"seed": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_choice_changes_the_digest(change: dict[str, Any]) -> None:
    assert request_digest(replace(REQUEST, **change)) != request_digest(REQUEST)


def test_facts_say_what_the_outcome_says_and_survive_the_page(tiny_zoo: Path) -> None:
    result = outcome(tiny_zoo)
    facts = result_facts("digest", result)
    assert facts["verdict"] == result.verdict
    assert np.bincount(facts["clean"], minlength=10).tolist() == result.clean_counts.tolist()
    assert facts["adversarial"] == result.adversarial_votes.tolist()
    page = f"<p>a</p>{marker_html(facts)}<div data-rsc-other='{{}}'></div>{marker_html({'n': 1})}"
    assert read_markers(page) == [facts, {"n": 1}]
    awkward = {"request": """'"<>&amp;"""}
    assert read_markers(marker_html(awkward)) == [awkward]
    assert read_markers("<p>nothing</p>") == []


def test_facts_are_equal_to_the_bit_and_differ_by_a_bit(tiny_zoo: Path) -> None:
    first, again = outcome(tiny_zoo), outcome(tiny_zoo)
    assert result_facts("a", first) == result_facts("a", again)
    pixels = first.adversarial.copy()
    pixels[0, 0, 0] = np.nextafter(pixels[0, 0, 0], np.float32(2))
    changed = result_facts("a", replace(first, adversarial=pixels))
    assert changed["pixels"] != result_facts("a", first)["pixels"]
    other = outcome(tiny_zoo, replace(REQUEST, seed=1))
    assert result_facts("a", other)["logits"] != result_facts("a", first)["logits"]
