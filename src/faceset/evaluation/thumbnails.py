"""Small pictures of the faces of a report's best and worst pairs, where the pictures are at hand."""

from __future__ import annotations

import base64
import io
import logging
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from faceset import media
from faceset.errors import FacesetError
from faceset.evaluation.results import Example, Report
from faceset.evaluation.trials import Experiment
from faceset.feature_table import FeatureTable
from faceset.types import Image

log = logging.getLogger("faceset")

SIZE = 96
"""Pixels of the longer side."""
_MARGIN = 0.25  # of the box, on each side: detectors cut off chin and hair
_QUALITY = 80
_FRAMES = 200  # of a video that are decoded to reach a face


@dataclass(frozen=True, slots=True)
class Place:
    """Where a face is: a picture relative to the root, the number of the frame, and the box (xyxy pixels) if known."""

    file: str
    frame: int = 0
    box: npt.NDArray[np.float64] | None = None


def places(names: Iterable[str], experiments: Sequence[Experiment], table: FeatureTable | None) -> dict[str, Place]:
    """Where the faces of some entries are, by name.

    The file is the protocol's; box and frame are those of the feature table (of the face found with the highest
    score, not of its degraded copies), else the box of the protocol.
    """
    lists = [{name: i for i, name in enumerate(e.faces.names)} for e in experiments]
    found: dict[str, Place] = {}
    for name in sorted(set(names)):
        file, box, frame = name, None, 0
        for experiment, numbers in zip(experiments, lists, strict=True):
            if name in numbers:
                faces, number = experiment.faces, numbers[name]
                file = faces.file(number)
                box = None if faces.boxes is None else faces.boxes[number]
                break
        row = None if table is None else _row(table, name)
        if table is not None and row is not None and _usable(table.box[row]):
            frame, box = int(table.frame[row]), table.box[row].astype(np.float64)
        found[name] = Place(file, frame, box)
    return found


def thumbnails(wanted: Mapping[str, Place], root: Path) -> dict[str, str]:
    """JPEG pictures as ``data:`` addresses, by name; a name whose picture cannot be read is left out.

    Args:
        wanted: where each face is.
        root: the folder that their files are relative to.
    """
    found = {}
    for name, place in wanted.items():
        try:
            image = _picture(root, place)
        except (FacesetError, OSError) as error:
            log.info("no thumbnail of %s: %s", name, error)
            continue
        if image is not None:
            found[name] = _address(_cut(image, place.box))
    return found


def names_of(report: Report) -> list[str]:
    """Every entry that an example of the report names, once."""
    examples: list[Example] = [e for o in report.outcomes for e in o.examples]
    return list(dict.fromkeys(name for e in examples for name in (*e.first_media, *e.second_media)))


def _row(table: FeatureTable, medium: str) -> int | None:
    at = bisect_left(table.medium.names, medium)
    if at == len(table.medium.names) or table.medium.names[at] != medium:
        return None
    rows = np.flatnonzero(table.medium.codes == at)
    clean = rows[~table.degraded[rows]]
    rows = clean if clean.size else rows
    return int(rows[np.argmax(table.score[rows])]) if rows.size else None


def _usable(box: npt.NDArray[np.floating]) -> bool:
    return bool(np.isfinite(box).all() and box[2] - box[0] >= 1 and box[3] - box[1] >= 1)


def _picture(root: Path, place: Place) -> Image | None:
    """The frame that shows the face; None when there is none, or reaching it would take long."""
    relative = PurePosixPath(place.file)
    if relative.is_absolute() or ".." in relative.parts:
        return None  # a list of faces names no picture outside the folder
    path, number = root / relative, place.frame
    if path.is_dir():  # frames of one video, numbered by the order of their names
        files = sorted(f for f in path.iterdir() if f.is_file() and not f.name.startswith("."))
        if number >= len(files):
            return None
        path, number = files[number], 0
    if not path.is_file() or number >= _FRAMES:
        return None
    for frame in media.open_media(path).frames():
        if frame.index >= number:
            return frame.image
    return None


def _cut(image: Image, box: npt.NDArray[np.float64] | None) -> Image:
    """The face with a margin; the whole picture where no box is known or it lies outside."""
    if box is None or not _usable(box):
        return image
    height, width = image.shape[:2]
    margin = _MARGIN * max(box[2] - box[0], box[3] - box[1])
    low = np.clip(np.floor(box[:2] - margin), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(box[2:] + margin), 0, (width, height)).astype(int)
    return image[low[1] : high[1], low[0] : high[0]] if (high - low >= 2).all() else image


def _address(image: Image) -> str:
    from PIL import Image as PillowImage

    picture = PillowImage.fromarray(np.ascontiguousarray(image))
    picture.thumbnail((SIZE, SIZE), PillowImage.Resampling.LANCZOS)
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(written.getvalue()).decode("ascii")
