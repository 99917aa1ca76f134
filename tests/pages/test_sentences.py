"""What the Playground says holds in every state: without noise, with one look, with no change."""

from __future__ import annotations

import pytest
import torch

from rsc_snn.attacks import ATTACKS, AttackSpec
from rsc_snn.attacks.run import AttackResult
from rsc_snn.comparison import Mismatch
from rsc_snn.outcome import AttackRequest, ImageChoice
from rsc_snn.ui.transfer import _comparison
from tests.pages.conftest import PageMaker, figures

PLAYGROUND = "pages/playground.py"
pytestmark = pytest.mark.usefixtures("assets")


def said(page: PageMaker, **link: str) -> str:
    app = page(PLAYGROUND, **({"attack": "fgsm"} | link)).run()
    assert not app.exception
    kinds = (app.markdown, app.caption, app.info, app.success, app.warning, app.error)
    return " ".join(element.value for kind in kinds for element in kind)


@pytest.mark.parametrize(
    ("link", "noisy"),
    [
        ({"model": "tiny-rsc", "sigma": "0.2"}, True),
        ({"model": "tiny-rsc", "sigma": "0"}, False),
        ({"model": "tiny-poisson"}, True),
        ({"model": "tiny-direct"}, False),
        ({"model": "tiny-ann"}, False),
    ],
)
def test_noise_is_spoken_of_only_where_there_is_some(
    page: PageMaker, link: dict[str, str], noisy: bool
) -> None:
    for view in ("neurons", "rates", "energy"):
        words = said(page, view=view, **link)
        assert ("with fresh noise" in words) == noisy
        assert ("without noise every [look]" in words) == (not noisy)
        assert ("the same noise" in words) <= noisy
        if link.get("sigma") == "0":
            assert "fresh Gaussian noise" not in words


def test_a_single_look_tells_nothing_of_its_spread(page: PageMaker) -> None:
    words = said(page, model="tiny-rsc", draws="1")
    assert "of its spread more draws would tell" in words and "Long lines" not in words
    assert "Of 1 looks" not in words and "he one look at the original" in words
    assert "Long lines" in said(page, model="tiny-rsc", draws="4")


def test_a_sigma_that_the_network_was_not_trained_with_is_said_to_be_one(
    page: PageMaker, shipped: None
) -> None:
    model = "cifar10-snn-rsc-020"
    assert "Runs at" not in said(page, model=model)
    words = said(page, model=model, sigma="0.1")
    assert "Runs at [σ]" in words and "= 0.1, but was trained at σ = 0.2:" in words
    ranged = "cifar10-snn-rsc-range"
    assert "Runs at" not in said(page, model=ranged, sigma="0.05")
    assert "trained at σ = 0 to 0.4" in said(page, model=ranged, sigma="0.6")


def test_no_change_is_not_shown_stronger_than_it_is(page: PageMaker) -> None:
    words = said(page, model="tiny-rsc", epsilon="0")
    assert "nothing changed" in words and "times stronger" not in words
    assert "This attack follows one noise" not in words


def test_the_dials_that_the_energy_speaks_of_are_there(page: PageMaker) -> None:
    for model, steps, sigma in (
        ("tiny-ann", False, False),
        ("tiny-poisson", True, False),
        ("tiny-rsc", True, True),
    ):
        words = said(page, model=model, view="energy")
        assert ("Move T" in words) == steps and ("Move sigma" in words) == sigma


@pytest.mark.parametrize("model", ["tiny-ann", "tiny-direct", "tiny-rsc"])
def test_text_alternatives_name_what_is_drawn(page: PageMaker, model: str) -> None:
    app = page(PLAYGROUND, model=model, attack="fgsm", view="rates").run()
    layers = next(alt for alt in figures(app) if "of every layer" in alt)
    assert ("mean activation" in layers) == (model == "tiny-ann")
    assert ("by chance" in layers) == (model == "tiny-rsc")
    app = page(PLAYGROUND, model=model, attack="fgsm", view="energy").run()
    assert any("ANN twin" in alt for alt in figures(app)) == (model != "tiny-ann")


def mismatch(other: str, own: str, coding: str = "rsc") -> Mismatch:
    """Verdicts of the attack through the other coding and through the own one; class 0 is true."""
    answers = {"held": [0, 0, 0, 0], "fooled": [1, 1, 1, 1], "abstained": [0, 0, 1, 2]}

    def result(verdict: str) -> AttackResult:
        clean = answers["fooled" if verdict == "wrong" else "held"]
        after = answers.get(verdict, answers["fooled"])
        logits = [torch.eye(3)[rows][:, None] for rows in (clean, after)]
        x = torch.zeros(1, 3, 2, 2)
        return AttackResult(
            attack="pgd",
            parameters={},
            original=x,
            adversarial=x,
            labels=torch.tensor([0]),
            clean_logits=logits[0],
            adversarial_logits=logits[1],
            queries=0,
            gradients=0,
            seconds=0.0,
            time_steps=4,
            sigma=0.2,
            seed=0,
        )

    return Mismatch(coding, "direct", result(other), result(own))


def request(attack: str, sigma: float | None = 0.2) -> AttackRequest:
    image = ImageChoice("", "", 0, torch.zeros(1, 3, 2, 2))
    parameters = tuple((each.name, each.default) for each in ATTACKS[attack].parameters)
    return AttackRequest("m", "0" * 64, image, attack, parameters, 4, sigma, 4, 0)


@pytest.mark.parametrize(
    ("attack", "other", "own", "words"),
    [
        ("pgd", "held", "held", "holds either way here; raise epsilon"),
        ("pgd", "fooled", "held", "wrong coding is the stronger one. Each gradient"),
        ("pgd", "fooled", "fooled", "Neither leaves the true class a majority; lower epsilon"),
        ("pgd", "abstained", "abstained", "Neither leaves"),
        ("pgd", "wrong", "wrong", "not right without an attack"),
        ("deepfool", "held", "held", "holds either way here."),
        ("gaussian_noise", "held", "held", "the coding does not enter"),
        ("uniform_noise", "fooled", "fooled", "the coding does not enter"),
    ],
)
def test_what_the_wrong_coding_shows(attack: str, other: str, own: str, words: str) -> None:
    spec: AttackSpec = ATTACKS[attack]
    assert words in _comparison(spec, request(attack), mismatch(other, own))


def test_at_sigma_0_both_codings_are_one() -> None:
    found = _comparison(ATTACKS["pgd"], request("pgd", 0.0), mismatch("held", "held"))
    assert found == "At sigma 0 both codings are the same."
