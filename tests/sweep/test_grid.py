"""Grids: what a file may say, which cells it means, and what they cost."""

from __future__ import annotations

import itertools
import json
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rsc_snn.attacks.options import attack_parameters
from rsc_snn.attacks.registry import ATTACKS, get_attack, validate_parameters
from rsc_snn.attacks.run import run_attack
from rsc_snn.attacks.target import Target
from rsc_snn.cli import build_parser
from rsc_snn.data import load_dataset
from rsc_snn.device import has_fast_bfloat16
from rsc_snn.errors import DataError, SweepError
from rsc_snn.evaluate import evaluate_accuracy
from rsc_snn.robustness.cells import fingerprint
from rsc_snn.sweep import grid as grid_module
from rsc_snn.sweep.cells import CLEAN, Cell
from rsc_snn.sweep.cost import (
    MANY_CELLS,
    MANY_SECONDS,
    MANY_WORKER_SECONDS,
    Cost,
    Speed,
    duration_text,
    estimate_cost,
    longest_chain,
    measure_speed,
    passes_of,
    seconds_of,
    worker_hours_text,
)
from rsc_snn.sweep.grid import (
    PRESETS,
    Grid,
    GridAttack,
    attack_label,
    cell_command,
    expand,
    fingerprints,
    measured_images,
    model_names,
    predecessor,
    read_grid,
)
from rsc_snn.zoo import Zoo
from tests.sweep.synthetic import make_cell, make_data

PACKAGE = Path(grid_module.__file__).parent
MODELS = ("tiny-ann", "tiny-direct", "tiny-poisson", "tiny-rsc")
# What one worker takes for each of the passes that a cost counts.
HALF_A_SECOND = Speed(0.5, 1.5, 1.5)
EOT_STEPS = (("eot_draws", 5), ("steps", 3))
MARKS = dict.fromkeys(MODELS, "0123456789abcdef")


@pytest.fixture(scope="module")
def zoo(tiny_zoo: Path) -> Zoo:
    return Zoo(tiny_zoo)


def make_grid(**changes: Any) -> Grid:
    values: dict[str, Any] = {
        "models": ("tiny-*",),
        "attacks": ("fgsm", "pgd10"),
        "epsilons": (2, 4, 8),
        "sigmas": (0.0, 0.1),
        "time_steps": (1, 4),
        "images": 10,
        "draws": 3,
    }
    return Grid(**{**values, **changes})


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


GOOD = 'models = ["tiny-rsc"]\nattacks = ["fgsm"]\nepsilons = [4]\n'


def test_a_file_with_every_field(tmp_path: Path) -> None:
    path = write(
        tmp_path / "grid.toml",
        'models = ["tiny-*", "tiny-rsc"]\n'
        'attacks = ["eot-pgd10", {name = "pgd", steps = 20, step_share = 0.1}, "apgd"]\n'
        "epsilons = [8, 0, 2.5, 8]\nsigmas = [0.2, 0]\ntime_steps = [8, 1]\n"
        'images = 50\ndraws = 4\nseed = 7\nbatch_size = 25\nsplit = "train"\n',
    )
    grid = read_grid(path)
    assert grid == Grid(
        models=("tiny-*", "tiny-rsc"),
        attacks=(
            PRESETS["eot_pgd10"],
            GridAttack.of("pgd", 0.1, steps=20),
            GridAttack.of("apgd"),
        ),
        epsilons=(0.0, 2.5, 8.0),
        sigmas=(0.0, 0.2),
        time_steps=(1, 8),
        images=50,
        draws=4,
        seed=7,
        batch_size=25,
        split="train",
    )


def test_what_a_file_leaves_out(tmp_path: Path) -> None:
    grid = read_grid(write(tmp_path / "grid.toml", GOOD))
    assert (grid.sigmas, grid.time_steps) == (None, None)
    assert (grid.images, grid.draws, grid.seed, grid.split) == (300, 10, 0, "test")


