"""Aggregators without training, in the form of the learned ones, so that every comparison has them beside it.

::

    mean:  w_k = 1                     norm:  w_k = |x_k|^g
    ers:   w_k = max(min(1 - u . f_k, 1), floor)^p

ERS (Deng et al., "Harnessing unrecognizable faces", 2021): pictures in which a face cannot be recognised all fall near
one point ``u`` of the sphere, whoever is in them, and so the distance from ``u`` tells how recognisable a face is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from faceset.errors import InputError
from faceset.training.aggregators.base import Aggregator, Faces, masked_softmax, weighted
from faceset.types import Floats, finite_array

FLOOR = 1e-3
"""Least distance from the centroid: a face at the centroid itself keeps a little weight, so that no set loses all."""


class Mean(Aggregator):
    """The mean of the unit features."""

    def pool(self, faces: Faces) -> tuple[Tensor, Tensor]:
        """See :class:`Aggregator`."""
        a = masked_softmax(torch.zeros_like(faces.norms), faces.mask)
        return weighted(a, faces.units), a


class Norm(Aggregator):
    """Unit features weighted by a power of the norm.

    Args:
        dim: D.
        power: g.
    """

    def __init__(self, dim: int, power: float = 1.0) -> None:
        super().__init__(dim)
        self.power = power

    def pool(self, faces: Faces) -> tuple[Tensor, Tensor]:
        """See :class:`Aggregator`."""
        a = masked_softmax(self.power * faces.norms.clamp_min(1e-12).log(), faces.mask)
        return weighted(a, faces.units), a


class Ers(Aggregator):
    """Recognisability: distance from the centroid of unrecognisable faces.

    Args:
        dim: D.
        power: p.
        centroid: (D,) from :func:`centroid_of`; scaled to unit length. Without one (before weights are loaded) it is
            zero, which gives the mean.
    """

    centroid: Tensor

    def __init__(self, dim: int, power: float = 4.0, centroid: npt.ArrayLike | None = None) -> None:
        super().__init__(dim)
        self.power = power
        self.register_buffer("centroid", torch.from_numpy(unit_centroids(centroid, dim)[0].copy()))

    def pool(self, faces: Faces) -> tuple[Tensor, Tensor]:
        """See :class:`Aggregator`."""
        a = masked_softmax(self.power * log_distance(faces.units @ self.centroid), faces.mask)
        return weighted(a, faces.units), a


def log_distance(cosine: Tensor) -> Tensor:
    """``log max(min(1 - cosine, 1), FLOOR)``."""
    return (1.0 - cosine).clamp(FLOOR, 1.0).log()


def centroid_of(features: npt.ArrayLike) -> Floats:
    """The direction of the mean of the unit features: (M, D) of unrecognisable faces to (D,).

    Take the faces that were degraded most, of as many people as there are.

    Raises:
        InputError: no faces, or features that are not finite or cancel out.
    """
    x = finite_array(features, "features", (None, None)).astype(np.float64)
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    if len(x) == 0 or not lengths.all():
        raise InputError(f"a centroid needs features of non-zero length, but got {len(x)} rows with some of length 0")
    mean = (x / lengths).mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-6:
        raise InputError("the features cancel out: they have no centroid; give features of unrecognisable faces")
    return np.asarray(mean / length, np.float32)


def unit_centroids(centroids: npt.ArrayLike | None, dim: int) -> Floats:
    """(K, D) rows of unit length; one row of zeros for None."""
    if centroids is None:
        return np.zeros((1, dim), np.float32)
    rows = finite_array(np.atleast_2d(np.asarray(centroids, np.float32)), "centroid", (None, dim)).astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0), np.float32)
