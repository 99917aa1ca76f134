"""From a recipe to a model of the zoo, and from a folder of recipes to the whole zoo.

`train_recipe` trains and exports one recipe. `plan` says which recipes of a folder need it, in
which order, and why; `train_all` does what the plan says. Every model has a run folder of its own,
so a batch that was killed goes on where it was.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from tqdm import tqdm

from rsc_snn.data import data_root, dataset_spec, load_dataset
from rsc_snn.data.readers import find_source
from rsc_snn.data.streaming import (
    CROPS_NOTE,
    ImageStream,
    is_streamed,
    open_stream,
    stream_classes,
)
from rsc_snn.data.streaming import NAME as IMAGENET
from rsc_snn.device import describe_device, keep_freed_memory, pick_device, use_threads
from rsc_snn.errors import ConfigError, DataError, OtherImagesError, RscSnnError, ZooError
from rsc_snn.training.export import check_writable, export_run, test_images
from rsc_snn.training.lock import alone_in
from rsc_snn.training.loop import RUN_FILES, Progress, Trainer, TrainingData, Worker, join_workers
from rsc_snn.training.recipe import SCALES, Recipe, read_recipe
from rsc_snn.training.streamed import StreamTrainer
from rsc_snn.training.teacher import Teacher, load_teacher, unlike
from rsc_snn.zoo import ModelCard, Zoo, named_zoo, own_folders


def prepare_device(name: str | None, threads: int | None) -> torch.device:
    """The device to train on, and the CPU set up for it. Raises ConfigError."""
    if threads is not None:
        use_threads(threads)
    device = pick_device(name)
    if device.type == "cpu":
        keep_freed_memory()
    return device


def default_scale(device: torch.device) -> str:
    """The scale of recipes that suits a device."""
    return "gpu" if device.type == "cuda" else "cpu"


def _from(scale: str) -> list[str]:
    return [scale, *(other for other in SCALES if other != scale)]


# --- One recipe --------------------------------------------------------------------------------


def read_fitting(path: Path, device: torch.device, teachers: Zoo | None, **changes: Any) -> Recipe:
    """The recipe in a file at the scale that suits a device and the teacher that is at hand.

    teachers: the models that its teacher is among (None: the app's). changes: as for `read_recipe`.
    Raises ConfigError.
    """
    first, *others = _from(default_scale(device))
    recipe = read_recipe(path, first, **changes)
    if not recipe.teacher:
        return recipe
    try:
        card = (teachers or named_zoo(None)).card(recipe.teacher)
    except ZooError:  # `load_teacher` says so.
        return recipe
    return _twin_of(card, (recipe, *(read_recipe(path, scale, **changes) for scale in others)))


def _twin_of(teacher: ModelCard, variants: tuple[Recipe, ...]) -> Recipe:
    """The first variant that can learn from a teacher; the first of all if none can."""
    return next((each for each in variants if not unlike(each, teacher)), variants[0])


def teacher_zoo(recipe: Recipe, export: Path | None, named: Sequence[Path] = ()) -> Zoo | None:
    """The models that a recipe's teacher is looked for among; None if it has no teacher.

    Those of the folder that the model is exported to, if the teacher is there, else the app's; then
    those of RSC_SNN_ZOO and of the `named` folders. Raises ZooError for a folder that does not
    exist, ConfigError if a named one has the teacher and so has an earlier place: hours of training
    must not go into learning from the wrong one.
    """
    if not recipe.teacher:
        return None
    there = export is not None and export.is_dir() and recipe.teacher in named_zoo(export).names()
    zoo = named_zoo(export if there else None, own_folders(named))
    meant = {folder.resolve() for folder in named}
    for folder in zoo.folders:
        hidden = zoo.problems().get(str(folder / recipe.teacher))
        if hidden and folder.resolve() in meant:
            raise ConfigError(hidden)
    return zoo


def train_recipe(
    recipe: Recipe,
    run: Path,
    device: torch.device,
    *,
    data: Path | None = None,
    teachers: Zoo | None = None,
    export: Path | None = None,
    restart: bool = False,
    recipe_file: Path | None = None,
) -> ModelCard | None:
    """Train in the folder `run`, from its checkpoint if it has one; then export, if asked to.

    data: the data folder. teachers: the models that its teacher is among (None: the app's).
    restart: discard the files of an earlier run. recipe_file: where the recipe was read, for the
    card (None: the program's file of its name). Returns the card, in the first process alone, if it
    exported. Raises ConfigError if an earlier run cannot be discarded or another process trains in
    `run`, ZooError if `export` cannot be written, DataError if the test split has other classes,
    and what `Trainer`, `load_dataset`, `load_teacher` and `export_run` raise.
    """
    images, classes, note = training_images(recipe, data)
    if export is not None:  # Hours of training must not end in what was known before.
        check_writable(export)
        _check_test_classes(recipe, classes, data)
    if len(classes) != recipe.model.num_classes:
        raise ConfigError(
            f"The data has {len(classes)} classes, the recipe's model {recipe.model.num_classes}."
        )
    with ExitStack() as until_exported:
        with join_workers(device) as worker:
            teacher = load_teacher(recipe, teachers, device)
            until_exported.enter_context(alone_in(run, worker, device))
            if restart:
                _discard(run, worker)
            trainer = make_trainer(recipe, images, run, device, worker, teacher)
            if worker.first:
                state = "finished run" if trainer.step == trainer.steps else "run"
                place = f"{describe_device(device)}, {state} in {run}"
                print(f"{recipe.name}: {len(images)} images, {place}")
            with _progress_bar(trainer) as show:
                trainer.run(show)
        if export is None or not worker.first:
            return None
        card = export_run(trainer, note, data, export, recipe_file=recipe_file, teachers=teachers)
    clean = card.clean_accuracy
    measured = "" if clean is None else f"{clean.value:.2%} clean, "
    print(f"{card.name}: {measured}written to {export}")
    return card


def _check_test_classes(recipe: Recipe, classes: tuple[str, ...], data: Path | None) -> None:
    """Raise DataError unless the test split is there, with the classes of the training split."""
    if is_streamed(recipe.dataset):
        found = test_images(recipe, data).classes
    else:
        found = load_dataset(recipe.dataset, "test", data, recipe.model.image_size, 1).classes
    if found != classes:
        strange = sorted({*found} ^ {*classes}) or found
        raise DataError(
            f"The training and the test images are of different classes ({', '.join(strange[:5])})."
        )


def training_images(
    recipe: Recipe, data: Path | None
) -> tuple[TrainingData | ImageStream, tuple[str, ...], str]:
    """(images, classes, what training sees) of a recipe's training split. Raises DataError."""
    size, limit = recipe.model.image_size, recipe.limit or None
    if is_streamed(recipe.dataset):
        root = data_root() if data is None else data
        stream = open_stream(recipe.dataset, "train", root, size, limit=limit, seed=recipe.seed)
        return stream, stream.classes, CROPS_NOTE
    loaded = load_dataset(recipe.dataset, "train", data, size, limit)
    return TrainingData(loaded.images, loaded.labels), loaded.classes, loaded.note


def make_trainer(
    recipe: Recipe,
    images: TrainingData | ImageStream,
    run: Path,
    device: torch.device,
    worker: Worker,
    teacher: Teacher | None,
) -> Trainer:
    """The trainer that suits where the images are."""
    if isinstance(images, ImageStream):
        return StreamTrainer(recipe, images, run, device, worker, teacher)
    return Trainer(recipe, images, run, device, worker, teacher=teacher)


def _discard(run: Path, worker: Worker) -> None:
    """Remove the files of an earlier run, and nothing else of the folder. Raises ConfigError."""
    if worker.first:
        try:
            for name in RUN_FILES:
                (run / name).unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"Cannot discard the run in {run}: {error.strerror}.") from error
    if worker.world > 1:
        distributed.barrier()  # Nobody looks for a checkpoint before it is gone.


@contextmanager
def _progress_bar(trainer: Trainer) -> Iterator[Progress]:
    with tqdm(
        total=trainer.steps,
        initial=trainer.step,
        unit="step",
        disable=not trainer.worker.first,
        mininterval=1.0,
    ) as bar:

        def show(step: int, steps: int, loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(step - bar.n)

        yield show


# --- A folder of recipes -----------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """One recipe of a plan.

    reason: why it is to be trained, "" if its model is up to date. obstacle: why it cannot be
    trained, "" if it can. asked: it was named, and is trained whatever the zoo holds.
    """

    recipe: Recipe
    reason: str = ""
    obstacle: str = ""
    asked: bool = False

    @property
    def to_do(self) -> bool:
        """True if it is to be trained and can be."""
        return bool(self.reason) and not self.obstacle

    def line(self) -> str:
        """What will be done, for a person."""
        name = self.recipe.name
        if not self.reason:
            return f"keep   {name}: up to date"
        if self.obstacle:
            return f"skip   {name}: {self.obstacle}"
        return f"train  {name} ({self.recipe.scale} scale): {self.reason}"


Recipes = Mapping[str, tuple[Recipe, ...]]
# A run goes on where it is, be that its end.
_IF_FINISHED = "; a finished run is exported again, --restart trains anew"


def read_recipes(folder: Path, scale: str, *, strict: bool) -> Recipes:
    """By name, the variants of each recipe of a folder whose models are kept, in order.

    The first is the one at `scale`, by which a missing model is trained; unless `strict`, a model
    of another scale is as good. Raises ConfigError if a recipe is wrong or there is none.
    """
    scales = [scale] if strict else _from(scale)
    recipes: dict[str, tuple[Recipe, ...]] = {}
    for path in sorted(folder.glob("*.toml")):
        variants = tuple(read_recipe(path, each) for each in scales)
        for recipe in variants:
            if recipe.name != path.stem:
                raise ConfigError(
                    f"The recipe {path} is called {recipe.name!r}; it must be called like its file."
                )
        recipes[path.stem] = variants
    if not recipes:
        raise ConfigError(f"There are no recipes in {folder}.")
    return recipes


def plan(
    recipes: Recipes,
    zoo: Zoo | None,
    names: Collection[str] = (),
    *,
    missing: bool,
    obstacle: Callable[[Recipe], str],
    restart: bool = False,
) -> list[Task]:
    """What to do about `names` (none: all recipes) and their teachers, teachers first.

    With `missing`, recipes whose model is in `zoo` and up to date are kept; without, those named
    are trained all the same. A teacher that nobody named is trained if it is missing.
    A student whose teacher is kept is trained at the scale at which it is the teacher's twin.
    `obstacle(recipe)` says what it lacks, "" for nothing. restart: as for `train_all`. Raises
    ConfigError for an unknown name and for recipes that teach each other.
    """
    unknown = [name for name in names if name not in recipes]
    if unknown:
        raise ConfigError(
            f"There is no recipe called {unknown[0]!r}; there are {', '.join(recipes)}."
        )
    tasks: dict[str, Task] = {}
    for name in teachers_first(recipes, names or recipes):
        variants = recipes[name]
        asked = not missing and name in names
        teacher = tasks.get(variants[0].teacher)
        recipe = _of_its_teachers_size(variants, teacher, zoo)
        reason = reason_to_train(variants, zoo)
        if teacher is not None and teacher.to_do:
            reason = reason or f"its teacher {recipe.teacher} is trained first"
        if asked:
            reason = reason or f"asked for{'' if restart else _IF_FINISHED}"
        tasks[name] = Task(recipe, reason, _lacks(recipe, teacher, zoo, obstacle), asked)
    return list(tasks.values())


def _of_its_teachers_size(
    variants: tuple[Recipe, ...], teacher: Task | None, zoo: Zoo | None
) -> Recipe:
    """The first variant that can learn from its teacher as it is; the first of all if none can.

    Models of two sizes in one zoo could not be compared, nor could one teach the other.
    """
    name = variants[0].teacher
    stays = zoo is not None and name in zoo.names() and not (teacher is not None and teacher.to_do)
    if zoo is None or not stays:
        return variants[0]
    return _twin_of(zoo.card(name), variants)


def teachers_first(recipes: Recipes, names: Iterable[str]) -> list[str]:
    """`names` and the recipes of their teachers, each after its teacher. Raises ConfigError."""
    ordered: dict[str, None] = {}

    def visit(name: str, students: tuple[str, ...]) -> None:
        if name in students:
            raise ConfigError(f"The recipe {name} is its own teacher, by way of {students[-1]}.")
        teacher = recipes[name][0].teacher
        if teacher in recipes:
            visit(teacher, (*students, name))
        ordered.setdefault(name)

    for name in names:
        visit(name, ())
    return list(ordered)


def reason_to_train(variants: tuple[Recipe, ...], zoo: Zoo | None) -> str:
    """Why the model in `zoo` is not the one that one of `variants` makes; "" if it is.

    The first variant's differences are the ones told.
    """
    name = variants[0].name
    if zoo is None or (name not in zoo.names() and name not in zoo.problems()):
        return "it has no model yet"
    try:
        card = zoo.card(name)
        zoo.weights(name)
    except ZooError as error:
        return str(error).rstrip(".")
    if card.training is None:
        return "its card does not state its training"
    try:
        made = Recipe.from_values(card.training.recipe)
    except RscSnnError:
        return "its card does not hold its recipe"
    differences = [changed_fields(made, recipe) for recipe in variants]
    if all(differences):
        return f"its recipe has changed ({', '.join(differences[0])})"
    learned_from = card.training.teacher_sha256
    known = bool(learned_from) and made.teacher in zoo.names()
    if known and zoo.card(made.teacher).sha256 != learned_from:
        return f"its teacher {made.teacher} has changed"
    return ""


def changed_fields(old: Recipe, new: Recipe) -> list[str]:
    """Names of the fields that differ, such as `epochs` or `model.widths`.

    The name of the scale is none of them: what it changes is in the other fields.
    """
    before, after = _flat(old.to_json()), _flat(new.to_json())
    return sorted(name for name in after if before[name] != after[name] and name != "scale")


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        nested = isinstance(value, Mapping)
        flat |= _flat(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return flat


def _lacks(
    recipe: Recipe, teacher: Task | None, zoo: Zoo | None, obstacle: Callable[[Recipe], str]
) -> str:
    if lack := obstacle(recipe):
        return lack
    if not recipe.teacher:
        return ""
    if teacher is None and (zoo is None or recipe.teacher not in zoo.names()):
        return f"its teacher {recipe.teacher} has neither a recipe nor a model"
    if teacher is not None and teacher.reason and teacher.obstacle:
        return f"its teacher {recipe.teacher} cannot be trained"
    return ""


def data_obstacle(recipe: Recipe, root: Path) -> str:
    """Why the data of a recipe cannot be had from the data folder `root`; "" if it can."""
    try:
        if is_streamed(recipe.dataset):
            return _wrong_classes(recipe, len(stream_classes(recipe.dataset, root)))
        spec = dataset_spec(recipe.dataset)
        found = find_source(spec, root)
    except DataError as error:
        return str(error).rstrip(".")
    return "" if found else f"there is no {spec.label} data in {str(root)!r}"


def too_long(recipe: Recipe) -> str:
    """Why a batch of all recipes leaves this one out; "" if it does not."""
    if recipe.dataset != IMAGENET:
        return ""
    return "it trains for days; give its name to train it here, or use torchrun"


def _wrong_classes(recipe: Recipe, count: int) -> str:
    """Why data of so many classes are not the recipe's: the data folder may hold another set."""
    wanted = recipe.model.num_classes
    noun = "class" if count == 1 else "classes"
    return "" if count == wanted else f"its data has {count:,} {noun}, its model {wanted:,}"


@dataclass(frozen=True)
class Places:
    """Where a batch finds what it needs and leaves what it makes.

    data: the data folder. runs: the folder of run folders. models: the zoo's folder, where
    teachers are as well. recipes: the folder of recipes (None: the program's).
    """

    data: Path
    runs: Path
    models: Path
    recipes: Path | None = None

    def zoo(self) -> Zoo | None:
        """The zoo as it is now; None before the first model."""
        return named_zoo(self.models) if self.models.is_dir() else None


def train_all(
    tasks: Iterable[Task],
    recipes: Recipes,
    places: Places,
    device: torch.device,
    *,
    restart: bool = False,
) -> set[str]:
    """Train and export what a plan says; returns the names of those that failed.

    restart: none goes on with an earlier run; such runs are renamed.
    One that fails is a line on stderr and does not stop the others, but for its students.
    """
    failed: set[str] = set()
    for task in tasks:
        recipe = task.recipe
        if not task.to_do:
            continue
        zoo = places.zoo()
        if not task.asked and not reason_to_train(recipes[recipe.name], zoo):
            continue  # Its teacher came out the same, or another process was here.
        try:
            _check_teacher(recipe, failed)
            run = places.runs / recipe.name
            if restart and run.exists():
                print(f"{recipe.name}: the earlier run is now in {_rename(run)}")
            elif moved := put_aside(run, recipe, zoo):
                print(f"{recipe.name}: the run of another recipe or teacher is now in {moved}")
            try:
                _train_in(places, run, recipe, device)
            except OtherImagesError:
                print(f"{recipe.name}: the run on other images is now in {_rename(run)}")
                _train_in(places, run, recipe, device)
        except RscSnnError as error:
            failed.add(recipe.name)
            print(f"{recipe.name}: {error}", file=sys.stderr)
    return failed


def _train_in(places: Places, run: Path, recipe: Recipe, device: torch.device) -> None:
    """Train and export one recipe. Raises what `train_recipe` does."""
    train_recipe(
        recipe,
        run,
        device,
        data=places.data,
        teachers=places.zoo(),
        export=places.models,
        recipe_file=places.recipes / f"{recipe.name}.toml" if places.recipes else None,
    )


def _check_teacher(recipe: Recipe, failed: Container[str]) -> None:
    if recipe.teacher in failed:
        raise ConfigError(f"Its teacher {recipe.teacher} could not be trained.")


def put_aside(run: Path, recipe: Recipe, zoo: Zoo | None) -> Path | None:
    """Rename a run folder that holds the run of another recipe or teacher; its new name, if so.

    Raises ConfigError if it cannot be renamed.
    """
    return _rename(run) if _is_another(run, recipe, zoo) else None


def _rename(run: Path) -> Path:
    """Give a run folder another name; the new one. Raises ConfigError, also if it is in use."""
    number = 1
    while (target := run.with_name(f"{run.name}-old-{number}")).exists():
        number += 1
    try:
        with alone_in(run, Worker(), torch.device("cpu")):
            return run.rename(target)
    except OSError as error:
        raise ConfigError(f"Cannot rename {run}: {error.strerror}.") from error


def _is_another(run: Path, recipe: Recipe, zoo: Zoo | None) -> bool:
    """True if a run folder holds another recipe's run, or that of another teacher.

    Whether it began with these images only `Trainer` can tell, which reads them.
    """
    try:
        if json.loads((run / "recipe.json").read_text(encoding="utf-8")) != _as_json(recipe):
            return True
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    if not recipe.teacher or zoo is None or recipe.teacher not in zoo.names():
        return False
    try:
        state = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    except Exception:  # A damaged checkpoint: `Trainer` says so.
        return False
    return bool(state.get("teacher") != zoo.card(recipe.teacher).sha256)


def _as_json(recipe: Recipe) -> Any:
    return json.loads(json.dumps(recipe.to_json()))
