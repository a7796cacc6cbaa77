"""dlib's five points on the faces of any detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np
import pytest
from portraits import collins, hopper

from faceset import detection
from faceset.detection.landmarks import SHIFT, SIDE, Dlib5, Landmarker, hog_box, roll_of
from faceset.errors import InputError, ModelFileError
from faceset.packs import installed
from faceset.types import LANDMARK_SCHEMES, Face


@cache
def predictor() -> Dlib5:
    return Dlib5()


@cache
def dlib_parts() -> tuple[Any, Any]:
    """dlib's detector and its predictor."""
    path = installed.installed_file(*installed.DLIB_POINTS)
    return dlib.get_frontal_face_detector(), dlib.shape_predictor(str(path))


def dlibs_own(image: np.ndarray) -> list[np.ndarray]:
    """Points of every face as dlib gives them on its own boxes, largest score first."""
    detect, predict = dlib_parts()
    boxes, _, _ = detect.run(image, 0, 0.0)
    return [np.array([(p.x, p.y) for p in predict(image, box).parts()], float) for box in boxes]


def eye_distance(points: np.ndarray) -> float:
    """Between the middles of the eyes of scheme dlib5."""
    return float(np.linalg.norm((points[0] + points[1] - points[2] - points[3]) / 2))


def error(found: Face, wanted: np.ndarray) -> float:
    """Mean distance of the points in fractions of the eye distance."""
    assert found.landmarks is not None
    return float(np.linalg.norm(found.landmarks - wanted, axis=1).mean() / eye_distance(wanted))


