"""Extraction of the faces that a protocol names: each file is read and searched once, whoever is named in it."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from faceset import media as media_files
from faceset.errors import InputError, MediaError
from faceset.extraction.batches import Seen, Step, batches, detected
from faceset.extraction.config import ExtractConfig
from faceset.extraction.found import ExtractReport, Note
from faceset.extraction.given import GIVEN_RULE, MATCH, GivenFace, locate, needs_detection
from faceset.extraction.job import Job, report
from faceset.extraction.placed import CENTRE_RULE, check_placeable
from faceset.extraction.rows import Cut, cut, rows
from faceset.extraction.run import CHUNK, Progress
from faceset.feature_table import CLEAN, FeatureRow, FeatureTable
from faceset.pipeline import Pipeline

log = logging.getLogger("faceset")


@dataclass
class _Picture:
    """One file, the faces named in it, and those of them that are wanted."""

    path: Path
    file: str
    named: list[GivenFace]
    wanted: set[str]
    notes: dict[str, Note] = field(default_factory=dict)


def extract_faces(
    root: Path,
    output: Path,
    pipeline: Pipeline,
    faces: Sequence[GivenFace],
    config: ExtractConfig | None = None,
    *,
    progress: Progress | None = None,
) -> tuple[FeatureTable, ExtractReport]:
    """Write the feature table of named faces; call it again to go on after an interruption.

    How a face is found is said at :func:`faceset.extraction.given.locate`. A face that was not detected, and placed by
    a rule, has score 0 and is listed in the report (``fallback``). Files that are not there are listed (``missing``)
    and looked for again by the next run.

    Args:
        root: folder of the pictures.
        output: the table, ``*.parquet``; continued as by :func:`faceset.extraction.extract`.
        pipeline: detector, landmarker, embedder.
        faces: each name once; or more often, if it is the same face.
        config: see :class:`ExtractConfig`. ``fps`` does not matter.
        progress: called with faces done, faces in all, and faces found in this run.

    Raises:
        InputError: one name stands for two faces, no face is named, or faces cannot be placed for these models.
        MediaError: none of the files is there.
        EmbedderMismatchError: the table or parts that are there are of another embedder.
        FeatureTableError: they are of other settings or damaged, or the disk refuses.
    """
    config = config or ExtractConfig()
    check_placeable(pipeline)
    names = _by_name(faces)
    settings = {"detector": pipeline.detector.name, **config.to_dict(), "faces": "named", "match": MATCH}
    rule = f"{GIVEN_RULE}; without a box, {CENTRE_RULE}" if config.undetected == "centre" else GIVEN_RULE
    job = Job(output, pipeline, settings)
    if (table := job.finished(list(names))) is not None:
        return table, report(table, done_before=len(names), rule=rule)
    pictures, missing = _pictures(root, names, job.done)
    keys = [name for name in names if name not in missing]
    if not keys:
        file = next(iter(names.values())).file
        raise MediaError(f"{root} holds none of the {len(names)} named pictures, such as {file}; give their folder")
    if (table := job.finished(keys)) is not None:
        return table, report(table, done_before=len(keys), rule=rule, missing=sorted(missing))
    wanted = job.waiting(keys)
    for picture in pictures:
        picture.wanted = {given.name for given in picture.named} & wanted
    _fill(job, [p for p in pictures if p.wanted], len(keys), len(keys) - len(wanted), pipeline, config, progress)
    table = job.finish(rule)
    before = len(keys) - len(wanted)
    return table, report(table, done_before=before, added=len(wanted), rule=rule, missing=sorted(missing))


def _by_name(faces: Sequence[GivenFace]) -> dict[str, GivenFace]:
    """Each name once, by file and name."""
    names: dict[str, GivenFace] = {}
    for given in faces:
        known = names.setdefault(given.name, given)
        if known is not given and _facts(known) != _facts(given):
            raise InputError(
                f"the name {given.name!r} stands for two faces, {_facts(known)} and {_facts(given)}; give each its own"
            )
    if not names:
        raise InputError("no face is named; name at least one")
    return dict(sorted(names.items(), key=lambda item: (item[1].file, item[0])))


def _facts(given: GivenFace) -> tuple[object, ...]:
    points = None if given.landmarks is None else given.landmarks.tolist()
    return given.subject, given.file, given.box, points, given.score


def _pictures(root: Path, names: dict[str, GivenFace], done: set[str]) -> tuple[list[_Picture], set[str]]:
    """The files, by name, and the faces whose file is not there; faces that are done need no file."""
    pictures, missing = [], set()
    for file, group in itertools.groupby(names.values(), key=lambda given: given.file):
        named = list(group)
        if (root / file).is_file():
            pictures.append(_Picture(root / file, file, named, set()))
        else:
            missing |= {given.name for given in named} - done
    return pictures, missing


def _fill(
    job: Job,
    pictures: Sequence[_Picture],
    total: int,
    done: int,
    pipeline: Pipeline,
    config: ExtractConfig,
    progress: Progress | None,
) -> None:
    """Make the parts of the faces that wait."""
    found = 0
    made: dict[str, list[FeatureRow]] = {}  # across batches: one may end between a large picture and its end
    for batch in batches(_steps(pictures), CHUNK):
        cuts: list[Cut] = []
        searched = [s for s in batch if s.frame is not None and needs_detection(s.item.named)]
        for seen in detected(searched, pipeline.detector):
            cuts += _cuts(seen, pipeline, config)
        for step in batch:
            if step.frame is not None and not needs_detection(step.item.named):
                cuts += _cuts(Seen(step.item, step.frame, True, []), pipeline, config)
        for row in rows(cuts, pipeline.embedder, config):
            made.setdefault(row.medium, []).append(row)
            found += row.kind == CLEAN
        for picture in (step.item for step in batch if step.frame is None):
            for name in sorted(picture.wanted):
                job.add(name, made.pop(name, []), picture.notes.pop(name, Note()))
                done += 1
        if progress is not None:
            progress(done, total, found)


def _cuts(seen: Seen[_Picture], pipeline: Pipeline, config: ExtractConfig) -> list[Cut]:
    """The crops of the wanted faces of one picture; what could not be had is noted."""
    picture, cuts = seen.item, []
    for given, place in zip(picture.named, locate(picture.named, seen.faces, seen.frame.image, config), strict=True):
        if given.name not in picture.wanted:
            continue
        if place.failure:
            picture.notes[given.name] = Note(True, [], [place.failure])
        elif place.face is None:
            picture.notes[given.name] = Note(True, [given.name])
        else:
            cuts += cut(seen.frame, place.face, given.subject, given.name, pipeline, config)
            if place.by_rule:
                picture.notes[given.name] = Note(fallback=[given.name])
    return cuts


def _steps(pictures: Sequence[_Picture]) -> Iterator[Step[_Picture]]:
    """The picture of every file, then its end."""
    for picture in pictures:
        try:
            medium = media_files.open_media(picture.path, name=picture.file)
            if medium.kind != "still":
                raise MediaError(f"{picture.file}: is a {medium.kind}, but a named face is looked for in a picture")
            yield Step(picture, next(iter(medium.frames())), True)
        except MediaError as error:
            log.warning("%s", error)
            for name in picture.wanted:
                picture.notes[name] = Note(True, [], [f"{name}: {error}"])
        yield Step(picture, None)
