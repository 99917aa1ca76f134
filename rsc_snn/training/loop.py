"""The training loop: one process, or one a GPU under `torchrun`.

Every random choice of a step is drawn from a generator seeded with (seed, purpose, epoch, step,
rank), not from a running state. A run that was killed and resumed from its last checkpoint
therefore sees the same batches, crops and noise as one that was not.
"""

from __future__ import annotations

import csv
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from rsc_snn.classifier import SpikingClassifier, build_classifier
from rsc_snn.data.pixels import image_digest
from rsc_snn.device import autocast, memory_guard
from rsc_snn.errors import ConfigError, DataError, OtherImagesError
from rsc_snn.files import write_atomically
from rsc_snn.randomness import derive_seed, make_generator
from rsc_snn.training.adversarial import AdversarialConfig
from rsc_snn.training.augment import augment
from rsc_snn.training.objective import Draw, Objective
from rsc_snn.training.recipe import Recipe
from rsc_snn.training.setting import Setting, setting_of
from rsc_snn.training.teacher import Teacher

METRICS = (
    "epoch",
    "step",
    "seconds",
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "validation_accuracy",
    "validation_robust",
    "guarded",
)
# All that a run writes to its folder, but the lock of `rsc_snn.training.lock`.
RUN_FILES = ("checkpoint.pt", "epoch.pt", "metrics.csv", "recipe.json")
Progress = Callable[[int, int, float], None]
# The same for every recipe: a teacher must not have learnt what its student's curve is drawn on.
_SPLIT_SEED = 0


@dataclass(frozen=True)
class TrainingData:
    """Images uint8 `[M, C, H, W]` and labels int64 `[M]`."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> TrainingData:
        """The images and labels at `indices` `[B]`."""
        return TrainingData(self.images[indices], self.labels[indices])

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that change with any pixel or label."""
        return image_digest(self.images, self.labels)

    def pixels(self, device: torch.device) -> Tensor:
        """Float images in 0..1 on `device`."""
        return self.images.to(device).float().div_(255)


@dataclass(frozen=True)
class Worker:
    """This process among `world` that train together, as many on each of `machines`."""

    rank: int = 0
    world: int = 1
    machines: int = 1

    @property
    def first(self) -> bool:
        """True in the one process that writes files."""
        return self.rank == 0


