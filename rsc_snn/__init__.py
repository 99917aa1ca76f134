"""RSC-SNN: randomized smoothing coding for spiking neural networks, attacked and shown live."""

from __future__ import annotations

__version__ = "0.2.0"
