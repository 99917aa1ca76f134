"""What the Playground computes, against direct calls of the model."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rsc_snn.activity import record_activity
from rsc_snn.attacks import ATTACKS, run_attack, validate_parameters
from rsc_snn.classifier import ModelConfig
from rsc_snn.errors import Cancelled
from rsc_snn.outcome import (
    AttackRequest,
    ImageChoice,
    Outcome,
    attack_image,
    is_heavy,
    judge,
    majority,
    mean_probabilities,
    record,
    vote_counts,
)
from rsc_snn.randomness import make_generator
from rsc_snn.zoo import Zoo

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def zoo(tiny_zoo: object) -> Zoo:
    return Zoo(tiny_zoo)  # type: ignore[arg-type]


def request(**changes: object) -> AttackRequest:
    pixels = torch.rand(1, 3, 32, 32, generator=make_generator(1))
    base = AttackRequest(
        model="tiny-rsc",
        sha256="",
        image=ImageChoice("digest", "picture", 3, pixels),
        attack="pgd",
        parameters=tuple(validate_parameters(ATTACKS["pgd"], {"steps": 2}).items()),
        time_steps=3,
        sigma=0.3,
        draws=5,
        seed=11,
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def test_the_outcome_is_that_of_the_attack(zoo: Zoo) -> None:
    model, wanted = zoo.load("tiny-rsc"), request()
    outcome = attack_image(model, wanted)
    result = run_attack(
        model,
        wanted.image.pixels,
        torch.tensor([3]),
        "pgd",
        {"steps": 2},
        time_steps=3,
        sigma=0.3,
        draws=5,
        seed=11,
    )
    np.testing.assert_array_equal(outcome.adversarial, result.adversarial[0])
    np.testing.assert_array_equal(outcome.clean_logits, result.clean_logits[:, 0])
    np.testing.assert_array_equal(outcome.adversarial_logits, result.adversarial_logits[:, 0])
    assert outcome.label == 3


def test_without_a_change_both_images_are_scored_alike(zoo: Zoo) -> None:
    """The noise is the same for both, so that what differs is the perturbation's work."""
    wanted = request(parameters=tuple({**dict(request().parameters), "epsilon": 0.0}.items()))
    outcome = attack_image(zoo.load("tiny-rsc"), wanted)
    np.testing.assert_array_equal(outcome.clean_logits, outcome.adversarial_logits)
    assert len(np.unique(outcome.clean_logits, axis=0)) > 1


def test_a_record_is_the_trace_with_the_noise_of_the_activity(zoo: Zoo) -> None:
    model, wanted = zoo.load("tiny-rsc"), request()
    found, pixels = record(model, wanted), wanted.image.pixels
    activity = record_activity(
        model, pixels[0], pixels[0], time_steps=3, sigma=0.3, seed=wanted.seed
    )
    np.testing.assert_array_equal(found.step_logits[:, 0], activity.clean.step_logits)
    for mine, theirs in zip(found.layers, activity.clean.layers, strict=True):
        np.testing.assert_array_equal(mine.spikes[:, 0], theirs.values())


def test_an_unknown_class_is_what_the_network_says(zoo: Zoo) -> None:
    image = dataclasses.replace(request().image, label=None)
    outcome = attack_image(zoo.load("tiny-rsc"), request(image=image))
    counts = np.bincount(outcome.clean_votes, minlength=10)
    assert counts[outcome.label] == counts.max()


def test_the_rival_is_the_wrong_class_most_voted_for() -> None:
    logits = np.zeros((4, 3), np.float32)
    logits[:3, 2], logits[3, 1], logits[:, 0] = 5, 9, 1
    empty = np.zeros((3, 1, 1), np.float32)
    outcome = Outcome(empty, empty, 0, logits, logits, 0, 0, 0.0)
    assert outcome.rival == 2
    held = np.tile(np.array([9, 1, 2], np.float32), (4, 1))
    assert dataclasses.replace(outcome, adversarial_logits=held).rival == 2
    assert dataclasses.replace(outcome, adversarial_logits=logits, label=2).rival == 1


@pytest.mark.parametrize(
    ("clean", "adversarial", "verdict"),
    [
        ([3, 1, 0], [3, 1, 0], "held"),
        ([3, 1, 0], [1, 3, 0], "fooled"),
        ([3, 1, 0], [2, 2, 0], "abstained"),
        ([3, 1, 0], [1, 1, 2], "abstained"),
        ([2, 2, 0], [4, 0, 0], "wrong"),
        ([1, 3, 0], [0, 4, 0], "wrong"),
        ([1, 0, 0], [0, 0, 1], "fooled"),
    ],
)
def test_verdicts_of_class_0(clean: list[int], adversarial: list[int], verdict: str) -> None:
    assert judge(np.array(clean), np.array(adversarial), 0) == verdict


votes = st.lists(st.integers(0, 3), min_size=1, max_size=9)


