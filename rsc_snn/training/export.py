"""From a finished run to a model of the zoo: round, measure, write weights, card and curve."""

from __future__ import annotations

import math
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

import rsc_snn
from rsc_snn.classifier import SpikingClassifier, build_classifier
from rsc_snn.data import ImageSet, data_root, dataset_spec, load_dataset
from rsc_snn.data.streaming import ImageStream, is_streamed, open_stream
from rsc_snn.errors import ConfigError, ZooError
from rsc_snn.evaluate import accuracy_estimate, evaluate_accuracy
from rsc_snn.files import try_folder, write_atomically
from rsc_snn.randomness import derive_seed
from rsc_snn.training.loop import Trainer, Worker
from rsc_snn.training.recipe import Recipe
from rsc_snn.training.setting import devices_text, versions_text
from rsc_snn.zoo import (
    ClassAccuracy,
    CleanAccuracy,
    Float32Accuracy,
    ModelCard,
    TrainingFacts,
    Zoo,
    models_folder,
    save_model,
    to_shipped_precision,
)

# Draws of a stochastic model: enough for _PASSES of all images, within bounds.
_DRAWS, _MOST_DRAWS = 4, 16
_PASSES = 20_000
_SEED = 0
_BATCH = 125
# Images of a stream in memory at a time: 600 MB at 224 pixels.
_PART = 4000


def as_shipped(model: SpikingClassifier) -> SpikingClassifier:
    """A frozen copy whose weights went through the precision in which models ship."""
    return _frozen_copy(model, to_shipped_precision(model))


def as_trained(model: SpikingClassifier) -> SpikingClassifier:
    """A frozen copy with the weights as they are, in float32."""
    return _frozen_copy(model, model.state_dict())


def _frozen_copy(model: SpikingClassifier, tensors: dict[str, Tensor]) -> SpikingClassifier:
    copy = build_classifier(model.config)
    weights = {name: value.float() for name, value in tensors.items()}
    copy.load_state_dict({**copy.state_dict(), **weights})
    return copy.freeze().to(next(model.parameters()).device)


def clean_scores(model: SpikingClassifier, test: ImageSet | ImageStream) -> Tensor:
    """Each image's share of right draws `[n]`, single passes; see `rsc_snn.evaluate`.

    The noise is the same for every model with one coding.
    """
    draws = _draws(model, test)
    parts: Iterable[ImageSet] = [test] if isinstance(test, ImageSet) else test.parts(_PART)
    scores = [
        evaluate_accuracy(
            model,
            part.images,
            part.labels,
            draws=draws,
            seed=derive_seed(_SEED, "part", index) if index else _SEED,
            batch_size=_BATCH,
        ).clean_scores
        for index, part in enumerate(parts)
    ]
    return torch.cat(scores)


def clean_accuracy(model: SpikingClassifier, test: ImageSet | ImageStream) -> CleanAccuracy:
    """Single-pass accuracy on a test split, the mean over draws; see `rsc_snn.evaluate`."""
    return _overall(model, test, clean_scores(model, test))


def _overall(
    model: SpikingClassifier, test: ImageSet | ImageStream, scores: Tensor
) -> CleanAccuracy:
    draws = _draws(model, test)
    estimate = accuracy_estimate(scores, draws)
    return CleanAccuracy(
        value=estimate.value,
        lower=estimate.lower,
        upper=estimate.upper,
        n=estimate.n,
        confidence=estimate.confidence,
        draws=draws,
        seed=_SEED,
        split=test.split,
        note=test.note,
    )


def class_accuracy(
    scores: Tensor, labels: Tensor, classes: int, draws: int
) -> tuple[ClassAccuracy, ...]:
    """The accuracy of each class from images' scores `[n]` and labels `[n]`.

    Raises DataError if a class has no image.
    """
    estimates = [accuracy_estimate(scores[labels == label], draws) for label in range(classes)]
    return tuple(ClassAccuracy(e.value, e.lower, e.upper, e.n) for e in estimates)


