"""What every medium has in common: a name, a digest, frames, and a report of what was read and lost."""

from __future__ import annotations

import abc
import contextlib
import hashlib
import logging
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from faceset import settings
from faceset.errors import InputError, MediaError, MediaLimitError
from faceset.media.names import readable
from faceset.types import Frame

logger = logging.getLogger("faceset.media")


@dataclass(frozen=True, slots=True)
class Limits:
    """How large and how long a medium may be, and how long to wait for a stream.

    Attributes:
        max_pixels: largest picture or frame, width times height; checked before decoding. Default
            ``FACESET_MAX_PIXELS``.
        max_seconds: longest video; None = any. A longer file is refused; a live stream is read that long, then ends.
        max_bytes: largest file; None = any.
        connect_seconds, read_seconds: how long a stream may take to open, and to send its next data.

    Raises:
        InputError: a limit that is not positive.
    """

    max_pixels: int = field(default_factory=settings.max_pixels)
    max_seconds: float | None = None
    max_bytes: int | None = None
    connect_seconds: float = 10.0
    read_seconds: float = 10.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"limit {name} must be greater than 0, but got {value!r}")

    def check_size(self, width: int, height: int, name: str) -> None:
        """Raise :class:`MediaLimitError` when a picture of this size is above ``max_pixels``."""
        if width * height > self.max_pixels:
            raise MediaLimitError(
                f"{name}: {width} x {height} = {width * height:,} pixels is more than the limit of "
                f"{self.max_pixels:,}; scale it down, or raise FACESET_MAX_PIXELS"
            )

    def check_length(self, seconds: float | None, name: str) -> None:
        """Raise :class:`MediaLimitError` when a video of this length is above ``max_seconds``."""
        if seconds is not None and self.max_seconds is not None and seconds > self.max_seconds:
            raise MediaLimitError(
                f"{name}: {seconds:.1f} s is longer than the limit of {self.max_seconds:g} s; "
                "cut it into shorter pieces, or raise max_seconds"
            )

    def check_bytes(self, size: int, name: str) -> None:
        """Raise :class:`MediaLimitError` when a file of this size is above ``max_bytes``."""
        if self.max_bytes is not None and size > self.max_bytes:
            raise MediaLimitError(
                f"{name}: {size:,} bytes is more than the limit of {self.max_bytes:,}; "
                "give a smaller file, or raise max_bytes"
            )


@dataclass(frozen=True, slots=True)
class MediaReport:
    """What became of one reading of a medium.

    Attributes:
        frames_decoded: usable frames that came out of the decoder.
        frames_sampled: frames that were handed on.
        frames_lost: frames that should have been there and were missing or damaged. Known at the end of the reading.
        notes: sentences for people: what was lost, guessed or left out.
    """

    frames_decoded: int = 0
    frames_sampled: int = 0
    frames_lost: int = 0
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "frames_decoded": self.frames_decoded,
            "frames_sampled": self.frames_sampled,
            "frames_lost": self.frames_lost,
            "notes": list(self.notes),
        }


@dataclass(slots=True)
class Tally:
    """The running counts behind a :class:`MediaReport`; written while a medium is read."""

    decoded: int = 0
    sampled: int = 0
    lost: int = 0
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a sentence, once."""
        if text not in self.notes:
            self.notes.append(text)

    def report(self) -> MediaReport:
        """The counts so far."""
        return MediaReport(self.decoded, self.sampled, self.lost, tuple(self.notes))


class Media(abc.ABC):
    """One medium: a still, a video file, a stream, or pictures in memory. Made by :func:`faceset.media.find_media`.

    Attributes:
        name: short name for people: the file's name relative to the folder it was found in, an address without
            credentials, or ``array``. Always valid Unicode (:func:`faceset.media.names.readable`).
        kind: ``still``, ``video``, ``stream`` or ``array``.
        path: the file, or None.
        duration: length in seconds where it is known; None for stills, single arrays, and streams before they open.
        limits: what it was checked against.
    """

    kind: str

    def __init__(self, name: str, limits: Limits, *, path: Path | None = None, duration: float | None = None) -> None:
        self.name = readable(name)
        self.limits = limits
        self.path = path
        self.duration = duration
        self._tally = Tally()

    def __repr__(self) -> str:
        length = "" if self.duration is None else f" {self.duration:.2f} s"
        return f"<{self.kind} {self.name!r}{length}>"

    @cached_property
    def digest(self) -> str:
        """Sha256 of the file's bytes in hexadecimal; of the pictures for arrays; empty for a stream.

        Raises:
            MediaError: the file cannot be read any more.
        """
        if self.path is None:
            return ""
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise MediaError(f"{self.name}: cannot be read: {error.strerror}") from error

    @property
    def report(self) -> MediaReport:
        """What the latest reading gave and lost so far; all zero before the first one."""
        return self._tally.report()

    def frames(self, fps: float | None = None) -> Iterator[Frame]:
        """The frames in order of time, RGB uint8 (H, W, 3), upright.

        Args:
            fps: pictures a second to take: the first frame at or after each k / fps seconds, never one twice. None
                takes every frame. A still gives its one picture at any fps.

        Each call reads from the start. Closing the iterator (``break`` out of the loop, or any exception) frees
        the file and ends the decoding thread.

        Raises:
            InputError: fps is not a number greater than 0.
            MediaError: nothing can be decoded. Damage to a part is counted in :attr:`report` instead.
            MediaLimitError: it is larger or longer than the limits.
        """
        if fps is not None and not (math.isfinite(fps) and fps > 0):
            raise InputError(f"fps must be a number greater than 0, or None for every frame, but got {fps!r}")
        tally = Tally()
        self._tally = tally
        return _counted(self._read(fps, tally), tally)

    @abc.abstractmethod
    def _read(self, fps: float | None, tally: Tally) -> Generator[Frame, None, None]:
        """Yield the sampled frames, counting in ``tally`` what is decoded and lost."""


def _counted(frames: Generator[Frame, None, None], tally: Tally) -> Iterator[Frame]:
    with contextlib.closing(frames):
        for frame in frames:
            tally.sampled += 1
            yield frame