@pytest.mark.parametrize("name", ["shipped", "quick", "dial"])
def test_the_grids_that_ship_can_be_read(name: str) -> None:
    grid = read_grid(PACKAGE / f"{name}.toml")
    assert grid.images >= 300
    assert set(grid.attacks) <= set(PRESETS.values())


def test_the_presets() -> None:
    assert dict(PRESETS["fgsm"].at(8.0)) == {"eot_draws": 1}
    pgd = {"eot_draws": 1, "random_start": True, "steps": 10, "step_size": 2.0}
    assert dict(PRESETS["pgd10"].at(8.0)) == pgd
    assert dict(PRESETS["pgd10"].at(2.0)) == {**pgd, "step_size": 0.5}
    assert dict(PRESETS["eot_pgd10"].at(8.0)) == {**pgd, "eot_draws": 10, "precision": "fast"}


_attacks = st.sampled_from(
    [
        *PRESETS.values(),
        GridAttack.of("pgd", steps=20, step_size=1.5),
        GridAttack.of("rfgsm"),
        GridAttack.of("apgd", loss="dlr"),
        GridAttack.of("square", queries=50),
        GridAttack.of("uniform_noise"),
        GridAttack.of("mi_fgsm", 0.3, decay=0.5),
    ]
)
_grids = st.builds(
    Grid,
    models=st.lists(st.sampled_from(["tiny-*", *MODELS]), min_size=1, max_size=3).map(tuple),
    attacks=st.lists(_attacks, min_size=1, max_size=3).map(tuple),
    epsilons=st.lists(st.floats(0, 6.4), min_size=1, max_size=4).map(tuple),
    sigmas=st.none() | st.lists(st.floats(0, 1), min_size=1, max_size=3).map(tuple),
    time_steps=st.none() | st.lists(st.integers(1, 64), min_size=1, max_size=3).map(tuple),
    images=st.integers(1, 1000),
    draws=st.integers(1, 100),
    seed=st.integers(0, 2**63 - 1),
    batch_size=st.integers(1, 500),
)


