"""The Playground in real Chromium: choose, attack, see the plots change."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.browser.driving import FIGURES, TIMEOUT, control, open_playground, settle

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
DARK = {"color_scheme": "dark"}


def pictures(page: Any) -> list[str]:
    """The three pictures' contents."""
    return page.locator(".rsc-row img").evaluate_all("found => found.map(image => image.src)")


def bars(page: Any) -> list[list[float]]:
    """The lengths of the bars of the two bar figures as they are drawn, in pixels.

    Empty while a figure is being replaced.
    """
    lengths = page.evaluate(
        """() => [...document.querySelectorAll('.js-plotly-plot')]
             .filter(plot => plot.data[0].type === 'bar')
             .flatMap(plot => plot.data.map((_, index) =>
                 [...plot.querySelectorAll('.barlayer .trace')[index].querySelectorAll('path')]
                     .map(bar => bar.getBBox())
                     .map(box => plot.data[0].orientation === 'h' ? box.width : box.height)))"""
    )
    return lengths if len(lengths) == 2 and all(lengths) else []


def wait_for_change(page: Any, what: Any, before: Any) -> Any:
    """What `what` sees once it has changed and then stays the same: figures come one by one."""
    end, last = time.monotonic() + TIMEOUT, None
    while time.monotonic() < end:
        now = what(page)
        if now and now != before and now == last:
            return now
        last = now
        page.wait_for_timeout(400)
        settle(page)
    raise AssertionError("nothing changed")


def choose(page: Any, key: str, option: str) -> None:
    """Choose from a select box by typing."""
    page.locator(f"{control(page, key)} input").click()
    page.locator(f"{control(page, key)} input").fill(option)
    page.get_by_role("option", name=option, exact=True).first.click()


def press(page: Any, key: str, keys: list[str]) -> None:
    """Move a slider by the keyboard."""
    thumb = page.locator(f"{control(page, key)} [role=slider], {control(page, key)} input").first
    thumb.focus()
    for name in keys:
        page.keyboard.press(name)


def saved_figure(page: Any, kind: str) -> bytes:
    """The first figure as its camera saves it."""
    plot = page.locator(".js-plotly-plot").first
    plot.hover()
    with page.expect_download() as download:
        plot.locator('[data-title="Save as a picture"]').click()
    name = download.value.suggested_filename
    assert re.fullmatch(rf"rsc-snn-[\w-]+\.{kind}", name), name
    return Path(download.value.path()).read_bytes()


def upload(page: Any, name: str, content: bytes) -> None:
    page.get_by_role("radio", name="File").or_(
        page.get_by_role("button", name="File")
    ).first.click()
    page.locator('[data-testid="stFileUploaderDropzoneInput"]').set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": content}
    )


def test_choose_attack_and_see_the_plots_change(page: Any, address: str) -> None:
    open_playground(page, address)
    seen, heights = pictures(page), bars(page)
    assert len(seen) == 3 and len(heights) == 2
    choose(page, "playground.model", "Tiny SNN, direct coding")
    heights = wait_for_change(page, bars, heights)
    choose(page, "playground.image.class", "frog")
    seen = wait_for_change(page, pictures, seen)
    choose(page, "playground.attack", "FGSM")
    seen = wait_for_change(page, pictures, seen)
    press(page, "playground.epsilon/255", ["End"])
    seen = wait_for_change(page, pictures, seen)
    assert "epsilon=64" in page.url
    assert "attack=fgsm" in page.url


def test_sigma_and_time_steps_change_the_plots(page: Any, address: str) -> None:
    open_playground(page, address, "attack=fgsm")
    heights = bars(page)
    drawn = page.locator(".js-plotly-plot .barlayer path").first.element_handle()
    press(page, "playground.sigma", ["End"])
    heights = wait_for_change(page, bars, heights)
    assert drawn.evaluate("bar => bar.isConnected"), "figures change in place, not anew"
    titles = page.locator(".js-plotly-plot .modebar-btn").evaluate_all(
        "buttons => buttons.map(button => button.dataset.title)"
    )
    assert set(titles) == {"Save as a picture", "Fill the screen, and back"}
    press(page, "playground.time_steps", ["ArrowRight"])
    wait_for_change(page, bars, heights)
    page.wait_for_url(lambda url: "sigma=1" in url and "time_steps=5" in url)


