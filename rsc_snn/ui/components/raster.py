"""A raster of the spikes of thousands of neurons, original against attacked, drawn as an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsc_snn.figures.style import ADVERSARIAL, CLEAN, NEUTRAL
from rsc_snn.ui.components.assets import chosen_number, nothing, register
from rsc_snn.ui.components.payload import pack_codes, pack_numbers

# How neurons may be ordered within their layers: by number, busiest first, most changed first.
ORDERS = ("number", "spikes", "changes")
SILENT, ONLY_CLEAN, ONLY_ADVERSARIAL, BOTH = range(4)

_mount = register("raster")


@dataclass(frozen=True)
class RasterBand:
    """A layer: its name, and how many rows in a row are its neurons."""

    name: str
    rows: int


@dataclass(frozen=True)
class RasterData:
    """Who spikes when.

    codes: `[T, M]`, 0 silent, 1 a spike only in the original, 2 only in the attacked pass, 3 in
    both. bands: the layers from the top, M rows together. neurons: the number within its layer of
    each row, `[M]`. chosen: the row marked until the visitor chooses one. order: one of ORDERS,
    in which rows are drawn until the visitor chooses another.
    """

    codes: NDArray[np.uint8]
    bands: tuple[RasterBand, ...]
    neurons: NDArray[np.integer[Any]]
    chosen: int | None = None
    order: str = ORDERS[0]

    def __post_init__(self) -> None:
        if self.codes.ndim != 2 or self.codes.size == 0 or self.codes.dtype != np.uint8:
            raise ValueError("codes are bytes [T, M], at least one")
        if self.codes.max() > BOTH:
            raise ValueError("codes are 0, 1, 2 or 3")
        rows = self.codes.shape[1]
        if sum(band.rows for band in self.bands) != rows or self.neurons.shape != (rows,):
            raise ValueError("bands and neurons have as many rows as the codes")
        if self.order not in ORDERS:
            raise ValueError(f"the order is one of {', '.join(ORDERS)}")


def raster_view(data: RasterData, *, key: str) -> int | None:
    """Draw the raster; the row 0..M-1 that the visitor chose, else `data.chosen`.

    Zooming, panning and the choice of what is shown happen in the browser and rerun nothing. So
    does sorting, but the browser tells the new order, for the page's link: it is the session
    state's `order` under `key`. Rows keep their numbers when they are sorted.
    """
    state = _mount(key=key, data=_payload(data), on_row_change=nothing, on_order_change=nothing)
    row = chosen_number(state.get("row"), 0, data.codes.shape[1] - 1)
    return data.chosen if row is None else row


def _payload(data: RasterData) -> dict[str, Any]:
    steps, rows = data.codes.shape
    return {
        "steps": steps,
        "rows": rows,
        # Row after row, as the browser draws them.
        "codes": pack_codes(np.ascontiguousarray(data.codes.T)),
        "neurons": pack_numbers(data.neurons),
        "bands": [{"name": band.name, "rows": band.rows} for band in data.bands],
        "chosen": data.chosen,
        "order": data.order,
        "colours": {"clean": CLEAN, "adversarial": ADVERSARIAL, "both": NEUTRAL},
    }
