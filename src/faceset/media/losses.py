"""How many frames of a video should have been there and were not usable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from faceset.media.timing import Clock


@dataclass(slots=True)
class Seen:
    """What one reading saw of a video stream."""

    packets: int = 0
    hidden: int = 0
    """Packets that an edit list says not to show."""
    usable: int = 0
    """Frames decoded without complaint."""
    refused: int = 0
    """Packets the decoder refused."""
    damaged: int = 0
    """Frames the decoder marked as damaged; they are not used."""


def lost_frames(container: InputContainer, stream: VideoStream, seen: Seen, clock: Clock) -> int:
    """Frames that were expected and not usable, after a stream was read to its end.

    MP4 and QuickTime: the pictures in the index minus the usable ones. AVI: the pictures in the header minus the
    packets. Matroska: the time missing at the end, at the average rate. Everywhere else the container says nothing
    about what should have come, so only refused packets and damaged frames count.
    """
    broken = seen.refused + seen.damaged
    names = set(container.format.name.split(","))
    if "mp4" in names and stream.frames:
        return max(_indexed(stream, seen) - seen.usable, 0)
    if "avi" in names and stream.frames:
        return max(stream.frames - seen.packets, 0) + broken
    promised = _tagged_seconds(stream.metadata.get("DURATION", ""))
    if promised is not None and clock.last is not None:
        gap = promised - float(clock.last + clock.step)
        if gap > max(0.5, 2 * float(clock.step)):
            return broken + round(gap / float(clock.step))
    return broken


def _indexed(stream: VideoStream, seen: Seen) -> int:
    """Pictures that the index of an MP4 file says are to be shown."""
    expected = stream.frames - seen.hidden
    if expected > seen.usable:
        # An edit list may leave out pictures that the count in the header includes; the entries know (PyAV >= 16).
        entries = getattr(stream, "index_entries", ())
        if len(entries):
            expected = sum(not entry.is_discard for entry in entries)
    return expected


def _tagged_seconds(text: str) -> float | None:
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text.strip())
    return None if match is None else int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])
