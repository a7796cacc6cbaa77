"""The templates of a gallery in memory, brought up to date from the file before each search."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from faceset.gallery import rows
from faceset.gallery.index import Indices, Scores, VectorIndex
from faceset.gallery.refusals import sound
from faceset.gallery.schema import meta, person, template
from faceset.types import Floats

_NOTHING = -1


class TemplateCache:
    """Names and template vectors (G, D) of one generation of the file, and the index over them.

    Whoever calls it holds ``lock``. After a removal everything is read anew; otherwise only what is newer than the
    generation held. People are in order of their first enrolment, so that equal scores come in that order.
    """

    def __init__(self, path: Path, index: VectorIndex) -> None:
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
        if since == _NOTHING or state.reset_generation > since or state.generation < since:
            since = _NOTHING
            self._reset(connection, state.width or 0)
        self._read(connection, since, state.width or 0)
        self.index.rebuild(self._vectors[: len(self.names)])
        self._generation = state.generation

    def _reset(self, connection: Connection, width: int) -> None:
        size = connection.execute(sa.select(sa.func.count()).select_from(template)).scalar_one()
        self.names, self._rows, self._aggregators, self._counts = [], {}, [], Counter()
        self._vectors = np.empty((size, width), dtype=np.float32)

    def _read(self, connection: Connection, since: int, width: int) -> None:
        query = (
            sa.select(person.c.id, person.c.name, template.c.aggregator, template.c.vector)
            .join_from(template, person)
            .order_by(person.c.id)
        )
        if since != _NOTHING:
            query = query.where(template.c.generation > since)
        for number, name, aggregator, data in connection.execute(query):
            with sound(self.path):
                vector = rows.floats(data, width)
            row = self._rows.get(number)
            if row is None:
                row = self._rows[number] = len(self.names)
                self.names.append(name)
                self._aggregators.append(aggregator)
                self._make_room(row, width)
            else:
                self._counts[self._aggregators[row]] -= 1
                self._aggregators[row] = aggregator
            self._counts[aggregator] += 1
            self._vectors[row] = vector

    def _make_room(self, row: int, width: int) -> None:
        if row < len(self._vectors) and self._vectors.shape[1] == width:
            return
        grown = np.empty((row + row // 8 + 16, width), dtype=np.float32)
        if row:
            grown[:row] = self._vectors[:row]
        self._vectors = grown
