"""From a folder of people to a feature table: the only step of training and evaluation that looks at pictures.

Layout: ``root/<person>/<medium>``, where a medium is a picture, a video, or a folder of frames of one video. Every
picture or frame is taken to show the person its folder is named after; where several faces are found the most central
large one is taken (:func:`central_face`).

:func:`extract_faces` does the same for faces that a protocol names, by box, by points, or by the file alone.

Each medium becomes one part of the table, written whole, so a run that was killed goes on where it stopped and ends
with the same table: what is random is seeded by (seed, medium, frame), not by the order of the work, and the models
give the same numbers whatever they are batched with.
"""

from __future__ import annotations

from faceset.extraction.config import ExtractConfig
from faceset.extraction.crops import central_face, degraded_crops
from faceset.extraction.found import ExtractReport
from faceset.extraction.given import GIVEN_RULE, GivenFace
from faceset.extraction.layout import PersonMedium, find_people
from faceset.extraction.named import extract_faces
from faceset.extraction.placed import CENTRE_RULE
from faceset.extraction.run import extract

__all__ = [
    "CENTRE_RULE",
    "GIVEN_RULE",
    "ExtractConfig",
    "ExtractReport",
    "GivenFace",
    "PersonMedium",
    "central_face",
    "degraded_crops",
    "extract",
    "extract_faces",
    "find_people",
]
