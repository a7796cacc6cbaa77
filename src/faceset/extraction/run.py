"""Extraction of a folder of people: media through the models, parts, and the table at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from faceset.errors import MediaError
from faceset.extraction.batches import Seen, batches, detected, frames_of
from faceset.extraction.config import ExtractConfig
from faceset.extraction.crops import central_face
from faceset.extraction.found import ExtractReport, Note
from faceset.extraction.job import Job, report
from faceset.extraction.layout import PersonMedium, find_people
from faceset.extraction.placed import CENTRE_RULE, central_box, check_placeable, placed
from faceset.extraction.rows import Cut, cut, rows
from faceset.feature_table import CLEAN, FeatureRow, FeatureTable
from faceset.pipeline import Pipeline
from faceset.types import Face

CHUNK = 48
"""Pictures that go through the models together, about."""

Progress = Callable[[int, int, int], None]
"""Called with media done, media in all, and faces found in this run."""


def extract(
    root: Path,
    output: Path,
    pipeline: Pipeline,
    config: ExtractConfig | None = None,
    *,
    media: Collection[str] | None = None,
    progress: Progress | None = None,
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
        media: names ``<person>/<medium>`` of those to take, such as a protocol's; default all. Names that the folder
            lacks are listed in the report as missing.
        progress: called with media done, media in all, and faces found in this run.

    Raises:
        MediaError: the folder holds no people, or none of the media that were asked for.
        EmbedderMismatchError: the table or parts that are there are of another embedder.
        FeatureTableError: they are of other settings or damaged, or the disk refuses.
        InputError: undetected faces cannot be placed for this detector and embedder.
    """
    config = config or ExtractConfig()
    if config.undetected != "skip":
        check_placeable(pipeline)
    people = find_people(root)
    missing: list[str] = []
    if media is not None:
        people, missing = _chosen(people, media, root)
    keys = [medium.key for medium in people]
    rule = CENTRE_RULE if config.undetected == "centre" else ""
    job = Job(output, pipeline, {"detector": pipeline.detector.name, **config.to_dict()})
    if (table := job.finished(keys)) is not None:
        return table, report(table, done_before=len(keys), rule=rule, missing=missing)
    wanted = job.waiting(keys)
    _fill(job, [medium for medium in people if medium.key in wanted], len(people), pipeline, config, progress)
    table = job.finish(rule)
    return table, report(table, done_before=len(keys) - len(wanted), added=len(wanted), rule=rule, missing=missing)


def _chosen(people: list[PersonMedium], names: Collection[str], root: Path) -> tuple[list[PersonMedium], list[str]]:
    """The media of those names, and the names that are not there."""
    by_name = {medium.key: medium for medium in people}
    found, missing = [], []
    for name in sorted(set(names)):
        medium = by_name.get(name) or _below(by_name, name, root)
        if medium is None:
            missing.append(name)
        else:
            found.append(medium)
    if not found:
        example = f", such as {missing[0]}" if missing else ""
        raise MediaError(
            f"{root} holds none of the {len(set(names))} media asked for{example}; give the folder of them"
        )
    return found, missing


def _below(by_name: dict[str, PersonMedium], name: str, root: Path) -> PersonMedium | None:
    """A folder within a folder of frames, such as ``<person>/<video>/<sequence>``; None where there is none."""
    person, _, rest = name.partition("/")
    video = by_name.get("/".join(name.split("/")[:2]))
    if video is None or not video.folder:
        return None
    files = tuple(file for file in video.files if (root / name) in file.parents)
    return PersonMedium(person, rest, files, True) if files else None


def _fill(
    job: Job,
    waiting: Sequence[PersonMedium],
    total: int,
    pipeline: Pipeline,
    config: ExtractConfig,
    progress: Progress | None,
) -> None:
    """Make the parts of the media that wait; each is written as soon as its last frame is through."""
    pending: dict[str, list[FeatureRow]] = {medium.key: [] for medium in waiting}
    failures: dict[str, list[str]] = {medium.key: [] for medium in waiting}
    fallback: dict[str, list[str]] = {medium.key: [] for medium in waiting}
    blank: dict[str, dict[str, bool]] = {medium.key: {} for medium in waiting}  # file -> no face so far
    done, faces = total - len(waiting), 0
    for batch in batches(frames_of(waiting, config.fps, failures), CHUNK):
        for step in batch:
            if step.frame is not None:
                blank[step.item.key].setdefault(step.frame.media, True)
        cuts: list[Cut] = []
        for seen in detected(batch, pipeline.detector):
            face = _face(seen, config)
            if face is None:
                continue
            key = seen.item.key
            if not seen.faces:
                fallback[key].append(seen.frame.media)
            blank[key][seen.frame.media] = False
            cuts += cut(seen.frame, face, seen.item.person, key, pipeline, config)
        for row in rows(cuts, pipeline.embedder, config):
            pending[row.medium].append(row)
            faces += row.kind == CLEAN
        for key in (step.item.key for step in batch if step.frame is None):
            made = sorted(pending.pop(key), key=lambda row: row.frame)
            without = [name for name, none in blank.pop(key).items() if none]
            job.add(key, made, Note(not made, without, failures.pop(key), fallback.pop(key)))
            done += 1
        if progress is not None:
            progress(done, total, faces)


def _face(seen: Seen[PersonMedium], config: ExtractConfig) -> Face | None:
    """The face a frame is of; placed where a picture shows none and the settings ask for it."""
    face = central_face(seen.faces, seen.frame.image)
    if face is None and seen.still and config.undetected == "centre":
        return placed(central_box(seen.frame.image))
    return face
