"""One person in one shot: where they are going, what they look like, and their faces so far."""

from __future__ import annotations

import math

import numpy as np

from faceset.tracking.geometry import Doubles
from faceset.types import Face

INERTIA = 0.5
"""Share of the old velocity that is kept when a new one is seen."""
COAST = 0.4
"""Seconds after which a face is no longer expected to have kept its velocity."""
LOOK = 0.1
"""Least share of the newest feature in the running mean, so that the mean follows a turning head."""


def unit(feature: Doubles) -> Doubles:
    """``feature`` (D,) scaled to length 1."""
    scaled: Doubles = feature / max(float(np.linalg.norm(feature)), 1e-20)
    return scaled


class Track:
    """A person while they are in sight, and for a while after.

    Args:
        number: its id.
        face: the first face.
        look: unit feature (D,) of that face.
        time: seconds.
        max_faces: most faces that are kept.
    """

    def __init__(self, number: int, face: Face, look: Doubles, time: float, max_faces: int) -> None:
        self.number = number
        self.time = time
        self.seen = 0
        self._box = np.array(face.box)
        self._velocity = np.zeros(4)
        self._mean = look
        self._last_look = look
        self._looks = 1
        self._faces: list[Face] = []
        self._last = face
        self._stride = 1
        self._max_faces = max_faces
        self._keep(face)

    def add(self, face: Face, look: Doubles | None, time: float) -> None:
        """Take in the face of the next frame in which the person was found.

        Args:
            face: the face.
            look: its unit feature (D,); None where it is too unlike to say what the person looks like. Two heads that
                cover each other make such a face, and from it the track would go over to the other person.
            time: seconds.
        """
        passed = time - self.time
        box = np.array(face.box)
        if passed > 0:
            weight = 0.0 if self.seen == 1 else INERTIA  # the first velocity has nothing to be smoothed with
            self._velocity = weight * self._velocity + (1.0 - weight) * (box - self._box) / passed
        self._box = box
        if look is not None:
            self._looks += 1
            share = max(LOOK, 1.0 / self._looks)
            self._mean = unit((1.0 - share) * self._mean + share * look)
            self._last_look = look
        self.time = time
        self._keep(face)

    def expected(self, time: float) -> Doubles:
        """Box (4,) where the face should be at ``time``: on at constant velocity, which dies away unseen."""
        passed = max(0.0, time - self.time)
        moved = self._velocity * (COAST * (1.0 - math.exp(-passed / COAST)))
        box: Doubles = self._box + moved
        if box[2] - box[0] < 1.0 or box[3] - box[1] < 1.0:  # shrinking on would turn the box inside out
            shift = (moved[:2] + moved[2:]) / 2.0
            box = self._box + np.tile(shift, 2)
        return box

    def likeness(self, looks: Doubles) -> Doubles:
        """(F,) cosine of each unit feature (F, D) with the newest face or with the mean, whichever is closer."""
        closest: Doubles = np.maximum(looks @ self._last_look, looks @ self._mean)
        return closest

    @property
    def faces(self) -> list[Face]:
        """The faces that were kept, in order of time; the newest is always there."""
        return self._faces if self._faces[-1] is self._last else [*self._faces, self._last]

    def _keep(self, face: Face) -> None:
        if self.seen % self._stride == 0:
            self._faces.append(face)
            if len(self._faces) >= self._max_faces:
                self._faces = self._faces[::2]
                self._stride *= 2
        self._last = face
        self.seen += 1
