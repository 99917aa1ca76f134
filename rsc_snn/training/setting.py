"""With what a run is computed: its device and versions, from its first step to its last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from itertools import groupby

import torch

import rsc_snn
from rsc_snn.device import describe_device

_UNKNOWN = "not noted"


@dataclass(frozen=True)
class Setting:
    """What computes a part of a run; by default a part of which nothing was noted."""

    device: str = _UNKNOWN
    versions: Mapping[str, str] = field(default_factory=dict)


def setting_of(device: torch.device) -> Setting:
    """This process' own, on `device`."""
    versions = {
        "rsc_snn": rsc_snn.__version__,
        "torch": str(torch.__version__),  # a class of its own, which checkpoints may not hold
        "spikingjelly": metadata.version("spikingjelly"),
    }
    # Without the number of threads, which a resumed run may have changed.
    return Setting("CPU" if device.type == "cpu" else describe_device(device), versions)


def devices_text(settings: Sequence[Setting]) -> str:
    """The devices in order, such as `CPU, then GPU · NVIDIA L4`."""
    return _in_order(each.device for each in settings)


def versions_text(settings: Sequence[Setting]) -> dict[str, str]:
    """Of each package the versions in order, such as `2.12.0, then 2.13.0`."""
    names = dict.fromkeys(name for each in settings for name in each.versions)
    return {
        name: _in_order(each.versions.get(name, _UNKNOWN) for each in settings) for name in names
    }


def _in_order(texts: Iterable[str]) -> str:
    return ", then ".join(text for text, _ in groupby(texts))
