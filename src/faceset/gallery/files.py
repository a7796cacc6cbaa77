"""What lies at the path of a gallery; looked at without SQLite, so that a foreign file is never touched."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from faceset.errors import GalleryError, InputError
from faceset.gallery.schema import APPLICATION_ID

_HEADER = 100
_MAGIC = b"SQLite format 3\x00"


def check_path(given: str | os.PathLike[str], *, create: bool) -> Path:
    """The absolute path of a gallery that exists, or may be made there.

    Raises:
        InputError: ``given`` is no path at all.
        GalleryError: there is none and ``create`` is false, or what is there is a folder or a foreign file.
    """
    if not isinstance(given, (str, bytes, os.PathLike)):
        raise InputError(f"a gallery is a file, but got {type(given).__name__}; give its path, such as people.db")
    text = os.fspath(given)
    if isinstance(text, str) and (text.startswith("postgresql:/") or "://" in text):  # it may hold a password
        kind = text.partition(":")[0]
        raise GalleryError(
            f"a gallery is a file, but got a URL of {kind!r}; give the path of one, such as people.db, or as text "
            "(str) a URL that begins with postgresql://"
        )
    if not isinstance(text, str) or not text.strip() or "\x00" in text or text == ":memory:":
        raise GalleryError(f"a gallery is a file, but got {given!r}; give the path of one, such as people.db")
    try:
        path = Path(text).expanduser().absolute()
    except RuntimeError:  # ~name, where nobody has that name
        path = Path(text).absolute()
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if not create:
            raise GalleryError(
                f"{path} does not exist; check the path, or enrol somebody to make the gallery"
            ) from None
        if not path.parent.is_dir():
            raise GalleryError(f"{path} cannot be made: there is no folder {path.parent}; make it first") from None
        return path
    except OSError as error:
        raise GalleryError(
            f"{path} cannot be reached ({error.strerror}); check the path and its permissions"
        ) from error
    if stat.S_ISDIR(mode):
        example = path / "people.db"
        raise GalleryError(f"{path} is a folder, not a gallery; give the path of a file in it, such as {example}")
    if not stat.S_ISREG(mode):
        raise GalleryError(f"{path} is neither a file nor a folder; give the path of a gallery file")
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except OSError as error:
        raise GalleryError(f"{path} cannot be read ({error.strerror}); make it readable for this user") from error
    _check_header(path, header, create=create)
    return path


def _check_header(path: Path, header: bytes, *, create: bool) -> None:
    cure = "it was left as it is: give the path of a gallery, or of a new file"
    if not header:
        if not create:
            raise GalleryError(f"{path} is empty, not a gallery; {cure}")
        return
    if not header.startswith(_MAGIC) or len(header) < _HEADER:
        raise GalleryError(f"{path} is not a gallery, nor any SQLite file (or it is damaged at its start); {cure}")
    application = int.from_bytes(header[68:72], "big")
    if application != APPLICATION_ID:
        raise GalleryError(f"{path} is an SQLite file of another program (application id {application:#x}); {cure}")
