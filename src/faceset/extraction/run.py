"""Extraction itself: media through the models, parts, and the table at the end."""

from __future__ import annotations

import itertools
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from faceset import media
from faceset.alignment import align_face
from faceset.errors import EmbedderMismatchError, FeatureTableError, MediaError
from faceset.extraction import found as notes
from faceset.extraction.config import ExtractConfig
from faceset.extraction.crops import central_face, degraded_crops, generator
from faceset.extraction.found import ExtractReport, Note
from faceset.extraction.joining import join
from faceset.extraction.layout import PersonMedium, find_people
from faceset.feature_table import FeatureRow, FeatureTable
from faceset.pipeline import PIXELS_PER_BATCH, Pipeline
from faceset.types import Face, Frame, Image

log = logging.getLogger("faceset")

CHUNK = 48
"""Pictures that go through the models together, about."""

_Step = tuple[PersonMedium, Frame | None]
"""A frame of a medium, or None where the medium ends."""


def extract(
    root: Path,
    output: Path,
    pipeline: Pipeline,
    config: ExtractConfig | None = None,
    *,
    progress: Callable[[int, int, int], None] | None = None,
) -> tuple[FeatureTable, ExtractReport]:
    """Write the feature table of a folder of people; call it again to go on after an interruption.

    Parts are gathered in ``<output>.parts`` and joined to ``output`` at the end. A finished table is only read; media
    that were not there before are added to it, and those no longer there stay. Media are told apart by
    ``<person>/<medium>``.

    Args:
        root: ``root/<person>/<medium>``.
        output: the table, ``*.parquet``.
        pipeline: detector, landmarker, embedder.
        config: see :class:`ExtractConfig`.
        progress: called with media done, media in all, and faces found in this run.

    Raises:
        MediaError: the folder holds no people.
        EmbedderMismatchError: the table or parts that are there are of another embedder.
        FeatureTableError: they are of other settings or damaged, or the disk refuses.
    """
    from faceset.features import TableWriter, read, write

    config = config or ExtractConfig()
    people = find_people(root)
    settings = {"detector": pipeline.detector.name, **config.to_dict()}
    parts = output.with_name(output.name + ".parts")
    if output.is_dir():
        raise FeatureTableError(f"{output} is a folder; name a file, such as {output / 'features.parquet'}")
    old = _finished(output, pipeline, settings) if output.exists() else None
    done = set() if old is None else {*old.medium.names, *_empty(notes.from_settings(old.settings))}
    if old is not None and done.issuperset(medium.key for medium in people):
        shutil.rmtree(parts, ignore_errors=True)  # a kill may have come between the table and the end of its parts
        return old, _report(old, done_before=len(people))
    embedder = pipeline.embedder
    try:
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FeatureTableError(f"{parts} cannot be made ({error}); choose a place with room and rights") from error
    writer = TableWriter(
        parts, embedder.model_id, width=embedder.width, scheme=embedder.geometry.scheme, settings=settings
    )
    waiting = [m for m in people if m.key not in done and not writer.has(m.key)]
    _fill(writer, waiting, len(people), pipeline, config, progress)
    table, seen = read(parts), notes.read(parts)
    if old is not None:
        table, seen = join(old, table), {**seen, **notes.from_settings(old.settings)}
    table = replace(table, settings={**settings, notes.KEY: notes.to_settings(seen)})
    write(output, table)
    shutil.rmtree(parts, ignore_errors=True)
    return table, _report(table, done_before=len(people) - len(waiting), added=len(waiting))


def _fill(
    writer: Any,
    waiting: Sequence[PersonMedium],
    total: int,
    pipeline: Pipeline,
    config: ExtractConfig,
    progress: Callable[[int, int, int], None] | None,
) -> None:
    """Make the parts of the media that wait; each is written as soon as its last frame is through."""
    pending: dict[str, list[FeatureRow]] = {medium.key: [] for medium in waiting}
    failures: dict[str, list[str]] = {medium.key: [] for medium in waiting}
    blank: dict[str, dict[str, bool]] = {medium.key: {} for medium in waiting}  # file -> no face so far
    done, faces = total - len(waiting), 0
    for batch in _batches(_steps(waiting, config, failures)):
        frames = [(medium, frame) for medium, frame in batch if frame is not None]
        for medium, frame in frames:
            blank[medium.key].setdefault(frame.media, True)
        for row, file in _rows(frames, pipeline, config):
            pending[row.medium].append(row)
            blank[row.medium][file] = False
            faces += row.kind == "clean"
        for medium in (medium for medium, frame in batch if frame is None):
            rows = sorted(pending.pop(medium.key), key=lambda row: row.frame)
            without = [name for name, none in blank.pop(medium.key).items() if none]
            if note := Note(not rows, without, failures.pop(medium.key)):
                notes.append(writer.folder, medium.key, note)  # before the part, which says that all is done
            writer.add(medium.key, rows)
            done += 1
        if progress is not None:
            progress(done, total, faces)


