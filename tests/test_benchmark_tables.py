"""The tables that benchmarks write into the docs, and the results they come from."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from benchmarks import converged, devices, e_rsct, precision, results, sparse_gradients
from rsc_snn.classifier import ModelConfig
from rsc_snn.errors import ConfigError
from rsc_snn.evaluate import accuracy_estimate
from rsc_snn.sweep.grid import PRESETS
from rsc_snn.zoo import Zoo
from tests.sweep.synthetic import make_data
from tests.tradeoff_cells import make_result


def run(variant: str, seed: int, clean: float) -> e_rsct.Run:
    return e_rsct.Run(
        variant=variant,
        label=variant,
        seed=seed,
        epochs=1,
        sigma=0.2,
        time_steps=4,
        clean=clean,
        lower=clean - 0.01,
        upper=clean + 0.01,
        n=5000,
        draws=4,
        seconds=1.0,
        device="CPU",
        teacher_clean=0.8,
        command="",
    )


def test_gains_are_taken_seed_by_seed() -> None:
    plain = [run(e_rsct.PLAIN, seed, 0.5 + seed / 10) for seed in range(3)]
    gain = [run("ablation-both", seed, 0.52 + seed / 10) for seed in range(3)]
    text = e_rsct.table([*plain, *gain])
    # Student's t of three values that are 10 points apart: 4.303 * 10 / sqrt(3) = 24.8.
    assert "60.0 % (35.2 to 84.8; seeds: 50.0, 60.0, 70.0)" in text
    assert "+2.0 (+2.0 to +2.0)" in text


def test_the_interval_of_a_gain_is_students() -> None:
    # t with 2 degrees of freedom: 4.3027; mean 2, standard error 1 / sqrt(3).
    low, high = 2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5
    assert e_rsct.interval_text([1, 2, 3]) == f"+2.0 ({low:+.1f} to {high:+.1f})"
    assert e_rsct.interval_text([1.5]) == "+1.5 (one seed)"


def test_runs_survive_the_file(tmp_path: Path) -> None:
    runs = [run(e_rsct.PLAIN, seed, 0.1234567) for seed in range(2)]
    path = tmp_path / "runs.csv"
    results.write_rows(path, e_rsct.Run, runs)
    assert results.read_rows(path, e_rsct.Run) == runs
    assert results.read_rows(tmp_path / "none.csv", e_rsct.Run) == []


def sparse_run(variant: str, seed: int, clean: float, robust: float) -> sparse_gradients.Run:
    return sparse_gradients.Run(
        variant=variant,
        label=variant,
        seed=seed,
        epochs=1,
        sigma=0.2,
        time_steps=4,
        sparsity=0.02 if variant.endswith("sparse") else 0.0,
        clean=clean,
        clean_lower=clean - 0.01,
        clean_upper=clean + 0.01,
        clean_n=5000,
        robust_2=robust,
        robust_2_lower=robust - 0.05,
        robust_2_upper=robust + 0.05,
        robust_8=robust / 2,
        robust_8_lower=robust / 2 - 0.05,
        robust_8_upper=robust / 2 + 0.05,
        robust_n=300,
        draws=10,
        seconds=1.0,
        device="CPU",
        command="",
    )


def test_sparse_gradients_are_compared_with_the_peer_of_the_same_seed() -> None:
    runs = [
        sparse_run(variant, seed, clean + seed / 10, robust + seed / 10)
        for seed in range(3)
        for variant, clean, robust in (
            ("ablation-plain", 0.5, 0.2),
            ("ablation-sparse", 0.48, 0.26),
            ("ablation-at", 0.4, 0.3),
            ("ablation-at-sparse", 0.43, 0.28),
        )
    ]
    lines = sparse_gradients.table(runs).splitlines()
    # Student's t of three values that are 10 points apart: 4.303 * 10 / sqrt(3) = 24.8.
    assert lines[2] == (
        "| ablation-plain | 60.0 % (35.2 to 84.8) |  | 30.0 % (5.2 to 54.8) |  "
        "| 15.0 % (2.6 to 27.4) |  |"
    )
    assert lines[3].startswith(
        "| ablation-sparse | 58.0 % (33.2 to 82.8) | -2.0 (-2.0 to -2.0) | 36.0 % (11.2 to 60.8) | "
        "+6.0"
    )
    assert "| +3.0 (+3.0 to +3.0) | 38.0 % (13.2 to 62.8) | -2.0" in lines[5]
    assert "weight 0.02" in lines[-1] and "Not measured yet" not in lines[-1]
    assert "seeds 0, 1, 2;" in lines[-1] and "--seeds 0 1 2 --images 300`" in lines[-1]
    part = sparse_gradients.table([run for run in runs if run.variant != "ablation-at-sparse"])
    assert "Not measured yet: `ablation-at-sparse`." in part
    alone = sparse_gradients.table([run for run in runs if run.seed == 1])
    assert "| ablation-plain | 60.0 % (59.0 to 61.0) |  | 30.0 % (25.0 to 35.0) |" in alone
    assert " seed 1;" in alone


def rerun(old: Sequence[Any], new: Sequence[Any], module: Any) -> list[Any]:
    """What a benchmark's file holds after a second run of the benchmark."""
    return e_rsct.with_others(new, old, module.ALIKE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 2),
        ("sigma", 0.3),
        ("time_steps", 8),
        ("n", 10_000),
        ("draws", 1),
        ("teacher_clean", 0.9),
    ],
)
def test_runs_that_the_caption_would_not_describe_are_left_out(field: str, value: float) -> None:
    old = [run(variant, seed, 0.5) for seed in (0, 1) for variant in e_rsct.VARIANTS]
    new = [replace(run(variant, 1, 0.6), **{field: value}) for variant in e_rsct.VARIANTS]  # type: ignore[arg-type]
    assert rerun(old, new, e_rsct) == new
    same = [run(variant, 1, 0.6) for variant in e_rsct.VARIANTS]
    assert rerun(old, same, e_rsct) == [*old[: len(same)], *same]


