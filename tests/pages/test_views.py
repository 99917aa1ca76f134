"""What the Playground offers below the networks, and beside them: comparison, scenes, downloads."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from rsc_snn.comparison import SmallestEpsilon
from rsc_snn.device import pick_device
from rsc_snn.paint import encode_paint
from rsc_snn.scene import read_scene, replay
from rsc_snn.ui import presets, takeaway
from rsc_snn.ui.components import raster
from rsc_snn.ui.presets import PRESETS, Preset
from rsc_snn.ui.views import VIEWS
from rsc_snn.zoo import Zoo
from tests.pages.conftest import PageMaker, figures
from tests.pages.test_playground import PLAYGROUND, texts, wait_for

ROOT = Path(__file__).parents[2]
THREE = {"model": "tiny-rsc", "compare": "tiny-ann,tiny-poisson", "attack": "fgsm"}


def verdicts(app: AppTest) -> list[str]:
    """The verdict of each network on the page."""
    found = [element.value for element in [*app.error, *app.success, *app.warning]]
    return [text for text in found if text.startswith("**")]


@pytest.mark.parametrize("view", list(VIEWS))
@pytest.mark.parametrize("model", ["tiny-ann", "tiny-direct", "tiny-poisson", "tiny-rsc"])
def test_every_view_of_every_model(assets: Path, page: PageMaker, view: str, model: str) -> None:
    app = page(PLAYGROUND, model=model, view=view, attack="fgsm").run()
    assert not app.exception
    assert len(verdicts(app)) == 1
    assert not [note for note in app.error if not note.value.startswith("**")]
    if view != "neurons":
        assert app.query_params["view"] == view


@pytest.mark.parametrize("view", list(VIEWS))
def test_every_view_of_three_networks(assets: Path, page: PageMaker, view: str) -> None:
    app = page(PLAYGROUND, **THREE, view=view).run()
    assert not app.exception
    assert len(verdicts(app)) == 3
    assert app.query_params["compare"] == "tiny-ann,tiny-poisson"
    bars = [alt for alt in figures(app) if "probability of each class" in alt]
    assert len(bars) == 3


def test_networks_side_by_side_say_what_each_says_alone(assets: Path, page: PageMaker) -> None:
    together = figures(page(PLAYGROUND, **THREE).run())
    alone = figures(page(PLAYGROUND, model="tiny-poisson", attack="fgsm").run())
    key = next(alt for alt in alone if "tiny-poisson" in alt)
    assert together[key] == alone[key]


def test_rivals_have_the_same_classes_and_are_others(assets: Path, page: PageMaker) -> None:
    app = page(PLAYGROUND, model="tiny-rsc").run()
    assert "tiny-rsc" not in app.multiselect(key="playground.compare").options
    assert len(app.multiselect(key="playground.compare").options) == 3


@pytest.mark.parametrize(
    "compare", ["tiny-rsc", "nobody", "tiny-ann,tiny-ann", "tiny-ann,tiny-direct,tiny-poisson"]
)
def test_a_bad_comparison_in_the_link_is_one_sentence(
    assets: Path, page: PageMaker, compare: str
) -> None:
    app = page(PLAYGROUND, model="tiny-rsc", compare=compare).run()
    assert not app.exception
    assert len([note for note in app.warning if "link" in note.value]) == 1
    assert "compare" not in app.query_params


def test_the_focus_chooses_whose_neurons_are_shown(assets: Path, page: PageMaker) -> None:
    app = page(PLAYGROUND, **THREE, focus="tiny-ann").run()
    assert "do not spike" in texts(app.info)
    app.segmented_control(key="playground.focus").set_value("tiny-poisson").run()
    assert not app.exception
    assert "do not spike" not in texts(app.info)
    assert app.query_params["focus"] == "tiny-poisson"


def test_a_neuron_of_the_link_is_the_one_that_is_shown(assets: Path, page: PageMaker) -> None:
    app = page(PLAYGROUND, neuron="1.5", attack="fgsm").run()
    assert app.query_params["neuron"] == "1.5"
    assert "LIF 2, channel 0, row 0, column 5" in texts(app.caption)
    other = page(PLAYGROUND, neuron="9.9", attack="fgsm").run()
    assert not other.exception
    assert "neuron" not in other.query_params


def sent(app: AppTest, component: str) -> list[dict[str, Any]]:
    """What the page sent to a component, one for each time that it is drawn."""
    return [
        json.loads(element.proto.json)
        for element in app.get("bidi_component")
        if element.proto.component_name.endswith(f"rsc_{component}")
    ]


def test_the_order_of_the_raster_is_in_the_link(assets: Path, page: PageMaker) -> None:
    app = page(PLAYGROUND, order="changes", attack="fgsm").run()
    assert not app.exception
    assert [data["order"] for data in sent(app, "raster")] == ["changes"]
    assert app.query_params["order"] == "changes"
    app.button(key="reset").click().run()
    assert [data["order"] for data in sent(app, "raster")] == ["number"]
    assert "order" not in app.query_params


def test_a_bad_order_of_the_link_is_one_sentence(assets: Path, page: PageMaker) -> None:
    app = page(PLAYGROUND, order="backwards", attack="fgsm").run()
    assert not app.exception
    assert texts(app.warning).count("there is no order of neurons 'backwards' here") == 1
    assert "order" not in app.query_params


def test_the_order_chosen_in_the_browser_goes_into_the_link_and_a_later_link_wins(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[dict[str, Any]] = []

    def mount(*, data: dict[str, Any], **_: object) -> dict[str, object]:
        drawn.append(data)
        return {}

    monkeypatch.setattr(raster, "_mount", mount)
    app = page(PLAYGROUND, attack="fgsm").run()
    said = {"order": "spikes", "row": 3}
    app.session_state["playground.raster.0.0"] = said
    app.run()
    assert (app.query_params["order"], drawn[-1]["order"]) == ("spikes", "spikes")
    assert drawn[-1]["chosen"] == 3
    app.query_params["order"] = "changes"
    app.run()
    assert (app.query_params["order"], drawn[-1]["order"]) == ("changes", "changes")
    # The raster that a link brings is another one, which may say again what the first has said.
    app.session_state["playground.raster.0.1"] = said
    app.run()
    assert (app.query_params["order"], drawn[-1]["chosen"]) == ("spikes", 3)
    app.session_state["playground.raster.0.1"] = {"order": "number", "row": 3}
    app.run()
    assert "order" not in app.query_params
    assert (drawn[-1]["order"], drawn[-1]["chosen"]) == ("number", 3)


def test_the_format_of_pictures_is_in_the_link(assets: Path, page: PageMaker) -> None:
    def formats(app: AppTest) -> set[str]:
        return {data["config"]["toImageButtonOptions"]["format"] for data in sent(app, "plotting")}

    app = page(PLAYGROUND, format="svg", attack="fgsm").run()
    assert app.radio(key="playground.format").value == "svg"
    assert (app.query_params["format"], formats(app)) == ("svg", {"svg"})
    app.radio(key="playground.format").set_value("png").run()
    assert "format" not in app.query_params and formats(app) == {"png"}
    app.radio(key="playground.format").set_value("svg").run()
    assert (app.query_params["format"], formats(app)) == ("svg", {"svg"})
    app.button(key="reset").click().run()
    assert "format" not in app.query_params and formats(app) == {"png"}
    assert app.radio(key="playground.format").value == "png"


def test_the_smallest_epsilon_is_found_on_request(assets: Path, page: PageMaker) -> None:
    app = page(PLAYGROUND, model="tiny-ann", compare="tiny-direct", attack="fgsm").run()
    assert "Smallest epsilon" not in texts(app.markdown)
    app.button(key="epsilon.start").click().run()
    wait_for(app, lambda app: texts(app.markdown).count("Smallest epsilon:") == 2)
    assert not [button for button in app.button if button.key == "epsilon.start"]
    # Epsilon is what the search looks for; the slider's own changes nothing.
    app.slider(key="playground.epsilon/255").set_value(3.0).run()
    assert texts(app.markdown).count("Smallest epsilon:") == 2


def test_at_the_smallest_epsilon_the_page_says_fooled_and_just_below_what_the_search_said(
    shipped: None, page: PageMaker
) -> None:
    model = "cifar10-snn-rsc-020"
    if model not in Zoo().names():
        pytest.skip("this copy ships without the model")
    link = {"model": model, "attack": "pgd", "image": "airplane-0", "steps": "3"}
    app = page(PLAYGROUND, **link).run()
    app.button(key="epsilon.start").click().run()
    wait_for(app, lambda app: "Smallest epsilon:" in texts(app.markdown))
    bracket = r"\*\*([\d.]+)/255\*\*, (held|undecided) at ([\d.]+)/255"
    found = re.search(bracket, texts(app.markdown))
    assert found is not None
    fooled, word, spared = found.groups()
    step = re.search(r"by bisection, with a step size of ([\d.]+)/255 there", texts(app.caption))
    assert step is not None
    for epsilon, verdict in ((fooled, "fooled"), (spared, word)):
        size = str(float(step[1]) / float(fooled) * float(epsilon))
        said = verdicts(page(PLAYGROUND, **link, epsilon=epsilon, step_size=size).run())
        assert [text.lower().startswith(f"**{verdict}") for text in said] == [True]
    assert "A smaller epsilon may fool too." in texts(app.caption)


@pytest.mark.parametrize(
    ("model", "maps", "share", "scale"),
    [
        ("tiny-rsc", 3, "occur in only one", "spikes per neuron and step"),
        ("tiny-direct", 2, "occur in only one", "spikes per neuron and step"),
        ("tiny-ann", 2, "of the larger activation of each neuron", "mean activation"),
    ],
)
def test_captions_of_rates_speak_of_the_passes_that_are_shown(
    assets: Path, page: PageMaker, model: str, maps: int, share: str, scale: str
) -> None:
    app = page(PLAYGROUND, model=model, view="rates", attack="fgsm").run()
    said = texts(app.caption)
    assert ("grey ones" in said) == ("instead of the attack" in said) == (model == "tiny-rsc")
    assert f"one scale for {'both' if maps == 2 else 'all three'} maps" in said
    assert share in said
    bodies = [element.proto.body for element in app.get("html")]
    (html,) = (body for body in bodies if 'class="rsc-scale"' in body)
    assert html.count("up to ") == maps
    top = max(float(found) for found in re.findall(r"up to ([\d.]+)", html))
    assert f">{top:.3f} {scale}<" in html


def test_the_page_says_where_steps_stay_within_epsilon(assets: Path, page: PageMaker) -> None:
    sentence = "No pixel changes by more than 8/255 in these steps"
    for models in ({"model": "tiny-rsc"}, THREE):
        link = {**models, "attack": "rfgsm"}
        assert sentence in texts(page(PLAYGROUND, **link, epsilon="16").run().caption)
        assert sentence not in texts(page(PLAYGROUND, **link, epsilon="8").run().caption)


def test_the_page_says_where_steps_do_not_cross_the_ball(assets: Path, page: PageMaker) -> None:
    link = {"model": "tiny-rsc", "attack": "pgd"}  # 10 steps of 2/255 from a random start
    said = texts(page(PLAYGROUND, **link, epsilon="16").run().caption)
    assert "No pixel changes by more than 20/255" in said and "32/255 away" in said
    assert "No pixel" not in texts(page(PLAYGROUND, **link, epsilon="8").run().caption)


def test_the_smallest_epsilon_of_a_one_draw_attack_is_no_robustness(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also beside a network that was fooled, of which only the search says that it held."""
    link = {"model": "tiny-rsc", "attack": "pgd", "epsilon": "64"}
    caution = "This attack follows one noise"
    assert caution not in texts(page(PLAYGROUND, **link).run().caption)
    found = SmallestEpsilon("pgd", "/255", 3.0, 2.0, False, False, 0.75, ())
    monkeypatch.setattr("rsc_snn.ui.comparison.known_epsilon", lambda item: found)
    assert caution in texts(page(PLAYGROUND, **link).run().caption)
    averaged = page(PLAYGROUND, **(link | {"attack": "eot_pgd"})).run()
    assert caution not in texts(averaged.caption)