@settings(max_examples=60, deadline=None)
@given(grid=_grids)
def test_a_grid_is_the_same_after_its_file(
    grid: Grid, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("g") / "grid.toml"
    assert read_grid(write(path, grid.to_toml())) == grid


@settings(max_examples=60, deadline=None)
@given(grid=_grids)
def test_cells_of_any_grid(grid: Grid, zoo: Zoo) -> None:
    """Each once; all that a cell builds on is there, before it; every attack can be run."""
    cells = expand(grid, zoo, MARKS)
    assert cells == expand(grid, zoo, MARKS)
    place = {cell.key: index for index, cell in enumerate(cells)}
    assert len(place) == len(cells)
    for cell in cells:
        before = predecessor(cell)
        assert (before is None) == (cell.attack == CLEAN)
        if before is not None:
            assert place[before.key] < place[cell.key]
            assert cells[place[before.key]].epsilon == (cell.chain[-1] if cell.chain else 0.0)
            values = {**dict(cell.parameters), "epsilon": cell.epsilon}
            assert validate_parameters(get_attack(cell.attack), values) == values
    assert [cell.epsilon for cell in cells] == sorted(cell.epsilon for cell in cells)


def test_the_cells_of_a_grid_one_by_one(zoo: Zoo) -> None:
    cells = expand(make_grid(), zoo, MARKS)
    card = zoo.card("tiny-rsc")
    expected: set[tuple[object, ...]] = set()
    for model in MODELS:
        sigmas = (0.0, 0.1) if model == "tiny-rsc" else (None,)
        for sigma, steps in itertools.product(sigmas, (1,) if model == "tiny-ann" else (1, 4)):
            noisy = model == "tiny-poisson" or bool(sigma)
            common = (model, sigma, steps, 3 if noisy else 1)
            expected.add((*common, CLEAN, 0.0, ()))
            for attack, (epsilon, chain) in itertools.product(
                ("fgsm", "pgd"), ((2.0, ()), (4.0, (2.0,)), (8.0, (2.0, 4.0)))
            ):
                expected.add((*common, attack, epsilon, chain))
    found = [(c.model, c.sigma, c.time_steps, c.draws, c.attack, c.epsilon, c.chain) for c in cells]
    assert len(found) == len(expected)
    assert set(found) == expected
    (cell,) = [
        cell
        for cell in cells
        if (cell.sigma, cell.time_steps, cell.attack, cell.epsilon) == (0.1, 4, "pgd", 8.0)
    ]
    assert cell == Cell(
        model="tiny-rsc",
        sha256=card.sha256,
        dataset="cifar10",
        split="test",
        data=MARKS["tiny-rsc"],
        images=10,
        attack="pgd",
        parameters=(("eot_draws", 1), ("random_start", True), ("step_size", 2.0), ("steps", 10)),
        epsilon=8.0,
        chain=(2.0, 4.0),
        coding="rsc",
        sigma=0.1,
        time_steps=4,
        draws=3,
        seed=0,
        batch_size=100,
    )


def test_own_sigma_and_time_steps(zoo: Zoo) -> None:
    cells = expand(make_grid(models=["tiny-rsc"], sigmas=None, time_steps=None), zoo, MARKS)
    assert {(cell.sigma, cell.time_steps) for cell in cells} == {(0.2, 4)}


def test_a_whole_sigma_of_a_card_is_the_cell_of_the_same_real_one(
    tiny_zoo: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_zoo, tmp_path / "models")
    card = json.loads((folder / "tiny-rsc.json").read_text())
    card["config"]["sigma"] = 1
    (folder / "tiny-rsc.json").write_text(json.dumps(card))
    grid = make_grid(models=["tiny-rsc"], sigmas=None)
    own, named = (expand(each, Zoo(folder), MARKS) for each in (grid, replace(grid, sigmas=(1.0,))))
    assert [cell.key for cell in own] == [cell.key for cell in named]


def test_epsilon_0_is_the_clean_cell(zoo: Zoo) -> None:
    cells = expand(make_grid(models=["tiny-ann"], epsilons=[0]), zoo, MARKS)
    assert [(cell.attack, cell.parameters, cell.chain) for cell in cells] == [(CLEAN, (), ())]
    both = [make_grid(epsilons=epsilons) for epsilons in ((0, 2), (2,))]
    assert expand(both[0], zoo, MARKS) == expand(both[1], zoo, MARKS)


def test_duplicates_collapse(zoo: Zoo) -> None:
    """However a value was computed, and by whatever name an attack goes."""
    once = expand(make_grid(sigmas=(0.15,)), zoo, MARKS)
    twice = make_grid(
        models=["tiny-*", "tiny-rsc"],
        attacks=["fgsm", {"name": "fgsm"}, "pgd10", {"name": "pgd", "steps": 10}],
        epsilons=[2, 2.0, 4, 8],
        sigmas=(0.15, 0.1 + 0.05),
    )
    assert expand(twice, zoo, MARKS) == once


def test_a_fixed_step_makes_no_chain(zoo: Zoo) -> None:
    fixed = GridAttack.of("pgd", step_size=2.0)
    cells = expand(make_grid(models=["tiny-ann"], attacks=[fixed]), zoo, MARKS)
    assert {cell.chain for cell in cells} == {()}
    assert {dict(cell.parameters).get("step_size") for cell in cells} == {None, 2.0}


def test_cells_with_a_chain_depend_on_the_smaller_epsilons(zoo: Zoo) -> None:
    def at_8(*epsilons: float) -> set[str]:
        cells = expand(make_grid(epsilons=epsilons), zoo, MARKS)
        return {cell.key for cell in cells if cell.epsilon == 8}

    assert at_8(2, 8) == at_8(2, 8, 16)
    assert not at_8(2, 8) & at_8(4, 8)


def test_patterns_name_models(zoo: Zoo) -> None:
    assert model_names(make_grid(models=["tiny-[pr]*", "tiny-ann"]), zoo) == (
        "tiny-poisson",
        "tiny-rsc",
        "tiny-ann",
    )
    with pytest.raises(SweepError, match="no model 'tiny-rcs'; did you mean 'tiny-rsc'"):
        model_names(make_grid(models=["tiny-rcs"]), zoo)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models = [", "is no TOML"),
        ("", "'models' is missing"),
        (GOOD.replace("epsilons", "epsilon"), "no field 'epsilon'; did you mean 'epsilons'"),
        (GOOD.replace('["tiny-rsc"]', "[]"), "models must be a list with something in it"),
        (GOOD.replace('["tiny-rsc"]', '"tiny-rsc"'), "models must be a list"),
        (GOOD.replace('"tiny-rsc"', '"../x"'), "models must hold names"),
        (GOOD.replace('"tiny-rsc"', "3"), "models must hold names"),
        (GOOD.replace('"fgsm"', '"pdg10"'), "no attack 'pdg10'; did you mean 'pgd10'"),
        (GOOD.replace('"fgsm"', "{steps = 3}"), "attacks must hold names, or tables"),
        (GOOD.replace('"fgsm"', '{name = "fgsm", steps = 3}'), "no parameter 'steps'"),
        (GOOD.replace('"fgsm"', '{name = "fgsm", step_share = 1}'), "has no step size"),
        (GOOD.replace('"fgsm"', '{name = "pgd", steps = 0}'), "Steps must be between"),
        (GOOD.replace('"fgsm"', '{name = "pgd", epsilon = 3}'), "epsilons of a sweep stand"),
        (GOOD.replace('"fgsm"', '{name = "pgd", step_share = "x"}'), "step_share must be"),
        (GOOD.replace('"fgsm"', '{name = "pgd", step_share = 1, step_size = 1}'), "not both"),
        (GOOD.replace('"fgsm"', '"cw"'), "Carlini-Wagner has no epsilon"),
        (GOOD.replace('"fgsm"', '"fgsm", "pgd_l2"'), "need a sweep each"),
        (GOOD.replace("[4]", "[]"), "epsilons must be a list with something in it"),
        (GOOD.replace("[4]", "[-1]"), "epsilons must be numbers from 0"),
        (GOOD.replace("[4]", "[nan]"), "epsilons must be numbers from 0"),
        (GOOD.replace("[4]", "[true]"), "epsilons must be numbers from 0"),
        (GOOD.replace("[4]", "[65]"), "epsilons must be numbers from 0 to 64, not 65"),
        (GOOD.replace("[4]", str([n / 8 for n in range(300)])), "at most 200 numbers, not 300"),
        (GOOD.replace("[4]", f"[1{'0' * 400}]"), "epsilons must not hold a whole number of more"),
        (GOOD.replace("[4]", f"[4, 0x{'f' * 5000}]"), "epsilons must not hold a whole number"),
        (
            GOOD.replace('"fgsm"', f'{{name = "pgd", step_size = 1{"0" * 400}}}'),
            "attacks must not hold a whole number",
        ),
        (GOOD.replace("[4]", f"[1{'0' * 5000}]"), "holds a number of too many digits"),
        (GOOD + f"seed = {2**63}", "seed must not hold a whole number of more than 64 bits"),
        (GOOD + "sigmas = [1.5]", "In sigmas: The noise level sigma must be"),
        (GOOD + "sigmas = []", "sigmas must be a list"),
        (GOOD + 'sigmas = ["a"]', "In sigmas: "),
        (GOOD + "time_steps = [0]", "In time_steps: The number of time steps must be between"),
        (GOOD + "time_steps = [2.5]", "In time_steps: "),
        (GOOD + "images = 0", "images must be a whole number from 1"),
        (GOOD + "images = 1e9", "images must be a whole number from 1"),
        (GOOD + "draws = true", "draws must be a whole number from 1"),
        (GOOD + "seed = -1", "seed must be a whole number from 0"),
        (GOOD + "batch_size = 99999999", "batch_size must be a whole number from 1"),
        (GOOD + 'split = "tset"', "split must be one of train, test"),
    ],
)
def test_mistakes_in_a_file(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path / "grid.toml", text)
    with pytest.raises(SweepError) as caught:
        read_grid(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_numbers_that_no_float_holds(number: int) -> None:
    with pytest.raises(SweepError, match="epsilons must be numbers from 0 to 64"):
        make_grid(epsilons=[number])
    with pytest.raises(SweepError, match="Step size must be between .*, not -?inf"):
        GridAttack.of("pgd", step_size=number)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="cannot be read: No such file"):
        read_grid(tmp_path / "none.toml")