@pytest.mark.parametrize(
    ("field", "value"), [("sparsity", 0.05), ("robust_n", 20), ("clean_n", 9), ("device", "GPU")]
)
def test_sparse_runs_that_the_caption_would_not_describe_are_left_out(
    field: str, value: float | str
) -> None:
    names = list(sparse_gradients.VARIANTS)
    old = [sparse_run(variant, seed, 0.5, 0.2) for seed in (0, 1) for variant in names]
    new = [replace(sparse_run(variant, 1, 0.6, 0.3), **{field: value}) for variant in names]  # type: ignore[arg-type]
    assert rerun(old, new, sparse_gradients) == new
    same = [sparse_run(variant, 1, 0.6, 0.3) for variant in names]
    assert rerun(old, same, sparse_gradients) == [*old[: len(same)], *same]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_shipped_table_is_that_of_the_shipped_runs_whatever_seed_is_run_again(
    seed: int,
) -> None:
    shipped = results.read_rows(e_rsct.RESULTS, e_rsct.Run)
    again = [each for each in shipped if each.seed == seed]
    assert len(again) == len(e_rsct.VARIANTS)
    found = e_rsct.table(rerun(shipped, again, e_rsct))
    text = e_rsct.DOCS.read_text(encoding="utf-8")
    assert results.put_between(text, e_rsct.MARKERS, found) == text


VALUES = (0.30, 0.29, 0.27, 0.32, 0.31, 0.28, 0.0, 0.33, 0.31)


def points(
    model: str = "m", n: int = 100, values: Sequence[float] = VALUES, data: str = "a"
) -> list[converged.Point]:
    """A point for each of the first efforts."""
    return [
        converged.Point(
            model=model,
            sha256="",
            data=data,
            attack=attack,
            steps=steps,
            eot_draws=eot_draws,
            epsilon=epsilon,
            value=value,
            lower=value,
            upper=value,
            n=n,
            draws=20,
            seed=0,
            seconds=1.0,
            command=f"measure {n}",
        )
        for (attack, steps, eot_draws, epsilon), value in zip(
            converged.EFFORTS, values, strict=False
        )
    ]


def test_findings_on_the_strength_of_the_attacks() -> None:
    taken, adapted = converged.findings(points())
    assert taken == (
        "At 8/255 the strongest of these takes 3.0 (`m`) points more than the suite's: the best of "
        "7, of 100 images and 20 draws. These differences are not tested: the intervals of the "
        "accuracies say how much so few images leave to chance, and the best of many looks "
        "stronger than it is."
    )
    assert adapted == (
        "Accuracy under SA-PGD, the adaptive surrogate at the A that takes most minus the trained "
        "one: +3.0 (`m`) points; 2 A tried."
    )
    assert converged.findings(points()[:1]) == []
    (fewer,) = converged.findings(points(n=400)[:3])
    assert "the best of 2, of 400 images and 20 draws." in fewer


