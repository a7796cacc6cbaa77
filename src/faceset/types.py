"""What the stages hand to each other: small, frozen, checked at birth.

Letters: B sets, N faces in a set, D feature width, P landmarks, H W picture. Pictures are RGB ``uint8`` (H, W, 3);
boxes are ``xyxy`` pixels; times are seconds; ``score`` of two templates is cosine similarity, higher = same.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from faceset.errors import EmptySetError, InputError

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]

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
        kind: ``still``, ``video``, ``stream`` or ``array``.
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


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """Many faces of one person as one vector of unit length.

    Attributes:
        vector: (D,) float32, unit length.
        model_id: id of the embedder; templates of two embedders are never compared.
        aggregator: name of the aggregator that weighed the faces.
        weights: (N,) float32, >= 0, sum 1: the share of each face in the template.
        consistency: length of the weighted mean of the unit features before it was scaled to 1, in 0..1; low when the
            faces disagree.
        faces: the N faces behind it, without features; empty when the template was made from bare features.
        left_out: sentences on what was seen and not used, and why.
    """

    vector: Floats
    model_id: str
    aggregator: str
    weights: Floats
    consistency: float
    faces: tuple[Face, ...] = ()
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        vector = finite_array(self.vector, "vector", (None,))
        length = float(np.linalg.norm(vector.astype(np.float64)))
        if abs(length - 1.0) > 1e-3:
            raise InputError(f"a template has unit length, but this vector has length {length:.6g}")
        weights = finite_array(self.weights, "weights", (None,))
        if weights.size == 0:
            raise EmptySetError("a template needs at least one face, but got no weights")
        if weights.min() < 0 or abs(float(weights.sum(dtype=np.float64)) - 1.0) > 1e-3:
            raise InputError(f"weights must be >= 0 and sum to 1, but they sum to {weights.sum():.6g}")
        if self.faces and len(self.faces) != weights.size:
            raise InputError(f"one weight a face: got {weights.size} weights for {len(self.faces)} faces")
        object.__setattr__(self, "vector", vector)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "faces", tuple(f.replace(feature=None) for f in self.faces))
        object.__setattr__(self, "left_out", tuple(self.left_out))

    def __len__(self) -> int:
        """Number of faces N behind the template."""
        return int(self.weights.size)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; :func:`faceset.templates.template_from_dict` reads them back."""
        return {
            "vector": [float(v) for v in self.vector],
            "model_id": self.model_id,
            "aggregator": self.aggregator,
            "consistency": round(float(self.consistency), 6),
            "face_count": len(self),
            "weights": [float(w) for w in self.weights],
            "faces": [f.to_dict() for f in self.faces],
            "left_out": list(self.left_out),
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to "is this the same person?".

    Attributes:
        score: cosine similarity of the two templates, in -1..1, higher = same.
        threshold: accept when ``score >= threshold``.
        threshold_source: where the threshold comes from.
        same: the answer.
        faces: number of faces behind the first and the second template.
        model_id: id of the embedder.
        aggregator: name of the aggregator, or both names joined by ``/`` where they differ.
        left_out: sentences on what was seen in either source and not used, and why.
    """

    score: float
    threshold: float
    threshold_source: str
    faces: tuple[int, int]
    model_id: str
    aggregator: str
    left_out: tuple[str, ...] = ()
    same: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "same", self.score >= self.threshold)

    def __bool__(self) -> bool:
        """The answer, so that ``if r.compare(a, b):`` reads as it should."""
        return self.same

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "same": self.same,
            "score": round(self.score, 6),
            "threshold": round(self.threshold, 6),
            "threshold_source": self.threshold_source,
            "faces": list(self.faces),
            "model_id": self.model_id,
            "aggregator": self.aggregator,
            "left_out": list(self.left_out),
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """One enrolled person and how much a probe resembles them."""

    name: str
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"name": self.name, "score": round(self.score, 6)}


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Who one face set (a track of a video, or a face of a still) is.

    Attributes:
        name: the enrolled person, or None for somebody unknown.
        score: similarity to the best candidate; None when the gallery is empty.
        threshold, threshold_source: see :class:`Decision`.
        candidates: the k best, best first, whether or not they reach the threshold.
        template: the probe template, with its faces and weights.
        media: name of the medium; track, shot: see :class:`FaceSet`.
        start, end: seconds.
    """

    name: str | None
    score: float | None
    threshold: float
    threshold_source: str
    candidates: tuple[Candidate, ...]
    template: Template
    media: str
    track: int
    shot: int
    start: float
    end: float

    @property
    def known(self) -> bool:
        """Whether somebody enrolled was recognised."""
        return self.name is not None

    @property
    def faces(self) -> int:
        """Number of faces in the track."""
        return len(self.template)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the template's vector is left out."""
        return {
            "media": self.media,
            "track": self.track,
            "shot": self.shot,
            "start": round(self.start, 4),
            "end": round(self.end, 4),
            "name": self.name,
            "score": None if self.score is None else round(self.score, 6),
            "threshold": round(self.threshold, 6),
            "threshold_source": self.threshold_source,
            "faces": self.faces,
            "candidates": [c.to_dict() for c in self.candidates],
        }

    def __str__(self) -> str:
        """One line for people."""
        who = self.name if self.name is not None else "unknown"
        score = "-" if self.score is None else f"{self.score:.3f}"
        return f"{self.media} {self.start:.2f}-{self.end:.2f} s: {who} (score {score}, {self.faces} faces)"


def check_image(image: object, name: str = "image") -> Image:
    """Return ``image`` when it is RGB uint8 (H, W, 3).

    Raises:
        InputError: it is anything else.
    """
    if not isinstance(image, np.ndarray):
        raise InputError(f"{name} must be a NumPy array (H, W, 3) of uint8, but got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"{name} must be RGB uint8 (H, W, 3), but got {image.dtype} {image.shape}")
    return image


def finite_array(values: npt.ArrayLike, name: str, shape: Sequence[int | None]) -> Floats:
    """``values`` as a read-only float32 array of the given shape (None = any length), all of it finite.

    Raises:
        InputError: another shape, or NaN or infinity in it.
    """
    array = np.array(values, dtype=np.float32)
    wanted = "(" + ", ".join("_" if s is None else str(s) for s in shape) + ")"
    if array.ndim != len(shape) or any(s is not None and s != n for s, n in zip(shape, array.shape, strict=True)):
        raise InputError(f"{name} must have shape {wanted}, but got {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{name} holds NaN or infinity; leave such values out before they get here")
    array.setflags(write=False)
    return array
