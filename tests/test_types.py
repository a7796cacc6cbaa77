"""The data classes: what they accept, what they refuse, and what they print."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders import face, track, unit

from faceset.errors import EmptySetError, InputError
from faceset.types import Candidate, Decision, Face, FaceSet, Frame, Match, Template, check_image


def template(**changes: object) -> Template:
    values = {
        "vector": unit(0.0),
        "model_id": "test:1",
        "aggregator": "mean",
        "weights": [0.25, 0.75],
        "consistency": 1.0,
    }
    return Template(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box": (0, 0, 0, 5)}, "x1 > x0"),
        ({"box": (0, 0, float("nan"), 5)}, "four finite numbers"),
        ({"score": -0.1}, "score must be finite and >= 0, but got -0.1"),
        ({"landmarks": np.zeros((5, 2))}, "landmarks and scheme come together"),
        ({"landmarks": np.zeros((4, 2)), "scheme": "dlib5"}, r"shape \(5, 2\), but got \(4, 2\)"),
        ({"landmarks": np.zeros((5, 2)), "scheme": "ibug68"}, "must be one of .*arcface5.*, but got 'ibug68'"),
        ({"feature": [1.0, float("nan")]}, "feature holds NaN or infinity"),
        ({"feature": [[1.0]]}, r"feature must have shape \(_\), but got \(1, 1\)"),
    ],
)
def test_a_face_is_checked_at_birth(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Face(**{"box": (0, 0, 10, 10), "score": 1.0, **changes})  # type: ignore[arg-type]


def test_a_face_keeps_its_norm_and_cannot_be_changed() -> None:
    one = face(0.3, norm=1.7)
    assert one.feature is not None
    assert np.linalg.norm(one.feature) == pytest.approx(1.7, abs=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        one.feature[0] = 1.0


def test_a_face_set_needs_faces_with_features_of_one_width() -> None:
    with pytest.raises(EmptySetError, match="at least one face"):
        FaceSet((), "test:1")
    with pytest.raises(InputError, match="feature of one width"):
        FaceSet((Face((0, 0, 1, 1), 1.0),), "test:1")
    with pytest.raises(InputError, match="feature of one width"):
        FaceSet((face(), face().replace(feature=np.ones(3))), "test:1")


def test_a_face_set_tells_its_span() -> None:
    one = track(0.0, 3, start=5)
    assert (len(one), one.start, one.end, one.features.shape) == (3, 1.0, 1.4, (3, 8))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"vector": 2 * unit(0.0)}, InputError, "unit length, but this vector has length 2"),
        ({"weights": [0.5, 0.6]}, InputError, "sum to 1, but they sum to 1.1"),
        ({"weights": [-0.5, 1.5]}, InputError, ">= 0"),
        ({"weights": []}, EmptySetError, "at least one face"),
        ({"faces": (face(),)}, InputError, "2 weights for 1 faces"),
    ],
)
def test_a_template_is_checked_at_birth(changes: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        template(**changes)


def test_a_template_drops_the_features_of_its_faces() -> None:
    made = template(faces=(face(), face()))
    assert [f.feature for f in made.faces] == [None, None]


def test_a_decision_is_its_answer_and_the_threshold_itself_is_accepted() -> None:
    at = Decision(0.9, 0.9, "test", (1, 2), "test:1", "mean")
    below = Decision(np.nextafter(0.9, 0.0), 0.9, "test", (1, 2), "test:1", "mean")
    assert at
    assert at.same
    assert not below


def test_everything_prints_as_json() -> None:
    match = Match("Ada", 0.95, 0.9, "test", (Candidate("Ada", 0.95),), template(), "a.mp4", 0, 1, 0.2, 1.4)
    for value in (template(faces=(face(), face())), match, track(0.0), Decision(0.9, 0.8, "test", (1, 1), "m", "mean")):
        assert json.loads(json.dumps(value.to_dict(), allow_nan=False))
    assert str(match) == "a.mp4 0.20-1.40 s: Ada (score 0.950, 2 faces)"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("a.jpg", "must be a NumPy array .* but got str"),
        (np.zeros((4, 4, 3)), r"RGB uint8 \(H, W, 3\), but got float64 \(4, 4, 3\)"),
        (np.zeros((4, 4), np.uint8), r"but got uint8 \(4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"but got uint8 \(0, 4, 3\)"),
    ],
)
def test_pictures_are_checked(image: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_image(image)


def test_a_frame_checks_its_picture() -> None:
    with pytest.raises(InputError, match="RGB uint8"):
        Frame(np.zeros((2, 2, 4), np.uint8))
