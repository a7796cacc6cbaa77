"""What is known of jobs, in an SQLite file that outlives the server.

With a key in ``FACESET_KEY``, results and errors are encrypted in it: they hold names, and thumbnails of faces.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from faceset.errors import GalleryError, InputError
from faceset.gallery import sealing
from faceset.service.job import Job

log = logging.getLogger("faceset.service")

KEPT_SECONDS = 7 * 24 * 3600.0
KEPT_JOBS = 1000
_VERSION = 1
_VACUUM_IN_MEMORY = 512 << 20

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, gallery TEXT NOT NULL, key TEXT, state TEXT NOT NULL,
    progress REAL NOT NULL, created REAL NOT NULL, started REAL, ended REAL, result BLOB, error BLOB,
    result_removed INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS seal (id INTEGER PRIMARY KEY CHECK (id = 1), key_check BLOB) STRICT
"""
_TEXTS = ("result", "error")
_ORDER = "ORDER BY created DESC, rowid DESC"


class JobStore:
    """The file. Shared by threads; what is deleted is overwritten.

    Args:
        path: the file.
        key: encrypts results and errors. Jobs in the file that were kept with another key, or without one, go.

    Raises:
        InputError: the file is no job file of this version.
    """

    def __init__(self, path: Path, key: bytes | None = None) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # its companions get the same rights
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise InputError(f"{path} is of version {version}, this program knows {_VERSION}; upgrade faceset")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA secure_delete=ON")
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version={_VERSION}")
            self._seal = self._unlock(key)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise InputError(f"{path} is no file of jobs ({error}); remove it, or put back a copy") from error
        except BaseException:
            self._db.close()
            raise

    def put(self, job: Job) -> None:
        """Write a job, new or changed."""
        values = asdict(job)
        for name in _TEXTS:
            if values[name] is not None:
                text = json.dumps(values[name], allow_nan=False)
                values[name] = self._seal.seal_value(text.encode(), f"jobs.{name}", job.id)
        values["result_removed"] = int(job.result_removed)
        names = ", ".join(f":{name}" for name in values)
        with self._lock:
            self._db.execute(f"INSERT OR REPLACE INTO jobs VALUES ({names})", values)  # noqa: S608 - our field names

    def get(self, id_: str) -> Job | None:
        """The job of that id."""
        found = self._select("WHERE id = ?", id_)
        return found[0] if found else None

    def all(self, gallery: str | None = None) -> list[Job]:
        """All jobs, newest first, without their results and errors, which may be large."""
        if gallery is None:
            return self._select(_ORDER, texts=False)
        return self._select(f"WHERE gallery = ? {_ORDER}", gallery, texts=False)

    def unfinished(self) -> list[Job]:
        """Jobs queued or running, as the file has it."""
        return self._select("WHERE state IN ('queued', 'running') ORDER BY rowid")

    def prune(self, now: float | None = None) -> None:
        """Remove finished jobs that are old, or too many."""
        old = (time.time() if now is None else now) - KEPT_SECONDS
        with self._lock:
            self._db.execute("DELETE FROM jobs WHERE ended IS NOT NULL AND ended < ?", (old,))
            self._db.execute(
                "DELETE FROM jobs WHERE ended IS NOT NULL AND id NOT IN "
                "(SELECT id FROM jobs ORDER BY created DESC, rowid DESC LIMIT ?)",
                (KEPT_JOBS,),
            )

    def forget(self, uid: str, name: str) -> list[Job]:
        """Take away what names the person, and its bytes with it; the jobs that changed."""
        changed = []
        for id_ in [job.id for job in self.all()]:
            job = self.get(id_)
            if job is not None and (new := job.without(uid, name)) is not job:
                self.put(new)
                changed.append(new)
        if changed:
            self._overwrite()
        return changed

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _unlock(self, key: bytes | None) -> sealing.Seal:
        """The seal of the file; a new one, and no jobs, where the key is not the one it was kept with."""
        row = self._db.execute("SELECT key_check FROM seal").fetchone()
        try:
            if row is not None:
                return sealing.prove(self._path, key, row[0])
        except GalleryError:
            log.warning(
                "%s: the jobs in it were kept with another key (FACESET_KEY), or without one; they are dropped",
                self._path,
            )
            self._db.execute("DELETE FROM jobs")
        seal = sealing.new(self._path, key)
        self._db.execute("INSERT OR REPLACE INTO seal VALUES (1, ?)", (seal.check,))
        self._overwrite()
        return seal

    def _overwrite(self) -> None:
        """See to it that no byte of what was removed stays in the file or its log."""
        # SQLite leaves copies behind when it moves rows between pages, hence VACUUM; its own copy is kept in memory
        # while it is small.
        store = "MEMORY" if self._path.stat().st_size <= _VACUUM_IN_MEMORY else "FILE"
        try:
            with self._lock:
                for statement in (f"PRAGMA temp_store={store}", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                    self._db.execute(statement)
        except sqlite3.Error:
            log.exception("%s: what was removed may still be in the file, until the next removal", self._path)

    def _select(self, rest: str, *values: str, texts: bool = True) -> list[Job]:
        names = [name if texts or name not in _TEXTS else "NULL" for name in Job.__slots__]
        with self._lock:
            rows = self._db.execute(f"SELECT {', '.join(names)} FROM jobs {rest}", values).fetchall()  # noqa: S608
        return [self._job(row) for row in rows]

    def _job(self, row: Iterable[Any]) -> Job:
        values = dict(zip(Job.__slots__, row, strict=True))
        values["result_removed"] = bool(values["result_removed"])
        for name in _TEXTS:
            if values[name] is None:
                continue
            try:
                text = self._seal.open_value(values[name], f"jobs.{name}", values["id"])
            except GalleryError:  # changed by somebody: it may hold anything, so it is as good as removed
                log.warning(
                    "%s: the %s of job %s was changed in the file; it is not shown", self._path, name, values["id"]
                )
                values[name], values["result_removed"] = None, True
            else:
                values[name] = json.loads(text)
        return Job(**values)
