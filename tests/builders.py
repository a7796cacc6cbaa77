"""Small builders that several tests share."""

from __future__ import annotations

import numpy as np

from faceset.types import Face, FaceSet


def unit(angle: float, width: int = 8) -> np.ndarray:
    """A unit vector in the plane of the first two axes."""
    vector = np.zeros(width, np.float32)
    vector[:2] = np.cos(angle), np.sin(angle)
    return vector


def face(angle: float = 0.0, *, frame: int = 0, size: float = 100.0, x: float = 0.0, norm: float = 1.4) -> Face:
    """A square face with a feature at ``angle``."""
    return Face(
        box=(x, 0.0, x + size, size),
        score=0.9,
        frame=frame,
        time=frame / 5,
        feature=(norm * unit(angle)).astype(np.float32),
    )


def track(
    angle: float,
    count: int = 4,
    *,
    start: int = 0,
    track: int = 0,
    size: float = 100.0,
    kind: str = "video",
    **more: str,
) -> FaceSet:
    """``count`` faces in successive frames, all at one angle."""
    faces = tuple(face(angle, frame=start + i, size=size, x=200.0 * track) for i in range(count))
    return FaceSet(faces, model_id="test:1", track=track, kind=kind, **more)
