"""From a folder of people to a feature table: the only step of training and evaluation that looks at pictures.

Layout: ``root/<person>/<medium>``, where a medium is a picture, a video, or a folder of frames of one video. Every
picture or frame is taken to show the person its folder is named after; where several faces are found the most central
large one is taken (:func:`central_face`).

Each medium becomes one part of the table, written whole, so a run that was killed goes on where it stopped and ends
with the same table: what is random is seeded by (seed, medium, frame), not by the order of the work.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from faceset import media
from faceset.alignment import align
from faceset.degradations import KINDS, degrade, random_degradation
from faceset.embedding import Embedder
from faceset.errors import InputError, MediaError
from faceset.feature_table import FeatureRow, FeatureTable
from faceset.pipeline import Pipeline
from faceset.types import Face, Frame, Image

log = logging.getLogger("faceset")

CHUNK = 48
"""Pictures that go through the models together."""
MARGIN = 0.25
"""How far beyond the crop a picture is degraded, as a share of the crop's size, so that blur has something to draw on."""


@dataclass(frozen=True)
class ExtractConfig:
    """How features are made. It is kept in the table; a table is never continued with other settings.

    Attributes:
        degrade: degraded copies made of every face.
        kinds: kinds of degradation to draw from; default all.
        low, high: bounds of their strength, 0..1.
        seed: of everything that is drawn.
        fps: frames a second taken from a video.
    """

    degrade: int = 0
    kinds: tuple[str, ...] = tuple(KINDS)
    low: float = 0.0
    high: float = 1.0
    seed: int = 0
    fps: float = 5.0

    def __post_init__(self) -> None:
        if self.degrade < 0 or self.seed < 0:
            raise InputError(f"degrade and seed must be >= 0, but got {self.degrade} and {self.seed}")
        random_degradation(np.random.default_rng(0), self.kinds, low=self.low, high=self.high)  # checks the three

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the table's metadata."""
        return {
            "degrade": self.degrade,
            "kinds": list(self.kinds),
            "low": self.low,
            "high": self.high,
            "seed": self.seed,
            "fps": self.fps,
        }


@dataclass(frozen=True)
class PersonMedium:
    """One medium of one person: the files of its frames, or one file."""

    person: str
    name: str
    files: tuple[Path, ...]

    @property
    def key(self) -> str:
        """Name of the medium in the table, unique over all people."""
        return f"{self.person}/{self.name}"


@dataclass
class ExtractReport:
    """What an extraction found.

    Attributes:
        media: media in the folder; done_before: of these, finished by an earlier run.
        faces: clean faces in the media of this run.
        without_face: names of pictures or frames without a face.
        failed: a sentence for every file that could not be read.
    """

    media: int = 0
    done_before: int = 0
    faces: int = 0
    without_face: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "media": self.media,
            "done_before": self.done_before,
            "faces": self.faces,
            "without_face": self.without_face,
            "failed": self.failed,
        }


def find_people(root: Path) -> list[PersonMedium]:
    """Every medium of every person below ``root``, by name.

    Raises:
        MediaError: there is no such folder, or no person folder in it.
    """
    if not root.is_dir():
        raise MediaError(f"{root} is no folder; give a folder laid out as <person>/<medium>")
    found = []
    for person in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for entry in sorted(e for e in person.iterdir() if not e.name.startswith(".")):
            files = (entry,) if entry.is_file() else tuple(sorted(f for f in entry.rglob("*") if f.is_file()))
            if files:
                found.append(PersonMedium(person.name, entry.name, files))
    if not found:
        raise MediaError(f"{root} holds no person folders; lay it out as {root.name}/<person>/<medium>")
    return found


def extract(
    root: Path,
    output: Path,
    pipeline: Pipeline,
    config: ExtractConfig | None = None,
    *,
    progress: Callable[[int, int, int], None] | None = None,
) -> tuple[FeatureTable, ExtractReport]:
    """Write the feature table of a folder of people; call it again to go on after an interruption.

    Parts are gathered in ``<output>.parts`` and joined to ``output`` at the end.

    Args:
        root: ``root/<person>/<medium>``.
        output: the table, ``*.parquet``.
        pipeline: detector, landmarker, embedder.
        config: see :class:`ExtractConfig`.
        progress: called with media done, media in all, and faces found.

    Raises:
        MediaError: the folder holds no people.
        FeatureTableError: parts of other settings are there, or the disk refuses.
    """
    from faceset.features import TableWriter, merge

    config = config or ExtractConfig()
    found = find_people(root)
    embedder = pipeline.embedder
    parts = output.with_name(output.name + ".parts")
    settings = {"detector": pipeline.detector.name, **config.to_dict()}
    writer = TableWriter(
        parts, embedder.model_id, width=embedder.width, scheme=embedder.geometry.scheme, settings=settings
    )
    waiting = [medium for medium in found if not writer.has(medium.key)]
    report = ExtractReport(len(found), len(found) - len(waiting))
    done = report.done_before
    for chunk in _chunks(waiting):
        for medium, rows in _features(chunk, pipeline, config, report):
            writer.add(medium.key, rows)
            done += 1
        if progress is not None:
            progress(done, len(found), report.faces)
    table = merge(parts, output)
    shutil.rmtree(parts)
    return table, report


