"""`zoo evaluate` and `zoo results`: measure the robustness of the zoo, print its tables."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsc_snn.errors import ConfigError, DataError, RscSnnError, ZooError
from rsc_snn.files import write_atomically
from rsc_snn.robustness.suite import CLEAN, SUITE, Settings, attack_label

if TYPE_CHECKING:
    import torch
    from tqdm import tqdm

    from rsc_snn.robustness.cells import Cell, Subject
    from rsc_snn.robustness.store import Row
    from rsc_snn.zoo import Zoo


def add_evaluate(actions: Any) -> None:
    """Register `zoo evaluate`."""
    default = Settings()
    parser = actions.add_parser(
        "evaluate",
        help="measure the models under the suite of attacks; goes on where it was",
        description="Measure clean accuracy and robustness of every model whose data is at hand, "
        "and write them to the table of results. Started again after Ctrl-C or a kill, the command "
        "goes on where it was.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these models")
    parser.add_argument(
        "--missing", action="store_true", help="only what the table of results has not got yet"
    )
    parser.add_argument(
        "--images",
        type=int,
        default=default.images,
        help="size of the random subset that all attacks but FGSM see (default: %(default)s)",
    )
    parser.add_argument(
        "--epsilons",
        type=float,
        nargs="+",
        default=default.epsilons,
        metavar="E",
        help="sizes of the attacks in 255ths (default: 2 4 8)",
    )
    parser.add_argument(
        "--attacks",
        nargs="+",
        default=default.attacks,
        metavar="NAME",
        help=f"attacks of the suite (default: all of {', '.join(SUITE)})",
    )
    parser.add_argument(
        "--draws",
        type=int,
        default=default.draws,
        help="fresh draws to score stochastic models on (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=default.seed, help="seed (default: 0)")
    parser.add_argument(
        "--batch-size",
        type=int,
        default=default.batch_size,
        help="images a batch; part of what decides the numbers (default: %(default)s)",
    )
    parser.add_argument("--data", type=Path, help="data folder (default: RSC_SNN_DATA or data/)")
    parser.add_argument("--device", help="cuda, mps or cpu (default: the best there is)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument(
        "--folder", type=Path, help="the folder of models (default: that of the app)"
    )
    _add_results_folder(parser)
    parser.add_argument(
        "--replace",
        action="store_true",
        help="let results take the place of others of the same model, measured in another way",
    )
    parser.add_argument(
        "--cells",
        type=Path,
        default=Path("runs/evaluation"),
        help="the folder of single measurements (default: runs/evaluation)",
    )
    parser.set_defaults(run=run_evaluate)


def _add_results_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results", type=Path, help="the folder of the table of results (default: the app's)"
    )


def add_results_action(actions: Any) -> None:
    """Register `zoo results`."""
    parser = actions.add_parser(
        "results",
        help="print the tables of robustness as Markdown",
        description="Print what `zoo evaluate` measured, with the claims tested on it.",
    )
    parser.add_argument(
        "--folder", type=Path, help="the folder of models (default: that of the app)"
    )
    _add_results_folder(parser)
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="write each section between its markers in a Markdown file such as docs/results.md",
    )
    parser.set_defaults(run=run_results)


def run_results(args: argparse.Namespace) -> int:
    """Print the sections, or write them into a file. Raises DataError, ZooError."""
    from rsc_snn.robustness.compare import Results
    from rsc_snn.robustness.report import fill, whole
    from rsc_snn.robustness.store import FILE, current, read_results
    from rsc_snn.zoo import named_zoo

    if args.results is not None and not (args.results / FILE).is_file():
        raise DataError(f"There are no results in {args.results}: no file {FILE}.")
    zoo = named_zoo(args.folder)
    for problem in zoo.problems().values():
        print(problem, file=sys.stderr)
    cards = {name: zoo.card(name) for name in zoo.names()}
    known = {name: card.identity for name, card in cards.items()}
    results = Results(tuple(current(read_results(args.results), known)))
    if args.write is None:
        print(whole(results, cards), end="")
        return 0
    try:
        text = fill(args.write.read_text(encoding="utf-8"), results, cards)
        write_atomically(args.write, lambda path: path.write_text(text, encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The file {args.write} cannot be read and written.") from error
    return 0


def run_evaluate(args: argparse.Namespace) -> int:
    """Measure what is missing; 2 if a model that should have been measured could not be.

    Raises ConfigError for wrong options, ZooError for unknown models or an empty zoo, DataError
    for a table that cannot be read or no data at all.
    """
    settings = Settings(
        images=args.images,
        epsilons=tuple(args.epsilons),
        attacks=tuple(name.replace("-", "_") for name in args.attacks),
        draws=args.draws,
        seed=args.seed,
        batch_size=args.batch_size,
    )

    from rsc_snn.robustness.store import check_writable, read_results, results_folder
    from rsc_snn.training.batch import prepare_device
    from rsc_snn.zoo import is_own, named_zoo

    if args.results is None and args.folder is not None and is_own(args.folder):
        raise ConfigError(
            "Models of another folder than the app's need a table of their own: name a folder for "
            "it with --results."
        )
    results = args.results or results_folder()
    # A table that cannot be added to is better known now than hours later.
    rows = read_results(results)
    there = () if args.replace else rows
    check_writable(results)
    device = prepare_device(args.device, args.threads)
    zoo = named_zoo(args.folder)
    for problem in zoo.problems().values():
        print(problem, file=sys.stderr)
    subjects, failed = _subjects(zoo, args.names, settings, args.data, device)
    log = _Log(subjects)
    for subject in subjects:
        try:
            _check_room(subject, there)
            _evaluate(subject, args, results, log)
        except RscSnnError as error:
            failed.add(subject.card.name)
            print(f"{subject.card.name}: {error}", file=sys.stderr)
    log.close()
    if log.written:
        print(f"Results of {', '.join(log.written)} are in {results}.")
    return 2 if failed else 0


def _subjects(
    zoo: Zoo,
    names: Sequence[str],
    settings: Settings,
    root: Path | None,
    device: torch.device,
) -> tuple[list[Subject], set[str]]:
    """The models to measure, loaded, and the names of those that cannot be.

    A model that nobody named and whose data is not at hand is a line on stderr, no failure.
    """
    from rsc_snn.data import ImageSet, load_dataset
    from rsc_snn.robustness.cells import Subject

    if not (names or zoo.names()):
        raise ZooError(f"There are no models in {zoo.folder}.")
    cards = [zoo.card(name) for name in dict.fromkeys(names) or zoo.names()]
    loaded: dict[tuple[str, int], ImageSet] = {}
    subjects, failed = [], set()
    for card in cards:
        place = card.dataset, card.config.image_size
        try:
            if place not in loaded:
                loaded[place] = load_dataset(card.dataset, "test", root, card.config.image_size)
        except DataError as error:
            print(f"skip {card.name}: {error}", file=sys.stderr)
            failed |= {card.name} & set(names)
            continue
        try:
            model = zoo.load(card.name, device)
            subjects.append(Subject(card, model, loaded[place], settings))
        except RscSnnError as error:
            print(f"{card.name}: {error}", file=sys.stderr)
            failed.add(card.name)
    if not subjects and not failed:
        raise DataError("There is no model whose data is at hand.")
    return subjects, failed


def _check_room(subject: Subject, rows: Sequence[Row]) -> None:
    """Raise DataError if a subject's results would drive others out of the table."""
    from rsc_snn.robustness.store import contradicting

    if others := contradicting(rows, subject):
        noun = "result" if len(others) == 1 else "results"
        raise DataError(
            f"The table holds {len(others)} {noun} of this model that were measured in another way "
            "(images, draws, seed, batch size or epsilons); name another folder with --results, or "
            "let them go with --replace."
        )


