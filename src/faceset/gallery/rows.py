"""Rows of the database as faces, and faces as rows.

The canonical order: media by digest (then name and kind, for live streams without one), faces within a medium by
track, shot, frame, time, box and the rest. It depends on what is held only, never on the order in which it came, so
a template does neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from faceset.gallery import sealing
from faceset.gallery.schema import face, medium
from faceset.types import LANDMARK_SCHEMES, Face, FaceSet, Floats

FaceRow = Any
"""A row of :func:`read_faces`: the columns of ``face``, and ``digest``, ``name`` and ``kind`` of its medium."""

_ORDER = ("digest", "name", "kind", "track", "shot", "frame", "time", "x0", "y0", "x1", "y1", "score")


def read_faces(connection: Connection, person_id: int, *, crops: bool = False) -> list[FaceRow]:
    """Every face held of one person with its medium, in canonical order, decrypted where it is encrypted.

    Raises:
        GalleryError: a value does not decrypt.
    """
    columns = [c for c in face.c if crops or c is not face.c.crop]
    query = (
        sa.select(*columns, medium.c.digest, medium.c.name, medium.c.kind, medium.c.uid)
        .join_from(face, medium)
        .where(medium.c.person_id == person_id)
    )
    found: Iterable[FaceRow] = connection.execute(query)
    seal = sealing.of(connection)
    if not seal.plain:
        found = (SimpleNamespace(**seal.open_face(row._mapping, row.uid)) for row in found)
    return sorted(found, key=_key)


def _key(row: FaceRow) -> tuple[Any, ...]:
    return (*(getattr(row, name) for name in _ORDER), row.scheme or "", row.landmarks or b"", row.feature)


def features(rows: Sequence[FaceRow], width: int) -> Floats:
    """The raw features (M, D)."""
    return np.stack([floats(row.feature, width) for row in rows])


def media_ids(rows: Sequence[FaceRow]) -> npt.NDArray[np.int64]:
    """A number for each face's medium, from 0 in canonical order: (M,). Where there is no digest, the name tells."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(row.digest or row.name, len(numbers)) for row in rows], dtype=np.int64)


def to_face(row: FaceRow, width: int | None) -> Face:
    """One row as a face; without its feature when ``width`` is None."""
    landmarks = None
    if row.landmarks is not None:
        landmarks = floats(row.landmarks, 2 * LANDMARK_SCHEMES[row.scheme]).reshape(-1, 2)
    crop = None
    if getattr(row, "crop", None) is not None:
        from faceset.gallery import crops  # OpenCV

        crop = crops.decode(row.crop)
    return Face(
        box=(row.x0, row.y0, row.x1, row.y1),
        score=row.score,
        landmarks=landmarks,
        scheme=row.scheme,
        frame=row.frame,
        time=row.time,
        media=row.name,
        feature=None if width is None else floats(row.feature, width),
        crop=crop,
    )


def to_sets(rows: Sequence[FaceRow], model_id: str, width: int) -> list[FaceSet]:
    """Rows in canonical order as face sets, one per medium and track."""
    tracks: dict[tuple[int, int, int], list[FaceRow]] = {}
    for row in rows:
        tracks.setdefault((row.medium_id, row.track, row.shot), []).append(row)
    sets = []
    for (_, track, shot), members in tracks.items():
        first = members[0]
        sets.append(
            FaceSet(
                faces=tuple(to_face(row, width) for row in members),
                model_id=model_id,
                media=first.name,
                track=track,
                shot=shot,
                digest=first.digest,
                kind=first.kind,
            )
        )
    return sets


def from_sets(sets: Sequence[FaceSet], *, keep_crops: bool) -> list[dict[str, Any]]:
    """The face sets of one medium as rows of table ``face``, without the number of the medium."""
    return [_from_face(one, track, keep_crops) for track in sets for one in track.faces]


def _from_face(one: Face, track: FaceSet, keep_crops: bool) -> dict[str, Any]:
    assert one.feature is not None  # noqa: S101 - a FaceSet checks this at birth
    crop = None
    if keep_crops and one.crop is not None:
        from faceset.gallery import crops  # OpenCV

        crop = crops.encode(one.crop)
    x0, y0, x1, y1 = one.box
    return {
        "track": int(track.track),
        "shot": int(track.shot),
        "frame": int(one.frame),
        "time": float(one.time),
        "x0": x0,
        "y0": y0,
        "x1": x1,
        "y1": y1,
        "score": float(one.score),
        "scheme": one.scheme,
        "landmarks": None if one.landmarks is None else blob(one.landmarks),
        "norm": float(np.linalg.norm(one.feature.astype(np.float64))),
        "feature": blob(one.feature),
        "crop": crop,
    }


def blob(values: Floats) -> bytes:
    """float32, little-endian, C order."""
    return values.astype("<f4", copy=False).tobytes()


def floats(data: bytes, size: int | None) -> Floats:
    """What :func:`blob` wrote: (size,), finite.

    Raises:
        ValueError: another size, or values that are not finite.
    """
    values = np.frombuffer(data, dtype="<f4").astype(np.float32, copy=False)
    if size is not None and values.size != size:
        raise ValueError(f"a vector of {values.size} numbers where {size} were written")
    if not np.isfinite(values).all():
        raise ValueError("a vector that is not finite")
    return values
