"""What became of the pictures: counted, and listed by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class PrepareReport:
    """What is in a face store, and what is not.

    Attributes:
        people: people with a face in the store; 0 where the pictures have no labels.
        media: pictures, videos and folders of frames that were looked at.
        pictures: pictures and frames of videos that were read.
        faces: faces in the store.
        one_picture: names of people with one face only.
        no_picture: names of person folders that gave no face.
        left_out: names of person folders that were not to be looked at.
        without_face: names of files in which no face was found.
        corrupt: a sentence for each file that could not be read to its end, and each face that could not be cut out.
        stray: files that lie beside the person folders, and so belong to nobody.
    """

    people: int = 0
    media: int = 0
    pictures: int = 0
    faces: int = 0
    one_picture: list[str] = field(default_factory=list)
    no_picture: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    without_face: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: a list comes as ``{"count": ..., "names": [...]}``."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: {"count": len(v), "names": list(v)} if isinstance(v, list) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PrepareReport:
        """The report of :meth:`to_dict`."""
        plain: dict[str, Any] = {k: v["names"] if isinstance(v, Mapping) else v for k, v in values.items()}
        return cls(**plain)
