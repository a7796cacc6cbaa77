"""Turning decoded frames upright by the display matrix that phones write instead of rotating the pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from faceset.types import Image


@dataclass(frozen=True, slots=True)
class Orientation:
    """A turn by a multiple of 90 degrees, with or without mirroring: swap the axes first, then flip."""

    swap: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def view(self, image: Image) -> Image:
        """The picture upright, as a view of the same memory."""
        if self.swap:
            image = image.transpose(1, 0, 2)
        rows = -1 if self.flip_y else 1
        columns = -1 if self.flip_x else 1
        return image[::rows, ::columns]


def from_display_matrix(matrix: bytes) -> Orientation | None:
    """Read FFmpeg's display matrix: nine int32 in the machine's order, a b u c d v x y w.

    It sends the pixel (p, q) to (a p + c q + x, b p + d q + y), x to the right and y down. None when the matrix is
    no multiple of a quarter turn, or is not a matrix.
    """
    if len(matrix) != 36:
        return None
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
    size = max(abs(v) for v in (a, b, c, d))
    straight = min(abs(a), abs(d)) > 0.9 * size and max(abs(b), abs(c)) < 0.1 * size
    turned = min(abs(b), abs(c)) > 0.9 * size and max(abs(a), abs(d)) < 0.1 * size
    if straight:
        return Orientation(False, a < 0, d < 0)
    if turned:
        return Orientation(True, c < 0, b < 0)
    return None


def from_rotation(degrees: float) -> Orientation:
    """The nearest quarter turn to a turn by ``degrees`` counterclockwise."""
    clockwise = round(-degrees / 90) % 4
    return Orientation(clockwise in (1, 3), clockwise in (1, 2), clockwise in (2, 3))