def central_face(faces: Sequence[Face], image: Image) -> Face | None:
    """The face a picture is of: the greatest (area - 2 x squared distance of its centre from the picture's centre).

    That is the rule by which LFW has been aligned since facenet (``align_dataset_mtcnn``).
    """
    height, width = image.shape[:2]

    def rank(face: Face) -> float:
        x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
        return float(face.area - 2.0 * ((x - width / 2) ** 2 + (y - height / 2) ** 2))

    return max(faces, key=rank, default=None)


def degraded_crops(
    image: Image, face: Face, embedder: Embedder, config: ExtractConfig, rng: np.random.Generator
) -> Iterator[tuple[str, float, Image]]:
    """``config.degrade`` degraded copies of one face: kind, strength, crop.

    The picture around the face is degraded, then cut with the landmarks of the clean one, so that quality varies and
    alignment does not.
    """
    x0, y0, x1, y1 = _region(image, face)
    region = np.ascontiguousarray(image[y0:y1, x0:x1])
    points = None if face.landmarks is None else face.landmarks - np.array([x0, y0], np.float32)
    shifted = face.replace(landmarks=points)
    for _ in range(config.degrade):
        kind, strength = random_degradation(rng, config.kinds, low=config.low, high=config.high)
        worse = degrade(region, kind, strength, rng)
        yield kind, strength, _cut(worse, shifted, embedder)


def _cut(image: Image, face: Face, embedder: Embedder) -> Image:
    if face.landmarks is None or face.scheme is None:
        raise InputError("a face needs landmarks before it is cut out")
    return align(image, face.landmarks, embedder.geometry, scheme=face.scheme)


def _region(image: Image, face: Face) -> tuple[int, int, int, int]:
    """The part of the picture that the crop is cut from, with a margin."""
    size = max(face.width, face.height) * (1.0 + 2.0 * MARGIN)
    x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
    height, width = image.shape[:2]
    x0, y0 = max(0, int(x - size)), max(0, int(y - size))
    return x0, y0, min(width, int(x + size) + 1), min(height, int(y + size) + 1)


def _chunks(waiting: Sequence[PersonMedium]) -> Iterator[list[PersonMedium]]:
    """Media with about :data:`CHUNK` files together."""
    chunk: list[PersonMedium] = []
    for medium in waiting:
        chunk.append(medium)
        if sum(len(m.files) for m in chunk) >= CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _frames(medium: PersonMedium, config: ExtractConfig, report: ExtractReport) -> Iterator[Frame]:
    """The frames of a medium; a folder of frames counts them by its files."""
    for number, path in enumerate(medium.files):
        try:
            one = media.open_media(path, name=f"{medium.key}/{path.name}" if len(medium.files) > 1 else medium.key)
            for frame in one.frames(config.fps):
                yield frame if len(medium.files) == 1 else Frame(frame.image, number, float(number), frame.media)
        except MediaError as error:
            log.warning("%s", error)
            report.failed.append(str(error))


def _features(
    chunk: Sequence[PersonMedium], pipeline: Pipeline, config: ExtractConfig, report: ExtractReport
) -> Iterator[tuple[PersonMedium, list[FeatureRow]]]:
    frames = [(medium, frame) for medium in chunk for frame in _frames(medium, config, report)]
    waiting: list[tuple[PersonMedium, Face, str, float]] = []
    crops: list[Image] = []
    for batch in _same_size(frames):
        found = pipeline.detector.detect([frame.image for _, frame in batch])
        for (medium, frame), faces in zip(batch, found, strict=True):
            chosen = central_face(faces, frame.image)
            if chosen is None:
                report.without_face.append(frame.media)
                continue
            if pipeline.landmarker is not None:
                (chosen,) = pipeline.landmarker.landmark(frame.image, [chosen])
            face = chosen.replace(frame=frame.index, time=frame.time, media=frame.media)
            report.faces += 1
            waiting.append((medium, face, "clean", 0.0))
            crops.append(_cut(frame.image, face, pipeline.embedder))
            rng = _generator(config.seed, medium.key, frame.index)
            for kind, strength, crop in degraded_crops(frame.image, face, pipeline.embedder, config, rng):
                waiting.append((medium, face, kind, strength))
                crops.append(crop)
    features = pipeline.embedder.embed(crops)
    rows: dict[str, list[FeatureRow]] = {medium.key: [] for medium in chunk}
    for (medium, face, kind, strength), feature in zip(waiting, features, strict=True):
        rows[medium.key].append(
            FeatureRow(
                subject=medium.person,
                medium=medium.key,
                vector=feature,
                box=face.box,
                score=face.score,
                landmarks=face.landmarks,
                frame=face.frame,
                time=face.time,
                kind=kind,
                strength=strength,
            )
        )
    for medium in chunk:
        yield medium, sorted(rows[medium.key], key=lambda row: row.frame)


def _same_size(frames: Sequence[tuple[PersonMedium, Frame]]) -> Iterator[list[tuple[PersonMedium, Frame]]]:
    """The frames gathered by the size of their pictures, so that a detector can take them together."""
    ordered = sorted(frames, key=lambda item: item[1].image.shape)
    for _, group in itertools.groupby(ordered, key=lambda item: item[1].image.shape):
        while batch := list(itertools.islice(group, 16)):
            yield batch


def _generator(seed: int, medium: str, frame: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{medium}\0{frame}".encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
