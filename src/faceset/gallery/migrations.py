"""Galleries of older versions brought up to this one, each step in the transaction it is given."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.engine import Connection

from faceset.gallery.names import new_uid
from faceset.gallery.schema import SCHEMA_VERSION


def migrate(connection: Connection, version: int) -> None:
    """Bring an SQLite gallery of ``version`` to :data:`SCHEMA_VERSION`; the caller has locked the file.

    Raises:
        KeyError: there never was such a version.
    """
    for step in range(version, SCHEMA_VERSION):
        _STEPS[step](connection)
        connection.exec_driver_sql("UPDATE meta SET schema_version = ?", (step + 1,))
        connection.exec_driver_sql(f"PRAGMA user_version = {step + 1}")


def _to_2(connection: Connection) -> None:
    """Opaque ids of people and media; a place for the proof of the encryption key."""
    connection.exec_driver_sql("ALTER TABLE meta ADD COLUMN key_check BLOB")
    for table in ("person", "medium"):
        # SQLite adds a column that must not be empty only with a default; every row gets its own value at once.
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN uid TEXT NOT NULL DEFAULT ''")
        numbers = connection.exec_driver_sql(f"SELECT id FROM {table}").scalars().all()  # noqa: S608 - our own names
        for number in numbers:
            connection.exec_driver_sql(
                f"UPDATE {table} SET uid = ? WHERE id = ?",  # noqa: S608
                (new_uid(), number),
            )
        connection.exec_driver_sql(f"CREATE UNIQUE INDEX {table}_uid ON {table} (uid)")


_STEPS: dict[int, Callable[[Connection], None]] = {1: _to_2}