def test_absurdly_many_cells(zoo: Zoo) -> None:
    absurd = make_grid(
        sigmas=[index / 1000 for index in range(1000)],
        time_steps=range_list(64),
        epsilons=range_list(20),
    )
    with pytest.raises(SweepError, match="cells; 1,000,000 are the most"):
        expand(absurd, zoo, MARKS)


def range_list(last: int) -> list[int]:
    return list(range(1, last + 1))


def test_a_model_without_fingerprint(zoo: Zoo) -> None:
    with pytest.raises(SweepError, match="images of tiny-ann are not known"):
        expand(make_grid(), zoo, {})


def test_images_are_those_of_evaluate(zoo: Zoo, tmp_path: Path) -> None:
    root = make_data(tmp_path)
    grid = make_grid(models=["tiny-ann"], images=7, seed=3)
    subset = measured_images(zoo.card("tiny-ann"), grid, root)
    data = load_dataset("cifar10", "test", root, 32)
    model = zoo.load("tiny-ann")
    drawn = evaluate_accuracy(model, data.images, data.labels, limit=7, seed=3)
    same = evaluate_accuracy(model, subset.images, subset.labels, seed=3)
    assert (drawn.clean_scores == same.clean_scores).all()
    assert fingerprints(grid, zoo, root) == {"tiny-ann": fingerprint(subset)}
    assert fingerprints(replace(grid, seed=4), zoo, root) != fingerprints(grid, zoo, root)
    with pytest.raises(SweepError, match="images must be at most 20"):
        fingerprints(replace(grid, images=21), zoo, root)
    with pytest.raises(DataError, match="does not exist"):
        fingerprints(grid, zoo, tmp_path / "nowhere")


