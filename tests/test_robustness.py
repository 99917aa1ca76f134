"""The table of robustness: worst cases by brute force, round trips, comparisons, sentences."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from rsc_snn.attacks.options import attack_parameters
from rsc_snn.cli import build_parser, main
from rsc_snn.errors import ConfigError, DataError
from rsc_snn.robustness import report
from rsc_snn.robustness.cells import subset_rows
from rsc_snn.robustness.compare import (
    WITHOUT_SPIKES,
    Claim,
    Results,
    Verdict,
    averaging,
    claims,
    compare,
    masking_signs,
    outcome,
    sentence,
    upper_end,
)
from rsc_snn.robustness.store import (
    FILE,
    Row,
    add_results,
    current,
    merged,
    read_results,
    worst_row,
    write_results,
)
from rsc_snn.robustness.suite import ADVERSARIES, CLEAN, SUITE, WORST, Settings, suite_markdown
from rsc_snn.tradeoff.paired import differences
from rsc_snn.zoo import Zoo, named_zoo
from tests.conftest import stated
from tests.robust_rows import SHA, make_model, make_row

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results.md"
SHAS = {"m": SHA, "other": SHA}


def counts(rng: np.random.Generator, n: int, draws: int) -> list[int]:
    return [int(count) for count in rng.integers(0, draws + 1, n)]


# --- Worst cases -------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [1, 10])
def test_the_worst_case_is_the_lowest_score_of_each_image(draws: int) -> None:
    rng = np.random.default_rng(0)
    clean = make_row("m", CLEAN, 0.0, counts(rng, 700, draws), draws)
    fgsm = make_row("m", "fgsm", 8.0, counts(rng, 700, draws), draws)
    pgd = make_row("m", "pgd7", 8.0, counts(rng, 500, draws), draws)
    worst = worst_row(clean, [fgsm, pgd])
    rows = subset_rows(700, 500, 0).tolist()
    expected = [
        min(clean.scores[row], fgsm.scores[row], pgd.scores[at]) for at, row in enumerate(rows)
    ]
    assert list(worst.scores) == expected
    assert worst.value == pytest.approx(np.mean(expected) / draws)
    assert worst.lower < worst.value < worst.upper
    assert (worst.attack, worst.n, worst.epsilon_255) == (WORST, 500, 8.0)
    assert worst.attacked == sum(clean.scores[row] > 0 for row in rows)


def test_worst_cases_are_over_all_attacks_but_the_control() -> None:
    rows = make_model("m", 0.6)
    worst = {row.epsilon_255: row for row in merged([], rows, SHAS) if row.attack == WORST}
    assert sorted(worst) == [2.0, 8.0]
    for epsilon, row in worst.items():
        at = {item.attack: item for item in rows if item.epsilon_255 == epsilon}
        stacked = torch.stack([at[name].subset_scores() for name in ADVERSARIES])
        assert row.value == pytest.approx(float(stacked.amin(0).mean()))
        assert "uniform_noise" not in row.parameters and "square" in row.parameters


@pytest.mark.parametrize("lacking", [CLEAN, *ADVERSARIES])
def test_no_worst_case_without_the_whole_suite(lacking: str) -> None:
    rows = [row for row in make_model("m", 0.6) if row.attack != lacking]
    assert not any(row.attack == WORST for row in merged([], rows, SHAS))


# --- The table ---------------------------------------------------------------------------------


def test_round_trip(tmp_path: Path) -> None:
    rows = merged([], make_model("m", 0.5, draws=10), SHAS)
    write_results(rows, tmp_path)
    assert read_results(tmp_path) == rows
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert read_results(tmp_path / "nowhere") == []


def test_other_programs_can_read_it(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    write_results(merged([], make_model("m", 0.5), SHAS), tmp_path)
    frame = pandas.read_parquet(tmp_path / FILE)
    assert {"model", "attack", "epsilon_255", "sigma", "time_steps", "value"} <= set(frame.columns)
    assert len(frame) == 1 + 2 * (len(SUITE) + 1)


def test_new_rows_replace_old_ones_and_the_rest_stays() -> None:
    old = merged([], [*make_model("m", 0.5), *make_model("other", 0.4)], SHAS)
    (pgd,) = [row for row in old if row.place == ("m", "pgd7", 8.0, None, 4)]
    new = make_row("m", "pgd7", 8.0, [0] * 500)
    table = {row.place: row for row in merged(old, [new], SHAS)}
    assert table[pgd.place] == new != pgd
    assert table["m", WORST, 8.0, None, 4].value == 0.0  # made anew
    kept = {
        row.place: row for row in old if row.place not in (pgd.place, ("m", WORST, 8.0, None, 4))
    }
    assert kept.items() <= table.items()


def test_intervals_are_those_of_the_rule_of_today(tmp_path: Path) -> None:
    """A table that another rule for intervals wrote is brought up to date; one that ships is."""
    rows = merged([], make_model("m", 0.5, draws=10), SHAS)
    write_results([replace(row, lower=0.0, upper=1.0) for row in rows], tmp_path)
    add_results([], {}, tmp_path)
    assert read_results(tmp_path) == rows
    shipped = read_results(ROOT / "assets" / "results")
    assert shipped and merged(shipped, [], {}) == shipped


def test_rows_of_a_model_that_changed_are_dropped_and_those_of_others_stay() -> None:
    """A model that is not known may be of another folder, or its card damaged today."""
    old = merged([], [*make_model("m", 0.5), *make_model("other", 0.4)], SHAS)
    assert {row.model for row in merged(old, [], {"m": SHA, "other": "b" * 64})} == {"m"}
    for known in ({"m": SHA}, {}):
        assert merged(old, [], known) == old
    assert {row.model for row in current(old, {"m": SHA})} == {"m"}, "but they are not shown"


@pytest.mark.parametrize("change", [{"seed": 1}, {"data": "4567"}, {"images": 400}, {"draws": 2}])
def test_rows_measured_in_another_way_are_not_mixed(change: dict[str, Any]) -> None:
    old = merged([], make_model("m", 0.5), SHAS)
    new = replace(make_row("m", "pgd7", 8.0, [0] * 500), **change)
    assert merged(old, [new], SHAS) == [new]


def test_adding_keeps_what_another_process_wrote(tmp_path: Path) -> None:
    add_results(make_model("m", 0.5), SHAS, tmp_path)
    add_results(make_model("other", 0.5), SHAS, tmp_path)
    assert {row.model for row in read_results(tmp_path)} == {"m", "other"}


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"PAR1" + 50 * b"\0" + b"PAR1", b"model,value\n"]
)
def test_a_damaged_table_is_a_sentence(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        read_results(tmp_path)
    assert main(["zoo", "results", "--results", str(tmp_path)]) == 2
    assert "damaged" in capsys.readouterr().err


def test_a_truncated_or_foreign_table_is_a_sentence(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_results(merged([], make_model("m", 0.5), SHAS), tmp_path)
    path = tmp_path / FILE
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged"):
        read_results(tmp_path)
    path.write_bytes(whole)
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["seed"]), path)
    with pytest.raises(DataError, match="damaged"):
        read_results(tmp_path)
    pq.write_table(table.replace_schema_metadata({"schema": "99"}), path)
    with pytest.raises(DataError, match="another version"):
        read_results(tmp_path)
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(DataError, match="another version"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    "change", [{"value": 1.5}, {"lower": 0.9}, {"n": 3}, {"scores": b""}, {"scores": b"\x02" * 4}]
)
def test_a_row_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="contradicts"):
        replace(make_row("m", "pgd7", 8.0, [1, 0, 1, 0]), **change)


# --- Comparisons -------------------------------------------------------------------------------


def pair(shares: tuple[float, float], n: int = 500, draws: int = 10) -> Results:
    """Worst cases of an RSC model and its ANN whose accuracies are about `shares`."""
    rng = np.random.default_rng(4)
    first = [int(item) for item in draws * (rng.random(n) < shares[0])]
    second = [int(item) for item in rng.random(n) < shares[1]]
    return worst_cases(first, first, second, draws)


def worst_cases(
    lowest: list[int], strongest: list[int], twin: list[int], draws: int = 10
) -> Results:
    """Worst cases of an RSC model, also its strongest attack's row, and of its ANN."""
    return Results(
        (
            make_row("cifar10-snn-rsc-020", WORST, 8.0, lowest, draws),
            make_row("cifar10-snn-rsc-020", "apgd", 8.0, strongest, draws),
            make_row("cifar10-ann", WORST, 8.0, twin),
        )
    )


