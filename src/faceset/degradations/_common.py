"""Checks and the way between sRGB bytes and linear light, shared by all degradations."""

from __future__ import annotations

from functools import cache

import numpy as np

from faceset.errors import InputError
from faceset.types import Floats, Image, check_image

LINES = 112
"""Height of the usual face crop: the resolution at which grain and JPEG blocks have their natural size."""

_STEPS = 65535


def check(image: object, strength: object, rng: object) -> tuple[Image, float]:
    """The picture and the strength, once they are known to be usable.

    Raises:
        InputError: not an RGB uint8 picture, a strength outside 0..1, or no generator.
    """
    picture = check_image(image)
    if isinstance(strength, bool) or not isinstance(strength, (int, float, np.integer, np.floating)):
        raise InputError(f"strength must be a number from 0 to 1, but got {strength!r}")
    if not 0 <= strength <= 1:  # also false for NaN
        raise InputError(f"strength must lie in 0 to 1, but got {strength!r}")
    if not isinstance(rng, np.random.Generator):
        raise InputError(f"rng must be a numpy.random.Generator, but got {type(rng).__name__}; use default_rng(seed)")
    return picture, float(strength)


def to_linear(image: Image) -> Floats:
    """Linear light 0..1, float32, same shape (IEC 61966-2-1)."""
    return np.asarray(_decode()[image], dtype=np.float32)


def from_linear(light: Floats) -> Image:
    """sRGB bytes; light outside 0..1 clips, as a sensor does."""
    steps = np.clip(light, 0, 1) * _STEPS + 0.5
    return np.asarray(_encode()[steps.astype(np.uint16)], dtype=np.uint8)


@cache
def _decode() -> Floats:
    v = np.arange(256) / 255
    return np.asarray(np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4), dtype=np.float32)


@cache
def _encode() -> Image:
    # 16 bits of linear light: near black one byte of sRGB is still 20 steps wide.
    v = np.arange(_STEPS + 1) / _STEPS
    code = np.where(v <= 0.0031308, v * 12.92, 1.055 * v ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(code * 255), dtype=np.uint8)
