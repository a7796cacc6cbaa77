"""NIST's CSV tables of the IJB sets: one row a face of a template, read into faces and templates.

IJB-A, IJB-B and IJB-C share the idea (TEMPLATE_ID, SUBJECT_ID, picture, SIGHTING_ID, box, then attributes) and differ
in columns. A *sighting* is one face in one picture (IJB-A) or one track of a person in a video (IJB-B and IJB-C), so a
face is named ``FILE#SIGHTING_ID``: a picture may show several people.

The same face is part of many templates, each time with the same facts. That they agree is checked, which finds most
damage to a single field.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from faceset.evaluation.protocols.tables import CsvFile
from faceset.evaluation.trials import FaceList, TemplateList

BOX = ("FACE_X", "FACE_Y", "FACE_WIDTH", "FACE_HEIGHT")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a column may hold: whole or decimal numbers in ``low .. high``, and perhaps nothing.

    Attributes:
        whole: whole numbers only.
        low, high: inclusive bounds.
        missing: texts that stand for "not known".
    """

    whole: bool = True
    low: float = 0
    high: float = 2**31 - 1
    missing: tuple[str, ...] = ()


def first_rows(texts: Sequence[str]) -> dict[str, int]:
    """Each text once, with the first row that has it: what holds for a text need not be checked for every row."""
    return dict(zip(reversed(texts), range(len(texts) - 1, -1, -1), strict=True))


def check_columns(csv: CsvFile, kinds: dict[str, Kind]) -> None:
    """Raise ProtocolError, naming the line, for a field that its column cannot hold; columns not there are skipped."""
    for column, kind in kinds.items():
        if column not in csv.columns:
            continue
        for text, row in first_rows(csv[column]).items():
            if text in kind.missing:
                continue
            line = csv.line(row)
            if not text:
                raise csv.file.error(line, f"{column} is empty")
            if kind.whole:
                csv.file.integer(line, text, column, int(kind.low), int(kind.high))
            elif not kind.low <= csv.file.decimal(line, text, column) <= kind.high:
                raise csv.file.error(line, f"{column} is {text}, outside {kind.low:g} to {kind.high:g}")