def _draws(model: SpikingClassifier, test: ImageSet | ImageStream) -> int:
    """More for fewer images: the noise of few passes would hide what float16 changes."""
    if not model.coding.stochastic:
        return 1
    return min(max(_DRAWS, math.ceil(_PASSES / len(test))), _MOST_DRAWS)


def export_run(
    trainer: Trainer,
    train_note: str,
    data: Path | None,
    folder: Path,
    *,
    recipe_file: Path | None = None,
    teachers: Zoo | None = None,
) -> ModelCard:
    """Measure the model of a finished run on the test split and write it to `folder`.

    data: the data folder. recipe_file: where the recipe was read (None: the program's of its name).
    teachers: the models that its teacher is among (None: the app's). Raises ConfigError if the run
    is not finished, DataError without a test split, ZooError if the folder cannot be written.
    """
    recipe = trainer.recipe
    if trainer.step < trainer.steps:
        raise ConfigError(f"The run of {recipe.name} is not finished; train it to its end first.")
    test = test_images(recipe, data)
    shipped = as_shipped(trainer.model)
    scores = clean_scores(shipped, test)
    exact = float(clean_scores(as_trained(trainer.model), test).double().mean())
    clean = _overall(shipped, test, scores)
    _save_curve(trainer, folder)  # A kill in between must not leave a card without its curve.
    return save_model(
        trainer.model,
        name=recipe.name,
        label=recipe.label,
        dataset=recipe.dataset,
        classes=test.classes,
        training=_facts(trainer, train_note, _command(trainer, folder, recipe_file, teachers)),
        clean_accuracy=clean,
        limits=limits_text(recipe, guarded=trainer.guarded),
        folder=folder,
        class_accuracy=class_accuracy(scores, test.labels, len(test.classes), clean.draws),
        float32_accuracy=Float32Accuracy(exact, clean.value - exact),
    )


def check_writable(folder: Path) -> None:
    """Raise ZooError if models cannot be written to `folder`."""
    try:
        try_folder(folder)
    except OSError as error:
        raise ZooError(f"Cannot write to {folder}: {error.strerror}.") from error


