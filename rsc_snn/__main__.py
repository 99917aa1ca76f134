"""`python -m rsc_snn`."""

from __future__ import annotations

import os
import signal
import sys
from types import ModuleType
from typing import Any

_STOPPED = 130


def _interrupt(*_: Any) -> None:
    """Ctrl-C. Some modules break if their import is interrupted, so that ends the program at once.

    Raises KeyboardInterrupt.
    """
    if any(map(_is_half_imported, tuple(sys.modules.values()))):
        os.write(2, b"rsc-snn: stopped\n")
        os._exit(_STOPPED)
    raise KeyboardInterrupt


def _is_half_imported(module: object) -> bool:
    spec = vars(module).get("__spec__") if isinstance(module, ModuleType) else None
    return bool(getattr(spec, "_initializing", False))


# Not where Ctrl-C is ignored, as in the background of a script.
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _interrupt)

from rsc_snn.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
