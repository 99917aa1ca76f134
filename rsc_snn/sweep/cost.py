"""What a sweep costs before it starts: passes of single images, and hours on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from rsc_snn.attacks.registry import get_attack
from rsc_snn.classifier import SpikingClassifier
from rsc_snn.randomness import make_generator
from rsc_snn.scene import cpu_threads
from rsc_snn.sweep.cells import CLEAN, SELECTION, Cell
from rsc_snn.sweep.grid import predecessor

# Above these a sweep asks whether it is meant.
MANY_SECONDS = 2 * 3600.0
MANY_WORKER_SECONDS = 24 * 3600.0
MANY_CELLS = 10_000
# As a CPU's worker takes about at once, and as fill a GPU.
_IMAGES, _IMAGES_GPU = 16, 256
_MEASURED_SECONDS = 0.5


@dataclass(frozen=True)
class Cost:
    """About an upper bound, for images that a smaller epsilon broke are not attacked again.

    Where an attack's draws of one image do not fit into one pass (large images on a CPU), its
    forward passes are made twice: up to a third more.
    passes: single images times time steps, one with its gradient counted as three. seconds: of
    one worker. longest: seconds of the longest chain of cells that build on each other, if known.
    """

    cells: int
    passes: int
    seconds: float
    longest: float = 0.0

    def lasts(self, workers: int) -> float:
        """Seconds from start to end on several workers, each of which follows a chain at a time."""
        return max(self.seconds / workers, self.longest)

    def large(self, workers: int) -> bool:
        """True for a sweep that nobody should start by mistake; see the constants above."""
        return (
            self.lasts(workers) > MANY_SECONDS
            or self.seconds > MANY_WORKER_SECONDS
            or self.cells > MANY_CELLS
        )


def passes_of(cell: Cell) -> int:
    """Passes of one image and one time step that a cell takes at most."""
    passes = cell.draws + cell.noisy * sum(SELECTION)
    if cell.attack != CLEAN:
        spec, values = get_attack(cell.attack), dict(cell.parameters)
        # A model without noise is scored on one draw, and attacked on one.
        draws = int(values.get("eot_draws", 1)) if cell.noisy else 1
        passes += spec.calls(values) * draws * spec.pass_cost
    return passes * cell.images * cell.time_steps


def estimate_cost(cells: Iterable[Cell], seconds_per_pass: Mapping[str, float]) -> Cost:
    """What `cells` take; seconds_per_pass: of each model, as `measure_speed` gives it.

    A model that is not among them counts as the slowest of those that are.
    """
    slowest = max(seconds_per_pass.values(), default=math.nan)
    count, passes, seconds = 0, 0, 0.0
    for cell in cells:
        work = passes_of(cell)
        count, passes = count + 1, passes + work
        seconds += work * seconds_per_pass.get(cell.model, slowest)
    return Cost(count, passes, seconds)


def longest_chain(cells: Iterable[Cell], seconds_per_pass: Mapping[str, float]) -> float:
    """Seconds of the longest chain of cells that build on each other; speeds of all models.

    However many workers there are, a sweep takes as long.
    """
    ends: dict[str, float] = {}
    for cell in sorted(cells, key=lambda cell: (cell.attack != CLEAN, len(cell.chain))):
        before = predecessor(cell)
        start = 0.0 if before is None else ends.get(before.key, 0.0)
        ends[cell.key] = start + passes_of(cell) * seconds_per_pass[cell.model]
    return max(ends.values(), default=0.0)


def measure_speed(model: SpikingClassifier) -> float:
    """Seconds that a pass of one image and one time step takes on the model's device.

    Measured on random images for about half a second, on a CPU with one thread, as workers use.
    """
    device = next(model.parameters()).device
    config = model.config
    images = _IMAGES if device.type == "cpu" else _IMAGES_GPU
    shape = (images, config.in_channels, config.image_size, config.image_size)
    generator = make_generator(0, device)
    x = torch.rand(shape, generator=generator, device=device)
    with cpu_threads(1 if device.type == "cpu" else None), torch.no_grad():
        model(x, generator=generator).cpu()  # The first pass sets things up.
        start, passes = time.perf_counter(), 0
        while passes == 0 or time.perf_counter() - start < _MEASURED_SECONDS:
            model(x, generator=generator).cpu()  # Copying waits for the device.
            passes += 1
        seconds = time.perf_counter() - start
    return seconds / (passes * images * model.time_steps)


def rate_text(cells: int, seconds: float) -> str:
    """The rate of so many cells in some seconds, for a person: `0.8 a minute`."""
    rate = 60 * cells / seconds
    return f"{rate:{',.0f' if rate >= 10 else '.2g'}} a minute"


def duration_text(seconds: float) -> str:
    """A duration for a person: `40 s`, `12 min`, `3.5 h` or `2.1 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def worker_hours_text(seconds: float) -> str:
    """The time of all workers together for a person: `1,999 worker-hours`."""
    hours = seconds / 3600
    if hours < 0.1:
        return "less than 0.1 worker-hours"
    return f"{hours:{',.0f' if hours >= 10 else '.1f'}} worker-hours"
