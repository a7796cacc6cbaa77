"""Landmarkers: points on faces that a detector has found. dlib's 5-point predictor works on any detector's faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import dlib
import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.packs import installed
from faceset.types import Face, Floats, Image, check_image

_Points = npt.NDArray[np.float64]


@runtime_checkable
class Landmarker(Protocol):
    """Puts points on faces. One may be used by many threads at once."""

    @property
    def scheme(self) -> str:
        """Landmark scheme of its points."""
        ...

    def landmark(self, image: Image, faces: Sequence[Face]) -> list[Face]:
        """The same faces in the same order with other landmarks.

        Args:
            image: RGB uint8 (H, W, 3), the picture the faces were found in.
            faces: with the boxes, and where there are any the points, of one detector or several.

        Raises:
            InputError: ``image`` is no such picture.
        """
        ...


# dlib's predictor starts from a box as dlib's HOG detector draws it. For a face with five points of scheme arcface5
# that box is foretold from the points: with s the root mean square distance of the points from their mean, it is a
# square of side SIDE * s around mean + SHIFT * s. The points are used and not the detector's box because they leave
# less unexplained (the centre to 2 % of the side, where the box leaves 6 %) and are the same for every detector.
# Fit by benchmarks/landmark_boxes.py, medians over 442 LFW faces of MTCNN's points (3.92, -0.13, -0.06) and of YuNet's
# (3.95, -0.15, -0.09); median residual of the side 4 and 6 %, of the centre 2 %. On 441 other faces the landmarks are
# 0.005 inter-ocular distances (median) from those on HOG's own box, no more than when HOG's box is moved by 3 %.
SIDE = 3.93
SHIFT = (-0.14, -0.07)

# The predictor has seen upright faces. From this roll on it looks at a picture turned upright: on turned LFW
# pictures the error (as above) is equal up to 20 degrees, and 0.026 against 0.014 at 40.
_MAX_ROLL = np.deg2rad(25)


class Dlib5:
    """dlib's 5-point predictor (scheme ``dlib5``).

    Faces with points of ``arcface5`` get the box that HOG would have drawn, and are turned upright where they need it;
    faces without points are taken as HOG's.
    """

    scheme = "dlib5"

    def __init__(self) -> None:
        """Load the predictor from the package ``face_recognition_models``.

        Raises:
            ModelFileError: its file is missing or damaged.
        """
        self._predictor = dlib.shape_predictor(str(dlib5_model_path()))

    def landmark(self, image: Image, faces: Sequence[Face]) -> list[Face]:
        """See :class:`Landmarker`.

        Raises:
            InputError: ``image`` is no RGB picture, or a face carries points of another scheme.
        """
        pixels = np.ascontiguousarray(check_image(image))
        return [face.replace(landmarks=self._points(pixels, face), scheme=self.scheme) for face in faces]

    def _points(self, image: Image, face: Face) -> Floats:
        if face.landmarks is None or face.scheme == self.scheme:
            return self._predict(image, np.array(face.box)).astype(np.float32)
        if face.scheme != "arcface5":
            raise InputError(f"faces with landmarks of scheme {face.scheme!r} cannot be given those of {self.scheme!r}")
        points = face.landmarks.astype(np.float64)
        roll = roll_of(points)
        if abs(roll) <= _MAX_ROLL:
            return self._predict(image, hog_box(points)).astype(np.float32)
        upright, back = _turned(image, points, roll)
        there = _moved(points, cv2.invertAffineTransform(back))
        return _moved(self._predict(upright, hog_box(there)), back).astype(np.float32)

    def _predict(self, image: Image, box: _Points) -> _Points:
        """(5, 2) whole pixels from a box; dlib counts right and bottom as the last pixel inside."""
        x0, y0, x1, y1 = (int(v) for v in np.round(box))
        found = self._predictor(image, dlib.rectangle(x0, y0, x1 - 1, y1 - 1))
        return np.array([(point.x, point.y) for point in found.parts()], np.float64)


def dlib5_model_path() -> Path:
    """The predictor's file, verified.

    Raises:
        ModelFileError: it is missing or damaged.
    """
    return installed.installed_file(*installed.DLIB_POINTS)


def hog_box(points: npt.NDArray[np.floating]) -> _Points:
    """The box dlib's HOG detector would draw around a face with these points.

    Args:
        points: (5, 2) of scheme ``arcface5``, the face upright.

    Returns:
        (4,) x0, y0, x1, y1.
    """
    mean = points.mean(axis=0)
    spread = np.sqrt(((points - mean) ** 2).sum(axis=1).mean())
    centre = mean + np.array(SHIFT) * spread
    half = SIDE * spread / 2
    return np.concatenate([centre - half, centre + half])


def roll_of(points: npt.NDArray[np.floating]) -> float:
    """Angle in radians by which a face is turned in the plane, positive clockwise as seen, from -pi to pi.

    Args:
        points: (5, 2) of scheme ``arcface5``.
    """
    eyes, mouth = points[1] - points[0], points[4] - points[3]
    down = (points[3] + points[4] - points[0] - points[1]) / 2
    # Three vectors that point right on an upright face; of a profile only the last is long.
    right = eyes + mouth + np.array([down[1], -down[0]])
    return float(np.arctan2(right[1], right[0]))


def _turned(image: Image, points: _Points, roll: float) -> tuple[Image, npt.NDArray[np.float64]]:
    """A square around a face, turned upright, and the affine map (2, 3) from it back to the picture."""
    box = hog_box(points)
    side = int(np.ceil(1.8 * (box[2] - box[0]))) + 1
    cos, sin = np.cos(roll), np.sin(roll)
    turn = np.array([[cos, -sin], [sin, cos]])
    back = np.column_stack([turn, points.mean(axis=0) - turn @ np.full(2, (side - 1) / 2)])
    upright = cv2.warpAffine(
        image, back, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(upright, dtype=np.uint8), back


def _moved(points: _Points, affine: npt.NDArray[np.float64]) -> _Points:
    return np.asarray(points @ affine[:, :2].T + affine[:, 2])
