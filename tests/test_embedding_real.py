"""Real faces: parity with dlib from crop and from picture, and two foreign embedders that must tell people apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import dlib
import numpy as np
import pytest

from faceset.alignment import align
from faceset.embedding import Embedder
from faceset.packs import store
from faceset.packs.installed import DLIB_POINTS, DLIB_RESNET, installed_file
from faceset.types import Floats

pytestmark = pytest.mark.data


def picture(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])


class DlibFaces(NamedTuple):
    pictures: list[np.ndarray]
    landmarks: list[np.ndarray]
    chips: list[np.ndarray]
    descriptors: np.ndarray


@pytest.fixture(scope="module")
def faces(data_dir: Path) -> DlibFaces:
    """40 LFW pictures through dlib alone: HOG, 5 points, chip, descriptor."""
    detector, predictor = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(installed_file(*DLIB_POINTS)))
    network = dlib.face_recognition_model_v1(str(installed_file(*DLIB_RESNET)))
    made = DlibFaces([], [], [], np.empty((0, 128)))
    descriptors = []
    for path in sorted((data_dir / "lfw").glob("*/*_0001.jpg"))[::130][:40]:
        image = picture(path)
        for box in list(detector(image, 0))[:1]:
            shape = predictor(image, box)
            made.pictures.append(image)
            made.landmarks.append(np.array([(p.x, p.y) for p in shape.parts()], np.float32))
            made.chips.append(dlib.get_face_chip(image, shape, 150))
            descriptors.append(network.compute_face_descriptor(made.chips[-1]))
    assert len(descriptors) >= 38
    return made._replace(descriptors=np.array(descriptors))


def test_the_same_crop_gives_the_same_numbers(faces: DlibFaces) -> None:
    found = Embedder.load().embed(faces.chips)
    np.testing.assert_allclose(found, faces.descriptors, rtol=0, atol=1e-5)
    assert 1.2 < np.median(np.linalg.norm(found, axis=1)) < 1.6  # raw: the norm is kept


def test_our_own_crop_gives_nearly_the_same_numbers(faces: DlibFaces) -> None:
    crops = [
        align(image, points, "dlib150", scheme="dlib5")
        for image, points in zip(faces.pictures, faces.landmarks, strict=True)
    ]
    distance = np.linalg.norm(Embedder.load().embed(crops) - faces.descriptors, axis=1)
    # 0.0005 with OpenCV 5; older versions place samples on a grid of 1/32 pixel: 0.004.
    assert np.median(distance) < 0.006
    assert distance.max() < 0.012


@pytest.fixture(scope="module")
def people(data_dir: Path, models_dir: Path) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """60 people with two LFW pictures each: picture and arcface5 points of its most central face, by YuNet."""
    detector = cv2.FaceDetectorYN.create(str(models_dir / "yunet_n_dynamic.onnx"), "", (250, 250), 0.6)
    found = []
    folders = [p for p in sorted((data_dir / "lfw").iterdir()) if (p / f"{p.name}_0002.jpg").is_file()]
    for folder in folders[:: len(folders) // 70]:
        pair = []
        for number in (1, 2):
            image = picture(folder / f"{folder.name}_000{number}.jpg")
            _, boxes = detector.detect(np.ascontiguousarray(image[:, :, ::-1]))
            if boxes is not None:
                face = min(boxes, key=lambda b: np.hypot(b[0] + b[2] / 2 - 125, b[1] + b[3] / 2 - 125))
                pair.append((image, face[4:14].reshape(5, 2)))
        if len(pair) == 2:
            found.append(pair)
    assert len(found) >= 60
    return found[:60]


OPTIONS: dict[str, dict[str, Any]] = {
    "mobilefacenet_arcface_112": {"crop": "arcface112", "colour": "RGB", "mean": 0, "std": 1},
    "mobilefacenet_sphere_112x96": {"crop": "sphere112x96", "colour": "RGB", "mean": 127.5, "std": 128},
}


def unit_features(embedder: Embedder, people: list[list[tuple[np.ndarray, np.ndarray]]]) -> Floats:
    """(people, 2, D) of unit length."""
    crops = [align(i, p, embedder.geometry, scheme="arcface5") for pair in people for i, p in pair]
    features = embedder.embed(crops).reshape(len(people), 2, -1)
    unit: Floats = features / np.linalg.norm(features, axis=2, keepdims=True)
    return unit


@pytest.mark.parametrize("name", list(OPTIONS))
def test_foreign_embedders_tell_people_apart(
    name: str,
    models_dir: Path,
    people: list[list[tuple[np.ndarray, np.ndarray]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FACESET_CACHE", str(tmp_path))
    store.import_model(models_dir / f"{name}.onnx", **OPTIONS[name])
    embedder = Embedder.load(name)
    unit = unit_features(embedder, people)
    scores = unit[:, 0] @ unit[:, 1].T
    genuine, impostor = np.diag(scores), scores[~np.eye(len(people), dtype=bool)]
    # Share of impostor scores below a genuine one, over all pairs of the two (the area under the ROC curve).
    area = (genuine[:, None] > impostor).mean()
    assert area > 0.995
    assert (scores.argmax(axis=1) == np.arange(len(people))).mean() > 0.95


@pytest.mark.parametrize("name", list(OPTIONS))
def test_a_swapped_colour_order_is_seen(
    name: str,
    models_dir: Path,
    people: list[list[tuple[np.ndarray, np.ndarray]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The right order scores genuine pairs higher than a picture in the right order against one in the wrong order.
    monkeypatch.setenv("FACESET_CACHE", str(tmp_path))
    source = models_dir / f"{name}.onnx"
    store.import_model(source, name="right", **OPTIONS[name])
    store.import_model(source, name="wrong", **{**OPTIONS[name], "colour": "BGR"})
    right, wrong = Embedder.load("right"), Embedder.load("wrong")
    assert right.model_id.split(":")[1] != wrong.model_id.split(":")[1]
    a, b = unit_features(right, people[:20]), unit_features(wrong, people[:20])
    same = (a * b).sum(axis=2)
    assert same.max() < 0.999
    assert (a[:, 0] * a[:, 1]).sum(axis=1).mean() > (a[:, 0] * b[:, 1]).sum(axis=1).mean() + 0.01
