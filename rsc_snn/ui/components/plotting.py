"""A plotly figure that changes in place.

The framework's own `st.plotly_chart` makes a new chart for every change and draws it several
times, which is most of what a slider's move costs the browser. This component hands the figure to
`Plotly.react`, plotly's way to change a figure that is there: once, and without a flicker. The
script is the one inside the installed plotly package, served by the app itself.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plotly
import plotly.graph_objects as go
from plotly.io.json import to_json_plotly
from starlette.responses import Response
from starlette.routing import Route

from rsc_snn.ui.components.assets import nothing, register

if TYPE_CHECKING:
    from starlette.requests import Request

PATH = f"/rsc/plotly-{plotly.__version__}.min.js"
# The address names the version, so what a browser has of it stays right.
_FOR_EVER = "public, max-age=31536000, immutable"

_mount = register("plotting", isolate=False)


def plot(figure: go.Figure, *, key: str, alt: str, config: dict[str, Any]) -> str | None:
    """Draw a figure at the width of its place and at its own height.

    alt: what it shows, for who cannot see it. config: plotly's, of plain values. Returns the
    `customdata` of the point that the visitor clicked in this run, as text; None without a click.
    On a touch screen the first tap on a point shows its text, and the second is a click.
    """
    spec = figure.to_dict()
    # The browser puts the page's light or dark theme in its place.
    spec["layout"].pop("template", None)
    data = {
        "spec": to_json_plotly(spec, engine="json"),
        "config": config,
        "alt": alt,
        "height": int(spec["layout"]["height"]),
        "script": PATH,
    }
    state = _mount(key=key, data=data, on_point_change=nothing)
    point = state.get("point")
    return point if isinstance(point, str) else None


def plot_spec(data: dict[str, Any]) -> dict[str, Any]:
    """The figure in what `plot` sends to the browser."""
    return json.loads(data["spec"])


def plot_routes() -> list[Route]:
    """The route of plotly's script for browsers, for `st.App(routes=...)`."""
    return [Route(PATH, _script, methods=["GET"])]


def _script(request: Request) -> Response:
    packed = "gzip" in request.headers.get("accept-encoding", "")
    headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
    if packed:
        headers["Content-Encoding"] = "gzip"
    content = _content() if packed else gzip.decompress(_content())
    return Response(content, media_type="text/javascript; charset=utf-8", headers=headers)


@cache
def _content() -> bytes:
    folder = Path(plotly.__file__).parent / "package_data"
    return gzip.compress((folder / "plotly.min.js").read_bytes(), compresslevel=6)
