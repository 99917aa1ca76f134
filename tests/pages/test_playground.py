"""The Playground as a person meets it, without a browser."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from streamlit.testing.v1 import AppTest

from rsc_snn.attacks import ATTACKS
from rsc_snn.outcome import Outcome
from rsc_snn.ui import link as link_module
from rsc_snn.ui import resources
from tests.conftest import CIFAR10
from tests.pages.conftest import PageMaker, figures

PLAYGROUND = "pages/playground.py"


def curve(app: AppTest) -> Any:
    """The figure of the trade-off."""
    return next(spec for alt, spec in figures(app).items() if "over the noise level" in alt)


def texts(elements: Any) -> str:
    return " | ".join(element.value for element in elements)


def is_fine(app: AppTest) -> AppTest:
    """The page shows results and neither exception nor error."""
    assert not app.exception
    verdicts = [element.value for element in [*app.success, *app.error, *app.warning]]
    assert len(verdicts) == 1, verdicts
    assert verdicts[0].startswith(("**Held", "**Fooled", "**Wrong without", "**Undecided"))
    return app


def wait_for(app: AppTest, done: Any, seconds: float = 20) -> AppTest:
    """Run the page again, as its polling does, until `done(app)`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        app.run()
        if done(app):
            return app
        time.sleep(0.05)
    raise AssertionError("the page did not get there")


def test_first_view(assets: Path, page: PageMaker) -> None:
    app = is_fine(page(PLAYGROUND).run())
    assert app.selectbox(key="playground.model").value == "tiny-rsc"
    assert app.selectbox(key="playground.attack").value == "pgd"
    assert len(figures(app)) == 3
    link = app.query_params
    assert link["model"] == "tiny-rsc"
    assert link["image"] == "airplane-0"
    assert link["epsilon"] == "8"
    assert link["sigma"] == "0.2"


def test_networks_of_one_label_can_each_be_chosen(assets: Path, page: PageMaker) -> None:
    """Two data sets have an "ANN"; a text that two options share would always choose the same."""
    for name in ("tiny-ann", "tiny-rsc", "tiny-direct"):
        path = assets / "models" / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"label": "one for all"}))
    for name in ("tiny-ann", "tiny-rsc", "tiny-direct"):
        app = is_fine(page(PLAYGROUND, model=name).run())
        assert app.query_params["model"] == name
        assert len(set(app.selectbox(key="playground.model").options)) == 4


@pytest.mark.parametrize("model", ["tiny-ann", "tiny-direct", "tiny-poisson", "tiny-rsc"])
def test_every_model(assets: Path, page: PageMaker, model: str) -> None:
    app = is_fine(page(PLAYGROUND, model=model).run())
    slider = app.slider(key="playground.sigma")
    assert slider.disabled == (model != "tiny-rsc")
    assert app.slider(key="playground.time_steps").disabled == (model == "tiny-ann")
    if model == "tiny-ann":
        assert "do not spike" in texts(app.info)
    if slider.disabled:
        assert "sigma" not in app.query_params


@pytest.mark.parametrize(
    ("model", "query", "warned"),
    [
        ("tiny-rsc", {"attack": "fgsm"}, True),
        ("tiny-poisson", {"attack": "fgsm"}, True),
        ("tiny-rsc", {"attack": "fgsm", "eot_draws": "2"}, False),
        ("tiny-rsc", {"attack": "fgsm", "sigma": "0"}, False),
        ("tiny-rsc", {"attack": "uniform_noise"}, False),
        ("tiny-direct", {"attack": "fgsm"}, False),
    ],
)
def test_who_held_against_single_noisy_gradients_is_not_called_robust(
    assets: Path,
    page: PageMaker,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    query: dict[str, str],
    warned: bool,
) -> None:
    for verdict in ("held", "fooled"):
        monkeypatch.setattr(Outcome, "verdict", verdict)
        app = is_fine(page(PLAYGROUND, model=model, **query).run())
        expected = warned and verdict == "held"
        assert ("averages over draws" in texts(app.caption)) == expected


