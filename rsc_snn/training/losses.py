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
    teacher, of a T of its own, at the same depth. Time averages are standardised per channel over
    batch and place, so that shape counts and scale does not. The mean over layers. Raises
    ValueError if the numbers of layers differ.
    """
    pairs = zip(currents, preactivations, strict=True)
    return torch.stack([_difference(current, target) for current, target in pairs]).mean()


def _difference(currents: Tensor, target: Tensor) -> Tensor:
    """The loss of one layer, from moments: a quarter of the time of batch norms and a difference.

    The mean of (a - b)^2 is var(a) + var(b) - 2 cov(a, b), where a and b have mean 0.
    """
    a, b = _centred(currents), _centred(target.detach())
    place = (0, 1, 2)
    variance, reference = a.square().mean(place), b.square().mean(place)
    covariance = (a * b).mean(place)
    scale, reference_scale = variance + _EPSILON, reference + _EPSILON
    cross = covariance * (scale * reference_scale).rsqrt()
    return (variance / scale + reference / reference_scale - 2 * cross).mean()


def _centred(currents: Tensor) -> Tensor:
    """The time average `[N, H, W, C]` of `[T, N, C, H, W]`, float32, mean 0 in each channel.

    Channels come last as in the memory of the networks: so does the gradient, or their batch
    norms would take ten times as long on it.
    """
    average = currents.permute(0, 1, 3, 4, 2).mean(dim=0).float()
    return average - average.mean((0, 1, 2), keepdim=True)
