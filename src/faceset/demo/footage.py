"""All clips of the demo, and the file that keeps the truth about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from faceset.demo.clips import SECONDS, Clip, Shown, render, render_meeting
from faceset.demo.portraits import Portrait
from faceset.errors import InputError, MediaError

Hook = Callable[[str, int, int], None]
"""Called with what is being done, how many steps are done, and how many there are."""

TRUTH = "truth.json"
CLIPS_EACH = 3


def shoot(
    folder: Path,
    people: Sequence[Portrait],
    seed: int = 0,
    *,
    seconds: float = SECONDS,
    hook: Hook | None = None,
) -> tuple[Clip, ...]:
    """Render three clips of each person and one of the first two together; write the truth beside them.

    Args:
        folder: made when missing; files of the same names are replaced.
        people: at least two.
        seed: every clip has its own seed, made from this one.
        seconds: length of the clips of one person.
        hook: called before each clip.

    Raises:
        InputError: fewer than two people.
        MediaError: a file cannot be written.
    """
    if len(people) < 2:
        raise InputError(f"the demo needs two people, but got {len(people)}")
    total = CLIPS_EACH * len(people) + 1
    clips: list[Clip] = []

    def path(stem: str) -> Path:
        name = f"{stem}.mp4"
        if hook is not None:
            hook(f"rendering {name}", len(clips), total)
        return folder / name

    for number, person in enumerate(people):
        for take in range(1, CLIPS_EACH + 1):
            stem = person.name.split()[-1].lower()
            clips.append(render(person, path(f"{stem}-{take}"), 1000 * seed + 100 * number + take, seconds=seconds))
    clips.append(render_meeting(people[0], people[1], path("meeting"), 1000 * seed + 999))
    save_truth(folder, clips)
    return tuple(clips)


def save_truth(folder: Path, clips: Sequence[Clip]) -> None:
    """Write ``truth.json``: who is where in every frame of every clip of ``folder``."""
    content = {
        "version": 1,
        "clips": [
            {
                "file": clip.path.name,
                "fps": clip.fps,
                "frames": [
                    [{"name": s.name, "box": [round(v, 1) for v in s.box], "damage": s.damage} for s in frame]
                    for frame in clip.frames
                ],
            }
            for clip in clips
        ],
    }
    path = folder / TRUTH
    try:
        path.write_text(json.dumps(content), encoding="utf-8")
    except OSError as error:
        raise MediaError(f"{path} cannot be written: {error}") from error


def load_truth(folder: Path) -> tuple[Clip, ...]:
    """The clips that :func:`shoot` left in ``folder``; the video files themselves are not opened.

    Raises:
        MediaError: the truth or a clip is missing, or the truth cannot be read.
    """
    path = folder / TRUTH
    cure = "render the clips anew"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != 1:
            raise MediaError(f"{path} is of version {content['version']!r}, and this faceset reads version 1; {cure}")
        clips = tuple(_clip(folder, entry) for entry in content["clips"])
    except FileNotFoundError:
        raise MediaError(f"{path} is missing: no clips were rendered into this folder; {cure}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MediaError(f"{path} is damaged ({type(error).__name__}: {error}); {cure}") from error
    for clip in clips:
        if not clip.path.is_file():
            raise MediaError(f"{clip.path} is missing, though {TRUTH} speaks of it; {cure}")
    return clips


def _clip(folder: Path, entry: dict[str, Any]) -> Clip:
    frames = tuple(
        tuple(Shown(str(s["name"]), _box(s["box"]), s["damage"]) for s in frame) for frame in entry["frames"]
    )
    return Clip(folder / Path(entry["file"]).name, int(entry["fps"]), frames)


def _box(values: Sequence[float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = map(float, values)
    return x0, y0, x1, y1
