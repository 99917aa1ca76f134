"""Models and images that the attack tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from rsc_snn.classifier import SpikingClassifier
from tests.attacks.tiny import random_images, tiny_model


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Models this small are slower on several threads, and far slower beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def rsc_model() -> SpikingClassifier:
    return tiny_model(sigma=0.05)


@pytest.fixture(scope="session")
def ann_model() -> SpikingClassifier:
    return tiny_model(neuron="relu", coding="direct", time_steps=1)


@pytest.fixture(scope="session")
def batch(rsc_model: SpikingClassifier) -> tuple[Tensor, Tensor]:
    """Three images, the first two with the class that `rsc_model` mostly answers."""
    x = random_images(3)
    logits = rsc_model(x, draws=64, generator=torch.Generator().manual_seed(2))
    labels = logits.mean(dim=0).argmax(dim=-1)
    labels[2] = (labels[2] + 1) % 10
    return x, labels
