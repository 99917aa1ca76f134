"""The Playground after an error, or while something goes on: nothing sticks, nothing is lost."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from rsc_snn.classifier import ModelConfig
from rsc_snn.errors import Cancelled, DeviceMemoryError
from rsc_snn.outcome import AttackRequest, Outcome
from rsc_snn.ui import playground, resources
from rsc_snn.ui.components import painting
from rsc_snn.ui.components.payload import pack_codes
from tests.conftest import save_tiny_model
from tests.pages.conftest import PageMaker
from tests.pages.test_playground import PLAYGROUND, texts, wait_for


def attacked_by(
    monkeypatch: pytest.MonkeyPatch, before: Callable[[AttackRequest, Any], None]
) -> None:
    """Every attack first does `before(request, cancelled)`."""
    real = playground.attack_image

    def attack(
        model: Any, request: AttackRequest, progress: Any = None, cancelled: Any = None
    ) -> Outcome:
        before(request, cancelled)
        return real(model, request, progress, cancelled)

    monkeypatch.setattr(playground, "attack_image", attack)


def finished(app: AppTest) -> bool:
    status = resources.queue().status()
    return not status.running and not status.waiting


def photograph(seed: int) -> tuple[str, bytes, str]:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return "own.png", file.getvalue(), "image/png"


def test_a_link_that_ends_in_an_error_lets_go_of_its_controls(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(request: AttackRequest, cancelled: Any) -> None:
        if (request.time_steps or 0) > 8:
            raise DeviceMemoryError("No memory; choose fewer time steps.")

    attacked_by(monkeypatch, full)
    app = page(PLAYGROUND, attack="fgsm", time_steps="16", view="energy").run()
    assert "choose fewer time steps" in texts(app.error)
    app.slider(key="playground.time_steps").set_value(2).run()
    assert app.slider(key="playground.time_steps").value == 2
    assert app.query_params["time_steps"] == "2" and app.query_params["attack"] == "fgsm"
    assert app.query_params["view"] == "energy", "what the error left unread of the link"


def test_a_model_without_photographs_can_be_left(assets: Path, page: PageMaker) -> None:
    path = assets / "models" / "tiny-direct.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dataset": "imagenette"}))
    app = page(PLAYGROUND, model="tiny-direct", attack="fgsm", epsilon="3").run()
    assert "photographs" in texts(app.error)
    app.selectbox(key="playground.model").set_value("tiny-rsc").run()
    assert app.query_params["model"] == "tiny-rsc"
    assert app.query_params["epsilon"] == "3"


def test_a_slow_attack_is_kept_whatever_others_compute(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSC_SNN_LIMIT_LIVE_SECONDS", "0")
    monkeypatch.setenv("RSC_SNN_LIMIT_REMEMBERED", "4")
    app = page(PLAYGROUND, attack="fgsm", view="energy").run()
    app.button(key="attack.start").click().run()
    wait_for(app, lambda app: texts([*app.success, *app.error, *app.warning]))
    for other in range(8):
        resources.memo().put(("of another visitor", other), other)
    app.run()
    assert not [button for button in app.button if button.key == "attack.start"]
    assert "before this one" not in texts(app.info)


def test_a_computation_goes_on_while_its_visitor_looks_elsewhere(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSC_SNN_LIMIT_LIVE_SECONDS", "0")
    ages = []

    def slow(request: AttackRequest, cancelled: Any) -> None:
        """As if an hour went by with no page asking for the job."""
        queue = resources.queue()
        start = time.monotonic()
        monkeypatch.setattr(queue, "_clock", lambda: time.monotonic() + 3600)
        ages.append(queue._clock() - start)
        if cancelled():
            raise Cancelled("The attack was cancelled.")

    attacked_by(monkeypatch, slow)
    app = page("app.py", attack="fgsm").run()
    app.button(key="attack.start").click().run()
    app.switch_page("pages/models.py").run()
    wait_for(app, finished)
    app.switch_page(PLAYGROUND).run()
    assert ages and "Cancelled" not in texts(app.info)
    assert texts([*app.success, *app.error, *app.warning]).startswith("**")


def test_what_fails_among_several_is_said(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSC_SNN_LIMIT_LIVE_SECONDS", "0")

    def fails(request: AttackRequest, cancelled: Any) -> None:
        if request.model == "tiny-ann":
            raise DeviceMemoryError("No memory for this one.")

    attacked_by(monkeypatch, fails)
    app = page(PLAYGROUND, attack="fgsm", model="tiny-rsc", compare="tiny-ann").run()
    app.button(key="attack.start").click().run()
    wait_for(app, finished)
    assert "No memory for this one." in texts(app.run().error)


def test_a_point_of_the_tradeoff_leaves_comparison_and_scene_behind(
    assets: Path, page: PageMaker
) -> None:
    other = ModelConfig(widths=(8, 12), depths=(1, 1), sigma=0.3)
    save_tiny_model(assets / "models", "tiny-rsc-3", "Tiny RSC 0.3", other)
    app = page("app.py", attack="fgsm", model="tiny-rsc", compare="tiny-rsc-3").run()
    app.session_state["scene"] = "small-sigma"
    app.switch_page("pages/models.py").run()
    app.switch_page(PLAYGROUND)
    app.query_params.clear()
    cell_query = {"model": "tiny-rsc", "compare": "", "sigma": "0.45", "attack": "fgsm"}
    for name, value in cell_query.items():
        app.query_params[name] = value
    app.run()
    slider = app.slider(key="playground.sigma")
    assert (slider.value, slider.disabled) == (0.45, False)
    assert app.query_params["sigma"] == "0.45"
    assert "scene" not in app.session_state


def test_a_repaired_model_comes_back(assets: Path, page: PageMaker) -> None:
    weights = assets / "models" / "tiny-poisson.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    app = page(PLAYGROUND, attack="fgsm").run()
    assert "tiny-poisson" in texts(app.warning)
    weights.write_bytes(content)
    wait_for(app, lambda app: "tiny-poisson" not in texts(app.warning))
    assert any("oisson" in option for option in app.selectbox(key="playground.model").options)


def test_a_model_of_grey_images_is_a_sentence(assets: Path, page: PageMaker) -> None:
    grey = ModelConfig(widths=(8, 12), depths=(1, 1), in_channels=1, mean=(0.5,), std=(0.25,))
    save_tiny_model(assets / "models", "tiny-grey", "Tiny grey", grey)
    app = page(PLAYGROUND, attack="fgsm", compare="tiny-grey").run()
    assert not app.exception
    assert "tiny-grey takes images of 1 channels" in texts(app.warning)
    assert all("grey" not in option for option in app.selectbox(key="playground.model").options)


def test_the_rivals_that_still_fit_stay(assets: Path, page: PageMaker) -> None:
    app = page(PLAYGROUND, attack="fgsm", model="tiny-rsc", compare="tiny-poisson,tiny-ann").run()
    app.selectbox(key="playground.model").set_value("tiny-poisson").run()
    assert app.multiselect(key="playground.compare").value == ["tiny-ann"]
    assert app.query_params["compare"] == "tiny-ann"


def test_a_value_between_the_stops_of_a_slider_is_shown_in_full(
    assets: Path, page: PageMaker
) -> None:
    app = page(PLAYGROUND, attack="fgsm", sigma="0.123456").run()
    slider = app.slider(key="playground.sigma")
    assert slider.value == 0.123456 and slider.proto.format == "%g"
    lesson = page("pages/poisson_coding.py", step="pixel", pixel_x="0.123").run()
    assert lesson.query_params["pixel_x"] == "0.12"
    assert "0.12 × 0.88" in texts(lesson.caption)


def verdict_script(assumed: bool, undecided: bool) -> None:
    """A page of its own: it must bring its imports."""
    import numpy as np

    from rsc_snn.outcome import Outcome
    from rsc_snn.ui.results import draw_verdict

    logits = np.eye(3, dtype=np.float32)[[0, 0, 1, 2] if undecided else [0, 1, 1, 1]]
    pixels = np.zeros((3, 4, 4), np.float32)
    outcome = Outcome(pixels, pixels, 0, logits, logits, 1, 1, 0.0)
    draw_verdict(outcome, ("cat", "dog", "frog"), assumed=assumed)


@pytest.mark.parametrize(
    ("assumed", "undecided", "word"),
    [(True, True, "Undecided"), (False, True, "Undecided"), (False, False, "Wrong")],
)
def test_without_a_majority_it_is_undecided_not_wrong(
    assumed: bool, undecided: bool, word: str
) -> None:
    given = {"assumed": assumed, "undecided": undecided}
    app = AppTest.from_function(verdict_script, kwargs=given).run()
    assert texts(app.warning).startswith(f"**{word} without any attack.**")


def test_transfer_says_whose_answer_counts(assets: Path, page: PageMaker) -> None:
    app = page(
        PLAYGROUND, attack="fgsm", model="tiny-rsc", compare="tiny-ann", view="transfer"
    ).run()
    app.segmented_control(key="playground.source").set_value("file").run()
    app.file_uploader[0].set_value(photograph(0)).run()
    app.button(key="transfer.start").click().run()
    wait_for(app, lambda app: "Whose attack fools whom" in texts(app.subheader))
    label = app.session_state[playground.LAST]["tiny-rsc"][1].label
    name = resources.zoo().card("tiny-rsc").classes[label]
    assert f"{name}, counts as right for all networks; in the verdicts above" in texts(app.caption)


def test_going_back_takes_back_a_brush_stroke(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser remembers a canvas by its key, and sends what is on it."""
    canvases: dict[str, str] = {}
    keys: list[str] = []

    def mount(key: str, data: dict[str, Any], **options: Any) -> dict[str, str]:
        keys.append(key)
        return {"pattern": canvases.setdefault(key, data["start"])}

    monkeypatch.setattr(painting, "_mount", mount)
    app = page(PLAYGROUND, view="paint", attack="fgsm").run()
    links = []
    for edge in (4, 9):
        codes = np.zeros((32, 32), np.uint8)
        codes[:edge, :edge] = 1
        canvases[keys[-1]] = pack_codes(codes)
        links.append(app.run().query_params["paint"])
    assert links[0] != links[1]
    monkeypatch.setattr("rsc_snn.ui.link._by_history", lambda: True)
    app.query_params["paint"] = links[0]
    assert app.run().query_params["paint"] == links[0]
    del app.query_params["paint"]
    assert "paint" not in app.run().query_params
    monkeypatch.setattr("rsc_snn.ui.link._by_history", lambda: False)
    assert "paint" not in app.run().query_params


def test_going_back_takes_back_what_the_link_leaves_out(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = page(PLAYGROUND, model="tiny-rsc", attack="fgsm").run()
    app.slider(key="playground.sigma").set_value(0.6).run()
    before = app.query_params.copy()
    assert "compare" not in before
    app.multiselect(key="playground.compare").set_value(["tiny-ann"]).run()
    app.selectbox(key="playground.model").set_value("tiny-direct").run()
    assert "compare" in app.query_params and "sigma" not in app.query_params
    monkeypatch.setattr("rsc_snn.ui.link._by_history", lambda: True)
    app.query_params.clear()
    for name, value in before.items():
        app.query_params[name] = value
    assert app.run().query_params == before
    assert app.multiselect(key="playground.compare").value == []
