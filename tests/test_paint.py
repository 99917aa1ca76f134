"""Painted patterns: a round trip through text, hostile text, and pixels that stay in range."""

from __future__ import annotations

import base64
import contextlib
import re
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from rsc_snn.errors import PaintError
from rsc_snn.paint import apply_paint, decode_paint, encode_paint

PATTERNS = arrays(
    np.int8, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(-1, 1)
)


def packed(runs: bytes) -> str:
    """Text of any bytes, deflated as `encode_paint` does."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = deflate.compress(runs) + deflate.flush()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def noise(side: int, seed: int = 0) -> NDArray[np.int8]:
    """A pattern that no coding can shorten much."""
    return np.random.default_rng(seed).integers(-1, 2, (side, side), dtype=np.int8)


@given(PATTERNS)
def test_a_pattern_survives_as_text(pattern: NDArray[np.int8]) -> None:
    text = encode_paint(pattern)
    assert re.fullmatch(r"[A-Za-z0-9_-]*", text)
    decoded = decode_paint(text, pattern.shape)
    assert decoded.dtype == np.int8
    np.testing.assert_array_equal(decoded, pattern)


@pytest.mark.parametrize("side", [1, 32, 128, 512])
def test_the_worst_patterns_survive_too(side: int) -> None:
    checks = (np.indices((side, side)).sum(0) % 2).astype(np.int8)
    full = np.full((side, side), -1, np.int8)
    for pattern in (noise(side), checks, full):
        np.testing.assert_array_equal(decode_paint(encode_paint(pattern), pattern.shape), pattern)


def test_text_is_short() -> None:
    pattern = np.zeros((32, 32), np.int8)
    assert encode_paint(pattern) == ""
    pattern[10:13, 4:20] = 1
    pattern[20:26, 8:11] = -1
    assert len(encode_paint(pattern)) < 40
    # A cell of three equally likely values has log2(3) bits, a character of base64 has six.
    assert len(encode_paint(noise(128))) < 1.5 * 128 * 128 * np.log2(3) / 6


def test_values_beyond_the_three_are_refused() -> None:
    with pytest.raises(ValueError, match="-1, 0 and 1"):
        encode_paint(np.full((2, 2), 3, np.int8))


@pytest.mark.parametrize(
    "text",
    [
        "!",
        "not base64 at all",
        "é" * 8,
        "AAAA",
        "A",
        encode_paint(noise(32))[:-6],
        encode_paint(noise(32)) + "AAAA",
        encode_paint(noise(32)).replace("A", "+"),
        packed(b"\xff" * 1000),
        packed(b"\x80"),
        packed(b"\x00" * 1000),
        packed(b"\x04" * 1023),
        "A" * 1_000_000,
    ],
    ids=lambda text: text[:12],
)
def test_damaged_text_is_one_sentence(text: str) -> None:
    with pytest.raises(PaintError, match=r"^The painted pattern .*\.$"):
        decode_paint(text, (32, 32))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(PaintError):
        assert decode_paint(text, (8, 8)).shape == (8, 8)


def test_another_size_is_refused() -> None:
    with pytest.raises(PaintError, match="does not fit a photograph of 64 × 64 pixels"):
        decode_paint(encode_paint(noise(32)), (64, 64))
    with pytest.raises(PaintError):
        decode_paint(encode_paint(noise(64)), (32, 32))
    with pytest.raises(PaintError, match="32 × 32"):
        apply_paint(torch.rand(1, 3, 32, 32), noise(64), 8 / 255)


def test_a_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand characters that would become a million bytes are stopped at the limit."""
    bomb = packed(b"\x04" * 1_000_000)
    assert len(bomb) < 2000
    made: list[int] = []
    real = zlib.decompressobj

    class Watched:
        def __init__(self, bits: int) -> None:
            self._inner = real(bits)

        def decompress(self, data: bytes, limit: int) -> bytes:
            content = self._inner.decompress(data, limit)
            made.append(len(content))
            return content

        def __getattr__(self, name: str) -> object:
            return getattr(self._inner, name)

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    with pytest.raises(PaintError):
        decode_paint(bomb, (32, 32))
    assert made and max(made) <= 32 * 32 + 1


@given(PATTERNS, st.integers(0, 64), st.integers(0, 2**16))
def test_painted_pixels_move_by_epsilon_and_stay_in_range(
    pattern: NDArray[np.int8], epsilon: int, seed: int
) -> None:
    x = torch.rand(1, 3, *pattern.shape, generator=torch.Generator().manual_seed(seed))
    painted = apply_paint(x, pattern, epsilon / 255)
    expected = np.clip(x.numpy() + np.float32(epsilon / 255) * pattern, 0, 1)
    np.testing.assert_allclose(painted.numpy(), expected, atol=1e-6)
    assert painted.dtype == x.dtype
    untouched = pattern == 0
    np.testing.assert_array_equal(painted.numpy()[..., untouched], x.numpy()[..., untouched])
