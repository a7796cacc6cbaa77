"""A camera that moves over a portrait, and light that changes: smooth, seeded paths."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from faceset.demo.portraits import Portrait
from faceset.types import Box, Image

FACE_SHARE = (0.28, 0.45)
"""Height of the face as a share of the view's height, at the far and the near end of the zoom."""
ZOOM = 1.25
"""Where the portrait is too small for the far end, the camera stays nearer and zooms by this factor."""


class Camera:
    """Pans, zooms, rolls and changes its exposure over one portrait, and never looks past its border.

    Args:
        portrait: what is filmed.
        size: width and height of the view in pixels.
        rng: draws the path; two cameras from equal generators film the same.
    """

    def __init__(self, portrait: Portrait, size: tuple[int, int], rng: np.random.Generator) -> None:
        self.portrait = portrait
        self.size = size
        self._pan_x, self._pan_y = _Wave(rng, 0.09), _Wave(rng, 0.06)
        self._roll = _Wave(rng, np.deg2rad(7))
        self._zoom = _Wave(rng, 0.5)
        self._stops, self._gamma, self._warmth = _Wave(rng, 0.45), _Wave(rng, 0.12), _Wave(rng, 0.12)

    def matrix(self, time: float) -> npt.NDArray[np.float64]:
        """Affine transform (2, 3) from portrait pixels to pixels of the view at ``time`` seconds."""
        width, height = self.size
        rows, columns = self.portrait.image.shape[:2]
        x0, y0, x1, y1 = self.portrait.face
        # the upright box around the tilted view must fit into the portrait
        widest = self._roll.reach
        need = _turned(width, height, widest)
        far, near = (share * height / (y1 - y0) for share in FACE_SHARE)
        far = max(far, need[0] / (columns - 1), need[1] / (rows - 1))
        near = max(near, ZOOM * far)
        scale = far * (near / far) ** (0.5 + self._zoom(time))
        roll = self._roll(time)
        turn = scale * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
        # the face a little above the middle, as portraits are framed
        target = np.array([(0.5 + self._pan_x(time)) * width, (0.45 + self._pan_y(time)) * height])
        middle = np.array([width, height]) / 2
        looked_at = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + np.linalg.solve(turn, middle - target)
        half = _turned(width, height, roll) / (2 * scale)
        looked_at = np.clip(looked_at, half, np.array([columns - 1, rows - 1]) - half)
        return np.column_stack([turn, middle - turn @ looked_at])

    def picture(self, time: float) -> Image:
        """What the camera sees, RGB uint8 of its size."""
        view = cv2.warpAffine(
            self.portrait.image, self.matrix(time), self.size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(cv2.LUT(view, self._light(time)), dtype=np.uint8)

    def face(self, time: float) -> Box:
        """Upright box around the face in the view, xyxy pixels."""
        x0, y0, x1, y1 = self.portrait.face
        corners = np.array([[x0, y0, 1], [x1, y0, 1], [x1, y1, 1], [x0, y1, 1]]) @ self.matrix(time).T
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    def _light(self, time: float) -> Image:
        """Table (1, 256, 3) of bytes to bytes: gain in stops, gamma, and colour temperature (red against blue)."""
        warmth = self._warmth(time)
        gain = 2.0 ** self._stops(time) * np.array([1 + warmth, 1.0, 1 - warmth])
        light = (np.arange(256)[:, None] / 255) ** (2.2 * (1 + self._gamma(time))) * gain
        table = np.rint(255 * np.clip(light, 0, 1) ** (1 / 2.2))
        return np.asarray(table[None], dtype=np.uint8)


def _turned(width: float, height: float, angle: float) -> npt.NDArray[np.float64]:
    """Width and height of the upright box around a rectangle turned by ``angle`` radians."""
    c, s = abs(np.cos(angle)), abs(np.sin(angle))
    return np.array([width * c + height * s, width * s + height * c])


class _Wave:
    """A smooth function of time within plus or minus ``reach``: two slow sines of random rate and phase."""

    def __init__(self, rng: np.random.Generator, reach: float) -> None:
        self.reach = reach
        self.rates = 2 * np.pi * rng.uniform([0.10, 0.25], [0.25, 0.45])
        self.phases = rng.uniform(0, 2 * np.pi, size=2)

    def __call__(self, time: float) -> float:
        return float(self.reach * np.array([0.7, 0.3]) @ np.sin(self.rates * time + self.phases))
