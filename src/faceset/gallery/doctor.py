"""What is wrong with a gallery file: looked at, never changed."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from faceset.errors import GalleryError
from faceset.gallery.failures import BUSY_SECONDS, translate
from faceset.gallery.files import check_path

_MOST = 20
"""Findings of one kind that are told one by one."""
RESTORE = "put back a backup, or save what can be read with: sqlite3 GALLERY .recover | sqlite3 new.db"

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        severity: ``error``: something held is wrong; ``warning``: nothing is, but something should be done.
        check: what was looked at, one word.
        what: what is wrong.
        cure: what to do about it.
    """

    severity: Severity
    check: str
    what: str
    cure: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


class Findings:
    """Findings as they come up; of one kind only the first are kept, and the number of the others."""

    def __init__(self) -> None:
        self._kept: list[Finding] = []
        self._counts: Counter[tuple[Severity, str]] = Counter()
        self.unreadable: set[str] = set()

    def __call__(self, severity: Severity, check: str, what: str, cure: str) -> None:
        """Note a finding."""
        self._counts[severity, check] += 1
        if self._counts[severity, check] <= _MOST:
            self._kept.append(Finding(severity, check, what, cure))

    def result(self) -> list[Finding]:
        """What was found, errors first."""
        found = list(self._kept)
        for (severity, check), count in self._counts.items():
            if count > _MOST:
                found.append(Finding(severity, check, f"{count - _MOST} more of this kind", "as above"))
        return sorted(found, key=lambda one: one.severity != "error")

    @contextmanager
    def reading(self, check: str) -> Iterator[None]:
        """Whatever SQLite cannot read inside is a finding."""
        try:
            yield
        except DBAPIError as error:
            self.unreadable.add(check)
            self("error", check, f"it cannot be read ({error.orig})", RESTORE)
        except (TypeError, ValueError, AttributeError) as error:  # a value of another type than was ever written
            self("error", check, f"it holds a value that cannot be right ({error})", RESTORE)


def examine(path: str | os.PathLike[str]) -> list[Finding]:
    """Look at a gallery file as a whole, errors first; nothing is found in a healthy one.

    The file is opened for reading only: it is neither migrated nor cleaned up, and not one byte of it changes. Another
    process may use it meanwhile. With a key set (``FACESET_KEY``) the encrypted values are looked at too.

    Raises:
        GalleryError: there is nothing to look at: the file is missing, foreign, unreadable or newer than this program.
        InputError: ``path`` is no path, or what is set as a key is none.
    """
    path = check_path(path, create=False)
    for _ in range(3):
        before = _state(path)
        # Without a log there is no state but the file, and SQLite would make a log only to read it.
        quiet = not before[-1]
        found = _examine(path, "immutable=1" if quiet else "mode=ro")
        if not quiet or _state(path) == before:
            return found
    return _examine(path, "mode=ro")  # in use: somebody opens and closes it all the while


def _state(path: Path) -> tuple[int, ...]:
    """What tells that a file was changed, and last the size of its write-ahead log."""
    log = path.with_name(path.name + "-wal")
    try:
        status, size = path.stat(), log.stat().st_size if log.exists() else 0
    except OSError as error:
        raise GalleryError(f"{path} cannot be read ({error.strerror}); check that it is still there") from error
    return status.st_ino, status.st_mtime_ns, status.st_size, size


def _examine(path: Path, how: str) -> list[Finding]:
    from faceset.gallery import doctor_checks, doctor_faces

    found = Findings()
    _look_around(path, found)
    engine = sa.create_engine("sqlite://", creator=partial(_connect, path, how), poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    try:
        with engine.connect() as connection, connection.begin():
            if _readable(connection, found) and doctor_checks.tables(connection, path, found):
                width = doctor_checks.meta_row(connection, found)
                doctor_checks.people(connection, found)
                doctor_faces.vectors(connection, path, width, found)
    except (DBAPIError, sqlite3.Error) as error:
        code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", 0) & 0xFF
        if code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise translate(path, error, reading=True) from error
        found("error", "file", f"SQLite cannot read it ({getattr(error, 'orig', None) or error})", RESTORE)
    finally:
        engine.dispose()
    return found.result()


def _connect(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?{how}", uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _look_around(path: Path, found: Findings) -> None:
    """Permissions, and what lies beside the file."""
    if os.name == "posix" and _open_to_others(path):
        found(
            "warning",
            "permissions",
            "every user of this machine may read the file, and what it holds is biometric",
            f"chmod o= {path.name}",
        )
    journal = path.with_name(path.name + "-journal")
    if journal.exists():
        found(
            "warning",
            "journal",
            f"{journal.name} lies beside it: a program died while it wrote without the write-ahead log",
            f"keep both files together and open the gallery once, such as by: faceset people --gallery {path.name}",
        )


def _open_to_others(path: Path) -> bool:
    if not path.stat().st_mode & stat.S_IROTH:
        return False
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)


def _readable(connection: Connection, found: Findings) -> bool:
    """What SQLite itself says of the file; whether the rest can be looked at."""
    with found.reading("file"):
        for row in connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST + 1})"):
            if row[0] != "ok":
                found("error", "file", f"SQLite finds it damaged: {row[0]}", RESTORE)
        for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
            found("error", "links", f"row {row[1]} of table {row[0]} belongs to no row of table {row[2]}", RESTORE)
    return "file" not in found.unreadable
