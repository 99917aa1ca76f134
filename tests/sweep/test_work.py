"""Measuring one cell: a loop written out as brute force, shared noise, images passed through."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rsc_snn.attacks.run import craft, run_attack, score
from rsc_snn.attacks.target import pass_memory
from rsc_snn.classifier import SpikingClassifier
from rsc_snn.data import load_dataset
from rsc_snn.device import arithmetic
from rsc_snn.errors import Cancelled, DeviceMemoryError, SweepError
from rsc_snn.randomness import derive_seed, make_generator
from rsc_snn.robustness.cells import subset_rows
from rsc_snn.sweep import work
from rsc_snn.sweep.cells import CLEAN, PROTOCOL, SELECTION, Cell, CellResult
from rsc_snn.sweep.grid import predecessor
from rsc_snn.sweep.work import Workspace, attack_parameters, measure
from rsc_snn.zoo import Zoo
from tests.sweep.engine_cases import small_cells, small_grid, workspace, write_pictures

Results = dict[str, CellResult]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, tiny_zoo: Path) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, tiny_zoo)
    return folder


@pytest.fixture(scope="module")
def place(tiny_zoo: Path, root: Path) -> Workspace:
    return workspace(tiny_zoo, root)


@pytest.fixture(scope="module")
def cells(tiny_zoo: Path, root: Path) -> tuple[Cell, ...]:
    return small_cells(tiny_zoo, root, small_grid("tiny-*"))


@pytest.fixture(scope="module")
def results(cells: tuple[Cell, ...], place: Workspace) -> Results:
    return measure_all(cells, place)


def measure_all(cells: tuple[Cell, ...], place: Workspace) -> Results:
    found: Results = {}
    for cell in cells:
        before = predecessor(cell)
        found[cell.key] = measure(cell, None if before is None else found[before.key], place)
    return found


Answers = tuple[np.ndarray, np.ndarray]


def naive(cell: Cell, before: Answers | None, zoo: Path, root: Path) -> Answers:
    """Answers `[D, n]` and who stands `[n]`: attack what does, then score all of the batch."""
    model = Zoo(zoo).load(cell.model)
    data = load_dataset(cell.dataset, cell.split, root, 32)
    rows = subset_rows(len(data), cell.images, cell.seed)
    images, labels = data.images[rows].float() / 255, data.labels[rows]
    call: dict[str, Any] = {"time_steps": cell.time_steps, "sigma": cell.sigma}
    batches, standing = [], []
    for index, at in enumerate(range(0, cell.images, cell.batch_size)):
        span = slice(at, at + cell.batch_size)
        x, truth = images[span].clone(), labels[span]
        alive = torch.ones(len(x), dtype=torch.bool)
        if before is not None:
            alive = torch.from_numpy(before[1][span])
        if before is not None and alive.any():
            seed = derive_seed(cell.seed, "sweep", cell.attack, f"{cell.epsilon:g}", index)
            x[alive] = run_attack(
                model,
                x[alive],
                truth[alive],
                cell.attack,
                attack_parameters(cell),
                draws=1,
                seed=seed,
                **call,
            ).adversarial
        seed = derive_seed(cell.seed, "sweep", "fresh", index)
        answers = score(model, x, cell.draws, seed=seed, **call).argmax(dim=-1).numpy()
        if before is not None:
            answers = np.where(alive.numpy(), answers, before[0][:, span])
        batches.append(answers)
        right = torch.from_numpy(answers) == truth
        if model.resolve_coding(cell.sigma).stochastic and cell.sigma != 0:
            own = ("sweep", cell.attack, f"{cell.epsilon:g}", index, "standing")
            chosen = [
                score(model, x, draws, seed=derive_seed(cell.seed, *own, number), **call)
                for number, draws in enumerate(SELECTION)
            ]
            right = torch.cat(chosen).argmax(dim=-1) == truth
        standing.append((right.any(dim=0) & alive).numpy())
    return np.concatenate(batches, axis=1), np.concatenate(standing)


# --- Numbers -----------------------------------------------------------------------------------


def test_cells_are_what_a_loop_over_attack_and_score_gives(
    cells: tuple[Cell, ...], results: Results, tiny_zoo: Path, root: Path
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected: dict[str, Answers] = {}
        for cell in cells:
            before = predecessor(cell)
            known = None if before is None else expected[before.key]
            expected[cell.key] = naive(cell, known, tiny_zoo, root)
            assert np.array_equal(results[cell.key].answers, expected[cell.key][0]), cell
            assert np.array_equal(results[cell.key].standing, expected[cell.key][1]), cell
    finally:
        torch.set_num_threads(threads)
    noisy = [results[cell.key] for cell in cells if cell.draws > 1]
    assert any((result.answers != result.answers[0]).any() for result in noisy)
    here = arithmetic(torch.device("cpu"))
    assert all(here.items() <= result.versions.items() for result in results.values())


def test_broken_images_are_passed_through_with_their_answers(
    cells: tuple[Cell, ...], results: Results
) -> None:
    passed = 0
    for cell in cells:
        before = predecessor(cell)
        if before is None:
            assert results[cell.key].attacked == results[cell.key].queries == 0
            continue
        earlier, later = results[before.key], results[cell.key]
        broken = ~earlier.standing
        assert np.array_equal(later.answers[:, broken], earlier.answers[:, broken])
        assert later.attacked == cell.images - broken.sum()
        assert (later.queries == 0) == (later.attacked == 0)
        passed += int(broken.sum())
    assert passed


def test_only_images_that_are_not_broken_are_attacked(
    cells: tuple[Cell, ...],
    results: Results,
    place: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attacked: list[int] = []

    def counted(model: SpikingClassifier, x: torch.Tensor, *rest: object, **options: object):  # type: ignore[no-untyped-def]
        attacked.append(len(x))
        return craft(model, x, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(work, "craft", counted)
    chosen = [cell for cell in cells if cell.chain and 0 < results[cell.key].attacked < 20]
    assert chosen
    for cell in chosen:
        before = predecessor(cell)
        assert before is not None
        attacked.clear()
        measure(cell, results[before.key], place)
        assert sum(attacked) == results[cell.key].attacked


def test_clean_and_attacked_images_meet_the_same_noise(
    cells: tuple[Cell, ...], results: Results, place: Workspace
) -> None:
    """Under an attack that hardly moves a pixel nearly nothing differs; fresh noise would."""
    clean = next(cell for cell in cells if cell.attack == CLEAN and cell.draws > 1)
    weak = next(cell for cell in cells if cell.attack == "fgsm" and predecessor(cell) == clean)
    result = measure(replace(weak, epsilon=1e-4), results[clean.key], place)
    assert result.attacked
    assert np.array_equal(result.answers, results[clean.key].answers)
    other = measure(replace(clean, batch_size=8), None, place)
    assert not np.array_equal(other.answers, results[clean.key].answers)


def test_the_number_of_threads_does_not_change_a_result_and_is_put_back(
    cells: tuple[Cell, ...], results: Results, place: Workspace
) -> None:
    used = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            again = measure(cells[0], None, place)
            assert torch.get_num_threads() == threads
            assert again.device == "CPU · 1 thread"
            assert np.array_equal(again.answers, results[cells[0].key].answers)
    finally:
        torch.set_num_threads(used)


def test_everything_a_worker_gets_and_gives_can_travel(
    cells: tuple[Cell, ...], results: Results, place: Workspace
) -> None:
    cell = cells[-1]
    before = predecessor(cell)
    assert before is not None
    payload = pickle.dumps((measure, cell, results[before.key], place))
    function, *arguments = pickle.loads(payload)
    result = pickle.loads(pickle.dumps(function(*arguments)))
    assert result.cell == cell
    assert np.array_equal(result.answers, results[cell.key].answers)


@pytest.mark.parametrize("seed", [0, 1])
def test_an_accuracy_does_not_depend_on_the_number_of_draws(
    seed: int, tiny_zoo: Path, root: Path, place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The draws that score an image must not choose it: few of them would look like harm.

    What is attacked and what is broken is the same with one draw, with several, and with other
    noise in them. So they have no say, and their mean is right on average for any number.
    """
    everything = replace(small_grid("tiny-rsc"), images=34)
    cells = small_cells(tiny_zoo, root, everything)
    noisy = next(cell for cell in cells if cell.attack == "fgsm" and not cell.chain)
    options = {"sigma": 0.5, "time_steps": 1, "seed": seed, "batch_size": 34}
    noisy = replace(noisy, **options)  # type: ignore[arg-type]
    one, five = (rising(replace(noisy, draws=draws), place) for draws in (1, 5))

    def other_noise(base: int, *names: str | int) -> int:
        return derive_seed(base, *names, *(["other"] if "fresh" in names else []))

    monkeypatch.setattr(work, "derive_seed", other_noise)
    other = rising(replace(noisy, draws=1), place)
    for few, many, fresh in zip(one, five, other, strict=True):
        for result in (many, fresh):
            assert np.array_equal(few.standing, result.standing)
            assert (few.attacked, few.queries) == (result.attacked, result.queries)
        assert not np.array_equal(few.answers, fresh.answers)
        assert (few.standing & ~few.right[0]).any(), "one draw would have taken more images out"


