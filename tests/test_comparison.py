"""Smallest epsilons against closed forms; transfer and mismatch against `run_attack` itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.overrides import TorchFunctionMode

from rsc_snn import comparison
from rsc_snn.attacks import get_attack, run_attack, score
from rsc_snn.classifier import SpikingClassifier
from rsc_snn.coding import DirectCoding, PoissonCoding, RSCCoding
from rsc_snn.comparison import (
    Trial,
    correct_share,
    encoder_mismatch,
    mismatched_coding,
    scaled_parameters,
    smallest_epsilon,
    transfer,
)
from rsc_snn.errors import AttackError, Cancelled, ConfigError
from rsc_snn.evaluate import image_scores
from rsc_snn.outcome import judge, vote_counts
from tests.attacks.tiny import SIZE, linear_model, random_images, tiny_model

PIXELS = 3 * SIZE * SIZE
GREY = torch.full((1, 3, SIZE, SIZE), 0.5)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def noisy() -> SpikingClassifier:
    return tiny_model(sigma=0.05)


@pytest.fixture(scope="module")
def x() -> Tensor:
    return random_images(1, seed=12)


def answer(model: SpikingClassifier, x: Tensor) -> int:
    return int(score(model, x, 32).mean(dim=0).argmax())


def margin_model(size: float, seed: int, **options: Any) -> tuple[SpikingClassifier, float]:
    """A linear model of two classes that calls grey 0, and the epsilon (255ths) at its boundary.

    A change d of the image lowers the margin m by at most |d|_inf |w0 - w1|_1: the smallest
    L-infinity epsilon is m / |w0 - w1|_1, here `size`.
    """
    weight = torch.randn(2, PIXELS, generator=torch.Generator().manual_seed(seed)).double()
    norm = (weight[0] - weight[1]).abs().sum()
    gap = (weight[0] - weight[1]).sum() * 0.5
    bias = torch.stack([size / 255 * norm - gap, torch.zeros(()).double()])
    scale = 1 / 50  # keeps the softmax from saturating, where its gradient would be 0
    model = linear_model((weight * scale).float(), (bias * scale).float(), **options)
    return model, size


class TestSmallestEpsilon:
    @given(
        size=st.floats(0.3, 60).filter(lambda value: abs(value * 4 - round(value * 4)) > 0.01),
        seed=st.integers(0, 20),
        attack=st.sampled_from(["fgsm", "pgd", "mi_fgsm", "apgd"]),
    )
    @settings(max_examples=6, deadline=None)
    def test_brackets_the_exact_one_of_a_linear_model(
        self, size: float, seed: int, attack: str
    ) -> None:
        model, exact = margin_model(size, seed)
        found = smallest_epsilon(model, GREY, 0, attack, draws=1)
        assert found.spared_at is not None and found.fooled_at is not None
        assert found.spared_at < exact < found.fooled_at
        assert found.fooled_at - found.spared_at == 0.25
        assert not found.already_wrong and not found.never
        assert found.evaluations == 2 + 8  # both ends, then 256 steps halved 8 times

    def test_l2_has_its_own_unit_and_range(self) -> None:
        weight = torch.randn(2, PIXELS, generator=torch.Generator().manual_seed(0)) / 50
        difference = weight[0] - weight[1]
        exact = 1.234
        bias = torch.tensor([exact * float(difference.norm()) - 0.5 * float(difference.sum()), 0])
        model = linear_model(weight, bias)
        found = smallest_epsilon(model, GREY, 0, "pgd_l2", {"random_start": False}, draws=1)
        assert found.unit == ""
        assert found.spared_at is not None and found.fooled_at is not None
        assert found.spared_at < exact < found.fooled_at
        assert found.fooled_at - found.spared_at == pytest.approx(0.05)

    def test_a_noisy_model_is_scored_by_its_draws(self) -> None:
        """With noise in the frames the margin is Gaussian; the median draw flips at the bound."""
        model, exact = margin_model(8.1, 1, coding="rsc", sigma=0.1)
        found = smallest_epsilon(model, GREY, 0, "pgd", {"eot_draws": 4}, draws=401)
        assert found.spared_at is not None and found.fooled_at is not None
        assert abs(found.spared_at - exact) < 1 and abs(found.fooled_at - exact) < 1
        for trial in found.trials:
            assert trial.verdict == ("held" if trial.correct > 0.5 else "fooled")

    def test_each_trial_is_a_run_of_the_attack(self, noisy: SpikingClassifier, x: Tensor) -> None:
        label = answer(noisy, x)
        options: dict[str, Any] = {"draws": 9, "seed": 3, "time_steps": 2, "sigma": 0.1}
        found = smallest_epsilon(noisy, x, label, "pgd", {"steps": 4}, resolution=2, **options)
        assert found.trials[0].epsilon == 0 and found.trials[1].epsilon == 64
        for trial in found.trials:
            parameters = scaled_parameters(get_attack("pgd"), {"steps": 4}, trial.epsilon)
            again = run_attack(noisy, x, torch.tensor([label]), "pgd", parameters, **options)
            assert correct_share(again.adversarial_logits, label) == trial.correct
            votes = [
                vote_counts(logits[:, 0].numpy())
                for logits in (again.clean_logits, again.adversarial_logits)
            ]
            assert trial.verdict == judge(votes[0], votes[1], label)
        verdicts = {trial.epsilon: trial.verdict for trial in found.trials}
        assert found.fooled_at is not None and found.spared_at is not None
        assert verdicts[found.fooled_at] == "fooled"
        assert verdicts[found.spared_at] == found.spared != "fooled"
        scaled = scaled_parameters(get_attack("pgd"), {"steps": 4}, found.fooled_at)
        assert found.step_size == scaled["step_size"]
        repeated = smallest_epsilon(noisy, x, label, "pgd", {"steps": 4}, resolution=2, **options)
        assert repeated == found

    def test_a_model_that_is_wrong_anyway(self) -> None:
        model, _ = margin_model(4, 2)
        found = smallest_epsilon(model, GREY, 1, "pgd", draws=3)
        assert found.already_wrong
        assert (found.fooled_at, found.spared_at, found.never) == (0, None, False)
        assert found.trials == (Trial(0.0, 0.0, "wrong"),)
        assert found.spared is None

    @pytest.mark.parametrize(
        ("votes", "fooled_at", "spared_at", "spared"),
        [
            # From epsilon 10 on no class has a majority, from 20 on a wrong one has.
            ({0: "0000", 10: "0012", 20: "1110"}, 20, 19, "abstained"),
            ({0: "0000", 10: "0011", 20: "1110"}, 20, 19, "abstained"),
            ({0: "0000", 10: "1122"}, None, 64, "abstained"),
            ({0: "0001", 10: "0111"}, 10, 9, "held"),
            ({0: "0011", 10: "1111"}, 0, None, None),
        ],
    )
    def test_it_fools_where_a_wrong_class_has_the_majority(
        self,
        monkeypatch: pytest.MonkeyPatch,
        votes: dict[int, str],
        fooled_at: float | None,
        spared_at: float | None,
        spared: str | None,
    ) -> None:
        def logits(epsilon: float) -> Tensor:
            said = votes[max(least for least in votes if least <= epsilon)]
            return torch.eye(3)[[int(vote) for vote in said]][:, None]

        def attacked(model: Any, x: Any, labels: Any, name: str, values: Any, **_: Any) -> Any:
            return SimpleNamespace(
                clean_logits=logits(0), adversarial_logits=logits(values["epsilon"])
            )

        monkeypatch.setattr(comparison, "run_attack", attacked)
        model, _ = margin_model(4, 2)
        found = smallest_epsilon(model, GREY, 0, "fgsm", resolution=1)
        assert (found.fooled_at, found.spared_at, found.spared) == (fooled_at, spared_at, spared)
        assert found.already_wrong == (found.trials[0].verdict == "wrong") == (spared is None)
        assert found.step_size is None

    def test_an_attack_that_never_fools(self) -> None:
        model, _ = margin_model(20, 3)
        found = smallest_epsilon(model, GREY, 0, "pgd", draws=1, high=16)
        assert found.never and not found.already_wrong
        assert (found.fooled_at, found.spared_at, found.evaluations) == (None, 16, 2)

    def test_a_start_at_which_it_already_fools(self) -> None:
        model, _ = margin_model(3, 4)
        found = smallest_epsilon(model, GREY, 0, "fgsm", draws=1, low=5)
        assert (found.fooled_at, found.spared_at) == (5, None)
        assert not found.already_wrong and found.evaluations == 1

    @pytest.mark.parametrize(("high", "resolution"), [(10, 3), (1, 1), (2, 5)])
    def test_ranges_that_the_resolution_does_not_divide(
        self, high: float, resolution: float
    ) -> None:
        model, _ = margin_model(0.9, 5)
        found = smallest_epsilon(model, GREY, 0, "pgd", draws=1, high=high, resolution=resolution)
        assert (found.spared_at, found.fooled_at) == (0, min(high, resolution))

    def test_the_step_follows_epsilon(self) -> None:
        def step(attack: str, epsilon: float, steps: int) -> float:
            values = {"steps": steps, "step_size": 15}
            return float(scaled_parameters(get_attack(attack), values, epsilon)["step_size"])

        assert step("pgd", 8, 10) == 2
        assert step("eot_pgd", 8, 100) == pytest.approx(0.2)
        assert step("mi_fgsm", 8, 1) == 8
        assert step("rfgsm", 8, 1) == 4
        assert step("pgd_l2", 1, 50) == pytest.approx(0.05)

    def test_progress_rises_to_one_and_cancelling_works(
        self, noisy: SpikingClassifier, x: Tensor
    ) -> None:
        seen: list[float] = []
        smallest_epsilon(noisy, x, answer(noisy, x), "fgsm", draws=2, progress=seen.append)
        assert seen == sorted(seen) and seen[-1] == 1 and len(seen) > 5
        with pytest.raises(Cancelled):
            smallest_epsilon(noisy, x, 0, "fgsm", cancelled=lambda: True)

    @pytest.mark.parametrize(
        ("attack", "options", "match"),
        [
            ("cw", {}, "no epsilon"),
            ("gaussian_noise", {}, "no epsilon"),
            ("pgd", {"low": 5, "high": 5}, "range that rises"),
            ("pgd", {"resolution": 0}, "steps above 0"),
            ("pgd", {"resolution": math.nan}, "steps above 0"),
            ("pgd", {"high": 65}, "between 0 and 64"),
            ("pgd", {"low": -1}, "between 0 and 64"),
            ("pgd", {"parameters": {"wings": 2}}, "no parameter 'wings'"),
        ],
    )
    def test_mistakes(
        self, noisy: SpikingClassifier, x: Tensor, attack: str, options: Any, match: str
    ) -> None:
        with pytest.raises(AttackError, match=match):
            smallest_epsilon(noisy, x, 0, attack, **options)

    def test_one_image_alone(self, noisy: SpikingClassifier, x: Tensor) -> None:
        with pytest.raises(AttackError, match="one image"):
            smallest_epsilon(noisy, torch.cat([x, x]), 0, "pgd")


class TestTransfer:
    def test_cells_are_attacks_and_their_scores(self, noisy: SpikingClassifier, x: Tensor) -> None:
        models = {
            "rsc": noisy,
            "poisson": tiny_model(coding="poisson"),
            "ann": tiny_model(neuron="relu", coding="direct", time_steps=1),
        }
        label = answer(noisy, x)
        options: dict[str, Any] = {"draws": 7, "seed": 5}
        found = transfer(
            models, x, label, "pgd", {"epsilon": 16}, sigma=0.1, time_steps=2, **options
        )
        dials: dict[str, Any] = {
            "rsc": {"sigma": 0.1, "time_steps": 2},
            "poisson": {"time_steps": 2},
            "ann": {},
        }
        assert found.names == ("rsc", "poisson", "ann")
        for i, (crafted, model) in enumerate(models.items()):
            result = run_attack(
                model, x, torch.tensor([label]), "pgd", {"epsilon": 16}, **dials[crafted], **options
            )
            assert torch.equal(found.adversarial[i], result.adversarial[0])
            assert found.clean[i] == correct_share(result.clean_logits, label)
            for j, (name, other) in enumerate(models.items()):
                logits = score(other, result.adversarial, 7, seed=5, **dials[name])
                assert found.correct[i, j] == correct_share(logits, label)
            assert found.correct[i, i] == correct_share(result.adversarial_logits, label)

    def test_opposite_models_do_not_share_an_attack(self) -> None:
        """What pushes one across its boundary moves its mirror image further away from it."""
        weight = torch.randn(1, PIXELS, generator=torch.Generator().manual_seed(6)) / 50
        model = {
            name: linear_model(
                torch.cat([sign * weight, torch.zeros_like(weight)]),
                torch.tensor(
                    [float(4 / 255 * weight.abs().sum() - sign * 0.5 * weight.sum()), 0.0]
                ),
            )
            for name, sign in (("one", 1.0), ("mirror", -1.0))
        }
        found = transfer(model, GREY, 0, "fgsm", {"epsilon": 8}, draws=3)
        assert found.clean.tolist() == [1, 1]
        assert found.correct.tolist() == [[0, 1], [1, 0]]
        assert found.verdicts == (("fooled", "held"), ("held", "fooled"))
        wrong = transfer(model, GREY, 1, "fgsm", {"epsilon": 0}, draws=3)
        assert wrong.verdicts == (("wrong", "wrong"), ("wrong", "wrong"))

    def test_progress(self, noisy: SpikingClassifier, x: Tensor) -> None:
        seen: list[float] = []
        transfer({"a": noisy, "b": noisy}, x, 0, "fgsm", draws=2, progress=seen.append)
        assert seen == sorted(seen) and seen[-1] == 1

    def test_mistakes(self, noisy: SpikingClassifier, x: Tensor) -> None:
        with pytest.raises(AttackError, match="two models"):
            transfer({"a": noisy}, x, 0, "fgsm")
        wide = tiny_model(image_size=16)
        with pytest.raises(AttackError, match=r"a has images of 8 pixels, b images of 16 pixels\."):
            transfer({"a": noisy, "b": wide}, x, 0, "fgsm")
        few = linear_model(torch.zeros(3, PIXELS))
        with pytest.raises(AttackError, match=r"a has 10 classes, b 3 classes\."):
            transfer({"a": noisy, "b": few}, x, 0, "fgsm")


class TestMismatch:
    def test_the_usual_pairs(self, noisy: SpikingClassifier) -> None:
        assert mismatched_coding(noisy) == DirectCoding()
        assert mismatched_coding(tiny_model(coding="poisson")) == DirectCoding()
        assert mismatched_coding(tiny_model(coding="direct")) == PoissonCoding()

    def test_both_attacks_are_scored_with_the_models_own_coding(
        self, noisy: SpikingClassifier, x: Tensor
    ) -> None:
        label = answer(noisy, x)
        options: dict[str, Any] = {"draws": 9, "seed": 2, "sigma": 0.1}
        found = encoder_mismatch(noisy, x, label, "pgd", {"epsilon": 16}, **options)
        labels = torch.tensor([label])
        own = run_attack(noisy, x, labels, "pgd", {"epsilon": 16}, **options)
        assert torch.equal(found.through_own.adversarial, own.adversarial)
        assert found.own == correct_share(own.adversarial_logits, label)
        other = found.through_other
        assert not torch.equal(other.adversarial, own.adversarial)
        again = score(noisy, other.adversarial, 9, sigma=0.1, seed=2)
        assert torch.equal(other.adversarial_logits, again)
        assert torch.equal(other.clean_logits, own.clean_logits)
        assert (found.model_coding, found.attack_coding) == ("rsc", "direct")
        assert found.clean == correct_share(own.clean_logits, label)
        assert found.label == label

    def test_the_wrong_encoder_hides_a_weak_model(self) -> None:
        """Through coarse noise the attack is blind; through the model's own coding it is not."""
        model, _ = margin_model(2, 7)
        found = encoder_mismatch(model, GREY, 0, "fgsm", {"epsilon": 4}, _Blind(), draws=3)
        assert (found.clean, found.other, found.own) == (1, 1, 0)
        assert found.verdicts == ("held", "fooled")

    def test_the_same_coding_is_no_mismatch(self, noisy: SpikingClassifier, x: Tensor) -> None:
        with pytest.raises(AttackError, match="itself uses rsc"):
            encoder_mismatch(noisy, x, 0, "fgsm", attack_coding=RSCCoding(0.05))
        with pytest.raises(ConfigError, match="sigma"):
            encoder_mismatch(tiny_model(coding="direct"), x, 0, "fgsm", sigma=0.1)


