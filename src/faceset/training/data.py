"""Features to train on, and who is trained on and who is held out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.feature_table import CLEAN, FeatureTable, Labels
from faceset.types import Floats

VALIDATION_SHARE = 0.25
"""Share of subjects that are held out of every training."""
STRONG = 0.5
"""Share of the degraded faces, the strongest of each kind, that stand for unrecognisable ones."""


class Split(NamedTuple):
    """Disjoint names of subjects, each sorted."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    left_out: tuple[str, ...]


def unit(features: Floats) -> Floats:
    """Features (..., D) at unit length; zeros stay zeros."""
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-12), np.float32)


def split_subjects(names: Iterable[str], share: float = VALIDATION_SHARE, leave_out: Iterable[str] = ()) -> Split:
    """Hold out a fixed share of subjects, chosen by a hash of the name.

    A subject is for validation when the first 8 bytes of the sha256 of the name (UTF-8), as a fraction of 2^64, are
    below ``share``. So the choice does not depend on who else is there. ``leave_out`` are in neither part.

    >>> split_subjects(["Ann", "Bob", "Cid", "Dan"], share=0.5, leave_out=["Dan"]).left_out
    ('Dan',)
    """
    if not 0.0 <= share <= 1.0:
        raise InputError(f"share must be in 0..1, but got {share!r}")
    everyone, outside = set(names), set(leave_out)
    held = {n for n in everyone if int.from_bytes(hashlib.sha256(n.encode()).digest()[:8], "big") < share * 2.0**64}
    return Split(
        tuple(sorted(everyone - outside - held)),
        tuple(sorted((everyone & held) - outside)),
        tuple(sorted(everyone & outside)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class TrainData:
    """Features with labels; the features are never copied, parts of them are named by ``rows``.

    Attributes:
        features: (M, D) float32 raw features.
        subject, medium: (M,) labels; a medium belongs to one subject.
        kind: (M,) kind of degradation, ``clean`` for none.
        strength: (M,) float32 strength of the degradation.
        score: (M,) float32 detector scores, for baselines that weigh by them.
        rows: (R,) the rows that take part, rising.
        embedder: id of the embedder.
    """

    features: Floats
    subject: Labels
    medium: Labels
    kind: Labels
    strength: Floats
    score: Floats
    rows: npt.NDArray[np.int64]
    embedder: str = ""

    @classmethod
    def of(
        cls,
        features: npt.ArrayLike,
        subjects: npt.ArrayLike,
        media: npt.ArrayLike,
        degraded: npt.ArrayLike | None = None,
        *,
        kinds: npt.ArrayLike | None = None,
        strength: npt.ArrayLike | None = None,
        score: npt.ArrayLike | None = None,
        embedder: str = "",
    ) -> TrainData:
        """From arrays in memory.

        Args:
            features: (M, D) raw features, finite.
            subjects: (M,) names or numbers.
            media: (M,) names or numbers, unique over all subjects.
            degraded: (M,) bool; the same as kinds ``clean`` and ``degraded``.
            kinds: (M,) names of degradations, ``clean`` for none.
            strength: (M,) of the degradation; None: all alike.
            score: (M,) detector scores; None: all 1.
            embedder: id of the embedder.

        Raises:
            InputError: lengths that do not fit, values that are not finite, a medium of two subjects.
        """
        x = np.asarray(features, dtype=np.float32)
        if x.ndim != 2 or 0 in x.shape:
            raise InputError(f"features must be (M, D) with M, D >= 1, but got {x.shape}")
        M = len(x)
        if kinds is None:
            flags = np.zeros(M, bool) if degraded is None else np.asarray(degraded, dtype=bool)
            kinds = np.where(flags, "degraded", CLEAN)
        ones = np.ones(M, np.float32)
        columns = {
            "subjects": np.asarray(subjects, dtype=str),
            "media": np.asarray(media, dtype=str),
            "kinds": np.asarray(kinds, dtype=str),
            "strength": ones if strength is None else np.asarray(strength, dtype=np.float32),
            "score": ones if score is None else np.asarray(score, dtype=np.float32),
        }
        for name, column in columns.items():
            if column.shape != (M,):
                raise InputError(f"{name} must have shape ({M},), one for each feature, but got {column.shape}")
        who, where, kind = (Labels.of(columns[name]) for name in ("subjects", "media", "kinds"))
        return cls(x, who, where, kind, columns["strength"], columns["score"], np.arange(M), embedder)._checked()

    @classmethod
    def from_table(cls, table: FeatureTable) -> TrainData:
        """From a feature table."""
        t = table
        rows = np.arange(len(t))
        return cls(t.vectors, t.subject, t.medium, t.kind, t.strength, t.score, rows, t.embedder)._checked()

    def _checked(self) -> TrainData:
        for i in range(0, len(self.features), 65536):
            if not np.isfinite(self.features[i : i + 65536]).all():
                raise InputError("features hold NaN or infinity; leave such faces out")
        owner = np.full(len(self.medium.names), -1, np.int32)
        owner[self.medium.codes] = self.subject.codes
        wrong = np.flatnonzero(owner[self.medium.codes] != self.subject.codes)
        if wrong.size:
            name = self.medium.names[self.medium.codes[wrong[0]]]
            raise InputError(f"medium {name!r} belongs to two subjects; give every medium a name of its own")
        return self

    @property
    def dim(self) -> int:
        """D."""
        return int(self.features.shape[1])

    @property
    def degraded(self) -> npt.NDArray[np.bool_]:
        """(R,) whether each row that takes part was made worse."""
        return ~self.kind.is_in([CLEAN])[self.rows]

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of the subjects that take part, sorted."""
        return tuple(self.subject.names[c] for c in np.unique(self.subject.codes[self.rows]))

    def only(
        self,
        subjects: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
        max_strength: float | None = None,
    ) -> TrainData:
        """The rows of these subjects and of these kinds of degradation (None: of all), clean or up to that strength."""
        keep = np.ones(self.rows.size, bool)
        if subjects is not None:
            keep &= self.subject.is_in(subjects)[self.rows]
        if kinds is not None:
            keep &= self.kind.is_in(kinds)[self.rows]
        if max_strength is not None:
            keep &= ~self.degraded | (self.strength[self.rows] <= max_strength)
        return TrainData(
            self.features,
            self.subject,
            self.medium,
            self.kind,
            self.strength,
            self.score,
            self.rows[keep],
            self.embedder,
        )

    def unrecognisable(self, by_kind: bool = False) -> list[Floats]:
        """Features of the most strongly degraded faces: of all kinds together, or one array for each kind.

        Raises:
            InputError: there is no degraded face.
        """
        bad = self.rows[self.degraded]
        if bad.size == 0:
            raise InputError("no degraded face is there to find the centroid of; extract with degradations")
        found: list[npt.NDArray[np.int64]] = []
        for code in np.unique(self.kind.codes[bad]):
            of_kind = bad[self.kind.codes[bad] == code]
            found.append(of_kind[self.strength[of_kind] >= np.quantile(self.strength[of_kind], 1.0 - STRONG)])
        if not by_kind:
            found = [np.concatenate(found)]
        return [self.features[rows] for rows in found]
