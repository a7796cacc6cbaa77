"""SQLite's errors as ours: what happened to which file, and the cure."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from faceset.errors import GalleryError
from faceset.gallery.place import Place, Server

BUSY_SECONDS = 30.0
"""How long a connection waits for another writer."""

_WHOLE = "nothing was changed"
_NEEDS_FOLDER = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}


def translate(path: Path, error: BaseException, *, reading: bool = False) -> GalleryError:
    """The :class:`~faceset.errors.GalleryError` for an error of ``sqlite3``, or of SQLAlchemy around one.

    ``reading``: nothing was to be written.
    """
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if reading and code in _NEEDS_FOLDER and path.exists() and not os.access(path.parent, os.W_OK):
        return GalleryError(
            f"{path}: the gallery cannot be opened to read it ({cause}): its folder is read-only for this user, and "
            "SQLite needs to make two small files beside the gallery while it is open; copy the gallery to a folder "
            "of your own, or make its folder writable"
        )
    return GalleryError(f"{path}: {_sentence(code, str(cause), path)}")


def damaged(path: Place, what: str) -> GalleryError:
    """The error for a gallery whose content cannot be right."""
    return GalleryError(f"{path}: the gallery is damaged ({what}); {_cure(path)}")


def _cure(path: Place) -> str:
    if isinstance(path, Server):
        return "put back a backup of the database"
    return f'put back a backup, or save what can be read with: sqlite3 {path.name} ".recover" | sqlite3 new.db'


def _sentence(code: int, text: str, path: Path) -> str:
    match code:
        case sqlite3.SQLITE_FULL:
            return f"the disk is full ({text}); {_WHOLE}: free some space and try again"
        case sqlite3.SQLITE_IOERR:
            return f"the disk is full or failing ({text}); {_WHOLE}: free some space or check the disk, and try again"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"another process has kept the gallery locked for {BUSY_SECONDS:g} s ({text}); {_WHOLE}: try again"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return (
                f"the gallery cannot be written ({text}); {_WHOLE}: make the file and its folder writable for this user"
            )
        case sqlite3.SQLITE_CANTOPEN:
            return (
                f"the gallery cannot be opened ({text}); {_WHOLE}: check that its folder exists and that this user "
                "may write there"
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_ERROR | 0:
            # SQLITE_ERROR: our statements are fixed, so it is the file that lacks a table or a column.
            # 0: the driver's own complaint about a value it read.
            return f"the gallery is damaged ({text}); {_cure(path)}"
        case _:
            return f"the gallery cannot be used ({text}); {_WHOLE}"
