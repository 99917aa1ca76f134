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
from rsc_snn.figures.explorer import (
    Look,
    Show,
    curves_figure,
    epsilon_figure,
    heat_figure,
    plane_figure,
)
from rsc_snn.figures.indices import Row, components_figure, prices_figure, votes_figure
from rsc_snn.figures.neurons import (
    membrane_figure,
    rate_overlay,
    rate_scale,
)
from rsc_snn.figures.prediction import evolution_figure, probability_figure
from rsc_snn.figures.tradeoff import CurvePoint, tradeoff_figure
from rsc_snn.figures.training import training_figure

__all__ = [
    "CurvePoint",
    "Look",
    "Row",
    "Show",
    "channel_rates_figure",
    "components_figure",
    "curves_figure",
    "energy_figure",
    "epsilon_figure",
    "evolution_figure",
    "heat_figure",
    "layer_rates_figure",
    "membrane_figure",
    "plane_figure",
    "prices_figure",
    "probability_figure",
    "rate_overlay",
    "rate_scale",
    "tradeoff_figure",
    "training_figure",
    "transfer_figure",
    "votes_figure",
]
