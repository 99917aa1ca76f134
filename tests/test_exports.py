"""What people take away: read back by other programs, it holds what the app showed."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rsc_snn.activity import Activity, record_activity
from rsc_snn.attacks import ATTACKS
from rsc_snn.exports import (
    Rounding,
    adversarial_png,
    archive_npz,
    logits_csv,
    point_command,
    rates_csv,
    scene_json,
    snippet,
    survives_rounding,
    to_8_bit,
)
from rsc_snn.outcome import AttackRequest, Outcome, mean_probabilities, vote_counts
from rsc_snn.paint import encode_paint
from rsc_snn.randomness import derive_seed, make_generator
from rsc_snn.scene import Environment, Scene, embed_image, model_result, play, read_scene
from rsc_snn.sweep.grid import attack_label, cell_command
from rsc_snn.trace import Trace
from rsc_snn.tradeoff import WORST, operating_points
from rsc_snn.zoo import Zoo
from tests.app_assets import make_assets
from tests.conftest import CIFAR10
from tests.tradeoff_cells import make_result

ROOT = Path(__file__).parents[1]
BOTH = ("tiny-rsc", "tiny-ann")
SCENE = Scene(
    models=BOTH,
    image="cifar10/cat-3",
    attack="pgd",
    parameters=(("steps", 2), ("epsilon", 2.6)),
    sigma=0.3,
    time_steps=3,
    draws=5,
    seed=11,
)
PAINT: dict[str, Any] = {"paint": encode_paint(np.ones((32, 32), np.int8)), "paint_epsilon": 8.0}
Watched = tuple[AttackRequest, Outcome, Activity]
Played = dict[str, tuple[AttackRequest, Outcome]]


@pytest.fixture(scope="module", autouse=True)
def zoo(tiny_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    folder = make_assets(tiny_zoo, tmp_path_factory.mktemp("exports") / "assets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RSC_SNN_ASSETS", str(folder))
        yield Zoo(folder / "models")


@pytest.fixture(scope="module")
def played(zoo: Zoo) -> Played:
    return {request.model: (request, outcome) for request, outcome, _ in play(SCENE, zoo)}


def test_png_is_the_attacked_image_to_the_nearest_level(played: Played) -> None:
    _, outcome = played["tiny-rsc"]
    with Image.open(io.BytesIO(adversarial_png(outcome))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (32, 32))
        pixels = np.asarray(image).transpose(2, 0, 1) / 255
    assert 0 < np.abs(pixels - outcome.adversarial).max() <= 0.5 / 255 + 1e-6
    assert to_8_bit(np.array([-0.1, 0, 0.499 / 255, 0.501 / 255, 1, 1.1], np.float32)).tolist() == [
        0, 0, 0, 1, 255, 255
    ]  # fmt: skip


# --- Rounding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", BOTH)
@pytest.mark.parametrize("draws", [None, 9])
def test_rounding_is_scored_with_the_same_noise(
    model: str, draws: int | None, played: Played, zoo: Zoo
) -> None:
    request, outcome = played[model]
    found = survives_rounding(zoo.load(model), request, outcome, draws)
    count = 5 if draws is None else draws
    shares = []
    for image in (outcome.adversarial, to_8_bit(outcome.adversarial).astype(np.float32) / 255):
        generator = make_generator(derive_seed(11, "score"))
        x = torch.from_numpy(image).unsqueeze(0).repeat(count, 1, 1, 1)
        logits = zoo.load(model)(
            x, sigma=request.sigma, time_steps=request.time_steps, generator=generator
        )
        shares.append(float((logits.argmax(dim=1) == outcome.label).double().mean()))
    assert [found.before, found.after] == pytest.approx(shares)
    assert found.draws == count
    if draws is None:
        assert found.before == float((outcome.adversarial_votes == outcome.label).mean())
        assert found.verdict_before == outcome.verdict
    # Epsilon is 2.6/255 and the original has whole levels, so the change rounds to 3/255.
    assert outcome.linf * 255 == pytest.approx(2.6, abs=1e-3)
    assert found.linf_255 == 3


def test_an_attack_smaller_than_the_rounding_does_not_survive(played: Played, zoo: Zoo) -> None:
    """A change of under half a level is rounded away, so the verdict is that of the original."""
    request, outcome = played["tiny-ann"]
    label = int(outcome.clean_votes[0])
    step = np.where(outcome.original < 0.9, 0.4 / 255, 0).astype(np.float32)
    found = survives_rounding(
        zoo.load("tiny-ann"),
        request,
        replace(outcome, label=label, adversarial=outcome.original + step),
    )
    assert (found.after, found.verdict_after, found.linf_255) == (1.0, "held", 0)


@pytest.mark.parametrize(
    ("before", "after", "survives"),
    [
        ("fooled", "fooled", True),
        ("fooled", "abstained", True),
        ("abstained", "fooled", True),
        ("fooled", "held", False),
        ("abstained", "held", False),
        ("held", "fooled", None),
        ("held", "held", None),
        ("wrong", "wrong", None),
    ],
)
def test_what_survives(before: Any, after: Any, survives: bool | None) -> None:
    assert Rounding(0.0, 0.0, before, after, 8.0, 5).survives is survives


# --- Numbers -------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=BOTH)
def watched(request: pytest.FixtureRequest, played: Played, zoo: Zoo) -> Watched:
    """What the app shows of a network: the outcome, and what it did on both images."""
    wanted, outcome = played[request.param]
    activity = record_activity(
        zoo.load(wanted.model),
        outcome.original,
        outcome.adversarial,
        time_steps=wanted.time_steps,
        sigma=wanted.sigma,
        seed=wanted.seed,
    )
    return wanted, outcome, activity


def traces(zoo: Zoo, watched: Watched) -> list[Trace]:
    """Both images' traces with the noise of the activity, by the model itself."""
    request, outcome, _ = watched
    return [
        zoo.load(request.model).trace(
            torch.from_numpy(image)[None],
            time_steps=request.time_steps,
            sigma=request.sigma,
            generator=make_generator(derive_seed(request.seed, "trace")),
        )
        for image in (outcome.original, outcome.adversarial)
    ]


