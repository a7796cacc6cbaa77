"""Something in front of the face: a hand, a mask, a bar, a card."""

from __future__ import annotations

import cv2
import numpy as np

from faceset.degradations._common import check
from faceset.types import Floats, Image

AREA = 0.6
SHAPES = ("card", "ball", "bar", "mask")


def occlusion(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """An object in front of the picture, which should be a face crop.

    ``strength`` is the area of the object in units of 0.6 of the picture's area; what hangs over the border counts
    too. The object is a tilted rectangle, a tilted ellipse, a bar over the full width, or a mask that rises from the
    bottom. Its centre lies within the middle of the picture, its surface is plain, striped or mottled. Its edge is
    soft over 0.01 H. See :mod:`faceset.degradations` for arguments and errors.
    """
    image, strength = check(image, strength, rng)
    height, width = image.shape[:2]
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    centre = rng.uniform(0.35, 0.65, size=2)
    tilt = rng.uniform(-0.5, 0.5)
    aspect = np.exp(rng.uniform(-0.4, 0.4))
    surface = _surface(height, width, rng)
    if strength == 0:
        return image.copy()
    alpha = _cover(shape, height, width, AREA * strength, centre, tilt, aspect)[..., None]
    return np.rint(image * (1 - alpha) + surface * alpha).astype(np.uint8)


def _cover(shape: str, height: int, width: int, area: float, centre: np.ndarray, tilt: float, aspect: float) -> Floats:
    """How much of each pixel the object covers, (H, W) in 0..1, from the signed distance to its edge in pixels."""
    y, x = np.mgrid[:height, :width] + 0.5
    dx, dy = x - centre[0] * width, y - centre[1] * height
    u, v = dx * np.cos(tilt) + dy * np.sin(tilt), dy * np.cos(tilt) - dx * np.sin(tilt)
    pixels = area * height * width
    if shape == "card":
        a, b = np.sqrt(pixels * aspect) / 2, np.sqrt(pixels / aspect) / 2
        distance = np.maximum(np.abs(u) - a, np.abs(v) - b)
    elif shape == "ball":
        a, b = np.sqrt(pixels * aspect / np.pi), np.sqrt(pixels / aspect / np.pi)
        distance = (np.hypot(u / a, v / b) - 1) * min(a, b)
    elif shape == "bar":
        distance = np.abs(dy) - pixels / width / 2
    else:
        bow = 0.12 * height * (dx / width) ** 2  # a mask hangs lower at its sides
        distance = (height - pixels / width) + bow - y
    soft = max(0.5, 0.01 * height)
    return np.asarray(np.clip(0.5 - distance / (2 * soft), 0, 1), dtype=np.float32)


def _surface(height: int, width: int, rng: np.random.Generator) -> Floats:
    """(H, W, 3) float32 in 0..255: one colour with a little shading and stripes or mottles."""
    colour = rng.uniform(15, 240, size=3)
    colour = 0.45 * colour + 0.55 * colour.mean()  # objects are rarely garish
    light = rng.uniform(-0.25, 0.25, size=2)
    contrast, waves = rng.uniform(0, 0.25), rng.uniform(4, 14)
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
    mottled = rng.random() < 0.5
    blobs = rng.standard_normal((9, 9)).astype(np.float32)
    y, x = np.mgrid[:height, :width]
    x, y = (x + 0.5) / width - 0.5, (y + 0.5) / height - 0.5
    if mottled:
        pattern = np.asarray(cv2.resize(blobs, (width, height), interpolation=cv2.INTER_CUBIC))
    else:
        pattern = np.sin(2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    shade = 1 + light[0] * x + light[1] * y + contrast * pattern
    return np.asarray(np.clip(colour * shade[..., None], 0, 255), dtype=np.float32)
