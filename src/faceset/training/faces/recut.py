"""The crops of one more geometry, from points that are known: the pictures are read again, and not searched."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from faceset.alignment import geometry
from faceset.errors import FaceStoreError
from faceset.extraction import PersonMedium
from faceset.extraction.batches import frames_of
from faceset.training.faces.ordering import cores, in_order
from faceset.training.faces.padding import padded_crop, padded_size
from faceset.training.faces.records import Records
from faceset.training.faces.search import Progress, growing_crops
from faceset.training.faces.sources import Sources


def recut(folder: Path, name: str, records: Records, sources: Sources, progress: Progress | None = None) -> None:
    """Write the padded crops of a geometry; a run that was killed goes on where it stopped.

    Args:
        folder: of the store.
        name: of the geometry.
        records: the faces.
        sources: the pictures they were found in.
        progress: called with faces done, faces in all, and faces done.

    Raises:
        FaceStoreError: a picture is gone or has changed, or the disk refuses.
    """
    there = {medium.key: medium for medium in sources.media}
    codes = records.medium.codes
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    spans = list(zip(starts.tolist(), [*starts[1:].tolist(), len(codes)], strict=True))

    def cut(span: tuple[int, int]) -> npt.NDArray[np.uint8]:
        key = records.medium.names[codes[span[0]]]
        if key not in there:
            raise FaceStoreError(f"{key} is no longer there, so {name} cannot be cut from it; put it back")
        return _medium(there[key], name, records, *span)

    with growing_crops(folder, name) as crops:
        # Whole media only: the last one may have been cut off by a kill.
        done = max((start for start, _ in spans if start <= crops.rows), default=0)
        done = len(codes) if crops.rows == len(codes) else done
        crops.truncate(done)
        todo = (span for span in spans if span[0] >= done)
        workers = cores()
        with contextlib.closing(in_order(cut, todo, workers, 2 * workers)) as parts:
            for k, part in enumerate(parts):
                crops.append(part)
                if progress is not None and (k % 64 == 0 or crops.rows == len(codes)):
                    progress(crops.rows, len(codes), crops.rows)
        crops.publish()


def _medium(medium: PersonMedium, name: str, records: Records, start: int, stop: int) -> npt.NDArray[np.uint8]:
    """The padded crops (n, H, W, 3) of the faces of one medium, which are the rows ``start`` to ``stop``."""
    points = records.landmarks[geometry(name).scheme]
    crops = np.empty((stop - start, *padded_size(name), 3), np.uint8)
    row, failures = start, {medium.key: list[str]()}
    for step in frames_of([medium], records.settings["fps"], failures):
        while step.frame is not None and row < stop and records.frame[row] == step.frame.index:
            crops[row - start] = padded_crop(step.frame.image, points[row], name)
            row += 1
        if row == stop:
            break
    if row != stop:
        why = failures[medium.key][0] if failures[medium.key] else f"it has no frame {records.frame[row]}"
        raise FaceStoreError(
            f"{medium.key} has changed since its faces were found ({why}), so {name} cannot be cut from it; put it back"
        )
    return crops
