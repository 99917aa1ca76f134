"""Losses of E-RSCT: distillation from the ANN twin and the pre-synaptic loss.

RSC-SNN (ACM MM 2024) names the two parts of E-RSCT; its exact formulas could not be established,
so these are ours: total = cross-entropy + a * distillation + b * pre-synaptic.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

_EPSILON = 1e-5


def divergence(answer: Tensor, reference: Tensor) -> Tensor:
    """KL(reference || answer) of the softmaxes of two logits `[N, K]`, mean over the batch."""
    return functional.kl_div(
        functional.log_softmax(answer.float(), dim=1),
        functional.log_softmax(reference.float(), dim=1),
        reduction="batchmean",
        log_target=True,
    )


def distillation(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    """KL divergence from the teacher's softened answer to the student's, times temperature^2.

    student, teacher: logits `[N, K]`, the student's averaged over time. The factor keeps the
    gradient's size independent of the temperature (Hinton et al., 2015, arXiv 1503.02531).
    """
    return divergence(student / temperature, teacher.detach() / temperature) * temperature**2


def presynaptic(currents: Sequence[Tensor], preactivations: Sequence[Tensor]) -> Tensor:
    """Mean squared difference between the SNN's mean input currents and the ANN's pre-activations.

    currents: one `[T, N, C, H, W]` a layer, before the neuron; preactivations: the same of the
    teacher (T = 1) at the same depth. Time averages are standardised per channel over batch and
    place, so that shape counts and scale does not. The mean over layers. Raises ValueError if the
    numbers of layers differ.
    """
    pairs = zip(currents, preactivations, strict=True)
    losses = [
        functional.mse_loss(_standardised(current), _standardised(target.detach()))
        for current, target in pairs
    ]
    return torch.stack(losses).mean()


def _standardised(currents: Tensor) -> Tensor:
    """The time average of `[T, N, C, H, W]` with mean 0 and variance 1 in each channel."""
    average = currents.float().mean(dim=0)
    variance, mean = torch.var_mean(average, dim=(0, 2, 3), correction=0, keepdim=True)
    return (average - mean) * torch.rsqrt(variance + _EPSILON)