def test_a_thumbnail_chooses_the_photograph(page: Any, address: str) -> None:
    open_playground(page, address)
    seen = pictures(page)
    page.locator(".st-key-rsc-thumbnails button").nth(1).click()
    wait_for_change(page, pictures, seen)
    assert "image=airplane-10" in page.url


def test_back_undoes_a_choice(page: Any, address: str) -> None:
    open_playground(page, address, "attack=fgsm&epsilon=4")
    seen = pictures(page)
    press(page, "playground.epsilon/255", ["End"])
    changed = wait_for_change(page, pictures, seen)
    page.go_back()
    assert wait_for_change(page, pictures, changed) == seen


def test_a_heavy_attack_is_cancelled_and_the_page_goes_on(page: Any, address: str) -> None:
    open_playground(page, address, "attack=fgsm")
    seen = pictures(page)
    choose(page, "playground.attack", "Square")
    page.get_by_text("Attack settings").click()
    page.locator(f"{control(page, 'playground.square.queries')} input").fill("20000")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Run Square").click()
    page.get_by_role("button", name="Cancel").wait_for()
    choose(page, "playground.attack", "FGSM")
    press(page, "playground.epsilon/255", ["End"])
    wait_for_change(page, pictures, seen)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel").wait_for(state="detached")
    settle(page)


def test_the_tradeoff_fills_and_finishes(page: Any, address: str) -> None:
    open_playground(page, address, "attack=fgsm&view=tradeoff", figures=2)
    page.get_by_role("button", name="Measure the curve").click()
    page.get_by_text(re.compile(r"\bTook \d+ s")).wait_for()
    points = page.evaluate(
        """() => [...document.querySelectorAll('.js-plotly-plot')]
             .map(plot => plot.data.find(trace => trace.name === 'under attack'))
             .find(trace => trace).x.length"""
    )
    assert points == 6


def test_upload_of_a_good_and_a_bad_file(page: Any, address: str) -> None:
    open_playground(page, address)
    seen = pictures(page)
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    upload(page, "mine.png", buffer.getvalue())
    wait_for_change(page, pictures, seen)
    page.locator('[data-testid="stFileChipDeleteBtn"] button').first.click()
    settle(page)
    page.locator('[data-testid="stFileUploaderDropzoneInput"]').set_input_files(
        {"name": "wrong.png", "mimeType": "image/png", "buffer": b"GIF89a not a png at all"}
    )
    page.get_by_text("is a GIF image").wait_for()
    settle(page)
    assert len(pictures(page)) == 3


def test_an_own_photograph_outlasts_a_look_at_another_page(page: Any, address: str) -> None:
    open_playground(page, address, "attack=fgsm")
    seen = pictures(page)
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 40, 3), (200, 40, 90), np.uint8)).save(buffer, "PNG")
    upload(page, "mine.png", buffer.getvalue())
    wait_for_change(page, pictures, seen)
    choose(page, "playground.upload.class", "cat")
    page.get_by_text(re.compile("see the cat")).first.wait_for()
    settle(page)
    own = pictures(page)
    page.get_by_role("link", name="Models").click()
    page.get_by_role("heading", name="Tiny ANN").wait_for()
    settle(page)
    page.get_by_role("link", name="Playground").click()
    page.get_by_text("Still in use: your photograph mine.png").wait_for()
    page.wait_for_selector(".rsc-row img")
    settle(page)
    assert pictures(page)[0] == own[0]
    assert page.locator(f"{control(page, 'playground.upload.class')} input").input_value() == "cat"
    page.get_by_role("button", name="Remove it").click()
    wait_for_change(page, pictures, own)
    page.get_by_text("Until there is one, the page shows this photograph").wait_for()


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_a_phone_shows_everything_without_scrolling_sideways(page: Any, address: str) -> None:
    open_playground(page, address)
    main = page.locator('[data-testid="stMain"]')
    assert main.evaluate("area => area.scrollWidth <= area.clientWidth + 1")
    widths = page.locator(".js-plotly-plot").evaluate_all(
        "plots => plots.map(plot => plot.getBoundingClientRect().right)"
    )
    assert len(widths) == FIGURES and max(widths) <= 390
    rooms = page.locator(".js-plotly-plot").evaluate_all(
        "plots => plots.map(plot => plot.querySelector('.main-svg').getBoundingClientRect().top"
        " - plot.querySelector('.modebar').getBoundingClientRect().bottom)"
    )
    assert min(rooms) >= 0, "buttons lie on no drawing"


