"""One medium on its way from frames to face sets: detect, landmark, align, embed, track.

Detection runs on every sampled frame. Frames go to the detector, and crops to the embedder, in batches; nothing but
the features outlives a batch, so memory does not grow with the length of a video.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from faceset.detection.base import Detector
from faceset.errors import InputError
from faceset.media import Found, Media, Source, find_media, scan
from faceset.packs.manifest import Manifest
from faceset.types import Face, FaceSet, Frame, Progress, ProgressCallback

# OpenCV, dlib and the models are loaded by what runs them, not by what only calls a pipeline elsewhere.
if TYPE_CHECKING:
    from faceset.detection.landmarks import Landmarker
    from faceset.embedding import Embedder
    from faceset.tracking import TrackerOptions

MIN_FRAMES_PER_BATCH = 4
MAX_FRAMES_PER_BATCH = 32
PIXELS_PER_BATCH = 8 * 1920 * 1080
DEFAULT_MIN_FACE = 24.0


class Described(Protocol):
    """What has to be known of an embedder to use its features: all but how to run it."""

    @property
    def manifest(self) -> Manifest:
        """What the network takes and gives."""
        ...

    @property
    def model_id(self) -> str:
        """Id of its features."""
        ...


class FaceSets(Protocol):
    """What turns media into face sets: a :class:`Pipeline`, or one that runs in another process."""

    @property
    def embedder(self) -> Described:
        """Whose features they are."""
        ...

    @property
    def min_face(self) -> float:
        """Faces smaller than this are passed over, in pixels."""
        ...

    @property
    def keep_crops(self) -> bool:
        """Whether the crops of faces are to be kept."""
        ...

    def find(self, source: Source) -> Found:
        """The media of a source. Raises as :func:`faceset.media.find_media` does."""
        ...

    def face_sets(
        self, medium: Media, *, fps: float | None, progress: ProgressCallback | None = None
    ) -> Iterator[FaceSet]:
        """See :meth:`Pipeline.face_sets`."""
        ...


class Step(NamedTuple):
    """What one batch of frames brought.

    Attributes:
        ended: the face sets whose tracks ended in it.
        progress: how far it came; None for the step after the last batch.
    """

    ended: list[FaceSet]
    progress: Progress | None


def _default_tracker() -> TrackerOptions:
    from faceset.tracking import TrackerOptions

    return TrackerOptions()


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
    tracker: TrackerOptions = field(default_factory=_default_tracker)

    @classmethod
    def build(
        cls,
        detector: str | Detector = "mtcnn",
        embedder: str | Embedder = "dlib-resnet",
        *,
        min_face: float = DEFAULT_MIN_FACE,
        keep_crops: bool = False,
        tracker: TrackerOptions | None = None,
    ) -> Pipeline:
        """From the names of a detector and an embedder, or from the objects, with what goes with them.

        Raises:
            ModelError: a model cannot be found, read or used.
            InputError: an unknown name, or parts that do not fit together.
        """
        from faceset import detection
        from faceset.embedding import Embedder
        from faceset.tracking import TrackerOptions

        detects = detection.get(detector) if isinstance(detector, str) else detector
        embeds = Embedder.load(embedder) if isinstance(embedder, str) else embedder
        if not isinstance(detects, Detector):
            raise InputError(f"detector must be a name or a Detector, but got {type(detects).__name__}")
        if not isinstance(embeds, Embedder):
            raise InputError(f"embedder must be a name or an Embedder, but got {type(embeds).__name__}")
        landmarker: Landmarker | None = None
        if embeds.geometry.scheme == "dlib5":
            from faceset.detection.landmarks import Dlib5

            landmarker = Dlib5()
        if tracker is None:
            tracker = TrackerOptions(same_score=embeds.manifest.threshold)
        return cls(detects, landmarker, embeds, min_face=min_face, keep_crops=keep_crops, tracker=tracker)

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

    def find(self, source: Source) -> Found:
        """All media of a source, and a sentence for each file of a folder that is none.

        Raises:
            InputError, MediaError: as :func:`faceset.media.find_media`.
        """
        if isinstance(source, str | os.PathLike) and os.path.isdir(source):
            found = scan(source)
            if found.media:
                return found
        return Found(tuple(find_media(source)), ())

    def faces(self, frames: Sequence[Frame]) -> list[list[Face]]:
        """All faces of each frame, with features; one list a frame, in the detector's order."""
        from faceset.alignment import align_face

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
        for step in self.steps(medium, fps=fps):
            yield from step.ended
            if progress is not None and step.progress is not None:
                progress(step.progress)

    def steps(self, medium: Media, *, fps: float | None, most: int = MAX_FRAMES_PER_BATCH) -> Iterator[Step]:
        """The same, batch by batch. Closing the iterator frees the file.

        Args:
            medium, fps: as for :meth:`face_sets`.
            most: most frames of a batch; the answers do not depend on it.

        Raises:
            MediaError: the medium cannot be read.
        """
        from faceset.tracking import Tracker

        tracker = Tracker(
            self.embedder.model_id, media=medium.name, digest=medium.digest, kind=medium.kind, options=self.tracker
        )
        faces = 0
        for batch in _batches(medium.frames(fps), most):
            ended: list[FaceSet] = []
            for frame, found in zip(batch, self.faces(batch), strict=True):
                faces += len(found)
                ended += tracker.update(frame, found)
            yield Step(ended, Progress(medium.name, batch[-1].time, medium.duration, faces))
        yield Step(tracker.finish(), None)


def _batches(frames: Iterator[Frame], most: int) -> Iterator[list[Frame]]:
    """Frames of one size, as many as fit a batch; a change of size within a medium starts a new batch."""
    for shape, group in itertools.groupby(frames, key=lambda frame: frame.image.shape):
        size = min(most, max(MIN_FRAMES_PER_BATCH, PIXELS_PER_BATCH // (shape[0] * shape[1])))
        while batch := list(itertools.islice(group, size)):
            yield batch
