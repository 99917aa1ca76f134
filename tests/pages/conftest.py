"""A tiny zoo and gallery, so that page tests are quick and need no shipped weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from rsc_snn.ui.components.plotting import plot_spec
from rsc_snn.zoo import models_folder
from tests.app_assets import make_assets

ROOT = Path(__file__).parents[2]
PageMaker = Callable[..., AppTest]


def figures(app: AppTest) -> dict[str, Any]:
    """The page's plotly figures by what their text alternative says they show, in order."""
    sent = [
        json.loads(element.proto.json)
        for element in app.get("bidi_component")
        if element.proto.component_name.endswith("rsc_plotting")
    ]
    return {data["alt"]: plot_spec(data) for data in sent}


@pytest.fixture
def assets(tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The app uses a fresh copy of the tiny assets, and remembers nothing of other tests."""
    folder = make_assets(tiny_zoo, tmp_path / "assets")
    monkeypatch.setenv("RSC_SNN_ASSETS", str(folder))
    yield folder
    st.cache_resource.clear()


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> PageMaker:
    """Make a page of the app, opened with the link's values if there are any; not yet run."""

    def make(name: str, **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / name), default_timeout=30)
        for key, value in query.items():
            app.query_params[key] = value
        return app

    return make


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The assets that ship, and nothing remembered."""
    monkeypatch.delenv("RSC_SNN_ASSETS", raising=False)
    if not list(models_folder().glob("*.json")):
        pytest.skip("no models ship with this copy")
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()
