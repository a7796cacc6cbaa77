"""Faces where no detector saw one: boxes placed by a rule, and points at their usual places in a box.

Protocols score every pair, so a picture whose face is not detected needs a feature all the same. The rows of such
faces have score 0, and their number is part of every report.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from faceset.alignment import similarity_transform
from faceset.errors import InputError
from faceset.pipeline import Pipeline
from faceset.types import Box, Face, Image

WIDTH, HEIGHT = 0.37, 0.50
"""Size of the central box, in the shorter side of the picture: the medians of MTCNN's boxes in LFW deep-funneled
(every 20th picture, 662 faces: width 0.372, height 0.500, centre at 0.494 and 0.505 of the picture)."""

CENTRE_RULE = f"a central box {WIDTH:.2f} wide and {HEIGHT:.2f} high, in shorter sides of the picture"
"""For reports."""

PLACES = ((0.275, 0.384), (0.725, 0.384), (0.5, 0.58), (0.3, 0.753), (0.7, 0.753))
"""Mean places of the points of scheme ``arcface5`` in MTCNN's boxes of the same 662 faces, in widths and heights of the
box; left and right made even."""


def central_box(image: Image) -> Box:
    """x0, y0, x1, y1 of the central box of a picture (H, W, 3)."""
    height, width = image.shape[:2]
    side = min(height, width)
    half_width, half_height = WIDTH * side / 2, HEIGHT * side / 2
    return (width / 2 - half_width, height / 2 - half_height, width / 2 + half_width, height / 2 + half_height)


def placed(box: Box) -> Face:
    """A face in a box, score 0, with the points of scheme ``arcface5`` at their mean places."""
    x0, y0, x1, y1 = box
    points = np.array([x0, y0]) + np.array(PLACES) * np.array([x1 - x0, y1 - y0])
    return Face(box, 0.0, points.astype(np.float32), "arcface5")


def box_around(points: npt.NDArray[np.floating]) -> Box:
    """The upright box in which points (5, 2) of scheme ``arcface5`` are closest to their mean places.

    Raises:
        InputError: the points coincide.
    """
    size = np.array([WIDTH, HEIGHT])
    fitted = similarity_transform(np.array(PLACES) * size, points)
    scale = float(np.hypot(fitted[0, 0], fitted[1, 0]))
    x, y = fitted[:, :2] @ (size / 2) + fitted[:, 2]
    half = size * scale / 2
    return (float(x - half[0]), float(y - half[1]), float(x + half[0]), float(y + half[1]))


def check_placeable(pipeline: Pipeline) -> None:
    """Refuse models for which a face cannot be placed.

    Raises:
        InputError: the crop takes points of another scheme straight from the detector.
    """
    scheme = pipeline.detector.scheme
    if pipeline.landmarker is None and scheme != "arcface5":
        raise InputError(
            f"faces are placed with points of scheme 'arcface5', but detector {pipeline.detector.name!r} gives "
            f"{scheme!r}; choose the detector mtcnn or yunet, or skip undetected faces"
        )
