"""From whatever a user names to media: one file, an address, an array, or everything in a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from faceset.errors import InputError, MediaError
from faceset.media.addresses import STREAM_SCHEMES, local_path, scheme_of, shown
from faceset.media.base import Limits, Media, logger
from faceset.media.names import readable
from faceset.media.sniff import NotMediaError, first_bytes, is_text, still_format
from faceset.types import Image

Source = str | os.PathLike[str] | Image | Sequence[Image]
"""The path of a still, a video or a folder; the address of a stream; an array (H, W, 3) or (T, H, W, 3); a list of
arrays (H, W, 3). Arrays are RGB uint8."""

ARRAY_FPS = 25.0


class Found(NamedTuple):
    """What a folder holds.

    Attributes:
        media: the pictures and videos, in the natural order of their names (``2.jpg`` before ``10.jpg``).
        skipped: one sentence for each other file, and each folder that cannot be read: its name and why it was not
            taken. Hidden files are not mentioned.
    """

    media: tuple[Media, ...]
    skipped: tuple[str, ...]


def find_media(
    source: Source, *, name: str | None = None, limits: Limits | None = None, array_fps: float = ARRAY_FPS
) -> list[Media]:
    """The media that ``source`` names: a folder gives those in it and below, anything else gives one.

    Args:
        source: see :data:`Source`. ``file:`` addresses are paths.
        name: a name for people in place of the file's own; for a folder it is put before the names of its files.
        limits: how large and how long a medium may be; default :class:`Limits`.
        array_fps: frames a second of a sequence of arrays.

    Files in a folder that are no media, or cannot be read, are left out and logged; :func:`scan` returns them.

    Raises:
        InputError: the source is of a type, or an array of a shape, that cannot be used.
        MediaError: there is no such file, it is no picture and no video, it is damaged, or a folder has none.
        MediaLimitError: it is larger or longer than allowed.
    """
    folder = _folder(source)
    if folder is None:
        return [open_media(source, name=name, limits=limits, array_fps=array_fps)]
    found = scan(folder, name=name, limits=limits)
    if not found.media:
        seen = ""
        if found.skipped:
            count = "1 file was" if len(found.skipped) == 1 else f"{len(found.skipped)} files were"
            seen = f" ({count} looked at: {found.skipped[0]})"
        raise MediaError(
            f"{readable(name or str(folder))}: the folder holds no picture and no video{seen}; check the path"
        )
    return list(found.media)


def scan(folder: str | os.PathLike[str], *, name: str | None = None, limits: Limits | None = None) -> Found:
    """Look through a folder and the folders below it.

    Each file is judged by its content. Only headers are read, so a picture that is damaged further on is found when
    its frames are asked for. Hidden files and folders are passed over; links are followed, each folder once.

    Raises:
        MediaError: there is no such folder, or it cannot be read.
    """
    root = _folder(folder)
    if root is None:
        raise MediaError(f"{readable(os.fsdecode(folder))}: no such folder; check the path")
    limits = limits or Limits()
    media: list[Media] = []
    skipped: list[str] = []

    def label(path: Path) -> str:
        relative = path.relative_to(root).as_posix()
        return readable(f"{name}/{relative}" if name else relative)

    def skip(reason: MediaError) -> None:
        skipped.append(str(reason))
        log = logger.info if isinstance(reason, NotMediaError) else logger.warning
        log("skipped %s", reason)

    def cannot_list(error: OSError) -> None:
        closed = Path(error.filename)
        cure = f"the folder cannot be read: {error.strerror}; make it readable for this user"
        if closed == root:
            raise MediaError(f"{readable(name or str(root))}: {cure}") from error
        skip(MediaError(f"{label(closed)}: {cure}"))

    for path in _files(root, cannot_list):
        try:
            media.append(_open_path(path, label(path), limits))
        except MediaError as error:
            skip(error)
    return Found(tuple(media), tuple(skipped))


def open_media(
    source: Source, *, name: str | None = None, limits: Limits | None = None, array_fps: float = ARRAY_FPS
) -> Media:
    """The one medium that ``source`` names. Arguments and errors as for :func:`find_media`.

    Raises:
        InputError: the source is a folder.
    """
    limits = limits or Limits()
    if not isinstance(source, (str, os.PathLike)):
        return _open_array(source, name or "array", limits, array_fps)
    text = os.fspath(source)
    if not isinstance(text, str):
        raise InputError(f"a path must be text, but got {text!r}; decode it with os.fsdecode")
    scheme = scheme_of(text)
    if scheme in STREAM_SCHEMES:
        from faceset.media.video import Stream

        return Stream(text, name or shown(text), limits)
    if scheme not in ("", "file"):
        raise InputError(f"{shown(text)}: addresses of {scheme} are not read; use one of {', '.join(STREAM_SCHEMES)}")
    path = _path(text)
    if _is_folder(path):
        where = readable(name or str(path))
        raise InputError(f"{where}: a folder, where one picture or video is needed; name one file in it")
    return _open_path(path, readable(name or path.name), limits, typed=None if name else readable(text))


def _path(text: str) -> Path:
    if not text.strip():
        raise InputError("the source is empty; give the path of a picture, a video or a folder")
    path = Path(local_path(text) if scheme_of(text) == "file" else text)
    try:
        return path.expanduser()
    except RuntimeError:  # ~name, where nobody has that name
        return path


def _folder(source: object) -> Path | None:
    """The source as a folder's path, or None when it is anything else."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    text = os.fspath(source)
    if not isinstance(text, str) or scheme_of(text) not in ("", "file"):
        return None
    path = _path(text)
    return path if _is_folder(path) else None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (ValueError, OSError):  # a NUL in the path, a name too long, a folder above that is closed
        return False


def _files(root: Path, cannot_list: Callable[[OSError], None]) -> Iterator[Path]:
    """Every visible file below ``root``, in natural order, each folder once however it is linked."""
    seen: set[tuple[int, int]] = set()
    for folder, below, names in os.walk(root, onerror=cannot_list, followlinks=True):
        here = os.stat(folder)
        # Windows may give 0 for both; there loops of links are left to the system's limit.
        if here.st_ino and (here.st_dev, here.st_ino) in seen:
            below.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        below[:] = sorted((d for d in below if not d.startswith(".")), key=_natural)
        for file in sorted((f for f in names if not f.startswith(".")), key=_natural):
            yield Path(folder, file)


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key that puts ``2`` before ``10`` and does not tell small letters from capitals, except as a last resort."""
    parts = re.findall(r"\d+|\D+", name.casefold())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts], name


def _open_path(path: Path, name: str, limits: Limits, *, typed: str | None = None) -> Media:
    head = first_bytes(path, name, limits, typed=typed)
    still = still_format(head)
    if still is not None:
        from faceset.media.stills import open_still

        return open_still(path, name, limits, still)
    if is_text(head):
        raise NotMediaError(
            f"{name}: holds text, not a picture or a video, whatever its name says; give the media file itself"
        )
    from faceset.media.video import Video

    return Video(path, name, limits)


def _open_array(source: object, name: str, limits: Limits, array_fps: float) -> Media:
    if not isinstance(source, np.ndarray) and (not isinstance(source, Sequence) or isinstance(source, bytes)):
        raise InputError(
            f"a source must be a path, an address, an array or a list of arrays, but got {type(source).__name__}"
        )
    from faceset.media.arrays import Pictures

    return Pictures(source, name, limits, array_fps)
