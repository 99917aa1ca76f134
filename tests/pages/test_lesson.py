"""The lesson as a person meets it, without a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from rsc_snn.attacks import ATTACKS
from rsc_snn.attacks.parameters import Value
from rsc_snn.glossary import TERMS, find_term, linked, linked_slugs, plain
from rsc_snn.neurons import LIFConfig
from rsc_snn.sweep.cells import CLEAN, CellResult
from rsc_snn.sweep.store import Store
from rsc_snn.sweep.transfer import FILE, export_parquet
from rsc_snn.theory import certified_radius, matched_sigma, steps_to_spike, time_mean_moments
from rsc_snn.ui.lesson.code import source
from rsc_snn.ui.lesson.questions import QUESTIONS, TRIES, Choice, Number, Progress
from rsc_snn.ui.lesson.texts import STEPS, step_text, text_file
from rsc_snn.zoo import Zoo
from tests.pages.conftest import ROOT, PageMaker, figures
from tests.tradeoff_cells import make_result

LESSON = "pages/poisson_coding.py"
WRONG = {"pixel": 0.16, "image": 0, "currents": 1, "neuron": 3, "decision": 0.5, "bill": 0}


def is_fine(app: AppTest) -> AppTest:
    assert not app.exception
    assert not app.error, [element.value for element in app.error]
    return app


def answer_of(step: str) -> float:
    question = QUESTIONS[step]
    return question.value if isinstance(question, Number) else question.right


def give(app: AppTest, step: str, answer: float) -> AppTest:
    """Answer a step's question and check it."""
    key = f"lesson.answer.{step}"
    if isinstance(QUESTIONS[step], Number):
        app.number_input(key=key).set_value(answer)
    else:
        app.radio(key=key).set_value(int(answer))
    return is_fine(app.button(key=f"lesson.check.{step}").click().run())


def texts(elements: Any) -> str:
    return " | ".join(element.value for element in elements)