@given(votes, votes, st.integers(0, 3))
def test_the_verdict_by_counting_draws(clean: list[int], attacked: list[int], label: int) -> None:
    answers = [
        next((answer for answer in range(4) if part.count(answer) * 2 > len(part)), None)
        for part in (clean, attacked)
    ]
    counts = [np.bincount(part, minlength=4) for part in (clean, attacked)]
    assert [majority(part) for part in counts] == answers
    verdict = judge(counts[0], counts[1], label)
    assert (verdict == "wrong") == (answers[0] != label)
    if verdict != "wrong":
        expected = {label: "held", None: "abstained"}.get(answers[1], "fooled")
        assert verdict == expected


def test_the_numbers_of_an_outcome(zoo: Zoo) -> None:
    outcome = attack_image(zoo.load("tiny-rsc"), request())
    logits = torch.from_numpy(outcome.adversarial_logits)
    assert outcome.adversarial_counts.tolist() == [
        int((logits.argmax(dim=1) == number).sum()) for number in range(10)
    ]
    assert outcome.clean_counts.sum() == 5
    expected = logits.double().softmax(dim=1).mean(dim=0).numpy()
    np.testing.assert_allclose(mean_probabilities(outcome.adversarial_logits), expected, rtol=1e-12)
    change = torch.from_numpy(outcome.adversarial) - torch.from_numpy(outcome.original)
    assert outcome.linf == float(change.abs().max())
    assert outcome.l2 == pytest.approx(float(change.double().norm()), rel=1e-6)
    assert outcome.verdict == judge(outcome.clean_counts, outcome.adversarial_counts, 3)
    assert (outcome.device, outcome.threads) == ("cpu", torch.get_num_threads())


def test_probabilities_of_extreme_logits() -> None:
    logits = np.array([[1e30, 0.0, -1e30], [-1e4, -1e4, -1e4]], np.float32)
    np.testing.assert_allclose(mean_probabilities(logits), [2 / 3, 1 / 6, 1 / 6])
    assert vote_counts(logits).tolist() == [2, 0, 0]


def test_requests_differ_by_everything_but_the_pixels() -> None:
    first = request()
    assert first.key == request().key
    changed: list[dict[str, Any]] = [
        {"model": "x"},
        {"sha256": "x"},
        {"attack": "x"},
        {"parameters": ()},
        {"time_steps": 4},
        {"sigma": 0.31},
        {"draws": 6},
        {"seed": 12},
        {"image": dataclasses.replace(first.image, digest="x")},
        {"image": dataclasses.replace(first.image, label=None)},
    ]
    keys = {request(**change).key for change in changed}
    assert len(keys | {first.key}) == len(changed) + 1


def test_the_same_request_gives_the_same_outcome_from_any_thread(zoo: Zoo) -> None:
    model = zoo.load("tiny-rsc")
    alone = {seed: attack_image(model, request(seed=seed)) for seed in range(4)}
    together: dict[int, Outcome] = {}

    def work(seed: int) -> None:
        together[seed] = attack_image(model, request(seed=seed))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, outcome in alone.items():
        np.testing.assert_array_equal(outcome.adversarial, together[seed].adversarial)
        np.testing.assert_array_equal(outcome.adversarial_logits, together[seed].adversarial_logits)


def test_cancelling(zoo: Zoo) -> None:
    with pytest.raises(Cancelled):
        attack_image(zoo.load("tiny-rsc"), request(), cancelled=lambda: True)


@pytest.mark.parametrize(
    ("attack", "parameters", "steps", "size", "heavy"),
    [
        ("pgd", {}, 4, 32, False),
        ("fgsm", {}, 32, 32, False),
        ("pgd", {"steps": 1000}, 4, 32, True),
        ("pgd", {"eot_draws": 32}, 4, 32, True),
        ("pgd", {}, 4, 128, True),
        ("eot_pgd", {}, 4, 32, True),
        ("square", {}, 4, 32, True),
        ("gaussian_noise", {}, 32, 32, False),
        ("gaussian_noise", {}, 32, 128, True),
    ],
)
def test_heavy(attack: str, parameters: dict[str, int], steps: int, size: int, heavy: bool) -> None:
    spec = ATTACKS[attack]
    values = validate_parameters(spec, parameters)
    config = ModelConfig(image_size=size)
    assert is_heavy(spec, values, config, steps, CPU) is heavy


@pytest.mark.parametrize(("coding", "heavy"), [("rsc", True), ("direct", False)])
def test_many_draws_of_the_scoring_are_too_slow_to_follow_a_slider(
    coding: str, heavy: bool
) -> None:
    """64 draws of both images at T = 32: about 4,000 passes beside the one gradient."""
    spec, config = ATTACKS["fgsm"], ModelConfig(coding=coding)
    values = validate_parameters(spec, {})
    assert not is_heavy(spec, values, config, 32, CPU, scored=2)
    assert is_heavy(spec, values, config, 32, CPU, scored=64) is heavy


def test_the_default_attack_follows_the_sliders() -> None:
    values = validate_parameters(ATTACKS["pgd"], {})
    for size in (32, 64):
        config = ModelConfig(image_size=size)
        assert not is_heavy(ATTACKS["pgd"], values, config, 4, CPU, scored=8)


def test_draws_cost_nothing_without_noise() -> None:
    values = validate_parameters(ATTACKS["pgd"], {"eot_draws": 32})
    assert not is_heavy(ATTACKS["pgd"], values, ModelConfig(coding="direct"), 4, CPU)
