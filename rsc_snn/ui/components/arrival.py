"""Where a visitor arrives: at the top of what is new, or at a place in it."""

from __future__ import annotations

from rsc_snn.ui.components.assets import register

_mount = register("arrival", isolate=False)


def arrive(anchor: str, count: int, *, key: str) -> None:
    """Scroll to the element with the id `anchor`, or to the top if it is empty.

    Once for each `count`; with 0 the visitor is where the browser put them, and stays there. The
    framework leaves the page where it was scrolled to when all of it is another.
    """
    _mount(key=key, data={"anchor": anchor, "count": count}, height="content")
