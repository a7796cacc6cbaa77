"""Aligned crops to PNG and back; the only file of the gallery that needs OpenCV, loaded when a crop is met."""

from __future__ import annotations

import cv2
import numpy as np

from faceset.errors import GalleryError
from faceset.types import Image


def encode(crop: Image) -> bytes:
    """RGB uint8 (H, W, 3) as PNG, without loss."""
    ok, data = cv2.imencode(".png", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
    if not ok:
        raise GalleryError(f"a crop of shape {crop.shape} could not be written as PNG; enrol without keep_crops")
    return bytes(data.tobytes())


def decode(data: bytes) -> Image:
    """The picture :func:`encode` wrote.

    Raises:
        ValueError: the bytes are no picture.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise ValueError("a stored crop is not a PNG picture")
    rgb: Image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
    return rgb
