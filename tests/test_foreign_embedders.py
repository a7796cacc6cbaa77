"""Two embedders of other people, fed by the default detector: they tell people apart on LFW."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceset import detection
from faceset.alignment import align
from faceset.detection.landmarks import Dlib5
from faceset.embedding import Embedder
from faceset.media import open_media
from faceset.packs.store import import_model
from faceset.types import Face, Image

pytestmark = pytest.mark.data

PEOPLE = 40
IMPORTS = {
    "mobilefacenet_arcface_112": {"crop": "arcface112", "mean": 0.0, "std": 1.0},
    "mobilefacenet_sphere_112x96": {"crop": "sphere112x96", "mean": 127.5, "std": 128.0},
}


def off_centre(face: Face, image: Image) -> float:
    """How far the face is from the middle, in pixels."""
    height, width = image.shape[:2]
    return float(np.hypot((face.box[0] + face.box[2] - width) / 2, (face.box[1] + face.box[3] - height) / 2))


@pytest.fixture(scope="module")
def pairs(data_dir: Path) -> list[tuple[Image, Face]]:
    """Two pictures of each of 40 people, one after the other, with the most central face of each."""
    people = [sorted(p.glob("*.jpg")) for p in sorted((data_dir / "lfw").iterdir()) if p.is_dir()]
    chosen = [path for pictures in people if len(pictures) >= 2 for path in pictures[:2]][: 2 * PEOPLE]
    images = [next(iter(open_media(path).frames())).image for path in chosen]
    found = detection.get("mtcnn").detect(images)
    assert all(found), "every one of these pictures shows a face"
    return [
        (image, min(faces, key=lambda face: off_centre(face, image)))
        for image, faces in zip(images, found, strict=True)
    ]


def separation(features: np.ndarray) -> tuple[float, float]:
    """Area under the ROC of all pairs, and the share whose partner is the nearest."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    scores = unit @ unit.T
    np.fill_diagonal(scores, -np.inf)
    partner = np.arange(len(unit)) ^ 1
    genuine = scores[np.arange(len(unit)), partner]
    impostor = scores[(np.arange(len(unit))[:, None] // 2) != (np.arange(len(unit)) // 2)]
    auc = float((genuine[:, None] > impostor).mean())
    return auc, float((scores.argmax(axis=1) == partner).mean())


@pytest.mark.parametrize("file", IMPORTS)
def test_a_foreign_embedder_tells_people_apart(pairs: list[tuple[Image, Face]], models_dir: Path, file: str) -> None:
    name = f"lfw-{file}"
    import_model(models_dir / f"{file}.onnx", name=name, colour="RGB", **IMPORTS[file])
    embedder = Embedder.load(name)
    crops = [align(image, face.landmarks, embedder.geometry, scheme=face.scheme) for image, face in pairs]
    auc, rank1 = separation(embedder.embed(crops))
    assert auc > 0.995
    assert rank1 > 0.95
    swapped, _ = separation(embedder.embed([crop[..., ::-1] for crop in crops]))
    assert swapped <= auc


def test_the_default_embedder_does_too(pairs: list[tuple[Image, Face]]) -> None:
    embedder, landmarker = Embedder.load(), Dlib5()
    crops = []
    for image, face in pairs:
        (marked,) = landmarker.landmark(image, [face])
        crops.append(align(image, marked.landmarks, embedder.geometry, scheme=marked.scheme))
    features = embedder.embed(crops)
    assert 1.3 < np.median(np.linalg.norm(features, axis=1)) < 1.6  # raw features keep their norm
    auc, rank1 = separation(features)
    assert auc > 0.995
    assert rank1 > 0.95
