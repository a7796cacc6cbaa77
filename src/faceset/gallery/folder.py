"""Several galleries in one folder, each a file ``<name>.db``."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from faceset.errors import GalleryError, InputError
from faceset.gallery.gallery import Gallery

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SUFFIX = ".db"


class GalleryFolder:
    """The galleries of a folder, opened once each and shared by threads.

    Args:
        folder: made when it is missing.

    Raises:
        GalleryError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[str, Gallery] = {}
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise GalleryError(
                f"{folder} cannot be made ({error.strerror}); choose a folder you may write to"
            ) from error

    def names(self) -> list[str]:
        """The galleries that are there, sorted."""
        return sorted(p.stem for p in self.folder.glob(f"*{_SUFFIX}") if _NAME.fullmatch(p.stem) and p.is_file())

    def get(self, name: str) -> Gallery:
        """The gallery of that name.

        Raises:
            InputError: the name cannot be one.
            GalleryError: there is none, or it cannot be opened.
        """
        path = self._path(name)
        with self._lock:
            if name not in self._open:
                if not path.is_file():
                    known = ", ".join(self.names()) or "none yet"
                    raise GalleryError(f"there is no gallery {name!r}; create it first (there are: {known})")
                self._open[name] = Gallery(path, create=False)
            return self._open[name]

    def create(self, name: str) -> Gallery:
        """A new, empty gallery.

        Raises:
            InputError: the name cannot be one.
            GalleryError: there is one of that name, or it cannot be made.
        """
        path = self._path(name)
        with self._lock:
            if path.exists():
                raise GalleryError(f"there is a gallery {name!r} already; choose another name")
            self._open[name] = Gallery(path)
            return self._open[name]

    def delete(self, name: str) -> None:
        """Forget everybody in the gallery, for good, and remove its file.

        Raises:
            InputError, GalleryError: as :meth:`get`.
        """
        gallery = self.get(name)
        gallery.forget_all()  # so that the bytes are overwritten before the file goes
        with self._lock:
            self._open.pop(name, None)
            gallery.close()
            for suffix in ("", "-wal", "-shm"):
                self._path(name).with_name(name + _SUFFIX + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Close every gallery."""
        with self._lock:
            for gallery in self._open.values():
                gallery.close()
            self._open.clear()

    def _path(self, name: str) -> Path:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InputError(
                f"a gallery is named by 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit; got {name!r}"
            )
        return self.folder / f"{name}{_SUFFIX}"
