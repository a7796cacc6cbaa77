"""Smaller copies of a picture, for searching at many scales and for cutting out windows at a small size."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from faceset.detection.boxes import Boxes
from faceset.types import Floats, Image

GREY = 127
"""What lies beyond the border of a picture: the value that the networks' normalisation turns into 0."""


class Pyramid:
    """A picture with its copies at 1/2, 1/4, ... of the size.

    They are averaged over 2x2 pixels, so that whatever is taken from the copy just larger than needed shows no
    aliasing, and costs little however large the picture is.
    """

    def __init__(self, image: Image, smallest: int = 24) -> None:
        """Halve ``image`` until the next copy's short side would be under ``smallest`` pixels."""
        self.height, self.width = image.shape[:2]
        self._copies = [image]
        while min(image.shape[:2]) // 2 >= smallest:
            height, width = image.shape[:2]
            image = _resize(image, width // 2, height // 2)
            self._copies.append(image)

    def scaled(self, width: int, height: int) -> Image:
        """The whole picture at another, not larger, size."""
        # From a copy at least 1.5 times as large: an average over fewer pixels than that is uneven.
        source = self._copies[0]
        for copy in self._copies[1:]:
            if copy.shape[1] < 1.5 * width or copy.shape[0] < 1.5 * height:
                break
            source = copy
        return _resize(source, width, height)

    def cut(self, boxes: Boxes, side: int) -> Image:
        """Square windows, each scaled to ``side`` pixels.

        Args:
            boxes: (N, 4) squares; they may reach beyond the border, where the window is grey.
            side: width and height of the result.

        Returns:
            (N, side, side, 3) RGB uint8.
        """
        windows = np.empty((len(boxes), side, side, 3), np.uint8)
        width = boxes[:, 2] - boxes[:, 0]
        level = np.floor(np.log2(np.maximum(width / side, 1))).astype(int)
        level = np.minimum(level, len(self._copies) - 1)
        # Pixel u of the window has its centre at u + 1/2; that of the copy lies at index + 1/2 as well.
        size = np.array([[copy.shape[1], copy.shape[0]] for copy in self._copies])[level]  # (N, 2)
        ratio = size / np.array([self.width, self.height])
        step = ratio * (width / side)[:, None]
        start = ratio * boxes[:, :2] + step / 2 - 0.5
        maps = np.zeros((len(boxes), 2, 3))
        maps[:, 0, 0], maps[:, 1, 1] = step.T
        maps[:, :, 2] = start
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        for k, at in enumerate(level):
            cv2.warpAffine(
                self._copies[at],
                maps[k],
                (side, side),
                dst=windows[k],
                flags=flags,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=(GREY, GREY, GREY),
            )
        return windows


def network_input(images: Sequence[Image] | npt.NDArray[np.uint8]) -> Floats:
    """(n, 3, H, W) float32 0..255 from n pictures of one size."""
    stack = np.stack(list(images)) if not isinstance(images, np.ndarray) else images
    return np.ascontiguousarray(stack.transpose(0, 3, 1, 2), dtype=np.float32)


def _resize(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
