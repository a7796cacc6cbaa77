"""Arithmetic on boxes: (N, 4) arrays of x0, y0, x1, y1 in pixels, edges not centres (a pixel is one wide)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float64]

_BLOCK = 128


def areas(boxes: Boxes) -> npt.NDArray[np.float64]:
    """(N,) square pixels; 0 for a box turned inside out."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(size[:, 0] * size[:, 1])


def suppress(
    boxes: Boxes,
    scores: npt.NDArray[np.floating],
    groups: npt.NDArray[np.integer],
    threshold: float,
    *,
    of_smaller: bool = False,
) -> npt.NDArray[np.intp]:
    """Greedy non-maximum suppression: the best box stands, and those that overlap it by more than the threshold fall.

    Args:
        boxes: (N, 4).
        scores: (N,).
        groups: (N,) boxes of different groups (pictures) never suppress each other.
        threshold: largest overlap two boxes that stand may have.
        of_smaller: overlap is intersection over the smaller area, instead of over the union.

    Returns:
        Indices of the boxes that stand, by falling score; equal scores in the order given.
    """
    order = np.argsort(-scores, kind="stable")
    boxes, groups, area = boxes[order], groups[order], areas(boxes)[order]
    left = np.arange(len(order))  # ranks not yet decided
    kept = []
    while len(left):
        # A block is settled by itself; what stands of it then fells the rest in one piece of arithmetic.
        block, left = left[:_BLOCK], left[_BLOCK:]
        over = _overlap(boxes, area, groups, block, block, of_smaller) > threshold
        stands = np.ones(len(block), bool)
        for k in range(len(block)):
            if stands[k]:
                stands[k + 1 :] &= ~over[k, k + 1 :]
        block = block[stands]
        kept.append(block)
        if len(left):
            left = left[~(_overlap(boxes, area, groups, block, left, of_smaller) > threshold).any(axis=0)]
    return order[np.concatenate(kept)] if kept else order


def _overlap(
    boxes: Boxes,
    area: npt.NDArray[np.float64],
    groups: npt.NDArray[np.integer],
    some: npt.NDArray[np.intp],
    others: npt.NDArray[np.intp],
    of_smaller: bool,
) -> npt.NDArray[np.float64]:
    """(len(some), len(others)) overlaps; 0 between groups and for empty boxes."""
    a, b = boxes[some, None], boxes[None, others]
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0) * (groups[some, None] == groups[None, others])
    first, second = area[some, None], area[None, others]
    whole = np.minimum(first, second) if of_smaller else first + second - shared
    overlap: npt.NDArray[np.float64] = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return overlap


def squared(boxes: Boxes) -> Boxes:
    """Squares of the same centres, as wide as the longer side."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def moved(boxes: Boxes, offsets: npt.NDArray[np.floating]) -> Boxes:
    """Each corner moved by (N, 4) offsets in fractions of its box's width and height."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(boxes + offsets * np.concatenate([size, size], axis=1))