@pytest.mark.parametrize(
    ("shares", "verdict", "words"),
    [
        ((0.6, 0.4), "above", "The claim holds"),
        ((0.4, 0.6), "below", "The claim fails"),
        ((0.505, 0.5), "undecided", "The claim is not shown"),
    ],
)
def test_the_claim_is_won_lost_or_undecided(
    shares: tuple[float, float], verdict: str, words: str
) -> None:
    results = pair(shares)
    (item,) = claims(results)
    assert item.verdict == verdict
    text = report.SECTIONS["claims"](results, {})
    assert f"**`cifar10-snn-rsc-020` against `cifar10-ann`.** {words}" in text
    assert f"| {verdict} |" in text


@pytest.mark.parametrize(
    ("lowest", "strongest", "verdict"),
    [
        (0.5, 0.5, "above"),
        (0.33, 0.5, "leans above"),
        (0.3, 0.5, "undecided"),
        (0.2, 0.5, "undecided"),
        (0.1, 0.27, "leans below"),
        (0.1, 0.2, "below"),
    ],
)
def test_a_claim_on_noisy_scores_must_hold_at_both_ends(
    lowest: float, strongest: float, verdict: str
) -> None:
    """The ANN withstands on 30 % of the images, all of them among the easiest."""

    def easiest(share: float, draws: int) -> list[int]:
        return [draws * (image < 500 * share) for image in range(500)]

    results = worst_cases(easiest(lowest, 10), easiest(strongest, 10), easiest(0.3, 1))
    (item,) = claims(results)
    assert item.verdict == verdict
    assert not item.exact
    assert item.at_least.difference == pytest.approx(lowest - 0.3)
    assert item.at_most.difference == pytest.approx(strongest - 0.3)


