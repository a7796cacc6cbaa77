"""What a search for faces has found so far: a line of JSON for each medium that is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from faceset.errors import FaceStoreError
from faceset.writing import write_whole

FILE = "journal.jsonl"


@dataclass
class Entry:
    """One medium.

    Attributes:
        person, medium: names.
        pictures: pictures and frames that were read.
        faces: for each face its file, frame, score, box and landmarks by scheme.
        without_face, corrupt: as in :class:`~faceset.training.faces.report.PrepareReport`.
    """

    person: str
    medium: str
    pictures: int = 0
    faces: list[dict[str, Any]] = field(default_factory=list)
    without_face: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)


class Journal:
    """The file; made when it is missing.

    Args:
        folder: of the store.
        settings: of the search; a journal of others is refused.
        geometries: whose crops are written beside it; of a journal that is there, those it was begun with.

    Raises:
        FaceStoreError: other settings, a damaged file, or a disk that refuses.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], geometries: tuple[str, ...]) -> None:
        self.path = folder / FILE
        self.entries: list[Entry] = []
        self.geometries = geometries
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        if "\n" not in text:  # killed before the first line was whole
            self._write(json.dumps({"settings": dict(settings), "geometries": geometries}) + "\n", "w")
            return
        *lines, torn = text.split("\n")
        try:
            header = json.loads(lines[0])
            begun, self.geometries = header["settings"], tuple(header["geometries"])
            self.entries = [Entry(**json.loads(line)) for line in lines[1:]]
        except (ValueError, KeyError, TypeError) as error:
            raise FaceStoreError(f"{self.path} is damaged ({error}); delete {folder} and prepare it again") from error
        check_settings(folder, begun, settings)
        if torn:
            self.keep(len(self.entries))

    def keep(self, number: int) -> None:
        """Drop the entries after the first ``number``."""
        lines = self.path.read_text(encoding="utf-8").split("\n")[: number + 1]
        self.entries = self.entries[:number]
        write_whole(self.path, "".join(f"{line}\n" for line in lines).encode())

    def add(self, entry: Entry) -> None:
        """Add what one medium gave; its crops are on the disk already."""
        self._write(json.dumps(asdict(entry)) + "\n", "a")
        self.entries.append(entry)

    def _write(self, text: str, mode: str) -> None:
        try:
            with self.path.open(mode, encoding="utf-8", newline="\n") as file:
                file.write(text)
        except OSError as error:
            raise FaceStoreError(
                f"{self.path} cannot be written ({error.strerror or error}); choose a place with room and rights"
            ) from error


def check_settings(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with other settings.

    Raises:
        FaceStoreError: naming what differs.
    """
    keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    if keys:
        differences = "; ".join(
            f"{key} was {_short(before.get(key))} and is now {_short(now.get(key))}" for key in keys
        )
        raise FaceStoreError(
            f"{folder} was prepared with other settings: {differences}; prepare into another folder, or delete that one"
        )


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 3:
        return f"[{', '.join(map(repr, value[:3]))} and {len(value) - 3} more]"
    return repr(value)
