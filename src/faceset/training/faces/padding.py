"""Crops with more of the picture around them, so that a turned or shifted crop can be cut from what is stored."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from faceset.alignment import Geometry, align, geometry
from faceset.types import Image

SHARE = 0.12
"""Padding of each side, as a share of the longer side of the crop."""


def pad_of(name: str | Geometry) -> int:
    """Pixels of padding on each side of a crop.

    >>> pad_of("arcface112"), pad_of("dlib150")
    (14, 18)
    """
    return math.ceil(SHARE * max(geometry(name).size))


def padded_size(name: str | Geometry) -> tuple[int, int]:
    """Height and width of the padded crop."""
    height, width = geometry(name).size
    pad = pad_of(name)
    return height + 2 * pad, width + 2 * pad


def padded_crop(image: Image, landmarks: npt.ArrayLike, name: str | Geometry) -> Image:
    """The padded crop of one face; its centre is :func:`faceset.alignment.align`'s crop, byte for byte.

    The whole is cut at the scale of the crop; then the crop itself, cut alone, takes the place of the centre. The two
    agree to a tenth of a pixel: where a picture is halved first, its grid depends on what is cut out.

    Args:
        image: RGB uint8 (H, W, 3).
        landmarks: (P, 2) pixels of ``image``, of the geometry's scheme.
        name: of the geometry.

    Returns:
        RGB uint8 of :func:`padded_size`; black outside the picture.

    Raises:
        InputError: the landmarks are degenerate.
    """
    geo, pad = geometry(name), pad_of(name)
    (height, width), points = geo.size, np.array(geo.points) + pad
    larger = dataclasses.replace(
        geo, name=f"{geo.name}+{pad}", size=padded_size(geo), points=tuple((float(x), float(y)) for x, y in points)
    )
    crop = align(image, landmarks, larger, scheme=geo.scheme)
    crop[pad : pad + height, pad : pad + width] = align(image, landmarks, geo, scheme=geo.scheme)
    return crop


def centre(padded: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The middle ``size`` (height, width) of padded crops (..., H, W, 3): a view."""
    top, left = ((padded.shape[k - 3] - size[k]) // 2 for k in (0, 1))
    return padded[..., top : top + size[0], left : left + size[1], :]