def test_the_worst_case_of_noisy_scores_lies_between_its_ends() -> None:
    """Six attacks, each the best one on some images: an attacker who knows which reaches `true`."""
    rng = np.random.default_rng(3)
    images, draws = 3000, 10
    chances = np.clip(rng.beta(1, 1, images) + rng.uniform(0, 0.3, (6, images)), 0, 1)
    true = chances.min(axis=0).mean()
    counts = rng.binomial(draws, chances)
    fields = {"images": images}
    rows = [
        make_row("noisy", name, 8.0, row.tolist(), draws, **fields)
        for name, row in zip(ADVERSARIES, counts, strict=True)
    ]
    clean = make_row("noisy", CLEAN, 0.0, [draws] * images, draws, **fields)
    worst = worst_row(clean, rows)
    upper = upper_end(Results((worst, *rows)), "noisy", 8.0)
    assert upper is not None
    assert upper.value == pytest.approx(min(row.value for row in rows[1:]))
    assert worst.value < true - 0.02 < true + 0.02 < upper.value


def test_without_noise_the_worst_case_is_exact() -> None:
    rows = [make_row("plain", name, 8.0, [1, 0, 1]) for name in ADVERSARIES]
    worst = worst_row(make_row("plain", CLEAN, 0.0, [1, 1, 1]), rows)
    assert upper_end(Results((worst, *rows)), "plain", 8.0) is worst
    assert upper_end(Results(tuple(rows)), "plain", 8.0) is None


