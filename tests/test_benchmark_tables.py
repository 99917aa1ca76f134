"""The tables that benchmarks write into the docs, and the results they come from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks import converged, e_rsct, results, sparse_gradients


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
    assert "60.0 % (50.0, 60.0, 70.0)" in text
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
    assert lines[2] == "| ablation-plain | 60.0 % |  | 30.0 % |  | 15.0 % |  | 0.0 |"
    assert lines[3].startswith("| ablation-sparse | 58.0 % | -2.0 (-2.0 to -2.0) | 36.0 % | +6.0")
    assert "| +3.0 (+3.0 to +3.0) | 38.0 % | -2.0" in lines[5]
    assert "weight 0.02" in lines[-1]


def test_findings_on_the_strength_of_the_attacks() -> None:
    def point(effort: tuple[str, int, int, float], value: float) -> converged.Point:
        about = dict(zip(("attack", "steps", "eot_draws", "epsilon"), effort, strict=True))
        shown = {"value": value, "lower": value, "upper": value, "n": 100, "draws": 20, "seed": 0}
        return converged.Point(model="m", sha256="", seconds=1, command="", **about, **shown)  # type: ignore[arg-type]

    values = (0.30, 0.29, 0.27, 0.31, 0.28, 0.0)
    points = [point(effort, value) for effort, value in zip(converged.EFFORTS, values, strict=True)]
    assert converged.findings(points) == [
        "At 8/255 the strongest of these takes 3.0 (`m`) points more than the suite's.",
        "Accuracy under SA-PGD, adaptive minus trained surrogate: +3.0 (`m`) points.",
    ]
    assert converged.findings(points[:1]) == []


def test_a_benchmark_without_its_data_says_so_in_one_line(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks.converged", "--models", "cifar10-ann"],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "RSC_SNN_DATA": str(tmp_path / "nowhere")},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 2
    assert found.stderr.startswith("rsc-snn: error: The data folder")
    assert found.stderr.count("\n") == 1
