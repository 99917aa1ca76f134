"""Device choice and out-of-memory handling."""

from __future__ import annotations

import pytest
import torch

from rsc_snn.device import (
    arithmetic,
    autocast,
    describe_device,
    memory_guard,
    pick_device,
    processor_name,
)
from rsc_snn.errors import ConfigError, DeviceMemoryError


def test_the_cpu_is_always_there() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert describe_device(torch.device("cpu")).startswith("CPU")


@pytest.mark.parametrize(("fast", "numbers"), [(True, "bfloat16"), (False, "float32")])
def test_a_record_names_the_processor_and_the_numbers_of_gradients(
    fast: bool, numbers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    capabilities = {"avx512_bf16": fast}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    found = arithmetic(torch.device("cpu"))
    assert found["processor"].startswith(processor_name()) and processor_name().strip()
    assert torch.backends.cpu.get_cpu_capability() in found["processor"]
    assert found["fast_gradients"] == numbers
    assert "convolutions" not in found


@pytest.mark.parametrize(
    ("capability", "allowed", "said"),
    [((9, 0), True, "tf32"), ((9, 0), False, "float32"), ((7, 5), True, "float32")],
)
def test_a_record_of_a_gpu_says_whether_its_convolutions_round(
    capability: tuple[int, int], allowed: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    with torch.backends.cudnn.flags(allow_tf32=allowed):
        assert arithmetic(torch.device("cuda"))["convolutions"] == said


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_auto_is_not_cuda_and_cuda_is_one_sentence() -> None:
    assert pick_device().type != "cuda"
    assert pick_device("auto") == pick_device()
    with pytest.raises(ConfigError, match="'cuda' is not available"):
        pick_device("cuda")


@pytest.mark.parametrize("name", ["abacus", "meta", "cpu:1", "cuda:x", "cuda:999", "", "cpu\n"])
def test_any_other_device_is_one_sentence(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pick_device(name)
    assert str(caught.value) == f"The device {name!r} is not available on this machine."


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_running_out_of_memory_is_one_sentence(error: Exception) -> None:
    with pytest.raises(DeviceMemoryError, match="use fewer draws"), memory_guard():
        raise error


def test_a_real_failed_allocation_is_caught() -> None:
    with pytest.raises(DeviceMemoryError), memory_guard():
        torch.empty(2**55)


def test_other_errors_pass_through() -> None:
    with pytest.raises(RuntimeError, match="shape"), memory_guard():
        raise RuntimeError("shape mismatch")


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_that_emulates_bfloat16_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    asked: list[bool] = []
    monkeypatch.setattr(torch, "autocast", lambda *_, enabled, **__: asked.append(enabled))
    autocast(torch.device("cuda"))
    assert asked == [native]


def test_autocast_can_be_switched_off() -> None:
    a = torch.rand(4, 4)
    with autocast(torch.device("cpu"), enabled=False):
        assert (a @ a).dtype == torch.float32
