"""An ordinary network with the noise of an RSC-SNN: it has the dials, and is no spiking network."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsc_snn.classifier import ModelConfig
from rsc_snn.ui.views import VIEWS
from tests.conftest import save_tiny_model
from tests.pages.conftest import PageMaker
from tests.pages.test_playground import PLAYGROUND, texts
from tests.pages.test_views import verdicts

NAME = "tiny-ann-noise"


@pytest.fixture
def _made(assets: Path) -> None:
    config = ModelConfig(neuron="relu", coding="rsc", sigma=0.3, widths=(8, 12), depths=(1, 1))
    save_tiny_model(assets / "models", NAME, "Tiny ANN with noise", config)


@pytest.mark.usefixtures("_made")
@pytest.mark.parametrize("view", list(VIEWS))
def test_every_view(page: PageMaker, view: str) -> None:
    app = page(PLAYGROUND, model=NAME, view=view, attack="fgsm").run()
    assert not app.exception and len(verdicts(app)) == 1
    assert not [note for note in app.error if not note.value.startswith("**")]


@pytest.mark.usefixtures("_made")
def test_both_dials_turn_and_tell_what_the_passes_cost(page: PageMaker) -> None:
    app = page(PLAYGROUND, model=NAME, view="energy").run()
    sigma, steps = app.slider(key="playground.sigma"), app.slider(key="playground.time_steps")
    assert (sigma.disabled, sigma.value, steps.disabled, steps.value) == (False, 0.3, False, 4)

    def operations() -> int:
        (caption,) = (each.value for each in app.caption if "no spikes" in each.value)
        assert "T frames counts" in caption
        return int(caption.split()[0].replace(",", ""))

    before = operations()
    steps.set_value(8).run()
    assert operations() == 2 * before
    assert app.query_params["time_steps"] == "8"


@pytest.mark.usefixtures("_made")
def test_the_playground_opens_with_a_spiking_network(page: PageMaker) -> None:
    app = page(PLAYGROUND).run()
    assert app.selectbox(key="playground.model").value == "tiny-rsc"
    assert "Tiny ANN with noise" in app.selectbox(key="playground.model").options


@pytest.mark.usefixtures("_made")
def test_beside_a_spiking_network_it_has_the_same_steps(page: PageMaker) -> None:
    app = page(PLAYGROUND, model="tiny-rsc", compare=NAME, time_steps="6", attack="fgsm").run()
    assert not app.exception and len(verdicts(app)) == 2
    assert "An ordinary network has no time steps" not in texts(app.caption)
    assert app.query_params["time_steps"] == "6"


@pytest.mark.usefixtures("_made")
def test_its_neurons_answer_through_noise_without_spikes(page: PageMaker) -> None:
    app = page(PLAYGROUND, model=NAME, view="neurons", attack="fgsm").run()
    said = texts(app.caption)
    assert "with fresh Gaussian noise at every step. Below it what the channels" in said
    assert "The answer after the first steps" in said and "answers at once" not in said
    assert "do not spike" in texts(app.info)
