"""What is made of faces: a template, and the answers that templates give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from faceset.errors import EmptySetError, InputError
from faceset.types.checks import Floats, finite_array
from faceset.types.faces import Face


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
        far: the FAR that the threshold was calibrated for; None when that is not known.
        fpir: always None: two templates were compared, nobody was searched for.
    """

    score: float
    threshold: float
    threshold_source: str
    faces: tuple[int, int]
    model_id: str
    aggregator: str
    left_out: tuple[str, ...] = ()
    far: float | None = None
    fpir: float | None = None
    same: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "score", float(self.score))
        object.__setattr__(self, "same", self.score >= float(self.threshold))

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
            "far": self.far,
            "fpir": self.fpir,
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
        far: always None: the threshold is that of a search.
        fpir: the FPIR that the threshold was calibrated for; None when that is not known.
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
    far: float | None = None
    fpir: float | None = None

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
            "far": self.far,
            "fpir": self.fpir,
            "faces": self.faces,
            "candidates": [c.to_dict() for c in self.candidates],
        }

    def __str__(self) -> str:
        """One line for people."""
        who = self.name if self.name is not None else "unknown"
        score = "-" if self.score is None else f"{self.score:.3f}"
        return f"{self.media} {self.start:.2f}-{self.end:.2f} s: {who} (score {score}, {self.faces} faces)"