@pytest.mark.parametrize(("flip", "verdict"), [(False, "leans above"), (True, "leans below")])
def test_a_paired_difference_within_overlapping_intervals_leans(flip: bool, verdict: str) -> None:
    first, second = [1] * 270 + [0] * 230, [1] * 255 + [0] * 245
    rows = [make_row("a", WORST, 8.0, first), make_row("b", WORST, 8.0, second)]
    item = compare(*(reversed(rows) if flip else rows))
    assert item is not None and item.overlap and item.p < 0.01
    assert item.verdict == verdict
    assert item.difference == pytest.approx(-0.03 if flip else 0.03)


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        (["above", "above"], "claim holds: above"),
        (["below", "below"], "claim fails: below its twin at every"),
        (
            ["above", "below", "undecided"],
            "depends on epsilon: above its twin without overlap at 1",
        ),
        (["above", "undecided"], "holds in part: above its twin without overlap at 1 of 2"),
        (["leans above", "below"], "fails: below its twin without overlap at 1 of 2"),
        (
            ["leans above", "leans below", "undecided"],
            "above its twin at 1 and below at 1 of 3",
        ),
        (["undecided", "undecided"], "not shown: at no epsilon is there a difference"),
    ],
)
def test_the_outcome_in_a_sentence(verdicts: list[Verdict], words: str) -> None:
    assert words in sentence(verdicts)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.6, "More robust: above"),
        (0.45, "Told apart by the paired test alone: at no"),
        (0.4, "Not told apart: at no"),
        (0.2, "Less robust: below"),
    ],
)
def test_nobody_claims_anything_of_the_control(share: float, words: str) -> None:
    def right(share: float) -> list[int]:
        return [1] * int(500 * share) + [0] * int(500 * (1 - share))

    rows = (
        make_row("cifar10-snn-direct", WORST, 8.0, right(share)),
        make_row("cifar10-ann", WORST, 8.0, right(0.4)),
    )
    items = list(claims(Results(rows)))
    assert outcome(items).startswith(words)
    assert "claim" not in report.SECTIONS["claims"](Results(rows), {})


def test_the_words_of_the_documents_on_noise_and_spikes_are_those_of_the_results() -> None:
    """docs/results.md and README.md say it without a marker: the noise does it, alone too."""
    found = list(claims(Results(tuple(read_results()))))
    of_cifar = [item for item in found if item.first.dataset == "cifar10"]

    def verdicts(first: str, second: str, items: list[Claim]) -> set[Verdict]:
        return {item.verdict for item in items if item.pair == (first, second)}

    assert verdicts(WITHOUT_SPIKES, "ann", of_cifar) == {"above"}
    spikes = [item.verdict for item in of_cifar if item.pair == ("snn-rsc-020", WITHOUT_SPIKES)]
    assert sorted(spikes) == ["leans below", "undecided", "undecided"]
    for coded in ("snn-rsc-020", "snn-poisson"):
        assert verdicts(coded, "ann", found) == {"above"}
        trained = verdicts(f"{coded}-at", "ann-at", found)
        assert trained and "above" not in trained


def test_leaning_is_corrected_for_the_number_of_claims() -> None:
    """p is 0.03 alone; beside two claims in which nothing differs it is chance."""
    right, more = [1] * 250 + [0] * 250, [1] * 256 + [0] * 244

    def verdicts(*epsilons: float) -> list[Verdict]:
        rows = [make_row("cifar10-ann", WORST, epsilon, right) for epsilon in (2.0, 4.0, 8.0)]
        first = make_row("cifar10-snn-direct", WORST, 2.0, more)
        others = [make_row("cifar10-snn-direct", WORST, each, right) for each in epsilons]
        return [item.verdict for item in claims(Results((*rows, first, *others)))]

    assert verdicts() == ["leans above"]
    assert verdicts(4.0, 8.0) == ["undecided"] * 3