def boxes_of(csv: CsvFile, missing: Sequence[str] = ("",)) -> npt.NDArray[np.float64]:
    """(N, 4) float64 xyxy pixels of the columns FACE_X, FACE_Y, FACE_WIDTH, FACE_HEIGHT; NaN for a row without a box.

    Raises:
        ProtocolError: a box in part, or of no width or height.
    """
    nan = float("nan")
    columns = [[nan if text in missing else float(text) for text in csv[column]] for column in BOX]
    x, y, width, height = np.array(columns, dtype=np.float64)
    known = np.isfinite(np.stack([x, y, width, height]))
    partial = known.any(axis=0) & ~known.all(axis=0)
    if partial.any():
        raise csv.error(int(np.argmax(partial)), f"of {', '.join(BOX)} some are empty and some are not")
    flat = (width <= 0) | (height <= 0)
    if flat.any():
        raise csv.error(int(np.argmax(flat)), "FACE_WIDTH and FACE_HEIGHT are to be above 0")
    return np.stack([x, y, x + width, y + height], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The N rows of one table; (N,) columns of it.

    Attributes:
        csv: where they were read.
        names: name of the face.
        files: its picture, relative to the root of the pictures.
        media: (N,) int64 number of its medium.
        boxes: (N, 4) float64 xyxy pixels, NaN where there is none.
        facts: columns that are to agree in every row of a face.
    """

    csv: CsvFile
    names: tuple[str, ...]
    files: tuple[str, ...]
    media: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    facts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def place(self, row: int) -> str:
        """``name, line N``, for messages that tell of a second line."""
        return f"{self.csv.file.name}, line {self.csv.line(row)}"


class Faces:
    """The faces of several tables, each once, in order of appearance."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._first: list[tuple[Rows, int]] = []

    def add(self, rows: Rows) -> list[int]:
        """(N,) number of the face of each row.

        Raises:
            ProtocolError: two rows tell two things of one face.
        """
        columns = [rows.csv[fact] for fact in rows.facts]
        codes = []
        for row, name in enumerate(rows.names):
            code = self._codes.setdefault(name, len(self._first))
            if code == len(self._first):
                self._first.append((rows, row))
            else:
                other, at = self._first[code]
                for fact, column in zip(rows.facts, columns, strict=True):
                    if fact in other.csv.columns and column[row] != other.csv[fact][at]:
                        raise rows.csv.error(
                            row,
                            f"face {name} has {fact} {column[row]!r} here and {other.csv[fact][at]!r} in"
                            f" {other.place(at)}",
                        )
            codes.append(code)
        return codes

    def face_list(self) -> FaceList:
        """All faces that were added."""
        first = self._first
        return FaceList(
            names=tuple(self._codes),
            files=tuple(rows.files[row] for rows, row in first),
            boxes=np.array([rows.boxes[row] for rows, row in first], dtype=np.float64).reshape(-1, 4),
        )

    def media(self) -> npt.NDArray[np.int64]:
        """(F,) number of the medium of each."""
        return np.array([rows.media[row] for rows, row in self._first], dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The templates of one table, by number of face."""

    rows: Rows
    ids: tuple[str, ...]
    subjects: tuple[str, ...]
    starts: tuple[int, ...]
    members: tuple[list[int], ...]


def group(rows: Rows, faces: Faces) -> Group:
    """The templates of a table, in order of appearance.

    Raises:
        ProtocolError: a template whose rows are apart, name two subjects, or name a face twice.
    """
    ids, subjects = rows.csv["TEMPLATE_ID"], rows.csv["SUBJECT_ID"]
    codes = faces.add(rows)
    starts = [0, *(row for row in range(1, len(ids)) if ids[row] != ids[row - 1])]
    seen: dict[str, int] = {}
    members = []
    for start, stop in pairwise([*starts, len(ids)]):
        template = ids[start]
        if template in seen:
            raise rows.csv.error(
                start,
                f"template {template} goes on here, after others, from line {rows.csv.line(seen[template])} on;"
                " the rows of a template stand together",
                "restore the order of the lines",
            )
        seen[template] = start
        for row in range(start + 1, stop):
            if subjects[row] != subjects[start]:
                raise rows.csv.error(
                    row,
                    f"template {template} is of subject {subjects[row]} here and of {subjects[start]} in line"
                    f" {rows.csv.line(start)}",
                )
        block = codes[start:stop]
        if len(set(block)) != len(block):
            again = next(row for row in range(start, stop) if codes[row] in codes[start:row])
            raise rows.csv.error(
                again, f"template {template} has face {rows.names[again]} twice", "remove the repeated line"
            )
        members.append(block)
    return Group(rows, tuple(seen), tuple(subjects[start] for start in starts), tuple(starts), tuple(members))


def template_list(groups: Iterable[Group], media: npt.NDArray[np.int64]) -> TemplateList:
    """The templates of some tables, one after the other; ``media`` as :meth:`Faces.media`.

    Raises:
        ProtocolError: two tables with the same template.
    """
    groups = tuple(groups)
    seen: dict[str, str] = {}
    for part in groups:
        for template, start in zip(part.ids, part.starts, strict=True):
            if template in seen:
                raise part.rows.csv.error(start, f"template {template} is in {seen[template]} too")
            seen[template] = part.rows.place(start)
    return TemplateList.of(
        [template for part in groups for template in part.ids],
        [subject for part in groups for subject in part.subjects],
        [block for part in groups for block in part.members],
        media,
    )


def check_apart(one: Group, other: Group) -> None:
    """Raise ProtocolError if a subject of ``one`` (training) is in ``other`` (test) too."""
    where = dict(zip(reversed(one.subjects), reversed(one.starts), strict=True))
    for subject, start in zip(other.subjects, other.starts, strict=True):
        if subject in where:
            raise other.rows.csv.error(
                start,
                f"subject {subject} is on the training side too ({one.rows.place(where[subject])}), so that the test"
                " is none",
                "fetch both official files of one split anew",
            )


def notes_of(faces: FaceList) -> tuple[str, ...]:
    """What a reader of results must know of the faces."""
    boxless = 0 if faces.boxes is None else int(np.isnan(faces.boxes[:, 0]).sum())
    return (f"{boxless} of {len(faces)} faces have no box in the protocol.",) if boxless else ()
