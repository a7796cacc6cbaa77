"""The face a picture is of, cut out as it is and made worse."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from faceset.alignment import align_face
from faceset.degradations import degrade, random_degradation
from faceset.embedding import Embedder
from faceset.extraction.config import ExtractConfig
from faceset.types import Face, Image

MARGIN = 0.25
"""How far beyond the crop a picture is degraded, as a share of its size: blur needs something to draw on."""


def central_face(faces: Sequence[Face], image: Image) -> Face | None:
    """The face a picture is of: the greatest (area - 2 x squared distance of its centre from the picture's centre).

    That is the rule by which LFW has been aligned since facenet (``align_dataset_mtcnn``).
    """
    height, width = image.shape[:2]

    def rank(face: Face) -> float:
        x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
        return float(face.area - 2.0 * ((x - width / 2) ** 2 + (y - height / 2) ** 2))

    return max(faces, key=rank, default=None)


def degraded_crops(
    image: Image, face: Face, embedder: Embedder, config: ExtractConfig, rng: np.random.Generator
) -> Iterator[tuple[str, float, Image]]:
    """``config.degrade`` degraded copies of one face: kind, strength, crop.

    The picture around the face is degraded, then cut with the landmarks of the clean one, so that quality varies and
    alignment does not.
    """
    x0, y0, x1, y1 = _region(image, face)
    region = np.ascontiguousarray(image[y0:y1, x0:x1])
    points = None if face.landmarks is None else face.landmarks - np.array([x0, y0], np.float32)
    shifted = face.replace(landmarks=points)
    for _ in range(config.degrade):
        kind, strength = random_degradation(rng, config.kinds, low=config.low, high=config.high)
        worse = degrade(region, kind, strength, rng)
        yield kind, strength, align_face(worse, shifted, embedder.geometry)


def generator(seed: int, medium: str, frame: int) -> np.random.Generator:
    """What the degradations of one face are drawn from, whenever it is its turn."""
    digest = hashlib.sha256(f"{medium}\0{frame}".encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])


def _region(image: Image, face: Face) -> tuple[int, int, int, int]:
    """The part of the picture that the crop is cut from, with a margin; at least a pixel, wherever the box lies."""
    size = max(face.width, face.height) * (1.0 + 2.0 * MARGIN)
    x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
    height, width = image.shape[:2]
    x0, y0 = min(width - 1, max(0, int(x - size))), min(height - 1, max(0, int(y - size)))
    return x0, y0, max(x0 + 1, min(width, int(x + size) + 1)), max(y0 + 1, min(height, int(y + size) + 1))
