"""What a gallery tells about the people it holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Uid:
    """Stands for a person wherever a name is taken: an opaque id, which outlives a rename and is never used again."""

    value: str


@dataclass(frozen=True, slots=True)
class MediaEntry:
    """One medium a person was enrolled from.

    Attributes:
        name: name of the medium.
        digest: sha256 of its bytes; empty for a live stream.
        kind: ``still``, ``video``, ``stream``, ``array`` or ``template`` (a vector that was made elsewhere).
        faces: number of the person's faces held from it.
        added: when it was enrolled, UTC.
        uid: opaque id, unique in the gallery.
    """

    name: str
    digest: str
    kind: str
    faces: int
    added: datetime
    uid: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "id": self.uid,
            "name": self.name,
            "digest": self.digest,
            "kind": self.kind,
            "faces": self.faces,
            "added": self.added.isoformat(timespec="seconds"),
        }


@dataclass(frozen=True, slots=True)
class PersonSummary:
    """One enrolled person without the list of their media; attributes as those of :class:`Person`.

    Attributes:
        media_count: number of media.
    """

    name: str
    faces: int
    media_count: int
    consistency: float | None
    created: datetime
    updated: datetime
    uid: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "id": self.uid,
            "name": self.name,
            "faces": self.faces,
            "media_count": self.media_count,
            "consistency": None if self.consistency is None else round(self.consistency, 6),
            "created": self.created.isoformat(timespec="seconds"),
            "updated": self.updated.isoformat(timespec="seconds"),
        }


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """Some of the people of a gallery, by name.

    Attributes:
        total: how many people the page is cut from.
        people: those on it.
    """

    total: int
    people: tuple[PersonSummary, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """One enrolled person and what is held of them.

    Attributes:
        name: the name, unique in the gallery.
        faces: number of faces held, N.
        media: what they came from, in order of enrolment.
        consistency: that of the person's template, in 0..1 (:class:`faceset.types.Template`); None: no media yet.
        created, updated: when the person was enrolled first, and last changed; UTC.
        uid: opaque id, unique in the gallery; it outlives a rename.
    """

    name: str
    faces: int
    media: tuple[MediaEntry, ...]
    consistency: float | None
    created: datetime
    updated: datetime
    uid: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "id": self.uid,
            "name": self.name,
            "faces": self.faces,
            "media": [m.to_dict() for m in self.media],
            "consistency": None if self.consistency is None else round(self.consistency, 6),
            "created": self.created.isoformat(timespec="seconds"),
            "updated": self.updated.isoformat(timespec="seconds"),
        }
