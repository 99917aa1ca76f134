"""The lesson's steps on coding: their numbers are the theory's, at the ends of every slider too."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
import torch
from scipy.stats import binom
from streamlit.testing.v1 import AppTest
from torch import Tensor

from rsc_snn.data.gallery import GalleryImage, load_gallery
from rsc_snn.theory import matched_sigma, running_intervals
from rsc_snn.ui.lesson import currents, image, pixel
from tests.pages.conftest import figures

pytestmark = pytest.mark.usefixtures("assets")


def script(name: str) -> None:
    """A page of one step alone."""
    import importlib

    from rsc_snn.ui.link import PageLink

    link = PageLink("lesson")
    importlib.import_module(f"rsc_snn.ui.lesson.{name}").draw(link)
    link.publish()
    link.complain()


def step(name: str, **query: str) -> AppTest:
    """The step, opened with the link's values."""
    app = AppTest.from_function(script, args=(name,), default_timeout=30)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    return "\n".join(caption.value for caption in app.caption)


def linked(app: AppTest, key: str) -> str:
    """What the page's link has; the framework gives a list of what the page has not written."""
    value = app.query_params[key]
    return value if isinstance(value, str) else value[0]


def running_mean(app: AppTest) -> list[float]:
    """What the figure of the spikes shows, unpacked from its transport."""
    name = "Strokes: the spikes of one pixel; below, their running mean and its interval."
    (shown,) = (part for part in figures(app)[name]["data"] if part["name"] == "mean so far")
    values = np.frombuffer(base64.b64decode(shown["y"]["bdata"]), shown["y"]["dtype"])
    return list(values.tolist())


def bold(app: AppTest) -> list[float]:
    """The numbers that the captions stress."""
    return [float(number) for number in re.findall(r"\*\*([\d.]+)\*\*", words(app))]


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("pixel", {"pixel_x": "0", "pixel_steps": "1"}),
        ("pixel", {"pixel_x": "1", "pixel_steps": "64"}),
        ("image", {"image_sigma": "0", "image_steps": "1", "image_play": "true"}),
        ("image", {"image_sigma": "0.6", "image_steps": "16", "image_play": "true"}),
        ("currents", {"currents_row": "0", "currents_column": "31", "currents_channel": "7"}),
        ("currents", {"currents_row": "31", "currents_view": "covariance"}),
        ("currents", {"currents_model": "tiny-rsc", "currents_view": "fan-in"}),
    ],
)
def test_a_link_opens_a_step_in_its_state(name: str, query: dict[str, str]) -> None:
    app = step(name, **query)
    assert not app.warning
    for key, value in query.items():
        assert linked(app, key) == value
    assert len(figures(app)) in (1, 2)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("pixel", {"pixel_x": "2"}),
        ("image", {"image_photo": "unicorn-1"}),
        ("currents", {"currents_view": "sideways"}),
        ("currents", {"currents_model": "tiny-ann"}),
    ],
)
def test_what_a_link_cannot_ask_is_said(name: str, query: dict[str, str]) -> None:
    app = step(name, **query)
    assert "the default is used" in app.warning[0].value


def test_the_variance_of_a_pixel_is_measured_beside_the_formula() -> None:
    measured, expected = bold(step("pixel", pixel_x="0.3", pixel_steps="8"))
    assert expected == pytest.approx(0.3 * 0.7 / 8, abs=1e-5)
    assert measured == pytest.approx(expected, rel=0.2)


def test_how_often_the_interval_misses_is_what_is_said() -> None:
    assert "about one of twenty" in words(step("pixel"))
    assert "from none to one in five" in words(step("pixel"))
    values, missed = np.arange(101) / 100, []
    for steps in range(1, 65):
        # Every number of spikes, as one way to have so many in so many steps.
        counts = np.arange(steps + 1)
        ends = [running_intervals(torch.arange(steps) < int(count)) for count in counts]
        lower, upper = (np.array([float(end[side][-1]) for end in ends]) for side in (0, 1))
        outside = (values[:, None] < lower) | (values[:, None] > upper)
        missed.append((binom.pmf(counts, steps, values[:, None]) * outside).sum(1))
    chances = np.array(missed)
    assert chances.min() == 0 and chances.max() == pytest.approx(0.2)
    away = chances[15:, 20:81]
    assert away.min() > 0.02 and away.max() < 0.08
    assert away.mean() == pytest.approx(0.05, abs=0.005)


def test_a_longer_look_begins_with_the_same_spikes() -> None:
    app = step("pixel", pixel_steps="10")
    short = running_mean(app)
    app.slider(key="lesson.pixel_steps").set_value(40).run()
    long = running_mean(app)
    assert len(long) == 40 and long[:10] == short


@pytest.mark.parametrize(("name", "marker"), [("pixel", "spikes"), ("image", "Poisson")])
def test_draw_again_changes_the_draws_and_the_link(name: str, marker: str) -> None:
    app = step(name)
    before = words(app)
    app.button(key=f"lesson.{name}_seed.again").click().run()
    assert linked(app, f"{name}_seed") == "1"
    assert marker in before and words(app) != before
    assert words(step(name, **{f"{name}_seed": "1"})) == words(app)


def test_the_matching_sigma_is_found_and_revealed() -> None:
    photograph = load_gallery()[5]
    (sigma,) = matched_sigma(photograph.pixels()).tolist()
    app = step("image", image_sigma=f"{sigma:.2f}")
    poisson, rsc = bold(app)
    assert rsc == pytest.approx(poisson, rel=0.1)
    assert not app.success and not app.info
    app.toggle(key="lesson.image_reveal").set_value(True).run()
    assert f"**{sigma:.3f}**" in app.success[0].value
    app.slider(key="lesson.image_sigma").set_value(0.05).run()
    assert f"**{sigma:.3f}**" in app.info[0].value and not app.success


def test_a_place_without_noise_is_said_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def black_corner(self: GalleryImage, image_size: int | None = None) -> Tensor:
        pixels = pixels_of(self, image_size)
        pixels[..., :8, :8] = 0
        return pixels

    pixels_of = GalleryImage.pixels
    monkeypatch.setattr(GalleryImage, "pixels", black_corner)
    app = step("currents", currents_row="3", currents_column="3")
    assert "Poisson coding has no noise" in words(app)
    assert "**RSC**" in app.markdown[0].value and "**Poisson**" not in app.markdown[0].value


def test_covariances_agree_with_the_formula_but_for_chance() -> None:
    text = words(step("currents", currents_view="covariance"))
    missed, total = map(int, re.findall(r"(\d+) of (\d+) miss", text)[0])
    assert total == 2 * 8 * 9 / 2
    # Neighbours of one matrix miss together, so this is far above one in twenty.
    assert missed < total / 3


def test_covariances_of_rare_spikes_agree_with_the_formula_but_for_chance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def bright(self: GalleryImage, image_size: int | None = None) -> Tensor:
        return pixels_of(self, image_size) * 0.001 + 0.999

    pixels_of = GalleryImage.pixels
    monkeypatch.setattr(GalleryImage, "pixels", bright)
    text = words(step("currents", currents_view="covariance"))
    missed, total = map(int, re.findall(r"(\d+) of (\d+) miss", text)[0])
    # Whiskers of a normal law are missed by most of the Poisson half.
    assert missed < total / 5


def test_the_code_that_is_shown_is_of_the_library() -> None:
    for part in (pixel, image, currents):
        assert part.CODE
        assert all(item.__module__.startswith("rsc_snn.") for item in part.CODE)
