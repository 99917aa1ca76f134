"""What a page shows of an outcome, in words for programs: to compare it with a headless run.

The app puts one hidden element beside each result that it shows; `read_markers` finds them in a
page's HTML. Facts of the same request are equal, to the bit, if they were computed on the same
device with the same number of threads.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsc_snn.outcome import AttackRequest, Outcome

ATTRIBUTE = "data-rsc-result"
_DIGITS = 16
_MARKER = re.compile(rf"""{ATTRIBUTE}=(?:"([^"]*)"|'([^']*)')""")


def request_digest(request: AttackRequest) -> str:
    """A short name of everything that determines the outcome, the same in every process."""
    image = request.image
    parameters = {name: _plain(value) for name, value in request.parameters}
    everything = [
        request.model,
        request.sha256,
        image.digest,
        image.label,
        request.attack,
        parameters,
        request.time_steps,
        _plain(request.sigma),
        request.draws,
        request.seed,
    ]
    return _digest(json.dumps(everything, sort_keys=True).encode())


def _plain(value: Any) -> Any:
    """8 and 8.0 are one value."""
    whole = isinstance(value, float) and value.is_integer()
    return int(value) if whole else value


def result_facts(digest: str, outcome: Outcome) -> dict[str, Any]:
    """What the outcome of the request with `digest` says, ready for JSON.

    clean, adversarial: the class of each draw. pixels, logits: digests of the attacked image
    `[C, H, W]` and of both images' logits `[D, K]`, to the bit.
    """
    return {
        "request": digest,
        "verdict": outcome.verdict,
        "label": outcome.label,
        "clean": outcome.clean_votes.tolist(),
        "adversarial": outcome.adversarial_votes.tolist(),
        "pixels": _array_digest(outcome.adversarial),
        "logits": _array_digest(outcome.clean_logits, outcome.adversarial_logits),
        "device": outcome.device,
        "threads": outcome.threads,
    }


def marker_html(facts: dict[str, Any]) -> str:
    """The hidden element that carries `facts`."""
    return f'<div hidden {ATTRIBUTE}="{html.escape(json.dumps(facts))}"></div>'


def read_markers(text: str) -> list[dict[str, Any]]:
    """The facts in every hidden element of a page's HTML, in its order."""
    return [json.loads(html.unescape(a or b)) for a, b in _MARKER.findall(text)]


def _array_digest(*arrays: NDArray[Any]) -> str:
    return _digest(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]
