"""Templates of every size class, drawn from the faces of people.

Letters: P people, T templates, M faces, D width. Faces are taken in a canonical order (medium, frame, track, box,
vector), so that the order of the table's rows changes nothing. A face is drawn from all media of the person alike,
which gives faces that differ more, and so higher thresholds, than the frames of one video would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceset.aggregation import Aggregator
from faceset.calibration.records import SizeClass
from faceset.feature_table import FeatureTable, canonical_order
from faceset.types import Floats

Ints = npt.NDArray[np.int64]

LARGEST = 64
"""Most faces that are drawn for one template; more do not change it much."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """T templates of one size class: vectors (T, D) of unit length and the number of the person of each (T,)."""

    vectors: Floats
    person: Ints


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The faces of P people, each with its rows of a table in canonical order."""

    table: FeatureTable
    rows: tuple[Ints, ...]

    @classmethod
    def of(cls, table: FeatureTable) -> People:
        """Everybody in the table; degraded faces are left out."""
        clean = np.flatnonzero(~table.degraded)
        order = clean[canonical_order(table, clean)]
        order = order[np.argsort(table.subject.codes[order], kind="stable")]  # names are sorted, so these are in order
        codes = table.subject.codes[order]
        cuts = np.flatnonzero(np.diff(codes)) + 1
        return cls(table, tuple(part.astype(np.int64) for part in np.split(order, cuts) if part.size))

    def __len__(self) -> int:
        return len(self.rows)

    def aggregate(self, aggregator: Aggregator, sets: Sequence[Ints]) -> Floats:
        """(T, D) templates of sets of rows."""
        rows = np.concatenate(sets)
        offsets = np.concatenate([[0], np.cumsum([len(s) for s in sets])])
        t = self.table
        return aggregator(t.vectors[rows], offsets, media=t.medium.codes[rows], quality=t.score[rows]).templates

    def draw(self, aggregator: Aggregator, size: SizeClass, seed: Sequence[int]) -> Drawn:
        """One template of that class for everybody who has faces enough; the number of faces is drawn too."""
        rng = np.random.default_rng(list(seed))
        sets, persons = [], []
        for person, rows in enumerate(self.rows):
            if rows.size >= size.low:
                sets.append(rng.choice(rows, _number(rng, size, rows.size), replace=False))
                persons.append(person)
        if not sets:
            return Drawn(np.empty((0, self.table.vectors.shape[1]), np.float32), np.empty(0, np.int64))
        return Drawn(self.aggregate(aggregator, sets), np.array(persons, dtype=np.int64))

    def draw_mated(
        self, aggregator: Aggregator, first: SizeClass, second: SizeClass, seed: Sequence[int]
    ) -> tuple[Drawn, Drawn]:
        """Two templates of one person, of the two classes, that share no medium; for everybody where that can be."""
        rng = np.random.default_rng(list(seed))
        left: list[Ints] = []
        right: list[Ints] = []
        persons = []
        for person, rows in enumerate(self.rows):
            media = self.table.medium.codes[rows]
            one = np.zeros(0, np.int64)
            for medium in rng.permutation(np.unique(media)):  # media one by one until the first side has enough
                if one.size >= first.low:
                    break
                one = np.concatenate([one, rows[media == medium]])
            other = rows[~np.isin(rows, one)]
            if one.size >= first.low and other.size >= second.low:
                left.append(rng.choice(one, _number(rng, first, one.size), replace=False))
                right.append(rng.choice(other, _number(rng, second, other.size), replace=False))
                persons.append(person)
        if not persons:
            nothing = Drawn(np.empty((0, self.table.vectors.shape[1]), np.float32), np.empty(0, np.int64))
            return nothing, nothing
        who = np.array(persons, dtype=np.int64)
        return Drawn(self.aggregate(aggregator, left), who), Drawn(self.aggregate(aggregator, right), who)


def _number(rng: np.random.Generator, size: SizeClass, there: int) -> int:
    """How many of the faces that are there a template of that class takes."""
    most = min(there, LARGEST if size.high is None else size.high)
    return int(rng.integers(size.low, max(most, size.low) + 1))