def _evaluate(subject: Subject, args: argparse.Namespace, results: Path, log: _Log) -> None:
    """Measure one model and put its rows into the table."""
    from rsc_snn.robustness.cells import evaluate_cells
    from rsc_snn.robustness.store import add_results, known_cells, read_results, rows_of
    from rsc_snn.zoo import named_zoo

    known = known_cells(read_results(results), subject) if args.missing else {}
    done = []
    for cell, fresh in evaluate_cells(subject, args.cells, log.show, known):
        done.append(cell)
        log.finish(subject, done, fresh)
    # The folder is read again: models may have come, gone or changed in the hours since.
    zoo = named_zoo(args.folder)
    there = {name: zoo.card(name).identity for name in zoo.names()}
    if there.get(subject.card.name) != subject.card.identity:
        raise ZooError("The model was replaced while it was measured; run the command again.")
    rows = rows_of(done, subject.card.label, subject.settings, _folders(args))
    add_results(rows, there, results)
    log.written.append(subject.card.name)


def _folders(args: argparse.Namespace) -> list[str]:
    """The options of folders that were given, as they stand in a command."""
    named = {"--folder": args.folder, "--data": args.data, "--results": args.results}
    pairs = [(option, str(path)) for option, path in named.items() if path is not None]
    return [word for pair in pairs for word in pair]


