"""A gallery encrypted, decrypted, or given another key: every value is written anew, then the old bytes are purged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from faceset.errors import GalleryError, InputError
from faceset.gallery import sealing, store
from faceset.gallery.database import Database
from faceset.gallery.files import check_path
from faceset.gallery.schema import face, medium, meta, person, template
from faceset.gallery.sealing import Seal

_BATCH = 1000


def seal(path: str | os.PathLike[str], key: bytes) -> int:
    """Encrypt a gallery that is not; the number of values written.

    It happens whole or not at all; afterwards the file is rewritten, so that no plain bytes stay in it. Programs that
    have the gallery open are refused from then on, until they open it with the key.

    Raises:
        GalleryError: the file is no gallery, cannot be written, or is encrypted already; or the old bytes could not be
            overwritten yet, because another process is reading (the next opening does it).
    """
    path = check_path(path, create=False)
    try:
        database = Database(path, create=False)
    except GalleryError:
        Database(path, create=False, key=key).close()  # where this fails too, it says why
        raise GalleryError(f"{path}: this gallery is encrypted with this key already; nothing was changed") from None
    return _rewrite(database, key)


def unseal(path: str | os.PathLike[str], key: bytes) -> int:
    """Decrypt a gallery; otherwise as :func:`seal`."""
    return _rewrite(Database(check_path(path, create=False), create=False, key=key), None)


def rekey(path: str | os.PathLike[str], old: bytes, new: bytes) -> int:
    """Encrypt a gallery with another key; otherwise as :func:`seal`.

    Raises:
        InputError: the keys are the same.
    """
    if old == new:
        raise InputError("the new key is the old one; make another with `faceset gallery key`")
    return _rewrite(Database(check_path(path, create=False), create=False, key=old), new)


def _rewrite(database: Database, key: bytes | None) -> int:
    try:
        after = sealing.new(database.path, key)
        with database.write() as connection:
            before = sealing.of(connection)
            count = _templates(connection, before, after) + _faces(connection, before, after)
            connection.execute(sa.update(meta).values(key_check=after.check))
            store.mark_removed(connection)
        database.use(after)
        if not database.purge():
            raise GalleryError(
                f"{database.path}: every value was written anew, but another process keeps the old bytes in the file; "
                "they are overwritten when the gallery is opened next: end that process, and open it once"
            )
    finally:
        database.close()
    return count


def _templates(connection: Connection, before: Seal, after: Seal) -> int:
    query = sa.select(template.c.person_id, person.c.uid, template.c.aggregator, template.c.vector).join_from(
        template, person
    )
    change = (
        sa.update(template)
        .where(template.c.person_id == sa.bindparam("row"))
        .values(vector=sa.bindparam("sealed", type_=sa.LargeBinary))
    )
    count = 0
    for batch in _batches(connection, query, template.c.person_id):
        changes = [
            {
                "row": row.person_id,
                "sealed": after.seal_vector(
                    before.open_vector(row.vector, row.uid, row.aggregator), row.uid, row.aggregator
                ),
            }
            for row in batch
        ]
        connection.execute(change, changes)
        count += len(changes)
    return count


def _faces(connection: Connection, before: Seal, after: Seal) -> int:
    query = sa.select(face, medium.c.uid).join_from(face, medium)
    columns: dict[str, Any] = {name: sa.bindparam(f"sealed_{name}", type_=sa.LargeBinary) for name in sealing.SEALED}
    change = sa.update(face).where(face.c.id == sa.bindparam("row")).values(columns)
    count = 0
    for batch in _batches(connection, query, face.c.id):
        changes: list[dict[str, Any]] = []
        for row in batch:
            sealed = after.seal_face(before.open_face(row._mapping, row.uid), row.uid)
            changes.append({"row": row.id, **{f"sealed_{name}": sealed[name] for name in sealing.SEALED}})
            count += sum(sealed[name] is not None for name in sealing.SEALED)
        connection.execute(change, changes)
    return count


def _batches(connection: Connection, query: sa.Select[Any], number: sa.Column[Any]) -> Iterator[list[Any]]:
    """The rows of a query in order of ``number``, its own key, some at a time: rows must not change while read."""
    last = 0
    while batch := list(connection.execute(query.where(number > last).order_by(number).limit(_BATCH))):
        yield batch
        last = getattr(batch[-1], number.name)
