"""The layout ``root/<person>/<medium>``; kept in :mod:`faceset.media`, as evaluation reads it too."""

from __future__ import annotations

from faceset.media.people_folders import PersonMedium, find_people

__all__ = ["PersonMedium", "find_people"]