def test_archive(watched: Watched, zoo: Zoo) -> None:
    request, outcome, activity = watched
    content = archive_npz(outcome, request, activity)
    assert content == archive_npz(outcome, request, activity)
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        found = dict(archive)
    for name in ("original", "adversarial", "clean_logits", "adversarial_logits"):
        np.testing.assert_array_equal(found[name], getattr(outcome, name))
    names = list(zoo.load(request.model).layer_names)
    assert found["layer_names"].tolist() == names
    assert found["changed"].shape == (len(names),)
    for which, trace in zip(("clean", "adversarial"), traces(zoo, watched), strict=True):
        np.testing.assert_array_equal(found[f"{which}_steps"], trace.step_logits[:, 0])
        expected = [float(layer.firing_rate()[0]) for layer in trace.layers]
        np.testing.assert_allclose(found[f"{which}_rates"], expected, rtol=1e-3)
        for index, layer in enumerate(trace.layers):
            shown, values = found[f"layer_{index}_{which}"], layer.spikes[:, 0]
            if layer.spiking:
                neurons = found[f"layer_{index}_neurons"]
                assert len(neurons) == min(256, values[0].numel())
                assert shown.dtype == bool
                np.testing.assert_array_equal(shown, values.flatten(1)[:, neurons])
            else:
                np.testing.assert_allclose(shown, values.mean(dim=(0, 2, 3)), rtol=1e-3)
    meta = json.loads(str(found["meta"]))
    assert meta["parameters"] == dict(request.parameters)
    assert (meta["model"], meta["seed"], meta["label"]) == (request.model, 11, 3)
    assert meta["verdict"] == outcome.verdict and meta["linf"] == outcome.linf


def test_logits_table(played: Played) -> None:
    _, outcome = played["tiny-rsc"]
    classes = ('cat, "large"', *CIFAR10[1:])
    rows = list(csv.reader(io.StringIO(logits_csv(outcome, classes).decode())))
    assert rows[0] == ["image", "draw", *classes]
    assert [row[:2] for row in rows[1:]] == [
        [image, str(draw)] for image in ("original", "adversarial") for draw in range(5)
    ]
    values = np.array([row[2:] for row in rows[1:]], dtype=np.float32)
    both = np.concatenate([outcome.clean_logits, outcome.adversarial_logits])
    np.testing.assert_array_equal(values, both)


def test_rates_table(watched: Watched, zoo: Zoo) -> None:
    rows = list(csv.DictReader(io.StringIO(rates_csv(watched[2]).decode())))
    clean, adversarial = (trace.layers for trace in traces(zoo, watched))
    for row, before, after in zip(rows, clean, adversarial, strict=True):
        assert (row["layer"], int(row["neurons"])) == (before.name, before.spikes[0, 0].numel())
        shares = [float(layer.firing_rate()[0]) for layer in (before, after)]
        assert [float(row["original"]), float(row["adversarial"])] == pytest.approx(
            shares, rel=1e-3
        )
        assert float(row["difference"]) == pytest.approx(shares[1] - shares[0], abs=1e-4)
        if before.spiking:
            either = int((before.spikes | after.spikes).sum())
            changed = int((before.spikes ^ after.spikes).sum()) / either
            assert float(row["changed_share"]) == pytest.approx(changed)
        else:
            assert row["changed_share"] == ""


def test_scene_file(played: Played) -> None:
    results = [model_result(*item) for item in played.values()]
    file = read_scene(scene_json(SCENE, results))
    assert file.scene == SCENE
    assert file.results == tuple(results)
    assert file.environment == Environment.here()
    assert read_scene(scene_json(SCENE)).results == ()


# --- Programs ------------------------------------------------------------------------------------


