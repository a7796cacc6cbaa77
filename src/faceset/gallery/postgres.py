"""One gallery in a PostgreSQL database: transactions, first set-up, and getting rid of removed rows."""

from __future__ import annotations

import hashlib
import logging
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from faceset.errors import GalleryError
from faceset.gallery import pg_engine, pg_index, pg_setup
from faceset.gallery.database import close_before_fork, now
from faceset.gallery.failures import BUSY_SECONDS
from faceset.gallery.pg_failures import translate
from faceset.gallery.pg_setup import quote
from faceset.gallery.place import Server
from faceset.gallery.schema import meta, metadata

log = logging.getLogger("faceset")

_IDLE_SECONDS = 600
"""A writer that dies without its connection being closed (a machine that vanished) holds the others up so long."""
_VACUUMS = 5
_UNPREPARED = {"no_parameters": True}


class PostgresDatabase:
    """The gallery at ``place``; set up when there is none yet and ``create`` is true.

    One writer at a time, by an advisory lock that lasts as long as its transaction; a reader sees one state throughout
    and waits for nobody. Every name is looked up in the gallery's own schema, by a search path that is set for the
    transaction only, so that a pooler may stand between.

    Raises:
        GalleryError: the server cannot be reached or refuses, has no pgvector, or what is in the schema is no gallery
            of this version.
        MissingExtraError: psycopg is not installed.
    """

    def __init__(self, place: Server, *, create: bool) -> None:
        self.place = place
        self.closed = False
        self.engine = pg_engine.make(place)
        self._begin = {"read": "", "write": ""}
        event.listen(self.engine, "begin", self._on_begin)
        close_before_fork(self.engine)
        self._finalizer = weakref.finalize(self, self.engine.dispose)
        try:
            self._set_up(create=create)
            with self.read() as connection:
                purge = connection.execute(sa.select(meta.c.purge)).scalar_one()
                lacks_index = pg_index.is_lacking(connection)
            if lacks_index:
                with self.write() as connection:
                    pg_index.create(connection)
        except BaseException:
            self.close()
            raise
        if purge:
            self.purge()

    def close(self) -> None:
        """Close every connection."""
        self.closed = True
        self._finalizer()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the gallery throughout, and blocks nobody."""
        with self._translated(), self._connection() as connection:
            connection = connection.execution_options(
                faceset_begin="read", isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that alone may write; it bumps the generation. Any error undoes all of it."""
        with self._locked() as connection:
            connection.execute(sa.update(meta).values(generation=meta.c.generation + 1))
            yield connection

    def purge(self) -> bool:
        """``VACUUM`` of the gallery's tables, so that what was removed is not found through the server any more.

        Rows that an older transaction may still look at cannot be vacuumed. Then this is put off: the gallery
        remembers, and the next removal or opening tries again.

        Returns:
            Whether it was done.
        """
        tables = ", ".join(
            f"{quote(self.place.schema)}.{quote(t.name)}" for t in metadata.sorted_tables if t is not meta
        )
        try:
            with self._translated(), self._connection() as connection:
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                for turn in range(_VACUUMS):
                    time.sleep(0.1 * turn)
                    # Without INDEX_CLEANUP a vacuum that finds few dead rows leaves them in the indices.
                    self._run(connection, f"VACUUM (INDEX_CLEANUP ON) {tables}")
                    if not self._dead_rows(connection):
                        break
                else:
                    raise GalleryError(f"{self.place}: another transaction still looks at them")
                if self.place.vacuum == "full":
                    self._run(connection, f"VACUUM (FULL) {tables}")
            with self.write() as connection:
                connection.execute(sa.update(meta).values(purge=0))
        except GalleryError as error:
            log.warning(
                "what was removed is out of the gallery, but the server may still hold its rows; opening the gallery "
                "again will vacuum them (%s)",
                error,
            )
            return False
        return True

    def _dead_rows(self, connection: Connection) -> int:
        """Rows that a vacuum had to leave; 0 where the server does not count them in time (before version 15)."""
        if not _counts_at_once(connection):
            return 0
        query = sa.text(
            "SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_all_tables WHERE schemaname = :schema "
            "AND relname <> 'meta'"
        )
        return int(connection.execute(query, {"schema": self.place.schema}).scalar_one())

    @staticmethod
    def _run(connection: Connection, sql: str) -> None:
        connection.exec_driver_sql(sql, execution_options=_UNPREPARED)

    @contextmanager
    def _locked(self) -> Iterator[Connection]:
        # READ COMMITTED: a snapshot taken before the lock was had would miss what the writer before did.
        with self._translated(), self._connection() as connection:
            connection = connection.execution_options(faceset_begin="write", isolation_level="READ COMMITTED")
            with connection.begin():
                yield connection
                if _counts_at_once(connection):  # so that the counts of removed rows are there when purge() looks
                    connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")

    def _connection(self) -> Connection:
        if self.closed:
            raise GalleryError(f"{self.place}: the gallery was closed; open it again with Gallery({str(self.place)!r})")
        return self.engine.connect()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import psycopg

        try:
            yield
        except (DBAPIError, PoolTimeout, psycopg.Error) as error:
            raise translate(self.place, error) from error

    def _set_up(self, *, create: bool) -> None:
        self._search("public")
        with self.read() as connection:
            version = pg_setup.version(connection, self.place)
            extension = pg_setup.extension(connection)
        if version == 0:
            if not create:
                raise GalleryError(
                    f"{self.place}: there is no gallery in schema {self.place.schema!r} of this database; check the "
                    "URL, or enrol somebody to make the gallery"
                )
            with self._locked() as connection:
                if pg_setup.version(connection, self.place) == 0:  # no other process was faster
                    if pg_setup.extension(connection) is None:
                        pg_setup.install_extension(connection, self.place)
                    extension = pg_setup.extension(connection)
                    self._search(extension.schema if extension else "public")
                    self._run(connection, self._begin["read"])
                    pg_setup.create(connection, self.place, now())
        if extension is None:
            with self.read() as connection:
                extension = pg_setup.extension(connection)
        if extension is None:
            raise GalleryError(
                f"{self.place}: pgvector was removed from this database; put back a backup of the database"
            )
        self._search(extension.schema)
        self.engine.update_execution_options(**{pg_index.OPTION: pg_index.Use(self.place, extension.version)})

    def _search(self, extension_schema: str) -> None:
        """Begin transactions with the gallery's schema, and that of pgvector, as the search path."""
        # Everything that is looked up has an index, but a plan made while a table was small would keep to reading all
        # of it.
        path = (
            f"SET LOCAL search_path = {quote(self.place.schema)}, {quote(extension_schema)}; "
            "SET LOCAL enable_seqscan = off"
        )
        self._begin["read"] = path
        digest = hashlib.sha256(f"faceset gallery {self.place.schema}".encode()).digest()
        self._begin["write"] = (
            f"{path}; SET LOCAL lock_timeout = '{BUSY_SECONDS:g}s'; "
            f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'; "
            f"SELECT pg_advisory_xact_lock({int.from_bytes(digest[:8], 'big', signed=True)})"
        )

    def _on_begin(self, connection: Connection) -> None:
        kind = connection.get_execution_options().get("faceset_begin")
        if kind is not None:
            self._run(connection, self._begin[kind])


def _counts_at_once(connection: Connection) -> bool:
    """Whether the server's counts of dead rows can be had without delay: from version 15 on."""
    version: tuple[Any, ...] = connection.dialect.server_version_info or (0,)
    return version >= (15,)