@pytest.mark.parametrize("model", ["tiny-rsc", "tiny-direct"])
def test_the_caption_of_the_raster_says_what_share_only_one_pass_has(
    assets: Path, page: PageMaker, model: str
) -> None:
    said = texts(page(PLAYGROUND, model=model, view="neurons", attack="fgsm").run().caption)
    assert re.search(r"of either pass, original or attacked, \d+% occur in only one", said)
    assert ("with other noise instead of the attack" in said) == (model == "tiny-rsc")


def test_transfer_is_measured_on_request(assets: Path, page: PageMaker) -> None:
    app = page(PLAYGROUND, **THREE, view="transfer").run()
    app.button(key="transfer.start").click().run()
    wait_for(app, lambda app: any("Matrix" in alt for alt in figures(app)))
    matrix = next(spec for alt, spec in figures(app).items() if "Matrix" in alt)
    assert len(matrix["data"][0]["text"]) == 4
    assert texts(app.markdown).count("answers through") == 2


def test_energy_of_the_twin_is_the_same_for_all_spiking_networks(
    assets: Path, page: PageMaker
) -> None:
    app = page(PLAYGROUND, **THREE, view="energy").run()
    values = {metric.label: metric.value for metric in app.metric}
    assert values["Ordinary network"] == values["Its ANN twin"]
    assert len([metric for metric in app.metric if metric.label == "Spiking network"]) == 2


