"""Wrong amounts of light: too little, too much, and the noise of few photons."""

from __future__ import annotations

import cv2
import numpy as np

from faceset.degradations._common import LINES, check, from_linear, to_linear
from faceset.types import Floats, Image

STOPS_DARK = 6.0
STOPS_BRIGHT = 4.0
SHOT = 0.45
READ = 0.10


def under_exposure(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Too dark: linear light halved ``6 * strength`` times, then rounded to 8 bits, which eats the shadows.

    See :mod:`faceset.degradations` for arguments and errors.
    """
    image, strength = check(image, strength, rng)
    return _expose(image, -STOPS_DARK * strength)


def over_exposure(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Too bright: linear light doubled ``4 * strength`` times; what exceeds white clips and is lost.

    See :mod:`faceset.degradations` for arguments and errors.
    """
    image, strength = check(image, strength, rng)
    return _expose(image, STOPS_BRIGHT * strength)


def noise(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Sensor noise: shot noise that grows with the root of the light, and read noise that is the same everywhere.

    In linear light x (0..1) the variance is ``(0.45 * x + 0.10 ** 2) * strength ** 2``, so that the signal-to-noise
    ratio is worst in the dark. The grain is H / 112 pixels wide (at least one), each channel has its own.
    See :mod:`faceset.degradations` for arguments and errors.
    """
    image, strength = check(image, strength, rng)
    grain = _grain(image.shape[0], image.shape[1], rng)
    if strength == 0:
        return image.copy()
    light = to_linear(image)
    sigma = strength * np.sqrt(SHOT * light + READ**2)
    return from_linear(light + sigma * grain)


def _expose(image: Image, stops: float) -> Image:
    if stops == 0:
        return image.copy()
    return from_linear(to_linear(image) * np.float32(2.0**stops))


def _grain(height: int, width: int, rng: np.random.Generator) -> Floats:
    """(H, W, 3) float32 noise of unit variance."""
    size = max(1.0, height / LINES)
    coarse = (max(1, round(height / size)), max(1, round(width / size)))
    field = rng.standard_normal((*coarse, 3), dtype=np.float32)
    if coarse == (height, width):
        return field
    field = np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    spread = float(field.std())
    return field / np.float32(spread) if spread > 0 else field  # interpolation averages, which takes variance away