@pytest.mark.parametrize("page", [DARK], indirect=True)
def test_dark_theme(page: Any, address: str) -> None:
    open_playground(page, address)
    background = page.locator('[data-testid="stApp"]').evaluate(
        "app => getComputedStyle(app).backgroundColor"
    )
    assert background == "rgb(15, 20, 25)"
    text = page.locator(".js-plotly-plot .xtick text").first.evaluate(
        "label => getComputedStyle(label).fill"
    )
    assert min(int(part) for part in text[4:-1].split(",")[:3]) > 120


def test_the_buttons_of_a_figure_follow_the_theme(page: Any, address: str) -> None:
    """plotly binds a button's colours once, and the figure stays when the theme changes."""
    open_playground(page, address)
    plot = page.locator(".js-plotly-plot").first
    button = plot.locator('[data-title="Save as a picture"]')

    def shade() -> int:
        """The red of the button's symbol, 0 to 255."""
        fill = button.locator("path").evaluate("path => getComputedStyle(path).fill")
        return int(re.findall(r"\d+", fill)[0])

    for _ in range(2):
        button.hover()
        assert shade() < 100
        page.locator("h1").hover()
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(
        "() => getComputedStyle(document.querySelector('.js-plotly-plot .xtick text')).fill"
        " !== 'rgb(23, 33, 43)'"
    )
    settle(page)
    for _ in range(2):
        plot.hover()
        assert shade() > 100
        button.hover()
        assert shade() > 200
        page.locator("h1").hover()


@pytest.mark.parametrize("page", [{}, DARK], indirect=True, ids=["light", "dark"])
def test_a_saved_picture_is_dark_on_white_whatever_the_theme(page: Any, address: str) -> None:
    open_playground(page, address, "attack=fgsm")
    with Image.open(io.BytesIO(saved_figure(page, "png"))) as picture:
        assert picture.size[0] > 600 and picture.size[1] > 400  # twice the size on the page
        pixels = np.asarray(picture.convert("RGBA"))
    assert pixels[0, 0].tolist() == pixels[-1, -1].tolist() == [255, 255, 255, 255]
    assert (pixels[..., 3] == 255).all()
    assert pixels[..., :3].max(axis=-1).min() < 60, "no dark text"


@pytest.mark.parametrize("page", [DARK], indirect=True)
def test_a_saved_drawing_is_dark_on_white_too(page: Any, address: str) -> None:
    open_playground(page, address, "attack=fgsm&format=svg")
    drawing = saved_figure(page, "svg").decode("utf-8")
    ground = re.search(r'<rect x="0" y="0" [^>]*style="fill: (rgb[^;]*); fill-opacity: 1', drawing)
    assert ground is not None and ground[1] == "rgb(255, 255, 255)"
    assert "rgb(23, 33, 43)" in drawing and "rgb(232, 237, 242)" not in drawing


def test_a_bad_link_says_so(page: Any, address: str) -> None:
    open_playground(page, address, "sigma=99&model=none")
    assert page.get_by_text("between 0 and 1").count() == 1
    assert "sigma=0.2" in page.url


def test_models_page(page: Any, address: str) -> None:
    open_playground(page, address)
    page.get_by_role("link", name="Models").click()
    page.get_by_role("heading", name="Tiny ANN").wait_for()
    settle(page)
    assert page.locator("table tbody tr").count() == 4
    page.get_by_role("link", name="Playground").click()
    page.wait_for_selector(".rsc-row img")
    settle(page)


def test_nothing_is_fetched_from_elsewhere(page: Any, address: str) -> None:
    hosts = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    open_playground(page, address)
    assert {host for host in hosts if not host.startswith("127.0.0.1")} == set()
