"""One process serves one data folder: a second would empty the first one's uploads and fail its jobs."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from faceset.errors import InputError


@contextlib.contextmanager
def alone(data: Path) -> Iterator[None]:
    """Hold the data folder, which is made when missing, for this process.

    The lock is SQLite's on the empty file ``lock``: it works on every system, and goes when the process dies.

    Raises:
        InputError: another process serves the folder, or it cannot be made or written to.
    """
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        (data / "lock").touch(mode=0o600)
    except OSError as error:
        raise InputError(
            f"{data} cannot hold the service's data ({error.strerror or error}); give a folder that can be written "
            "to as --data"
        ) from error
    held = sqlite3.connect(data / "lock", timeout=0, isolation_level=None)
    try:
        try:
            held.execute("PRAGMA journal_mode = MEMORY")  # nothing is written, and no journal is left behind
            held.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
                raise InputError(
                    f"{data / 'lock'} cannot be locked ({error}); give another folder as --data, on a local disk"
                ) from error
            raise InputError(
                f"{data} is served by another process already; stop that one, or give another folder as --data"
            ) from error
        yield
    finally:
        held.close()
