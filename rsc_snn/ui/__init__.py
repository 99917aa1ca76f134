"""The app's components: controls, results, progress, errors. Pages put them together.

`query`, `memo` and `images` are plain Python and can be used without the web framework.
"""

from __future__ import annotations

import os

# The threads of one computation wait for each other asleep, not spinning: on a small machine the
# visitor's browser wants the same cores. It counts only if torch is not loaded yet.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
