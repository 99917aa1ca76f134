"""The Playground with the models that ship."""

from __future__ import annotations

import pytest

from rsc_snn.zoo import models_folder
from tests.pages.conftest import PageMaker, figures
from tests.pages.test_playground import PLAYGROUND, is_fine

pytestmark = pytest.mark.usefixtures("shipped")


def shipped_models() -> list[str]:
    return sorted(path.stem for path in models_folder().glob("*.json"))


@pytest.mark.parametrize("model", shipped_models() or ["none"])
def test_every_shipped_model_plays(page: PageMaker, model: str) -> None:
    app = is_fine(page(PLAYGROUND, model=model, attack="fgsm", draws="2").run())
    assert app.query_params["model"] == model
    assert len(figures(app)) == (3 if "snn" in model else 2)


def test_no_problem_with_what_ships(page: PageMaker) -> None:
    app = page("pages/models.py").run()
    assert not app.exception and not app.error and not app.warning
    assert len(app.subheader) == len(shipped_models())


@pytest.mark.parametrize(("model", "marked"), [("rsc-020", True), ("rsc-range", False)])
def test_the_curve_over_sigma_marks_the_one_noise_level_of_the_training(
    page: PageMaker, model: str, marked: bool
) -> None:
    app = page(PLAYGROUND, model=f"cifar10-snn-{model}", attack="fgsm", view="tradeoff").run()
    notes = [
        note["text"]
        for figure in figures(is_fine(app)).values()
        for note in figure["layout"].get("annotations", [])
    ]
    assert any("trained with" in text for text in notes) == marked
    assert any("chosen" in text for text in notes)


@pytest.mark.parametrize(("model", "most"), [("rsc-030", 0.5), ("rsc-range", 1.0)])
def test_the_curves_end_where_the_chosen_models_do(
    page: PageMaker, model: str, most: float
) -> None:
    """Others of the same images may have been measured at more noise."""
    app = page("pages/tradeoff.py", models=f"cifar10-snn-{model}", view="curves").run()
    assert not app.exception
    (figure,) = figures(app).values()
    low, high = figure["layout"]["xaxis"]["range"]
    assert low <= 0 and most <= high < 1.2 * most