@contextmanager
def join_workers(device: torch.device) -> Iterator[Worker]:
    """The process group that `torchrun` describes in the environment; alone without it."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Worker()
        return
    # Its functions hold the group of the time when it is imported, as default arguments. Imported
    # later, by DistributedDataParallel, they would keep the group and its threads past
    # `destroy_process_group`, and a thread that wakes while Python shuts down aborts the process.
    import torch.distributed.nn

    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        machines = world // int(os.environ.get("LOCAL_WORLD_SIZE", world))
        yield Worker(distributed.get_rank(), world, machines)
        distributed.barrier()  # Whoever left first would break the others' connections.
    finally:
        distributed.destroy_process_group()


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """One-cycle schedule: linear up to the peak, cosine down to 0 at the last step."""
    warm = max(1, round(recipe.warmup * steps))
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    progress = (step - warm) / max(1, steps - warm)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def split_validation(data: TrainingData, count: int) -> tuple[TrainingData, TrainingData]:
    """(training, validation): `count` random images held out, the same ones for every recipe.

    Raises DataError if too few.
    """
    if count >= len(data):
        raise DataError(f"{len(data)} training images are too few to hold out {count}.")
    generator = make_generator(derive_seed(_SPLIT_SEED, "validation"))
    order = torch.randperm(len(data), generator=generator)
    return data.take(order[count:]), data.take(order[:count])


@torch.no_grad()
def round_to_float16(model: nn.Module) -> None:
    """Round the parameters to the nearest float16 numbers, in place; they stay float32."""
    for parameter in model.parameters():
        parameter.copy_(parameter.half())


@contextmanager
def rounded_to_float16(model: nn.Module) -> Iterator[None]:
    """Inside, the parameters are rounded to float16; afterwards they are what they were.

    A gradient taken inside and applied afterwards goes straight through the rounding, so that
    steps too small for float16 add up.
    """
    exact = [parameter.detach().clone() for parameter in model.parameters()]
    round_to_float16(model)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), exact, strict=True):
                parameter.copy_(value)


class Trainer:
    """Trains the model of one recipe in one folder and can go on where a killed run stopped.

    The folder holds `checkpoint.pt`, `metrics.csv` and `recipe.json`, and `epoch.pt`, the model at
    the end of the latest good epoch, where the guard of single-step adversarial training may
    return to. All processes must see the same folder. Raises ConfigError if it holds the run of
    another recipe or on other images, if a file of it is damaged, if they find different
    checkpoints, or if the recipe's teacher is not the one given.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: TrainingData,
        folder: Path,
        device: torch.device,
        worker: Worker | None = None,
        checkpoint_seconds: float = 60.0,
        teacher: Teacher | None = None,
    ) -> None:
        if recipe.teacher != (teacher.name if teacher else ""):
            raise ConfigError(f"{recipe.name} needs the teacher {recipe.teacher or 'none'}.")
        self.recipe = recipe
        self.teacher = teacher
        self.device = device
        self.worker = worker or Worker()
        self.folder = folder
        self.checkpoint_seconds = checkpoint_seconds
        self._data = data.digest
        self.training, self.validation = split_validation(data, recipe.validation)
        per_step = recipe.batch_size * self.worker.world
        self.steps_per_epoch = len(self.training) // per_step
        if self.steps_per_epoch < 1:
            raise DataError(
                f"{len(self.training)} training images do not fill one batch of {per_step}."
            )
        self.steps = self.steps_per_epoch * recipe.epochs
        with torch.random.fork_rng(devices=[]), memory_guard():
            torch.manual_seed(derive_seed(recipe.seed, "weights"))
            self.model = build_classifier(recipe.model).to(device)
        if teacher is not None and recipe.teacher_weights:
            self.model.load_state_dict({**self.model.state_dict(), **teacher.weights})
        self.optimizer = torch.optim.SGD(
            _parameter_groups(self.model, recipe.weight_decay),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
        )
        self.objective = Objective(recipe, self.model, teacher.model if teacher else None)
        self.step = 0
        self.seconds = 0.0
        self.best_robust = 0.0
        self.guarded = False
        self.totals = [0.0, 0.0, 0.0]
        self.settings: list[Setting] = []
        self._order: tuple[int, Tensor] | None = None
        self._prepare_folder()
        self._check_same_step()

    def run(self, progress: Progress | None = None, stop_after: int | None = None) -> None:
        """Train to the end, or until `stop_after` steps in all are done (then checkpointed).

        `progress(step, steps, loss)` is called after every step; `step` falls by an epoch where the
        guard has the last one trained again.
        """
        last = self.steps if stop_after is None else min(stop_after, self.steps)
        here = setting_of(self.device)
        if self.step < last and self.settings[-1:] != [here]:
            self.settings.append(here)
        started, saved = time.monotonic() - self.seconds, time.monotonic()
        with memory_guard(), self._averaged_gradients():
            while self.step < last:
                loss = self._train_step()
                self.step += 1
                self.seconds = time.monotonic() - started
                if progress is not None:
                    progress(self.step, self.steps, loss)
                if self.step % self.steps_per_epoch == 0:
                    self._finish_epoch()
                if time.monotonic() - saved > self.checkpoint_seconds or self.step == last:
                    self._save_checkpoint()
                    saved = time.monotonic()

    @contextmanager
    def _averaged_gradients(self) -> Iterator[None]:
        """Inside, each process steps along the mean of all processes' gradients.

        What averages them must be gone before the process group is: as its last holder it would
        wait for the group's threads without letting them at the interpreter that they need to end.
        """
        if self.worker.world > 1:
            # `_share_buffers` does it before the attack, which comes before the forward pass.
            self.objective.network = DistributedDataParallel(self.model, forward_sync_buffers=False)
        try:
            yield
        finally:
            self.objective.network = self.model

    def _train_step(self) -> float:
        recipe = self.recipe
        epoch, index = divmod(self.step, self.steps_per_epoch)
        batch = self.training.take(self._batch_indices(epoch, index))
        labels = batch.labels.to(self.device)
        x = augment(
            batch.pixels(self.device),
            recipe.crop_padding,
            recipe.flip,
            self._generator("augment", "cpu"),
        )
        self._share_buffers()
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(recipe, self.step, self.steps)
        self.optimizer.zero_grad(set_to_none=True)
        with self._weights_of_this_epoch(epoch):
            with autocast(self.device, recipe.bfloat16):
                loss, logits = self.objective.loss(x, labels, self._adversarial(), self._draw())
            loss.backward()
        self.optimizer.step()
        value = loss.item()
        if not math.isfinite(value):
            raise ConfigError(
                f"The loss is not finite after {self.step} steps; use a lower learning rate."
            )
        correct = (logits.argmax(dim=1) == labels).sum().item()
        for slot, amount in enumerate((value * len(labels), correct, len(labels))):
            self.totals[slot] += amount
        return value

    def _share_buffers(self) -> None:
        """Give all processes the running statistics of the first one, which checkpoints hold."""
        if self.worker.world > 1:
            for buffer in self.model.buffers():
                distributed.broadcast(buffer, 0)

    def _weights_of_this_epoch(self, epoch: int) -> AbstractContextManager[None]:
        late = epoch >= self.recipe.epochs - self.recipe.float16_epochs
        return rounded_to_float16(self.model) if late else nullcontext()

    def _order_of(self, epoch: int) -> Tensor:
        """The training images in the order of one epoch; that of the latest is kept."""
        if self._order is None or self._order[0] != epoch:
            generator = make_generator(derive_seed(self.recipe.seed, "order", epoch))
            self._order = epoch, torch.randperm(len(self.training), generator=generator)
        return self._order[1]

    def _batch_indices(self, epoch: int, index: int) -> Tensor:
        order = self._order_of(epoch)
        start = index * self.recipe.batch_size * self.worker.world
        stop = start + self.recipe.batch_size * self.worker.world
        return order[start + self.worker.rank : stop : self.worker.world]

    def _adversarial(self) -> AdversarialConfig:
        config = self.recipe.adversarial
        config = config.two_steps() if self.guarded else config
        return config.at(self.step / self.steps)

    def _draw(self) -> Draw:
        return Draw(
            device=lambda purpose: self._generator(purpose, self.device),
            shared=lambda purpose: make_generator(
                derive_seed(self.recipe.seed, purpose, self.step), "cpu"
            ),
        )

    def _generator(self, purpose: str, device: torch.device | str) -> torch.Generator:
        seed = derive_seed(self.recipe.seed, purpose, self.step, self.worker.rank)
        return make_generator(seed, device)

    def _finish_epoch(self) -> None:
        loss, correct, count = self.totals
        self.totals = [0.0, 0.0, 0.0]
        epoch = self.step // self.steps_per_epoch
        with self._weights_of_this_epoch(epoch - 1):
            robust = self._validation_robust()
            accuracy = self._validation_accuracy() if self.worker.first else None
        # All of the model as this epoch left it, whether the guard keeps that or not.
        row = {
            "epoch": epoch,
            "step": self.step,
            "seconds": round(self.seconds, 1),
            "learning_rate": round(self.optimizer.param_groups[0]["lr"], 6),
            "train_loss": round(loss / count, 5),
            "train_accuracy": round(correct / count, 5),
            "validation_accuracy": accuracy,
            "validation_robust": robust,
        }
        kept = self._guard(robust)
        if self.step == self.steps and not kept:
            # No epoch is left for the two steps: this one is trained again, and has its row then.
            self.step -= self.steps_per_epoch
            self._save_checkpoint()
            return
        if self.step == self.steps and self.recipe.float16_epochs:
            round_to_float16(self.model)
        if not self.worker.first:
            return
        row["guarded"] = int(self.guarded)
        self._write_metrics([*self._read_metrics(), row])
        self._save_checkpoint()

    @torch.no_grad()
    def _validation_accuracy(self) -> float | None:
        if not len(self.validation):
            return None
        self.model.eval()
        generator = self._generator("validation", self.device)
        correct = 0
        for indices in torch.arange(len(self.validation)).split(self.recipe.batch_size):
            batch = self.validation.take(indices)
            with autocast(self.device, self.recipe.bfloat16):
                logits = self.model(batch.pixels(self.device), generator=generator)
            correct += int((logits.argmax(dim=1).cpu() == batch.labels).sum())
        return round(correct / len(self.validation), 5)

    def _validation_robust(self) -> float | None:
        """Accuracy on the watched images under PGD-10 with fresh noise; None without any."""
        config = self.recipe.adversarial
        watched = min(config.watched, len(self.validation))
        if config.method == "none" or not watched:
            return None
        self._share_buffers()
        self.model.eval()
        correct = 0
        draw, noise = self._draw(), self._generator("watched", self.device)
        for indices in torch.arange(watched).split(self.recipe.batch_size):
            batch = self.validation.take(indices)
            x, labels = batch.pixels(self.device), batch.labels.to(self.device)
            with autocast(self.device, self.recipe.bfloat16):
                attacked = self.objective.attack(x, labels, config.measuring(), draw, {})
                with torch.no_grad():
                    logits = self.model(attacked, generator=noise)
            correct += int((logits.argmax(dim=1) == labels).sum())
        return round(correct / watched, 5)

    def _guard(self, robust: float | None) -> bool:
        """After an epoch of single-step training: keep it (True), or go back to the one before.

        From then on attacks take two steps.

        All processes hold the same model and watch the same images with noise of their own, so
        the first one decides for all.
        """
        if robust is None or self.recipe.adversarial.method != "fgsm" or self.guarded:
            return True
        collapsed = robust < self.recipe.adversarial.guard * self.best_robust
        if self.worker.world > 1:
            verdict = torch.tensor(float(collapsed), device=self.device)
            distributed.broadcast(verdict, 0)
            collapsed = bool(verdict)
        if collapsed:
            self.guarded = True
            state = self._read_epoch()
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            return False
        self.best_robust = max(self.best_robust, robust)
        if self.worker.first:
            state = {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            }
            self._write(self._epoch_file, lambda path: torch.save(state, path))
        return True

    @property
    def _epoch_file(self) -> Path:
        return self.folder / "epoch.pt"

    @property
    def _may_go_back(self) -> bool:
        """True if the guard may still return to the model in `epoch.pt`."""
        config = self.recipe.adversarial
        watching = config.method == "fgsm" and not self.guarded and self.step < self.steps
        return watching and config.guard * self.best_robust > 0

    def _read_epoch(self) -> dict[str, Any]:
        """The model and the optimizer of the latest good epoch. Raises ConfigError."""
        path = self._epoch_file
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            return {name: state[name] for name in ("model", "optimizer")}
        except Exception as error:  # torch.load raises many types for a damaged file
            gone = isinstance(error, FileNotFoundError)
            raise ConfigError(
                f"The file {path}, which the guard of adversarial training may go back to, is "
                f"{'missing' if gone else 'damaged'}; start afresh with --restart."
            ) from error

    def _prepare_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            recipe_file = self.folder / "recipe.json"
            text = json.dumps(self.recipe.to_json(), indent=2)
            if recipe_file.exists() and recipe_file.read_text(encoding="utf-8") != text:
                raise ConfigError(
                    f"{self.folder} holds the run of another recipe; "
                    "choose another --out or start afresh with --restart."
                )
            if self.worker.first:
                write_atomically(recipe_file, lambda path: path.write_text(text, encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"Cannot write to {self.folder}: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"The recipe in {self.folder} is damaged; start afresh with --restart."
            ) from error
        if (self.folder / "checkpoint.pt").exists():
            self._load_checkpoint()

    def _save_checkpoint(self) -> None:
        if not self.worker.first:
            return
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "totals": self.totals,
            "world": self.worker.world,
            "teacher": self.teacher.sha256 if self.teacher else "",
            "data": self._data,
            "best_robust": self.best_robust,
            "guarded": self.guarded,
            "settings": [asdict(each) for each in self.settings],
        }
        self._write(self.folder / "checkpoint.pt", lambda path: torch.save(state, path))

    def _write(self, path: Path, write: Callable[[Path], object]) -> None:
        """Write a file of the run, whole or not at all. Raises ConfigError."""
        try:
            write_atomically(path, write)
        except (OSError, RuntimeError) as error:  # torch.save tells of a full disk by the latter
            reason = error.strerror if isinstance(error, OSError) else "the disk may be full"
            raise ConfigError(f"Cannot write to {path.parent}: {reason}.") from error

    def _load_checkpoint(self) -> None:
        path = self.folder / "checkpoint.pt"
        try:
            state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
            if state["world"] != self.worker.world:
                raise ConfigError(
                    f"{self.folder} was trained by {state['world']} processes; "
                    "resume it with as many."
                )
            if state["teacher"] != (self.teacher.sha256 if self.teacher else ""):
                raise ConfigError(
                    f"The teacher {self.recipe.teacher} has changed since the run in "
                    f"{self.folder} began; start afresh with --restart."
                )
            # Checkpoints of earlier versions do not hold the digest, nor the settings.
            if state.get("data", self._data) != self._data:
                raise OtherImagesError(
                    f"The training images are not those that the run in {self.folder} began with; "
                    "name the data folder of these, or start afresh with --restart."
                )
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.settings = [Setting(**each) for each in state.get("settings", [{}])]
        except ConfigError:
            raise
        except Exception as error:  # torch.load raises many types for a damaged file
            raise ConfigError(
                f"The checkpoint {path} is damaged; start afresh with --restart."
            ) from error
        self.step, self.seconds, self.totals = state["step"], state["seconds"], state["totals"]
        self.best_robust, self.guarded = state["best_robust"], state["guarded"]
        if self._may_go_back:
            self._read_epoch()  # Better now than after hours of training.
        if self.worker.first:
            self._write_metrics(
                [row for row in self._read_metrics() if int(row["step"]) <= self.step]
            )

    def _check_same_step(self) -> None:
        """Raise ConfigError, in all processes, if they do not go on from one checkpoint."""
        if self.worker.world == 1:
            return
        bounds = torch.tensor([self.step, -self.step], device=self.device)
        distributed.all_reduce(bounds, distributed.ReduceOp.MAX)
        latest, earliest = bounds[0].item(), -bounds[1].item()
        if latest != earliest:
            raise ConfigError(
                f"The processes go on from different steps ({earliest} and {latest}); "
                f"all machines must share the folder {self.folder}."
            )

    def _read_metrics(self) -> list[dict[str, Any]]:
        path = self.folder / "metrics.csv"
        if not path.exists():
            return []
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows: list[dict[str, Any]] = list(csv.DictReader(file))
            for row in rows:
                int(row["step"])
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise ConfigError(
                f"The curve {path} is damaged; start afresh with --restart."
            ) from error
        return rows

    def _write_metrics(self, rows: list[dict[str, Any]]) -> None:
        def write(path: Path) -> None:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, METRICS)
                writer.writeheader()
                writer.writerows(rows)

        self._write(self.folder / "metrics.csv", write)


def _parameter_groups(model: SpikingClassifier, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay on weights alone: biases and batch norms (1-D) go without."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    free = [p for p in model.parameters() if p.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
