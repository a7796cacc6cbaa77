"""Search through the server's index, in place of templates held in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from faceset.gallery import changes, pg_index, store
from faceset.gallery.refusals import check_embedder
from faceset.gallery.schema import meta
from faceset.types import Template

if TYPE_CHECKING:
    from faceset.aggregation import Aggregator
    from faceset.gallery.postgres import PostgresDatabase


class ServerSearch:
    """Finds people through the HNSW index of an opened gallery. May be shared by threads."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._fresh: tuple[int, str] | None = None  # generation in which this aggregator had made every template

    def search(
        self, templates: Sequence[Template], k: int, aggregator: Aggregator | None
    ) -> list[list[tuple[str, float]]]:
        """Names and scores for each template, as :meth:`faceset.gallery.Gallery.search` checks and describes."""
        place = self._database.place
        queries = [t.vector for t in templates]
        with self._database.read() as connection:
            bound = store.binding(connection)
            for one in templates:
                check_embedder(place, bound, (one.model_id, one.vector.shape[0]), "the probes")
            if bound.model_id is None:
                return [[] for _ in templates]
            if aggregator is None:
                return pg_index.search(connection, np.stack(queries), k)
            state = (connection.execute(sa.select(meta.c.generation)).scalar_one(), aggregator.name)
            if state == self._fresh or not store.of_other_aggregators(connection, aggregator.name):
                self._fresh = state
                return pg_index.search(connection, np.stack(queries), k)
        with self._database.write() as connection:
            changes.refresh(connection, place, aggregator)
            return pg_index.search(connection, np.stack(queries), k)
