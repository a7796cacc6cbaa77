"""Faces that a protocol names: where it says they are, and which face in the picture each is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.extraction.config import ExtractConfig
from faceset.extraction.crops import central_face
from faceset.extraction.placed import box_around, central_box, placed
from faceset.types import Box, Face, Floats, Image, finite_array

MATCH = 0.3
"""Least intersection over union of a named box and the box of a detected face that is taken to be the same.

Styles of boxes differ: of two boxes of one centre, one 1.7 times as wide and high as the other, it is 0.35."""

GIVEN_RULE = f"the protocol's own box, where no detected face overlaps it by {MATCH:g} (intersection over union)"
"""For reports."""


@dataclass(frozen=True, slots=True, eq=False)
class GivenFace:
    """One face of a protocol.

    Attributes:
        name: the ``medium`` of its rows, unique, such as ``img/8565.jpg#27394``.
        subject: who it is.
        file: the picture, relative to the root of the pictures, with ``/``.
        box: x0, y0, x1, y1 in pixels; None where the protocol states none.
        landmarks: (5, 2) pixels of scheme ``arcface5``; None where it states none.
        score: of the protocol's detector, >= 0; None where it states none.

    Raises:
        InputError: an empty name or subject, a file outside the root, a box turned inside out, or numbers that are not
            finite.
    """

    name: str
    subject: str
    file: str
    box: Box | None = None
    landmarks: Floats | None = None
    score: float | None = None

    def __post_init__(self) -> None:
        path = PurePosixPath(self.file)
        if not self.name or not self.subject or not path.name:
            raise InputError(
                f"a named face needs a name, a subject and a file, but got {self.name!r}, {self.subject!r} and "
                f"{self.file!r}"
            )
        if path.is_absolute() or ".." in path.parts:
            raise InputError(f"face {self.name!r}: file {self.file!r} must lie below the folder of the pictures")
        try:
            if self.landmarks is not None:
                object.__setattr__(self, "landmarks", finite_array(self.landmarks, "landmarks", (5, 2)))
            if self.box is not None:
                Face(self.box, 0.0)
            Face((0, 0, 1, 1), 0.0 if self.score is None else self.score)
        except InputError as error:
            raise InputError(f"face {self.name!r}: {error}") from error


class Located:
    """Where a named face is, and by what right.

    Attributes:
        face: None where there is none.
        by_rule: it was not detected, and placed by a rule; score 0.
        failure: why the name cannot stand for a face in this picture; empty where it can.
    """

    __slots__ = ("by_rule", "face", "failure")

    def __init__(self, face: Face | None = None, *, by_rule: bool = False, failure: str = "") -> None:
        self.face, self.by_rule, self.failure = face, by_rule, failure


def needs_detection(faces: Iterable[GivenFace]) -> bool:
    """Whether a picture must be searched: not where the protocol gives points and no box for each of its faces."""
    return any(given.box is not None or given.landmarks is None for given in faces)


def locate(named: Sequence[GivenFace], found: Sequence[Face], image: Image, config: ExtractConfig) -> list[Located]:
    """Each named face of one picture.

    - With a box: the detected face that overlaps it most, by :data:`MATCH` at least, unless that face fits the box of
      another person of the picture better; where there is none, the box itself, with the given points or points at
      their mean places.
    - With points only: the points themselves.
    - With neither: the central face, as in a folder of people.

    Args:
        named: all faces that are named in the picture, whether they are wanted or not.
        found: detected faces.
        image: the picture.
        config: says what becomes of a picture without any face.

    Returns:
        One for each of ``named``.
    """
    overlaps = _overlaps([g.box for g in named], [f.box for f in found])
    owners = [named[i].subject for i in overlaps.argmax(axis=0)] if len(named) else []
    return [_one(given, found, overlaps[i], owners, image, config) for i, given in enumerate(named)]


def _one(
    given: GivenFace,
    found: Sequence[Face],
    overlap: npt.NDArray[np.float64],
    owners: Sequence[str],
    image: Image,
    config: ExtractConfig,
) -> Located:
    if given.box is not None:
        free = [k for k in range(len(found)) if overlap[k] >= MATCH and owners[k] == given.subject]
        if free:
            return Located(found[max(free, key=lambda k: overlap[k])])
        if _overlaps([given.box], [(0, 0, image.shape[1], image.shape[0])])[0, 0] == 0:
            size = f"{image.shape[1]} x {image.shape[0]}"
            return Located(failure=f"{given.name}: its box {given.box} lies outside the picture, which is {size}")
        face = placed(given.box)
        points = given.landmarks
        return Located(face if _around(points) is None else face.replace(landmarks=points), by_rule=True)
    if given.landmarks is not None:
        box = _around(given.landmarks)
        if box is None:
            return Located(failure=f"{given.name}: the protocol's landmarks coincide, so that they fix no face")
        return Located(Face(box, 1.0 if given.score is None else given.score, given.landmarks, "arcface5"))
    central = central_face(found, image)
    if central is None and config.undetected == "centre":
        return Located(placed(central_box(image)), by_rule=True)
    return Located(central)


def _around(points: Floats | None) -> Box | None:
    """The box that goes with points; None where they coincide, or there are none."""
    try:
        return None if points is None else box_around(points)
    except InputError:
        return None


def _overlaps(some: Sequence[Box | None], others: Sequence[Box]) -> npt.NDArray[np.float64]:
    """(len(some), len(others)) intersection over union; 0 for no box."""
    a = np.array([(0, 0, 0, 0) if box is None else box for box in some], np.float64).reshape(-1, 1, 4)
    b = np.array(others, np.float64).reshape(1, -1, 4)
    size = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0)
    shared = size[..., 0] * size[..., 1]
    whole = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1) - shared
    return np.asarray(np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0))
