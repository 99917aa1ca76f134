from __future__ import annotations

import gc
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsc_snn.attacks import ATTACKS, AttackResult, run_attack, score
from rsc_snn.attacks import target as target_module
from rsc_snn.classifier import SpikingClassifier
from rsc_snn.coding import DirectCoding, PoissonCoding
from rsc_snn.errors import AttackError, Cancelled, ConfigError, DeviceMemoryError
from rsc_snn.neurons import Call
from tests.attacks.tiny import SIZE, linear_model, random_images, tiny_model

Batch = tuple[Tensor, Tensor]
QUICK: dict[str, dict[str, Any]] = {
    "square": {"queries": 20},
    "cw": {"steps": 12, "learning_rate": 0.05},
    "deepfool": {"steps": 5},
    "apgd": {"steps": 8},
    "sa_pgd": {"steps": 8},
}
every_attack = pytest.mark.parametrize("name", ATTACKS)
RANDOM = [name for name in ATTACKS if name != "fgsm"]


def attack(
    model: SpikingClassifier,
    batch: Batch,
    name: str,
    parameters: Mapping[str, Any] | None = None,
    **options: Any,
) -> AttackResult:
    return run_attack(model, *batch, name, QUICK.get(name, {}) | dict(parameters or {}), **options)


@every_attack
@pytest.mark.parametrize("epsilon", [None, 0.0, 1.5])
@pytest.mark.parametrize("kind", ["rsc", "poisson", "ann"])
def test_norm_and_pixel_range(name: str, epsilon: float | None, kind: str) -> None:
    models: dict[str, dict[str, object]] = {
        "rsc": {"sigma": 0.05},
        "poisson": {"coding": "poisson"},
        "ann": {"neuron": "relu", "coding": "direct", "time_steps": 1},
    }
    model = tiny_model(**models[kind])
    x = random_images(3)
    x[0, :, :2] = 0.0
    x[0, :, 2:4] = 1.0
    spec = ATTACKS[name]
    parameters = {"epsilon": epsilon} if epsilon is not None and spec.bounded else {}
    result = attack(model, (x, torch.tensor([1, 2, 3])), name, parameters, draws=2)
    assert result.adversarial.shape == x.shape
    assert result.adversarial.min() >= 0
    assert result.adversarial.max() <= 1
    if spec.bounded:
        bound = float(spec.fractions(result.parameters)["epsilon"])
        flat = result.perturbation.flatten(1)
        size = flat.abs().amax(dim=1) if spec.norm == "Linf" else flat.norm(dim=1)
        assert (size <= bound + 1e-6).all()
    assert torch.equal(result.original, x)


@every_attack
def test_nothing_of_an_attack_is_left_behind(
    name: str, rsc_model: SpikingClassifier, batch: Batch
) -> None:
    def living() -> int:
        attack(rsc_model, batch, name, draws=2)
        gc.collect()
        # By type alone: asking other libraries' lazy objects what they are would load them.
        return sum(type(item) is Tensor for item in gc.get_objects())

    assert living() == living()


@every_attack
def test_seed_determines_the_result(name: str, rsc_model: SpikingClassifier, batch: Batch) -> None:
    torch.manual_seed(1)
    first = attack(rsc_model, batch, name, seed=4)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    second = attack(rsc_model, batch, name, seed=4)
    assert torch.equal(first.adversarial, second.adversarial)
    assert torch.equal(first.adversarial_logits, second.adversarial_logits)
    assert torch.equal(torch.random.get_rng_state(), state), "the global generator was used"
    assert (first.queries, first.gradients) == (second.queries, second.gradients)


@pytest.mark.parametrize("name", RANDOM)
def test_other_seeds_give_other_results(
    name: str, rsc_model: SpikingClassifier, batch: Batch
) -> None:
    results = [attack(rsc_model, batch, name, seed=seed).adversarial for seed in range(4)]
    assert any(not torch.equal(results[0], other) for other in results[1:])