def test_a_claim_in_which_the_ends_disagree_does_not_lean() -> None:
    """Both ends differ beyond chance, on different sides."""
    low, high, twin = [10] * 120 + [0] * 380, [10] * 180 + [0] * 320, [1] * 150 + [0] * 350
    (item,) = claims(worst_cases(low, high, twin))
    assert item.at_least.p < 0.001 and item.at_most.p < 0.001
    assert item.adjusted == 1 and item.verdict == "undecided"


def test_the_paired_test_agrees_with_scipy() -> None:
    rng = np.random.default_rng(8)
    for shift in (0.0, 0.03, 0.06):
        first = rng.binomial(10, np.clip(rng.random(300) + shift, 0, 1))
        second = rng.binomial(10, rng.random(300))
        item = compare(
            make_row("a", WORST, 8.0, first.tolist(), 10),
            make_row("b", WORST, 8.0, second.tolist(), 10),
        )
        assert item is not None
        gaps = (first - second) / 10
        expected = stats.permutation_test(
            (gaps,), np.mean, permutation_type="samples", vectorized=True, rng=1
        )
        assert item.p == pytest.approx(expected.pvalue, abs=0.02)
        spread = 1.96 * gaps.std(ddof=1) / np.sqrt(300)
        lower, upper = item.interval
        assert lower == pytest.approx(gaps.mean() - spread, abs=0.01)
        assert upper == pytest.approx(gaps.mean() + spread, abs=0.01)


@pytest.mark.parametrize("much", [0, 1, 3])
def test_an_interval_is_that_of_the_trade_off(much: int) -> None:
    """Of 50 images a few gain much, and noise gives or takes a draw of most others."""
    gains = np.array([10] * much + [0, 1, -1, 1, -1] * 9 + [0] * (5 - much))
    first, second = 5 + (gains + 1) // 2, 5 - gains // 2
    item = compare(
        make_row("a", WORST, 8.0, first.tolist(), 10),
        make_row("b", WORST, 8.0, second.tolist(), 10),
    )
    assert item is not None
    (peer,) = differences(((first - second) / 10)[:, None])
    assert item.interval == pytest.approx((peer.lower, peer.upper), abs=0.002)
    assert item.interval[1] - item.interval[0] > 2 * 1.96 / 50, "one image more may be all it takes"


def test_the_paired_test_is_exact_for_right_or_wrong() -> None:
    """With scores of 0 and 1 it is McNemar's exact test, a sign test on what differs."""
    first, second = [1] * 9 + [0] * 2 + [1] * 20, [0] * 9 + [1] * 2 + [1] * 20
    item = compare(make_row("a", WORST, 8.0, first), make_row("b", WORST, 8.0, second))
    assert item is not None
    assert item.p == pytest.approx(stats.binomtest(2, 11).pvalue, abs=0.015)


def test_equal_rows_do_not_differ() -> None:
    row = make_row("a", WORST, 8.0, [1, 0, 1])
    item = compare(row, row)
    assert item is not None
    assert (item.difference, item.p) == (0, 1)
    lower, upper = item.interval
    assert lower == -upper < -0.3, "three images cannot tell that nothing differs"


@pytest.mark.parametrize("change", [{"seed": 1}, {"data": "4567"}, {"images": 400}])
def test_rows_of_other_images_are_not_compared(change: dict[str, Any]) -> None:
    row = make_row("a", WORST, 8.0, [1, 0, 1])
    assert compare(row, replace(row, **change)) is None
    assert compare(row, None) is None


