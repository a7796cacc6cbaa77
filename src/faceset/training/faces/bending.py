"""Faces of nobody: a blend of two, and a face of another shape."""

from __future__ import annotations

import cv2
import numpy as np

from faceset.types import Image

BEND = 0.033
"""Standard deviation of the shift of a point, as a fraction of the side."""
STRETCH = 0.06
"""Standard deviation of the logarithm of the stretch along each axis."""
KNOTS = 4
"""Points a side between which the shift is interpolated."""


def blend(picture: Image, other: Image, seed: int) -> Image:
    """A blend of two padded crops (H, W, 3): everywhere alike, or one face on each side of a soft line.

    Six in ten are even, with a share of 0.3 to 0.7 of either.
    """
    rng = np.random.default_rng(seed)
    even, share, angle, offset = (
        rng.random() < 0.6,
        rng.uniform(0.3, 0.7),
        rng.uniform(0, 2 * np.pi),
        rng.normal(0, 0.12),
    )
    if even:
        return np.asarray(cv2.addWeighted(picture, share, other, 1 - share, 0), np.uint8)
    height, width = picture.shape[:2]
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
    distance = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) - np.float32(offset)
    alpha = (1 / (1 + np.exp(-20 * distance)))[..., None]
    return np.rint(picture * alpha + other * (1 - alpha)).astype(np.uint8)


def bend(picture: Image, size: tuple[int, int], seed: int) -> Image:
    """A padded crop (H, W, 3) bent smoothly and stretched about its middle; ``size`` is that of the crop in it."""
    rng = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    knots = rng.normal(0, BEND, (2, KNOTS, KNOTS)).astype(np.float32)
    sx, sy = np.exp(rng.normal(0, STRETCH, 2))
    dx, dy = (cv2.resize(k, (width, height), interpolation=cv2.INTER_CUBIC) for k in knots)
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2) * np.float32(sx) + (width - 1) / 2
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2) * np.float32(sy) + (height - 1) / 2
    bent = cv2.remap(
        picture,
        (x[None, :] + dx * np.float32(size[1])).astype(np.float32),
        (y[:, None] + dy * np.float32(size[0])).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(bent, np.uint8)
