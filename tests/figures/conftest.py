"""Every figure that a test makes is validated by plotly, which the app leaves out for speed."""

from __future__ import annotations

import pytest

from rsc_snn.figures import style


@pytest.fixture(autouse=True)
def validated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(style, "VALIDATE", True)
