"""The visitor's own photograph: how long the page goes on with it, and what ends that."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from rsc_snn.ui import playground, presets
from tests.pages.conftest import PageMaker
from tests.pages.test_playground import texts

CLASS = "playground.upload.class"
SOURCE = "playground.source"


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def app(assets: Path, page: PageMaker) -> AppTest:
    """The whole app with an own photograph of a cat."""
    path = assets / "models" / "tiny-direct.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card |= {"dataset": "imagenette", "classes": ["cat", *(f"thing {at}" for at in range(9))]}
    path.write_text(json.dumps(card), encoding="utf-8")
    app = page("app.py", attack="fgsm").run()
    app.segmented_control(key=SOURCE).set_value("file").run()
    app.file_uploader[0].set_value(("cat.png", png(0), "image/png")).run()
    app.selectbox(key=CLASS).set_value("cat").run()
    return app


def photograph(app: AppTest) -> tuple[str, str | None]:
    """Name and stated class of the photograph that the page shows."""
    assert not app.exception
    image = app.session_state[playground.LAST][app.selectbox(key="playground.model").value][0].image
    asked = [box.value for box in app.selectbox if box.key == CLASS]
    return image.name, asked[0] if asked else None


def away_and_back(app: AppTest) -> AppTest:
    app.switch_page("pages/models.py").run()
    assert not app.exception and not app.file_uploader
    return app.switch_page("pages/playground.py").run()


def test_it_survives_another_page(app: AppTest) -> None:
    assert photograph(app) == ("your photograph", "cat")
    before = app.session_state[playground.LAST]["tiny-rsc"][0].image
    assert app.file_uploader[0].value is not None and "Still in use" not in texts(app.caption)
    away_and_back(app)
    assert app.file_uploader[0].value is None
    assert photograph(app) == ("your photograph", "cat")
    assert app.session_state[playground.LAST]["tiny-rsc"][0].image == before
    assert app.segmented_control(key=SOURCE).value == "file"
    assert "Still in use: your photograph cat.png" in texts(app.caption)


def test_it_survives_a_scene(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = presets.Preset("One", "Look here.", (("tiny-ann",),), {"attack": "fgsm"})
    monkeypatch.setattr(presets, "PRESETS", {"one": scene})
    app.run()
    app.menu_button(key="scenes").click("One").run()
    assert app.segmented_control(key=SOURCE).value == "gallery"
    app.segmented_control(key=SOURCE).set_value("file").run()
    assert photograph(app)[0] == "your photograph"
    assert "Still in use: your photograph cat.png" in texts(app.caption)


def test_it_survives_the_gallery(app: AppTest) -> None:
    app.segmented_control(key=SOURCE).set_value("gallery").run()
    assert photograph(app) == ("airplane", None)
    away_and_back(app)
    assert photograph(app) == ("airplane", None)
    app.segmented_control(key=SOURCE).set_value("file").run()
    assert photograph(app) == ("your photograph", "cat")


def test_a_class_is_remembered_for_the_classes_it_was_chosen_from(app: AppTest) -> None:
    app.selectbox(key="playground.model").set_value("tiny-direct").run()
    assert photograph(app)[1] == "let the network decide"
    app.selectbox(key=CLASS).set_value("thing 3").run()
    app.selectbox(key="playground.model").set_value("tiny-rsc").run()
    assert photograph(app) == ("your photograph", "cat")
    app.selectbox(key="playground.model").set_value("tiny-direct").run()
    assert photograph(app)[1] == "thing 3"


def test_it_is_gone_once_removed(app: AppTest) -> None:
    away_and_back(app)
    app.button(key="playground.upload.file.remove").click().run()
    assert photograph(app) == ("airplane", None)
    assert not [button for button in app.button if str(button.key).endswith(".remove")]
    away_and_back(app)
    assert photograph(app) == ("airplane", None)
    app.file_uploader[0].set_value(("dog.png", png(1), "image/png")).run()
    assert photograph(app) == ("your photograph", "let the network decide")


def test_it_is_gone_once_taken_out_of_the_control(app: AppTest) -> None:
    app.file_uploader[0].clear().run()
    assert photograph(app) == ("airplane", None)
    away_and_back(app)
    assert photograph(app) == ("airplane", None)


def test_it_is_gone_after_a_reset(app: AppTest) -> None:
    away_and_back(app)
    app.button(key="reset").click().run()
    assert photograph(app) == ("airplane", None)
    assert "playground.own.file" not in app.session_state
    app.segmented_control(key=SOURCE).set_value("file").run()
    assert photograph(app) == ("airplane", None)


def test_a_newer_one_takes_its_place(app: AppTest) -> None:
    before = app.session_state[playground.LAST]["tiny-rsc"][0].image
    away_and_back(app)
    app.file_uploader[0].set_value(("dog.png", png(1), "image/png")).run()
    assert photograph(app) == ("your photograph", "let the network decide")
    away_and_back(app)
    assert "Still in use: your photograph dog.png" in texts(app.caption)
    assert app.session_state[playground.LAST]["tiny-rsc"][0].image.digest != before.digest


def test_no_other_visitor_sees_it(app: AppTest, page: PageMaker) -> None:
    other = page("app.py", attack="fgsm").run()
    assert photograph(other) == ("airplane", None)
    other.segmented_control(key=SOURCE).set_value("file").run()
    assert photograph(other) == ("airplane", None)