def test_threads_get_what_they_get_alone(
    rsc_model: SpikingClassifier, ann_model: SpikingClassifier, batch: Batch
) -> None:
    jobs = [
        (model, name, seed) for seed, name in enumerate(ATTACKS) for model in (rsc_model, ann_model)
    ]

    def work(job: tuple[SpikingClassifier, str, int]) -> AttackResult:
        model, name, seed = job
        return attack(model, batch, name, seed=seed, draws=3)

    alone = [work(job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(work, jobs))
    for job, one, other in zip(jobs, alone, together, strict=True):
        assert torch.equal(one.adversarial, other.adversarial), job[1]
        assert torch.equal(one.adversarial_logits, other.adversarial_logits), job[1]
        assert (one.queries, one.gradients) == (other.queries, other.gradients)


@every_attack
def test_cancel_before_and_in_the_middle(
    name: str, rsc_model: SpikingClassifier, batch: Batch
) -> None:
    with pytest.raises(Cancelled):
        attack(rsc_model, batch, name, cancelled=lambda: True)
    asked = 0

    def later() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    with pytest.raises(Cancelled):
        attack(rsc_model, batch, name, cancelled=later)
    assert asked == 3, "it went on after it was cancelled"


@every_attack
def test_progress_rises_to_one(name: str, rsc_model: SpikingClassifier, batch: Batch) -> None:
    seen: list[float] = []
    attack(rsc_model, batch, name, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert all(0 <= value <= 1 for value in seen)
    if ATTACKS[name].calls(ATTACKS[name].fractions(_complete(name))) > 5:
        assert len(set(seen)) > 5


def _complete(name: str) -> dict[str, Any]:
    defaults = {p.name: p.default for p in ATTACKS[name].parameters}
    return defaults | QUICK.get(name, {})


@every_attack
def test_shared_model_is_left_alone(name: str, batch: Batch) -> None:
    model = tiny_model(sigma=0.05).requires_grad_(True).train(False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    attributes = set(vars(model))
    attack(model, batch, name, draws=2)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training
    assert set(vars(model)) == attributes
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_works_where_the_caller_has_gradients_off(
    context: Any, rsc_model: SpikingClassifier, batch: Batch
) -> None:
    expected = attack(rsc_model, batch, "pgd")
    with context():
        x, labels = batch[0].clone(), batch[1].clone()
        result = attack(rsc_model, (x, labels), "pgd")
    assert torch.equal(result.adversarial, expected.adversarial)


def test_counts_are_of_single_images_and_draws(
    rsc_model: SpikingClassifier, ann_model: SpikingClassifier, batch: Batch
) -> None:
    noisy = attack(rsc_model, batch, "eot_pgd", {"steps": 5, "eot_draws": 4})
    assert (noisy.queries, noisy.gradients) == (5 * 4 * 3, 5 * 4 * 3)
    plain = attack(ann_model, batch, "eot_pgd", {"steps": 5, "eot_draws": 4})
    assert (plain.queries, plain.gradients) == (5 * 3, 5 * 3)
    silent = attack(rsc_model, batch, "eot_pgd", {"steps": 5, "eot_draws": 4}, sigma=0.0)
    assert silent.queries == 5 * 3
    assert attack(rsc_model, batch, "square", {"queries": 9}).gradients == 0


def test_clean_and_attacked_images_meet_the_same_noise(
    rsc_model: SpikingClassifier, batch: Batch
) -> None:
    result = attack(rsc_model, batch, "pgd", {"epsilon": 0}, draws=5)
    assert result.clean_logits.shape == (5, 3, 10)
    assert torch.equal(result.clean_logits, result.adversarial_logits)
    assert not torch.equal(result.clean_logits[0], result.clean_logits[1])


def test_scoring_noise_is_not_the_attack_noise(
    rsc_model: SpikingClassifier, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    original = SpikingClassifier.forward

    def spy(self: SpikingClassifier, x: Tensor, **options: Any) -> Tensor:
        seeds.append(options["generator"].initial_seed())
        return original(self, x, **options)

    monkeypatch.setattr(SpikingClassifier, "forward", spy)
    attack(rsc_model, batch, "pgd", {"steps": 3})
    assert len(set(seeds[:3])) == 1
    assert seeds[3] == seeds[4] != seeds[0]


def test_every_query_draws_fresh_noise(rsc_model: SpikingClassifier, batch: Batch) -> None:
    meter = target_module.Meter(1)
    target = target_module.Target(rsc_model, torch.Generator().manual_seed(0), meter)
    assert not torch.equal(target(batch[0]), target(batch[0]))


def test_per_call_sigma_and_time_steps(rsc_model: SpikingClassifier, batch: Batch) -> None:
    result = attack(rsc_model, batch, "pgd", sigma=0.0, time_steps=2, draws=4)
    expected = rsc_model(result.adversarial, sigma=0.0, time_steps=2)
    assert (result.sigma, result.time_steps) == (0.0, 2)
    assert torch.equal(result.adversarial_logits, expected.expand(4, -1, -1))
    default = attack(rsc_model, batch, "fgsm")
    assert (default.sigma, default.time_steps) == (0.05, 3)


@pytest.mark.parametrize("name", ["eot_pgd", "apgd", "square", "deepfool"])
def test_an_attack_through_another_coding_is_that_of_a_model_with_it(
    name: str, rsc_model: SpikingClassifier, batch: Batch
) -> None:
    other = tiny_model(coding="poisson")
    other.load_state_dict(rsc_model.state_dict())
    expected = attack(other, batch, name, seed=4)
    result = attack(rsc_model, batch, name, seed=4, attack_coding=PoissonCoding(), sigma=0.1)
    assert torch.equal(result.adversarial, expected.adversarial)
    assert (result.queries, result.gradients) == (expected.queries, expected.gradients)
    scored = score(rsc_model, result.adversarial, 8, seed=4, sigma=0.1)
    assert torch.equal(result.adversarial_logits, scored)
    assert result.sigma == 0.1


def test_a_coding_without_noise_needs_one_draw(
    rsc_model: SpikingClassifier, ann_model: SpikingClassifier, batch: Batch
) -> None:
    direct = attack(rsc_model, batch, "eot_pgd", attack_coding=DirectCoding())
    assert direct.queries == 10 * 3
    noisy = attack(ann_model, batch, "eot_pgd", attack_coding=PoissonCoding())
    assert noisy.queries == 10 * 8 * 3
    with pytest.raises(ConfigError, match="sigma"):
        attack(ann_model, batch, "fgsm", attack_coding=PoissonCoding(), sigma=0.1)


@pytest.mark.parametrize("name", ["apgd", "square", "pgd", "mi_fgsm"])
def test_images_that_are_misclassified_anyway_are_attacked_too(
    name: str, rsc_model: SpikingClassifier, batch: Batch
) -> None:
    """torchattacks' APGD and Square would return the clean image, lucky draw or not."""
    result = attack(rsc_model, batch, name)
    assert (result.perturbation.flatten(1).abs().amax(dim=1) > 1e-4).all()


def test_attacks_order_as_they_should(ann_model: SpikingClassifier) -> None:
    x = random_images(24, seed=8)
    labels = ann_model(x).argmax(dim=-1)

    def loss(name: str, **parameters: Any) -> float:
        logits = run_attack(ann_model, x, labels, name, parameters, draws=1).adversarial_logits[0]
        return float(F.cross_entropy(logits, labels))

    noise, fgsm, pgd = loss("uniform_noise"), loss("fgsm"), loss("pgd", steps=20, step_size=1)
    assert noise < loss("square", queries=50) < fgsm < pgd
    assert loss("apgd", steps=40) > 0.97 * pgd


def test_more_eot_draws_attack_a_noisy_model_better() -> None:
    model = tiny_model(sigma=0.3)
    x = random_images(24, seed=8)
    labels = score(model, x, 64).mean(dim=0).argmax(dim=-1)

    def margin(eot_draws: int) -> float:
        parameters = {"eot_draws": eot_draws, "epsilon": 16}
        logits = run_attack(model, x, labels, "eot_pgd", parameters, draws=64).adversarial_logits
        repeated = labels.repeat(64)
        return float(F.cross_entropy(logits.flatten(0, 1), repeated))

    assert margin(16) > margin(1)


class _FlatBeyond(nn.Module):
    """A backbone that does not see how far pixels exceed `limit`."""

    def __init__(self, inner: nn.Module, limit: float) -> None:
        super().__init__()
        self.inner = inner
        self.limit = limit

    def forward(self, frames: Tensor, call: Call) -> Tensor:
        logits: Tensor = self.inner(frames.clamp(max=self.limit), call)
        return logits


class TestClosedForms:
    """On a linear model every attack's answer is known."""

    weight = torch.randn(2, 3 * SIZE * SIZE, generator=torch.Generator().manual_seed(0))
    x = torch.full((1, 3, SIZE, SIZE), 0.5)

    @property
    def direction(self) -> Tensor:
        """Gradient of logit 1 minus logit 0, in image shape."""
        return (self.weight[1] - self.weight[0]).view(1, 3, SIZE, SIZE)

    @pytest.mark.parametrize("label", [0, 1])
    def test_fgsm_steps_along_the_sign_of_the_gradient(self, label: int) -> None:
        weight = torch.randn(10, 3 * SIZE * SIZE, generator=torch.Generator().manual_seed(1)) / 10
        model = linear_model(weight)
        x = random_images(1) * 0.8 + 0.1
        result = run_attack(model, x, torch.tensor([label]), "fgsm", {"epsilon": 4})
        probabilities = (weight @ x.flatten()).softmax(dim=0)
        gradient = weight.T @ (probabilities - F.one_hot(torch.tensor(label), 10).float())
        expected = x + 4 / 255 * gradient.sign().view_as(x)
        assert torch.allclose(result.adversarial, expected, atol=1e-6)

    @pytest.mark.parametrize("name", ["pgd", "mi_fgsm", "apgd", "eot_pgd", "rfgsm"])
    def test_linf_attacks_reach_the_corner_of_the_ball(self, name: str) -> None:
        model = linear_model(self.weight / 50)
        x = random_images(1)
        parameters = {"epsilon": 8, "steps": 12}
        result = run_attack(model, x, torch.tensor([0]), name, parameters)
        expected = (x + 8 / 255 * self.direction.sign()).clamp(0, 1)
        assert torch.allclose(result.adversarial, expected, atol=1e-6)

    def test_pgd_l2_reaches_the_end_of_the_gradient(self) -> None:
        model = linear_model(self.weight / 50)
        parameters = {"epsilon": 0.5, "step_size": 0.2, "steps": 40}
        result = run_attack(model, self.x, torch.tensor([0]), "pgd_l2", parameters)
        expected = self.x + 0.5 * self.direction / self.direction.norm()
        assert torch.allclose(result.adversarial, expected, atol=1e-3)

    def test_deepfool_steps_to_the_boundary(self) -> None:
        gap = float(self.direction.flatten() @ self.x.flatten())
        model = linear_model(self.weight, torch.tensor([gap + 3.0, 0.0]))
        distance = 3.0 / float(self.direction.norm())
        parameters = {"overshoot": 0.02}
        result = run_attack(model, self.x, torch.tensor([0]), "deepfool", parameters)
        assert float(result.perturbation.norm()) == pytest.approx(1.02 * distance, rel=1e-3)
        assert result.clean_logits[0].argmax() == 0
        assert result.adversarial_logits[0].argmax() == 1

    def test_cw_finds_nearly_the_shortest_way(self) -> None:
        gap = float(self.direction.flatten() @ self.x.flatten())
        model = linear_model(self.weight, torch.tensor([gap + 3.0, 0.0]))
        distance = 3.0 / float(self.direction.norm())
        parameters = {"steps": 200, "learning_rate": 0.002, "c": 1}
        result = run_attack(model, self.x, torch.tensor([0]), "cw", parameters)
        assert result.adversarial_logits[0].argmax() == 1
        assert distance <= float(result.perturbation.norm()) < 1.3 * distance

    def test_cw_with_negative_logits_leaves_the_true_class_out(self) -> None:
        """A margin that counts the true class as logit 0 finds nothing here."""
        gap = float(self.direction.flatten() @ self.x.flatten())
        offset = -1000.0 - float(self.weight[0] @ self.x.flatten())
        model = linear_model(self.weight, torch.tensor([gap + 3.0, 0.0]) + offset)
        parameters = {"steps": 100, "learning_rate": 0.002}
        result = run_attack(model, self.x, torch.tensor([0]), "cw", parameters)
        assert result.adversarial_logits[0].argmax() == 1

    def test_cw_looks_for_a_lead_of_kappa(self) -> None:
        gap = float(self.direction.flatten() @ self.x.flatten())
        model = linear_model(self.weight, torch.tensor([gap + 3.0, 0.0]))
        lengths = []
        for kappa in (0.0, 5.0, 20.0, 50.0):
            shortest = (3.0 + kappa) / float(self.direction.norm())
            parameters = {"steps": 200, "learning_rate": 0.005, "kappa": kappa}
            result = run_attack(model, self.x, torch.tensor([0]), "cw", parameters)
            logits = result.adversarial_logits[0, 0]
            assert float(logits[1] - logits[0]) >= kappa - 1e-3
            assert result.adversarial.min() >= 0 and result.adversarial.max() <= 1
            lengths.append(float(result.perturbation.norm()))
            assert 0.999 * shortest <= lengths[-1] < 1.3 * shortest
        assert lengths == sorted(lengths) and len(set(lengths)) == 4

    def test_cw_without_the_lead_keeps_the_smallest_change_that_fools(self) -> None:
        """The most that an image of 0..1 can make the other class lead is about 7, not 50."""
        weight = self.weight / 10
        gap = float((weight[1] - weight[0]) @ self.x.flatten())
        model = linear_model(weight, torch.tensor([gap + 3.0, 0.0]))
        most = float((weight[1] - weight[0]).abs().sum()) / 2 - 3
        assert 5 < most < 9
        distance = 3.0 / float((weight[1] - weight[0]).norm())
        parameters = {"steps": 200, "learning_rate": 0.01, "kappa": 50, "c": 5}
        result = run_attack(model, self.x, torch.tensor([0]), "cw", parameters)
        assert result.adversarial_logits[0].argmax() == 1
        assert distance <= float(result.perturbation.norm()) < 1.3 * distance

    def test_mi_fgsm_goes_on_where_a_gradient_vanishes_on_the_way(self) -> None:
        """Of two images the first one's answer no longer changes beyond 0.52."""
        model = linear_model(self.weight.abs() * torch.tensor([[-1.0], [1.0]]))
        model.backbone = _FlatBeyond(model.backbone, 0.52)
        x = torch.cat([self.x, self.x - 0.2])
        parameters = {"epsilon": 8, "step_size": 1, "steps": 10}
        result = run_attack(model, x, torch.tensor([0, 0]), "mi_fgsm", parameters)
        assert torch.allclose(result.adversarial, x + 8 / 255, atol=1e-6)

    def test_square_lowers_the_margin_within_the_ball(self) -> None:
        """Squares suit weights that are constant over patches; the bound is the corner's."""
        signs = torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(2)).sign()
        smooth = signs.repeat_interleave(SIZE // 2, 1).repeat_interleave(SIZE // 2, 2).flatten()
        model = linear_model(torch.stack([smooth, -smooth]), torch.tensor([1000.0, 0.0]))
        result = run_attack(model, self.x, torch.tensor([0]), "square", {"queries": 200})
        change = (result.adversarial_logits - result.clean_logits)[0, 0]
        best = 2 * 8 / 255 * len(smooth)
        assert 0.5 * best < float(change[1] - change[0]) <= best * 1.001

    def test_noise_has_the_stated_size(self) -> None:
        model = linear_model(self.weight)
        x = self.x.expand(40, -1, -1, -1)
        labels = torch.zeros(40, dtype=torch.int64)
        gaussian = run_attack(model, x, labels, "gaussian_noise", {"std": 10}).perturbation
        assert float(gaussian.std()) == pytest.approx(10 / 255, rel=0.03)
        uniform = run_attack(model, x, labels, "uniform_noise", {"epsilon": 10}).perturbation
        assert float(uniform.std()) == pytest.approx(10 / 255 / math.sqrt(3), rel=0.03)

    @pytest.mark.parametrize("name", ["mi_fgsm", "deepfool", "pgd_l2", "pgd"])
    def test_no_gradient_gives_a_finite_image(self, name: str) -> None:
        model = linear_model(torch.zeros_like(self.weight), torch.tensor([1.0, 0.0]))
        result = run_attack(model, self.x, torch.tensor([0]), name)
        assert torch.isfinite(result.adversarial).all()


class TestLargeBatches:
    """With a small budget of pixels, batches and draws are cut; results stay right."""

    @pytest.fixture(autouse=True)
    def small_budget(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(target_module, "_PIXEL_BUDGET_CPU", 2 * 3 * SIZE * SIZE)

    @every_attack
    def test_cut_batches(self, name: str, rsc_model: SpikingClassifier) -> None:
        x = random_images(5)
        seen: list[float] = []
        result = attack(rsc_model, (x, torch.arange(5)), name, draws=3, progress=seen.append)
        assert result.adversarial.shape == x.shape
        assert result.adversarial_logits.shape == (3, 5, 10)
        assert seen == sorted(seen)
        if name == "eot_pgd":
            assert result.queries == result.gradients == 5 * 10 * 8

    def test_no_pass_is_larger_than_the_budget(
        self, rsc_model: SpikingClassifier, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes: list[int] = []
        original = SpikingClassifier.forward

        def spy(self: SpikingClassifier, x: Tensor, **options: Any) -> Tensor:
            sizes.append(len(x) * options["draws"])
            return original(self, x, **options)

        monkeypatch.setattr(SpikingClassifier, "forward", spy)
        attack(rsc_model, (random_images(5), torch.arange(5)), "eot_pgd", {"steps": 2}, draws=7)
        assert max(sizes) <= 2

    def test_deterministic_models_do_not_depend_on_the_cut(
        self, ann_model: SpikingClassifier, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = random_images(7), torch.arange(7)
        parameters = {"random_start": False}
        cut = attack(ann_model, batch, "pgd", parameters)
        monkeypatch.setattr(target_module, "_PIXEL_BUDGET_CPU", 2**20)
        whole = attack(ann_model, batch, "pgd", parameters)
        assert torch.allclose(cut.adversarial, whole.adversarial, atol=1e-6)


class TestMistakes:
    def test_images_and_labels(self, rsc_model: SpikingClassifier, batch: Batch) -> None:
        x, labels = batch
        wrong = [
            (x[0], labels[:1]),
            (x[:0], labels[:0]),
            (x * 2, labels),
            (x - 1, labels),
            (x * torch.nan, labels),
            ((x * 255).byte(), labels),
            (x, labels[:2]),
            (x, labels.float()),
            (x, labels + 10),
            (x, labels - 10),
        ]
        for images, classes in wrong:
            with pytest.raises(AttackError):
                run_attack(rsc_model, images, classes, "fgsm")

    @pytest.mark.parametrize("draws", [0, -1, 2.0, True, 10**9])
    def test_draws(self, draws: Any, rsc_model: SpikingClassifier, batch: Batch) -> None:
        with pytest.raises(AttackError, match="number of draws"):
            attack(rsc_model, batch, "fgsm", draws=draws)

    def test_sigma_of_a_model_without_noise(
        self, ann_model: SpikingClassifier, batch: Batch
    ) -> None:
        with pytest.raises(ConfigError, match="sigma"):
            attack(ann_model, batch, "fgsm", sigma=0.1)

    @pytest.mark.parametrize("options", [{"sigma": 2.0}, {"time_steps": 0}, {"time_steps": 1000}])
    def test_out_of_range(
        self, options: dict[str, Any], rsc_model: SpikingClassifier, batch: Batch
    ) -> None:
        with pytest.raises(ConfigError):
            attack(rsc_model, batch, "fgsm", **options)

    def test_dlr_needs_three_classes(self) -> None:
        model = linear_model(torch.eye(2, 3 * SIZE * SIZE))
        with pytest.raises(AttackError, match="3 classes"):
            run_attack(model, random_images(1), torch.tensor([0]), "apgd", {"loss": "dlr"})

    @every_attack
    def test_one_class_leaves_nothing_to_attack(self, name: str) -> None:
        model = linear_model(torch.ones(1, 3 * SIZE * SIZE))
        with pytest.raises(AttackError, match="at least 2 classes"):
            run_attack(model, random_images(1), torch.tensor([0]), name)

    def test_out_of_memory(
        self, rsc_model: SpikingClassifier, batch: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*args: Any, **options: Any) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr(SpikingClassifier, "forward", full)
        with pytest.raises(DeviceMemoryError):
            attack(rsc_model, batch, "pgd")


@pytest.mark.gpu
@every_attack
def test_on_a_gpu(name: str, batch: Batch) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    model = tiny_model(sigma=0.05).cuda()
    first = attack(model, batch, name, draws=2)
    second = attack(model, batch, name, draws=2)
    assert first.adversarial.is_cuda
    # The same draws, but sums in an order that is not fixed.
    assert (first.adversarial - second.adversarial).abs().mean() < 0.02
