"""Small crops for the page, in bounded memory however long a video is."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

from faceset.pipeline import Pipeline
from faceset.types import Face, FaceSet, Frame, Image

SIDE = 96
"""Longest side of a thumbnail in pixels."""
MOST = 128
"""Most thumbnails of a face set, evenly over its time."""
FEW = 4
"""What every face set gets, however many there are in a medium."""
_MEDIUM = 4096  # about so many of a medium, 110 MB; more only where every set has few
_PLENTY = 1000


@dataclass
class _Alive:
    """Thumbnails that somebody still holds."""

    count: int = 0

    def watch(self, crop: Image) -> None:
        self.count += 1
        weakref.finalize(crop, self._gone)

    def _gone(self) -> None:
        self.count -= 1


@dataclass(frozen=True)
class ThumbnailPipeline(Pipeline):
    """A pipeline whose faces carry a small picture instead of their crop.

    While many wait in unfinished tracks, only every second, fourth, ninth ... frame gets them: one person seen for
    hours, or a crowd, takes no more memory than features do.
    """

    alive: _Alive = field(default_factory=_Alive)

    def faces(self, frames: Sequence[Frame]) -> list[list[Face]]:
        """As :meth:`Pipeline.faces`."""
        stride = max(1, (self.alive.count // _PLENTY) ** 2)
        return [[self._small(face, i % stride == 0) for face in found] for i, found in enumerate(super().faces(frames))]

    def _small(self, face: Face, wanted: bool) -> Face:
        if face.crop is None or not wanted:
            return face.replace(crop=None)
        crop = shrink(face.crop)
        self.alive.watch(crop)
        return face.replace(crop=crop)


def shrink(crop: Image) -> Image:
    """RGB uint8 (H, W, 3), its longest side at most :data:`SIDE`."""
    import cv2

    height, width = crop.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small: Image = cv2.resize(crop, size, interpolation=cv2.INTER_AREA) if scale < 1 else crop.copy()
    return small


def allowed(given: int) -> int:
    """How many thumbnails the next face set of a medium may have, after ``given`` to the sets before it."""
    return max(FEW, min(MOST, (_MEDIUM - given) // 8))


def thumbnails_of(one: FaceSet) -> int:
    """How many faces of a set have one."""
    return sum(face.crop is not None for face in one.faces)


def thinned(one: FaceSet, most: int) -> FaceSet:
    """The face set with at most ``most`` thumbnails, evenly over its time."""
    have = [i for i, face in enumerate(one.faces) if face.crop is not None]
    if len(have) <= most:
        return one
    kept = {have[j * len(have) // most] for j in range(most)}
    faces = tuple(face if i in kept else face.replace(crop=None) for i, face in enumerate(one.faces))
    return FaceSet(faces, one.model_id, one.media, one.track, one.shot, one.digest, one.kind)
