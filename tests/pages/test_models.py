"""The Models page and the app around the pages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.pages.conftest import PageMaker

MODELS = "pages/models.py"


def test_every_model_has_a_card(assets: Path, page: PageMaker) -> None:
    app = page(MODELS).run()
    assert not app.exception
    titles = [element.value for element in app.subheader]
    assert "Tiny ANN" in titles and len(titles) == 4
    text = " ".join(element.value for element in [*app.markdown, *app.caption])
    for path in (assets / "models").glob("*.json"):
        card = json.loads(path.read_text(encoding="utf-8"))
        assert card["sha256"] in text
        assert card["limits"] in text
    assert "n = 10" in text
    assert "0.0% to 50.0%" in text
    assert len(app.get("plotly_chart")) == 1
    assert len(app.code) == 4


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


def test_the_app_opens_on_the_playground(assets: Path, page: PageMaker) -> None:
    app = page("app.py").run()
    assert not app.exception
    assert app.title[0].value.startswith("Attack a photograph")
