"""The tables of IJB-B and IJB-C in NIST's form. See :mod:`faceset.evaluation.protocols.nist` for their columns."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from faceset.evaluation.protocols.nist_rows import BOX, Kind, Rows, boxes_of, check_columns, first_rows
from faceset.evaluation.protocols.nist_sightings import MISSING, Sightings
from faceset.evaluation.protocols.tables import CsvFile, read_csv

_NUMBER = Kind(whole=False, low=-1e9, high=1e9, missing=MISSING)
_KINDS = {
    **dict.fromkeys(("TEMPLATE_ID", "SUBJECT_ID", "SIGHTING_ID"), Kind()),
    **dict.fromkeys(
        (
            *BOX,
            *(f"{point}_{axis}" for point in ("RIGHT_EYE", "LEFT_EYE", "NOSE_BASE", "NOSE") for axis in "XY"),
            *("FRAME", "FRAME_NUM", "FACE_YAW", "YAW", "ROLL", "AGE", "FACIAL_HAIR", "INDOOR", "INDOOR_OUTDOOR"),
            *("GENDER", "SKIN_TONE", "SKINTONE", "EYES_VISIBLE", "NOSE_MOUTH_VISIBLE", "FOREHEAD_VISIBLE"),
            *(f"OCC{n}" for n in range(1, 19)),
        ),
        _NUMBER,
    ),
}


def read_table(root: Path, name: str, sightings: Sightings | None) -> Rows:
    """A table of templates.

    Args:
        root: root of the protocol.
        name: of the file, relative.
        sightings: where the table may have no SIGHTING_ID; None: it must.

    Raises:
        ProtocolError: it is missing, or has a field that cannot be or contradicts another.
    """
    csv = read_csv(root, name, ("TEMPLATE_ID", "SUBJECT_ID", *BOX, *(() if sightings else ("SIGHTING_ID",))))
    file_column = next((column for column in ("FILENAME", "FILE") if column in csv.columns), None)
    if file_column is None:
        raise csv.file.error(1, "the header has no column FILENAME or FILE")
    check_columns(csv, _KINDS)
    files = csv[file_column]
    _check_files(csv, file_column)
    if sightings is None or "SIGHTING_ID" in csv.columns:
        _check_subjects(csv)
        names = tuple(f"{file}#{sighting}" for file, sighting in zip(files, csv["SIGHTING_ID"], strict=True))
        media = np.array(csv["SIGHTING_ID"], dtype=np.int64)
    else:
        names, numbers = sightings.faces(csv, file_column)
        media = np.array(numbers, dtype=np.int64)
    return Rows(csv, names, files, media, boxes_of(csv, MISSING), ("SUBJECT_ID", *BOX))


def _check_files(csv: CsvFile, column: str) -> None:
    """A picture is a relative path that leads nowhere else; ``#`` ends it in names of faces."""
    for text, row in first_rows(csv[column]).items():
        path = PurePosixPath(text)
        if not text or path.is_absolute() or str(path) != text or ".." in path.parts or "\\" in text or "#" in text:
            raise csv.error(row, f"{column} is {text!r}, no path below the pictures")


def _check_subjects(csv: CsvFile) -> None:
    """A sighting is of one subject."""
    first: dict[str, int] = {}
    subjects = csv["SUBJECT_ID"]
    for row, sighting in enumerate(csv["SIGHTING_ID"]):
        at = first.setdefault(sighting, row)
        if subjects[at] != subjects[row]:
            raise csv.error(
                row,
                f"sighting {sighting} is of subject {subjects[row]} here and of {subjects[at]} in line {csv.line(at)}",
            )
