"""A tiny zoo and gallery, so that page tests are quick and need no shipped weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from tests.tiny_assets import make_assets


@pytest.fixture(scope="session")
def tiny_assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of assets with four tiny untrained models and a gallery; do not change it."""
    return make_assets(tmp_path_factory.mktemp("assets"))


@pytest.fixture
def assets(tiny_assets: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The app uses the tiny assets, and remembers nothing of other tests."""
    monkeypatch.setenv("RSC_SNN_ASSETS", str(tiny_assets))
    yield tiny_assets
    st.cache_resource.clear()
