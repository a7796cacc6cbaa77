"""Aggregators that are one formula each. ``f`` are unit features, ``x`` raw ones, ``q`` the detector's scores.

Every one gives weights first; the template is the weighted sum of the unit features, scaled to length 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from faceset.aggregation.base import Aggregated
from faceset.aggregation.ragged import Doubles, Ragged, checked
from faceset.errors import InputError

MEDOID_TIE = 1e-6
"""Mean cosines closer than this are equal up to the rounding of single precision."""


@dataclass(frozen=True)
class ClosedForm:
    """An aggregator given by a formula for its weights."""

    name: str
    weigh: Callable[[Ragged], Doubles]
    """From a checked batch to weights (M,) that sum to 1 within each set."""

    def __call__(
        self,
        features: npt.ArrayLike,
        offsets: npt.ArrayLike,
        *,
        media: npt.ArrayLike | None = None,
        quality: npt.ArrayLike | None = None,
    ) -> Aggregated:
        """See :meth:`faceset.aggregation.Aggregator.__call__`."""
        batch = checked(features, offsets, media, quality)
        return batch.finish(self.weigh(batch))


def importance(batch: Ragged, base: str) -> Doubles:
    """How much each face counts before anything is scaled, (M,): 1, ``|x|`` or ``|x| q``.

    Where every face of a set has ``q = 0`` the scores say nothing and that set counts by ``|x|`` alone.

    Args:
        batch: the checked batch.
        base: ``mean``, ``norm`` or ``norm-score``.

    Raises:
        InputError: ``norm-score`` without quality, or an unknown base.
    """
    if base == "mean":
        return np.ones(batch.norms.size)
    if base == "norm":
        return batch.norms
    if base == "norm-score":
        if batch.quality is None:
            raise InputError("norm-score weighs by the detector's scores: pass quality=, or take the aggregator 'norm'")
        silent = np.repeat(np.maximum.reduceat(batch.quality, batch.offsets[:-1]) == 0, batch.sizes)
        return batch.norms * np.where(silent, 1.0, batch.quality)
    raise InputError(f"base must be 'mean', 'norm' or 'norm-score', but got {base!r}")


def _medoid(batch: Ragged) -> Doubles:
    # The mean cosine to the others is (f_k . S - 1) / (N - 1) with S the sum of the set: it rises with f_k . S.
    directions, lengths = batch.directions(np.ones(batch.norms.size))
    sums = np.repeat(lengths, batch.sizes)
    others = np.repeat(np.maximum(batch.sizes - 1, 1), batch.sizes)
    return batch.first_best((batch.cosines(directions) * sums - 1.0) / others, MEDOID_TIE)


def _best(batch: Ragged) -> Doubles:
    return batch.first_best(importance(batch, "norm" if batch.quality is None else "norm-score"))


def mean() -> ClosedForm:
    """``w_k = 1 / N``: the mean of the unit features."""
    return ClosedForm("mean", lambda batch: batch.shares(importance(batch, "mean")))


def norm() -> ClosedForm:
    """``w_k = |x_k| / sum |x|``: the direction of the sum of the raw features."""
    return ClosedForm("norm", lambda batch: batch.shares(importance(batch, "norm")))


def norm_score() -> ClosedForm:
    """``w_k = |x_k| q_k / sum |x| q``; needs quality. A set whose scores are all 0 is weighed by the norm alone."""
    return ClosedForm("norm-score", lambda batch: batch.shares(importance(batch, "norm-score")))


def medoid() -> ClosedForm:
    """The one face with the highest mean cosine to the others of its set; the first of equals."""
    return ClosedForm("medoid", _medoid)


def best() -> ClosedForm:
    """The one face with the largest ``|x| q``, or the largest ``|x|`` without quality; the first of equals."""
    return ClosedForm("best", _best)


def media_first(base: str = "mean") -> ClosedForm:
    """Mean over the faces of each medium, then the plain mean over the media of a set.

    With ``b`` from :func:`importance` and ``n`` the number of faces of the medium, ``w_k = (b_k / n) / sum (b / n)``.
    The means of the media are **not** scaled to unit length, so that a medium whose faces disagree, or (with a base
    other than ``mean``) whose faces are poor, counts less. With ``norm-score`` this is the pooling that the IJB
    benchmarks are commonly run with. Without ``media`` each set is one medium.

    Args:
        base: ``mean``, ``norm`` or ``norm-score``.
    """
    if base not in ("mean", "norm", "norm-score"):
        raise InputError(f"base must be 'mean', 'norm' or 'norm-score', but got {base!r}")

    def weigh(batch: Ragged) -> Doubles:
        values = importance(batch, base)
        return batch.shares(values / _faces_of_medium(batch))

    return ClosedForm("media-first" if base == "mean" else f"media-first+{base}", weigh)


def _faces_of_medium(batch: Ragged) -> npt.NDArray[Any]:
    """(M,) how many faces of the same set are of the same medium as each face."""
    if batch.media is None:
        return np.repeat(batch.sizes, batch.sizes)
    distinct, media = np.unique(batch.media, return_inverse=True)
    _, pair, counts = np.unique(batch.set_ids * distinct.size + media, return_inverse=True, return_counts=True)
    faces: npt.NDArray[Any] = counts[pair]
    return faces
