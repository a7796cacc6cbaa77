"""Small media with real faces, and the service's parts running on them, for the tests of the service."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from media_files import write_video
from portraits import both, collins, hopper, varied, write

from faceset.service.config import ServiceConfig


def config(folder: Path, **changes: object) -> ServiceConfig:
    """Settings of a service in ``folder``, its folder for uploads made."""
    made = ServiceConfig(data=folder, **changes)  # type: ignore[arg-type]
    made.temporary.mkdir(parents=True, exist_ok=True)
    return made


def clip(path: Path, *, frames: int = 24, people: bool = False) -> Path:
    """A video at 5 frames a second: Collins, or Collins and Hopper side by side, swaying a little."""
    picture = both() if people else collins()
    scale = 240 / picture.shape[0]
    small = cv2.resize(picture, (int(picture.shape[1] * scale) // 2 * 2, 240), interpolation=cv2.INTER_AREA)
    shifts = [np.roll(small, round(3 * np.sin(i)), axis=1) for i in range(frames)]
    return write_video(path, shifts, rate=5)


def clip_with_cut(path: Path) -> Path:
    """A video at 5 frames a second: Collins for 12 frames, then Hopper for 12."""
    small = [cv2.resize(picture, (240, 300), interpolation=cv2.INTER_AREA) for picture in (collins(), hopper())]
    return write_video(path, [small[i // 12] for i in range(24)], rate=5)


def stills(folder: Path) -> list[Path]:
    """Three portraits of Collins and one of Hopper."""
    made = [write(varied(collins(), seed), folder / f"c{seed}.png") for seed in range(3)]
    return [*made, write(varied(hopper(), 1), folder / "h.png")]


def media(folder: Path) -> Path:
    """``folder``, filled with what the tests of the calls send."""
    for seed in range(3):
        write(varied(collins(), seed), folder / f"collins{seed}.png")
    write(varied(hopper(), 1), folder / "hopper.png")
    write(both(), folder / "both.png")
    write(np.zeros((120, 160, 3), np.uint8), folder / "black.png")
    clip(folder / "collins.mp4", frames=8)
    clip(folder / "both.mp4", frames=8, people=True)
    clip(folder / "long.mp4", frames=30, people=True)
    (folder / "text.png").write_text("no picture")
    return folder
