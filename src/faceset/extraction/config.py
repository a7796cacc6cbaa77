"""How features are made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from faceset.degradations import KINDS, random_degradation
from faceset.errors import InputError

UNDETECTED = ("skip", "centre")
"""What may become of a picture without a detected face."""


@dataclass(frozen=True)
class ExtractConfig:
    """How features are made. It is kept in the table; a table is never continued with other settings.

    Attributes:
        degrade: degraded copies made of every face.
        kinds: kinds of degradation to draw from, all equally likely; kept in the order of
            :data:`faceset.degradations.KINDS`, each once. Default all.
        low, high: bounds of their strength, 0..1.
        seed: of everything that is drawn.
        fps: frames a second taken from a video; 0 takes every frame.
        flip: the feature of a face is the mean of the raw features of its crop and of the crop's mirror image, before
            any normalisation, so that the norm still says how sure the network is (half the sum that InsightFace's IJB
            scripts call F1). Degraded copies are made so too.
        undetected: what becomes of a picture in which no face is found: ``skip`` (no row, and its name in the report),
            or ``centre`` (a face in a central box, see :mod:`faceset.extraction.placed`; its score is 0 and its name
            in the report). Frames of videos are always skipped.

    Raises:
        InputError: a value out of range, or an unknown word.
    """

    degrade: int = 0
    kinds: tuple[str, ...] = tuple(KINDS)
    low: float = 0.0
    high: float = 1.0
    seed: int = 0
    fps: float = 5.0
    flip: bool = False
    undetected: str = "skip"

    def __post_init__(self) -> None:
        if self.degrade < 0 or self.seed < 0:
            raise InputError(f"degrade and seed must be >= 0, but got {self.degrade} and {self.seed}")
        if not (math.isfinite(self.fps) and self.fps >= 0):
            raise InputError(f"fps must be a number >= 0 (0 takes every frame), but got {self.fps!r}")
        if self.undetected not in UNDETECTED:
            raise InputError(f"undetected must be one of {', '.join(UNDETECTED)}, but got {self.undetected!r}")
        random_degradation(np.random.default_rng(0), self.kinds, low=self.low, high=self.high)  # checks the three
        object.__setattr__(self, "kinds", tuple(kind for kind in KINDS if kind in self.kinds))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the table's metadata.

        ``flip`` and ``undetected`` are left out at their defaults: tables made before they were there lack them too,
        and are gone on with.
        """
        values: dict[str, Any] = {
            "degrade": self.degrade,
            "kinds": list(self.kinds),
            "low": self.low,
            "high": self.high,
            "seed": self.seed,
            "fps": self.fps,
        }
        if self.flip:
            values["flip"] = True
        if self.undetected != "skip":
            values["undetected"] = self.undetected
        return values
