"""The tables of IJB-A: 25 columns, each checked. See :mod:`faceset.evaluation.protocols.ijba` for what each does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from faceset.evaluation.protocols.nist_rows import BOX, Kind, Rows, boxes_of, check_columns, first_rows
from faceset.evaluation.protocols.tables import CsvFile, read_csv

COLUMNS = (
    *("TEMPLATE_ID", "SUBJECT_ID", "FILE", "MEDIA_ID", "SIGHTING_ID", "FRAME", *BOX),
    *("RIGHT_EYE_X", "RIGHT_EYE_Y", "LEFT_EYE_X", "LEFT_EYE_Y", "NOSE_BASE_X", "NOSE_BASE_Y", "FACE_YAW"),
    *("FOREHEAD_VISIBLE", "EYES_VISIBLE", "NOSE_MOUTH_VISIBLE", "INDOOR", "GENDER", "SKIN_TONE", "AGE", "FACIAL_HAIR"),
)

_POINTS = ("RIGHT_EYE", "LEFT_EYE", "NOSE_BASE")
_FLAG = Kind(high=1, missing=("",))
_KINDS = {
    **dict.fromkeys(("TEMPLATE_ID", "SUBJECT_ID", "MEDIA_ID", "SIGHTING_ID"), Kind()),
    "FRAME": Kind(missing=("",)),
    **dict.fromkeys(BOX, Kind(whole=False, high=1e6, missing=("",))),
    **{f"{point}_{axis}": Kind(whole=False, high=1e6, missing=("",)) for point in _POINTS for axis in "XY"},
    "FACE_YAW": Kind(whole=False, low=-180, high=180, missing=("",)),
    **dict.fromkeys(("FOREHEAD_VISIBLE", "EYES_VISIBLE", "NOSE_MOUTH_VISIBLE", "INDOOR"), _FLAG),
    "GENDER": Kind(high=1),
    "SKIN_TONE": Kind(low=1, high=6),
    "AGE": Kind(high=5, missing=("",)),
    "FACIAL_HAIR": Kind(high=3, missing=("",)),
}
_PLAIN = re.compile(r"(?!-0$)-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?")
_FILE = re.compile(r"(?:img/[1-9][0-9]*|frame/(?P<video>[1-9][0-9]*)_(?P<frame>[0-9]+))\.(?:jpg|jpeg|png)", re.I)


def read_table(root: Path, name: str) -> Rows:
    """``train``, ``verify_metadata``, ``search_gallery`` or ``search_probe``.

    Raises:
        ProtocolError: it is missing, cut short, or has a field that cannot be or contradicts another.
    """
    csv = read_csv(root, name, COLUMNS)
    csv.file.check_ended()
    if tuple(csv.columns) != COLUMNS:
        raise csv.file.error(1, f"the header is not the {len(COLUMNS)} columns {','.join(COLUMNS)}")
    check_columns(csv, _KINDS)
    _check_plain(csv)
    _check_files(csv)
    for point in _POINTS:
        _check_pairs(csv, point)
    _check_one(csv, "SIGHTING_ID", ("FILE",))
    _check_one(csv, "FILE", ("MEDIA_ID",))
    _check_one(csv, "SUBJECT_ID", ("GENDER", "SKIN_TONE"))
    files, sightings = csv["FILE"], csv["SIGHTING_ID"]
    return Rows(
        csv=csv,
        names=tuple(f"{file}#{sighting}" for file, sighting in zip(files, sightings, strict=True)),
        files=files,
        media=np.array(csv["MEDIA_ID"], dtype=np.int64),
        boxes=boxes_of(csv),
        facts=COLUMNS[1:],
    )


def _check_plain(csv: CsvFile) -> None:
    """A decimal number has no zeros at its end and no exponent, so that two texts are two numbers."""
    for column, kind in _KINDS.items():
        if not kind.whole:
            for text, row in first_rows(csv[column]).items():
                if text and not _PLAIN.fullmatch(text):
                    raise csv.error(row, f"{column} is {text}, which the official files write another way")


def _check_files(csv: CsvFile) -> None:
    """A picture is a still or a video frame, and FRAME and MEDIA_ID say so too."""
    for row, (file, frame, medium) in enumerate(zip(csv["FILE"], csv["FRAME"], csv["MEDIA_ID"], strict=True)):
        match = _FILE.fullmatch(file)
        if match is None:
            raise csv.error(row, f"FILE is {file!r}, neither img/<id>.jpg nor frame/<video>_<frame>.png")
        if match["video"] is None:
            if frame:
                raise csv.error(row, f"FRAME is {frame}, but {file} is a still")
        elif frame != str(int(match["frame"])) or medium != match["video"]:
            raise csv.error(row, f"FRAME {frame or 'empty'} and MEDIA_ID {medium} do not fit {file}")


def _check_pairs(csv: CsvFile, point: str) -> None:
    """A point has both coordinates or none."""
    for row, (x, y) in enumerate(zip(csv[f"{point}_X"], csv[f"{point}_Y"], strict=True)):
        if bool(x) != bool(y):
            raise csv.error(row, f"one of {point}_X and {point}_Y is empty and the other is not")


def _check_one(csv: CsvFile, key: str, facts: tuple[str, ...]) -> None:
    """One value of each of ``facts`` for a value of ``key``."""
    for fact in facts:
        first: dict[str, int] = {}
        texts = csv[fact]
        for row, value in enumerate(csv[key]):
            at = first.setdefault(value, row)
            if texts[at] != texts[row]:
                raise csv.error(
                    row, f"{key} {value} has {fact} {texts[row]} here and {texts[at]} in line {csv.line(at)}"
                )
