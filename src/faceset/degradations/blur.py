"""Loss of sharpness: camera shake, wrong focus, too few pixels."""

from __future__ import annotations

import cv2
import numpy as np

from faceset.degradations._common import check, from_linear, to_linear
from faceset.types import Floats, Image

SHAKE = 0.30
DEFOCUS = 0.10
LINES_LEFT = 8


def motion_blur(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Camera shake: light smeared evenly along a straight line of random direction.

    ``strength`` is the length of the line in units of 0.30 H. See :mod:`faceset.degradations` for arguments and errors.
    """
    image, strength = check(image, strength, rng)
    angle = rng.uniform(0, np.pi)
    if strength == 0:
        return image.copy()
    return _spread(image, line_kernel(strength * SHAKE * image.shape[0], angle))


def defocus_blur(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Wrong focus: every point becomes an even disc.

    ``strength`` is the radius of the disc in units of 0.10 H. See :mod:`faceset.degradations` for arguments and errors.
    """
    image, strength = check(image, strength, rng)
    if strength == 0:
        return image.copy()
    return _spread(image, disc_kernel(strength * DEFOCUS * image.shape[0]))


def low_resolution(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """A far face: the picture is made smaller by averaging over areas, then enlarged to its size.

    The number of lines left falls geometrically from H to 8: ``H ** (1 - strength) * 8 ** strength``. A picture of 8
    lines or fewer stays as it is. See :mod:`faceset.degradations` for arguments and errors.
    """
    image, strength = check(image, strength, rng)
    if strength == 0:
        return image.copy()
    height, width = image.shape[:2]
    factor = min(1.0, LINES_LEFT / height) ** strength
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def line_kernel(length: float, angle: float) -> Floats:
    """Line of ``length`` pixels at ``angle`` radians (0 = to the right, counter-clockwise), sum 1, odd square.

    Points along the line are shared among their four neighbours, so that fractions of a pixel count.
    """
    reach = int(np.ceil(length / 2)) + 1
    along = (np.arange(n := 8 * int(np.ceil(length)) + 8) + 0.5) / n - 0.5
    x = along * length * np.cos(angle) + reach
    y = -along * length * np.sin(angle) + reach
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - x0, y - y0
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for dy, wy in ((0, 1 - fy), (1, fy)):
        for dx, wx in ((0, 1 - fx), (1, fx)):
            np.add.at(kernel, (y0 + dy, x0 + dx), wx * wy)
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def disc_kernel(radius: float) -> Floats:
    """Disc of ``radius`` pixels with a smooth rim, sum 1, odd square."""
    reach = int(np.ceil(radius)) + 1
    fine = 8  # sub-pixels a side; their mean is the share of the pixel inside the disc
    axis = (np.arange((2 * reach + 1) * fine) + 0.5) / fine - reach - 0.5
    inside = (axis[:, None] ** 2 + axis[None, :] ** 2 <= radius**2).astype(np.float64)
    side = 2 * reach + 1
    kernel = inside.reshape(side, fine, side, fine).mean(axis=(1, 3))
    if kernel.sum() == 0:  # smaller than a sub-pixel
        kernel[reach, reach] = 1
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def _spread(image: Image, kernel: Floats) -> Image:
    # Light adds up before the camera's gamma: highlights smear, as they do on a sensor.
    light = cv2.filter2D(to_linear(image), -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return from_linear(np.asarray(light, dtype=np.float32))