class _Blind:
    """Frames that do not depend on the image."""

    name: ClassVar[str] = "blind"
    stochastic: ClassVar[bool] = False

    def __call__(
        self, x: Tensor, time_steps: int, generator: torch.Generator | None = None
    ) -> Tensor:
        return (0 * x + 0.5).expand(time_steps, *x.shape)

    def mean(self, x: Tensor) -> Tensor:
        return torch.full_like(x, 0.5)

    def variance(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class WithoutFloat64(TorchFunctionMode):
    """As on an Apple GPU: only what was moved to the CPU can become float64."""

    def __init__(self) -> None:
        super().__init__()
        self.moved: list[torch.Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.double and not any(args[0] is each for each in self.moved):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        result = func(*args, **(kwargs or {}))
        if func is torch.Tensor.cpu:
            self.moved.append(result)
        return result


def test_shares_need_no_float64_of_the_device() -> None:
    logits, labels = torch.eye(3)[:, None], torch.tensor([1])
    with WithoutFloat64():
        share = correct_share(logits, 1)
        scores = [image_scores(logits, labels, predictor) for predictor in ("single", "vote")]
    assert share == pytest.approx(1 / 3)
    assert [float(each[0]) for each in scores] == [pytest.approx(1 / 3), 0]


def test_correct_share_counts_draws() -> None:
    logits = torch.tensor([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0], [0.0, 3.0]])
    assert correct_share(logits, 1) == correct_share(logits[:, None], 1) == 0.75
    assert np.isclose(correct_share(logits, 0), 0.25)
