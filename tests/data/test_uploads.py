"""Every kind of picture a person may upload: pixels with a note, or one sentence."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from rsc_snn.data import uploads
from rsc_snn.data.pixels import square_rgb, to_array
from rsc_snn.data.uploads import decode_image
from rsc_snn.errors import ImageError


def save(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def noise(width: int = 16, height: int = 16, channels: int = 3, seed: int = 0) -> Any:
    """uint8 [H, W, channels]."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height, width, channels), dtype=np.uint8)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG made by hand of (type, content) chunks."""
    out = b"\x89PNG\r\n\x1a\n"
    for kind, content in chunks:
        check = zlib.crc32(kind + content)
        out += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
    return out


def header(width: int, height: int, depth: int = 8, colour: int = 2) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


def bytes_of(pixels: torch.Tensor) -> Any:
    """float [1, 3, H, W] in 0..1 to uint8 [H, W, 3]."""
    return (pixels[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


# --- Pictures that are used ---------------------------------------------------------------------


def test_png_of_the_right_size_keeps_its_pixels() -> None:
    picture = noise(32, 32)
    pixels, note = decode_image(save(Image.fromarray(picture)), 32)
    assert pixels.shape == (1, 3, 32, 32) and pixels.dtype == torch.float32
    assert pixels.is_contiguous() and note is None
    assert np.array_equal(bytes_of(pixels), picture)
    assert pixels.min() >= 0 and pixels.max() <= 1


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 95}), ("WEBP", {})])
def test_lossy_formats(kind: str, options: dict[str, Any]) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 32).astype(np.uint8)[:, None, None], (32, 32, 3))
    pixels, note = decode_image(save(Image.fromarray(np.array(ramp)), kind, **options), 32)
    assert note is None
    assert np.abs(bytes_of(pixels).astype(int) - ramp).max() < 24


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("size", [(40, 24), (24, 40), (25, 24)])
def test_centre_square_is_taken(kind: str, size: tuple[int, int]) -> None:
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    side = min(size)
    left, top = (width - side) // 2, (height - side) // 2
    picture[top : top + side, left : left + side] = 200
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels, note = decode_image(save(Image.fromarray(picture), kind, **options), 24)
    assert note == "cropped to the centre square"
    middle = bytes_of(pixels)[4:-4, 4:-4]
    assert np.abs(middle.astype(int) - 200).max() < 12


def test_large_picture_is_resampled_by_lanczos() -> None:
    picture = Image.fromarray(noise(100, 100))
    pixels, _ = decode_image(save(picture), 32)
    expected = np.asarray(picture.resize((32, 32), Image.Resampling.LANCZOS))
    assert np.array_equal(bytes_of(pixels), expected)


def test_small_picture_is_enlarged_with_a_note() -> None:
    pixels, note = decode_image(save(Image.new("RGB", (8, 8), (10, 20, 30))), 32)
    assert note == "enlarged from 8 pixels"
    assert (bytes_of(pixels) == (10, 20, 30)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = save(Image.fromarray(noise(32, 32)), kind, exif=exif)
    with Image.open(io.BytesIO(content)) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    assert np.array_equal(bytes_of(decode_image(content, 32).pixels), expected)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"Exif\0\0 broken", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_broken_exif_does_not_spoil_the_picture(exif: bytes) -> None:
    content = save(Image.fromarray(noise(32, 32)), "JPEG", exif=exif)
    assert decode_image(content, 32).note is None


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_alpha_is_composited_on_white(kind: str) -> None:
    picture = noise(32, 32, 4)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    pixels, note = decode_image(save(Image.fromarray(picture), kind, **options), 32)
    alpha = picture[..., 3:] / 255.0
    expected = picture[..., :3] * alpha + 255 * (1 - alpha)
    assert note == "transparency shown on white"
    assert np.abs(bytes_of(pixels) - expected).max() <= 1


def test_resampling_with_alpha_does_not_bleed_hidden_colours() -> None:
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[..., 0] = 255  # Red everywhere, but invisible in the left half.
    picture[:, 32:] = (0, 0, 255, 255)
    pixels = bytes_of(decode_image(save(Image.fromarray(picture)), 16).pixels).astype(int)
    whole = Image.alpha_composite(Image.new("RGBA", (64, 64), "white"), Image.fromarray(picture))
    expected = np.asarray(whole.convert("RGB").resize((16, 16), Image.Resampling.LANCZOS))
    # Away from the edge the same to rounding; at the edge Lanczos overshoots white only if
    # compositing comes first.
    assert np.abs(pixels - expected)[:, [0, 1, 2, 3, 12, 13, 14, 15]].max() <= 2
    assert (pixels[..., 0] <= pixels[..., 2]).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_colour_modes(mode: str) -> None:
    picture = Image.fromarray(noise(32, 32, 3 if mode == "P" else 4)).convert(mode)
    pixels, note = decode_image(save(picture), 32)
    rgba = picture.convert("RGBA")
    white = Image.new("RGBA", (32, 32), "white")
    expected = np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))
    assert np.array_equal(bytes_of(pixels), expected)
    assert (note == "transparency shown on white") == (mode in ("LA", "RGBA"))


