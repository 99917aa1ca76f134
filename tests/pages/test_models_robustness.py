"""What the Models page says about robustness: measured, not measured, damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from rsc_snn.robustness.store import FILE, merged, write_results
from rsc_snn.zoo import Zoo
from tests.conftest import save_tiny_model
from tests.pages.conftest import PageMaker, figures
from tests.robust_rows import make_model

MODELS = "pages/models.py"
TWIN, RSC = "cifar10-ann", "cifar10-snn-rsc-020"


@pytest.fixture
def measured(assets: Path) -> Path:
    """Assets with an RSC-SNN, its ANN twin, and results in which the first withstands more."""
    models = assets / "models"
    for name, original in ((TWIN, "tiny-ann"), (RSC, "tiny-rsc")):
        card = Zoo(models).card(original)
        save_tiny_model(models, name, card.label, card.config)
    write(assets, 0.3, 0.6)
    return assets


def write(assets: Path, ann: float, rsc: float) -> None:
    zoo = Zoo(assets / "models")
    shas = {name: zoo.card(name).sha256 for name in zoo.names()}
    rows = [
        *make_model(TWIN, ann, sha256=shas[TWIN], label="ANN"),
        *make_model(RSC, rsc, draws=10, sha256=shas[RSC], label="RSC-SNN, sigma 0.2"),
    ]
    write_results(merged([], rows, shas), assets / "results")


def words(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.caption])


def test_figure_claim_and_table(measured: Path, page: PageMaker) -> None:
    app = page(MODELS).run()
    assert not app.exception and not app.error
    (chart,) = figures(app).values()
    traces = chart["data"]
    assert [trace["name"] for trace in traces] == ["Tiny ANN", "Tiny RSC-SNN, sigma 0.2"]
    assert [trace["y"][0] for trace in traces] == [1.0, 1.0]
    text = words(app)
    rsc, ann = f"[Tiny RSC-SNN, sigma 0.2](#{RSC})", f"[Tiny ANN](#{TWIN})"
    assert f"| {rsc} against {ann} | **The claim holds:** above its twin" in text
    assert "n = 600 for clean and FGSM, 500 of them at random" in text
    assert "; 10 fresh noise draws an image, 1 for models without noise; seed 0" in text
    assert "`python -m rsc_snn zoo evaluate --images 500 --epsilons 2 8`" in text
    assert f"| {ann} | – | 4 | 100.0 (" in text
    assert "82.03" in text and "secondary" in text


def test_a_claim_that_fails_is_said_as_plainly(measured: Path, page: PageMaker) -> None:
    write(measured, 0.6, 0.3)
    assert "**The claim fails:** below its twin" in words(page(MODELS).run())


def test_new_results_are_read_by_a_running_app(measured: Path, page: PageMaker) -> None:
    app = page(MODELS).run()
    write(measured, 0.6, 0.3)
    assert "The claim fails" in words(app.run())


def test_adversarially_trained_models_have_a_figure_of_their_own(
    measured: Path, page: PageMaker
) -> None:
    path = measured / "models" / f"{TWIN}.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["training"]["adversarial"] = "fgsm"
    card["label"] = "ANN, adversarially trained"
    path.write_text(json.dumps(card), encoding="utf-8")
    app = page(MODELS).run()
    assert not app.exception
    charts = [chart["data"] for chart in figures(app).values()]
    assert [[trace["name"] for trace in data] for data in charts] == [
        ["Tiny RSC-SNN, sigma 0.2"],
        ["ANN"],
    ]


def test_results_of_other_weights_are_not_shown(measured: Path, page: PageMaker) -> None:
    path = measured / "models" / f"{TWIN}.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["sha256"] = "c" * 64
    path.write_text(json.dumps(card), encoding="utf-8")
    app = page(MODELS).run()
    text = words(app)
    assert f"(#{TWIN}) | – | 4 |" not in text and f"(#{RSC}) | 0.2 | 4 |" in text
    assert " against [" not in text


def test_without_results_a_sentence_says_how_to_make_them(assets: Path, page: PageMaker) -> None:
    app = page(MODELS).run()
    assert not app.exception and not app.error
    assert "`python -m rsc_snn zoo evaluate`" in app.info[0].value
    assert not figures(app)


def test_damaged_results_are_a_sentence_and_the_cards_stay(assets: Path, page: PageMaker) -> None:
    (assets / "results").mkdir()
    (assets / "results" / FILE).write_bytes(b"PAR1 damaged PAR1")
    app = page(MODELS).run()
    assert not app.exception
    assert "damaged" in app.error[0].value
    assert len(app.subheader) == 4


def test_results_without_a_worst_case_have_no_figure(measured: Path, page: PageMaker) -> None:
    zoo = Zoo(measured / "models")
    shas = {TWIN: zoo.card(TWIN).sha256}
    rows = [row for row in make_model(TWIN, 0.5, sha256=shas[TWIN]) if row.attack != "square"]
    write_results(merged([], rows, shas), measured / "results")
    app = page(MODELS).run()
    assert not app.exception and not app.error
    assert not figures(app)
    assert f"(#{TWIN}) | – | 4 | 100.0 (" in words(app)
