"""From an opened video to sampled frames: decode, time, choose, convert, count what is lost."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np
from av.video.reformatter import VideoReformatter

from faceset.errors import MediaError
from faceset.media.base import Limits, Tally
from faceset.media.losses import Seen, lost_frames
from faceset.media.orientation import Orientation, from_display_matrix, from_rotation
from faceset.media.timing import Clock, Ticks
from faceset.types import Frame, Image

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


class Decoding:
    """One reading of one video stream.

    Args:
        live: the stream may have begun before we came: the first frame makes time 0, what cannot be decoded before it
            is not lost, and ``limits.max_seconds`` ends the reading instead of refusing it.
        check_wanted: called for every packet; it raises when nobody waits for the frames any more.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        name: str,
        *,
        fps: float | None,
        limits: Limits,
        tally: Tally,
        live: bool,
        check_wanted: Callable[[], None],
    ) -> None:
        self._container = container
        self._stream = stream
        self._name = name
        self._limits = limits
        self._tally = tally
        self._live = live
        self._check_wanted = check_wanted
        self._seen = Seen()
        unit = stream.time_base or Fraction(1, 90_000)
        start = None if live else stream.start_time
        self._clock = Clock(unit, start, stream.average_rate or stream.guessed_rate, tally.note)
        self._ticks = Ticks(fps, slack=float(unit) / 2)
        self._converter = VideoReformatter()
        self._orientations: dict[int | None, Orientation] = {}

    def frames(self) -> Generator[Frame, None, None]:
        """The sampled frames. At the end ``tally`` holds what was lost.

        Raises:
            MediaError: not one frame could be decoded, or a live stream broke off.
            MediaLimitError: a frame is larger, or the video longer, than allowed.
        """
        index = -1
        for frame in self._decoded():
            index += 1
            time = self._clock.seconds(frame.pts)
            if frame.is_corrupt:
                self._seen.damaged += bool(self._seen.usable or not self._live)
                continue
            self._seen.usable += 1
            self._tally.decoded += 1
            limit = self._limits.max_seconds
            if limit is not None and time > limit:
                if not self._live:
                    self._limits.check_length(time, self._name)
                self._tally.note(f"reading ended at the limit of {limit:g} s")
                return
            if self._ticks.wants(time):
                yield Frame(self._rgb(frame), index, time, self._name)
        if not self._seen.usable:
            raise MediaError(f"{self._name}: no frame in it could be decoded; copy or export it again")
        self._tally.lost = lost_frames(self._container, self._stream, self._seen, self._clock)
        if self._tally.lost:
            whole = self._tally.lost + self._seen.usable
            self._tally.note(f"{self._tally.lost} of about {whole} frames are missing or damaged")

    def _decoded(self) -> Iterator[VideoFrame]:
        for packet in self._packets():
            self._check_wanted()
            if packet.size:
                self._seen.packets += 1
                self._seen.hidden += packet.is_discard
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                if isinstance(error, MemoryError):
                    raise
                self._seen.refused += bool(self._seen.usable or not self._live)
                continue
            yield from frames

    def _packets(self) -> Iterator[Packet[Any]]:
        """Packets to the end, or to where the container cannot be read on."""
        reason = ""
        try:
            yield from self._container.demux(self._stream)
        except av.error.ExitError:
            reason = f"nothing came for {self._limits.read_seconds:g} s; check the source, or raise read_seconds"
        except (av.error.FFmpegError, OSError) as error:
            reason = f"reading broke off: {error.strerror}"
        if reason and self._live:
            raise MediaError(f"{self._name}: the stream stopped: {reason}")
        if reason:
            self._tally.note(reason)

    def _rgb(self, frame: VideoFrame) -> Image:
        """RGB uint8 (H, W, 3) with square pixels, upright."""
        width = frame.width
        aspect = self._stream.sample_aspect_ratio
        if aspect and aspect != 1 and Fraction(1, 5) < aspect < 5:
            width = max(1, round(frame.width * aspect))
        self._limits.check_size(width, frame.height, self._name)
        rgb = self._converter.reformat(frame, width, frame.height, "rgb24")
        # Each row may be padded at its end.
        rows = np.frombuffer(memoryview(rgb.planes[0]), np.uint8).reshape(rgb.height, -1)
        upright = self._orientation(frame).view(rows[:, : width * 3].reshape(rgb.height, width, 3))
        return np.array(upright, order="C")

    def _orientation(self, frame: VideoFrame) -> Orientation:
        # Looked up once for each angle: PyAV's side data and its frame hold each other, so a frame whose side data
        # was asked for stays in memory until the garbage collector comes by.
        angle = getattr(frame, "rotation", None)
        if angle not in self._orientations:
            self._orientations[angle] = self._read_orientation(frame)
        return self._orientations[angle]

    def _read_orientation(self, frame: VideoFrame) -> Orientation:
        try:
            matrix: Any = frame.side_data.get("DISPLAYMATRIX")
        except ValueError:  # PyAV does not know another kind of side data that came with this frame
            return from_rotation(getattr(frame, "rotation", 0))
        if matrix is None:
            return Orientation()
        found = from_display_matrix(bytes(matrix))
        if found is None:
            self._tally.note("is to be shown turned by an angle that is no quarter turn; taken as it is stored")
        return found or Orientation()