def _steps(waiting: Sequence[PersonMedium], config: ExtractConfig, failures: dict[str, list[str]]) -> Iterator[_Step]:
    """The frames of every medium, then its end; frames of a folder are counted by its files."""
    for medium in waiting:
        number = 0
        for path in medium.files:
            first = number
            number += 1  # a file that cannot be read keeps its number
            try:
                frames = media.open_media(path, name=medium.label(path)).frames(config.fps or None)
                for k, frame in enumerate(frames):
                    if medium.folder:
                        number = first + k + 1
                        frame = Frame(frame.image, first + k, float(first + k), frame.media)
                    yield medium, frame
            except MediaError as error:
                log.warning("%s", error)
                failures[medium.key].append(str(error))
        yield medium, None


def _batches(steps: Iterator[_Step]) -> Iterator[list[_Step]]:
    """Steps with about :data:`CHUNK` frames, or few enough pixels to be held at once; most end where a medium ends."""
    batch: list[_Step] = []
    full = 0.0
    for medium, frame in steps:
        batch.append((medium, frame))
        if frame is not None:
            full += max(1 / CHUNK, frame.image.shape[0] * frame.image.shape[1] / PIXELS_PER_BATCH)
        if full >= (1 if frame is None else 2):
            yield batch
            batch, full = [], 0.0
    if batch:
        yield batch


def _rows(
    frames: Sequence[tuple[PersonMedium, Frame]], pipeline: Pipeline, config: ExtractConfig
) -> Iterator[tuple[FeatureRow, str]]:
    """The rows of every face with its degraded copies, and the file of each."""
    chosen: list[tuple[PersonMedium, Face, str, float]] = []
    crops: list[Image] = []
    for batch in _same_size(frames):
        detected = pipeline.detector.detect([frame.image for _, frame in batch])
        for (medium, frame), faces in zip(batch, detected, strict=True):
            face = central_face(faces, frame.image)
            if face is None:
                continue
            if pipeline.landmarker is not None:
                (face,) = pipeline.landmarker.landmark(frame.image, [face])
            face = face.replace(frame=frame.index, time=frame.time, media=frame.media)
            chosen.append((medium, face, "clean", 0.0))
            crops.append(align_face(frame.image, face, pipeline.embedder.geometry))
            rng = generator(config.seed, medium.key, frame.index)
            for kind, strength, crop in degraded_crops(frame.image, face, pipeline.embedder, config, rng):
                chosen.append((medium, face, kind, strength))
                crops.append(crop)
    features = pipeline.embedder.embed(crops)
    for (medium, face, kind, strength), feature in zip(chosen, features, strict=True):
        yield (
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
            ),
            face.media,
        )


def _same_size(frames: Sequence[tuple[PersonMedium, Frame]]) -> Iterator[list[tuple[PersonMedium, Frame]]]:
    """The frames gathered by the size of their pictures, so that a detector can take them together."""
    ordered = sorted(frames, key=lambda item: item[1].image.shape)
    for _, group in itertools.groupby(ordered, key=lambda item: item[1].image.shape):
        while batch := list(itertools.islice(group, 16)):
            yield batch


def _finished(output: Path, pipeline: Pipeline, settings: dict[str, Any]) -> FeatureTable:
    """The table that is there; raise when it cannot be gone on with."""
    from faceset.features import read

    cure = "write to another file, or delete that one"
    try:
        table = read(output)
    except FeatureTableError as error:
        raise FeatureTableError(f"{output} is there and cannot be added to: {error} ({cure})") from error
    embedder = pipeline.embedder
    if table.embedder != embedder.model_id:
        raise EmbedderMismatchError(
            f"{output} holds features of embedder {table.embedder!r}, but these would be of {embedder.model_id!r}; "
            f"{cure}"
        )
    before = {key: value for key, value in table.settings.items() if key != notes.KEY}
    if before != settings:
        keys = sorted(key for key in {*before, *settings} if before.get(key) != settings.get(key))
        differences = "; ".join(f"{key} was {before.get(key)!r} and is now {settings.get(key)!r}" for key in keys)
        raise FeatureTableError(f"{output} was made with other settings: {differences}; {cure}")
    return table


def _empty(seen: dict[str, Note]) -> set[str]:
    return {medium for medium, note in seen.items() if note.empty}


def _report(table: FeatureTable, *, done_before: int, added: int = 0) -> ExtractReport:
    seen = notes.from_settings(table.settings)
    clean = len(table) - int(np.count_nonzero(table.degraded))
    return ExtractReport(
        media=len(table.medium.names) + len(_empty(seen)),
        done_before=done_before,
        added=added,
        people=len(table.subject.names),
        faces=clean,
        degraded=len(table) - clean,
        without_face=[name for note in seen.values() for name in note.without_face],
        failed=[sentence for note in seen.values() for sentence in note.failed],
    )
