"""Boxes against boxes, all pairs at once. Boxes are (n, 4) float64 ``xyxy`` pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


def place_cost(a: Doubles, b: Doubles) -> Doubles:
    """(A, B) ``(1 - GIoU) / 2``: 0 for equal boxes, 0.5 for two that touch in a row, towards 1 far apart.

    GIoU is the intersection over the union, less the share of the enclosing box that neither covers.
    """
    inner = _size(np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:]))
    outer = _size(np.minimum(a[:, None, :2], b[None, :, :2]), np.maximum(a[:, None, 2:], b[None, :, 2:]))
    union = area(a)[:, None] + area(b)[None, :] - inner
    cost: Doubles = (1.0 - (inner / union - (outer - union) / outer)) / 2.0
    return cost


def distance(a: Doubles, b: Doubles) -> Doubles:
    """(A, B) distance of the centres in units of the mean side of the two boxes."""
    between = centres(a)[:, None] - centres(b)[None]
    side = (np.sqrt(area(a))[:, None] + np.sqrt(area(b))[None, :]) / 2.0
    length: Doubles = np.hypot(between[..., 0], between[..., 1]) / side
    return length


def growth(a: Doubles, b: Doubles) -> Doubles:
    """(A, B) ratio of the sides, >= 1 whichever is larger."""
    ratio: Doubles = np.exp(np.abs(np.log(area(a))[:, None] - np.log(area(b))[None, :]) / 2.0)
    return ratio


def centres(boxes: Doubles) -> Doubles:
    """(n, 2)."""
    middle: Doubles = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    return middle


def area(boxes: Doubles) -> Doubles:
    """(n,) square pixels."""
    return _size(boxes[:, :2], boxes[:, 2:])


def _size(low: Doubles, high: Doubles) -> Doubles:
    sides = np.maximum(high - low, 0.0)
    product: Doubles = sides[..., 0] * sides[..., 1]
    return product