@pytest.mark.parametrize("attack", list(ATTACKS))
def test_every_attack_has_a_form_with_its_defaults(
    assets: Path, page: PageMaker, attack: str
) -> None:
    app = page(PLAYGROUND, attack=attack).run()
    assert not app.exception
    for parameter in ATTACKS[attack].parameters:
        value = parameter.default
        expected = f"{value:g}" if isinstance(value, float) else str(value).lower()
        assert app.query_params[parameter.name] == expected


def test_a_slider_changes_the_figures_and_the_link(assets: Path, page: PageMaker) -> None:
    app = is_fine(page(PLAYGROUND).run())
    before = figures(app)
    app.slider(key="playground.sigma").set_value(0.6).run()
    after = figures(is_fine(app))
    assert app.query_params["sigma"] == "0.6"
    assert all(before[alt] != after[alt] for alt in before)
    app.slider(key="playground.time_steps").set_value(9).run()
    assert is_fine(app).query_params["time_steps"] == "9"


def test_a_move_made_before_the_newer_link_had_arrived_counts(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = is_fine(page(PLAYGROUND).run())
    old = dict(app.query_params)
    app.slider(key="playground.sigma").set_value(0.6).run()
    newer = dict(is_fine(app).query_params)
    for name, value in old.items():  # What the browser still takes for the page's address.
        app.query_params[name] = value
    app.slider(key="playground.time_steps").set_value(9).run()
    assert is_fine(app).slider(key="playground.sigma").value == 0.6
    assert app.query_params["sigma"] == "0.6" and app.query_params["time_steps"] == "9"
    for name, value in newer.items():
        app.query_params[name] = value
    monkeypatch.setattr(link_module, "_by_history", lambda: True)
    assert is_fine(app.run()).slider(key="playground.time_steps").value == 4


def test_the_same_link_gives_the_same_figures(assets: Path, page: PageMaker) -> None:
    link = {"attack": "pgd", "sigma": "0.3", "seed": "5", "image": "cat-13", "steps": "3"}
    first = figures(is_fine(page(PLAYGROUND, **link).run()))
    resources.st.cache_resource.clear()
    second = figures(is_fine(page(PLAYGROUND, **link).run()))
    assert first == second


def test_an_unchanged_choice_is_not_computed_again(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsc_snn.ui import playground

    calls = []
    compute = playground.attack_image
    monkeypatch.setattr(playground, "attack_image", lambda *args: calls.append(1) or compute(*args))
    app = page(PLAYGROUND).run()
    app.slider(key="playground.sigma").set_value(0.5).run()
    app.slider(key="playground.sigma").set_value(0.2).run()
    app.run()
    assert len(calls) == 2


def test_choosing_a_class_chooses_its_first_photograph(assets: Path, page: PageMaker) -> None:
    app = is_fine(page(PLAYGROUND).run())
    app.selectbox(key="playground.image.class").set_value("frog").run()
    assert is_fine(app).query_params["image"] == "frog-6"
    assert app.pills(key="playground.image").value == "frog-6"


def test_epsilon_is_shared_between_attacks_of_one_unit(assets: Path, page: PageMaker) -> None:
    app = page(PLAYGROUND, epsilon="3").run()
    app.selectbox(key="playground.attack").set_value("fgsm").run()
    assert is_fine(app).query_params["epsilon"] == "3"
    app.selectbox(key="playground.attack").set_value("pgd_l2").run()
    assert is_fine(app).query_params["epsilon"] == "0.5"


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("sigma", "7", "between 0 and 1"),
        ("sigma", "nan", "must be a number"),
        ("sigma", "<script>", "must be a number"),
        ("time_steps", "0", "between 1 and 32"),
        ("time_steps", "2.5", "whole number"),
        ("draws", "1e9", "between 1 and 64"),
        ("seed", "-1", "between 0 and"),
        ("epsilon", "900", "between 0 and 64/255"),
        ("steps", "a" * 5000, "must be a"),
        ("random_start", "maybe", "true or false"),
        ("model", "../../etc/passwd", "no model"),
        ("image", "unicorn-1", "no photograph"),
        ("attack", "![x](http://example.org/x.png)", "no attack"),
    ],
)
def test_a_bad_link_is_one_sentence_and_the_default(
    assets: Path, page: PageMaker, name: str, value: str, word: str
) -> None:
    good = page(PLAYGROUND).run()
    app = page(PLAYGROUND, **{name: value}).run()
    assert not app.exception
    notes = [note.value for note in app.warning if "link" in note.value]
    assert len(notes) == 1
    assert word in notes[0]
    assert len(notes[0]) < 300
    assert "](" not in notes[0] and "<" not in notes[0]
    assert app.query_params[name] == good.query_params[name]
    app.run()
    assert not [note for note in app.warning if "link" in note.value]


