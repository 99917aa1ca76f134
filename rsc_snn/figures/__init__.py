"""Pure functions from arrays to plotly figures. They know neither torch nor the web framework.

Colours have the same meaning everywhere: blue is the clean image, orange the attacked one. Line
style and marker repeat what the colour says, so that no figure depends on colour alone.
"""

from __future__ import annotations

from rsc_snn.figures.activity import (
    channel_rates_figure,
    layer_rates_figure,
)
from rsc_snn.figures.comparison import energy_figure, transfer_figure
from rsc_snn.figures.neurons import (
    membrane_figure,
    rate_overlay,
)
from rsc_snn.figures.prediction import evolution_figure, probability_figure
from rsc_snn.figures.tradeoff import CurvePoint, tradeoff_figure
from rsc_snn.figures.training import training_figure

__all__ = [
    "CurvePoint",
    "channel_rates_figure",
    "energy_figure",
    "evolution_figure",
    "layer_rates_figure",
    "membrane_figure",
    "probability_figure",
    "rate_overlay",
    "tradeoff_figure",
    "training_figure",
    "transfer_figure",
]
