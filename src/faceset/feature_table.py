"""What a feature table holds: one row per face. Reading and writing is in :mod:`faceset.features`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.types import LANDMARK_SCHEMES, Box, Floats

CLEAN = "clean"
"""Kind of degradation of a face as it was found."""

NAMES = ("subject", "medium", "kind")
"""Columns of names."""
SCALARS = {
    "track": "int32",
    "frame": "int64",
    "time": "float64",
    "score": "float32",
    "norm": "float32",
    "strength": "float32",
}
"""Columns of one number a row, and their types."""


class Labels(NamedTuple):
    """A column of names, each stored once."""

    codes: npt.NDArray[np.int32]
    """(M,) index into ``names``."""
    names: tuple[str, ...]
    """The distinct names, sorted."""

    @classmethod
    def of(cls, values: Sequence[str] | npt.NDArray[np.generic]) -> Labels:
        """Labels of a sequence of names.

        >>> Labels.of(["b", "a", "b"])
        Labels(codes=array([1, 0, 1], dtype=int32), names=('a', 'b'))
        """
        if len(values) == 0:
            return cls(np.empty(0, np.int32), ())
        names, codes = np.unique(np.asarray(values, dtype=str), return_inverse=True)
        return cls(codes.astype(np.int32), tuple(names.tolist()))

    def is_in(self, chosen: Iterable[str]) -> npt.NDArray[np.bool_]:
        """(M,) whether each row has one of the chosen names."""
        wanted = set(chosen)
        return np.array([n in wanted for n in self.names], dtype=bool)[self.codes]


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One face on its way into a table; see :class:`FeatureTable` for the columns."""

    subject: str
    medium: str
    vector: Floats
    box: Box
    score: float
    landmarks: Floats | None = None
    track: int = 0
    frame: int = 0
    time: float = 0.0
    kind: str = CLEAN
    strength: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """The faces of many people; M rows.

    Attributes:
        embedder: id of the embedder that made the vectors.
        vectors: (M, D) float32 raw embeddings.
        subject, medium: person; picture or video, unique over all subjects.
        kind: kind of degradation, :data:`CLEAN` for none.
        strength: (M,) float32 of the degradation, 0..1, 0 for none.
        track, frame: (M,) numbers within the medium.
        time: (M,) seconds from the start of the medium.
        box: (M, 4) float32 xyxy pixels.
        landmarks: (M, P, 2) float32 pixels; NaN where none were found.
        score: (M,) float32 of the detector, >= 0.
        norm: (M,) float32 length of the vector.
        scheme: name of the landmark scheme.
        settings: how the features were made, as the writer described it.
    """

    embedder: str
    vectors: Floats
    subject: Labels
    medium: Labels
    kind: Labels
    strength: Floats
    track: npt.NDArray[np.int32]
    frame: npt.NDArray[np.int64]
    time: npt.NDArray[np.float64]
    box: Floats
    landmarks: Floats
    score: Floats
    norm: Floats
    scheme: str = "arcface5"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def degraded(self) -> npt.NDArray[np.bool_]:
        """(M,) whether the face was made worse on purpose."""
        return ~self.kind.is_in([CLEAN])

    def take(self, rows: npt.NDArray[np.generic]) -> FeatureTable:
        """The table of some rows: numbers, or a mask."""
        columns: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        for name in NAMES:
            labels: Labels = columns[name]
            columns[name] = Labels.of(np.array(labels.names, dtype=str)[labels.codes[rows]])
        for name in ("vectors", "box", "landmarks", *SCALARS):
            columns[name] = columns[name][rows]
        return FeatureTable(**columns)

    def sets(self, by: str = "medium") -> FeatureSets:
        """The faces grouped into sets: by ``subject``, ``medium``, or ``track`` (of a medium).

        Raises:
            InputError: another word.
        """
        if by not in ("subject", "medium", "track"):
            raise InputError(f"sets are made by 'subject', 'medium' or 'track', but got {by!r}")
        keys: list[npt.NDArray[Any]] = [self.subject.codes if by == "subject" else self.medium.codes]
        if by == "track":
            keys.append(self.track)
        order = np.lexsort(keys[::-1])
        changes = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
        starts = np.flatnonzero(np.r_[np.ones(min(1, len(self)), bool), changes])
        first = order[starts]
        names = [self.subject.names[c] if by == "subject" else self.medium.names[c] for c in keys[0][first]]
        if by == "track":
            names = [f"{name}#{track}" for name, track in zip(names, self.track[first], strict=True)]
        return FeatureSets(
            features=self.vectors[order],
            offsets=np.r_[starts, len(self)].astype(np.int64),
            names=tuple(names),
            subjects=tuple(self.subject.names[c] for c in self.subject.codes[first]),
            rows=order.astype(np.int64),
        )


