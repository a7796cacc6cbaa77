"""Files that clients sent, as sources for a recogniser whose worker reads them."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceset.errors import InputError
from faceset.media import Limits, Media, MediaReport
from faceset.media.base import Tally
from faceset.media.names import readable
from faceset.types import Frame

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Upload:
    """One file.

    Attributes:
        path: where this service has put it, under a name of its own choosing.
        name: what the client calls it, for people to read; no path is ever made of it.
    """

    path: Path
    name: str

    def __post_init__(self) -> None:
        shown = readable(self.name).replace("\\", "/").rsplit("/", 1)[-1]
        shown = "".join(c for c in shown if c.isprintable()).strip()
        object.__setattr__(self, "name", shown[:_LONGEST_NAME] or "unnamed")


class Uploads(tuple[Upload, ...]):
    """Several files that belong together."""

    __slots__ = ()

    def __new__(cls, files: Iterable[Upload]) -> Uploads:
        """Of any number of files."""
        return super().__new__(cls, tuple(files))

    def __str__(self) -> str:
        return "the upload"


def uploads_of(source: object) -> Uploads:
    """The files of a source.

    Raises:
        InputError: it is anything but uploads, such as a path, or holds none.
    """
    found = [source] if isinstance(source, Upload) else source
    if not isinstance(found, list | tuple) or not all(isinstance(one, Upload) for one in found):
        raise InputError(f"this recogniser reads uploads only, but got {type(source).__name__}")
    if not found:
        raise InputError("no file was sent; send at least one picture or video")
    return Uploads(found)


class RemoteMedia(Media):
    """A medium that the worker has opened and described."""

    def __init__(self, upload: Upload, kind: str, duration: float | None, limits: Limits) -> None:
        super().__init__(upload.name, limits, path=upload.path, duration=duration)
        self.kind = kind
        self.said = MediaReport()

    @property
    def report(self) -> MediaReport:
        """What the latest reading gave and lost, as the worker reported it."""
        return self.said

    def _read(self, fps: float | None, tally: Tally) -> Generator[Frame, None, None]:
        raise InputError(f"{self.name}: its frames are decoded in the worker process and do not leave it")


def as_source(uploads: Upload | Iterable[Upload]) -> Any:
    """Uploads typed as what a Recognizer takes; its own reader knows what to do with them."""
    return uploads if isinstance(uploads, Upload) else Uploads(uploads)
