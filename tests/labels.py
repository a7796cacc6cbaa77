"""Hand labels of the test clips, and how detections and tracks are scored against them.

The rules are written down for people in ``tests/data/labels/README.md``. Boxes are ``x0, y0, x1, y1`` in pixels; the
size of a box is ``sqrt(width * height)``. Everything but :func:`load` is a pure function.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

FOLDER = Path(__file__).resolve().parent / "data" / "labels"
STEP = 10
"""Every tenth frame is labelled."""
MIN_SIZE = 40.0
"""A face counts from this size on."""
REASONS = ("small", "turned", "occluded", "blurred")

Box = Sequence[float]


@dataclass(frozen=True, slots=True)
class LabelledFace:
    """One face in one labelled frame; an ignored one is neither a miss nor makes a detection false."""

    box: tuple[int, int, int, int]
    person: str
    ignore: bool = False
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """All labels of one clip; ``frames`` holds every tenth frame, ``cuts`` the first frame of each new shot."""

    clip: str
    sha256: str
    frames_total: int
    cuts: tuple[int, ...]
    convention: str
    frames: Mapping[int, tuple[LabelledFace, ...]]

    @property
    def counted(self) -> int:
        """Number of faces that are not ignored."""
        return sum(not face.ignore for faces in self.frames.values() for face in faces)

    def shot(self, frame: int) -> int:
        """Number of the shot, from 0, that ``frame`` belongs to."""
        return sum(cut <= frame for cut in self.cuts)


@dataclass(frozen=True, slots=True)
class Score:
    """Counts over the labelled frames: counted faces ``found`` and ``missed``, detections ``false`` and ``dropped``."""

    found: int
    missed: int
    false: int
    dropped: int

    @property
    def recall(self) -> float:
        """``found / (found + missed)``; NaN without a counted face."""
        return self.found / (self.found + self.missed) if self.found + self.missed else math.nan

    @property
    def precision(self) -> float:
        """``found / (found + false)``; NaN without a detection that counts."""
        return self.found / (self.found + self.false) if self.found + self.false else math.nan


@dataclass(frozen=True, slots=True)
class Identity:
    """How tracks agree with who is who.

    Attributes:
        switches: over all tracks, the number of different persons in a track beyond the first.
        fragments: over all persons and shots, the number of tracks of a person beyond the first.
        matched: labelled faces that a track covers; no switch means little where this is low.
        switched: the tracks with several persons, and these persons in order of time.
    """

    switches: int
    fragments: int
    matched: int
    switched: Mapping[Any, tuple[str, ...]]


def load(name: str) -> Labels:
    """Labels of the clip ``name`` (without suffix), validated.

    Raises:
        ValueError: the file breaks a rule of the format; the message says where.
    """
    return parse(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def parse(table: Mapping[str, Any]) -> Labels:
    """Labels from the plain values of the JSON file.

    Raises:
        ValueError: the table breaks a rule of the format; the message says where.
    """
    keys = {"clip", "sha256", "frames_total", "cuts", "convention", "frames"}
    _require(set(table) == keys, f"the keys must be {sorted(keys)}, but are {sorted(table)}")
    total, cuts = int(table["frames_total"]), tuple(int(cut) for cut in table["cuts"])
    _require(len(str(table["sha256"])) == 64, "sha256 must have 64 digits")
    _require(list(cuts) == sorted(set(cuts)), f"cuts must ascend, but are {cuts}")
    _require(all(0 < cut < total for cut in cuts), f"cuts must lie within 1..{total - 1}, but are {cuts}")
    frames = {
        int(key): tuple(_face(entry, f"frame {key}") for entry in faces) for key, faces in table["frames"].items()
    }
    wanted = list(range(0, total, STEP))
    _require(sorted(frames) == wanted, f"every {STEP}th frame must be there once, but there are {sorted(frames)}")
    for index, faces in frames.items():
        people = [face.person for face in faces]
        _require(len(people) == len(set(people)), f"frame {index}: one person has two faces in {people}")
    return Labels(table["clip"], table["sha256"], total, cuts, table["convention"], frames)


def _face(entry: Mapping[str, Any], where: str) -> LabelledFace:
    face = LabelledFace(tuple(entry["box"]), entry["person"], entry["ignore"], entry.get("why"))
    where = f"{where}, {face.person!r}"
    _require(set(entry) <= {"box", "person", "ignore", "why"}, f"{where}: unknown keys in {sorted(entry)}")
    _require(isinstance(face.person, str) and face.person != "", f"{where}: person must be a name")
    _require(len(face.box) == 4 and all(type(v) is int for v in face.box), f"{where}: box must be four integers")
    x0, y0, x1, y1 = face.box
    _require(0 <= x0 < x1 and 0 <= y0 < y1, f"{where}: box must be x0 < x1, y0 < y1 from 0 on, but is {face.box}")
    _require(isinstance(face.ignore, bool), f"{where}: ignore must be true or false")
    _require((face.why in REASONS) if face.ignore else face.why is None, f"{where}: why must fit ignore")
    _require(face.ignore or size(face.box) >= MIN_SIZE, f"{where}: a face below {MIN_SIZE:g} pixels must be ignored")
    _require(face.why != "small" or size(face.box) < MIN_SIZE, f"{where}: this face is not small")
    return face


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def size(box: Box) -> float:
    """``sqrt(width * height)`` of a box."""
    return math.sqrt(max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0))


def _iou(first: Sequence[Box], second: Sequence[Box]) -> npt.NDArray[np.float64]:
    """Intersection over union of every pair, (len(first), len(second)) in 0..1."""
    a = np.asarray(first, dtype=np.float64).reshape(-1, 1, 4)
    b = np.asarray(second, dtype=np.float64).reshape(1, -1, 4)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = np.clip(sides, 0.0, None).prod(axis=-1)
    union = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1) - common
    return np.asarray(common / union, dtype=np.float64)


def match(labelled: Sequence[Box], boxes: Sequence[Box], iou: float = 0.5) -> list[tuple[int, int]]:
    """Pairs (label, box) that overlap by ``iou`` or more, one to one: as many as possible, then as tight as possible.

    Solved exactly by SciPy's ``linear_sum_assignment``; sorted by label.
    """
    if not len(labelled) or not len(boxes):
        return []
    overlap = _iou(labelled, boxes)
    # A pair more must outweigh any gain in overlap, which is at most 1 a pair.
    value = np.where(overlap >= iou, overlap + min(overlap.shape) + 1, 0.0)
    rows, columns = linear_sum_assignment(value, maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if overlap[r, c] >= iou]


def score(labels: Labels, detections: Mapping[int, Sequence[Box]], iou: float = 0.5) -> Score:
    """Recall, precision and counts of ``detections`` (frame index -> boxes) on the labelled frames.

    Counted faces take their detections first. Of the rest, a detection is dropped when its centre lies in the box of an
    ignored face or when its size is below 40 pixels; every other one is false. (Half of a box inside another, or an IoU
    of one half, puts its centre inside, so neither needs a test of its own.) A labelled frame without an entry has no
    detections; entries of other frames are not looked at.
    """
    found = missed = false = dropped = 0
    for index, faces in labels.frames.items():
        counted = [face.box for face in faces if not face.ignore]
        ignored = [face.box for face in faces if face.ignore]
        boxes = list(detections.get(index, ()))
        taken = {column for _, column in match(counted, boxes, iou)}
        found += len(taken)
        missed += len(counted) - len(taken)
        for column, box in enumerate(boxes):
            if column not in taken:
                drop = size(box) < MIN_SIZE or any(_centred_in(box, label) for label in ignored)
                dropped += drop
                false += not drop
    return Score(found, missed, false, dropped)


def _centred_in(box: Box, label: Box) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return label[0] <= x <= label[2] and label[1] <= y <= label[3]


def id_switches(
    labels: Labels, tracks: Mapping[Any, Mapping[int, Box]], iou: float = 0.5, *, ignored: bool = False
) -> Identity:
    """Compare ``tracks`` (track id -> frame index -> box) with the persons, on the labelled frames.

    In each frame the boxes of all tracks are matched with the counted faces one to one; with ``ignored`` also with the
    ignored ones, whose boxes are less sure. Persons seen before and after a cut need a track in each shot, so
    fragments are counted per shot.
    """
    people: dict[Any, list[str]] = {}
    covering: dict[tuple[str, int], set[Any]] = {}
    matched = 0
    for index in sorted(labels.frames):
        faces = [face for face in labels.frames[index] if ignored or not face.ignore]
        present = [track for track in tracks if index in tracks[track]]
        pairs = match([face.box for face in faces], [tracks[track][index] for track in present], iou)
        for row, column in pairs:
            person, track = faces[row].person, present[column]
            people.setdefault(track, []).append(person)
            covering.setdefault((person, labels.shot(index)), set()).add(track)
        matched += len(pairs)
    switched = {track: _distinct(seen) for track, seen in people.items() if len(set(seen)) > 1}
    return Identity(
        switches=sum(len(persons) - 1 for persons in switched.values()),
        fragments=sum(len(ids) - 1 for ids in covering.values()),
        matched=matched,
        switched=switched,
    )


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
