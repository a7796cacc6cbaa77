"""Which pictures there are: person folders, or any pictures. Names only, no file is opened."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from faceset.errors import MediaError
from faceset.extraction import PersonMedium, find_people


class Sources(NamedTuple):
    """What is to be read, and what is not.

    Attributes:
        media: by name; of nobody (an empty ``person``) where pictures have no labels.
        people: names of all person folders that may be read, also of those without a file; none without labels.
        left_out: names of folders that are not to be read.
        stray: files beside the person folders.
    """

    media: list[PersonMedium]
    people: list[str]
    left_out: list[str]
    stray: list[str]


def find_sources(root: Path, *, labelled: bool, leave_out: Collection[str]) -> Sources:
    """The media below a folder.

    Args:
        root: ``root/<person>/<medium>``; without labels, pictures and videos at any depth.
        labelled: whether folders are people.
        leave_out: names of folders directly in ``root`` that are not to be read.

    Raises:
        MediaError: there is no such folder, or nothing in it that may be read.
    """
    outside = set(leave_out)
    if labelled:
        found = find_people(root)
        folders = _folders(root)
        stray = [e.name for e in sorted(root.iterdir()) if e.is_file() and not e.name.startswith(".")]
    else:
        found, folders, stray = _pictures(root), _folders(root), []
    left_out = [name for name in folders if name in outside]
    media = [medium for medium in found if _folder_of(medium) not in left_out]
    if not media:
        raise MediaError(f"{root} holds no picture of anybody who is not left out; give another folder")
    return Sources(media, [n for n in folders if n not in outside] if labelled else [], left_out, stray)


def _folder_of(medium: PersonMedium) -> str:
    """The folder, directly in the root, that a medium lies in; empty for a file in the root itself."""
    return medium.key.rpartition("/")[0].partition("/")[0]


def _folders(root: Path) -> list[str]:
    return [entry.name for entry in sorted(root.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]


def _pictures(root: Path) -> list[PersonMedium]:
    """Every visible file below a folder, by name, as a medium of nobody."""
    if not root.is_dir():
        raise MediaError(f"{root} is no folder; give a folder with pictures")
    files = [
        path
        for path in sorted(root.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]
    if not files:
        raise MediaError(f"{root} holds no file; give a folder with pictures")
    found = [PersonMedium("", path.relative_to(root).as_posix(), (path,)) for path in files]
    for medium in found:
        try:
            medium.key.encode()
        except UnicodeEncodeError:
            raise MediaError(f"the name of {medium.key!r} is no valid Unicode; rename it") from None
    return found
