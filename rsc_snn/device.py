"""Where to compute: device choice, precision, allocator and out-of-memory handling."""

from __future__ import annotations

import ctypes
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import torch

from rsc_snn.errors import ConfigError, DeviceMemoryError
from rsc_snn.settings import check_threads

# Torch has more, such as "meta", which computes nothing.
_NAMES = re.compile(r"cpu|mps|cuda(:[0-9]+)?")
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4


def use_threads(threads: int) -> None:
    """Compute on so many threads of the CPU. Raises ConfigError (see `check_threads`)."""
    check_threads(threads)
    torch.set_num_threads(threads)


def pick_device(name: str | None = None) -> torch.device:
    """The device called `name`, or the best there is: cuda, then mps, then cpu.

    name: cpu, cuda, cuda:1 for the second of several, or mps; "auto" is as None. Raises
    ConfigError if the named device does not exist on this machine.
    """
    if name is None or name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    missing = f"The device {name!r} is not available on this machine."
    if not _NAMES.fullmatch(name):
        raise ConfigError(missing)
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(missing) from error
    return device


def describe_device(device: torch.device) -> str:
    """A short text for a person, such as `GPU · NVIDIA L4` or `CPU · 2 threads`."""
    if device.type == "cuda":
        return f"GPU · {torch.cuda.get_device_name(device)}"
    if device.type == "mps":
        return "GPU · Apple Metal"
    threads = torch.get_num_threads()
    return f"CPU · {threads} thread{'s' * (threads != 1)}"


@lru_cache(maxsize=1)
def processor_name() -> str:
    """The model of this machine's CPU, or its architecture where the system does not say it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(filter(None, models), platform.processor() or platform.machine())


def processor_text() -> str:
    """The CPU and the instructions that torch uses of it, such as `AMD EPYC, AVX2`."""
    return f"{processor_name()}, {torch.backends.cpu.get_cpu_capability()}"


def arithmetic(device: torch.device) -> dict[str, str]:
    """What decides the last digits of results beside versions, for a record of them.

    fast_gradients: the numbers of gradients whose attack has the precision "fast" (see
    `has_fast_bfloat16`); all others are of float32. convolutions: of GPUs alone; "tf32" where they
    round their factors to 10 bits, as PyTorch lets them by default since Ampere.
    """
    fast = "bfloat16" if has_fast_bfloat16(device) else "float32"
    found = {"processor": processor_text(), "fast_gradients": fast}
    if device.type == "cuda":
        ampere = torch.cuda.get_device_capability(device) >= (8, 0)
        found["convolutions"] = "tf32" if ampere and torch.backends.cudnn.allow_tf32 else "float32"
    return found


def autocast(device: torch.device, enabled: bool = True) -> torch.autocast:
    """bfloat16 autocast where the hardware has it, else a context that changes nothing."""
    # GPUs before Ampere emulate it: slower than float32, and cuDNN has no convolutions for it.
    has_bf16 = (
        torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
        if device.type == "cuda"
        else has_fast_bfloat16(device)
    )
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled and has_bf16)


def has_fast_bfloat16(device: torch.device) -> bool:
    """True for a CPU with bfloat16 instructions: convolutions take half of float32's time.

    Other CPUs emulate bfloat16, and a step of training takes ten times as long with it. False
    for GPUs.
    """
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    features = torch.cpu.get_capabilities()
    return any(features.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep large freed blocks for re-use; True if it was told.

    By default glibc returns every large temporary to the kernel and pays page faults for the
    next one; a spiking network makes hundreds of them per batch. Keeping them about doubles the
    speed of training on a CPU. For batch processes only: the app gives memory back.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    settings = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 64 * 2**20}
    return all(libc.mallopt(key, value) for key, value in settings.items())


@contextmanager
def memory_guard() -> Iterator[None]:
    """Turn an out-of-memory failure of the device or the host into a DeviceMemoryError."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise DeviceMemoryError(_MEMORY_SENTENCE) from error
    except RuntimeError as error:
        # Of the CPU's allocator; and of a size that no machine has.
        if not any(words in str(error) for words in _NO_MEMORY):
            raise
        raise DeviceMemoryError(_MEMORY_SENTENCE) from error


_NO_MEMORY = ("can't allocate memory", "Storage size calculation overflowed")
_MEMORY_SENTENCE = (
    "This does not fit into the memory of the device; "
    "use fewer draws, fewer time steps or a smaller batch."
)
