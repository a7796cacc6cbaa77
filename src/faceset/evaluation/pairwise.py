"""The pairwise baselines of the NAN paper (Yang et al., CVPR 2017): all frames of one set with all of another.

With unit features, ``d_ij`` is the L2 distance of frame i of one template from frame j of the other, and
``d^2 = 2 - 2 cos``. The distance of two templates of n and m frames is::

    pairwise-max      max d_ij                                               in the paper CNN+Max L2
    pairwise-min      min d_ij                                                            CNN+Min L2
    pairwise-mean     sum d_ij / (n m)                                                    CNN+Mean L2
    pairwise-softmin  mean over beta of sum d_ij exp(-beta d_ij) / sum exp(-beta d_ij)    CNN+SoftMin L2

Softmin is the softmax fusion of pairwise scores (Masi et al., "Do We Really Need to Collect Millions of Faces for
Effective Face Recognition?", ECCV 2016), averaged over the scales beta = 0, 1, ..., 20; the NAN paper says that it
takes several scales and not which. Scores are ``1 - d^2 / 2``, the cosine at that distance: the order, and so every
rate, is that of the distance. ``max`` and ``min`` are of distances: ``pairwise-max`` is the *lowest* cosine.

The cost of one comparison of templates is n m comparisons of frames, against one with an aggregator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from faceset.bootstrap.trials import AnyInts
from faceset.errors import InputError
from faceset.evaluation.joining import Sets
from faceset.evaluation.trials import Bools, Ints
from faceset.feature_table import FeatureTable
from faceset.metrics import Doubles
from faceset.types import Floats

KINDS = ("pairwise-max", "pairwise-mean", "pairwise-min", "pairwise-softmin")
BETAS = 20
"""Largest scale of softmin."""
LIMIT = 20_000_000_000
"""Most comparisons of frames that are begun: about an hour on two cores for one kind."""
ROWS = 2048
"""Frames of second templates compared at a time, unless one template alone has more: keeps a block in the cache."""


@dataclass(frozen=True, slots=True, eq=False)
class PairwiseScorer:
    """Scores of all frames with all frames.

    Attributes:
        kinds: which of :data:`KINDS`.
        features: (M, D) unit features, set by set.
        offsets: (T + 1,) bounds of the sets.
    """

    kinds: tuple[str, ...]
    features: Floats
    offsets: Ints

    @property
    def enrolled(self) -> Bools:
        """(T,) whether the set has a frame."""
        return np.diff(self.offsets) > 0

    def pairs(self, first: AnyInts, second: AnyInts) -> Floats:
        """See :class:`faceset.evaluation.scores.Scorer`."""
        out = np.full((len(self.kinds), first.size), -np.inf, np.float32)
        sizes = np.diff(self.offsets)
        starts = np.flatnonzero(np.r_[True, np.diff(first) != 0])
        for low, high in zip(starts, [*starts[1:], first.size], strict=True):
            one = self.features[self.offsets[first[low]] : self.offsets[first[low] + 1]]
            there = low + np.flatnonzero(sizes[second[low:high]] > 0)
            if not len(one) or not there.size:
                continue
            ends = np.cumsum(sizes[second[there]])
            at = 0
            while at < there.size:
                before = ends[at - 1] if at else 0
                stop = max(int(np.searchsorted(ends, before + ROWS, side="right")), at + 1)
                out[:, there[at:stop]] = self._of(one, second[there[at:stop]])
                at = stop
        return out

    def matrix(self, rows: AnyInts, columns: AnyInts) -> Floats:
        """See :class:`faceset.evaluation.scores.Scorer`."""
        scores = self.pairs(np.repeat(rows, columns.size), np.tile(columns, rows.size))
        return scores.reshape(len(self.kinds), rows.size, columns.size)

    def _of(self, one: Floats, others: AnyInts) -> Floats:
        """(K, len(others)) scores of one set with some others, none of them empty."""
        sizes = self.offsets[others + 1] - self.offsets[others]
        starts = np.cumsum(sizes) - sizes
        rows = np.arange(int(sizes.sum())) + np.repeat(self.offsets[others] - starts, sizes)
        cosines = one @ self.features[rows].T  # (n, all m)
        np.clip(cosines, -1.0, 1.0, out=cosines)
        out = np.empty((len(self.kinds), others.size), np.float32)
        far = None
        for k, kind in enumerate(self.kinds):
            if kind == "pairwise-min":
                out[k] = np.maximum.reduceat(cosines.max(axis=0), starts)
            elif kind == "pairwise-max":
                out[k] = np.minimum.reduceat(cosines.min(axis=0), starts)
            else:
                far = np.sqrt(2.0 - 2.0 * cosines) if far is None else far
                distance = _mean(far, starts, sizes) if kind == "pairwise-mean" else _softmin(far, starts)
                out[k] = 1.0 - distance**2 / 2.0
        return out


def scorer_of(kinds: tuple[str, ...], table: FeatureTable, sets: Sets) -> PairwiseScorer:
    """The scorer of some kinds over the faces of some sets."""
    features = np.ascontiguousarray(table.vectors[sets.rows], dtype=np.float32)
    features /= np.maximum(table.norm[sets.rows], np.float32(1e-20))[:, None]
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return PairwiseScorer(kinds, features, sets.offsets)


def check_cost(wanted: int, kinds: tuple[str, ...], part: str) -> None:
    """Raise :class:`InputError` where it is too much to begin."""
    if wanted > LIMIT:
        raise InputError(
            f"{', '.join(kinds)} would compare {wanted:,} pairs of frames{f' for {part}' if part else ''}, more than "
            f"{LIMIT:,}; leave the pairwise baselines out of a job of this size, or evaluate a smaller protocol"
        )


def _mean(far: Floats, starts: Ints, sizes: Ints) -> Doubles:
    total = np.add.reduceat(far.sum(axis=0, dtype=np.float64), starts)
    mean: Doubles = total / (len(far) * sizes)
    return mean


def _softmin(far: Floats, starts: Ints) -> Doubles:
    step, power = np.exp(-far), np.ones_like(far)  # exp(-beta d) by repeated multiplication: one exponential a cell
    total = np.zeros(starts.size)
    for _ in range(BETAS + 1):
        weighted = np.add.reduceat((far * power).sum(axis=0, dtype=np.float64), starts)
        total += weighted / np.add.reduceat(power.sum(axis=0, dtype=np.float64), starts)
        power *= step
    mean: Doubles = total / (BETAS + 1)
    return mean