def test_what_is_not_measured_yet_is_said() -> None:
    noisy = ModelConfig(coding="rsc", sigma=0.2)
    configs = {"m": noisy, "none": noisy, "plain": ModelConfig(neuron="relu", coding="direct")}
    *_, some, nothing = converged.table(points()[:7], configs).splitlines()
    assert some.startswith(
        "Not measured yet on these images of `m`: SA-PGD, A = 0.35, 50 steps, 10 draws, 8/255; "
    )
    assert some.count(";") == len(converged.SPREADS) - 1
    assert nothing == "Not measured yet at all: `none`, `plain`."
    # Without noise there is nothing to average, without spikes no surrogate to adapt.
    fitting = converged.efforts_against(configs["plain"])
    assert not any(draws == 40 or attack in converged.SPREADS for attack, _, draws, _ in fitting)
    assert converged.efforts_against(noisy) == converged.EFFORTS
    assert "Not measured" not in converged.table(points(values=[0.3] * 14), {"m": noisy})


def test_rows_of_one_set_of_images_share_a_caption() -> None:
    text = converged.table([*points("a"), *points("b")], {})
    assert "| `a` | 30.0 (30.0 to 30.0) |" in text
    assert "n = 100 test images, 20 fresh draws each" in text
    assert text.count("Repeat: `measure 100`.") == 1 and "| repeat |" not in text


def test_a_model_without_any_point_of_a_table_has_no_row_in_it() -> None:
    text = converged.table([*points("a"), *points("b")[:7]], {})
    assert text.count("| `a` |") == 2 and text.count("| `b` |") == 1


def test_rows_of_different_images_name_them_and_their_command() -> None:
    for other in (points("b", n=50), points("b", data="z")):
        lines = converged.table([*points("a"), *other], {}).splitlines()
        one = other[0]
        assert lines[0].startswith("| model | n, draws, images | ")
        assert lines[2].startswith("| `a` | 100, 20, `a` | 30.0") and "`measure 100` |" in lines[2]
        assert lines[3].startswith(f"| `b` | {one.n}, 20, `{one.data}` | 30.0")
        assert lines[3].endswith(f"| `measure {one.n}` |")
        assert len({line.count("|") for line in lines[:4]}) == 1
        assert not any("n = " in line or "Repeat:" in line for line in lines)


def test_the_most_complete_then_largest_measurement_is_shown() -> None:
    large, small = points(n=100), points(n=20, values=[0.5] * 9)
    assert converged.rows([*large, *small])["m"] == large[::-1]
    assert converged.rows([*small, *large])["m"] == large[::-1]
    assert converged.rows([*small, *large[:3]])["m"] == small[::-1]
    again = points(data="b")
    assert converged.rows([*large, *again])["m"] == again[::-1]


def test_a_rerun_keeps_what_was_measured_on_more_or_other_images(
    tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def measure(*_: object, limit: int, **__: object) -> SimpleNamespace:
        measured.append(limit)
        return SimpleNamespace(robust=accuracy_estimate(torch.ones(limit)), n=limit, seconds=1.0)

    monkeypatch.setattr(converged, "RESULTS", tmp_path / "converged.csv")
    monkeypatch.setattr(converged, "DOCS", tmp_path / "results.md")
    (tmp_path / "results.md").write_text("\n".join(converged.MARKERS))
    monkeypatch.setattr(converged, "evaluate_accuracy", measure)
    monkeypatch.setenv("RSC_SNN_ASSETS", str(tiny_zoo.parent))
    first, second = make_data(tmp_path / "one"), make_data(tmp_path / "two", each=3)

    def run(data: Path, images: int) -> list[int]:
        measured.clear()
        monkeypatch.setenv("RSC_SNN_DATA", str(data))
        monkeypatch.setattr(sys, "argv", f"converged --models tiny-rsc --images {images}".split())
        converged.main()
        return list(measured)

    each = len(converged.EFFORTS)
    assert run(first, 8) == [8] * each
    assert run(first, 4) == [4] * each
    assert run(first, 8) == [], "what was measured on more images is still there"
    assert run(second, 8) == [8] * each, "other images are measured"
    assert run(first, 8) == run(second, 8) == []
    found = results.read_rows(converged.RESULTS, converged.Point)
    assert {point.command for point in found} == {
        f"python -m benchmarks.converged --models tiny-rsc --images {n} --draws 20" for n in (4, 8)
    }


def test_the_shipped_points_are_those_of_the_document() -> None:
    found = results.read_rows(converged.RESULTS, converged.Point)
    text = converged.DOCS.read_text(encoding="utf-8")
    configs = {name: Zoo().card(name).config for name in converged.MODELS}
    assert results.put_between(text, converged.MARKERS, converged.table(found, configs)) == text
    robustness = pq.read_table(converged.RESULTS.with_name("robustness.parquet"))
    pairs = zip(robustness["model"].to_pylist(), robustness["data"].to_pylist(), strict=True)
    assert {(point.model, point.data) for point in found} <= set(pairs), "the same test images"


@pytest.mark.parametrize(
    ("name", "options"),
    [("converged", ["--models", "cifar10-ann"]), ("e_rsct", ["--out", "{folder}/runs"])],
)
def test_a_benchmark_without_its_data_says_so_in_one_line(
    tmp_path: Path, name: str, options: list[str]
) -> None:
    """So does one that trains by the program's own command, with that command's exit code."""
    options = [option.format(folder=tmp_path) for option in options]
    found = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *options],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "RSC_SNN_DATA": str(tmp_path / "nowhere")},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 2
    assert found.stderr.startswith("rsc-snn: error: The data folder")
    assert found.stderr.count("\n") == 1