def test_unknown_names_in_the_link_are_ignored(assets: Path, page: PageMaker) -> None:
    app = is_fine(page(PLAYGROUND, utm_source="mail").run())
    assert "utm_source" not in app.query_params


def test_a_heavy_attack_runs_on_its_button(assets: Path, page: PageMaker) -> None:
    app = page(PLAYGROUND, attack="eot_pgd", eot_draws="2", steps="2").run()
    assert not app.exception
    assert not [element for element in app.error if "Fooled" in element.value]
    before = row_of(app)
    assert "The original photograph, before the attack." in texts(app.caption)
    app.button(key="attack.start").click().run()
    wait_for(app, lambda app: [*app.error, *app.success, *app.warning])
    (seen,) = re.findall(r"\w+, \d of 8 looks", before)
    assert row_of(is_fine(app)).index(seen) < row_of(app).index("Attacked"), "as it was said"


def row_of(app: AppTest) -> str:
    """The row of pictures."""
    rows = [element.proto.body for element in app.get("html")]
    return next(row for row in rows if "rsc-row" in row and "<img" in row)


def test_a_heavy_attack_can_be_cancelled(assets: Path, page: PageMaker) -> None:
    app = page(PLAYGROUND, attack="square", queries="20000").run()
    app.button(key="attack.start").click().run()
    wait_for(app, lambda app: [button for button in app.button if button.key == "attack.cancel"])
    app.button(key="attack.cancel").click().run()
    wait_for(app, lambda app: "Cancelled" in texts(app.info))
    assert not app.exception
    app.selectbox(key="playground.attack").set_value("fgsm").run()
    is_fine(app)


def test_the_last_outcome_stays_while_a_heavy_attack_waits(assets: Path, page: PageMaker) -> None:
    app = is_fine(page(PLAYGROUND, attack="fgsm").run())
    app.selectbox(key="playground.attack").set_value("square").run()
    is_fine(app)
    assert "the attack before this one is still shown" in texts(app.info)


def test_the_tradeoff_is_measured(assets: Path, page: PageMaker) -> None:
    app = page(PLAYGROUND, attack="fgsm", view="tradeoff").run()
    app.button(key="sweep.start").click().run()
    wait_for(app, lambda app: "Took" in texts(app.caption))
    spec = curve(is_fine(app))
    assert not [button for button in app.button if (button.key or "").startswith("sweep.")]
    caption = next(c.value for c in app.caption if "Accuracy at each noise level" in c.value)
    for part in (
        "Tiny RSC-SNN",
        "T = 4",
        "FGSM",
        "8/255",
        "n = 20",
        "4 draws",
        "seed 0",
        "averages over",
    ):
        assert part in caption
    assert len(spec["data"]) == 4


def own_model(folder: Path, classes: tuple[str, ...]) -> None:
    """The tiny ANN, as an own model `mine` that has `classes`, in this order, as outputs."""
    weights = load_file(folder / "models" / "tiny-ann.safetensors")
    rows = [CIFAR10.index(name) for name in classes]
    for name in ("backbone.readout.linear.weight", "backbone.readout.linear.bias"):
        weights[name] = weights[name][rows].contiguous()
    own = folder / "own"
    own.mkdir()
    save_file(weights, own / "mine.safetensors")
    config = json.loads((folder / "models" / "tiny-ann.json").read_text())["config"]
    config["num_classes"] = len(classes)
    card = {"dataset": "cifar10", "classes": list(classes), "config": config}
    (own / "mine.json").write_text(json.dumps(card), encoding="utf-8")


