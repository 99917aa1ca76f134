"""What a sweep costs before it starts: passes of single images, and hours on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rsc_snn.attacks.registry import get_attack
from rsc_snn.attacks.target import Meter, Target, split_images
from rsc_snn.classifier import SpikingClassifier
from rsc_snn.device import has_fast_bfloat16, memory_guard
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
# For each number of a speed.
_MEASURED_SECONDS = 0.25


@dataclass(frozen=True)
class Speed:
    """Seconds that one image and time step take of a worker.

    forward: a forward pass. gradient: one with its gradient. fast: the same in the numbers that an
    attack with the precision "fast" computes in on this device.
    """

    forward: float
    gradient: float
    fast: float


@dataclass(frozen=True)
class Cost:
    """About an upper bound, for images that a smaller epsilon broke are not attacked again.

    Where the graphs of an attack's draws of one image do not fit into memory (images of 128 pixels
    on a CPU), its forward passes are made twice: up to a third more.
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
    """Passes of one image and time step that a cell takes at most, weighted as in `Cost`."""
    price = 1 if cell.attack == CLEAN else get_attack(cell.attack).pass_cost
    return (_scores(cell) + price * _calls(cell)) * cell.images * cell.time_steps


def seconds_of(cell: Cell, speed: Speed) -> float:
    """Seconds of one worker that a cell takes at most."""
    each = _scores(cell) * speed.forward + _calls(cell) * _call_seconds(cell, speed)
    return each * cell.images * cell.time_steps


def _scores(cell: Cell) -> int:
    """Forward passes of each image that score it."""
    return cell.draws + cell.noisy * sum(SELECTION)


def _calls(cell: Cell) -> int:
    """Passes of each image that attack it."""
    if cell.attack == CLEAN:
        return 0
    values = dict(cell.parameters)
    # A model without noise is scored on one draw, and attacked on one.
    draws = int(values.get("eot_draws", 1)) if cell.noisy else 1
    return get_attack(cell.attack).calls(values) * draws


def _call_seconds(cell: Cell, speed: Speed) -> float:
    if cell.attack == CLEAN or not get_attack(cell.attack).follows_gradients:
        return speed.forward
    fast = cell.noisy and dict(cell.parameters).get("precision") == "fast"
    return speed.fast if fast else speed.gradient


def estimate_cost(cells: Iterable[Cell], speeds: Mapping[str, Speed]) -> Cost:
    """What `cells` take at the speed of each model, as `measure_speed` gives it."""
    count, passes, seconds = 0, 0, 0.0
    for cell in cells:
        count, passes = count + 1, passes + passes_of(cell)
        seconds += seconds_of(cell, speeds[cell.model])
    return Cost(count, passes, seconds)


def longest_chain(cells: Iterable[Cell], speeds: Mapping[str, Speed]) -> float:
    """Seconds of the longest chain of cells that build on each other; speeds of all models.

    However many workers there are, a sweep takes as long.
    """
    ends: dict[str, float] = {}
    for cell in sorted(cells, key=lambda cell: (cell.attack != CLEAN, len(cell.chain))):
        before = predecessor(cell)
        start = 0.0 if before is None else ends.get(before.key, 0.0)
        ends[cell.key] = start + seconds_of(cell, speeds[cell.model])
    return max(ends.values(), default=0.0)


def measure_speed(model: SpikingClassifier) -> Speed:
    """How long passes of the model take on its device. Raises DeviceMemoryError.

    Measured on random images for about a second, on a CPU with one thread, as workers use.
    """
    device = next(model.parameters()).device
    size = (model.config.in_channels, model.config.image_size, model.config.image_size)
    generator = make_generator(0, device)
    most = _IMAGES if device.type == "cpu" else _IMAGES_GPU
    batch = torch.rand((1, *size), generator=generator, device=device).expand(most, *size)
    x = batch[split_images(batch, model.time_steps, draws=1)[0]].contiguous()
    target = Target(model, generator, Meter(1))

    def gradient() -> Tensor:
        leaf, logits = target.graph(x, 1, generator)
        return torch.autograd.grad(logits.sum(), leaf)[0]

    with memory_guard(), cpu_threads(1 if device.type == "cpu" else None):
        forward = _seconds(lambda: target.draw_logits(x, 1, generator))
        full = fast = _seconds(gradient)
        if has_fast_bfloat16(device):
            target.low_precision = True
            fast = _seconds(gradient)
    if device.type == "cuda":
        torch.cuda.empty_cache()  # Workers share the GPU with this process.
    each = len(x) * model.time_steps
    return Speed(forward / each, full / each, fast / each)


def _seconds(work: Callable[[], Tensor]) -> float:
    """What a call takes, copying its result included, which waits for the device."""
    work().cpu()  # The first one sets things up.
    start, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - start < _MEASURED_SECONDS:
        work().cpu()
        calls += 1
    return (time.perf_counter() - start) / calls


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
