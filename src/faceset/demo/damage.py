"""Which frames of a clip are spoilt, how, and the spoiling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from faceset.degradations import degrade
from faceset.types import Box, Image

STRENGTHS = {
    "motion_blur": (0.55, 0.8),
    "defocus_blur": (0.55, 0.8),
    "under_exposure": (0.5, 0.85),
    "over_exposure": (0.4, 0.7),
    "occlusion": (0.45, 0.9),
    "noise": (0.15, 0.35),
}
"""Kinds of damage and the range their peak strength is drawn from."""

SHORTEST, LONGEST = 6, 14
RAMP = 3
MARGIN = 0.15
"""An object may reach this share of the face's height beyond the face."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with one frame; equal seeds keep a direction or an object in its place from frame to frame."""

    kind: str
    strength: float
    seed: int


def schedule(frames: int, share: float, rng: np.random.Generator) -> list[Damage | None]:
    """One entry a frame: None for a sound one. ``round(share * frames)`` are spoilt, in runs that swell and fade.

    Runs are 6 to 14 frames long (the last one may be shorter) and take the kinds in turn, in random order.
    """
    spoilt = round(share * frames)
    lengths: list[int] = []
    while (left := spoilt - sum(lengths)) > 0:
        lengths.append(min(left, int(rng.integers(SHORTEST, LONGEST + 1))))
    cuts = np.sort(rng.integers(0, frames - spoilt + 1, size=len(lengths)))
    kinds: list[str] = []
    while len(kinds) < len(lengths):
        kinds += [str(kind) for kind in rng.permutation(list(STRENGTHS))]
    plan: list[Damage | None] = [None] * frames
    start = 0
    for i, (length, kind) in enumerate(zip(lengths, kinds, strict=False)):
        peak, seed = rng.uniform(*STRENGTHS[kind]), int(rng.integers(2**31))
        start = int(cuts[i]) + sum(lengths[:i])
        for k in range(length):
            swell = min(1.0, (k + 1) / RAMP, (length - k) / RAMP)
            plan[start + k] = Damage(kind, float(peak * swell), seed)
    return plan


def spoil(view: Image, face: Box, damage: Damage, frame: int) -> Image:
    """``view`` with its damage. Strengths are meant for a face, so blur is scaled to it and an object covers it."""
    height, width = view.shape[:2]
    if damage.kind == "occlusion":
        out = view.copy()
        margin = MARGIN * (face[3] - face[1]) * np.array([-1, -1, 1, 1])
        x0, y0, x1, y1 = (int(v) for v in np.clip(np.rint(face + margin), 0, [width, height, width, height]))
        if x1 > x0 and y1 > y0:
            rng = np.random.default_rng(damage.seed)
            out[y0:y1, x0:x1] = degrade(view[y0:y1, x0:x1], "occlusion", damage.strength, rng)
        return out
    strength = damage.strength
    if damage.kind.endswith("blur"):
        strength *= min(1.0, (face[3] - face[1]) / height)
    # noise is new in every frame, a direction of blur is not
    seed = (damage.seed, frame) if damage.kind == "noise" else damage.seed
    return degrade(view, damage.kind, strength, np.random.default_rng(seed))