def test_data_of_other_classes(zoo: Zoo, tmp_path: Path) -> None:
    card = replace(zoo.card("tiny-ann"), classes=tuple("abcdefghij"))
    with pytest.raises(DataError, match="does not know"):
        measured_images(card, make_grid(), make_data(tmp_path))


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        # (3 draws + 8 that decide what is broken) x images x T
        ({"attack": CLEAN, "epsilon": 0.0, "parameters": ()}, 11 * 6 * 4),
        # 1 gradient that counts as three beside them
        ({}, (3 + 11) * 6 * 4),
        ({"attack": "pgd", "parameters": (("eot_draws", 5), ("steps", 10))}, (150 + 11) * 6 * 4),
        (
            {"attack": "sa_pgd", "parameters": (("eot_draws", 5), ("steps", 9))},
            (150 + 11) * 6 * 4,
        ),
        # A model without noise needs one draw of everything.
        (
            {"attack": "pgd", "parameters": (("eot_draws", 5), ("steps", 10))}
            | {"draws": 1, "coding": "direct", "sigma": None},
            (30 + 1) * 6 * 4,
        ),
        # One with noise that is scored on one draw is attacked on as many as ever.
        (
            {"attack": "pgd", "parameters": (("eot_draws", 5), ("steps", 10)), "draws": 1},
            (150 + 9) * 6 * 4,
        ),
        # Queries of a black-box attack have no gradient.
        ({"attack": "square", "parameters": (("eot_draws", 2), ("queries", 9))}, (20 + 11) * 6 * 4),
    ],
)
def test_the_cost_of_a_cell(changes: Mapping[str, Any], passes: int) -> None:
    cell = make_cell(**changes)
    assert passes_of(cell) == passes
    cost = estimate_cost([cell, cell], {"tiny-rsc": HALF_A_SECOND})
    assert (cost.cells, cost.passes, cost.seconds) == (2, 2 * passes, passes)


