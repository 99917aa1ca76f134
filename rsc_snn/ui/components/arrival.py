"""Where a visitor arrives: at the top of what is new, at a place in it, or back in the text."""

from __future__ import annotations

from rsc_snn.ui.components.assets import register

_mount = register("arrival", isolate=False)


def arrive(anchor: str, count: int, *, key: str) -> None:
    """Scroll to the element with the id `anchor`, or to the top if it is empty.

    Once for each `count`; with 0 the visitor is where the browser put them, and stays there. The
    framework leaves the page where it was scrolled to when all of it is another. Who followed a
    link to the glossary comes back to where they were by the browser's Back, or by a link of the
    class `rsc-back`.
    """
    _mount(key=key, data={"anchor": anchor, "count": count}, height="content")
