"""Ragged batches: the checks that come before any arithmetic, and sums and dot products over the rows of each set.

Nothing here copies the feature matrix: float32 input is only read, and anything else is converted a chunk at a time.
Weighted sums are sparse times dense products (one pass, no temporary), in pieces of at most ``PIECE`` rows that are
added up in double precision, so that neither a set of a million faces nor its place in the batch changes the digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from faceset.aggregation.base import NORMS, Aggregated
from faceset.errors import EmptySetError, InputError
from faceset.types import Floats

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PIECE = 256
"""Rows summed in single precision before the sum goes on in double."""
CHUNK = 8192
"""Rows handled at a time; bounds the temporaries."""
VANISHED = 1e-6
"""A weighted sum of unit vectors shorter than this is rounding error: it has no direction."""


@dataclass(frozen=True, eq=False)
class Ragged:
    """A checked batch of B sets with M faces of width D; make it with :func:`checked`."""

    features: npt.NDArray[Any]
    """(M, D) as the caller gave it."""
    offsets: Ints
    """(B + 1,)."""
    norms: Doubles
    """(M,) length of each row."""
    media: Ints | None
    """(M,)."""
    quality: Doubles | None
    """(M,)."""

    @cached_property
    def sizes(self) -> Ints:
        """(B,) faces in each set."""
        return np.diff(self.offsets)

    @cached_property
    def set_ids(self) -> Ints:
        """(M,) number of the set of each row."""
        return np.repeat(np.arange(self.sizes.size), self.sizes)

    def rows(self, start: int, stop: int) -> Floats:
        """Rows ``start`` to ``stop`` as contiguous float32 (stop - start, D); a view where they are that already."""
        return np.ascontiguousarray(self.features[start:stop], dtype=np.float32)

    def set_sums(self, values: npt.NDArray[Any]) -> Doubles:
        """(B,) sum of ``values`` (M,) over each set."""
        return np.add.reduceat(values.astype(np.float64), self.offsets[:-1])

    def shares(self, values: npt.NDArray[Any]) -> Doubles:
        """``values`` (M,) >= 0 divided by their sum over the set, which must be positive."""
        return values / np.repeat(self.set_sums(values), self.sizes)

    def first_best(self, values: Doubles, tolerance: float = 0.0) -> Doubles:
        """(M,) one-hot weights of the first face of each set within ``tolerance`` of the set's largest value."""
        best = np.repeat(np.maximum.reduceat(values, self.offsets[:-1]), self.sizes)
        candidates = np.where(values >= best - tolerance, np.arange(values.size), values.size)
        weights = np.zeros(values.size)
        weights[np.minimum.reduceat(candidates, self.offsets[:-1])] = 1.0
        return weights

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Runs of whole sets with about ``CHUNK`` rows together; a larger set is a run of its own."""
        start = 0
        while start < self.sizes.size:
            stop = int(np.searchsorted(self.offsets, self.offsets[start] + CHUNK, side="right")) - 1
            stop = max(stop, start + 1)
            yield start, stop
            start = stop

    def directions(self, weights: npt.NDArray[Any]) -> tuple[Floats, Doubles]:
        """The weighted sum of the unit features of each set, as direction (B, D) float32 and length (B,).

        A sum that vanishes has length 0 and direction 0.
        """
        scale = (weights / self.norms).astype(np.float32)
        directions = np.empty((self.sizes.size, self.features.shape[1]), dtype=np.float32)
        lengths = np.empty(self.sizes.size)
        for start, stop in self.chunks():
            sums = self._sums(scale, start, stop)
            length = np.sqrt(np.einsum("ij,ij->i", sums, sums))
            length[length < VANISHED] = 0.0
            lengths[start:stop] = length
            with np.errstate(divide="ignore", invalid="ignore"):
                directions[start:stop] = np.where(length[:, None] > 0, sums / length[:, None], 0.0)
        return directions, lengths

    def _sums(self, scale: Floats, start: int, stop: int) -> Doubles:
        """(stop - start, D) sums of ``scale`` times the rows of the sets ``start`` to ``stop``."""
        low, high = int(self.offsets[start]), int(self.offsets[stop])
        rows = self.rows(low, high)
        pieces = -(-self.sizes[start:stop] // PIECE)
        first = np.cumsum(pieces) - pieces
        within = np.arange(int(pieces.sum())) - np.repeat(first, pieces)
        cuts = np.append(np.repeat(self.offsets[start:stop] - low, pieces) + within * PIECE, high - low)
        indices = np.arange(high - low)
        parts = csr_array((scale[low:high], indices, cuts), shape=(pieces.sum(), high - low)) @ rows
        if parts.shape[0] == stop - start:
            return np.asarray(parts, dtype=np.float64)
        ones = np.ones(parts.shape[0])
        joined = csr_array((ones, np.arange(parts.shape[0]), np.append(first, parts.shape[0])))
        return np.asarray(joined @ parts.astype(np.float64))

    def cosines(self, vectors: Floats) -> Doubles:
        """(M,) cosine of each row with the vector of its set; ``vectors`` (B, D) are of unit length."""
        dots = np.empty(self.norms.size)
        for low in range(0, self.norms.size, CHUNK):
            high = min(low + CHUNK, self.norms.size)
            dots[low:high] = np.einsum("ij,ij->i", self.rows(low, high), vectors[self.set_ids[low:high]])
        return dots / self.norms

    def finish(self, weights: npt.NDArray[Any]) -> Aggregated:
        """Templates, weights and consistency from weights (M,) that sum to 1 within each set.

        Raises:
            InputError: the faces of a set cancel out.
        """
        templates, lengths = self.directions(weights)
        self.check_lengths(lengths)
        consistency = np.minimum(lengths, 1.0).astype(np.float32)
        return Aggregated(templates, weights.astype(np.float32), consistency)

    def check_lengths(self, lengths: Doubles) -> None:
        """Raise :class:`InputError` where a set's weighted sum vanished."""
        gone = np.flatnonzero(lengths < VANISHED)
        if gone.size:
            raise InputError(
                f"the faces of set {gone[0]} cancel out: their weighted mean is zero and has no direction; "
                "they are not of one person, so split the set"
            )