def turned(image: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture turned about its centre, and the map (2, 3) of its points."""
    height, width = image.shape[:2]
    move = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.8)
    return cv2.warpAffine(image, move, (width, height), borderMode=cv2.BORDER_REFLECT), move


def arcface5(degrees: float = 0.0) -> np.ndarray:
    """Five points of an upright frontal face, turned clockwise as seen."""
    points = np.array([[-20, -20], [20, -20], [0, 0], [-15, 20], [15, 20]], float)
    angle = np.deg2rad(degrees)
    return points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize("portrait", [collins, hopper])
def test_on_hogs_box_the_points_are_dlibs_own(portrait: Callable[[], np.ndarray]) -> None:
    assert isinstance(predictor(), Landmarker)
    picture = portrait()
    faces = detection.get("hog").detect([picture])[0]
    (found,) = predictor().landmark(picture, faces)
    assert found.scheme == "dlib5"
    assert found.box == faces[0].box
    assert np.array_equal(found.landmarks, dlibs_own(picture)[0])


@pytest.mark.parametrize("portrait", [collins, hopper])
def test_on_mtcnns_faces_the_points_are_nearly_dlibs_own(portrait: Callable[[], np.ndarray]) -> None:
    picture = portrait()
    (found,) = predictor().landmark(picture, detection.get().detect([picture])[0])
    assert error(found, dlibs_own(picture)[0]) < 0.03


def test_no_faces_give_no_faces() -> None:
    assert predictor().landmark(collins(), []) == []


@pytest.mark.parametrize("degrees", [-60, -40, -24, 15, 26, 45])
def test_turned_faces_are_landmarked_as_upright_ones(degrees: float) -> None:
    image = collins()
    (wanted,) = dlibs_own(image)
    around, move = turned(image, degrees)
    (face,) = detection.get(onet_threshold=0.5).detect([image])[0][:1]
    assert face.landmarks is not None
    # The detector has limits of its own on turned faces, so its points are turned with the picture.
    points = face.landmarks @ move[:, :2].T + move[:, 2]
    (found,) = predictor().landmark(around, [face.replace(landmarks=points)])
    assert error(found, wanted @ move[:, :2].T + move[:, 2]) < 0.06


def test_a_face_turned_over_at_the_border_is_taken() -> None:
    face = Face((-30, -30, 30, 30), 1.0, arcface5(180).astype(np.float32), "arcface5")
    (found,) = predictor().landmark(collins(), [face])
    assert found.landmarks is not None
    assert found.landmarks.shape == (5, 2)


def test_the_box_follows_the_points_by_hand() -> None:
    points = arcface5() + np.array([100, 200])
    spread = np.sqrt((4 * 20**2 + 2 * 20**2 + 2 * 15**2) / 5)  # the mean is the nose
    wanted = [100 + (SHIFT[0] - SIDE / 2) * spread, 200 + (SHIFT[1] - SIDE / 2) * spread]
    wanted += [wanted[0] + SIDE * spread, wanted[1] + SIDE * spread]
    np.testing.assert_allclose(hog_box(points), wanted)
    np.testing.assert_allclose(hog_box(3 * points + 7), 3 * np.array(wanted) + 7)


@pytest.mark.parametrize("degrees", [-170, -90, -30, 0, 10, 45, 120, 180])
def test_roll_by_hand(degrees: float) -> None:
    assert np.rad2deg(roll_of(arcface5(degrees))) == pytest.approx(degrees)
    profile = arcface5(degrees)
    profile[[1, 4]] = profile[[0, 3]]  # from the side, eyes and mouth corners coincide
    assert abs(np.rad2deg(roll_of(profile)) - degrees) < 8


def test_points_of_another_landmarker_are_replaced_from_the_box() -> None:
    faces = detection.get("hog").detect([collins()])[0]
    once = predictor().landmark(collins(), faces)
    twice = predictor().landmark(collins(), once)
    assert np.array_equal(once[0].landmarks, twice[0].landmarks)


def test_eight_threads_get_what_one_gets() -> None:
    faces = detection.get().detect([collins()])[0]
    (wanted,) = predictor().landmark(collins(), faces)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: predictor().landmark(collins(), faces)[0], range(64)))
    assert all(np.array_equal(face.landmarks, wanted.landmarks) for face in found)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(InputError, match=r"image must be RGB uint8 \(H, W, 3\)"):
        predictor().landmark(collins()[..., 0], [])


def test_points_of_a_scheme_without_a_rule_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LANDMARK_SCHEMES, "two", 2)
    face = Face((0, 0, 9, 9), 1.0, np.zeros((2, 2), np.float32), "two")
    with pytest.raises(InputError, match="faces with landmarks of scheme 'two' cannot be given those of 'dlib5'"):
        predictor().landmark(collins(), [face])


def test_a_damaged_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "DLIB_POINTS", installed.DLIB_POINTS._replace(sha256="0" * 64))
    with pytest.raises(ModelFileError, match="shape_predictor_5_face_landmarks.dat is damaged"):
        Dlib5()


def lfw(data_dir: Path, step: int) -> Iterator[np.ndarray]:
    for path in sorted((data_dir / "lfw").glob("*/*.jpg"))[::step]:
        yield np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def nearest(faces: list[Face], points: np.ndarray) -> Face | None:
    """The face around the middle of the points."""
    x, y = points.mean(axis=0)
    inside = [f for f in faces if f.box[0] < x < f.box[2] and f.box[1] < y < f.box[3]]
    return inside[0] if inside else None


@pytest.mark.data
@pytest.mark.parametrize("name", ["mtcnn", "yunet"])
def test_points_on_lfw_agree_with_hogs(name: str, data_dir: Path, models_dir: Path) -> None:
    options = {"path": models_dir / "yunet_n_dynamic.onnx"} if name == "yunet" else {}
    detector = detection.get(name, **options)
    errors = []
    for image in lfw(data_dir, 250):
        faces = detector.detect([image])[0]
        for wanted in dlibs_own(image):
            face = nearest(faces, wanted)
            if face is not None:
                errors.append(error(predictor().landmark(image, [face])[0], wanted))
    assert len(errors) > 40
    assert np.median(errors) < 0.008
    assert np.quantile(errors, 0.9) < 0.025
