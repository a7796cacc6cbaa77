"""Nearest templates among many, behind a small protocol; the exact index.

Letters: G templates in the gallery, Q probes, D feature width, k answers a probe.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.types import Floats

Indices = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]

_SCORES_AT_ONCE = 1 << 24
"""Scores held at one time: 64 MiB of float32."""
_RUN = 256
"""Scores of which only the largest is looked at first."""
_FEW = 4
"""Probes up to which each is multiplied by itself."""
_RESCORED_AT_ONCE = 1 << 16


@runtime_checkable
class VectorIndex(Protocol):
    """Finds the vectors most similar to a probe. A gallery never calls one object from two threads at once."""

    def rebuild(self, vectors: Floats) -> None:
        """Hold ``vectors`` (G, D), unit length, and nothing else.

        The caller may overwrite the array later, and then calls this again before it searches.
        """

    def search(self, queries: Floats, k: int) -> tuple[Indices, Scores]:
        """The k' = min(k, G) most similar vectors of each query (Q, D): indices and scores (Q, k'), best first."""

    def __len__(self) -> int:
        """Number of vectors G."""


class ExactIndex:
    """Every probe against every template.

    A float32 matrix product finds all that can be among the best k, up to its rounding error; these few are scored
    again in float64. So the order is exact, equal scores come in the order of the vectors, and a score does not depend
    on what else was asked in the same call.
    """

    def __init__(self) -> None:
        self._vectors: Floats = np.empty((0, 0), dtype=np.float32)
        self._longest = 0.0

    def __len__(self) -> int:
        return len(self._vectors)

    def rebuild(self, vectors: Floats) -> None:
        """Hold ``vectors`` (G, D); float32 in C order is not copied."""
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if self._vectors.ndim != 2:
            raise InputError(f"an index holds vectors (G, D), but got shape {self._vectors.shape}")
        squares = np.einsum("gd,gd->g", self._vectors, self._vectors)
        self._longest = float(np.sqrt(squares.max(initial=0.0)))

    def search(self, queries: Floats, k: int) -> tuple[Indices, Scores]:
        """Indices (Q, k') and inner products (Q, k'), k' = min(k, G), best first, ties by the lower index."""
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        G, D = self._vectors.shape
        k = min(k, G)
        indices = np.empty((len(queries), k), dtype=np.int64)
        scores = np.empty((len(queries), k), dtype=np.float64)
        if k < 1:
            return indices, scores
        if queries.ndim != 2 or queries.shape[1] != D:
            raise InputError(f"queries must be (Q, {D}), but got shape {queries.shape}")
        step = max(1, _SCORES_AT_ONCE // G)
        for start in range(0, len(queries), step):
            block = queries[start : start + step]
            rough = _products(block, self._vectors)  # (step, G)
            # A float32 sum of D products is off by at most D eps |a||b|; two sums are compared.
            lengths = np.linalg.norm(block.astype(np.float64), axis=1)
            margin = 2 * D * float(np.finfo(np.float32).eps) * lengths * self._longest
            bound = _kth_bound(rough, k) - margin
            for row in range(len(block)):
                near = np.flatnonzero(rough[row] >= bound[row])
                exact = self._rescore(block[row], near)
                order = np.argsort(-exact, kind="stable")[:k]
                indices[start + row] = near[order]
                scores[start + row] = exact[order]
        return indices, scores

    def _rescore(self, query: Floats, near: npt.NDArray[np.intp]) -> Scores:
        """Inner products in float64; each is summed by itself, so that equal vectors have equal scores."""
        wide = query.astype(np.float64)
        parts = [
            (self._vectors[near[i : i + _RESCORED_AT_ONCE]].astype(np.float64) * wide).sum(axis=1)
            for i in range(0, len(near), _RESCORED_AT_ONCE)
        ]
        return np.concatenate(parts)


def _products(queries: Floats, vectors: Floats) -> Floats:
    """Inner products (Q, G) in float32.

    A product of matrices copies the vectors into another order as it goes, which pays for many probes only. A product
    with one probe reads them once, as fast as memory gives them.
    """
    if len(queries) > _FEW:
        products: Floats = queries @ vectors.T
        return products
    rough: Floats = np.empty((len(queries), len(vectors)), dtype=np.float32)
    for query, row in zip(queries, rough, strict=True):
        np.dot(vectors, query, out=row)
    return rough


def _kth_bound(rough: npt.NDArray[Any], k: int) -> npt.NDArray[np.float64]:
    """For each row of (Q, G) a value that at least k scores reach, close to the k-th best."""
    G = rough.shape[1]
    runs = -(-G // _RUN)
    if runs >= 4 * k:  # the maxima of k runs are k scores: far fewer numbers to partition
        rough = np.maximum.reduceat(rough, np.arange(0, G, _RUN), axis=1)
    kth: npt.NDArray[np.float64] = np.partition(rough, rough.shape[1] - k, axis=1)[:, rough.shape[1] - k]
    return kth.astype(np.float64)
