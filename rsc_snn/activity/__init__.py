"""Everything that a network did on an image, on its attacked twin, and on the image once more.

Three passes are recorded. The adversarial pass has the same noise as the clean one, so that the
perturbation alone makes the difference; the control pass sees the clean image with other noise,
so that its difference is what noise alone changes. Spikes are packed eight to a byte: 73,728
neurons over 8 steps take 72 KiB a pass. All views of a recording are plain functions of it.
"""

from __future__ import annotations

from rsc_snn.activity.firing import Rates, channel_rates, rates, running_prediction, turnover
from rsc_snn.activity.maps import (
    BRIGHTEST,
    DARKEST,
    GAP,
    channel_maps,
    rate_map,
    rate_of_one,
)
from rsc_snn.activity.neuron import NeuronTrace, neuron_inside, neuron_trace
from rsc_snn.activity.rasters import (
    BOTH,
    MOST_ROWS,
    ONLY_ADVERSARIAL,
    ONLY_CLEAN,
    SILENT,
    Band,
    Order,
    Raster,
    raster,
)
from rsc_snn.activity.record import (
    Activity,
    LayerActivity,
    Membranes,
    PassActivity,
    Which,
    record_activity,
)

__all__ = [
    "BOTH",
    "BRIGHTEST",
    "DARKEST",
    "GAP",
    "MOST_ROWS",
    "ONLY_ADVERSARIAL",
    "ONLY_CLEAN",
    "SILENT",
    "Activity",
    "Band",
    "LayerActivity",
    "Membranes",
    "NeuronTrace",
    "Order",
    "PassActivity",
    "Raster",
    "Rates",
    "Which",
    "channel_maps",
    "channel_rates",
    "neuron_inside",
    "neuron_trace",
    "raster",
    "rate_map",
    "rate_of_one",
    "rates",
    "record_activity",
    "running_prediction",
    "turnover",
]
