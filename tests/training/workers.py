"""What two processes do under `torchrun`, for `test_workers.py`; each leaves its tensors behind."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from rsc_snn.errors import ConfigError
from rsc_snn.training.adversarial import AdversarialConfig
from rsc_snn.training.lock import alone_in
from rsc_snn.training.loop import Trainer, Worker, join_workers
from rsc_snn.training.recipe import Recipe
from tests.training.test_loop import CPU, RECIPE, stripes

ATTACKED = replace(
    RECIPE,
    epochs=2,
    bfloat16=False,
    adversarial=AdversarialConfig("pgd", epsilon=8, step_size=4, steps=2, watched=16),
)
STOP = 3  # of the 8 steps


def train(recipe: Recipe, folder: Path, worker: Worker, stop_after: int | None = None) -> Trainer:
    trainer = Trainer(recipe, stripes(), folder, CPU, worker)
    trainer.run(stop_after=stop_after)
    return trainer


def gloo_threads() -> list[str]:
    """Names of this process's threads that belong to a process group (Linux)."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if "gloo" in name]


def main(folder: Path) -> None:
    """Train whole and in two parts; then resume in folders that the processes do not share."""
    torch.set_num_threads(1)
    with join_workers(CPU) as worker:
        whole = train(ATTACKED, folder / "whole", worker)
        train(ATTACKED, folder / "parts", worker, STOP)
        torch.distributed.barrier()  # The first process writes the checkpoint.
        parts = train(ATTACKED, folder / "parts", worker)
        try:
            Trainer(ATTACKED, stripes(), folder / ("parts", "apart")[worker.rank], CPU, worker)
            refusal = ""
        except ConfigError as error:
            refusal = str(error)
        with alone_in(folder / "whole", worker, CPU):
            try:
                with alone_in(folder / "whole", worker, CPU):
                    lock_refusal = ""
            except ConfigError as error:
                lock_refusal = str(error)
        state = {
            "whole": dict(whole.model.named_parameters()),
            "parts": dict(parts.model.named_parameters()),
            "buffers": dict(whole.model.named_buffers()),
            "refusal": refusal,
            "lock_refusal": lock_refusal,
            "threads": gloo_threads(),
        }
    # The trainers are still there.
    torch.save({**state, "left": gloo_threads()}, folder / f"rank{worker.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
