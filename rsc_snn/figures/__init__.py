"""Pure functions from arrays to plotly figures. They know neither torch nor the web framework.

Colours have the same meaning everywhere: blue is the clean image, orange the attacked one. Line
style and marker repeat what the colour says, so that no figure depends on colour alone.
"""

from __future__ import annotations

from rsc_snn.figures.activity import (
    activation_figure,
    channel_rates_figure,
    layer_rates_figure,
    raster_figure,
    rates_figure,
)
from rsc_snn.figures.comparison import energy_figure, transfer_figure
from rsc_snn.figures.neurons import (
    code_image,
    maps_image,
    membrane_figure,
    raster_image,
    rate_overlay,
)
from rsc_snn.figures.prediction import evolution_figure, probability_figure
from rsc_snn.figures.tradeoff import CurvePoint, tradeoff_figure
from rsc_snn.figures.training import training_figure

__all__ = [
    "CurvePoint",
    "activation_figure",
    "channel_rates_figure",
    "code_image",
    "energy_figure",
    "evolution_figure",
    "layer_rates_figure",
    "maps_image",
    "membrane_figure",
    "probability_figure",
    "raster_figure",
    "raster_image",
    "rate_overlay",
    "rates_figure",
    "tradeoff_figure",
    "training_figure",
    "transfer_figure",
]
