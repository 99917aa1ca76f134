"""What only a GPU can show: the answers of the CPU, memory that runs out politely, training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rsc_snn.attacks import ATTACKS, run_attack
from rsc_snn.coding import DirectCoding
from rsc_snn.device import autocast, describe_device, memory_guard, pick_device
from rsc_snn.errors import DeviceMemoryError
from rsc_snn.neurons import Call, LIFConfig, LIFNeuron
from rsc_snn.randomness import make_generator
from rsc_snn.sweep.cells import CLEAN
from rsc_snn.sweep.run import run_sweep
from rsc_snn.training.batch import make_trainer, train_recipe, training_images
from rsc_snn.training.loop import Worker
from rsc_snn.training.recipe import read_recipe
from rsc_snn.zoo import Zoo
from tests.conftest import stated
from tests.sweep.engine_cases import (
    DictStore,
    small_cells,
    small_grid,
    workspace,
    write_pictures,
)
from tests.training.conftest import write_folder

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU"),
]
GPU = torch.device("cuda")


def images(count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 32, 32, generator=make_generator(0))


def test_the_gpu_is_chosen_and_named() -> None:
    assert pick_device().type == "cuda"
    assert torch.cuda.get_device_name() in describe_device(GPU)
    with autocast(GPU):
        assert (torch.ones(2, 2, device=GPU) @ torch.ones(2, 2, device=GPU)).dtype != torch.float32


@pytest.mark.parametrize("name", ["tiny-ann", "tiny-direct", "tiny-poisson", "tiny-rsc"])
def test_logits_agree_with_the_cpu(tiny_zoo: Path, name: str) -> None:
    x = images()
    on_cpu = Zoo(tiny_zoo).load(name)(x, coding=DirectCoding())
    with torch.backends.cudnn.flags(allow_tf32=False):
        on_gpu = Zoo(tiny_zoo).load(name, GPU)(x.to(GPU), coding=DirectCoding())
    # A charge within rounding of the threshold may spike on one device alone.
    agreeing = torch.isclose(on_gpu.cpu(), on_cpu, atol=1e-3).all(dim=1).float().mean()
    assert agreeing >= 0.75


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_neurons_and_their_gradients_are_those_of_the_cpu(layout: torch.memory_format) -> None:
    """Every attack rests on this gradient."""
    layer = LIFNeuron(LIFConfig(tau=1.7, threshold=0.8))
    x = torch.randn(12, 8, 6, 6, generator=make_generator(0)).to(memory_format=layout)
    weights = torch.randn(x.shape, generator=make_generator(1))
    found = []
    for device in ("cpu", "cuda"):
        given = x.to(device).requires_grad_()
        spikes = layer(given, Call(4))
        (gradient,) = torch.autograd.grad((spikes * weights.to(device)).sum(), given)
        found.append((spikes.detach().cpu(), gradient.cpu()))
    (on_cpu, expected), (on_gpu, gradient) = found
    assert torch.equal(on_cpu, on_gpu)
    torch.testing.assert_close(gradient, expected)


def test_a_sweep_on_the_gpu_agrees_with_one_on_the_cpu(tiny_zoo: Path, tmp_path: Path) -> None:
    """The answers of a network without noise; of one with noise that there are as many."""
    write_pictures(tmp_path, tiny_zoo)
    cells = small_cells(tiny_zoo, tmp_path, small_grid("tiny-direct", "tiny-rsc"))
    place = workspace(tiny_zoo, tmp_path)
    stores = {}
    for device in ("cpu", "cuda"):
        stores[device] = DictStore()
        report = run_sweep(cells, stores[device], replace(place, device=device), workers=2)
        assert (report.done, report.failed) == (len(cells), {})
    for key, expected in stores["cpu"].results.items():
        found = stores["cuda"].results[key]
        assert found.answers.shape == expected.answers.shape
        if expected.cell.attack == CLEAN and not expected.cell.noisy:
            assert (found.answers == expected.answers).mean() > 0.9
        assert found.versions["convolutions"] in ("tf32", "float32")


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_every_attack_is_seeded_on_the_gpu(tiny_zoo: Path, attack: str) -> None:
    model = Zoo(tiny_zoo).load("tiny-rsc", GPU)
    x, labels = images(), torch.arange(4)
    first, again = (run_attack(model, x, labels, attack, {}, draws=2, seed=3) for _ in range(2))
    assert first.adversarial.device.type == "cuda"
    assert (first.adversarial - again.adversarial).abs().max() < 0.1
    assert first.adversarial.min() >= 0
    assert first.adversarial.max() <= 1


def test_running_out_of_gpu_memory_leaves_the_model_usable(tiny_zoo: Path) -> None:
    model = Zoo(tiny_zoo).load("tiny-rsc", GPU)
    with pytest.raises(DeviceMemoryError, match="use fewer draws"), memory_guard():
        torch.empty(2**42, device=GPU)
    assert model(images().to(GPU), generator=make_generator(0, GPU)).shape == (4, 10)


@pytest.mark.parametrize("attack", ["", '[adversarial]\nmethod = "fgsm"\nwatched = 8\n'])
def test_training_resumes_and_is_exported(tmp_path: Path, attack: str) -> None:
    place = write_folder(tmp_path)
    with (place / "tiny.toml").open("a") as file:
        file.write(attack)
    recipe, run = read_recipe(place / "tiny.toml"), place / "run"
    data, _, _ = training_images(recipe, place / "data")
    started = make_trainer(recipe, data, run, GPU, Worker(), None)
    started.run(stop_after=2)
    resumed = make_trainer(recipe, data, run, GPU, Worker(), None)
    assert resumed.step == 2
    for name, value in started.model.state_dict().items():
        assert value.device.type == GPU.type
        assert torch.equal(resumed.model.state_dict()[name], value), name
    assert train_recipe(recipe, run, GPU, data=place / "data", export=place / "models") is not None
    card, model = Zoo(place / "models").card("tiny"), Zoo(place / "models").load("tiny", GPU)
    assert stated(card.training).device == describe_device(GPU)
    assert [row["step"] for row in Zoo(place / "models").curve("tiny")] == [4, 8]
    assert model(torch.rand(2, 3, 16, 16, device=GPU)).shape == (2, 2)
