"""The losses of E-RSCT against numpy and scipy, and their invariances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from torch import Tensor

from rsc_snn.randomness import make_generator
from rsc_snn.training.losses import distillation, divergence, presynaptic


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=make_generator(seed))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), temperature=st.floats(0.5, 20))
def test_distillation_is_the_softened_kl_divergence(seed: int, temperature: float) -> None:
    student, teacher = normal(5, 7, seed=seed) * 3, normal(5, 7, seed=seed + 1) * 3
    p = softmax(teacher.double().numpy() / temperature, axis=1)
    log_p = log_softmax(teacher.double().numpy() / temperature, axis=1)
    log_q = log_softmax(student.double().numpy() / temperature, axis=1)
    expected = temperature**2 * (p * (log_p - log_q)).sum(axis=1).mean()
    found = float(distillation(student, teacher, temperature))
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_distillation_teaches_the_student_alone() -> None:
    student, teacher = normal(4, 3).requires_grad_(), normal(4, 3, seed=1).requires_grad_()
    distillation(student, teacher).backward()
    assert student.grad is not None and student.grad.abs().sum() > 0
    assert teacher.grad is None


def test_divergence_is_zero_for_equal_answers_and_not_symmetric() -> None:
    a, b = normal(6, 4), normal(6, 4, seed=1) * 2
    assert float(divergence(a, a + 3)) == pytest.approx(0, abs=1e-6)
    assert float(divergence(a, b)) > 0
    assert float(divergence(a, b)) != pytest.approx(float(divergence(b, a)), rel=1e-3)


def reference_presynaptic(currents: list[Tensor], targets: list[Tensor]) -> float:
    losses = []
    for current, target in zip(currents, targets, strict=True):
        rows = []
        for values in (current, target):
            average = values.double().numpy().mean(axis=0)
            channels = np.moveaxis(average, 1, 0).reshape(average.shape[1], -1)
            centred = channels - channels.mean(axis=1, keepdims=True)
            rows.append(centred / np.sqrt(channels.var(axis=1, keepdims=True) + 1e-5))
        losses.append(((rows[0] - rows[1]) ** 2).mean())
    return float(np.mean(losses))


def test_presynaptic_loss_against_numpy() -> None:
    currents = [normal(4, 3, 5, 6, 6), normal(4, 3, 8, 3, 3, seed=1)]
    targets = [normal(1, 3, 5, 6, 6, seed=2), normal(1, 3, 8, 3, 3, seed=3)]
    expected = reference_presynaptic(currents, targets)
    assert float(presynaptic(currents, targets)) == pytest.approx(expected, rel=1e-5)


def test_presynaptic_loss_ignores_scale_and_offset_of_each_channel() -> None:
    currents, targets = [normal(2, 4, 3, 5, 5)], [normal(1, 4, 3, 5, 5, seed=1)]
    scale, offset = torch.tensor([2.0, 5.0, 0.7]), torch.tensor([1.0, -3.0, 0.2])
    moved = [targets[0] * scale.view(-1, 1, 1) + offset.view(-1, 1, 1)]
    plain = float(presynaptic(currents, targets))
    assert float(presynaptic(currents, moved)) == pytest.approx(plain, rel=1e-3)
    assert float(presynaptic([targets[0].expand(2, -1, -1, -1, -1)], moved)) < 1e-4 < plain


def test_presynaptic_loss_needs_as_many_layers() -> None:
    with pytest.raises(ValueError, match="zip"):
        presynaptic([normal(1, 2, 3, 4, 4)], [])