def test_each_network_at_its_own_sigma(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = assets / "models" / "tiny-rsc.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["name"], card["config"]["sigma"] = "tiny-strong", 0.4
    (assets / "models" / "tiny-strong.json").write_text(json.dumps(card), encoding="utf-8")
    weights = path.with_suffix(".safetensors").read_bytes()
    (assets / "models" / "tiny-strong.safetensors").write_bytes(weights)
    app = page(PLAYGROUND, model="tiny-rsc", compare="tiny-strong", view="take").run()
    assert not app.exception
    assert app.slider(key="playground.sigma").disabled
    assert "sigma=" not in app.code[0].value
    app.toggle(key="playground.own_sigma").set_value(False).run()
    assert not app.slider(key="playground.sigma").disabled
    assert "sigma=0.2" in app.code[0].value


def test_the_scene_replays_to_the_digit(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files: dict[str, bytes] = {}
    monkeypatch.setattr(
        takeaway, "_file", lambda label, data, name, mime, icon: files.update({name: data()})
    )
    app = page(PLAYGROUND, **THREE, view="take", seed="7", image="frog-6").run()
    assert not app.exception
    kept = read_scene(files["scene.json"])
    assert len(kept.results) == 3
    threads = {result.model: result.threads for result in kept.results}
    assert (
        replay(kept.scene, Zoo(assets / "models"), pick_device(), threads=threads) == kept.results
    )
    with Image.open(io.BytesIO(files["rsc-snn-tiny-rsc.png"])) as picture:
        assert picture.size == (32, 32)
    with np.load(io.BytesIO(files["rsc-snn-tiny-rsc.npz"])) as archive:
        assert archive["clean_logits"].shape == (8, 10)
    path = tmp_path / "scene.json"
    path.write_bytes(files["scene.json"])
    done = subprocess.run(
        [sys.executable, "-m", "rsc_snn", "attack", "--scene", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "same to the digit" in done.stdout


def test_without_live_seconds_every_attack_waits_for_its_button(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSC_SNN_LIMIT_LIVE_SECONDS", "0")
    app = page(PLAYGROUND, attack="fgsm").run()
    assert not app.exception
    assert not verdicts(app)
    assert app.button(key="attack.start")


def test_scenes_set_everything_and_reset_puts_it_back(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Preset(
        "Two", "Look here.", (("gone", "tiny-poisson"), ("tiny-ann",)), {"attack": "fgsm"}
    )
    monkeypatch.setattr(presets, "PRESETS", {"two": scene})
    app = page(PLAYGROUND, seed="5", draws="3").run()
    first = dict(page(PLAYGROUND).run().query_params)
    app.menu_button(key="scenes").click("Two").run()
    assert app.query_params["model"] == "tiny-poisson"
    assert app.query_params["compare"] == "tiny-ann"
    assert app.query_params["seed"] == "0"
    assert "**Two.** Look here." in texts(app.info)
    app.selectbox(key="playground.attack").set_value("gaussian_noise").run()
    assert "**Two, as it opened.** Look here." in texts(app.info)
    app.selectbox(key="playground.attack").set_value("fgsm").run()
    assert "**Two.** Look here." in texts(app.info)
    app.button(key="reset").click().run()
    assert dict(app.query_params) == first
    assert "Look here." not in texts(app.info)


@pytest.mark.parametrize("key", list(PRESETS))
def test_every_scene_is_a_link_without_complaints(page: PageMaker, key: str, shipped: None) -> None:
    query = presets.available(Zoo().names()).get(key)
    if query is None:
        pytest.skip("this copy ships without a model of the scene")
    app = page(PLAYGROUND, **query).run()
    assert not app.exception
    assert not [note for note in app.warning if "link" in note.value]
    for name, value in query.items():
        assert app.query_params[name] == value


def test_a_painted_change_of_the_link_is_scored_and_survives_another_view(
    assets: Path, page: PageMaker
) -> None:
    pattern = np.zeros((32, 32), np.int8)
    pattern[4:20, 6:9] = 1
    text = encode_paint(pattern)
    app = page(PLAYGROUND, view="paint", paint=text, paint_epsilon="64", attack="fgsm").run()
    assert not app.exception
    assert app.query_params["paint"] == text
    assert "Painted:" in texts(app.markdown)
    app.segmented_control(key="playground.view").set_value("rates").run()
    app.segmented_control(key="playground.view").set_value("paint").run()
    assert app.query_params["paint"] == text


def test_the_painting_of_the_page_is_in_the_scene(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: dict[str, bytes] = {}
    monkeypatch.setattr(
        takeaway, "_file", lambda label, data, name, mime, icon: files.update({name: data()})
    )
    pattern = np.zeros((32, 32), np.int8)
    pattern[4:20, 6:9] = 1
    text = encode_paint(pattern)
    app = page(PLAYGROUND, **THREE, view="paint", paint=text, paint_epsilon="64").run()
    said = texts(app.markdown)
    app.segmented_control(key="playground.view").set_value("take").run()
    assert not app.exception
    assert (app.query_params["paint"], app.query_params["paint_epsilon"]) == (text, "64")
    assert "you painted is in it" in texts(app.caption)
    assert f"paint={text!r}" in app.code[0].value
    kept = read_scene(files["scene.json"])
    assert (kept.scene.paint, kept.scene.paint_epsilon) == (text, 64)
    for result in kept.results:
        assert result.painted_counts is not None
        assert f", {result.painted_counts[result.label]} of 8 looks see the" in said
    threads = {result.model: result.threads for result in kept.results}
    assert (
        replay(kept.scene, Zoo(assets / "models"), pick_device(), threads=threads) == kept.results
    )
    app.button(key="reset").click().run()
    app.segmented_control(key="playground.view").set_value("take").run()
    assert read_scene(files["scene.json"]).scene.paint is None
    assert "paint" not in app.query_params


def test_a_painting_that_fits_no_photograph_is_left_out_of_the_scene(
    assets: Path, page: PageMaker
) -> None:
    app = page(PLAYGROUND, view="take", paint="AAAA", attack="fgsm").run()
    assert not app.exception
    assert "The scene file leaves it out." in texts(app.caption)
    assert "paint=" not in app.code[0].value


def test_a_damaged_painting_of_the_link_is_one_sentence(assets: Path, page: PageMaker) -> None:
    app = page(PLAYGROUND, view="paint", paint="AAAA", attack="fgsm").run()
    assert not app.exception
    assert texts(app.warning).count("Nothing is painted") == 1
    app.run()
    assert "Nothing is painted" not in texts(app.warning)


def test_results_are_shown_even_if_none_can_be_remembered(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSC_SNN_LIMIT_REMEMBERED_MEGABYTES", "0.001")
    app = page(PLAYGROUND, **THREE).run()
    assert not app.exception
    assert len(verdicts(app)) == 3


def test_own_models_play_beside_those_that_ship(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    card = json.loads((assets / "models" / "tiny-rsc.json").read_text(encoding="utf-8"))
    minimal = {key: card[key] for key in ("classes", "config")}
    for name, dataset in (("mine", "cifar10"), ("elsewhere", "my-photographs")):
        text = json.dumps({**minimal, "dataset": dataset})
        (own / f"{name}.json").write_text(text, encoding="utf-8")
        shutil.copy(assets / "models" / "tiny-rsc.safetensors", own / f"{name}.safetensors")
    monkeypatch.setenv("RSC_SNN_ZOO", str(own))
    app = page(PLAYGROUND, model="mine", compare="tiny-rsc", attack="fgsm").run()
    assert not app.exception
    mine, shipped = (spec for alt, spec in figures(app).items() if "each class" in alt)
    assert mine["data"] == shipped["data"]
    taken = page(PLAYGROUND, model="mine", attack="fgsm", view="take").run()
    assert f"Path({str(own)!r})" in taken.code[0].value
    assert f"--scene scene.json --zoo {own}`" in texts(taken.caption)
    other = page(PLAYGROUND, model="elsewhere", attack="fgsm").run()
    assert not other.exception
    assert "give it one of yours" in texts(other.error)
    assert other.segmented_control(key="playground.source").options == ["File", "Camera"]
