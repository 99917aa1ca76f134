"""Pillow images to pixels: RGB conversion, square crop, resize; shared by readers and uploads."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor


def has_alpha(image: Image.Image) -> bool:
    """Whether any kind of transparency is in the image (alpha channel or a transparent colour)."""
    return image.has_transparency_data


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode to RGB; transparency is composited on white, 16 bits become 8."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _deep_grey_to_8_bit(image)
    if has_alpha(image):
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _deep_grey_to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit grey (PNG: modes I;16 and I) to 8 bits by 255/65535; Pillow's convert would clip."""
    values = np.asarray(image, dtype=np.float64)
    return Image.fromarray(np.rint(values.clip(0, 65535) / 257.0).astype(np.uint8))


def square(image: Image.Image, size: int) -> Image.Image:
    """The centre square of an RGB image, resampled to `size` x `size` by Lanczos.

    The same as resizing the shorter side and cropping the centre, in one resampling pass. An image
    that already has the size comes back unchanged.
    """
    return ImageOps.fit(image, (size, size), method=Image.Resampling.LANCZOS)


def to_array(image: Image.Image) -> NDArray[np.uint8]:
    """RGB image to uint8 [3, H, W]."""
    array: NDArray[Any] = np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(array.transpose(2, 0, 1))


def to_unit(images: Tensor) -> Tensor:
    """uint8 pixels 0..255 of any shape to float32 in 0..1."""
    if images.dtype != torch.uint8:
        raise TypeError(f"to_unit expects uint8 pixels, not {images.dtype}")
    return images.to(torch.float32) / 255.0
