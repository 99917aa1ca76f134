"""The Models page and the app around the pages."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.pages.conftest import PageMaker, figures

MODELS = "pages/models.py"


def card_of(assets: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((assets / "models" / f"{name}.json").read_text(encoding="utf-8")))


def change(assets: Path, name: str, edit: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Edit a card on disk; returns it."""
    card = card_of(assets, name)
    edit(card)
    text = json.dumps(card)
    (assets / "models" / f"{card['name']}.json").write_text(text, encoding="utf-8")
    return card


def opened(app: AppTest, *names: str) -> AppTest:
    """The page with the details of these models open."""
    for name in names:
        app.session_state[f"models.open.{name}"] = True
    app.run()
    assert not app.exception and not app.error
    return app


def words(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.caption])


def add_details(card: dict[str, Any]) -> None:
    """What cards of the first version lack."""
    item = {"value": 0.25, "lower": 0.2, "upper": 0.5, "n": 7}
    card["class_accuracy"] = [{**item, "value": 0.25 + k / 100} for k in range(10)]
    card["float32_accuracy"] = {"value": 0.1004, "difference": -0.0004}
    card["training"] |= {"scale": "gpu", "teacher": "tiny-ann", "adversarial": "pgd"}
    card["training"]["recipe"] = {"adversarial": {"steps": 7, "epsilon": 8.0}}


def test_every_model_has_a_card(assets: Path, page: PageMaker) -> None:
    names = [path.stem for path in (assets / "models").glob("*.json")]
    app = opened(page(MODELS), *names)
    titles = [element.value for element in app.subheader]
    assert "Tiny ANN" in titles and len(titles) == 4
    text = words(app)
    for name in names:
        card = card_of(assets, name)
        assert card["sha256"] in text
        assert card["limits"] in text
    assert "n = 10" in text
    assert "0.0% to 50.0%" in text
    assert len(figures(app)) == 1
    assert len(app.code) == 4


def test_details_are_drawn_only_once_opened(assets: Path, page: PageMaker) -> None:
    app = page(MODELS).run()
    assert not app.exception
    assert [element.value for element in app.header] == ["CIFAR-10"]
    assert len(app.subheader) == len(app.expander) == 4
    assert not figures(app) and not app.code and not app.metric
    assert "10.0% (0.0% to 50.0%)" in app.expander[0].label
    assert "random weights" not in words(app)
    opened(app, "tiny-rsc")
    assert len(figures(app)) == len(app.code) == len(app.metric) == 1


def test_details_of_a_card(assets: Path, page: PageMaker) -> None:
    change(assets, "tiny-rsc", add_details)
    app = opened(page(MODELS), "tiny-rsc")
    curve_and_classes = list(figures(app).values())
    assert len(curve_and_classes) == 2
    spec = curve_and_classes[0]
    assert spec["data"][0]["y"][0] == "truck"
    assert [shape["x0"] for shape in spec["layout"]["shapes"]] == [0.1]
    text = words(app)
    assert "**Teacher:** tiny-ann" in text
    assert "**Scale of the recipe:** GPU" in text
    assert "**Adversarial training:** PGD, 7 steps, epsilon 8/255" in text
    assert "changed the accuracy by -0.04 points, from 10.04% in float32" in text
    assert "The training photographs were attacked" in text


def test_a_card_whose_training_ended_on_rounded_weights(assets: Path, page: PageMaker) -> None:
    def end_rounded(card: dict[str, Any]) -> None:
        add_details(card)
        card["training"]["recipe"]["float16_epochs"] = 2
        card["float32_accuracy"] = {"value": 0.1, "difference": 0.0}

    change(assets, "tiny-rsc", end_rounded)
    text = words(opened(page(MODELS), "tiny-rsc"))
    assert "changed nothing: training ended on rounded weights (2 epochs)" in text


