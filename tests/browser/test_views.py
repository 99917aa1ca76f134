"""The Playground's views in real Chromium: choose a neuron, paint, share a link, download."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rsc_snn.marker import read_markers
from rsc_snn.paint import decode_paint
from tests.browser.driving import ROOT, TIMEOUT, open_playground, settle

pytestmark = pytest.mark.browser

COMPARED = "model=tiny-rsc&compare=tiny-ann,tiny-poisson&attack=fgsm&image=frog-6&seed=3"


def markers(page: Any) -> dict[str, dict[str, Any]]:
    """What the page says of each request, to the bit."""
    return {facts["request"]: facts for facts in read_markers(page.content())}


def test_a_shared_link_shows_the_same_to_the_bit_in_a_fresh_browser(
    page: Any, chromium: Any, address: str
) -> None:
    from playwright.sync_api import expect

    open_playground(page, address, COMPARED)
    page.wait_for_url(lambda url: "compare=" in url and "seed=3" in url)
    page.locator(".raster .order").select_option("changes")
    page.wait_for_url(lambda url: "order=changes" in url)
    settle(page)
    first = markers(page)
    assert len(first) == 3
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    try:
        other = context.new_page()
        other.set_default_timeout(TIMEOUT * 1000)
        other.goto(page.url)
        other.wait_for_selector("[data-rsc-result]", state="attached")
        settle(other)
        assert markers(other) == first
        assert other.url == page.url
        # The frame of the raster is loaded on its own, after the page has settled.
        expect(other.locator(".raster .order")).to_have_value("changes", timeout=TIMEOUT * 1000)
    finally:
        context.close()


def test_networks_side_by_side_are_level(page: Any, address: str) -> None:
    """Whatever the lengths of their names and verdicts."""
    open_playground(page, address, f"{COMPARED}&view=rates")
    rows = page.locator('[class*="st-key-rsc-column-"] .rsc-row')
    assert rows.count() == 3
    tops = [row.bounding_box()["y"] for row in rows.all()]
    assert max(tops) - min(tops) <= 1, tops


def test_a_neuron_chosen_in_the_raster_is_in_the_link(page: Any, address: str) -> None:
    open_playground(page, address, "model=tiny-rsc&attack=fgsm")
    assert "neuron=" not in page.url
    canvas = page.get_by_label("Spikes of", exact=False).locator("visible=true").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.3)
    page.wait_for_url(lambda url: "neuron=" in url)
    settle(page)
    chosen = page.url
    page.reload()
    page.get_by_text("channel", exact=False).first.wait_for()
    settle(page)
    assert page.url == chosen


def test_paint_is_scored_and_in_the_link(page: Any, address: str) -> None:
    open_playground(page, address, "model=tiny-rsc&attack=fgsm&view=paint", figures=1)
    canvas = page.locator('[class*="st-key-playground-painter-32"] canvas').first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5, steps=4)
    page.mouse.up()
    page.wait_for_url(lambda url: "paint=" in url)
    text = page.url.split("paint=")[1].split("&")[0]
    assert decode_paint(text, (32, 32)).any()
    # Another stroke, taken back by the browser's own button.
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.7)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.9, steps=4)
    page.mouse.up()
    page.wait_for_url(lambda url: "paint=" in url and text not in url)
    page.go_back()
    page.wait_for_url(lambda url: f"paint={text}" in url)
    settle(page)
    assert f"paint={text}" in page.url
    page.go_back()
    page.wait_for_url(lambda url: "paint=" not in url)
    settle(page)
    assert "paint=" not in page.url


def test_downloads_are_made_when_clicked_and_the_scene_replays(
    page: Any, address: str, tmp_path: Path, assets: Path
) -> None:
    open_playground(page, address, f"{COMPARED}&view=take")
    with page.expect_download() as figures:
        page.get_by_role("button", name="Figures of this page as HTML").click()
    figures.value.save_as(tmp_path / "figures.html")
    html = (tmp_path / "figures.html").read_text(encoding="utf-8")
    assert html.count("<figure>") == 3
    with page.expect_download() as scene:
        page.get_by_role("button", name="Scene, JSON").click()
    scene.value.save_as(tmp_path / "scene.json")
    done = subprocess.run(
        [sys.executable, "-m", "rsc_snn", "attack", "--scene", "scene.json", "--device", "cpu"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RSC_SNN_ASSETS": str(assets)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "same to the digit" in done.stdout
