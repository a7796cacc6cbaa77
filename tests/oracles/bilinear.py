"""One crop pixel after the other, by the four neighbours."""

from __future__ import annotations

import math

import numpy as np


def crop(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Float (height, width, 3); a pixel with a neighbour outside is black."""
    out = np.zeros((*size, 3))
    for v in range(size[0]):
        for u in range(size[1]):
            x, y = matrix @ (u, v, 1)
            x0, y0 = math.floor(x), math.floor(y)
            if x0 < 0 or y0 < 0 or x0 + 1 >= image.shape[1] or y0 + 1 >= image.shape[0]:
                continue
            fx, fy = x - x0, y - y0
            four = image[y0 : y0 + 2, x0 : x0 + 2].astype(float)
            top, low = four[0, 0] * (1 - fx) + four[0, 1] * fx, four[1, 0] * (1 - fx) + four[1, 1] * fx
            out[v, u] = top * (1 - fy) + low * fy
    return out
