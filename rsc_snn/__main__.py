"""`python -m rsc_snn`."""

from __future__ import annotations

import sys

from rsc_snn.cli import main

if __name__ == "__main__":
    sys.exit(main())
