"""From a finished run to a model of the zoo: round, measure, write weights, card and curve."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path

import torch

import rsc_snn
from rsc_snn.classifier import SpikingClassifier, build_classifier
from rsc_snn.data import ImageSet, load_dataset
from rsc_snn.device import describe_device
from rsc_snn.errors import ConfigError
from rsc_snn.evaluate import evaluate_accuracy
from rsc_snn.training.loop import Trainer
from rsc_snn.training.recipe import Recipe
from rsc_snn.zoo import CleanAccuracy, ModelCard, TrainingFacts, save_model, to_shipped_precision

_DRAWS = 4
_SEED = 0
_BATCH = 125


def as_shipped(model: SpikingClassifier) -> SpikingClassifier:
    """A frozen copy whose weights went through the precision in which models ship."""
    copy = build_classifier(model.config)
    tensors = {name: value.float() for name, value in to_shipped_precision(model).items()}
    copy.load_state_dict({**copy.state_dict(), **tensors})
    return copy.freeze().to(next(model.parameters()).device)


def clean_accuracy(model: SpikingClassifier, test: ImageSet) -> CleanAccuracy:
    """Single-pass accuracy on a test split, the mean over draws; see `rsc_snn.evaluate`."""
    draws = _DRAWS if model.coding.stochastic else 1
    result = evaluate_accuracy(
        model, test.images, test.labels, draws=draws, seed=_SEED, batch_size=_BATCH
    )
    return CleanAccuracy(
        value=result.clean.value,
        lower=result.clean.lower,
        upper=result.clean.upper,
        n=result.n,
        confidence=result.clean.confidence,
        draws=draws,
        seed=_SEED,
        split=test.split,
        note=test.note,
    )


def export_run(trainer: Trainer, train_note: str, data: Path | None, folder: Path) -> ModelCard:
    """Measure the model of a finished run on the test split and write it to `folder`.

    Raises ConfigError if the run is not finished, DataError without a test split, ZooError if the
    folder cannot be written.
    """
    recipe = trainer.recipe
    if trainer.step < trainer.steps:
        raise ConfigError(f"The run of {recipe.name} is not finished; train it to its end first.")
    test = load_dataset(recipe.dataset, "test", data, recipe.model.image_size)
    card = save_model(
        trainer.model,
        name=recipe.name,
        label=recipe.label,
        dataset=recipe.dataset,
        classes=test.classes,
        training=TrainingFacts(
            recipe=recipe.to_json(),
            epochs=recipe.epochs,
            seed=recipe.seed,
            seconds=round(trainer.seconds, 1),
            device=_device_name(trainer.device),
            versions={
                "rsc_snn": rsc_snn.__version__,
                "torch": torch.__version__,
                "spikingjelly": metadata.version("spikingjelly"),
            },
            command=f"python -m rsc_snn train rsc_snn/recipes/{recipe.name}.toml "
            "--export assets/models",
            note=train_note,
        ),
        clean_accuracy=clean_accuracy(as_shipped(trainer.model), test),
        limits=_limits(recipe),
        folder=folder,
    )
    shutil.copyfile(trainer.folder / "metrics.csv", folder / f"{recipe.name}.csv")
    return card


def _device_name(device: torch.device) -> str:
    """The device without its number of threads, which a resumed run may have changed."""
    return "CPU" if device.type == "cpu" else describe_device(device)


def _limits(recipe: Recipe) -> str:
    noise = {
        "direct": "It knows images without noise alone.",
        "poisson": "It knows Poisson-coded images alone.",
        "rsc": f"It was trained at sigma {recipe.model.sigma:g} alone; other levels cost accuracy.",
    }[recipe.model.coding]
    return (
        f"A small network trained for {recipe.epochs} epochs without adversarial training: a model "
        f"to teach and explore with, not the paper's. {noise}"
    )