def checked(
    features: npt.ArrayLike,
    offsets: npt.ArrayLike,
    media: npt.ArrayLike | None = None,
    quality: npt.ArrayLike | None = None,
) -> Ragged:
    """Check a batch as :class:`faceset.aggregation.Aggregator` describes it.

    Raises:
        EmptySetError: a set holds no face.
        InputError: wrong shapes or types, NaN or infinity, a row of length zero, offsets that do not fit.
    """
    matrix = as_matrix(features)
    bounds = _offsets(offsets, matrix.shape[0])
    owners = None if media is None else _media(media, matrix.shape[0])
    scores = None if quality is None else _quality(quality, bounds)
    return Ragged(matrix, bounds, _norms(matrix, bounds), owners, scores)


def as_matrix(features: npt.ArrayLike) -> npt.NDArray[Any]:
    """``features`` as an array of numbers (M, D) with D >= 1; raise :class:`InputError` where it is anything else."""
    matrix = np.asarray(features)
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu" or matrix.shape[1] == 0:
        raise InputError(f"features must be numbers of shape (M, D), D >= 1, but got {matrix.dtype} {matrix.shape}")
    return matrix


def _offsets(offsets: npt.ArrayLike, total: int) -> Ints:
    bounds = np.asarray(offsets)
    if bounds.ndim != 1 or bounds.dtype.kind not in "iu" or bounds.size < 1:
        raise InputError(f"offsets must be whole numbers of shape (B + 1,), but got {bounds.dtype} {bounds.shape}")
    bounds = bounds.astype(np.int64)
    if bounds.size == 1:
        raise EmptySetError("offsets name no set; give at least [0, M]")
    if bounds[0] != 0 or bounds[-1] != total:
        raise InputError(
            f"offsets must run from 0 to the number of faces, {total}, but run from {bounds[0]} to {bounds[-1]}"
        )
    steps = np.diff(bounds)
    if steps.min() < 0:
        b = int(np.argmin(steps >= 0))
        raise InputError(f"offsets must not fall, but go from {bounds[b]} to {bounds[b + 1]} at set {b}")
    if steps.min() == 0:
        b = int(np.argmin(steps))
        raise EmptySetError(f"set {b} of {steps.size} holds no face; leave empty sets out before aggregating")
    return bounds


def _media(media: npt.ArrayLike, total: int) -> Ints:
    owners = np.asarray(media)
    if owners.shape != (total,) or owners.dtype.kind not in "iu":
        raise InputError(
            f"media must be one whole number a face, shape ({total},), but got {owners.dtype} {owners.shape}"
        )
    return owners.astype(np.int64)


def _quality(quality: npt.ArrayLike, bounds: Ints) -> Doubles:
    scores = np.asarray(quality)
    if scores.shape != (bounds[-1],) or scores.dtype.kind not in "fiub":
        raise InputError(
            f"quality must be one number a face, shape ({bounds[-1]},), but got {scores.dtype} {scores.shape}"
        )
    scores = scores.astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(scores) & (scores >= 0)))
    if wrong.size:
        raise InputError(f"quality must be finite and >= 0, but {_row(wrong[0], bounds)} has {scores[wrong[0]]}")
    return scores


def _norms(matrix: npt.NDArray[Any], bounds: Ints) -> Doubles:
    """Length of each row; the length is finite exactly where the whole row is, which saves a pass over the matrix."""
    norms = lengths(matrix)
    wrong = np.flatnonzero(~((norms >= NORMS[0]) & (norms <= NORMS[1])))
    if wrong.size:
        k = int(wrong[0])
        where = _row(k, bounds)
        if not np.isfinite(np.asarray(matrix[k], dtype=np.float64)).all():
            raise InputError(f"features hold NaN or infinity in {where}; leave that face out")
        if norms[k] < NORMS[0]:
            raise InputError(f"the feature in {where} is zero and has no direction; leave that face out")
        raise InputError(f"the feature in {where} is too large (length {norms[k]:.3g}); embeddings are around 1 to 100")
    return norms


def lengths(matrix: npt.NDArray[Any]) -> Doubles:
    """Length of each row (M,) in double precision, a chunk at a time; not finite exactly where the row is not."""
    norms = np.empty(matrix.shape[0])
    for low in range(0, norms.size, CHUNK):
        rows = np.asarray(matrix[low : low + CHUNK], dtype=np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.einsum("ij,ij->i", rows, rows).astype(np.float64)
        odd = np.flatnonzero(~((squares > 1e-30) & (squares < 1e37)))  # the square may have left single precision
        squares[odd] = np.square(rows[odd].astype(np.float64)).sum(axis=1)
        norms[low : low + CHUNK] = np.sqrt(squares)
    return norms


def _row(k: int, bounds: Ints) -> str:
    return f"row {k} (set {int(np.searchsorted(bounds, k, side='right')) - 1})"
