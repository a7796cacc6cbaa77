"""One pass over the pictures: decode, detect, place points, cut; what is found is on the disk at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from faceset.alignment import geometry
from faceset.detection import Detector
from faceset.errors import InputError, NoFaceError
from faceset.extraction import PersonMedium, central_face
from faceset.extraction.batches import Seen, batches, detected, frames_of
from faceset.feature_table import Labels
from faceset.media.background import ahead
from faceset.pipeline import DEFAULT_MIN_FACE
from faceset.training.faces.growing import GrowingArray
from faceset.training.faces.journal import Entry, Journal
from faceset.training.faces.padding import padded_crop, padded_size
from faceset.training.faces.records import Records
from faceset.training.faces.report import PrepareReport
from faceset.training.faces.sources import Sources
from faceset.types import Face, Floats, Image

CHUNK = 48
"""Pictures that go through the detector together, about."""
DECODED = 8
"""Pictures that wait for the detector at most."""

Progress = Callable[[int, int, int], None]
"""Called with media done, media in all, and faces found."""


def crops_file(folder: Path, name: str) -> Path:
    """Where the padded crops of a geometry are."""
    return folder / f"crops-{name}.npy"


def growing_crops(folder: Path, name: str) -> GrowingArray:
    """The padded crops of a geometry in the making."""
    return GrowingArray(crops_file(folder, name), (*padded_size(name), 3), np.uint8)


class Search:
    """The search of one folder; killed and begun again, it goes on after the last medium that was done.

    Args:
        folder: of the store.
        sources: what to read.
        detector: finds the faces.
        settings: to be kept with the faces; ``fps`` and ``labelled`` are read from them.
        geometries: to cut; a journal that is there was begun with its own, and those are cut.

    Raises:
        FaceStoreError: what is there was begun with other settings, or the disk refuses.
    """

    def __init__(
        self,
        folder: Path,
        sources: Sources,
        detector: Detector,
        settings: dict[str, Any],
        geometries: tuple[str, ...],
    ) -> None:
        self._sources, self._detector, self._settings = sources, detector, settings
        self._journal = Journal(folder, settings, geometries)
        self._crops = {name: growing_crops(folder, name) for name in self._journal.geometries}
        self._landmarkers = _landmarkers(detector)
        self._resume()

    def run(self, progress: Progress | None = None) -> Records:
        """Look at what is left; the crops and the journal stay as they are until :meth:`publish`.

        Raises:
            NoFaceError: there is no face in any picture.
            FaceStoreError: the disk refuses.
        """
        done = {(entry.person, entry.medium) for entry in self._journal.entries}
        media = [m for m in self._sources.media if (m.person, m.key) not in done]
        failures: dict[str, list[str]] = {medium.key: [] for medium in media}
        pending: dict[str, Entry] = {}
        blank: dict[str, dict[str, bool]] = {}  # medium -> file -> no face so far
        total, faces = len(self._sources.media), self._rows
        steps = ahead(lambda _: frames_of(media, self._settings["fps"], failures), items=DECODED, name="decoding faces")
        for batch in batches(steps, CHUNK):
            places = {id(step.frame): k for k, step in enumerate(batch)}
            found = {places[id(seen.frame)]: seen for seen in detected(batch, self._detector)}
            for k, step in enumerate(batch):
                key = step.item.key
                entry = pending.setdefault(key, Entry(step.item.person, key))
                files = blank.setdefault(key, {})
                if k in found:
                    seen = found[k]
                    entry.pictures += 1
                    here = self._add(seen, entry)
                    faces += here
                    files[seen.frame.media] = files.get(seen.frame.media, True) and not here
                    continue
                entry.without_face = [name for name, none in blank.pop(key).items() if none]
                entry.corrupt = failures.pop(key) + entry.corrupt
                self._journal.add(pending.pop(key))
            if progress is not None:
                progress(len(self._journal.entries), total, faces)
        return self._records()

    def publish(self) -> None:
        """Rename the crops; the journal is no longer needed."""
        for crops in self._crops.values():
            crops.publish()
        self._journal.path.unlink()

    def close(self) -> None:
        """Close the files; what is on the disk stays for the next time."""
        for crops in self._crops.values():
            crops.close()

    @property
    def _rows(self) -> int:
        return sum(len(entry.faces) for entry in self._journal.entries)

    def _resume(self) -> None:
        """Bring journal and crops to the same number of faces; a power cut may have lost the end of either."""
        there = min((crops.rows for crops in self._crops.values()), default=self._rows)
        while self._rows > there:
            self._journal.keep(len(self._journal.entries) - 1)
        for crops in self._crops.values():
            crops.truncate(self._rows)

    def _add(self, seen: Seen[PersonMedium], entry: Entry) -> int:
        """Keep the faces of one frame; how many there were."""
        image, count = seen.frame.image, 0
        for face in self._chosen(seen.faces, image):
            try:
                points = {scheme: mark(image, face) for scheme, mark in self._landmarkers.items()}
                cut = {name: padded_crop(image, points[geometry(name).scheme], name) for name in self._crops}
            except InputError as error:
                entry.corrupt.append(f"{seen.frame.media}: a face cannot be cut out ({error})")
                continue
            for name, crop in cut.items():
                self._crops[name].append(crop[None])
            entry.faces.append(
                {
                    "file": seen.frame.media,
                    "frame": seen.frame.index,
                    "score": face.score,
                    "box": face.box,
                    **{scheme: values.tolist() for scheme, values in points.items()},
                }
            )
            count += 1
        return count

    def _chosen(self, faces: Sequence[Face], image: Image) -> list[Face]:
        if not self._settings["labelled"]:
            return [face for face in faces if face.area >= DEFAULT_MIN_FACE**2]
        face = central_face(faces, image)
        return [] if face is None else [face]

    def _records(self) -> Records:
        entries = self._journal.entries
        rows = [(entry, face) for entry in entries for face in entry.faces]
        corrupt = [sentence for entry in entries for sentence in entry.corrupt]
        if not rows:
            why = f" (such as {corrupt[0]})" if corrupt else ""
            raise NoFaceError(
                f"no face was found in any of {sum(e.pictures for e in entries)} pictures; {len(corrupt)} files "
                f"could not be read{why}; give a folder with pictures of faces"
            )
        subject = Labels.of([entry.person for entry, _ in rows])
        numbers = dict(zip(subject.names, np.bincount(subject.codes).tolist(), strict=True))
        labelled = self._settings["labelled"]
        report = PrepareReport(
            people=len(numbers) if labelled else 0,
            media=len(entries),
            pictures=sum(entry.pictures for entry in entries),
            faces=len(rows),
            one_picture=[name for name, n in numbers.items() if n == 1] if labelled else [],
            no_picture=[name for name in self._sources.people if name not in numbers],
            left_out=self._sources.left_out,
            without_face=[name for entry in entries for name in entry.without_face],
            corrupt=corrupt,
            stray=self._sources.stray,
        )
        return Records(
            subject=subject,
            medium=Labels.of([entry.medium for entry, _ in rows]),
            file=Labels.of([face["file"] for _, face in rows]),
            frame=np.array([face["frame"] for _, face in rows], np.int64),
            score=np.array([face["score"] for _, face in rows], np.float32),
            box=np.array([face["box"] for _, face in rows], np.float32),
            landmarks={
                scheme: np.array([face[scheme] for _, face in rows], np.float32) for scheme in self._landmarkers
            },
            media=tuple(sorted(medium.key for medium in self._sources.media)),
            settings=self._settings,
            report=report,
        )


def _landmarkers(detector: Detector) -> dict[str, Callable[[Image, Face], Floats]]:
    """How the points of each scheme are had: the detector's own, and dlib's, which cost little and may be asked for."""
    from faceset.detection.landmarks import Dlib5

    dlib5 = Dlib5()

    def own(image: Image, face: Face) -> Floats:
        return _points(face)

    def placed(image: Image, face: Face) -> Floats:
        (marked,) = dlib5.landmark(image, [face])
        return _points(marked)

    found: dict[str, Callable[[Image, Face], Floats]] = {dlib5.scheme: placed}
    if detector.scheme is not None:
        found[detector.scheme] = own
    return found


def _points(face: Face) -> Floats:
    if face.landmarks is None:
        raise InputError("it has no landmarks")
    return face.landmarks
