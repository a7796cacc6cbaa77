"""Damage done to pictures on purpose: for training, evaluation and the demo. Needs OpenCV, not torch.

Every degradation is a function ``(image, strength, rng) -> image``: ``image`` is RGB uint8 (H, W, 3), best a face crop,
``strength`` lies in 0..1 (0 returns an equal picture, 1 leaves a face hardly recognisable), ``rng`` is a
``numpy.random.Generator``. The input is never written to and the result is a new array of the same shape. The result
depends on these three alone. Lengths are fractions of the picture's height H, so that one strength does about the same
harm to a crop of 112 pixels as to one of 300; each function states its unit.

What is drawn from ``rng`` never depends on the strength: equal generators and growing strengths give the same
direction, place or grain, only more of it.

=================  ==========================================================================
kind               strength 1 means
=================  ==========================================================================
``motion_blur``    a camera shake over 0.30 H
``defocus_blur``   a circle of confusion of radius 0.10 H
``low_resolution`` 8 lines left
``occlusion``      an object of 0.6 of the picture's area over it
``under_exposure`` 6 stops too dark
``over_exposure``  4 stops too bright, clipped
``noise``          signal-to-noise ratio 0.7 at mid-grey, grain of H / 112 pixels
``jpeg``           quality 2 at 112 lines
=================  ==========================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from faceset.degradations.blur import defocus_blur, low_resolution, motion_blur
from faceset.degradations.compression import jpeg
from faceset.degradations.light import noise, over_exposure, under_exposure
from faceset.degradations.occluder import occlusion
from faceset.errors import InputError
from faceset.types import Image

Degradation = Callable[[Image, float, np.random.Generator], Image]

KINDS: Mapping[str, Degradation] = MappingProxyType(
    {
        "motion_blur": motion_blur,
        "defocus_blur": defocus_blur,
        "low_resolution": low_resolution,
        "occlusion": occlusion,
        "under_exposure": under_exposure,
        "over_exposure": over_exposure,
        "noise": noise,
        "jpeg": jpeg,
    }
)
"""Every degradation by its name."""

__all__ = [
    "KINDS",
    "Degradation",
    "defocus_blur",
    "degrade",
    "jpeg",
    "low_resolution",
    "motion_blur",
    "noise",
    "occlusion",
    "over_exposure",
    "random_degradation",
    "under_exposure",
]


def degrade(image: Image, kind: str, strength: float, rng: np.random.Generator) -> Image:
    """A damaged copy of ``image``.

    Args:
        image: RGB uint8 (H, W, 3).
        kind: a name in :data:`KINDS`.
        strength: 0 (equal to the input) to 1 (hardly recognisable).
        rng: the only source of chance.

    Raises:
        InputError: an unknown kind, a strength outside 0..1, or anything but an RGB uint8 picture.
    """
    return _function(kind)(image, strength, rng)


def random_degradation(
    rng: np.random.Generator, kinds: Sequence[str] | None = None, *, low: float = 0.0, high: float = 1.0
) -> tuple[str, float]:
    """Draw a kind, all equally likely, and a strength, uniform in ``low`` to ``high``.

    Args:
        rng: the only source of chance.
        kinds: names to draw from; all of :data:`KINDS` when None.
        low, high: bounds of the strength, ``0 <= low <= high <= 1``.

    Raises:
        InputError: an unknown kind, no kind at all, or bounds out of order.
    """
    names = tuple(KINDS) if kinds is None else tuple(kinds)
    if not names:
        raise InputError(f"no kind to draw from; name some of {', '.join(KINDS)}")
    for name in names:
        _function(name)
    if not (math.isfinite(low) and math.isfinite(high) and 0 <= low <= high <= 1):
        raise InputError(f"the bounds must satisfy 0 <= low <= high <= 1, but got low={low!r}, high={high!r}")
    return names[int(rng.integers(len(names)))], float(rng.uniform(low, high))


def _function(kind: str) -> Degradation:
    try:
        return KINDS[kind]
    except (KeyError, TypeError):
        raise InputError(f"unknown degradation {kind!r}; the kinds are {', '.join(KINDS)}") from None