class FeatureSets(NamedTuple):
    """The faces of B sets one after the other, as aggregators take them."""

    features: Floats
    """(M, D) raw embeddings; set b holds the rows ``offsets[b]`` to ``offsets[b + 1]``."""
    offsets: npt.NDArray[np.int64]
    """(B + 1,)."""
    names: tuple[str, ...]
    """(B,) name of the subject or medium, or ``medium#track``."""
    subjects: tuple[str, ...]
    """(B,) the person of each set."""
    rows: npt.NDArray[np.int64]
    """(M,) where each row was in the table."""


def table_of(
    rows: Sequence[FeatureRow],
    embedder: str,
    *,
    width: int | None = None,
    scheme: str = "arcface5",
    settings: Mapping[str, Any] | None = None,
) -> FeatureTable:
    """A table of single rows; ``width`` D is needed only when there are none.

    Raises:
        InputError: no row and no width, vectors of several widths, or numbers that are not finite.
    """
    if scheme not in LANDMARK_SCHEMES:
        raise InputError(f"landmark scheme must be one of {sorted(LANDMARK_SCHEMES)}, but got {scheme!r}")
    widths = {np.shape(r.vector) for r in rows} | ({(width,)} if width is not None else set())
    if len(widths) != 1 or len(next(iter(widths))) != 1:
        raise InputError(f"a table needs vectors of one width, but got shapes {sorted(map(str, widths))}")
    D, P = next(iter(widths))[0], LANDMARK_SCHEMES[scheme]
    vectors = np.array([r.vector for r in rows], dtype=np.float32).reshape(len(rows), D)
    if not np.isfinite(vectors).all():
        raise InputError(f"the vectors of {rows[0].medium!r} hold NaN or infinity; leave such faces out")
    missing = np.full((P, 2), np.nan, np.float32)
    return FeatureTable(
        embedder=embedder,
        vectors=vectors,
        subject=Labels.of([r.subject for r in rows]),
        medium=Labels.of([r.medium for r in rows]),
        kind=Labels.of([r.kind for r in rows]),
        strength=np.array([r.strength for r in rows], dtype=np.float32),
        track=np.array([r.track for r in rows], dtype=np.int32),
        frame=np.array([r.frame for r in rows], dtype=np.int64),
        time=np.array([r.time for r in rows], dtype=np.float64),
        box=np.array([r.box for r in rows], dtype=np.float32).reshape(-1, 4),
        landmarks=np.array([missing if r.landmarks is None else r.landmarks for r in rows], dtype=np.float32).reshape(
            -1, P, 2
        ),
        score=np.array([r.score for r in rows], dtype=np.float32),
        norm=np.linalg.norm(vectors.astype(np.float64), axis=1).astype(np.float32),
        scheme=scheme,
        settings=dict(settings or {}),
    )


def canonical_order(table: FeatureTable, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Order of some rows by medium, frame, track, box and, among rows equal in all these, by the vector's bytes."""
    codes = table.medium.codes[rows]
    order = np.argsort(codes, kind="stable")
    if not (np.diff(codes[order]) == 0).any():
        return order
    box = np.ascontiguousarray(table.box[rows], dtype=np.float32).view(np.int32)  # bits: NaN equals itself
    keys = (*box.T[::-1], table.track[rows], table.frame[rows], codes)
    order = np.lexsort(keys)
    tied = np.ones(max(order.size - 1, 0), dtype=bool)
    for key in keys:
        tied &= np.diff(key[order]) == 0
    start = 0
    while start < tied.size:  # rows that nothing but the vector tells apart: rare
        if not tied[start]:
            start += int(np.argmax(tied[start:])) or tied.size
            continue
        stop = start + 1
        while stop < tied.size and tied[stop]:
            stop += 1
        group = order[start : stop + 1]
        keyed = sorted(group, key=lambda i: (table.vectors[rows[i]].tobytes(), table.score[rows[i]].tobytes()))
        order[start : stop + 1] = keyed
        start = stop
    return order