def test_an_attack_is_not_cheaper_than_its_estimate(zoo: Zoo) -> None:
    """The estimate of forward passes, gradients left out, is what the attack really makes."""
    cell = make_cell(attack="pgd", parameters=(("eot_draws", 2), ("steps", 3)))
    x, labels = torch.rand(6, 3, 32, 32), torch.zeros(6, dtype=torch.int64)
    values = {"epsilon": 4, **dict(cell.parameters)}
    made = run_attack(zoo.load("tiny-rsc"), x, labels, "pgd", values, draws=3)
    scoring = (cell.draws + 8) * cell.images
    assert passes_of(cell) == (made.queries + 2 * made.gradients + scoring) * cell.time_steps


def test_large_sweeps() -> None:
    assert not Cost(MANY_CELLS, 1, MANY_SECONDS).large(1)
    assert Cost(MANY_CELLS + 1, 1, 1.0).large(1)
    assert Cost(1, 1, MANY_SECONDS + 1).large(1)
    # However short it is on many workers.
    assert not Cost(1, 1, MANY_WORKER_SECONDS).large(1000)
    assert Cost(1, 1, MANY_WORKER_SECONDS + 1).large(1000)
    assert estimate_cost([], {}).seconds == 0


def test_no_number_of_workers_is_quicker_than_the_longest_chain() -> None:
    clean = make_cell(attack="none", parameters=(), epsilon=0.0, chain=())
    first = make_cell(epsilon=2.0, chain=())
    second = make_cell()
    other = make_cell(epsilon=2.0, chain=(), time_steps=1)
    cells = [second, other, first, clean]
    speeds = {"tiny-rsc": HALF_A_SECOND}
    cost = estimate_cost(cells, speeds)
    longest = longest_chain(cells, speeds)
    assert longest == estimate_cost([clean, first, second], speeds).seconds < cost.seconds
    # What a store holds of a chain takes no time.
    assert longest_chain([second, first], speeds) < longest
    cost = replace(cost, longest=longest)
    assert [cost.lasts(workers) for workers in (1, 64)] == [cost.seconds, longest]
    assert longest_chain([], {}) == 0
    assert not Cost(2, 1, MANY_SECONDS * 1.5).large(2)
    assert Cost(2, 1, MANY_SECONDS * 1.5, longest=MANY_SECONDS + 1).large(64)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (60.0, "less than 0.1 worker-hours"),
        (9000.0, "2.5 worker-hours"),
        (1999 * 3600.0, "1,999 worker-hours"),
    ],
)
def test_the_time_of_all_workers_in_words(seconds: float, text: str) -> None:
    assert worker_hours_text(seconds) == text


def test_speed_is_measured_quickly(zoo: Zoo) -> None:
    speed = measure_speed(zoo.load("tiny-rsc"))
    assert 1e-7 < speed.forward < speed.gradient < 1
    assert 1e-7 < speed.fast < 1
    if not has_fast_bfloat16(torch.device("cpu")):
        assert speed.fast == speed.gradient


