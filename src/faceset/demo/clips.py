"""Clips rendered from portraits: mp4 files, each with the truth about who is where in every frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceset.demo.camera import Camera
from faceset.demo.damage import Damage, schedule, spoil
from faceset.demo.portraits import Portrait
from faceset.demo.writer import write_video
from faceset.errors import InputError
from faceset.types import Box, Image

FPS = 25
SECONDS = 4.4


@dataclass(frozen=True, slots=True)
class Shown:
    """One person in one frame.

    Attributes:
        name: who it is.
        box: xyxy pixels of the face; it may reach beyond the picture.
        damage: kind of damage done to it, or None.
    """

    name: str
    box: Box
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """A rendered clip and the truth about it.

    Attributes:
        path: the mp4 file.
        fps: frames a second.
        frames: who is shown in each frame, from left to right.
    """

    path: Path
    fps: int
    frames: tuple[tuple[Shown, ...], ...]

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody shown, in order of appearance."""
        return tuple(dict.fromkeys(shown.name for frame in self.frames for shown in frame))

    @property
    def spoilt(self) -> float:
        """Share of the frames in which a face is damaged."""
        return sum(any(s.damage for s in frame) for frame in self.frames) / len(self.frames)

    def who(self, time: float, box: Box) -> str | None:
        """Whose face covers the middle of ``box`` at ``time`` seconds; None when nobody's does."""
        frame = self.frames[min(len(self.frames) - 1, max(0, round(time * self.fps)))]
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        for shown in frame:
            x0, y0, x1, y1 = shown.box
            if x0 <= x <= x1 and y0 <= y <= y1:
                return shown.name
        return None


def render(
    portrait: Portrait,
    path: Path,
    seed: int,
    *,
    size: tuple[int, int] = (360, 480),
    seconds: float = SECONDS,
    spoilt: float = 0.4,
) -> Clip:
    """One person before a moving camera in changing light; a share of the frames is spoilt.

    Args:
        portrait: who is shown.
        path: the mp4 file to write, or to replace.
        seed: draws the camera's path, the light and the damage; equal seeds give equal files on one machine.
        size: width and height, both even.
        seconds: length.
        spoilt: share of the frames that are blurred, dark, over-exposed, noisy or partly covered, 0..1.

    Raises:
        InputError: an odd or too small size, no length, or a share outside 0..1.
        MediaError: the file cannot be written.
    """
    return _film([([portrait], seconds)], path, seed, size, spoilt)


def render_meeting(
    first: Portrait,
    second: Portrait,
    path: Path,
    seed: int,
    *,
    size: tuple[int, int] = (480, 360),
    spoilt: float = 0.25,
) -> Clip:
    """Two people: the first alone, a cut, the second alone, a cut, both side by side. See :func:`render`."""
    return _film([([first], 1.6), ([second], 1.6), ([first, second], 2.4)], path, seed, size, spoilt)


def _film(
    shots: Sequence[tuple[Sequence[Portrait], float]], path: Path, seed: int, size: tuple[int, int], spoilt: float
) -> Clip:
    width, height = size
    if width % 4 or height % 2 or width < 64 or height < 64:
        raise InputError(f"size must be a multiple of 4 by a multiple of 2, at least 64 x 64, but got {size}")
    if not 0 <= spoilt <= 1:
        raise InputError(f"spoilt must lie in 0 to 1, but got {spoilt!r}")
    counts = [round(seconds * FPS) for _, seconds in shots]
    if min(counts) < 1:
        raise InputError(f"a clip needs at least one frame of 1/{FPS} s, but got {shots[0][1]!r} seconds")
    rng = np.random.default_rng(seed)
    truth: list[tuple[Shown, ...]] = []

    def pictures() -> Iterator[Image]:
        for (people, _), count in zip(shots, counts, strict=True):
            views = [_View(p, (width // len(people), height), count, spoilt, rng) for p in people]
            for i in range(count):
                seen = [view.frame(i) for view in views]
                truth.append(tuple(_moved(shown, k * width // len(people)) for k, (_, shown) in enumerate(seen)))
                yield np.ascontiguousarray(np.hstack([picture for picture, _ in seen]))

    write_video(path, pictures(), size, FPS)
    return Clip(path, FPS, tuple(truth))


class _View:
    """One person's part of the picture during one shot."""

    def __init__(
        self, portrait: Portrait, size: tuple[int, int], frames: int, spoilt: float, rng: np.random.Generator
    ) -> None:
        self.camera = Camera(portrait, size, rng)
        self.plan: list[Damage | None] = schedule(frames, spoilt, rng)

    def frame(self, index: int) -> tuple[Image, Shown]:
        time = index / FPS
        picture, box, damage = self.camera.picture(time), self.camera.face(time), self.plan[index]
        if damage is None:
            return picture, Shown(self.camera.portrait.name, box)
        return spoil(picture, box, damage, index), Shown(self.camera.portrait.name, box, damage.kind)


def _moved(shown: Shown, right: int) -> Shown:
    x0, y0, x1, y1 = shown.box
    return Shown(shown.name, (x0 + right, y0, x1 + right, y1), shown.damage)
