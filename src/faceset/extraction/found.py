"""What an extraction did not find: kept beside the parts, then in the table, so that it outlives a kill."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from faceset.errors import FeatureTableError

NOTES = "notes.jsonl"
KEY = "found"
"""Where the table's settings hold it."""
RULE = "fallback_rule"
"""Where they hold the rule by which faces were placed that were not detected, if there are any."""


@dataclass
class ExtractReport:
    """What an extraction found; it covers the whole table, whichever runs it took.

    Attributes:
        media: media in the table.
        done_before: of the media in the folder, those that earlier runs have finished.
        added: those of this run.
        people: people with a face in the table.
        faces, degraded: rows of faces as they are, and of degraded copies.
        without_face: names of files without a face in any frame.
        failed: a sentence for every file that could not be read to its end, or face that could not be cut out.
        fallback: names of files or faces whose face was not detected but placed by a rule; these rows have score 0.
        fallback_rule: the rule.
        missing: names that were asked for and whose file is not there; they are looked for again by the next run.
    """

    media: int = 0
    done_before: int = 0
    added: int = 0
    people: int = 0
    faces: int = 0
    degraded: int = 0
    without_face: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    fallback: list[str] = field(default_factory=list)
    fallback_rule: str = ""
    missing: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass
class Note:
    """What one medium did not give, or gave by a rule only.

    Attributes:
        empty: whether it gave no row at all.
        without_face, failed, fallback: as in :class:`ExtractReport`.
    """

    empty: bool = False
    without_face: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    fallback: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.empty or bool(self.without_face or self.failed or self.fallback)


def append(folder: Path, medium: str, note: Note) -> None:
    """Add a note beside the parts. A line begins with its line break, so that one cut off by a kill harms no other.

    Raises:
        FeatureTableError: the disk refuses.
    """
    path = folder / NOTES
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps([medium, asdict(note)]))
    except OSError as error:
        raise FeatureTableError(f"{path} cannot be written ({error}); choose a place with room and rights") from error


def read(folder: Path) -> dict[str, Note]:
    """Medium -> note; of several the last."""
    path, notes = folder / NOTES, {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            medium, values = json.loads(line)
            notes[medium] = Note(**values)
        except (ValueError, TypeError):  # empty, or cut off by a kill: its medium will be done again
            continue
    return notes


def to_settings(notes: Mapping[str, Note]) -> dict[str, Any]:
    """Plain values for the table's metadata."""
    return {medium: asdict(note) for medium, note in sorted(notes.items())}


def from_settings(settings: Mapping[str, Any]) -> dict[str, Note]:
    """The notes in a table; none where it was made by other means."""
    return {medium: Note(**values) for medium, values in settings.get(KEY, {}).items()}