def test_speed_is_measured_within_the_memory_of_a_pass(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An own model for large images must not take more than an attack on it would."""
    monkeypatch.setattr("rsc_snn.attacks.target._PIXEL_BUDGET_CPU", 5 * 32 * 32)
    sizes: set[int] = set()
    original = Target._run

    def run(self: Target, x: torch.Tensor, *rest: Any) -> torch.Tensor:
        sizes.add(len(x))
        return original(self, x, *rest)

    monkeypatch.setattr(Target, "_run", run)
    model = zoo.load("tiny-rsc")
    measure_speed(model)
    assert sizes == {max(5 // model.time_steps, 1)}


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, 10 + 11),
        ({"attack": "square", "parameters": (("eot_draws", 2), ("queries", 9))}, 20 + 11),
        ({"attack": "eot_pgd", "parameters": EOT_STEPS + (("precision", "full"),)}, 150 + 11),
        ({"attack": "eot_pgd", "parameters": EOT_STEPS + (("precision", "fast"),)}, 60 + 11),
        # Without noise it keeps full precision.
        (
            {"attack": "eot_pgd", "parameters": EOT_STEPS + (("precision", "fast"),)}
            | {"draws": 1, "coding": "direct", "sigma": None},
            30 + 1,
        ),
        ({"attack": "none", "parameters": (), "epsilon": 0.0, "chain": ()}, 11),
    ],
)
def test_each_kind_of_pass_has_its_own_speed(changes: Mapping[str, Any], seconds: int) -> None:
    cell = make_cell(**changes)
    assert seconds_of(cell, Speed(1, 10, 4)) == seconds * cell.images * cell.time_steps


def test_durations() -> None:
    texts = [duration_text(seconds) for seconds in (3, 600, 9000, 400_000)]
    assert texts == ["3 s", "10 min", "2.5 h", "4.6 days"]


@pytest.mark.parametrize(
    ("attack", "label"),
    [
        (PRESETS["fgsm"], "FGSM"),
        (PRESETS["pgd10"], "PGD-10"),
        (PRESETS["eot_pgd10"], "EOT-PGD-10"),
        (GridAttack.of("apgd"), "APGD"),
        (GridAttack.of("pgd", steps=20), "PGD (steps 20)"),
        (GridAttack.of("pgd", 0.5), "PGD (step size 0.5 epsilon)"),
    ],
)
def test_labels(attack: GridAttack, label: str) -> None:
    cell = make_cell(attack=attack.attack, parameters=attack.at(4.0), epsilon=4.0)
    assert attack_label(cell) == label
    assert attack_label(make_cell(attack=CLEAN, epsilon=0.0, parameters=(), chain=())) == "clean"


@pytest.mark.parametrize("name", [name for name, spec in ATTACKS.items() if spec.bounded])
def test_commands_are_ones_that_the_program_takes(name: str) -> None:
    attack = GridAttack.of(name)
    cell = make_cell(attack=name, parameters=attack.at(3.0), epsilon=3.0, sigma=0.15)
    args = build_parser().parse_args(shlex.split(cell_command(cell))[3:])
    values = {**dict(cell.parameters), "epsilon": 3.0}
    found = attack_parameters(args, get_attack(name))
    steps = (found.pop("step_size", 0), values.pop("step_size", 0))
    assert steps[0] == pytest.approx(steps[1], rel=1e-8)
    assert found == values
    assert (args.sigma, args.time_steps, args.batch_size) == (0.15, 4, 100)


def test_a_command_holds_what_a_cell_says_as_plain_words() -> None:
    """A file of somebody else may hold text that a shell would run."""
    text = "a; touch b $(c) 'd'"
    cell = make_cell(
        model=text,
        dataset=text,
        split=text,
        attack=text,
        parameters=((text, 1), ("steps", text)),
        epsilon=3.0,
    )
    words = shlex.split(cell_command(cell))
    assert words[:4] == ["python", "-m", "rsc_snn", "evaluate"]
    for name in ("--model", "--data", "--split", "--attack", "--steps"):
        assert words[words.index(name) + 1] == text
    assert f"--{text}" in words


def test_a_preset_takes_other_parameters() -> None:
    """As in a file: what is not named stays as the preset has it."""
    grid = Grid(("m",), ({"name": "pgd10", "steps": 5},), (4.0,))  # type: ignore[arg-type]
    assert grid.attacks[0] == GridAttack.of("pgd", 1 / 4, steps=5, random_start=True, eot_draws=1)
    fixed = Grid(("m",), ({"name": "pgd10", "step_size": 1.0},), (4.0,))  # type: ignore[arg-type]
    assert dict(fixed.attacks[0].parameters)["step_size"] == 1.0
    assert fixed.attacks[0].step_share is None