class _Log:
    """A line on stderr for each measured cell, a bar on a terminal, and the time that is left."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self.written: list[str] = []
        self._left = {
            subject.card.name: dict.fromkeys(_places(subject), 0.0) for subject in subjects
        }
        for subject in subjects:
            self._expect(subject, [])
        self._worked = 0.0
        self._start = time.perf_counter()
        self._bar = _bar()

    def show(self, share: float) -> None:
        """Progress of the cell that is being measured."""
        self._update(share)

    def finish(self, subject: Subject, done: Sequence[Cell], fresh: bool) -> None:
        """A cell is there; `fresh` if it was measured just now."""
        from rsc_snn.evaluate import accuracy_estimate

        cell = done[-1]
        left = self._left[subject.card.name]
        work = left.pop((cell.key["attack"], cell.key["epsilon"]))
        self._worked += work * fresh
        self._expect(subject, done)
        self._update(0.0)
        if not fresh:
            return
        estimate = accuracy_estimate(cell.counts.double() / cell.draws, cell.draws)
        size = f" {cell.key['epsilon']:g}/255" if cell.key["epsilon"] else ""
        attacked = f", {cell.attacked:,} attacked" if cell.key["attack"] != CLEAN else ""
        self._bar.write(
            f"{subject.card.name}  {attack_label(cell.key['attack'])}{size}: {estimate.value:.1%} "
            f"({estimate.lower:.1%} to {estimate.upper:.1%}) of {estimate.n:,} images{attacked}, "
            f"{cell.seconds:.0f} s; about {_duration(self._seconds_left())} left",
            file=sys.stderr,
        )

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()

    def _expect(self, subject: Subject, done: Sequence[Cell]) -> None:
        """Estimate the work of the cells left, with the images that are not broken so far."""
        from rsc_snn.robustness.cells import alive, cost

        latest = {cell.key["attack"]: cell for cell in done}
        left = self._left[subject.card.name]
        for attack, epsilon in left:
            before = None if attack == CLEAN else latest.get(attack, latest.get(CLEAN))
            images = int(alive(subject, attack, before).sum())
            left[attack, epsilon] = cost(subject, attack, images)

    def _remaining(self) -> float:
        return sum(sum(left.values()) for left in self._left.values())

    def _seconds_left(self) -> float:
        elapsed = time.perf_counter() - self._start
        return elapsed * self._remaining() / self._worked if self._worked else 0.0

    def _update(self, share: float) -> None:
        first = next((work for left in self._left.values() for work in left.values()), 0.0)
        done = self._worked + share * first
        self._bar.total = max(self._worked + self._remaining(), 1.0)
        self._bar.update(done - self._bar.n)


def _places(subject: Subject) -> list[tuple[str, float]]:
    """(attack, epsilon) of all cells, in the order in which they are measured."""
    settings = subject.settings
    pairs = [(attack, epsilon) for attack in settings.attacks for epsilon in settings.epsilons]
    return [(CLEAN, 0.0), *pairs]


def _bar() -> tqdm[Any]:
    from tqdm import tqdm

    return tqdm(
        total=1.0,
        disable=not sys.stderr.isatty(),
        bar_format="{l_bar}{bar}| {elapsed}<{remaining}",
        smoothing=0.05,
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