def test_what_less_precise_gradients_leave_is_a_difference_image_by_image() -> None:
    """The attack in bfloat16 spares every tenth image more."""
    full = np.tile(np.arange(200) % 2 == 0, (5, 1))
    fast = full | np.tile(np.arange(200) % 10 == 1, (5, 1))
    pairs = {
        (sigma, epsilon): (
            make_result(fast, attack="eot_pgd", epsilon=epsilon, sigma=sigma),
            make_result(full, attack="eot_pgd", epsilon=epsilon, sigma=sigma),
        )
        for sigma in (0.1, 0.2)
        for epsilon in (2.0, 8.0)
    }
    head, *rows, seconds = precision.lines(pairs)
    assert "fast minus under full" in head
    assert [row.split()[0] for row in rows] == ["2/255", "8/255", "all"]
    for row in rows:
        value, low, high = map(float, re.findall(r"-?\d+\.\d", row))
        assert value == 10.0 and 4 < low < 10 < high < 16
    assert "1.00x" in seconds


def test_the_precisions_are_those_of_the_sweeps() -> None:
    fast, full = (precision.grid_of("m", name, 10, 2, 1) for name in precision.PRECISIONS)
    assert fast.attacks == (PRESETS["eot_pgd10"],)
    assert dict(full.attacks[0].parameters) == {
        **dict(fast.attacks[0].parameters),
        "precision": "full",
    }


def scores(share: float, seed: int) -> NDArray[np.bool_]:
    """Two draws of 300 images, right with probability `share`."""
    return np.random.default_rng(seed).random((2, 300)) < share


def test_two_machines_that_measure_the_same_differ_by_chance() -> None:
    pairs = [
        (
            make_result(scores(0.6, 2 * place), attack="fgsm", epsilon=8.0, sigma=place / 100),
            make_result(scores(0.6, 2 * place + 1), attack="fgsm", epsilon=8.0, sigma=place / 100),
        )
        for place in range(60)
    ]
    line, total, single, _ = devices.lines(pairs)
    assert line.split()[:2] == ["fgsm", "60"] and line.endswith("within the noise")
    assert total.split()[:2] == ["all", "60"]
    share = float(found[1]) if (found := re.search(r"([\d.]+) % differ", single)) else 100.0
    assert "at every image: 0;" in single and share <= 100 * stats.binom.isf(1e-6, 60, 0.05) / 60


def test_a_machine_that_measures_something_else_is_told() -> None:
    same = make_result(scores(0.6, 0))
    off = [
        (make_result(scores(0.6, 1), sigma=sigma), make_result(scores(0.5, 2), sigma=sigma))
        for sigma in (0.1, 0.3)
    ]
    line, _, single, _ = devices.lines([(same, same), *off])
    assert line.split()[:2] == ["clean", "3"] and "noise" not in line
    assert "at every image: 1; of the other 2, 100.0 % differ" in single


def test_only_cells_that_were_measured_twice_are_compared() -> None:
    here = make_result(scores(0.6, 0), sigma=0.1), make_result(scores(0.6, 1), sigma=0.2)
    there = replace(here[0], device="GPU · other"), make_result(scores(0.6, 1), sigma=0.3)
    assert devices.paired(here, there) == [(here[0], there[0])]
    with pytest.raises(ConfigError, match="measured for both"):
        devices.paired(here, here)
