"""From faces to rows: the crops of a face, as it is and made worse, and their features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from faceset.alignment import align_face
from faceset.embedding import Embedder
from faceset.extraction.config import ExtractConfig
from faceset.extraction.crops import degraded_crops, generator
from faceset.feature_table import CLEAN, FeatureRow
from faceset.pipeline import Pipeline
from faceset.types import Face, Floats, Frame, Image


class Cut(NamedTuple):
    """One crop on its way to a row."""

    subject: str
    medium: str
    face: Face
    kind: str
    strength: float
    crop: Image


def cut(frame: Frame, face: Face, subject: str, medium: str, pipeline: Pipeline, config: ExtractConfig) -> list[Cut]:
    """The crops of one face: as it is, then degraded.

    Raises:
        InputError: its landmarks coincide.
    """
    if pipeline.landmarker is not None:
        (face,) = pipeline.landmarker.landmark(frame.image, [face])
    face = face.replace(frame=frame.index, time=frame.time, media=frame.media)
    made = [Cut(subject, medium, face, CLEAN, 0.0, align_face(frame.image, face, pipeline.embedder.geometry))]
    rng = generator(config.seed, medium, frame.index)
    for kind, strength, crop in degraded_crops(frame.image, face, pipeline.embedder, config, rng):
        made.append(Cut(subject, medium, face, kind, strength, crop))
    return made


def rows(cuts: Sequence[Cut], embedder: Embedder, config: ExtractConfig) -> list[FeatureRow]:
    """The row of each crop."""
    features = features_of([c.crop for c in cuts], embedder, flip=config.flip)
    return [
        FeatureRow(
            subject=c.subject,
            medium=c.medium,
            vector=feature,
            box=c.face.box,
            score=c.face.score,
            landmarks=c.face.landmarks,
            frame=c.face.frame,
            time=c.face.time,
            kind=c.kind,
            strength=c.strength,
        )
        for c, feature in zip(cuts, features, strict=True)
    ]


def features_of(crops: Sequence[Image], embedder: Embedder, *, flip: bool) -> Floats:
    """(n, D) raw features; with ``flip`` the mean of those of each crop and of its mirror image."""
    features = embedder.embed(crops)
    if flip:
        features += embedder.embed([crop[:, ::-1] for crop in crops])
        features /= 2
    return features
