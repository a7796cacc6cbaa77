"""The harm of strong compression."""

from __future__ import annotations

import cv2
import numpy as np

from faceset.degradations._common import LINES, check
from faceset.types import Image

BEST = 95
WORST = 2


def jpeg(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """JPEG blocks and ringing, encoded and decoded by OpenCV.

    The quality falls geometrically from 95 to 2: ``95 * (2 / 95) ** strength``. Blocks are 8 pixels whatever the size
    of the picture, so a picture of more than 112 lines is compressed at a height that falls geometrically from its own
    to 112, and enlarged again. See :mod:`faceset.degradations` for arguments and errors.
    """
    image, strength = check(image, strength, rng)
    if strength == 0:
        return image.copy()
    height, width = image.shape[:2]
    factor = min(1.0, LINES / height) ** strength
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = image if factor == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    quality = round(BEST * (WORST / BEST) ** strength)
    _, coded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    if decoded.shape[:2] != (height, width):
        decoded = cv2.resize(decoded, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(decoded, dtype=np.uint8)
