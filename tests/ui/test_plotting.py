"""The figure component: what it sends, what it makes of a click, and the library it is drawn by."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import plotly
import pytest
from starlette.requests import Request
from starlette.responses import Response

import rsc_snn.ui.components.plotting as module
from rsc_snn.figures.style import figure, layout
from rsc_snn.ui.components.plotting import PATH, plot, plot_routes, plot_spec

FIGURE = figure(
    [{"type": "scatter", "x": [0, 1], "y": np.array([0.25, float("nan")])}],
    layout(height=210, xaxis={"title": {"text": "sigma"}}, template="plotly_dark"),
)


class Browser:
    """Stands where the browser is: remembers what it was sent and answers with a state."""

    def __init__(self, **state: object) -> None:
        self.state = state
        self.data: dict[str, Any] = {}

    def __call__(self, *, key: str, data: dict[str, Any], **_: object) -> dict[str, object]:
        self.data = data
        return self.state


def sent(monkeypatch: pytest.MonkeyPatch, **state: object) -> tuple[dict[str, Any], str | None]:
    browser = Browser(**state)
    monkeypatch.setattr(module, "_mount", browser)
    clicked = plot(FIGURE, key="k", alt="A line.", config={"displaylogo": False})
    return browser.data, clicked


def test_the_figure_arrives_whole_but_without_a_theme_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, clicked = sent(monkeypatch)
    spec = plot_spec(data)
    assert "template" not in spec["layout"]
    assert spec["layout"]["xaxis"]["title"]["text"] == "sigma"
    assert spec["data"][0]["x"] == [0, 1]
    assert data["height"] == 210 and data["alt"] == "A line." and clicked is None
    assert "NaN" not in data["spec"]  # no JSON, which browsers refuse


def test_a_click_is_the_text_of_its_point(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sent(monkeypatch, point="a key")[1] == "a key"


@pytest.mark.parametrize("strange", [3, None, ["a"], {"a": 1}])
def test_what_no_click_sends_is_no_click(monkeypatch: pytest.MonkeyPatch, strange: object) -> None:
    assert sent(monkeypatch, point=strange)[1] is None


def answer(encoding: str) -> Response:
    (route,) = plot_routes()
    assert route.path == PATH
    headers = [(b"accept-encoding", encoding.encode())]
    response = route.endpoint(Request({"type": "http", "method": "GET", "headers": headers}))
    assert isinstance(response, Response) and response.status_code == 200
    return response


def test_the_library_is_the_installed_one_and_may_be_kept() -> None:
    file = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    packed, plain = answer("gzip, br"), answer("identity")
    assert packed.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed.body) == plain.body == file.read_bytes()
    assert plain.headers["Content-Type"].startswith("text/javascript")
    assert "immutable" in plain.headers["Cache-Control"] and plotly.__version__ in PATH