def test_an_own_model_with_its_classes_in_another_order(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_model(assets, CIFAR10[::-1])
    monkeypatch.setenv("RSC_SNN_ZOO", str(assets / "own"))
    said = {}
    for model in ("tiny-ann", "mine"):
        app = is_fine(page(PLAYGROUND, model=model, image="ship-8", attack="fgsm").run())
        said[model] = [element.value for element in [*app.success, *app.error, *app.warning]]
    assert "the ship" in said["mine"][0]
    assert said["mine"] == said["tiny-ann"]


def test_an_own_model_whose_card_was_edited_is_another_model(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights stay the same, and so do their digest."""
    own_model(assets, CIFAR10)
    monkeypatch.setenv("RSC_SNN_ZOO", str(assets / "own"))
    link = {"model": "mine", "image": "ship-8", "attack": "fgsm"}
    before = figures(is_fine(page(PLAYGROUND, **link).run()))
    path = assets / "own" / "mine.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["config"]["std"] = [9.0, 9.0, 9.0]
    path.write_text(json.dumps(card), encoding="utf-8")
    resources._recent_zoo.clear()  # What looks at the folder every two seconds.
    after = figures(is_fine(page(PLAYGROUND, **link).run()))
    assert before.keys() == after.keys() and before != after


def test_an_own_model_with_few_classes_is_shown_photographs_of_these(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_model(assets, ("truck", "bird"))
    monkeypatch.setenv("RSC_SNN_ZOO", str(assets / "own"))
    app = is_fine(page(PLAYGROUND, model="mine").run())
    assert app.selectbox(key="playground.image.class").options == ["bird", "truck"]


def test_the_tradeoff_needs_a_model_with_sigma(assets: Path, page: PageMaker) -> None:
    app = is_fine(page(PLAYGROUND, model="tiny-poisson", view="tradeoff").run())
    assert "no noise level" in texts(app.info)


def test_a_damaged_model_is_a_sentence_and_others_work(assets: Path, page: PageMaker) -> None:
    path = assets / "models" / "tiny-rsc.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    app = page(PLAYGROUND).run()
    assert not app.exception
    assert "damaged" in texts(app.error)
    app.selectbox(key="playground.model").set_value("tiny-direct").run()
    assert not app.exception
    assert not app.error or "damaged" not in texts(app.error)
    assert any("**" in element.value for element in [*app.error, *app.success, *app.warning])


def test_a_missing_model_is_a_sentence_and_others_work(assets: Path, page: PageMaker) -> None:
    (assets / "models" / "tiny-ann.safetensors").unlink()
    app = page(PLAYGROUND).run()
    assert not app.exception
    assert "tiny-ann are missing" in texts(app.warning)
    assert "tiny-ann" not in app.selectbox(key="playground.model").options


@pytest.mark.parametrize("what", ["models", "images", "."])
def test_missing_assets_are_a_sentence(assets: Path, page: PageMaker, what: str) -> None:
    shutil.rmtree(assets / what if what != "." else assets)
    app = page(PLAYGROUND).run()
    assert not app.exception
    assert len(app.error) == 1
    assert "\n" not in app.error[0].value


def test_an_empty_zoo_is_a_sentence(assets: Path, page: PageMaker) -> None:
    for path in (assets / "models").iterdir():
        path.unlink()
    app = page(PLAYGROUND).run()
    assert not app.exception
    assert "no model" in texts(app.error)


def test_a_damaged_photograph_is_a_sentence(assets: Path, page: PageMaker) -> None:
    (assets / "images" / "cifar10" / "000.png").write_bytes(b"nothing")
    app = page(PLAYGROUND).run()
    assert not app.exception
    assert "damaged" in texts(app.error)
    app.pills(key="playground.image").set_value("airplane-10").run()
    is_fine(app)


def test_memory_running_out_is_a_sentence(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsc_snn.errors import DeviceMemoryError
    from rsc_snn.ui import playground

    def fail(*_: object) -> None:
        raise DeviceMemoryError("This does not fit into the memory.")

    monkeypatch.setattr(playground, "attack_image", fail)
    app = page(PLAYGROUND).run()
    assert not app.exception
    assert texts(app.error) == "This does not fit into the memory."


def test_an_unknown_failure_shows_no_internals(
    assets: Path, page: PageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsc_snn.ui import playground

    def fail(*_: object) -> None:
        raise RuntimeError("/secret/path line 12")

    monkeypatch.setattr(playground, "attack_image", fail)
    app = page(PLAYGROUND).run()
    assert not app.exception
    assert "secret" not in texts(app.error)
    assert "Something went wrong" in texts(app.error)
