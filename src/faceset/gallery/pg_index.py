"""The nearest templates found by the server: pgvector's HNSW index over the templates of a gallery.

The index finds candidates, and misses some; these are scored again in float64 by
:class:`~faceset.gallery.index.ExactIndex`, so that a score has the same bits as in any other gallery.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from faceset.errors import GalleryError
from faceset.gallery import rows
from faceset.gallery.index import ExactIndex
from faceset.gallery.pg_vector import PgVector
from faceset.gallery.place import Server
from faceset.gallery.refusals import sound
from faceset.gallery.schema import meta, person, template
from faceset.types import Floats

OPTION = "faceset_pg_index"
"""Execution option of an engine that holds :class:`Use`."""
MAX_WIDTH = 2000
"""Widest vector that pgvector's HNSW index takes."""

_NAME = "template_hnsw"
MOST = 400
"""Most candidates that the index is asked for; the server's own bound is 1000 for a list twice as long."""
_EF = 400
"""Shortest list that the index is searched with (``hnsw.ef_search``); 40 is the server's default."""
_SPARE = 16
"""Candidates beyond k, so that near ties are decided in float64 and not by the server's float32."""


class Use(NamedTuple):
    """How an opened gallery uses the index."""

    place: Server
    version: tuple[int, ...]


def set_width(connection: Connection, width: int) -> None:
    """Give the column of vectors its width, and the index with it; nothing is held yet.

    Raises:
        GalleryError: an index is wanted, and cannot hold vectors of this width.
    """
    _check_width(connection, width)
    query = "SELECT atttypmod FROM pg_attribute WHERE attrelid = 'template'::regclass AND attname = 'vector'"
    if connection.exec_driver_sql(query).scalar_one() != width:
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS {_NAME}")
        connection.exec_driver_sql(f"ALTER TABLE template ALTER COLUMN vector TYPE vector({int(width)})")
    if _wanted(connection):
        create(connection)


def is_lacking(connection: Connection) -> bool:
    """Whether the index is wanted, could be made and is not there.

    Raises:
        GalleryError: as :func:`set_width`.
    """
    if not _wanted(connection):
        return False
    width = connection.execute(sa.select(meta.c.width)).scalar_one()
    if width is None:
        return False
    _check_width(connection, width)
    return connection.exec_driver_sql(f"SELECT to_regclass('{_NAME}')").scalar_one() is None


def create(connection: Connection) -> None:
    """Make the index, unless it is there."""
    connection.exec_driver_sql(f"CREATE INDEX IF NOT EXISTS {_NAME} ON template USING hnsw (vector vector_ip_ops)")


def search(connection: Connection, queries: Floats, k: int) -> list[list[tuple[str, float]]]:
    """Names and scores of about the min(k, G) people most like each query (Q, D), best first.

    Equal scores come in order of first enrolment, among the candidates that the index found. More than
    :data:`MOST` candidates are found without the index, exactly.
    """
    use: Use = connection.get_execution_options()[OPTION]
    connection.exec_driver_sql(_settings(k, use.version), execution_options={"no_parameters": True})
    width = queries.shape[1]
    found = []
    for query in queries:
        distance = template.c.vector.op("<#>")(sa.bindparam("query", rows.blob(query), PgVector()))
        near = sa.select(template.c.person_id, template.c.vector).order_by(distance).limit(k + _SPARE).subquery()
        held = connection.execute(
            sa.select(person.c.id, person.c.name, near.c.vector)
            .join_from(near, person, near.c.person_id == person.c.id)
            .order_by(person.c.id)
        ).all()
        with sound(use.place):
            vectors = [rows.floats(row.vector, width) for row in held]
        index = ExactIndex()
        index.rebuild(np.stack(vectors) if vectors else np.empty((0, width), dtype=np.float32))
        places, scores = index.search(query[np.newaxis], k)
        found.append([(held[i].name, float(s)) for i, s in zip(places[0], scores[0], strict=True)])
    return found


def _settings(k: int, version: tuple[int, ...]) -> str:
    """What the server is told before it looks for k candidates."""
    if k > MOST:
        return "SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on"
    told = f"SET LOCAL hnsw.ef_search = {max(2 * k, _EF) + _SPARE}"
    if version >= (0, 8):  # go on looking where rows that are dead took places in the list
        told += "; SET LOCAL hnsw.iterative_scan = strict_order"
    return told


def _wanted(connection: Connection) -> bool:
    use: Use = connection.get_execution_options()[OPTION]
    return use.place.index == "hnsw"


def _check_width(connection: Connection, width: int) -> None:
    use: Use = connection.get_execution_options()[OPTION]
    if use.place.index == "hnsw" and width > MAX_WIDTH:
        raise GalleryError(
            f"{use.place}: an HNSW index holds vectors of at most {MAX_WIDTH:,} numbers, but this embedder's have "
            f"{width:,}; open the gallery with ?index=exact"
        )