def test_averaging_concerns_stochastic_models_alone() -> None:
    rows: list[Row] = []
    for model, draws in (("noisy", 10), ("plain", 1)):
        rows += [
            make_row(model, "pgd20", 8.0, [draws] * 300 + [0] * 200, draws),
            make_row(model, "eot_pgd20", 8.0, [draws] * 250 + [0] * 250, draws),
        ]
    (item,) = averaging(Results(tuple(rows)), 8.0)
    assert item.first.model == "noisy" and item.difference == pytest.approx(0.1)
    text = report.SECTIONS["eot"](Results(tuple(rows)), {})
    assert "to 1 of 1 stochastic models" in text and "`plain`" not in text


@pytest.mark.parametrize("pair", ["snn-rsc-020-at", "snn-poisson-at"])
def test_the_paper_is_not_judged_by_adversarially_trained_pairs(pair: str) -> None:
    """Whether its networks were trained like that is not known."""
    rows = [make_row(f"cifar10-{pair}", name, 8.0, [10] * 300 + [0] * 200, 10) for name in _NOISY]
    rows.append(make_row("cifar10-ann-at", WORST, 8.0, [1] * 300 + [0] * 200))
    text = report.SECTIONS["claims"](Results(tuple(rows)), {})
    assert "Not told apart" in text and "claim" not in text.lower()


_NOISY = (WORST, "apgd")


# --- Signs of masked gradients -----------------------------------------------------------------


def attacked(**shares: float) -> Results:
    """One model at 8/255 with these accuracies of 500 images, nested: the weaker breaks fewer."""
    accuracies = {"fgsm": 0.5, "pgd7": 0.42, "pgd20": 0.4, "eot_pgd20": 0.4, "apgd": 0.4}
    accuracies |= {"square": 0.6, "uniform_noise": 0.9, **shares}
    return Results(
        tuple(
            make_row("m", name, 8.0, [1] * int(500 * share) + [0] * (500 - int(500 * share)))
            for name, share in accuracies.items()
        )
    )


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"square": 0.3}, "Square does more harm than PGD-20"),
        ({"fgsm": 0.3}, "FGSM does more harm than PGD-20"),
        ({"uniform_noise": 0.45}, "Uniform noise does more harm than FGSM"),
    ],
)
def test_an_attack_that_should_be_weaker_is_a_sign(shares: dict[str, float], words: str) -> None:
    texts = [sign.text for sign in masking_signs(attacked(**shares))]
    assert any(words in text for text in texts)
    assert words in report.SECTIONS["masking"](attacked(**shares), {})


def test_how_little_the_search_says_of_noise_is_said() -> None:
    def rows(model: str, draws: int, **shares: float) -> list[Row]:
        return [
            make_row(
                model,
                name,
                8.0,
                [draws] * round(500 * share) + [0] * round(500 * (1 - share)),
                draws,
            )
            for name, share in shares.items()
        ]

    measured = {"square": 0.6, "uniform_noise": 0.9, "apgd": 0.4, "eot_pgd20": 0.4}
    noisy = rows("a", 10, **measured) + rows("b", 10, **(measured | {"square": 0.9, "apgd": 0.5}))
    plain = rows("c", 1, **(measured | {"square": 0.9, "apgd": 0.5}))
    text = report.SECTIONS["masking"](Results((*noisy, *plain)), {})
    assert "For the 2 of them with noise" in text
    assert "In 1 of 2 measurements" in text and "and in 1 APGD leaves more" in text
    assert "says little" not in report.SECTIONS["masking"](Results(tuple(plain)), {})


def test_no_sign_where_all_is_in_order_or_chance() -> None:
    assert list(masking_signs(attacked())) == []
    assert list(masking_signs(attacked(square=0.399))) == []
    text = report.SECTIONS["masking"](attacked(), {})
    assert text == (
        "Looked for in 0 models that were measured under the whole suite and, as far as they were "
        "measured, in `m`: none was found.\n"
    )


# --- Settings and texts ------------------------------------------------------------------------


