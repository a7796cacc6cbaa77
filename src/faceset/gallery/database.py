"""One SQLite file used by many threads and processes: transactions, first set-up, and getting rid of removed bytes."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from faceset.errors import GalleryError
from faceset.gallery import migrations, schema, sealing
from faceset.gallery.failures import BUSY_SECONDS, damaged, translate
from faceset.gallery.schema import APPLICATION_ID, SCHEMA_VERSION, meta

log = logging.getLogger("faceset")

_VACUUM_IN_MEMORY = 512 << 20
_KEY_CHECK = sa.select(meta.c.key_check)


class Database:
    """The file at ``path``, checked by :func:`faceset.gallery.files.check_path`; set up when it is empty.

    ``key`` is the one its vectors are encrypted with (:mod:`faceset.gallery.sealing`); None: they are not.

    Raises:
        GalleryError: the file is damaged, newer than this program, cannot be opened, or has another key.
    """

    def __init__(self, path: Path, *, create: bool, key: bytes | None = None) -> None:
        self.path = path
        self.closed = False
        self.engine = sa.create_engine("sqlite://", creator=partial(_connect, path), poolclass=QueuePool, pool_size=0)
        event.listen(self.engine, "begin", _begin)
        close_before_fork(self.engine)
        self._finalizer = weakref.finalize(self, self.engine.dispose)
        if create:
            _make_private(path)
        try:
            self._set_up(create=create, key=key)
            with self._translated(reading=True), self._connection() as connection, connection.begin():
                state = connection.execute(sa.select(meta.c.purge, meta.c.key_check)).one_or_none()
            if state is None:
                raise damaged(path, "its meta row is missing")
            self.use(sealing.prove(path, key, state.key_check))
        except BaseException:
            self.close()
            raise
        if state.purge:
            self.purge()

    def use(self, seal: sealing.Seal) -> None:
        """Encrypt and decrypt by ``seal`` from now on."""
        self.engine.update_execution_options(**{sealing.OPTION: seal})

    def close(self) -> None:
        """Close every connection; the last one of all processes folds the write-ahead log into the file."""
        self.closed = True
        self._finalizer()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the file throughout, and blocks nobody."""
        with self._translated(reading=True), self._connection() as connection, connection.begin():
            self._check_key(connection)
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that alone may write; it bumps the generation. Any error undoes all of it."""
        with self._translated(), self._connection() as connection:
            connection = connection.execution_options(faceset_begin="IMMEDIATE")
            with connection.begin():
                self._check_key(connection)
                connection.execute(sa.update(meta).values(generation=meta.c.generation + 1))
                yield connection

    def _check_key(self, connection: Connection) -> None:
        """Refuse to go on by a key that another process has replaced, which would mix two keys, or plain and sealed."""
        if connection.execute(_KEY_CHECK).scalar_one() != sealing.of(connection).check:
            raise GalleryError(
                f"{self.path}: the gallery was encrypted, decrypted or given another key since it was opened; open it "
                "again with the key it has now"
            )

    def purge(self) -> bool:
        """Rewrite the file without the bytes of what was removed, and empty the write-ahead log.

        ``secure_delete`` alone is not enough: SQLite moves rows between pages as they fill, and bytes of the old place
        can stay behind. When another process reads all the while, or the disk is full, this is put off: the file
        remembers, and the next removal or opening tries again.

        Returns:
            Whether it was done.
        """
        try:
            # VACUUM builds a second copy: in memory, so that no features reach the temporary folder, while it is small.
            store = "MEMORY" if self.path.stat().st_size <= _VACUUM_IN_MEMORY else "FILE"
            self._statement(f"PRAGMA temp_store = {store}", "VACUUM", "PRAGMA temp_store = MEMORY")
            busy, _, _ = self._statement("PRAGMA wal_checkpoint(TRUNCATE)")
            if busy:
                raise GalleryError(f"{self.path}: another process is reading all the while")
            with self.write() as connection:
                connection.execute(sa.update(meta).values(purge=0))
        except GalleryError as error:
            log.warning(
                "what was removed is out of the gallery, but its bytes may still be in the file; opening the gallery "
                "again will overwrite them (%s)",
                error,
            )
            return False
        return True

    def _statement(self, *statements: str, reading: bool = False) -> tuple[Any, ...]:
        """Run statements that must stand outside transactions, on one connection; the first row of the last."""
        row = None
        with self._translated(reading=reading):
            raw = self.engine.raw_connection()
            try:
                for sql in statements:
                    cursor = raw.cursor()
                    cursor.execute(sql)
                    row = cursor.fetchone()
                    cursor.close()
            finally:
                raw.close()
        return tuple(row) if row else ()

    def _connection(self) -> Connection:
        if self.closed:
            raise GalleryError(f"{self.path}: the gallery was closed; open it again with Gallery({self.path.name!r})")
        return self.engine.connect()

    @contextmanager
    def _translated(self, *, reading: bool = False) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            raise translate(self.path, error, reading=reading) from error

    def _set_up(self, *, create: bool, key: bytes | None) -> None:
        with self._translated(reading=True), self._connection() as connection, connection.begin():
            version = self._version(connection)
        if version == 0:
            if not create:
                raise GalleryError(f"{self.path} is empty, not a gallery; give the path of a gallery")
            with self._translated(), self._connection() as connection:
                connection = connection.execution_options(faceset_begin="IMMEDIATE")
                with connection.begin():
                    if self._version(connection) == 0:  # no other process was faster
                        _create(connection, sealing.new(self.path, key).check)
        elif version < SCHEMA_VERSION:
            self._migrate()
        with self._translated():
            self._use_wal()

    def _migrate(self) -> None:
        """Bring an older file up to this version, whole or not at all."""
        with self._translated(), self._connection() as connection:
            connection = connection.execution_options(faceset_begin="IMMEDIATE")
            with connection.begin():
                version = self._version(connection)  # another process may have been faster
                migrations.migrate(connection, version)
        log.info("%s: brought from gallery version %d to %d", self.path, version, SCHEMA_VERSION)

    def _version(self, connection: Connection) -> int:
        """Version of the gallery in the file, 0 when the file is blank; an error when it is none that is known."""
        application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
        if (application, version, tables) == (0, 0, 0):
            return 0
        if application != APPLICATION_ID:
            raise GalleryError(f"{self.path} is an SQLite file of another program; give the path of a gallery")
        if version > SCHEMA_VERSION:
            raise GalleryError(
                f"{self.path} was written by a newer faceset (gallery version {version}, this one knows "
                f"{SCHEMA_VERSION}); upgrade faceset"
            )
        if version < 1:
            raise damaged(self.path, f"gallery version {version} never existed")
        return int(version)

    def _use_wal(self) -> None:
        """Switch to the write-ahead log, which stays switched on; SQLite does not wait for others here, so we do."""
        give_up = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._statement("PRAGMA journal_mode = WAL", reading=True)
                return
            except GalleryError as error:
                if getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                if time.monotonic() > give_up:
                    raise
            time.sleep(0.01)


def now() -> str:
    """This moment as it is stored: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _make_private(path: Path) -> None:
    """Make a missing file readable by its owner only; SQLite gives what it puts beside it the same permissions."""
    with suppress(OSError):  # it is there already, or SQLite will say why it cannot be made
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _connect(path: Path) -> sqlite3.Connection:
    # Transactions are begun by _begin, not by the driver. A connection serves one thread at a time, from the pool.
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA synchronous = FULL")  # with NORMAL, a power cut takes back what was acknowledged
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def _create(connection: Connection, key_check: bytes | None) -> None:
    schema.metadata.create_all(connection)
    connection.execute(
        sa.insert(meta).values(
            id=1,
            schema_version=SCHEMA_VERSION,
            created=now(),
            generation=0,
            reset_generation=0,
            purge=0,
            key_check=key_check,
        )
    )
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _begin(connection: Connection) -> None:
    kind = connection.get_execution_options().get("faceset_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {kind}")


_engines: weakref.WeakSet[sa.Engine] = weakref.WeakSet()
_registered = threading.Lock()
_hook: list[Callable[[], None]] = []


def close_before_fork(engine: sa.Engine) -> None:
    """Connections must not cross a fork: a child's would upset the locks, or the conversation, of its parent's."""
    with _registered:
        _engines.add(engine)
        if not _hook and hasattr(os, "register_at_fork"):
            _hook.append(_dispose_all)
            os.register_at_fork(before=_dispose_all)


def _dispose_all() -> None:
    for engine in list(_engines):
        engine.dispose()
