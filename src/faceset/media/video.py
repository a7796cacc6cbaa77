"""Video files and streams: decoded by PyAV in a thread of their own, a bounded number of frames ahead."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from faceset.media.background import BoundedQueue, ahead
from faceset.media.base import Limits, Media, Tally, logger
from faceset.media.containers import length, open_file, open_url, video_stream
from faceset.media.decoding import Decoding
from faceset.media.isoboxes import read_boxes
from faceset.types import Frame

if TYPE_CHECKING:
    from av.container import InputContainer

QUEUE_FRAMES = 8
QUEUE_BYTES = 64 * 2**20
"""At most so many RGB frames wait for the consumer; fewer, down to one, when they are large."""
STREAM_PATIENCE_SECONDS = 1.0


class _Decoded(Media):
    """What files and streams share: open, decode ahead, report."""

    patience: float | None = None

    def _open(self) -> InputContainer:
        raise NotImplementedError

    def _read(self, fps: float | None, tally: Tally) -> Generator[Frame, None, None]:
        def produce(waiting: BoundedQueue[Frame]) -> Iterator[Frame]:
            with contextlib.closing(self._open()) as container:
                stream = video_stream(container, self.name, self.limits)
                self.duration = length(container, stream)
                self.limits.check_length(self.duration, self.name)
                waiting.limit_to(min(QUEUE_FRAMES, QUEUE_BYTES // (stream.width * stream.height * 3 or 1)))
                decoding = Decoding(
                    container,
                    stream,
                    self.name,
                    fps=fps,
                    limits=self.limits,
                    tally=tally,
                    live=self.kind == "stream" and self.duration is None,
                    check_wanted=waiting.check_wanted,
                )
                yield from decoding.frames()
            self._finish(tally)

        return ahead(produce, items=1, name=f"faceset-decode {self.name}", patience=self.patience)

    def _finish(self, tally: Tally, *, damaged: bool = False) -> None:
        """Called in the decoding thread when everything was read."""
        if tally.lost or damaged:
            logger.warning("%s: %s", self.name, "; ".join(tally.notes))


class Video(_Decoded):
    """A video file. Making one opens the file and closes it again.

    Raises:
        MediaError: it is no video, holds no pictures, or is too damaged to open.
        MediaLimitError: its frames are larger, or it is longer, than allowed.
    """

    kind = "video"

    def __init__(self, path: Path, name: str, limits: Limits) -> None:
        super().__init__(name, limits, path=path)
        with contextlib.closing(self._open()) as container:
            self.duration = length(container, video_stream(container, name, limits))
        limits.check_length(self.duration, name)

    def _open(self) -> InputContainer:
        return open_file(cast(Path, self.path), self.name)

    def _finish(self, tally: Tally, *, damaged: bool = False) -> None:
        boxes = read_boxes(cast(Path, self.path))
        if boxes.is_movie and boxes.missing_bytes:
            tally.note(f"the file is cut short: {boxes.missing_bytes:,} bytes are missing at its end")
        super()._finish(tally, damaged=boxes.is_movie and boxes.missing_bytes > 0)


class Stream(_Decoded):
    """An address that FFmpeg reads. It is opened when its frames are asked for, not before.

    The decoder waits while the consumer is busy, so no frame is dropped on our side; a source that cannot wait (UDP)
    loses what the system's buffers do not hold.
    """

    kind = "stream"
    patience = STREAM_PATIENCE_SECONDS

    def __init__(self, url: str, name: str, limits: Limits) -> None:
        super().__init__(name, limits)
        self._url = url

    def _open(self) -> InputContainer:
        return open_url(self._url, self.name, self.limits)
