"""Reads the meta files of IJB-B and IJB-C that InsightFace distributes.

``<edition>_face_tid_mid.txt`` has one line a face, ``1.jpg 1 69544``: picture, template, medium. The same order of
lines has ``<edition>_name_5pts_score.txt``, ``1.jpg x1 y1 ... x5 y5 score``; it defines the rows of a feature matrix.
The lists of 1:N are NIST's: CSV with a header, one row a face, of which ``TEMPLATE_ID`` and ``SUBJECT_ID`` count.

The files lie in ``root/meta`` or in ``root``, the pictures in ``root/loose_crop``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceset.evaluation.protocols.lines import TextFile, find_file, first_repeat, read_text
from faceset.evaluation.trials import FaceList, Ints, ProtocolFile

PICTURES = "loose_crop"
"""Folder of the pictures."""

_UNUSUAL = re.compile(r" (?!-?(?:0|[1-9][0-9]*)\.[0-9]+(?![^ \n]))")
"""A space before something that is no plain decimal fraction; such lines are looked at one by one."""

_BLOCK = 20_000
"""Lines split at a time, so that the texts of a large file are not all in memory at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """The faces and which template each is part of; L lines, F faces, T templates.

    Attributes:
        file: ``face_tid_mid``.
        faces: by first line.
        ids: (T,) template ids, ascending.
        entry, template, media: (L,) face, number of the template and medium of each line.
        files: what was read.
    """

    file: TextFile
    faces: FaceList
    ids: Ints
    entry: Ints
    template: Ints
    media: Ints
    files: tuple[ProtocolFile, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PeopleList:
    """One list of 1:N.

    Attributes:
        file: it.
        templates: (K,) template ids, each once, by first line.
        subjects: (K,) subject ids.
        lines: (K,) line number at which each template begins.
        rows: (K,) rows of each.
    """

    file: TextFile
    templates: Ints
    subjects: Ints
    lines: Ints
    rows: Ints


def find_meta(root: Path, name: str) -> str | None:
    """The place of a file below ``root``, ``meta/<name>`` or ``<name>``; None when it is not there."""
    return next((place for place in (f"meta/{name}", name) if (root / place).is_file()), None)


def need_meta(root: Path, name: str) -> str:
    """As :func:`find_meta`, but raises ProtocolError when it is not there."""
    return find_file(root, f"meta/{name}", name)


def read_faces(root: Path, edition: str) -> Faces:
    """The faces of all templates, with points and scores where that file is there.

    A picture may be part of several templates; it is one face then, and all lines must say the same of it.

    Raises:
        ProtocolError: a file is missing or damaged, a picture is twice in a template, lines disagree about it, or the
            two files differ in their pictures.
    """
    file = read_text(root, need_meta(root, f"{edition}_face_tid_mid.txt"))
    rows = [row for block in _blocks(file, 3) for row in block]
    names = [row[0] for row in rows]
    for line, name in enumerate(names, 1):
        if not name or name[0] == "/" or ".." in name or "\\" in name:
            raise file.error(line, f"{name!r} is no name of a picture")
    templates = _integers(file, [row[1] for row in rows], "the template id")
    media = _integers(file, [row[2] for row in rows], "the medium id")
    numbers = {name: at for at, name in enumerate(dict.fromkeys(names))}
    entry = np.fromiter((numbers[name] for name in names), dtype=np.int64, count=len(names))
    first_line = np.unique(entry, return_index=True)[1]
    if (wrong := np.flatnonzero(media != media[first_line[entry]])).size:
        at = int(wrong[0])
        other = int(first_line[entry[at]])
        raise file.error(at + 1, f"{names[at]} is of medium {media[at]}, but in line {other + 1} of {media[other]}")
    ids, template = np.unique(templates, return_inverse=True)
    if len(numbers) < len(names) and (repeat := first_repeat(template * len(numbers) + entry)):
        raise file.error(
            repeat[1] + 1, f"{names[repeat[1]]} is in template {templates[repeat[1]]} since line {repeat[0] + 1}"
        )
    landmarks, scores = None, None
    files: tuple[ProtocolFile, ...] = (file.record(),)
    place = find_meta(root, f"{edition}_name_5pts_score.txt")
    if place is not None:
        points = read_text(root, place)
        values = _read_points(points, file, names)
        if (wrong := np.flatnonzero(np.any(values != values[first_line[entry]], axis=1))).size:
            at = int(wrong[0])
            other = int(first_line[entry[at]])
            raise points.error(at + 1, f"points or score of {names[at]} differ from those in line {other + 1}")
        values = values[first_line]
        landmarks, scores = values[:, :10].reshape(-1, 5, 2), values[:, 10]
        files += (points.record(),)
    pictures = tuple(f"{PICTURES}/{name}" for name in numbers)
    faces = FaceList(tuple(numbers), files=pictures, landmarks=landmarks, scores=scores)
    return Faces(file, faces, ids, entry, template.astype(np.int64), media, files)


def read_people(root: Path, name: str) -> PeopleList:
    """A list of 1:N.

    Raises:
        ProtocolError: it is missing or damaged, or gives a template two subjects.
    """
    file = read_text(root, need_meta(root, name))
    header = file.lines[0].split(",")
    for column in ("TEMPLATE_ID", "SUBJECT_ID"):
        if header.count(column) != 1:
            raise file.error(
                1, f"the header has column {column} {header.count(column)} times where it must have it once"
            )
    if len(file.lines) == 1:
        raise file.error(1, "a header and no rows")
    at = header.index("TEMPLATE_ID"), header.index("SUBJECT_ID")
    pairs = []
    # The real lists have up to 34 columns of half a million rows: only the two that count are kept.
    for number, line in enumerate(file.lines[1:], 2):
        fields = line.split(",")
        if len(fields) != len(header) or '"' in line:
            raise file.error(number, f"{len(fields)} fields where the header has {len(header)}, or a quote")
        pairs.append((fields[at[0]], fields[at[1]]))
    templates = _integers(file, [pair[0] for pair in pairs], "TEMPLATE_ID", first=2)
    subjects = _integers(file, [pair[1] for pair in pairs], "SUBJECT_ID", first=2)
    _, start, which, rows = np.unique(templates, return_index=True, return_inverse=True, return_counts=True)
    if (wrong := np.flatnonzero(subjects != subjects[start[which]])).size:
        row = int(wrong[0])
        raise file.error(
            row + 2,
            f"template {templates[row]} is of subject {subjects[row]}, "
            f"but in line {start[which[row]] + 2} of {subjects[start[which[row]]]}",
        )
    order = np.argsort(start)
    start = start[order]
    return PeopleList(file, templates[start], subjects[start], start + 2, rows[order].astype(np.int64))


def _blocks(file: TextFile, fields: int) -> Iterator[list[list[str]]]:
    """The lines in blocks, each split at single spaces into so many fields; the error names the line."""
    for start in range(0, len(file.lines), _BLOCK):
        block = [line.split(" ") for line in file.lines[start : start + _BLOCK]]
        if any(len(row) != fields for row in block):
            for _ in file.rows(" ", fields, first=start + 1):  # raises at the line
                pass
        yield block


def _integers(file: TextFile, texts: Sequence[str], what: str, first: int = 1) -> Ints:
    """(L,) whole numbers in plain form, text i from line ``first + i``; checked as a whole, then one by one."""
    try:
        values = list(map(int, texts))
        if list(map(str, values)) == list(texts) and min(values) >= 0 and max(values) < 2**31:
            return np.array(values, dtype=np.int64)
    except ValueError:
        pass
    return np.array([file.integer(line, text, what) for line, text in enumerate(texts, first)], dtype=np.int64)


def _read_points(points: TextFile, faces: TextFile, names: Sequence[str]) -> npt.NDArray[np.float64]:
    """(L, 11) ten coordinates and the score of each line; pictures as in the other file, line by line."""
    for line, (text, name) in enumerate(zip(points.lines, names, strict=False), 1):
        if not text.startswith(name + " "):
            raise points.error(line, f"{text.split(' ')[0]!r} where line {line} of {faces.name} has {name!r}")
    if len(points.lines) != len(names):
        raise points.error(
            min(len(points.lines), len(names) + 1),
            f"the file has {len(points.lines)} lines, but {faces.name} has {len(names)}",
        )
    values = np.empty((len(names), 11))
    for at in range(0, len(names), _BLOCK):
        values[at : at + _BLOCK] = _numbers(points, at, points.lines[at : at + _BLOCK])
    if (wrong := np.flatnonzero((values[:, 10] < 0) | (values[:, 10] > 1))).size:
        raise points.error(int(wrong[0]) + 1, f"the score is {values[wrong[0], 10]:g}, outside 0 to 1")
    return values


def _numbers(file: TextFile, at: int, lines: Sequence[str]) -> npt.NDArray[np.float64]:
    """(L, 11) the numbers after the name of each line; ``at`` lines come before these."""
    if all(line.count(" ") == 11 for line in lines) and not _UNUSUAL.search("\n".join(lines)):
        fields = " ".join(lines).split(" ")
        del fields[::12]
        return np.array(list(map(float, fields))).reshape(-1, 11)
    rows = [line.split(" ") for line in lines]
    for line, row in enumerate(rows, at + 1):
        if len(row) != 12:
            raise file.error(line, f"{len(row)} fields where 12 fields separated by ' ' are due")
    return file.decimals([row[1:] for row in rows], at + 1, "a coordinate or the score")