def test_programs_print_the_numbers(zoo: Zoo) -> None:
    pixels = torch.randint(0, 256, (1, 3, 32, 32), generator=make_generator(1)) / 255
    own = replace(SCENE, image=None, image_png=embed_image(pixels), seed=3, **PAINT)
    programs = [snippet(scene, torch.get_num_threads()) for scene in (SCENE, own)]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(programs).replace("pick_device()", "'cpu'")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    expected = []
    for request, outcome, painted in (*play(SCENE, zoo), *play(own, zoo)):
        clean, adversarial = outcome.clean_counts.tolist(), outcome.adversarial_counts.tolist()
        expected += [
            f"{request.model} {outcome.verdict} linf {outcome.linf} l2 {outcome.l2}",
            f"votes {clean} {adversarial}",
            f"probabilities {mean_probabilities(outcome.clean_logits).tolist()}",
            f"probabilities {mean_probabilities(outcome.adversarial_logits).tolist()}",
        ]
        if painted is not None:
            expected += [
                f"painted votes {vote_counts(painted.logits).tolist()}",
                f"painted probabilities {mean_probabilities(painted.logits).tolist()}",
            ]
    assert done.stdout.splitlines() == expected


@pytest.mark.parametrize("named", [True, False])
def test_programs_find_own_models(named: bool, zoo: Zoo, tmp_path: Path) -> None:
    """In the folder that the zoo knows, or in those of the variable where it runs."""
    folder = tmp_path / "my 'models'"
    folder.mkdir()
    for suffix in (".json", ".safetensors"):
        shutil.copy(zoo.folder / f"tiny-rsc{suffix}", folder / f"my{suffix}")
    card = json.loads((folder / "my.json").read_text(encoding="utf-8"))
    (folder / "my.json").write_text(json.dumps(card | {"name": "my"}), encoding="utf-8")
    beside = Zoo(zoo.folder, [folder])
    scene = replace(SCENE, models=("my",))
    program = snippet(scene, torch.get_num_threads(), beside if named else None)
    done = subprocess.run(
        [sys.executable, "-c", program.replace("pick_device()", "'cpu'")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={
            **os.environ,
            "PYTHONWARNINGS": "ignore",
            "RSC_SNN_ZOO": "" if named else str(folder),
        },
    )
    assert done.returncode == 0, done.stderr
    ((_, outcome, _),) = play(scene, beside)
    assert done.stdout.startswith(
        f"my {outcome.verdict} linf {outcome.linf} l2 {outcome.l2}\n"
        f"votes {outcome.clean_counts.tolist()} {outcome.adversarial_counts.tolist()}\n"
    )


@pytest.mark.parametrize("attack", list(ATTACKS))
def test_programs_are_short(attack: str) -> None:
    scene = Scene(models=BOTH, image="cifar10/cat-3", attack=attack, **PAINT)
    program = snippet(scene, threads=2)
    ast.parse(program)
    lines = program.splitlines()
    assert len(lines) <= 35
    assert lines[0] == (
        f'"""{ATTACKS[attack].label} on cifar10/cat-3, without the app: run this in the folder '
        'of RSC-SNN."""'
    )


def test_texts_of_a_scene_cannot_leave_their_quotes() -> None:
    text = "x'), __import__('os').abort() #\n\"\"\""
    program = snippet(replace(SCENE, true_class=text))
    strings = [
        node.value for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Constant)
    ]
    assert text in strings
    names = {node.id for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Name)}
    assert "__import__" not in names


def test_the_command_of_a_point_is_of_the_value_beside_it() -> None:
    clean, first, second = np.ones((3, 8), bool), np.ones((3, 8), bool), np.ones((3, 8), bool)
    first[:, :4], second[:2, 2:] = False, False
    results = [
        make_result(clean),
        make_result(first, attack="fgsm", epsilon=8.0),
        make_result(second, attack="pgd", epsilon=8.0, parameters=(("steps", 10),)),
    ]
    (alone,) = operating_points(results, "pgd", 8.0)
    command = cell_command(results[2].cell)
    assert point_command(alone, "robust") == command
    assert point_command(alone, "clean") == cell_command(results[0].cell)
    (worst,) = operating_points(results, WORST, 8.0, attacks=("fgsm", "pgd"))
    label = attack_label(results[1].cell)
    assert worst.robust.value < worst.alone == 0.5
    assert point_command(worst, "robust") == (
        f"{label}, the strongest, alone 50.0%: {cell_command(results[1].cell)}"
    )
    assert point_command(worst, "clean") == cell_command(results[0].cell)
    (lone,) = operating_points(results, WORST, 8.0, attacks=("pgd",))
    assert point_command(lone, "robust").startswith(f"{attack_label(results[2].cell)}, the strong")
    (vote,) = operating_points(results, "pgd", 8.0, "vote", 2)
    for accuracy in ("clean", "robust"):
        assert point_command(vote, accuracy).endswith(" --predictor vote")
        assert "--draws 2 " in point_command(vote, accuracy)
    (all_vote,) = operating_points(results, "pgd", 8.0, "vote")
    assert "--draws 3 " in point_command(all_vote, "robust")