def rising(cell: Cell, place: Workspace) -> list[CellResult]:
    """The clean result of a cell's setting, and those of its attack at rising epsilons."""
    clean = replace(cell, attack=CLEAN, parameters=(), epsilon=0.0, chain=())
    results, chain = [measure(clean, None, place)], (1.0, 2.0, 4.0)
    for at, epsilon in enumerate(chain):
        attacked = replace(cell, epsilon=epsilon, chain=chain[:at])
        results.append(measure(attacked, results[-1], place))
    return results


# --- What does not fit -------------------------------------------------------------------------


def test_cells_of_other_models_data_or_predecessors_are_refused(
    cells: tuple[Cell, ...], results: Results, place: Workspace
) -> None:
    clean = next(cell for cell in cells if cell.model == "tiny-rsc" and cell.attack == CLEAN)
    attacked = next(cell for cell in cells if cell.chain and cell.model == "tiny-rsc")
    for wrong, before, words in (
        (replace(clean, sha256="0" * 64), None, "model tiny-rsc has changed"),
        (replace(clean, data="0" * 16), None, "images of cifar10 have changed"),
        (replace(clean, images=19), None, "images of cifar10 have changed"),
        (replace(clean, coding="poisson"), None, "of another coding"),
        (replace(clean, sigma=None), None, "of another coding"),
        (attacked, None, "before the one it builds on"),
        (attacked, results[clean.key], "does not build on"),
        (replace(attacked, seed=1), results[attacked.key], "images of cifar10 have changed"),
    ):
        with pytest.raises(SweepError, match=words):
            measure(wrong, before, place)