def has_button(app: AppTest, key: str) -> bool:
    return any(button.key == key for button in app.button)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps without figures, for what is around them."""
    for step in STEPS:
        monkeypatch.setattr(import_module(f"rsc_snn.ui.lesson.{step}"), "draw", lambda link: None)


@pytest.mark.parametrize("step", STEPS)
def test_every_step_opens_by_its_link(assets: Path, page: PageMaker, step: str) -> None:
    app = is_fine(page(LESSON, step=step).run())
    assert app.query_params["step"] == step
    assert texts(app.header) == f"{STEPS.index(step) + 1}. {step_text(step).title}"
    assert QUESTIONS[step].text in texts(app.markdown)
    assert len(app.get("latex") or app.latex) == len(step_text(step).equations)
    if step != "bill":
        assert figures(app)
        assert any(name.startswith(f"{step}_") for name in app.query_params)
    others = [name for name in STEPS if name != step]
    assert not any(name.startswith(f"{other}_") for name in app.query_params for other in others)


def test_a_newcomer_begins_with_the_first_step(assets: Path, page: PageMaker) -> None:
    app = is_fine(page(LESSON).run())
    assert app.query_params["step"] == "pixel"
    assert not has_button(app, "lesson.next.pixel")
    assert has_button(app, "lesson.skip.pixel")


def test_only_the_current_step_is_computed(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    for step in STEPS:
        module = import_module(f"rsc_snn.ui.lesson.{step}")
        monkeypatch.setattr(module, "draw", lambda link, step=step: drawn.append(step))
    page(LESSON, step="neuron").run()
    assert drawn == ["neuron"]


def test_a_link_sets_the_controls_of_its_step(assets: Path, page: PageMaker) -> None:
    app = is_fine(page(LESSON, step="neuron", neuron_tau="5", neuron_noise="0").run())
    assert app.slider(key="lesson.neuron_tau").value == 5
    assert app.query_params["neuron_noise"] == "0"


def test_a_bad_link_is_one_sentence(assets: Path, bare: None, page: PageMaker) -> None:
    app = page(LESSON, step="nowhere").run()
    assert app.query_params["step"] == "pixel"
    assert "link cannot be used" in texts(app.warning)


def test_settings_of_a_step_are_there_when_one_comes_back(assets: Path, page: PageMaker) -> None:
    app = page(LESSON).run()
    app.slider(key="lesson.pixel_x").set_value(0.8).run()
    app.button(key="lesson.way.neuron").click().run()
    assert is_fine(app).query_params["step"] == "neuron"
    app.button(key="lesson.way.pixel").click().run()
    assert is_fine(app).slider(key="lesson.pixel_x").value == 0.8
    assert app.query_params["pixel_x"] == "0.8"


@pytest.mark.parametrize("step", STEPS)
def test_wrong_then_right(assets: Path, bare: None, page: PageMaker, step: str) -> None:
    app = give(page(LESSON, step=step).run(), step, WRONG[step])
    question = QUESTIONS[step]
    assert "is not right" in texts(app.warning)
    assert question.reply(WRONG[step]) in texts(app.warning)
    assert not app.success and "second try" in texts(app.caption)
    assert not has_button(app, f"lesson.next.{step}")
    app = give(app, step, answer_of(step))
    assert "is right" in app.success[0].value
    assert question.reply(answer_of(step)) in app.success[0].value
    assert not has_button(app, f"lesson.check.{step}")
    if step != STEPS[-1]:
        app.button(key=f"lesson.next.{step}").click().run()
        assert is_fine(app).query_params["step"] == STEPS[STEPS.index(step) + 1]


def test_two_wrong_answers_get_the_solution_and_the_way_on(
    assets: Path, bare: None, page: PageMaker
) -> None:
    app = give(page(LESSON).run(), "pixel", 0.16)
    app = give(app, "pixel", 0.5)
    assert QUESTIONS["pixel"].solution in texts(app.info)
    assert has_button(app, "lesson.next.pixel")
    assert not has_button(app, "lesson.check.pixel")


def test_no_answer_is_no_try(assets: Path, bare: None, page: PageMaker) -> None:
    app = page(LESSON).run()
    app.button(key="lesson.check.pixel").click().run()
    assert not is_fine(app).warning
    assert has_button(app, "lesson.check.pixel")


def test_skipping_never_blocks_and_is_forgiven(assets: Path, bare: None, page: PageMaker) -> None:
    app = page(LESSON).run()
    for step in STEPS:
        assert app.query_params["step"] == step
        app.button(key=f"lesson.skip.{step}").click().run()
        is_fine(app)
    assert f"you solved 0 of {len(STEPS)}" in texts(app.success)
    app.button(key="lesson.way.image").click().run()
    app = give(app, "image", answer_of("image"))
    marks = {button.key: button.icon for button in app.button if "lesson.way" in str(button.key)}
    assert "check_circle" in marks["lesson.way.image"]
    assert "redo" in marks["lesson.way.pixel"]


def test_starting_again_forgets_answers_and_settings(assets: Path, page: PageMaker) -> None:
    app = give(page(LESSON, step="neuron", neuron_tau="5").run(), "neuron", 4)
    app.button(key="lesson.reset").click().run()
    assert is_fine(app).query_params["step"] == "pixel"
    app.button(key="lesson.way.neuron").click().run()
    assert app.slider(key="lesson.neuron_tau").value == 2
    assert has_button(app, "lesson.check.neuron")


def test_the_projector_is_in_the_link_and_folds_the_question_away(
    assets: Path, page: PageMaker
) -> None:
    app = is_fine(page(LESSON, step="decision", presentation="true").run())
    assert app.query_params["presentation"] == "true"
    assert "The question" in [expander.label for expander in app.expander]
    app.toggle(key="lesson.presentation").set_value(False).run()
    assert "presentation" not in is_fine(app).query_params
    assert "The question" not in [expander.label for expander in app.expander]


def test_an_error_of_a_figure_leaves_the_rest(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(link: Any) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(import_module("rsc_snn.ui.lesson.pixel"), "draw", fail)
    app = page(LESSON).run()
    assert not app.exception and len(app.error) == 1
    assert QUESTIONS["pixel"].text in texts(app.markdown)


@pytest.mark.parametrize("step", STEPS)
def test_the_code_is_that_of_the_program(
    assets: Path, bare: None, page: PageMaker, step: str
) -> None:
    app = page(LESSON, step=step).run()
    assert not app.code
    app.session_state[f"lesson.code.{step}"] = True
    app.run()
    parts = import_module(f"rsc_snn.ui.lesson.{step}").CODE
    assert len(app.code) == len(parts) > 0
    for part, shown in zip(parts, app.code, strict=True):
        file, text = source(part)
        assert shown.value == text.rstrip() or shown.value == text
        written = [line.strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
        lines = "\n".join(line.strip() for line in text.splitlines())
        assert lines in "\n".join(written) and f" {part.__name__}" in text.partition(":")[0]
        assert file.startswith("rsc_snn/")


@pytest.mark.parametrize("step", STEPS)
def test_texts_are_short_and_have_what_they_need(step: str) -> None:
    raw = text_file(step).read_text(encoding="utf-8")
    idea = raw.split("\n\n")[1].replace("\n", " ")
    assert idea.count(". ") <= 5
    assert len(plain(idea).split()) <= 100
    assert step_text(step).equations
    assert linked_slugs(raw)


# A link to the glossary with its title, a formula or code, or a spelling of a term.
WORDS = re.compile(
    r"\]\(#glossary-(?P<link>[\w-]+) \"[^\"]*\"\)|\$[^$]*\$|`[^`]*`|(?P<open>\[)"
    r"|(?<![\w-])(?P<word>"
    + "|".join(
        re.escape(form)
        for form in sorted(
            (form for term in TERMS.values() for form in term.spellings), key=len, reverse=True
        )
    )
    + r")(?![\w-])",
    re.IGNORECASE,
)
SPELLINGS = {form.casefold(): term.slug for term in TERMS.values() for form in term.spellings}


def unlinked_first_uses(text: str) -> list[str]:
    """Terms whose first use in a text, as the page has it, is no link to the glossary."""
    seen: set[str] = set()
    found, inside = [], False
    for match in WORDS.finditer(text):
        if match["open"]:
            inside = True
        elif match["link"]:
            seen.add(match["link"])
            inside = False
        elif match["word"] and not inside:
            slug = SPELLINGS[match["word"].casefold()]
            if slug not in seen:
                found.append(match["word"])
    return found


def read_down(block: Any) -> Iterator[str]:
    """What a page says, from its top to its end."""
    for child in block.children.values():
        if hasattr(child, "children"):
            yield from read_down(child)
        elif child.type in ("markdown", "caption", "success", "info"):
            yield child.value


def test_what_is_no_link_is_found() -> None:
    text = linked("[Spikes](#spike) and spikes and draws and [draws](#draw) of coding")
    assert unlinked_first_uses(text) == ["draws", "coding"]


VIEWS = [
    ("pixel", {}),
    ("image", {"image_reveal": "true"}),
    ("currents", {}),
    ("currents", {"currents_view": "covariance"}),
    ("currents", {"currents_view": "fan-in"}),
    ("neuron", {}),
    ("decision", {}),
    ("decision", {"decision_draws": "100"}),
    ("decision", {"decision_sigma": "0.6"}),
    ("bill", {}),
]


@pytest.mark.parametrize(("step", "query"), VIEWS)
def test_the_first_use_of_every_term_leads_to_the_glossary(
    measured: Path, page: PageMaker, step: str, query: dict[str, str]
) -> None:
    app = is_fine(page(LESSON, step=step, **query).run())
    said = " ".join(read_down(app.main)).partition(" words of this app.")[0]
    assert QUESTIONS[step].text in said
    assert unlinked_first_uses(said) == []


def test_every_step_has_a_text_and_a_question() -> None:
    assert set(QUESTIONS) == set(STEPS)
    assert {path.name for path in text_file("pixel").parent.glob("*.md")} == {
        text_file(step).name for step in STEPS
    }


@pytest.mark.parametrize("step", STEPS)
def test_every_answer_is_explained(step: str) -> None:
    question = QUESTIONS[step]
    answers = (
        range(len(question.options))
        if isinstance(question, Choice)
        else [question.value, -1.0, *(slip.value for slip in question.slips)]
    )
    replies = [question.reply(answer) for answer in answers]
    assert all(replies) and len(set(replies)) == len(replies)
    assert sum(question.is_right(answer) for answer in answers) == 1
    assert question.is_right(answer_of(step)) and not question.is_right(WRONG[step])


def test_right_numbers_are_those_of_the_formulas() -> None:
    import torch

    from rsc_snn.coding import PoissonCoding

    pixel, neuron, decision = (QUESTIONS[step] for step in ("pixel", "neuron", "decision"))
    variance = time_mean_moments(PoissonCoding(), torch.tensor([0.2]), 8).variance
    assert pixel.is_right(float(variance))
    assert neuron.is_right(steps_to_spike(0.4, LIFConfig(tau=4.0, threshold=1.0)) or 0)
    assert decision.is_right(certified_radius(0.977, 0.25, 16))
    grey, poles = torch.full((1, 4), 0.5), torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    dark = torch.full((1, 4), 0.1)
    assert float(matched_sigma(grey)) == 0.5 and float(matched_sigma(poles)) == 0
    assert 0 < float(matched_sigma(dark)) < 0.5


def test_no_wrong_formula_gives_a_right_number() -> None:
    """Each known mistake has a reply of its own, also with the rounding of a pocket calculator."""
    neuron, decision = QUESTIONS["neuron"], QUESTIONS["decision"]
    assert isinstance(neuron, Number) and isinstance(decision, Number)
    sigma, steps, quantile = 0.25, 16, 2
    root = steps**0.5
    slips = [sigma, sigma / root, sigma * quantile, sigma * quantile / steps]
    for value in slips:
        for shown in (value, round(value, 3), value * 1.995 / 2):
            assert not decision.is_right(shown)
            assert decision.reply(shown) not in (decision.wrong, decision.why)
    assert len({decision.reply(value) for value in slips}) == len(slips)
    # No leak, and a leak to 1/tau of the potential instead of by it.
    assert first_spike(0.4, keeps=1) == neuron.slips[0].value
    assert first_spike(0.4, keeps=0.75) == neuron.value
    assert first_spike(0.4, keeps=0.25) is None


def first_spike(current: float, keeps: float) -> int | None:
    """The step at which a neuron of threshold 1 fires that keeps this share of its potential."""
    potential = 0.0
    for step in range(1, 65):
        potential = keeps * potential + current
        if potential >= 1:
            return step
    return None


def test_progress() -> None:
    question = QUESTIONS["image"]
    progress = Progress()
    for _ in range(TRIES):
        assert not progress.finished(question)
        progress = progress.with_answer(0)
    assert progress.finished(question) and not progress.solved(question)
    assert Progress((0, answer_of("image"))).solved(question)
    assert not Progress(skipped=True).finished(question)


# --- The bill ------------------------------------------------------------------------------------


RATES = {(0.1, 2): (0.9, 0.3), (0.1, 4): (0.8, 0.5), (0.3, 2): (0.6, 0.4), (0.3, 4): (0.7, 0.6)}


def results_of(
    assets: Path, rates: dict[tuple[float, int], tuple[float, float]] = RATES
) -> list[CellResult]:
    """A dial of 2 sigmas by 2 T of the tiny RSC model, measured clean and under two attacks.

    rates: clean and robust accuracy at (sigma, T).
    """
    zoo = Zoo(assets / "models")
    found = []
    for (sigma, steps), (clean, robust) in rates.items():
        common = {
            "model": "tiny-rsc",
            "sha256": zoo.card("tiny-rsc").sha256,
            "sigma": sigma,
            "time_steps": steps,
        }
        for attack, epsilon, rate in (
            (CLEAN, 0.0, clean),
            ("fgsm", 4.0, robust + 0.1),
            ("pgd", 4.0, robust),
        ):
            parameters: tuple[tuple[str, Value], ...] = ()
            if attack != CLEAN:
                parameters = tuple(
                    sorted(
                        (spec.name, spec.default)
                        for spec in ATTACKS[attack].parameters
                        if spec.name != "epsilon"
                    )
                )
            right = np.arange(40) < round(40 * rate)
            found.append(
                make_result(
                    [right, right],
                    attack=attack,
                    epsilon=epsilon,
                    parameters=parameters,
                    **common,
                )
            )
    return found


@pytest.fixture
def measured(assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny assets with stored results."""
    monkeypatch.chdir(tmp_path)
    keep_results(assets, results_of(assets))
    return assets


