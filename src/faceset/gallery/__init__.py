"""The gallery: who is enrolled, with which faces, and who of them resembles a probe. See ``docs/gallery.md``."""

from __future__ import annotations

from faceset.gallery.gallery import Gallery
from faceset.gallery.index import ExactIndex, VectorIndex
from faceset.gallery.names import clean_name
from faceset.gallery.records import MediaEntry, PeoplePage, Person, PersonSummary, Uid

__all__ = [
    "ExactIndex",
    "Gallery",
    "MediaEntry",
    "PeoplePage",
    "Person",
    "PersonSummary",
    "Uid",
    "VectorIndex",
    "clean_name",
]
