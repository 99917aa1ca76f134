"""Two processes train one model: adversarially, unbroken and resumed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.test_command import TORCHRUN


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What `workers.py` left in each of its processes."""
    folder = tmp_path_factory.mktemp("workers")
    done = subprocess.run(
        [*TORCHRUN, "-m", "tests.training.workers", str(folder)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("tensors", ["whole", "parts", "buffers"])
def test_all_processes_watch_one_model(ranks: list[dict[str, Any]], tensors: str) -> None:
    first, second = (rank[tensors] for rank in ranks)
    assert first.keys() == second.keys() and first
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_resumed_adversarial_run_is_the_unbroken_one(ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        assert all(torch.equal(value, rank["parts"][name]) for name, value in rank["whole"].items())


def test_processes_that_share_no_folder_are_refused(ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        assert rank["refusal"].startswith(
            "The processes go on from different steps (0 and 8); all machines must share the folder"
        )


def test_a_folder_in_use_is_refused_in_all_processes(ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        assert rank["lock_refusal"].startswith("Another process is training in")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="lists threads as Linux does")
def test_no_thread_of_the_group_outlives_it(ranks: list[dict[str, Any]]) -> None:
    """One that wakes while Python shuts down would abort the process."""
    for rank in ranks:
        assert rank["threads"] and not rank["left"]