def test_settings_are_put_in_order() -> None:
    settings = Settings(epsilons=(8, 2, 8.0), attacks=("square", "fgsm"))
    assert settings.epsilons == (2.0, 8.0) and settings.attacks == ("fgsm", "square")
    assert settings.command("m").endswith("m --images 500 --epsilons 2 8 --attacks fgsm square")
    assert Settings(seed=3).command("m").endswith("--epsilons 2 4 8 --seed 3")
    assert settings.command("m", ["--folder", "my models"]).endswith(" --folder 'my models'")


@pytest.mark.parametrize(
    "values",
    [
        {"images": True},
        {"images": 2.5},
        {"draws": 0},
        {"batch_size": 0},
        {"epsilons": ()},
        {"epsilons": (65.0,)},
        {"attacks": ()},
        {"attacks": ("pgd",)},
    ],
)
def test_wrong_settings(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Settings(**values)


def test_the_table_has_a_row_a_model_and_what_was_measured() -> None:
    rows = merged([], [*make_model("m", 0.5), *make_model("m-at", 0.8)], {"m": SHA, "m-at": SHA})
    results = Results(tuple(rows))
    large_title, large, small_title, small = report.table_markdown(results).split("\n\n")
    assert (large_title, small_title) == ("**At 8/255**", "**At 2/255**")
    head, _, plain, hardened = large.splitlines()
    assert head.count("|") == plain.count("|") == hardened.count("|") == 14
    assert "| clean | worst case | FGSM | PGD-7 |" in head and head.endswith("| minutes |")
    assert plain.startswith("| `m` | – | 4 | 100.0 (") and hardened.startswith("| `m-at` |")
    assert report.share(results.get("m", WORST, 2.0)) in small
    assert report.share(results.get("m", WORST, 8.0)) in plain
    seconds = sum(row.seconds for row in rows if row.model == "m" and row.epsilon_255 in (0, 8))
    seconds -= stated(results.get("m", WORST, 8.0)).seconds
    assert plain.endswith(f"| {seconds / 60:.1f} |")
    words = report.provenance(results)
    assert "n = 600 for clean and FGSM, 500 of them" in words and "seed 0" in words
    assert "`python -m rsc_snn zoo evaluate --images 500 --epsilons 2 8`" in words
    assert report.share(None) == "–"


def test_published_numbers_stand_beside_ours(tiny_zoo: Path) -> None:
    card = Zoo(tiny_zoo).card("tiny-rsc")
    rows = make_model(card.name, 0.5, draws=10)
    results = Results(tuple(merged([], rows, {card.name: SHA})))
    text = report.published_markdown(results, {card.name: card})
    published, ours = text.splitlines()[2], text.splitlines()[-1]
    assert "82.03 | 54.52 | 39.98" in published
    assert published.startswith("| published | CIFAR-10 | RSC-SNN")
    assert ours.startswith("| ours | CIFAR-10 | `tiny-rsc` | vgg 8-12, RSC, sigma 0.2, T = 4, 0 ep")
    assert "worst case" in ours
    assert "| published | CIFAR-100 | RSC-SNN |" in text and "about 26" in text
    akin = Results(tuple(replace(row, dataset="imagenette") for row in rows))
    text = report.published_markdown(akin, {})
    assert "| published | ImageNet | RSC-SNN |" in text and "82.03" not in text
    other = Results(tuple(replace(row, dataset="shapes") for row in rows))
    assert report.published_markdown(other, {}) == ""


def test_the_set_up_tells_models_of_one_network_apart() -> None:
    zoo = Zoo(ROOT / "assets" / "models")
    texts = [report.set_up(zoo.card(name)) for name in zoo.names() if name.startswith("cifar10")]
    assert len(set(texts)) == len(texts)
    assert "taught by `cifar10-ann`" in report.set_up(zoo.card("cifar10-snn-rsc-020"))
    assert "trained at 0 to 0.4" in report.set_up(zoo.card("cifar10-snn-rsc-range"))


def test_a_subset_is_named_where_no_worst_case_was_measured() -> None:
    rows = [make_row("m", "fgsm", 8.0, [1] * 600), make_row("m", "square", 8.0, [1] * 500)]
    assert "500 of them at random" in report.provenance(Results(tuple(rows)))


def test_the_suite_table_names_every_attack() -> None:
    table = suite_markdown()
    assert all(f"| {attack.label}" in table for attack in SUITE.values())
    assert "| PGD-20 | `pgd20` | 20 | 0.25 epsilon | 1 | 500 |" in table


@pytest.mark.parametrize("name", SUITE)
def test_the_command_of_an_attack_alone_is_that_attack(name: str) -> None:
    attack = SUITE[name]
    command = attack.command(Settings(), 8.0)
    assert command in suite_markdown()
    start = "python -m rsc_snn "
    args = build_parser().parse_args(shlex.split(command.removeprefix(start)))
    assert args.attack == attack.attack
    assert attack_parameters(args, attack.spec) == attack.parameters(8.0)
    assert args.limit == (None if attack.all_images else 500)
    assert (args.draws, args.batch_size, args.seed) == (10, 500, 0)


def test_results_md_is_up_to_date() -> None:
    zoo = Zoo(ROOT / "assets" / "models")
    cards = {name: zoo.card(name) for name in zoo.names()}
    shas = {name: card.sha256 for name, card in cards.items()}
    results = Results(tuple(current(read_results(ROOT / "assets" / "results"), shas)))
    text = RESULTS.read_text(encoding="utf-8")
    assert text == report.fill(text, results, cards), (
        "run `python -m rsc_snn zoo results --write docs/results.md`"
    )


def test_what_is_not_measured_is_named(tiny_zoo: Path) -> None:
    zoo = named_zoo(tiny_zoo)
    cards = {name: zoo.card(name) for name in ("tiny-ann", "tiny-rsc", "tiny-direct")}
    begun = [row for row in make_model("tiny-rsc", 0.5) if row.attack != "apgd"]
    shas = {"tiny-ann": SHA, "tiny-rsc": SHA}
    rows = merged([], [*make_model("tiny-ann", 0.5), *begun], shas)
    blank = "".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in report.SECTIONS)
    text = report.fill(blank, Results(tuple(rows)), cards)
    assert "Not measured yet: `tiny-direct`.\nMeasured in part: `tiny-rsc`.\n" in text


