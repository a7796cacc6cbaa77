"""Stills, folders, videos, streams and arrays, read as frames with times.

:func:`find_media` turns whatever a user names into :class:`Media`; each of them gives :class:`faceset.types.Frame`
objects, RGB and upright, through :meth:`Media.frames`. Pillow and PyAV are loaded only when a medium needs them.
The page ``docs/media.md`` says what is read, how it is sampled and what happens to damaged files.
"""

from faceset.media.base import Limits, Media, MediaReport
from faceset.media.find import Found, Source, find_media, open_media, scan

__all__ = ["Found", "Limits", "Media", "MediaReport", "Source", "find_media", "open_media", "scan"]
