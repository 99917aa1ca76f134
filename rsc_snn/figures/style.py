"""Colours and layout that all figures share, readable on light and on dark backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

# plotly asks whether a value is a pandas one as soon as any thread has begun to import pandas, and
# fails on a module that is half imported; importing it here first leaves no such moment.
import pandas as _  # noqa: F401
import plotly.graph_objects as go

# Blue and orange stay apart for every common kind of colour blindness. Each has a contrast of at
# least 3:1 against both the white and the near-black page.
CLEAN = "#2E86D1"
ADVERSARIAL = "#E1632A"
NEUTRAL = "#808890"
GRID = "rgba(128,136,144,0.22)"
CLEAR = "rgba(0,0,0,0)"
# Of kinds of networks (`ModelConfig.kind`), the same everywhere.
CODING_COLOURS = {"ann": NEUTRAL, "direct": "#0B9A74", "poisson": "#C264A0", "rsc": "#7A6BE8"}

# Luminances (WCAG) between which a colour has at least 3:1 against both pages.
_LIGHTEST, _DARKEST = 0.296, 0.123

# Tests set it.
VALIDATE = False

# Opacity of words in the page's colour that stay behind the data: at least 4.5:1 on both pages.
QUIET = 0.8
# Room at the right of an axis that ends just after a label such as "100%".
LAST_LABEL = 22

_FONT_SIZE = 14


def shades(colour: str, count: int) -> list[str]:
    """A `#rrggbb` colour in `count` shades, light to dark, as clear on both pages as it is.

    One is the colour itself.
    """
    if count == 1:
        return [colour]
    parts = [_light(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5)]
    own = sum(w * part for w, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))
    found = []
    for place in range(count):
        # Equal steps of contrast, whose ratio is of luminances + 0.05.
        ratio = ((_DARKEST + 0.05) / (_LIGHTEST + 0.05)) ** (place / (count - 1))
        aim = (_LIGHTEST + 0.05) * ratio - 0.05
        white = max(0.0, (aim - own) / (1 - own))
        shade = [part * min(1.0, aim / own) * (1 - white) + white for part in parts]
        found.append("#" + "".join(f"{round(255 * _coded(part)):02X}" for part in shade))
    return found


def _light(part: float) -> float:
    """The light of an sRGB part, both 0..1."""
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _coded(light: float) -> float:
    """The sRGB part of a light, both 0..1."""
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def translucent(colour: str, alpha: float) -> str:
    """A `#rrggbb` colour as an `rgba(...)` of opacity `alpha` (0..1)."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def hatch(shape: str) -> dict[str, Any]:
    """Stripes over a bar's colour, such as "/"; "" for none."""
    stripes = {"fillmode": "overlay", "size": 6, "solidity": 0.22}
    return {"shape": shape, "fgcolor": "rgba(255,255,255,0.75)", **stripes}


class Bounded(Protocol):
    """A value with its interval, such as `rsc_snn.evaluate.Estimate`."""

    @property
    def value(self) -> float: ...

    @property
    def lower(self) -> float: ...

    @property
    def upper(self) -> float: ...


def interval_bars(
    estimates: Sequence[Bounded],
    colour: str | None,
    *,
    thickness: float = 1.5,
    width: int = 4,
    scale: float = 1.0,
) -> dict[str, Any]:
    """plotly's error bars from `lower` to `upper`, for values drawn `scale` times as large.

    colour: None on bars, for the template of the page, since no one colour is clear on the bars and
    on both pages.
    """
    own = {} if colour is None else {"color": colour}
    return own | {
        "type": "data",
        "symmetric": False,
        "array": [scale * (each.upper - each.value) for each in estimates],
        "arrayminus": [scale * (each.value - each.lower) for each in estimates],
        "thickness": thickness,
        "width": width,
    }


def level_line(height: float, yaxis: str) -> dict[str, Any]:
    """A dashed line across the figure at `height` of `yaxis`, such as a threshold."""
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "yref": yaxis,
        "y0": height,
        "y1": height,
        "line": {"color": NEUTRAL, "width": 1.5, "dash": "longdash"},
    }


def margin(top: int = 34, right: int = 8) -> dict[str, Any]:
    """The room around the drawing, to which plotly adds that of labels and legend."""
    return {"l": 8, "r": right, "t": top, "b": 8, "autoexpand": True}


def layout(height: int, **extra: Any) -> dict[str, Any]:
    """The common layout at a fixed `height` in pixels, so that a page does not jump."""
    base: dict[str, Any] = {
        "height": height,
        "margin": margin(),
        "font": {"size": _FONT_SIZE},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "bargap": 0.3,
        "bargroupgap": 0.08,
        "hoverlabel": {"font": {"size": _FONT_SIZE}},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.0,
            "yanchor": "bottom",
            "font": {"size": _FONT_SIZE},
        },
        "dragmode": False,
        "uirevision": "keep",
        # The page brings its own, light or dark.
        "template": {},
    }
    return base | extra


def axis(title: str = "", **extra: Any) -> dict[str, Any]:
    """An axis with a `title`, a faint grid and room for its labels; no zooming by accident."""
    base: dict[str, Any] = {
        "title": {"text": title, "font": {"size": _FONT_SIZE}, "standoff": 8},
        "tickfont": {"size": _FONT_SIZE - 1},
        "ticklabelstandoff": 4,
        "gridcolor": GRID,
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
    }
    return base | extra


def figure(traces: list[dict[str, Any]], arrangement: dict[str, Any]) -> go.Figure:
    """A figure of plain-dictionary traces and a layout.

    plotly validates every property, for some figures longer than all else that a slider's move
    makes the server do. What is drawn here comes from this package alone, so only its tests let
    plotly validate (tests/figures/conftest.py).
    """
    return go.Figure({"data": traces, "layout": arrangement}, _validate=VALIDATE)
