"""What is seen: a frame, a face in it, and the faces of one person."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from faceset.errors import EmptySetError, InputError
from faceset.types.checks import Box, Floats, Image, check_image, finite_array

LANDMARK_SCHEMES = {"dlib5": 5, "arcface5": 5}
"""Named landmark schemes and their number of points.

``dlib5``: outer and inner corner of the eye on the right of the picture, outer and inner corner of the one on the
left, base of the nose. ``arcface5``: eye centre on the left of the picture, eye centre on the right, tip of the nose,
mouth corner left, mouth corner right.
"""


class Progress(NamedTuple):
    """How far a long piece of work has come."""

    media: str
    """Name of the medium being read."""
    done: float
    """Seconds of a video, or the number of pictures, read so far."""
    total: float | None
    """The same unit at the end; None where it is not known (a live stream)."""
    faces: int
    """Faces found so far."""


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture on its way to the detector.

    Attributes:
        image: RGB uint8 (H, W, 3), upright.
        index: number of the frame in its medium, from 0; for a video the count of decoded frames, not of sampled ones.
        time: seconds from the start of the medium; 0 for a still.
        media: name of the medium it came from.
    """

    image: Image
    index: int = 0
    time: float = 0.0
    media: str = ""

    def __post_init__(self) -> None:
        check_image(self.image)


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one picture.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the picture; it may reach beyond the border.
        score: the detector's confidence, >= 0, higher = surer; its range belongs to the detector.
        landmarks: (P, 2) float32 pixels, or None before landmarking.
        scheme: name of the landmark scheme (:data:`LANDMARK_SCHEMES`); None exactly when ``landmarks`` is.
        frame, time, media: where it was seen (see :class:`Frame`).
        feature: (D,) float32 raw embedding, its norm kept; None before embedding.
        crop: the aligned crop that was embedded, RGB uint8; None unless it was asked for.
    """

    box: Box
    score: float
    landmarks: Floats | None = None
    scheme: str | None = None
    frame: int = 0
    time: float = 0.0
    media: str = ""
    feature: Floats | None = None
    crop: Image | None = None

    def __post_init__(self) -> None:
        box = tuple(float(v) for v in self.box)
        if len(box) != 4 or not all(map(math.isfinite, box)):
            raise InputError(f"box must be four finite numbers x0, y0, x1, y1, but got {self.box!r}")
        if box[2] <= box[0] or box[3] <= box[1]:
            raise InputError(f"box must have x1 > x0 and y1 > y0, but got {box}")
        object.__setattr__(self, "box", box)
        if not (math.isfinite(self.score) and self.score >= 0):
            raise InputError(f"score must be finite and >= 0, but got {self.score!r}")
        if (self.landmarks is None) != (self.scheme is None):
            raise InputError("landmarks and scheme come together: give both or neither")
        if self.landmarks is not None and self.scheme is not None:
            if self.scheme not in LANDMARK_SCHEMES:
                raise InputError(f"landmark scheme must be one of {sorted(LANDMARK_SCHEMES)}, but got {self.scheme!r}")
            points = finite_array(self.landmarks, "landmarks", (LANDMARK_SCHEMES[self.scheme], 2))
            object.__setattr__(self, "landmarks", points)
        if self.feature is not None:
            object.__setattr__(self, "feature", finite_array(self.feature, "feature", (None,)))

    @property
    def width(self) -> float:
        """Width of the box in pixels."""
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        """Height of the box in pixels."""
        return self.box[3] - self.box[1]

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return self.width * self.height

    def replace(self, **changes: Any) -> Face:
        """A copy with some attributes changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the feature and the crop are left out."""
        return {
            "media": self.media,
            "frame": self.frame,
            "time": round(self.time, 4),
            "box": [round(v, 2) for v in self.box],
            "score": round(float(self.score), 6),
            "landmarks": None if self.landmarks is None else np.round(self.landmarks.astype(float), 2).tolist(),
            "scheme": self.scheme,
        }


@dataclass(frozen=True, slots=True, eq=False)
class FaceSet:
    """The faces of one person in one medium and shot, in order of time.

    Attributes:
        faces: at least one; every one with a feature of the same width D.
        model_id: id of the embedder that made the features.
        media: name of the medium.
        track: number of the track within the medium, from 0.
        shot: number of the shot (between two camera cuts) within the medium, from 0.
        digest: sha256 of the medium's bytes; empty for a live stream.
        kind: ``still``, ``video``, ``stream``, ``array``, or ``template``: one vector that was made elsewhere.
    """

    faces: tuple[Face, ...]
    model_id: str
    media: str = ""
    track: int = 0
    shot: int = 0
    digest: str = ""
    kind: str = "video"

    def __post_init__(self) -> None:
        object.__setattr__(self, "faces", tuple(self.faces))
        if not self.faces:
            raise EmptySetError("a FaceSet needs at least one face, but got none")
        widths = {None if f.feature is None else f.feature.shape[0] for f in self.faces}
        if None in widths or len(widths) != 1:
            raise InputError(f"every face of a FaceSet needs a feature of one width, but got widths {widths}")

    def __len__(self) -> int:
        """Number of faces N."""
        return len(self.faces)

    @property
    def features(self) -> Floats:
        """The raw features, float32 (N, D)."""
        return np.stack([f.feature for f in self.faces if f.feature is not None])

    @property
    def quality(self) -> Floats:
        """The detector scores, float32 (N,)."""
        return np.array([f.score for f in self.faces], dtype=np.float32)

    @property
    def start(self) -> float:
        """Time of the first face in seconds."""
        return self.faces[0].time

    @property
    def end(self) -> float:
        """Time of the last face in seconds."""
        return self.faces[-1].time

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without features."""
        return {
            "media": self.media,
            "kind": self.kind,
            "track": self.track,
            "shot": self.shot,
            "start": round(self.start, 4),
            "end": round(self.end, 4),
            "model_id": self.model_id,
            "faces": [f.to_dict() for f in self.faces],
        }