def keep_results(assets: Path, results: list[CellResult]) -> None:
    """Let the results ship with the assets."""
    (assets / "results").mkdir(exist_ok=True)
    with Store(assets.parent / "store.sqlite") as store:
        store.put_all(results)
        export_parquet(store, assets / "results" / FILE)


def test_without_results_a_sentence_says_how_to_make_them(
    assets: Path, page: PageMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = is_fine(page(LESSON, step="bill").run())
    assert "python -m rsc_snn sweep" in texts(app.info)
    assert not figures(app)


def test_the_bill_offers_the_sizes_that_its_own_network_was_attacked_with(
    assets: Path, page: PageMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another network was attacked with more, on the same images."""
    monkeypatch.chdir(tmp_path)
    own = results_of(assets)
    sha256 = Zoo(assets / "models").card("tiny-poisson").sha256
    others = [
        replace(
            result,
            cell=replace(
                result.cell,
                model="tiny-poisson",
                sha256=sha256,
                coding="poisson",
                sigma=None,
                epsilon=2 * result.cell.epsilon,
            ),
        )
        for result in own[:3]
    ]
    keep_results(assets, [*own, *others])
    app = is_fine(page(LESSON, step="bill").run())
    assert app.selectbox(key="lesson.bill_epsilon").options == ["4/255"]
    assert len(figures(app)) == 1
    app = page(LESSON, step="bill", bill_epsilon="8").run()
    assert not app.exception and not app.error and len(app.warning) == 1
    assert app.query_params["bill_epsilon"] == "4" and len(figures(app)) == 1


def test_attacks_that_were_never_at_one_setting_are_a_sentence(
    assets: Path, page: PageMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rates = {(sigma / 10, 2): (0.9, 0.3) for sigma in range(8)}
    clean = [r for r in results_of(assets, rates) if r.cell.attack == CLEAN]
    fgsm = [r for r in results_of(assets, rates) if r.cell.attack == "fgsm"]
    pgd = [r for r in results_of(assets, rates) if r.cell.attack == "pgd"]
    keep_results(assets, [*clean, *fgsm[:4], *pgd[4:]])
    app = is_fine(page(LESSON, step="bill").run())
    assert "were not measured at the same settings" in texts(app.info) and not figures(app)


def test_the_bill_says_what_is_paid_and_gained(measured: Path, page: PageMaker) -> None:
    app = is_fine(page(LESSON, step="bill", bill_sigma="0.3", bill_steps="4").run())
    assert len(figures(app)) == 1
    assert [metric.value for metric in app.metric] == ["70.0%", "60.0%"]
    words = texts(app.markdown)
    assert "follow one" in texts(app.caption)
    assert "**Paid:** 20.0 (" in words and "**Gained:** 30.0 (" in words
    assert "**On the Pareto front.**" in words


def test_less_noise_than_the_most_accurate_setting_is_no_price_of_noise(
    assets: Path, page: PageMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a network that was trained with noise: it answers best there."""
    monkeypatch.chdir(tmp_path)
    swapped = {(round(0.4 - sigma, 1), steps): rate for (sigma, steps), rate in RATES.items()}
    keep_results(assets, results_of(assets, swapped))
    app = is_fine(page(LESSON, step="bill", bill_sigma="0.1", bill_steps="4").run())
    words = texts(app.markdown)
    assert "**Paid:**" not in words and "paid buys" not in words
    assert "**Against sigma 0.3, T = 2,**" in words and "no price of noise" in words
    assert "20.0 (" in words and "points less of clean accuracy" in words
    assert "30.0 (" in words and "points more of robust accuracy" in words
    app = is_fine(page(LESSON, step="bill", bill_sigma="0.3", bill_steps="4").run())
    assert "**Paid:** 10.0 (" in texts(app.markdown)


def test_less_noise_in_fewer_frames_is_not_called_less_noise(
    assets: Path, page: PageMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.1 / sqrt(1) is more than 0.2 / sqrt(8)."""
    monkeypatch.chdir(tmp_path)
    rates = {(0.2, 8): (0.9, 0.3), (0.1, 1): (0.7, 0.3), (0.1, 8): (0.8, 0.3), (0.3, 8): (0.6, 0.3)}
    keep_results(assets, results_of(assets, rates))
    app = is_fine(page(LESSON, step="bill", bill_sigma="0.1", bill_steps="1").run())
    words = texts(app.markdown)
    assert "fewer frames to average it" in words and "no price of noise" not in words
    app = is_fine(page(LESSON, step="bill", bill_sigma="0.1", bill_steps="8").run())
    assert "no price of noise, for yours has less of it" in texts(app.markdown)


def test_the_bill_says_that_its_accuracies_are_of_single_passes(
    measured: Path, page: PageMaker
) -> None:
    app = is_fine(page(LESSON, step="bill").run())
    words = texts(app.caption)
    assert "n = 40 images, 2 [passes]" in words and "the mean of single answers, not a" in words


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("cifar10-snn-rsc-020", "trained with sigma 0.2;"),
        ("cifar10-snn-rsc-range", "trained with sigma from 0 to 0.4;"),
    ],
)
def test_the_bill_says_which_noise_the_network_knows(
    shipped: None, page: PageMaker, model: str, known: str
) -> None:
    app = is_fine(page(LESSON, step="bill", bill_model=model).run())
    assert known in texts(app.caption)


def test_the_bill_names_what_beats_a_setting(measured: Path, page: PageMaker) -> None:
    app = is_fine(page(LESSON, step="bill", bill_sigma="0.3", bill_steps="2").run())
    words = texts(app.markdown)
    assert "**Beaten** by sigma 0.3, T = 4: clean 70.0%, robust 60.0%." in words


def test_the_bill_counts_from_the_most_accurate_setting(measured: Path, page: PageMaker) -> None:
    app = is_fine(page(LESSON, step="bill", bill_sigma="0.1", bill_steps="2").run())
    assert "nothing yet" in texts(app.markdown)


def test_the_bill_follows_its_dial(measured: Path, page: PageMaker) -> None:
    app = is_fine(page(LESSON, step="bill", bill_sigma="0.1", bill_steps="2").run())
    app.select_slider(key="lesson.bill_sigma").set_value("0.3").run()
    assert is_fine(app).query_params["bill_sigma"] == "0.3"
    assert app.metric[0].value == "60.0%"


def test_the_bill_depends_on_how_often_one_is_attacked(measured: Path, page: PageMaker) -> None:
    """Settings (clean, robust): (0.9, 0.3) is right most often in peace, (0.7, 0.6) at war."""
    query = {"step": "bill", "bill_sigma": "0.3", "bill_steps": "4"}
    app = is_fine(page(LESSON, **query, bill_attacked="0").run())
    words = texts(app.markdown)
    assert "**If 0% are attacked,** 70.0% of your answers are right." in words
    assert "With sigma 0.1, T = 2 it would be 90.0%, the most of this network: 20.0 (" in words
    app.slider(key="lesson.bill_attacked").set_value(100).run()
    words = texts(is_fine(app).markdown)
    assert "**If 100% are attacked,** 60.0% of your answers are right. No measured" in words
    assert "ordinary network it learned from" not in words
    assert app.query_params["bill_attacked"] == "100"


def test_the_bill_does_not_hide_an_ordinary_network_that_has_more(
    shipped: None, page: PageMaker
) -> None:
    app = is_fine(page(LESSON, step="bill", bill_attacked="0").run())
    words = texts(app.markdown)
    (found,) = re.findall(r"ordinary network it learned from: ([0-9.]+)%", words)
    front = re.findall(r"would be ([0-9.]+)%", words)
    assert float(found) > max(map(float, front))
    assert re.search(r"yours has [0-9.]+ \([-0-9.]+ to [0-9.]+\) points less", words)


def test_what_others_measure_does_not_change_the_bill(
    measured: Path, page: PageMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third attack on some of the settings, in the store that all visitors share."""
    query = {"step": "bill", "bill_sigma": "0.1", "bill_steps": "4"}
    before = texts(is_fine(page(LESSON, **query).run()).markdown)
    monkeypatch.setenv("RSC_SNN_STORE", str(tmp_path / "app.sqlite"))
    with Store(tmp_path / "app.sqlite") as store:
        store.put_all(
            replace(
                result,
                cell=replace(result.cell, attack="eot_pgd", parameters=(("eot_draws", 10),)),
                answers=(result.labels + 1) % 10 + np.zeros_like(result.answers),
            )
            for result in results_of(measured)
            if result.cell.attack == "pgd"
        )
    after = is_fine(page(LESSON, **query).run())
    assert texts(after.markdown) == before


def test_a_new_step_begins_at_its_top(assets: Path, bare: None, page: PageMaker) -> None:
    app = is_fine(page(LESSON).run())
    assert arrival(app) == {"anchor": "", "count": 0}
    app = give(app, "pixel", answer_of("pixel"))
    assert arrival(app)["count"] == 0
    app.button(key="lesson.next.pixel").click().run()
    assert arrival(is_fine(app)) == {"anchor": "", "count": 1}


def test_a_link_leads_to_a_word_of_the_glossary(assets: Path, bare: None, page: PageMaker) -> None:
    app = is_fine(page(LESSON, step="neuron", word="membrane-potential").run())
    assert arrival(app) == {"anchor": "glossary-membrane-potential", "count": 1}
    assert "word" not in app.query_params and app.query_params["step"] == "neuron"
    app = give(app, "neuron", answer_of("neuron"))
    assert arrival(app)["count"] == 1
    app = page(LESSON, word="nonsense").run()
    assert "no glossary word 'nonsense'" in texts(app.warning)


HANDOUT = (ROOT / "docs" / "lesson-handout.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("query", re.findall(r"`/poisson_coding\?([^`]+)`", HANDOUT))
def test_the_links_of_the_handout_open_what_they_ask_for(
    measured: Path, page: PageMaker, query: str
) -> None:
    asked = dict(parse_qsl(query))
    app = is_fine(page(LESSON, **asked).run())
    assert not app.warning
    word = asked.pop("word", None)
    assert word is None or arrival(app)["anchor"] == find_term(word).anchor
    assert {name: app.query_params[name] for name in asked} == asked


def test_the_handout_has_a_link_to_every_step() -> None:
    assert all(f"`/poisson_coding?step={step}&" in HANDOUT for step in STEPS)


def arrival(app: AppTest) -> dict[str, Any]:
    """Where the page tells the browser to go."""
    (found,) = (
        json.loads(element.proto.json)
        for element in app.get("bidi_component")
        if element.proto.component_name.endswith("rsc_arrival")
    )
    return dict(found)
