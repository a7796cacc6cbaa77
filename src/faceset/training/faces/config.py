"""How pictures are varied in training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from faceset.errors import InputError
from faceset.training.config import known

KINDS = (
    "motion_blur",
    "defocus_blur",
    "low_resolution",
    "occlusion",
    "under_exposure",
    "over_exposure",
    "noise",
    "jpeg",
)
"""The names of :data:`faceset.degradations.KINDS`, without the OpenCV that comes with them: the command line's help has
these defaults."""


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How a picture is varied; what is drawn is uniform between the bounds. See :mod:`.augmentation` for the order.

    Attributes:
        flip: share of pictures that are mirrored.
        rotation_rad: largest turn to either side, in radians.
        scale: largest change of size: the face grows by up to a factor of 1 + scale or shrinks by it, evenly in the
            logarithm.
        shift: largest shift along either axis, as a fraction of that side of the crop.
        degrade: share of pictures made worse by :mod:`faceset.degradations`.
        kinds: kinds of degradation to draw from, all equally likely. Default all.
        low, high: bounds of their strength, 0..1.
        colour: largest change of brightness, of contrast about the mean and of saturation, each by a factor of up to
            1 + colour or its inverse; and of each channel by a quarter of that.
        grey: share of pictures without colour.
        erase: share of pictures in which a rectangle is painted over (random erasing; Zhong et al., AAAI 2020), with
            sides of 1/8 to 1/2 of the crop's, in one random colour.
        mix: share of pictures blended with another face of the batch. Such a face is nobody's: only a teacher that sees
            it too can say what is to be learned of it (Beyer et al., CVPR 2022, call that function matching).
        shape: share of pictures bent smoothly, by about 3 % of a side, and stretched; again another face.

    Raises:
        InputError: a value out of range.
    """

    flip: float = 0.5
    rotation_rad: float = 0.1
    scale: float = 0.07
    shift: float = 0.035
    degrade: float = 0.3
    kinds: tuple[str, ...] = KINDS
    low: float = 0.0
    high: float = 0.6
    colour: float = 0.25
    grey: float = 0.1
    erase: float = 0.25
    mix: float = 0.0
    shape: float = 0.0

    def __post_init__(self) -> None:
        for name in ("flip", "degrade", "grey", "erase", "mix", "shape", "low", "high"):
            _within(name, getattr(self, name), 1.0)
        for name, most in (("rotation_rad", math.pi), ("scale", 1.0), ("shift", 0.5), ("colour", 4.0)):
            _within(name, getattr(self, name), most)
        object.__setattr__(self, "kinds", tuple(self.kinds))
        if self.kinds != KINDS or self.low > self.high:
            _check_damage(self)

    @classmethod
    def none(cls) -> AugmentConfig:
        """No change at all: the crop itself."""
        shares = dict.fromkeys(("flip", "degrade", "grey", "erase", "mix", "shape"), 0.0)
        return cls(**shares, rotation_rad=0.0, scale=0.0, shift=0.0, colour=0.0)  # type: ignore[arg-type]

    @property
    def moves(self) -> bool:
        """Whether crops are turned, scaled or shifted."""
        return max(self.rotation_rad, self.scale, self.shift) > 0

    @property
    def needs_teacher(self) -> bool:
        """Whether pictures may turn into faces that have no label."""
        return max(self.mix, self.shape) > 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**dataclasses.asdict(self), "kinds": list(self.kinds)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AugmentConfig:
        """The configuration with these values, defaults for the rest.

        Raises:
            InputError: a key that there is not, or a value out of range.
        """
        return cls(**known(cls, values))


def _check_damage(config: AugmentConfig) -> None:
    import numpy as np

    from faceset.degradations import random_degradation

    random_degradation(np.random.default_rng(0), config.kinds, low=config.low, high=config.high)


def _within(name: str, value: Any, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= most:
        raise InputError(f"{name} must be in 0..{most:g}, but got {value!r}")