def test_the_command_fills_a_file(
    tmp_path: Path, tiny_zoo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sha = named_zoo(tiny_zoo).card("tiny-ann").identity
    rows = merged([], make_model("tiny-ann", 0.5, sha256=sha), {"tiny-ann": sha})
    write_results([*rows, *make_model("gone", 0.5)], tmp_path)
    target = tmp_path / "results.md"
    target.write_text(RESULTS.read_text(encoding="utf-8"), encoding="utf-8")
    arguments = ["zoo", "results", "--results", str(tmp_path), "--folder", str(tiny_zoo)]
    assert main([*arguments, "--write", str(target)]) == 0
    text = target.read_text(encoding="utf-8")
    assert (
        "| `tiny-ann` | – | 4 | 100.0 (" in text
        and "`gone`" not in text
        and "## The claim tested" in text
    )
    assert main([*arguments, "--write", str(target)]) == 0
    assert target.read_text(encoding="utf-8") == text
    assert main(arguments) == 0
    assert "| `tiny-ann` | – | 4 | 100.0 (" in capsys.readouterr().out
    target.write_text("no markers", encoding="utf-8")
    assert main([*arguments, "--write", str(target)]) == 2
    assert "must have <!-- suite -->" in capsys.readouterr().err
    assert main([*arguments, "--write", str(tmp_path / "missing.md")]) == 2
    target.write_text(text, encoding="utf-8")
    capsys.readouterr()
    mistyped = ["zoo", "results", "--results", str(tmp_path / "tpyo"), "--write", str(target)]
    assert main(mistyped) == 2
    assert "There are no results in" in capsys.readouterr().err
    assert target.read_text(encoding="utf-8") == text