def test_a_change_too_small_to_show_has_no_sign(assets: Path, page: PageMaker) -> None:
    def change_little(card: dict[str, Any]) -> None:
        add_details(card)
        card["float32_accuracy"] = {"value": 0.10004, "difference": -0.00004}

    change(assets, "tiny-rsc", change_little)
    text = words(opened(page(MODELS), "tiny-rsc"))
    assert "changed the accuracy by less than 0.01 points, from 10.00% in float32" in text


def test_cards_of_the_first_version_do_without_what_they_lack(
    assets: Path, page: PageMaker
) -> None:
    def age(card: dict[str, Any]) -> None:
        card["schema"] = 1
        for name in ("class_accuracy", "float32_accuracy"):
            card.pop(name)
        for name in ("scale", "teacher", "teacher_sha256", "adversarial"):
            card["training"].pop(name)

    change(assets, "tiny-ann", age)
    app = opened(page(MODELS), "tiny-ann")
    text = words(app)
    assert "Teacher" not in text and "Adversarial" not in text and "float16 safetensors" in text
    assert not figures(app)


def test_models_are_grouped_by_data_set(assets: Path, page: PageMaker) -> None:
    change(assets, "tiny-ann", lambda card: card.update(dataset="folder:mine"))
    change(assets, "tiny-direct", lambda card: card.update(dataset="imagenette"))
    app = page(MODELS).run()
    assert not app.exception
    assert [element.value for element in app.header] == ["CIFAR-10", "Imagenette", "folder:mine"]
    tables = [element.value for element in app.markdown if "| --- |" in element.value]
    assert [table.count("\n") - 1 for table in tables] == [2, 1, 1]
    assert "[Tiny ANN](#tiny-ann)" in tables[2]
    contents = next(text.value for text in app.markdown if text.value.startswith("On this page"))
    anchors = [element.anchor for element in app.header]
    assert all(f"(#{anchor})" in contents for anchor in anchors) and len(set(anchors)) == 3
    titles = [element.value for element in app.subheader]
    assert titles[2:] == ["Tiny SNN, direct coding", "Tiny ANN"]


def test_a_large_zoo_opens_quickly(assets: Path, page: PageMaker) -> None:
    models = assets / "models"
    for number in range(24):
        shutil.copy(models / "tiny-rsc.safetensors", models / f"m{number:02d}.safetensors")
        change(assets, "tiny-rsc", lambda card, number=number: card.update(name=f"m{number:02d}"))
    app = page(MODELS).run()
    assert len(app.subheader) == 28
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        app.run()
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 2


def test_a_broken_card_is_a_sentence(assets: Path, page: PageMaker) -> None:
    (assets / "models" / "tiny-ann.json").write_text("{", encoding="utf-8")
    app = page(MODELS).run()
    assert not app.exception
    assert "tiny-ann.json is not valid JSON" in app.warning[0].value
    assert len(app.subheader) == 3


def test_missing_and_empty_zoo(assets: Path, page: PageMaker) -> None:
    for path in (assets / "models").iterdir():
        path.unlink()
    app = page(MODELS).run()
    assert not app.exception and not app.error
    assert "no models yet" in app.info[0].value
    from rsc_snn.ui import resources

    resources.st.cache_resource.clear()
    shutil.rmtree(assets / "models")
    app.run()
    assert not app.exception
    assert "no folder of models" in app.error[0].value


def test_a_broken_curve_is_a_sentence_in_its_card(assets: Path, page: PageMaker) -> None:
    (assets / "models" / "tiny-rsc.csv").write_text("epoch\none\n", encoding="utf-8")
    app = page(MODELS)
    app.session_state["models.open.tiny-rsc"] = True
    app.run()
    assert not app.exception
    assert "training curve" in app.error[0].value
    assert len(app.subheader) == 4


def test_the_app_opens_on_the_playground(assets: Path, page: PageMaker) -> None:
    app = page("app.py").run()
    assert not app.exception
    assert app.title[0].value.startswith("Attack a photograph")
    assert any("memory" in text.value for text in app.sidebar.markdown)
