"""Face sets, reports and errors as messages of :mod:`faceset.service.wire`, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from faceset import errors
from faceset.errors import FacesetError
from faceset.media import Media, MediaReport
from faceset.service.wire import Message, WireError, count, items, members, number, text
from faceset.types import LANDMARK_SCHEMES, Face, FaceSet, Progress

MOST_FACES = 4096
MOST_SETS = 4096
_LARGEST_CROP = 512
_COUNT = 1 << 40
_SET = ("faces", "track", "shot", "scheme", "crop")

ERRORS: dict[str, type[FacesetError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, FacesetError) and not issubclass(kind, errors.GalleryError)
}
"""Errors that a worker may report, by name."""

Array = npt.NDArray[Any]


# ----------------------------------------------------------------------------------------------------------- face sets


def pack_sets(sets: Sequence[FaceSet]) -> tuple[list[Message], bytearray]:
    """Face sets as objects and the raw bytes of their arrays, one set after the other."""
    raw = bytearray()
    heads: list[Message] = []
    for one in sets:
        faces = one.faces
        points = [f.landmarks for f in faces if f.landmarks is not None]
        scheme = faces[0].scheme if len(points) == len(faces) else None
        crops = [(i, f.crop) for i, f in enumerate(faces) if f.crop is not None]
        raw += np.array([[*f.box, f.score, f.time] for f in faces], "<f8").tobytes()
        raw += np.array([f.frame for f in faces], "<i8").tobytes()
        if scheme is not None:
            raw += np.array(points, "<f4").tobytes()
        raw += one.features.astype("<f4").tobytes()
        if crops:
            raw += np.array([i for i, _ in crops], "<i8").tobytes()
            raw += np.stack([crop for _, crop in crops]).tobytes()
        shape = [len(crops), *crops[0][1].shape[:2]] if crops else [0, 0, 0]
        heads.append({"faces": len(faces), "track": one.track, "shot": one.shot, "scheme": scheme, "crop": shape})
    return heads, raw


def unpack_sets(heads: object, raw: bytes, medium: Media, *, model_id: str, width: int) -> list[FaceSet]:
    """The face sets of ``medium`` that were packed, checked in every field.

    What the server knows itself (names, digest, kind, embedder) is not taken from the message.

    Raises:
        WireError: a field, a shape or a value cannot be.
    """
    taken = _Raw(raw)
    try:
        sets = [_unpack_set(head, taken, medium, model_id, width) for head in items(heads, MOST_SETS)]
    except FacesetError as error:  # a face or set that cannot be
        raise WireError(str(error)) from error
    taken.end()
    return sets


class _Raw:
    """Arrays cut off the front of raw bytes."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._at = raw, 0

    def take(self, kind: str, *shape: int) -> Array:
        """The next array, in memory of its own."""
        number_of = int(np.prod(shape, dtype=np.int64))
        size = number_of * np.dtype(kind).itemsize
        if self._at + size > len(self._raw):
            raise WireError(f"an array of {shape} needs {size} bytes, but {len(self._raw) - self._at} are left")
        array = np.frombuffer(self._raw, kind, number_of, self._at).reshape(shape).copy()
        self._at += size
        return array

    def end(self) -> None:
        """Nothing may be left."""
        if self._at != len(self._raw):
            raise WireError(f"{len(self._raw) - self._at} bytes belong to nothing")


def _unpack_set(value: object, raw: _Raw, medium: Media, model_id: str, width: int) -> FaceSet:
    head = members(value, _SET)
    n = count(head["faces"], MOST_FACES, 1)
    scheme = head["scheme"]
    if scheme is not None and (not isinstance(scheme, str) or scheme not in LANDMARK_SCHEMES):
        raise WireError(f"unknown landmark scheme {str(scheme)[:40]!r}")
    numbers = raw.take("<f8", n, 6)
    frames = raw.take("<i8", n)
    points = None if scheme is None else raw.take("<f4", n, LANDMARK_SCHEMES[scheme], 2)
    features = raw.take("<f4", n, width)
    crops = dict(_crops(head["crop"], raw, n))
    if not np.isfinite(numbers).all() or frames.min() < 0:
        raise WireError("a box, score, time or frame number that cannot be")
    faces = tuple(
        Face(
            (float(x[0]), float(x[1]), float(x[2]), float(x[3])),
            float(x[4]),
            landmarks=None if points is None else points[i],
            scheme=scheme,
            frame=int(frames[i]),
            time=float(x[5]),
            media=medium.name,
            feature=features[i],
            crop=crops.get(i),
        )
        for i, x in enumerate(numbers)
    )
    track, shot = count(head["track"], _COUNT), count(head["shot"], _COUNT)
    return FaceSet(faces, model_id, medium.name, track, shot, medium.digest, medium.kind)


def _crops(value: object, raw: _Raw, faces: int) -> Iterator[tuple[int, Array]]:
    shape = items(value, 3)
    if len(shape) != 3:
        raise WireError("the shape of crops must be three numbers")
    n = count(shape[0], faces)
    if not n:
        return
    height, width = (count(side, _LARGEST_CROP, 1) for side in shape[1:])
    which = raw.take("<i8", n)
    if which.min() < 0 or which.max() >= faces:
        raise WireError("a crop of a face that is not there")
    for i in which.tolist():
        yield i, raw.take("|u1", height, width, 3)


# ------------------------------------------------------------------------------------- progress, report, error


def pack_progress(progress: Progress | None) -> Message | None:
    """As an object, without the name of the medium."""
    return None if progress is None else {"done": progress.done, "total": progress.total, "faces": progress.faces}


def unpack_progress(value: object, medium: Media) -> Progress | None:
    """What :func:`pack_progress` made.

    Raises:
        WireError: it is something else.
    """
    if value is None:
        return None
    head = members(value, ("done", "total", "faces"))
    total = None if head["total"] is None else number(head["total"])
    return Progress(medium.name, number(head["done"]), total, count(head["faces"], _COUNT))


def unpack_report(value: object) -> MediaReport:
    """The report that ``MediaReport.to_dict`` made.

    Raises:
        WireError: it is something else.
    """
    head = members(value, ("frames_decoded", "frames_sampled", "frames_lost", "notes"))
    return MediaReport(
        count(head["frames_decoded"], _COUNT),
        count(head["frames_sampled"], _COUNT),
        count(head["frames_lost"], _COUNT),
        tuple(text(note) for note in items(head["notes"], 100)),
    )


def pack_error(error: FacesetError) -> Message:
    """Class and message."""
    kind = next(c.__name__ for c in type(error).__mro__ if ERRORS.get(c.__name__) is c)
    return {"kind": kind, "text": str(error)[:4000]}


def unpack_error(value: object) -> FacesetError:
    """The error that :func:`pack_error` was given, of the same class.

    Raises:
        WireError: it is something else.
    """
    head = members(value, ("kind", "text"))
    if not isinstance(head["kind"], str) or head["kind"] not in ERRORS:
        raise WireError(f"unknown error {str(head['kind'])[:40]!r}")
    return ERRORS[head["kind"]](text(head["text"]))
