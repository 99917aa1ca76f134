"""What all tests share: small models, a small zoo, and skips that count as failures in CI."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch

from rsc_snn.classifier import ModelConfig, SpikingClassifier, build_classifier
from rsc_snn.zoo import CleanAccuracy, TrainingFacts, save_model

# Tests that run side by side share the cores.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))

Fact = TypeVar("Fact")
NOBODY = 65534
CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
TINY_CONFIGS = {
    "tiny-ann": ("Tiny ANN", {"neuron": "relu", "coding": "direct", "time_steps": 1}),
    "tiny-direct": ("Tiny SNN, direct coding", {"coding": "direct"}),
    "tiny-poisson": ("Tiny SNN, Poisson coding", {"coding": "poisson"}),
    "tiny-rsc": ("Tiny RSC-SNN, sigma 0.2", {"coding": "rsc", "sigma": 0.2}),
}


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """File permissions mean nothing to root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """The framework runs pages as `__main__`, which processes of a later test would import."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """With RSC_SNN_REQUIRE_ALL=1 a skipped test is a failed one."""
    report = yield
    if not hasattr(report, "wasxfail"):
        refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """With RSC_SNN_REQUIRE_ALL=1 a module that skips itself is an error."""
    report = yield
    refuse_skip(report)
    return report


def refuse_skip(report: Any) -> None:
    """Turn a skip into a failure if RSC_SNN_REQUIRE_ALL is set."""
    if report.skipped and os.environ.get("RSC_SNN_REQUIRE_ALL"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but RSC_SNN_REQUIRE_ALL is set: {report.longrepr}"


def lively_model(config: ModelConfig, seed: int = 0) -> SpikingClassifier:
    """A random classifier whose batch norms have seen images, so that its neurons fire."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_classifier(config).train()
        for _ in range(20):
            model(torch.rand(16, config.in_channels, config.image_size, config.image_size))
    return model.eval()


def stated(fact: Fact | None) -> Fact:
    """A fact that the card of a shipped model must state."""
    assert fact is not None
    return fact


def save_tiny_model(folder: Path, name: str, label: str, config: ModelConfig) -> None:
    """A lively random model with an honest card: its numbers say that nothing was measured."""
    save_model(
        lively_model(config),
        name=name,
        label=label,
        dataset="cifar10",
        classes=CIFAR10,
        training=TrainingFacts(
            recipe={},
            epochs=0,
            seed=0,
            seconds=0.0,
            device="none",
            versions={},
            command="none",
            note="random weights",
        ),
        clean_accuracy=CleanAccuracy(
            value=0.1,
            lower=0.0,
            upper=0.5,
            n=10,
            confidence=0.95,
            draws=1,
            seed=0,
            split="test",
            note="not measured",
        ),
        limits="Random weights, for tests.",
        folder=folder,
    )


@pytest.fixture(scope="session")
def tiny_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four small random models, one of each kind. Copy it to change it."""
    folder = tmp_path_factory.mktemp("tiny") / "models"
    for name, (label, options) in TINY_CONFIGS.items():
        config = ModelConfig(widths=(8, 12), depths=(1, 1), **options)  # type: ignore[arg-type]
        save_tiny_model(folder, name, label, config)
    return folder
