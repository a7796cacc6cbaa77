"""Frames of many media through the detector, as many together as is worth while."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from faceset import media as media_files
from faceset.detection import Detector
from faceset.errors import MediaError
from faceset.extraction.layout import PersonMedium
from faceset.pipeline import PIXELS_PER_BATCH
from faceset.types import Face, Frame

log = logging.getLogger("faceset")

Item = TypeVar("Item")


class Step(NamedTuple, Generic[Item]):
    """A frame of an item, or None where the item ends."""

    item: Item
    frame: Frame | None
    still: bool = False
    """Whether the frame is a picture of its own, not one of a video."""


class Seen(NamedTuple, Generic[Item]):
    """A frame and the faces in it, in the detector's order."""

    item: Item
    frame: Frame
    still: bool
    faces: list[Face]


def batches(steps: Iterator[Step[Item]], chunk: int) -> Iterator[list[Step[Item]]]:
    """Steps with about ``chunk`` frames, or few enough pixels to be held at once; most end where an item ends."""
    batch: list[Step[Item]] = []
    full = 0.0
    for step in steps:
        batch.append(step)
        if step.frame is not None:
            full += max(1 / chunk, step.frame.image.shape[0] * step.frame.image.shape[1] / PIXELS_PER_BATCH)
        if full >= (1 if step.frame is None else 2):
            yield batch
            batch, full = [], 0.0
    if batch:
        yield batch


def detected(steps: Sequence[Step[Item]], detector: Detector) -> Iterator[Seen[Item]]:
    """The faces of every frame among the steps; frames of one size go to the detector together."""
    frames = sorted(
        ((step.item, step.frame, step.still) for step in steps if step.frame is not None),
        key=lambda entry: entry[1].image.shape,
    )
    for _, group in itertools.groupby(frames, key=lambda entry: entry[1].image.shape):
        while some := list(itertools.islice(group, 16)):
            for entry, faces in zip(some, detector.detect([frame.image for _, frame, _ in some]), strict=True):
                yield Seen(*entry, faces)


def frames_of(
    media: Sequence[PersonMedium], fps: float, failures: Mapping[str, list[str]]
) -> Iterator[Step[PersonMedium]]:
    """The frames of every medium, then its end; frames of a folder are counted by its files.

    Args:
        media: what to read.
        fps: frames a second taken from a video; 0 takes every frame.
        failures: a list for every medium, by its key; takes a sentence for each file that cannot be read to its end.
    """
    for medium in media:
        number = 0
        for path in medium.files:
            first = number
            number += 1  # a file that cannot be read keeps its number
            try:
                opened = media_files.open_media(path, name=medium.label(path))
                still = opened.kind == "still" and not medium.folder
                for k, frame in enumerate(opened.frames(fps or None)):
                    if medium.folder:
                        number = first + k + 1
                        frame = Frame(frame.image, first + k, float(first + k), frame.media)
                    yield Step(medium, frame, still)
            except MediaError as error:
                log.warning("%s", error)
                failures[medium.key].append(str(error))
        yield Step(medium, None)
