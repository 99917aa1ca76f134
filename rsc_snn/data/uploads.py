"""A picture from a person to the pixels a network sees, or one sentence why not.

The content decides, never the file's name. Nothing is decoded before the number of bytes and the
number of pixels announced by the header have been checked. Pillow does the decoding, restricted to
three formats, because each further decoder is a further way in.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from rsc_snn.data.pixels import square_rgb, to_array, to_unit
from rsc_snn.errors import ImageError

MAX_BYTES = 10 * 2**20
MAX_PIXELS = 40_000_000
MIN_SIDE = 8
MAX_ASPECT = 10.0

_ACCEPTED = ("PNG", "JPEG", "WEBP")
_ONLY = "only PNG, JPEG and WebP images can be used"
_ORIENTATION_TAG = 0x0112
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# First bytes of what people try, for a sentence that names it.
_OTHER_FORMATS = (
    (b"GIF8", "GIF image"),
    (b"BM", "BMP image"),
    (b"II*\0", "TIFF image"),
    (b"MM\0*", "TIFF image"),
    (b"%PDF", "PDF document"),
    (b"8BPS", "Photoshop file"),
    (b"PK\x03\x04", "ZIP archive"),
    (b"\0\0\x01\0", "Windows icon"),
)


class DecodedImage(NamedTuple):
    """`pixels` float32 [1, 3, H, W] in 0..1; `note` says what was done to the picture, if any."""

    pixels: Tensor
    note: str | None


def decode_image(
    data: bytes, image_size: int, *, most_bytes: int = MAX_BYTES, most_pixels: int = MAX_PIXELS
) -> DecodedImage:
    """Decode an uploaded PNG, JPEG or WebP to a square of `image_size` pixels.

    The picture is turned as its EXIF orientation says, cropped to its centre square and resampled
    by Lanczos. Of an animation the first frame is used, transparency is shown on white, CMYK and
    16-bit pictures become 8-bit RGB, each with a note. most_bytes, most_pixels: limits of the file
    and of what its header announces. Raises ImageError with one sentence for
    everything that cannot be used.
    """
    kind = _check_bytes(data, most_bytes)
    try:
        with Image.open(io.BytesIO(data), formats=_ACCEPTED) as image:
            _check_shape(image, most_pixels)
            note = "; ".join(_remarks(image, data, image_size)) or None
            orientation = _orientation(image)
            picture = square_rgb(image, image_size)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_too_many_pixels(most_pixels)) from error
    except MemoryError as error:
        raise ImageError("The image is too large for this machine's memory.") from error
    except Exception as error:
        # Decoders fed with damaged data raise whatever they stumble over (OSError, ValueError,
        # SyntaxError, struct.error, IndexError...); to the person it is all the same.
        raise ImageError(f"The {kind} image is damaged or incomplete.") from error
    if orientation in _ORIENTATIONS:
        picture = picture.transpose(_ORIENTATIONS[orientation])
    pixels = to_unit(torch.from_numpy(to_array(picture)).unsqueeze(0))
    return DecodedImage(pixels, note)


def _check_bytes(data: bytes, most: int) -> str:
    """The name of the accepted format that the first bytes announce, or ImageError."""
    if not data:
        raise ImageError("The file is empty.")
    if len(data) > most:
        raise ImageError(
            f"The file has {len(data) / 2**20:.1f} MB; at most {most // 2**20} MB can be used."
        )
    if data.startswith(b"\x89PNG"):
        return "PNG"
    if data.startswith(b"\xff\xd8"):
        return "JPEG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    raise ImageError(f"The file {_guess(data)}; {_ONLY}.")


def _guess(data: bytes) -> str:
    for magic, name in _OTHER_FORMATS:
        if data.startswith(magic):
            return f"is a {name}"
    if data[4:8] == b"ftyp":
        return "is a HEIC, AVIF or video file"
    if b"<svg" in data[:1024].lower():
        return "is an SVG drawing"
    return "is not an image of a known kind"


def _check_shape(image: Image.Image, most: int) -> None:
    """Refuse by the header alone, before any pixel is decoded."""
    width, height = image.size
    if width * height > most:
        raise ImageError(_too_many_pixels(most, width, height))
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"The image has only {width}x{height} pixels; it must be at least "
            f"{MIN_SIDE}x{MIN_SIDE}."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"The image of {width}x{height} pixels is too elongated for a square crop of its "
            f"centre; crop it to at most {MAX_ASPECT:.0f}:1 first."
        )


def _too_many_pixels(most: int, width: int = 0, height: int = 0) -> str:
    shape = f" ({width}x{height})" if width else ""
    return f"The image has too many pixels{shape}; at most {most / 1e6:g} million can be used."


def _remarks(image: Image.Image, data: bytes, image_size: int) -> list[str]:
    """What the person should know about how the picture was read."""
    remarks: list[str] = []
    if getattr(image, "is_animated", False) and image.format != "MPO":
        remarks.append("first frame of an animation")
    if image.has_transparency_data:
        remarks.append("transparency shown on white")
    if image.mode == "CMYK":
        remarks.append("converted from CMYK")
    if image.format == "PNG" and data[24] == 16:  # Bit depth in the PNG header.
        remarks.append("reduced from 16 to 8 bits a channel")
    if image.width != image.height:
        remarks.append("cropped to the centre square")
    if min(image.size) < image_size:
        remarks.append(f"enlarged from {min(image.size)} pixels")
    return remarks


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8; 1 (upright) if there is none or the EXIF block is damaged."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # EXIF is an afterthought in a file; a broken one never spoils the picture.
        return 1