@pytest.mark.parametrize("transparent", [True, False])
def test_palette_with_a_transparent_colour(transparent: bool) -> None:
    picture = Image.new("P", (32, 32), 1)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    options: dict[str, Any] = {"transparency": 1} if transparent else {}
    pixels, note = decode_image(save(picture, **options), 32)
    colour = (255, 255, 255) if transparent else (0, 0, 255)
    assert (bytes_of(pixels) == colour).all()
    assert note == ("transparency shown on white" if transparent else None)


def test_16_bit_grey() -> None:
    values = np.linspace(0, 65535, 1024).astype(np.uint16).reshape(32, 32)
    pixels, note = decode_image(save(Image.fromarray(values)), 32)
    assert note == "reduced from 16 to 8 bits a channel"
    assert np.array_equal(bytes_of(pixels)[..., 1], np.rint(values / 65535 * 255))


def test_16_bit_colour() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (16, 16, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    content = png(header(16, 16, depth=16), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    pixels, note = decode_image(content, 16)
    assert note == "reduced from 16 to 8 bits a channel"
    assert np.abs(bytes_of(pixels) - values / 257.0).max() <= 1


def test_cmyk() -> None:
    content = save(Image.new("CMYK", (32, 32), (255, 0, 0, 0)), "JPEG", quality=95)
    pixels, note = decode_image(content, 32)
    assert note == "converted from CMYK"
    red, green, blue = bytes_of(pixels).astype(int).mean(axis=(0, 1))
    assert red < 10 and green > 245 and blue > 245


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animation_shows_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("lime", "red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = save(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    pixels, note = decode_image(content, 32)
    assert note == "first frame of an animation"
    assert (bytes_of(pixels) == (0, 255, 0)).all()


def test_photograph_with_a_second_picture_is_no_animation() -> None:
    pictures = [Image.fromarray(noise(32, 32, seed=seed)) for seed in (1, 2)]
    content = save(pictures[0], "MPO", save_all=True, append_images=pictures[1:])
    pixels, note = decode_image(content, 32)
    assert note is None
    single = save(pictures[0], "JPEG")
    assert torch.equal(pixels, decode_image(single, 32).pixels)


def test_several_remarks_are_one_note() -> None:
    content = save(Image.fromarray(noise(20, 16, 4)))
    assert decode_image(content, 32).note == (
        "transparency shown on white; cropped to the centre square; enlarged from 16 pixels"
    )


@settings(max_examples=30, deadline=None)
@given(
    st.integers(8, 60),
    st.integers(8, 60),
    st.integers(8, 48),
    st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
)
def test_any_shape_and_mode(width: int, height: int, size: int, mode: str) -> None:
    picture = Image.fromarray(noise(width, height, 4))
    picture = picture.convert("L").convert("I").convert("I;16") if mode == "I;16" else picture
    picture = picture if mode == "I;16" else picture.convert(mode)
    content = save(picture)
    pixels = decode_image(content, size).pixels
    assert pixels.shape == (1, 3, size, size)
    assert pixels.min() >= 0 and pixels.max() <= 1


@settings(deadline=None)
@given(st.integers(1, 30).map(lambda half: 2 * half), st.integers(4, 24))
def test_cropping_commutes_with_mirroring(extra: int, size: int) -> None:
    picture = Image.fromarray(noise(24 + extra, 24))
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    here = to_array(square_rgb(picture, size)).astype(int)
    there = to_array(square_rgb(mirrored, size)).astype(int)
    assert np.abs(here - there[..., ::-1]).max() <= 1


# --- Pictures that are refused -------------------------------------------------------------------


def refused(content: bytes, pattern: str) -> None:
    """ImageError with one sentence that matches."""
    with pytest.raises(ImageError, match=pattern) as caught:
        decode_image(content, 32)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 160


def test_empty_file() -> None:
    refused(b"", "The file is empty")


def test_too_many_bytes() -> None:
    refused(b"\xff\xd8" + bytes(11 * 2**20), r"The file has 11\.0 MB; at most 10 MB")
    padded = save(Image.new("RGB", (32, 32)))
    assert decode_image(padded + bytes(10 * 2**20 - len(padded)), 32).pixels.max() == 0


@pytest.mark.parametrize("size", [(1, 1), (7, 7), (7, 500), (500, 1), (10_000, 1)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_tiny_pictures(kind: str, size: tuple[int, int]) -> None:
    content = save(Image.new("RGB", size), kind)
    refused(content, f"has only {size[0]}x{size[1]} pixels; it must be at least 8x8")


@pytest.mark.parametrize("size", [(800, 79), (20, 300), (16000, 10)])
def test_elongated_pictures(size: tuple[int, int]) -> None:
    refused(save(Image.new("RGB", size)), f"of {size[0]}x{size[1]} pixels is too elongated")
    assert decode_image(save(Image.new("RGB", (800, 80))), 32).note is not None


@pytest.mark.parametrize(
    ("make", "pattern"),
    [
        (lambda: save(Image.new("RGB", (9, 9)), "GIF"), "is a GIF image"),
        (lambda: save(Image.new("RGB", (9, 9)), "BMP"), "is a BMP image"),
        (lambda: save(Image.new("RGB", (9, 9)), "TIFF"), "is a TIFF image"),
        (lambda: save(Image.new("RGB", (9, 9)), "PDF"), "is a PDF document"),
        (lambda: save(Image.new("RGB", (16, 16)), "ICO"), "is a Windows icon"),
        (lambda: b'<?xml version="1.0"?><svg xmlns="x"/>', "is an SVG drawing"),
        (lambda: b"\0\0\0\x18ftypheic" + bytes(50), "is a HEIC, AVIF or video file"),
        (lambda: b"PK\x03\x04" + bytes(50), "is a ZIP archive"),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", "is not an image of a known kind"),
        (lambda: b"holiday.jpg", "is not an image of a known kind"),
        (lambda: b"RIFF\x24\0\0\0WAVE", "is not an image of a known kind"),
    ],
)
def test_other_formats(make: Callable[[], bytes], pattern: str) -> None:
    refused(make(), f"The file {pattern}; only PNG, JPEG and WebP images can be used")


@pytest.mark.parametrize(
    ("kind", "name"), [("PNG", "PNG"), ("JPEG", "JPEG"), ("WEBP", "WebP"), ("MPO", "JPEG")]
)
@pytest.mark.parametrize("keep", [0.02, 0.1, 0.5, 0.9])
def test_truncated_pictures(kind: str, name: str, keep: float) -> None:
    content = save(Image.fromarray(noise(64, 64)), kind)
    refused(content[: max(12, int(keep * len(content)))], f"The {name} image is damaged")


@pytest.mark.parametrize("magic", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBP"])
def test_signature_and_nothing_more(magic: bytes) -> None:
    refused(magic, "is damaged or incomplete")
    refused(magic + bytes(1000), "is damaged or incomplete")


def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: Any) -> None:
        raise AssertionError("the pixels were decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("side", "pattern"),
    [
        (6_400, r"too many pixels \(6400x6400\); at most 40 million"),
        (12_000, "too many pixels"),
        (100_000, "too many pixels; at most 40 million"),
        (2**31 - 1, "too many pixels"),
    ],
)
def test_bomb_is_refused_by_its_header(
    monkeypatch: pytest.MonkeyPatch, side: int, pattern: str
) -> None:
    no_decoding(monkeypatch)
    data = (b"IDAT", zlib.compress(bytes(1000)))
    refused(png(header(side, side), data, (b"IEND", b"")), pattern)


def test_jpeg_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(save(Image.new("RGB", (32, 32)), "JPEG"))
    start = content.index(b"\xff\xc0") + 5
    content[start : start + 4] = struct.pack(">HH", 60_000, 60_000)
    no_decoding(monkeypatch)
    refused(bytes(content), "too many pixels")


def test_webp_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    content = bytearray(save(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    start = content.index(b"VP8X") + 12
    content[start : start + 6] = (15_999).to_bytes(3, "little") * 2
    no_decoding(monkeypatch)
    refused(bytes(content), "too many pixels")


def test_text_bomb_in_a_png() -> None:
    text = b"Comment\0\0" + zlib.compress(bytes(100 * 2**20))
    body = zlib.compress(bytes(16 * 49))
    content = png(header(16, 16), (b"zTXt", text), (b"IDAT", body), (b"IEND", b""))
    refused(content, "The PNG image is damaged or incomplete")


def test_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: Any) -> None:
        raise MemoryError

    content = save(Image.new("RGB", (32, 32)))
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    refused(content, "too large for this machine's memory")


SEEDS = [
    save(Image.fromarray(noise(24, 24, 4))),
    save(Image.fromarray(noise(24, 24)).convert("P")),
    save(Image.fromarray(noise(24, 24)), "JPEG"),
    save(Image.fromarray(noise(24, 24)), "JPEG", progressive=True),
    save(Image.fromarray(noise(24, 24)), "WEBP"),
    save(Image.fromarray(noise(24, 24, 4)), "WEBP", lossless=True),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 5000),
)
def test_damaged_bytes_give_a_picture_or_a_sentence(
    content: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    damaged = damaged[: max(1, len(damaged) - cut // 10)]
    try:
        pixels = decode_image(bytes(damaged), 16).pixels
    except ImageError as error:
        assert str(error).endswith(".")
    else:
        assert pixels.shape == (1, 3, 16, 16) and bool(torch.isfinite(pixels).all())


def test_limits_fit_the_size_limit_of_the_app() -> None:
    assert uploads.MAX_BYTES == 10 * 2**20 and uploads.MAX_PIXELS == 40_000_000
