"""Rows of results with scores that a test chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rsc_snn.evaluate import accuracy_estimate
from rsc_snn.robustness.store import Row
from rsc_snn.robustness.suite import ADVERSARIES, CLEAN

SHA = "a" * 64


def make_row(
    model: str, attack: str, epsilon: float, counts: Sequence[int], draws: int = 1, **fields: Any
) -> Row:
    """A row whose images had these numbers of right draws."""
    import torch

    scores = torch.tensor(counts, dtype=torch.float64) / draws
    estimate = accuracy_estimate(scores, draws)
    values = {
        "model": model,
        "label": model.upper(),
        "dataset": "cifar10",
        "data": "0123",
        "sha256": SHA,
        "attack": attack,
        "parameters": "{}",
        "epsilon_255": epsilon,
        "sigma": 0.2 if draws > 1 else None,
        "time_steps": 4,
        "n": len(counts),
        "images": 500,
        "attacked": len(counts),
        "draws": draws,
        "seed": 0,
        "batch_size": 500,
        "value": estimate.value,
        "lower": estimate.lower,
        "upper": estimate.upper,
        "confidence": 0.95,
        "queries": 7,
        "seconds": 1.5,
        "device": "CPU",
        "versions": "{}",
        "command": f"python -m rsc_snn zoo evaluate {model} --images 500 --epsilons 2 8",
        "scores": bytes(counts),
    }
    return Row(**{**values, **fields})


def make_model(
    model: str, share: float, epsilons: Sequence[float] = (2.0, 8.0), draws: int = 1, **fields: Any
) -> list[Row]:
    """Clean and attacked rows of 600 test images, of which about `share` withstand an attack."""
    rng = np.random.default_rng(len(model))
    rows = [make_row(model, CLEAN, 0.0, [draws] * 600, draws, **fields)]
    for epsilon in epsilons:
        withstand = rng.random(600)
        for attack in (*ADVERSARIES, "uniform_noise"):
            kept = share if attack != "uniform_noise" else 0.98
            n = 600 if attack == "fgsm" else 500
            counts = draws * (withstand[:n] < kept)
            rows.append(make_row(model, attack, epsilon, counts.tolist(), draws, **fields))
    return rows
