"""One medium on its way from frames to face sets: detect, landmark, align, embed, track.

Detection runs on every sampled frame. Frames go to the detector, and crops to the embedder, in batches; nothing but
the features outlives a batch, so memory does not grow with the length of a video.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from faceset.alignment import align_face
from faceset.detection.base import Detector
from faceset.detection.landmarks import Landmarker
from faceset.embedding import Embedder
from faceset.errors import InputError
from faceset.media import Media
from faceset.tracking import Tracker, TrackerOptions
from faceset.types import Face, FaceSet, Frame, Progress, ProgressCallback

MIN_FRAMES_PER_BATCH = 4
PIXELS_PER_BATCH = 8 * 1920 * 1080
DEFAULT_MIN_FACE = 24.0


@dataclass(frozen=True)
class Pipeline:
    """The models that turn pictures into features, and how they are applied.

    Attributes:
        detector: finds faces.
        landmarker: places the points the embedder's crop needs; None where the detector's own points are those.
        embedder: turns crops into features.
        min_face: faces smaller than this, the square root of the box's area in pixels, are passed over: their features
            say too little. (Faces of 17 x 24 pixels in a 120 x 66 clip reached 0.914 with a stranger, at a threshold of
            0.912.)
        keep_crops: whether faces keep their aligned crop (about 68 kB each at 150 x 150).
        tracker: options of the tracker.
    """

    detector: Detector
    landmarker: Landmarker | None
    embedder: Embedder
    min_face: float = DEFAULT_MIN_FACE
    keep_crops: bool = False
    tracker: TrackerOptions = field(default_factory=TrackerOptions)

    def __post_init__(self) -> None:
        if not self.min_face >= 0:
            raise InputError(f"min_face must be at least 0 pixels, but got {self.min_face!r}")
        needed = self.embedder.geometry.scheme
        given = self.landmarker.scheme if self.landmarker is not None else self.detector.scheme
        if given != needed:
            raise InputError(
                f"the crop {self.embedder.geometry.name!r} needs landmarks of scheme {needed!r}, but detector "
                f"{self.detector.name!r} gives {given!r}; choose another detector (mtcnn or yunet give 'arcface5')"
            )

    def faces(self, frames: Sequence[Frame]) -> list[list[Face]]:
        """All faces of each frame, with features; one list a frame, in the detector's order."""
        found = self.detector.detect([frame.image for frame in frames])
        marked: list[Face] = []
        crops = []
        counts = []
        for frame, faces in zip(frames, found, strict=True):
            faces = [face for face in faces if face.area >= self.min_face**2]
            if self.landmarker is not None:
                faces = self.landmarker.landmark(frame.image, faces)
            counts.append(len(faces))
            for face in faces:
                crops.append(align_face(frame.image, face, self.embedder.geometry))
                marked.append(face.replace(frame=frame.index, time=frame.time, media=frame.media))
        features = self.embedder.embed(crops)
        embedded = iter(
            face.replace(feature=feature, crop=crop if self.keep_crops else None)
            for face, feature, crop in zip(marked, features, crops, strict=True)
        )
        return [list(itertools.islice(embedded, count)) for count in counts]

    def face_sets(
        self, medium: Media, *, fps: float | None, progress: ProgressCallback | None = None
    ) -> Iterator[FaceSet]:
        """One :class:`FaceSet` per person and shot of ``medium``, each as soon as its track ends.

        Args:
            medium: what to read.
            fps: frames a second to look at; None looks at every frame.
            progress: called after every batch.

        Raises:
            MediaError: the medium cannot be read.
        """
        tracker = Tracker(
            self.embedder.model_id, media=medium.name, digest=medium.digest, kind=medium.kind, options=self.tracker
        )
        faces = 0
        for batch in _batches(medium.frames(fps)):
            for frame, found in zip(batch, self.faces(batch), strict=True):
                faces += len(found)
                yield from tracker.update(frame, found)
            if progress is not None:
                progress(Progress(medium.name, batch[-1].time, medium.duration, faces))
        yield from tracker.finish()


def _batches(frames: Iterator[Frame]) -> Iterator[list[Frame]]:
    """Frames of one size, as many as fit a batch; a change of size within a medium starts a new batch."""
    for shape, group in itertools.groupby(frames, key=lambda frame: frame.image.shape):
        size = min(32, max(MIN_FRAMES_PER_BATCH, PIXELS_PER_BATCH // (shape[0] * shape[1])))
        while batch := list(itertools.islice(group, size)):
            yield batch
