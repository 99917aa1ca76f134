"""A button that copies the page's address."""

from __future__ import annotations

from rsc_snn.ui.components.assets import register

_mount = register("link_button")


def copy_link(*, key: str) -> None:
    """The button "Copy link". It copies in the browser and reruns nothing."""
    _mount(key=key, width="content")