def _save_curve(trainer: Trainer, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(
            folder / f"{trainer.recipe.name}.csv",
            lambda path: shutil.copyfile(trainer.folder / "metrics.csv", path),
        )
    except OSError as error:
        raise ZooError(f"Cannot write to {folder}: {error.strerror}.") from error


def test_images(recipe: Recipe, data: Path | None) -> ImageSet | ImageStream:
    """The test split of a recipe's data, whole. Raises DataError."""
    size = recipe.model.image_size
    if is_streamed(recipe.dataset):
        return open_stream(recipe.dataset, "test", data_root() if data is None else data, size)
    return load_dataset(recipe.dataset, "test", data, size)


def _command(trainer: Trainer, folder: Path, recipe_file: Path | None, teachers: Zoo | None) -> str:
    """What trains the model again. Places of this machine alone are left out of it."""
    recipe = trainer.recipe
    shown = f"rsc_snn/recipes/{recipe.name}.toml"
    if recipe_file is not None:
        file, own = recipe_file.resolve(), Path(rsc_snn.__file__).resolve().parent
        shown = file.relative_to(own.parent).as_posix() if own in file.parents else file.name
    # Of a data set that has a name the folder is found; any other has to be named.
    known = is_streamed(recipe.dataset) or dataset_spec(recipe.dataset).folders
    data = "" if known else " --data FOLDER"
    here, ships = folder.resolve(), models_folder().resolve()
    # Where its teacher is looked for without being told.
    source = teachers.origin(recipe.teacher) if recipe.teacher and teachers else ships
    elsewhere = source.resolve() not in (here, ships)
    target = "assets/models" if here == ships else here.name
    return (
        f"{launcher(trainer.worker)} -m rsc_snn train {shlex.quote(shown)} --scale {recipe.scale} "
        f"--seed {recipe.seed}{data}{' --zoo FOLDER' if elsewhere else ''} "
        f"--export {shlex.quote(target)}"
    )


def _facts(trainer: Trainer, note: str, command: str) -> TrainingFacts:
    recipe, teacher = trainer.recipe, trainer.teacher
    return TrainingFacts(
        recipe=recipe.to_json(),
        epochs=recipe.epochs,
        seed=recipe.seed,
        seconds=round(trainer.seconds, 1),
        device=devices_text(trainer.settings),
        versions=versions_text(trainer.settings),
        command=command,
        note=note,
        scale=recipe.scale,
        teacher=recipe.teacher,
        teacher_sha256=teacher.sha256 if teacher else "",
        adversarial=recipe.adversarial.method,
    )


def launcher(worker: Worker) -> str:
    """What starts as many processes on as many machines; HOST is one of these."""
    if worker.world == 1:
        return "python"
    each = f"--nproc-per-node {worker.world // worker.machines}"
    if worker.machines == 1:
        return f"torchrun {each}"
    meeting = "--rdzv-backend c10d --rdzv-endpoint HOST:29400"
    return f"torchrun --nnodes {worker.machines} {each} {meeting}"


def limits_text(recipe: Recipe, *, guarded: bool = False) -> str:
    """What a model cannot do, as its recipe tells it.

    guarded: the guard against catastrophic overfitting changed the adversarial training.
    """
    size = "A small network" if recipe.scale == "cpu" else "A network of moderate size"
    epochs = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
    return " ".join(
        [
            f"{size}, trained for {epochs}: a model to teach and explore with, not the paper's.",
            _noise_known(recipe),
            *_time_steps_known(recipe),
            _attacks_known(recipe, guarded),
            *_learned_from(recipe),
        ]
    )


def _noise_known(recipe: Recipe) -> str:
    if recipe.sigma_range:
        low, high = recipe.sigma_range
        return f"It was trained at sigma {low:g} to {high:g}; it has not seen other levels."
    return {
        "direct": "It knows only images without noise.",
        "poisson": "It knows only Poisson-coded images.",
        "rsc": f"It was trained at sigma {recipe.model.sigma:g} alone; higher levels cost "
        "accuracy, lower ones may.",
    }[recipe.model.coding]


def _time_steps_known(recipe: Recipe) -> list[str]:
    if not recipe.model.has_time:
        return []
    choices = recipe.time_steps_choices or (recipe.model.time_steps,)
    known = ", ".join(map(str, sorted(choices)))
    return [f"Time steps it was trained with: {known}."]


def _attacks_known(recipe: Recipe, guarded: bool) -> str:
    adversarial = recipe.adversarial
    if adversarial.method == "none":
        return "It was trained without adversarial images."
    size = f"epsilon {adversarial.epsilon:g}/255 in the L-infinity norm"
    attack = {
        "fgsm": f"one-step attacks from random starts (FGSM, {size})",
        "pgd": f"PGD attacks of {adversarial.steps} steps ({size})",
        "trades": f"TRADES with attacks of {adversarial.steps} steps ({size})",
    }[adversarial.method]
    text = f"It was trained against {attack}; it has not seen other norms or larger changes."
    if guarded:
        text += (
            " The one-step attacks were overfitted on the way, so training went back by an epoch "
            "and on with two-step attacks."
        )
    return text


def _learned_from(recipe: Recipe) -> list[str]:
    ways = [
        way
        for way, used in (
            ("its answers", recipe.distillation),
            ("the currents of its layers", recipe.presynaptic),
            ("its weights as a start", recipe.teacher_weights),
        )
        if used
    ]
    if not ways:
        return []
    listed = " and ".join([", ".join(ways[:-1]), ways[-1]] if len(ways) > 1 else ways)
    return [f"From {recipe.teacher} it took {listed}, errors included."]
