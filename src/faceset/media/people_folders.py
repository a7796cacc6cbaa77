"""The layout ``root/<person>/<medium>``: names only, no file is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from faceset.errors import MediaError


@dataclass(frozen=True)
class PersonMedium:
    """One medium of one person, or of nobody in particular (an empty name): the files of its frames, or one file."""

    person: str
    name: str
    files: tuple[Path, ...]
    folder: bool = False
    """Whether it is a folder of frames."""

    @property
    def key(self) -> str:
        """Name of the medium in the table, unique over all people."""
        return f"{self.person}/{self.name}" if self.person else self.name

    def label(self, file: Path) -> str:
        """Name of one of its files for people."""
        return f"{self.key}/{file.name}" if self.folder else self.key


def find_people(root: Path) -> list[PersonMedium]:
    """Every medium of every person below ``root``, by name; hidden files and folders are passed over.

    Raises:
        MediaError: there is no such folder, no person folder in it, or a name that is no text.
    """
    if not root.is_dir():
        raise MediaError(f"{root} is no folder; give a folder laid out as <person>/<medium>")
    found = []
    for person in _visible(root):
        for entry in _visible(person) if person.is_dir() else ():
            medium = PersonMedium(person.name, entry.name, tuple(_files(entry)), entry.is_dir())
            try:
                medium.key.encode()
            except UnicodeEncodeError:
                raise MediaError(f"the name of {str(entry)!r} is no valid Unicode; rename it") from None
            if medium.files:
                found.append(medium)
    if not found:
        raise MediaError(
            f"{root} holds no person folders with media in them; lay it out as {root.name}/<person>/<medium>"
        )
    return found


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise MediaError(f"{folder} cannot be read ({error.strerror}); check its rights") from error


def _files(entry: Path) -> list[Path]:
    """The file itself, or all files below a folder."""
    if entry.is_file():
        return [entry]
    return [file for below in _visible(entry) for file in _files(below)] if entry.is_dir() else []
