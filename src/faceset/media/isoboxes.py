"""The outer boxes of an MP4 or QuickTime file (ISO/IEC 14496-12, 4.2): enough to say how such a file is damaged."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Boxes:
    """The types of the outer boxes in order, and how many bytes the last one lacks."""

    types: tuple[str, ...]
    missing_bytes: int

    @property
    def is_movie(self) -> bool:
        """Whether this looks like an MP4 or QuickTime file at all."""
        return bool({"ftyp", "moov", "mdat"} & set(self.types))

    @property
    def has_index(self) -> bool:
        """Whether the whole ``moov`` box is there; without it nothing can be decoded."""
        return "moov" in self.types and not (self.missing_bytes and self.types[-1] == "moov")


def read_boxes(path: Path) -> Boxes:
    """Read the headers of the outer boxes; never more than 1,000 of them, and nothing of what they hold."""
    types: list[str] = []
    size = path.stat().st_size
    at = 0
    with path.open("rb") as file:
        while at + 8 <= size and len(types) < 1000:
            file.seek(at)
            header = file.read(16)
            length = int.from_bytes(header[:4], "big")
            kind = header[4:8]
            if not all(32 <= byte < 127 for byte in kind):
                break
            if length == 1 and len(header) == 16:
                length = int.from_bytes(header[8:16], "big")
            elif length == 0:
                length = size - at
            if length < 8:
                break
            types.append(kind.decode("ascii"))
            at += length
    return Boxes(tuple(types), max(0, at - size))


def missing_index(path: str | os.PathLike[str]) -> str | None:
    """A sentence when the file is a movie whose index never came, or not whole; None otherwise."""
    try:
        boxes = read_boxes(Path(path))
    except OSError:
        return None
    if not boxes.is_movie or boxes.has_index:
        return None
    fault = "in front is incomplete" if "moov" in boxes.types else "at its end is missing"
    return (
        f"the file is cut short: the index (moov) {fault}, so nothing in it can be decoded; "
        "copy or download it again, or rebuild the index with a repair tool such as untrunc"
    )
