"""The templates of a gallery in memory, brought up to date from the file before each search."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from faceset.gallery import rows, sealing
from faceset.gallery.index import Indices, Scores, VectorIndex
from faceset.gallery.place import Place
from faceset.gallery.refusals import sound
from faceset.gallery.schema import meta, person, template
from faceset.types import Floats

_NOTHING = -1
_COPIED = 64 << 20
"""Bytes of vectors that are copied when they outgrow their array; more are read anew: two copies are never held."""


class TemplateCache:
    """Names and template vectors (G, D) of one generation of the file, and the index over them.

    Whoever calls it holds ``lock``. After a removal everything is read anew; otherwise only what is newer than the
    generation held. People are in order of their first enrolment, so that equal scores come in that order.
    """

    def __init__(self, path: Place, index: VectorIndex) -> None:
        self.path = path
        self.lock = threading.RLock()
        self.index = index
        self.names: list[str] = []
        self._generation = _NOTHING
        self._rows: dict[int, int] = {}
        self._aggregators: list[str] = []
        self._counts: Counter[str] = Counter()
        self._vectors: Floats = np.empty((0, 0), dtype=np.float32)

    def clear(self) -> None:
        """Trust nothing held; the next update reads everything."""
        self._generation = _NOTHING

    def holds_other_than(self, aggregator: str) -> bool:
        """Whether some template was made by another aggregator."""
        return self._counts[aggregator] != len(self.names)

    def search(self, queries: Floats, k: int) -> tuple[Indices, Scores]:
        """See :meth:`VectorIndex.search`."""
        return self.index.search(queries, k)

    def update(self, connection: Connection) -> None:
        """Hold the state that the transaction of ``connection`` sees."""
        state = connection.execute(sa.select(meta.c.generation, meta.c.reset_generation, meta.c.width)).one()
        since = self._generation
        if state.generation == since:
            return
        self.clear()  # an interruption from here on leaves nothing half believed
        stale = since == _NOTHING or state.reset_generation > since or state.generation < since
        if stale or not self._has_room(connection, since, state.width or 0):
            since = _NOTHING
            self._reset(connection, state.width or 0)
        self._read(connection, since, state.width or 0)
        self.index.rebuild(self._vectors[: len(self.names)])
        self._generation = state.generation

    def _reset(self, connection: Connection, width: int) -> None:
        size = connection.execute(sa.select(sa.func.count()).select_from(template)).scalar_one()
        self.names, self._rows, self._aggregators, self._counts = [], {}, [], Counter()
        self._vectors = np.empty((0, width), dtype=np.float32)
        if len(self.index):
            self.index.rebuild(self._vectors)  # lets go of the old vectors before there is room for new ones
        self._vectors = _with_room(size, width)

    def _has_room(self, connection: Connection, since: int, width: int) -> bool:
        """Whether what is new fits beside what is held; a small array is copied into a larger one for that."""
        if self._vectors.shape[1] != width:
            return False
        new = sa.select(sa.func.count()).select_from(template).where(template.c.generation > since)
        needed = len(self.names) + connection.execute(new).scalar_one()
        if needed <= len(self._vectors):
            return True
        if self._vectors.nbytes > _COPIED:
            return False
        grown = _with_room(needed, width)
        grown[: len(self.names)] = self._vectors[: len(self.names)]
        self._vectors = grown
        return True

    def _read(self, connection: Connection, since: int, width: int) -> None:
        query = (
            sa.select(person.c.id, person.c.name, person.c.uid, template.c.aggregator, template.c.vector)
            .join_from(template, person)
            .order_by(person.c.id)
        )
        if since != _NOTHING:
            query = query.where(template.c.generation > since)
        seal = sealing.of(connection)
        for number, name, uid, aggregator, data in connection.execute(query):
            with sound(self.path):
                opened = data if seal.plain else seal.open_vector(data, uid, aggregator)
                vector = rows.floats(opened, width)
            row = self._rows.get(number)
            if row is None:
                row = self._rows[number] = len(self.names)
                self.names.append(name)
                self._aggregators.append(aggregator)
            else:
                self._counts[self._aggregators[row]] -= 1
                self._aggregators[row] = aggregator
            self._counts[aggregator] += 1
            self._vectors[row] = vector


def _with_room(size: int, width: int) -> Floats:
    """Room for ``size`` vectors and some more; memory that is not written to yet is not taken."""
    return np.empty((size + size // 4 + 16, width), dtype=np.float32)
