"""Numbers of a recording: rates, what the attack and noise exchange, and the answer over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rsc_snn.activity.record import Activity, Floats, LayerActivity, Which


@dataclass(frozen=True)
class Rates:
    """Spikes per neuron and step (mean activations of the ANN twin) in the three passes.

    One number a layer `[L]` or a channel `[C]`.
    """

    clean: Floats
    adversarial: Floats
    control: Floats

    @property
    def change(self) -> Floats:
        """What the perturbation adds, with the noise held still."""
        return self.adversarial - self.clean


def rates(activity: Activity) -> Rates:
    """The rates of all layers, in the order of `activity.names`."""
    passes = (activity.clean, activity.adversarial, activity.control)
    return Rates(*(np.array([layer.rate() for layer in one.layers], np.float32) for one in passes))


def channel_rates(activity: Activity, layer: str) -> Rates:
    """The rates of a layer's channels, each the mean over its places and the steps."""
    return Rates(*(_channel_means(one) for one in activity.three(activity.position(layer))))


def _channel_means(layer: LayerActivity) -> Floats:
    summed = layer.values().sum(axis=0, dtype=np.float32).reshape(layer.shape[0], -1)
    return summed.mean(axis=1) / np.float32(len(layer.data))


def turnover(activity: Activity) -> tuple[Floats, Floats]:
    """What share of its spikes each layer exchanged `[L]`: under attack, and by noise alone.

    The spikes that only one of two passes has, as a share of those that either has (the Jaccard
    distance): rates may stay the same while other neurons fire. For activations `|a - b|` over
    `max(a, b)`, each summed over the neurons, which for spikes is the same.
    """
    layers = [activity.three(position) for position in range(len(activity.names))]
    attack = [_exchanged(clean, adversarial) for clean, adversarial, _ in layers]
    noise = [_exchanged(clean, control) for clean, _, control in layers]
    return np.array(attack, np.float32), np.array(noise, np.float32)


def _exchanged(first: LayerActivity, second: LayerActivity) -> float:
    if first.spiking:
        either = int(np.bitwise_count(first.data | second.data).sum())
        one = int(np.bitwise_count(first.data ^ second.data).sum())
        return one / either if either else 0.0
    a, b = first.data.astype(np.float64), second.data.astype(np.float64)
    largest = float(np.maximum(a, b).sum())
    return float(np.abs(a - b).sum()) / largest if largest else 0.0


def running_prediction(activity: Activity, which: Which) -> Floats:
    """Class probabilities after the first 1..T steps, `[T, K]`: softmax of their mean logits."""
    logits = activity.of(which).step_logits.astype(np.float64)
    means = logits.cumsum(axis=0) / np.arange(1, len(logits) + 1)[:, None]
    return torch.softmax(torch.from_numpy(means), dim=-1).float().numpy()
