"""Detections over time to one face set per person and shot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from faceset.errors import InputError
from faceset.tracking.cuts import CutDetector
from faceset.tracking.geometry import Doubles, distance, growth, place_cost
from faceset.tracking.likeness import Likeness
from faceset.tracking.options import TrackerOptions
from faceset.tracking.track import Track, unit
from faceset.types import Face, FaceSet, Frame

NEAR = 0.75
"""Sides of a face that it may always be from where it was expected."""
LARGEST_GROWTH = 2.0
"""Ratio of sides up to which two boxes may be one face."""
UNKNOWN_PLACE = 0.35
"""Place cost up to which faces are joined while nothing is known of likeness (about IoU .3)."""
CERTAIN_PLACE = 0.25
"""Place cost below which a face of the next frame teaches what one person looks like (about IoU .5)."""
GAP_COST = 0.1
"""Added for a track that has been out of sight for ``max_gap``, in proportion for shorter."""


class Tracker:
    """Follows the people of one medium. Numbers count within the instance, so two trackers know nothing of each other.

    In every sampled frame faces are assigned to tracks at the least total cost, which is ``motion_weight`` times the
    place (GIoU with the box expected at constant velocity) and the rest times the likeness (feature distance in units
    of "only just the same person"). A face that fits no track begins one. At a camera cut, which is decided first, and
    where time runs backwards, all tracks end and the next shot begins.

    Attributes:
        dropped: tracks with fewer than ``min_faces`` faces so far.
        shot: number of the current shot, from 0.

    Args:
        model_id: id of the embedder that made the features.
        media, digest, kind: of the medium, handed on to every :class:`~faceset.types.FaceSet`.
        options: see :class:`TrackerOptions`.
    """

    def __init__(
        self,
        model_id: str,
        *,
        media: str = "",
        digest: str = "",
        kind: str = "video",
        options: TrackerOptions = TrackerOptions(),  # noqa: B008 - frozen
    ) -> None:
        self.dropped = 0
        self.shot = 0
        self._model_id = model_id
        self._media = media
        self._digest = digest
        self._kind = kind
        self._options = options
        self._cuts = CutDetector() if options.detect_cuts else None
        self._likeness = Likeness(options.same_score)
        self._tracks: list[Track] = []
        self._begun = 0
        self._time: float | None = None
        self._width: int | None = None
        self._finished = False

    def update(self, frame: Frame, faces: Sequence[Face]) -> list[FaceSet]:
        """Take in one sampled frame and return the face sets of the tracks that ended before it.

        Args:
            frame: the frame; its picture is looked at for camera cuts and not kept.
            faces: all faces found in it, with raw features; their order does not matter.

        Raises:
            InputError: a face without feature or with one of another width, or :meth:`finish` was called before.
        """
        if self._finished:
            raise InputError("this tracker has finished; make a new one for every medium")
        looks = self._looks(faces)
        ended: list[FaceSet] = []
        backwards = self._time is not None and frame.time < self._time
        if (self._cuts is not None and self._cuts.is_cut(frame.image)) or backwards:
            ended = self._end(self._tracks)
            self.shot += 1
            self._time = None
        before, self._time = self._time, frame.time
        gone = [t for t in self._tracks if frame.time - t.time > self._options.max_gap and t.time != before]
        ended += self._end(gone)
        order = sorted(range(len(faces)), key=lambda i: (faces[i].box, faces[i].score))
        self._join([self._stamped(faces[i], frame) for i in order], looks[order], frame.time)
        return ended

    def finish(self) -> list[FaceSet]:
        """End the medium: the face sets of the tracks that were still there. A second call gives nothing."""
        self._finished = True
        return self._end(self._tracks)

    def _looks(self, faces: Sequence[Face]) -> Doubles:
        """Unit features (F, D)."""
        for face in faces:
            if face.feature is None:
                raise InputError("a face without a feature cannot be tracked; embed the faces of a frame first")
            if self._width is None:
                self._width = face.feature.size
            if face.feature.size != self._width:
                raise InputError(
                    f"features of one tracker have one width, but got {face.feature.size} after {self._width}"
                )
        return np.array([unit(f.feature.astype(np.float64)) for f in faces if f.feature is not None]).reshape(
            len(faces), self._width or 0
        )

    def _stamped(self, face: Face, frame: Frame) -> Face:
        """The face with the time of its frame, should the detector not have known it."""
        if (face.frame, face.time) == (frame.index, frame.time):
            return face
        return face.replace(frame=frame.index, time=frame.time)

    def _join(self, faces: list[Face], looks: Doubles, time: float) -> None:
        """Give each face to a track, or begin one with it."""
        self._likeness.saw_in_one_picture(looks)
        taken = set()
        if faces and self._tracks:
            scale = self._likeness.unit
            boxes = np.array([f.box for f in faces])
            place = place_cost(np.array([t.expected(time) for t in self._tracks]), boxes)
            unlike = 1.0 - np.stack([t.likeness(looks) for t in self._tracks])
            cost, allowed = self._costs(boxes, unlike, place, time)
            # What is not allowed costs what leaving both alone costs, so that it never pushes others out of place.
            rows, columns = linear_sum_assignment(np.where(allowed, cost, self._options.max_cost))
            for t, f in zip(rows.tolist(), columns.tolist(), strict=True):
                if allowed[t, f]:
                    sure = scale is None or unlike[t, f] <= scale
                    self._tracks[t].add(faces[f], looks[f] if sure else None, time)
                    taken.add(f)
                    if place[t, f] < CERTAIN_PLACE:
                        self._likeness.saw_again(float(unlike[t, f]))
        for f, face in enumerate(faces):
            if f not in taken:
                self._tracks.append(Track(self._begun, face, looks[f], time, self._options.max_faces))
                self._begun += 1

    def _costs(
        self, boxes: Doubles, unlike: Doubles, place: Doubles, time: float
    ) -> tuple[Doubles, npt.NDArray[np.bool_]]:
        """(T, F) cost of joining each face to each track, and whether that is allowed at all."""
        options = self._options
        expected = np.array([t.expected(time) for t in self._tracks])
        passed = np.array([time - t.time for t in self._tracks])[:, None]
        reach = NEAR + options.speed * np.minimum(passed, 1.0)
        allowed = (distance(expected, boxes) <= reach) & (growth(expected, boxes) <= LARGEST_GROWTH)
        scale, stranger = self._likeness.unit, self._likeness.stranger
        if scale is None or stranger is None:
            return place, allowed & (place <= UNKNOWN_PLACE)
        late = GAP_COST * np.minimum(passed / max(options.max_gap, 1e-9), 1.0)
        cost = options.motion_weight * place + (1.0 - options.motion_weight) * unlike / scale + late
        return cost, allowed & (unlike <= stranger) & (cost <= options.max_cost)

    def _end(self, tracks: list[Track]) -> list[FaceSet]:
        """Take ``tracks`` out and return the face sets of those with faces enough."""
        going = sorted(tracks, key=lambda t: t.number)
        self._tracks = [t for t in self._tracks if t not in going]
        enough = [t for t in going if t.seen >= self._options.min_faces]
        self.dropped += len(going) - len(enough)
        return [
            FaceSet(
                tuple(t.faces),
                self._model_id,
                media=self._media,
                track=t.number,
                shot=self.shot,
                digest=self._digest,
                kind=self._kind,
            )
            for t in enough
        ]
