"""Parts of pages that the browser draws itself: they play, zoom and paint without a rerun."""

from __future__ import annotations

from rsc_snn.ui.components.arrival import arrive
from rsc_snn.ui.components.link_button import copy_link
from rsc_snn.ui.components.painting import PaintData, painter
from rsc_snn.ui.components.player import PlayerColumn, PlayerData, time_player
from rsc_snn.ui.components.plotting import plot, plot_routes
from rsc_snn.ui.components.raster import RasterBand, RasterData, raster_view

__all__ = [
    "PaintData",
    "PlayerColumn",
    "PlayerData",
    "RasterBand",
    "RasterData",
    "arrive",
    "copy_link",
    "painter",
    "plot",
    "plot_routes",
    "raster_view",
    "time_player",
]
