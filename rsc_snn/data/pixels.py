"""Pillow images to pixels: square crop, resize, RGB conversion; and what tells pixels apart."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor


def square_rgb(image: Image.Image, size: int) -> Image.Image:
    """The centre square of an image of any mode, resampled to `size` x `size` by Lanczos, in RGB.

    Transparency is composited on white, 16 bits become 8. Cropping comes first and compositing
    last, so that a large image costs little memory; Pillow resamples premultiplied colours, hence
    the order does not matter to the result beyond rounding. An image that already has the size
    keeps its pixels.
    """
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    if image.width != image.height:
        image = image.crop((left, top, left + side, top + side))
    image = _to_8_bit_colour(image).resize((size, size), Image.Resampling.LANCZOS)
    if image.mode != "RGBA":
        return image
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image).convert("RGB")


def _to_8_bit_colour(image: Image.Image) -> Image.Image:
    """Any mode to RGB, or to RGBA where there is transparency; without a copy if it is that."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _deep_grey_to_8_bit(image)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _deep_grey_to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit grey (PNG: modes I;16 and I) to 8 bits, rounding v / 257; Pillow itself would clip.

    Row by row, because a wider copy of a large picture would double its memory.
    """
    grey = np.empty((image.height, image.width), dtype=np.uint8)
    for row, values in zip(grey, np.asarray(image), strict=True):
        row[:] = (values.clip(0, 65535).astype(np.uint32) + 128) // 257
    return Image.fromarray(grey)


def to_array(image: Image.Image) -> NDArray[np.uint8]:
    """RGB image to uint8 [3, H, W]."""
    return np.ascontiguousarray(np.asarray(image, dtype=np.uint8).transpose(2, 0, 1))


def to_png(pixels: NDArray[np.uint8]) -> bytes:
    """uint8 [3, H, W] to the bytes of a PNG file, lossless."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(
        content, "PNG", optimize=True
    )
    return content.getvalue()


def to_unit(images: Tensor) -> Tensor:
    """uint8 pixels 0..255 of any shape to float32 in 0..1."""
    if images.dtype != torch.uint8:
        raise TypeError(f"to_unit expects uint8 pixels, not {images.dtype}")
    return images.to(torch.float32) / 255.0


def image_digest(images: Tensor, labels: Tensor) -> str:
    """64 hexadecimal digits that change with any pixel or label of `[M, C, H, W]` and `[M]`."""
    digest = hashlib.sha256(str(tuple(images.shape)).encode())
    for part in (images, labels):
        digest.update(part.contiguous().numpy().tobytes())
    return digest.hexdigest()