@pytest.mark.parametrize("protocol", [PROTOCOL - 1, PROTOCOL + 1])
def test_a_cell_of_another_protocol_is_refused(
    protocol: int, cells: tuple[Cell, ...], place: Workspace
) -> None:
    other = replace(cells[0], protocol=protocol)
    with pytest.raises(SweepError) as refusal:
        measure(other, None, place)
    assert f"is of protocol {protocol}, but this worker measures by protocol {PROTOCOL}" in str(
        refusal.value
    )


def test_a_cell_without_memory_says_what_helps(
    cells: tuple[Cell, ...], place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **options: object) -> torch.Tensor:
        raise DeviceMemoryError("Use a smaller batch.")

    monkeypatch.setattr(work, "score", fails)
    with pytest.raises(SweepError) as refusal:
        measure(cells[0], None, place)
    words = "up to about 0.5 GB, whatever the batch size; let fewer workers share it."
    assert words in str(refusal.value)
    assert pass_memory(torch.device("cuda")) == 16.0


def test_cancelling_stops_within_a_cell(cells: tuple[Cell, ...], place: Workspace) -> None:
    asked: list[bool] = []

    def later() -> bool:
        asked.append(True)
        return len(asked) > 2

    with pytest.raises(Cancelled):
        measure(replace(cells[0], batch_size=1), None, place, cancelled=later)
    assert len(asked) == 3


# --- The pieces in rsc_snn.attacks.run ---------------------------------------------------------


@pytest.mark.parametrize("name", ["tiny-ann", "tiny-direct", "tiny-poisson", "tiny-rsc"])
@pytest.mark.parametrize("kept", ["some", "none", "all"])
def test_scoring_a_part_of_a_batch_meets_the_noise_of_the_whole(
    tiny_zoo: Path, name: str, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Zoo(tiny_zoo).load(name)
    x = torch.rand(11, 3, 32, 32, generator=make_generator(0))
    only = torch.zeros(11, dtype=torch.bool)
    only[[1, 2, 7, 10] if kept == "some" else range(11 if kept == "all" else 0)] = True
    for budget in (2**17, 2**14):  # All at once, and few images and draws at a time.
        monkeypatch.setattr("rsc_snn.attacks.target._PIXEL_BUDGET_CPU", budget)
        whole = score(model, x, 5, seed=2)
        part = score(model, x, 5, seed=2, only=only)
        assert part.shape == (5, int(only.sum()), 10)
        torch.testing.assert_close(part, whole[:, only], rtol=1e-4, atol=1e-5)


def test_crafting_is_the_attack_without_its_scoring(tiny_zoo: Path) -> None:
    model = Zoo(tiny_zoo).load("tiny-rsc")
    x = torch.rand(5, 3, 32, 32, generator=make_generator(0))
    labels = torch.arange(5)
    shares: list[float] = []
    crafted = craft(model, x, labels, "pgd", {"steps": 3}, seed=4, progress=shares.append)
    whole = run_attack(model, x, labels, "pgd", {"steps": 3}, seed=4, draws=2)
    assert torch.equal(crafted.adversarial, whole.adversarial)
    assert (crafted.queries, crafted.gradients) == (whole.queries, whole.gradients) == (15, 15)
    assert shares == sorted(shares) and shares[-1] == 1.0
