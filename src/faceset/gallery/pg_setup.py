"""The first set-up of a gallery in a PostgreSQL schema, and what is found where one should be."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from faceset.errors import GalleryError
from faceset.gallery import schema
from faceset.gallery.failures import damaged
from faceset.gallery.place import Server
from faceset.gallery.schema import SCHEMA_VERSION, meta

_MARK = "faceset gallery"
"""Comment on the table ``meta``, which says whose it is, as the application id of an SQLite file does."""


def quote(name: str) -> str:
    """A name as SQL takes it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


class Extension(NamedTuple):
    """The schema that pgvector was installed into, and its version."""

    schema: str
    version: tuple[int, ...]


def version(connection: Connection, place: Server) -> int:
    """Version of the gallery in the schema; 0 when there is none and one can be made.

    Raises:
        GalleryError: the schema is of another program or a newer faceset, or the database cannot hold a gallery.
    """
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise GalleryError(
            f"{place}: the database stores text as {encoding}, which cannot hold every name; make one with "
            "`createdb --encoding UTF8 --template template0 NAME`"
        )
    oid = _scalar(connection, "SELECT oid FROM pg_namespace WHERE nspname = :schema", schema=place.schema)
    if oid is None:
        return 0
    table = "SELECT oid FROM pg_class WHERE relnamespace = :oid AND relname = 'meta' AND relkind = 'r'"
    mark = _scalar(connection, f"SELECT obj_description(({table}), 'pg_class')", oid=oid)
    if mark != _MARK:
        if _scalar(connection, "SELECT count(*) FROM pg_class WHERE relnamespace = :oid", oid=oid):
            raise GalleryError(
                f"{place}: the schema {place.schema!r} holds tables of another program; it was left as it is: choose "
                "another with ?schema=NAME"
            )
        return 0
    found = connection.execute(sa.select(meta.c.schema_version)).scalar_one_or_none()
    if found is None:
        raise damaged(place, "its meta row is missing")
    if found > SCHEMA_VERSION:
        raise GalleryError(
            f"{place} was written by a newer faceset (gallery version {found}, this one knows {SCHEMA_VERSION}); "
            "upgrade faceset"
        )
    if found < SCHEMA_VERSION:  # the first version on a server was 2; a later one brings the steps that lead to it
        raise damaged(place, f"gallery version {found} never existed on a server")
    return int(found)


def extension(connection: Connection) -> Extension | None:
    """Where pgvector is in this database; None when it is not installed."""
    query = sa.text(
        "SELECT nspname, extversion FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace "
        "WHERE extname = 'vector'"
    )
    found = connection.execute(query).first()
    if found is None:
        return None
    return Extension(found.nspname, tuple(int(part) for part in found.extversion.split(".") if part.isdigit()))


def install_extension(connection: Connection, place: Server) -> None:
    """``CREATE EXTENSION vector``, which most servers leave to a superuser.

    Raises:
        GalleryError: the server has no pgvector, or this user may not install it.
    """
    try:
        connection.exec_driver_sql("CREATE EXTENSION vector WITH SCHEMA public")
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state == "42501":
            raise GalleryError(
                f"{place}: the database has no pgvector, and this user may not install it ({error.orig}); have a "
                "superuser run `CREATE EXTENSION vector` in this database"
            ) from error
        if state in ("0A000", "58P01"):
            raise GalleryError(
                f"{place}: the server has no pgvector ({error.orig}); install it on the server's machine (in Debian "
                "the package postgresql-NN-pgvector), then try again"
            ) from error
        raise


def create(connection: Connection, place: Server, now: str) -> None:
    """Make the schema, unless it is there, and the tables of an empty gallery in it."""
    name, plain = quote(place.schema), {"no_parameters": True}
    if _scalar(connection, "SELECT 1 FROM pg_namespace WHERE nspname = :schema", schema=place.schema) is None:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}", execution_options=plain)
    schema.metadata.create_all(connection, checkfirst=False)
    connection.exec_driver_sql(f"COMMENT ON TABLE {name}.meta IS '{_MARK}'", execution_options=plain)
    for table in schema.metadata.sorted_tables:
        for column in table.c:
            if isinstance(column.type, sa.Text | sa.LargeBinary):
                # ANALYZE copies samples of a column into the catalogue, where forgetting does not reach.
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ALTER COLUMN {column.name} SET STATISTICS 0")
    connection.execute(
        sa.insert(meta).values(
            id=1, schema_version=SCHEMA_VERSION, created=now, generation=0, reset_generation=0, purge=0
        )
    )


def _scalar(connection: Connection, sql: str, **values: object) -> object:
    return connection.execute(sa.text(sql), values).scalar_one_or_none()
