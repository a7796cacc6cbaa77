"""From a matrix of scores to what each search gave."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.metrics.identification import UNRANKED, Searches
from faceset.metrics.rate import Bools
from faceset.metrics.roc import Ints

_BLOCK_NUMBERS = 2_000_000  # scores looked at together: bounds the memory


def search(
    scores: npt.ArrayLike,
    probe_subjects: npt.ArrayLike,
    gallery_subjects: npt.ArrayLike,
    *,
    failed_probes: npt.ArrayLike | None = None,
    failed_gallery: npt.ArrayLike | None = None,
) -> Searches:
    """Search Q probes in a gallery of G templates; see :mod:`faceset.metrics.identification` for the definitions.

    >>> found = search([[0.9, 0.2], [0.3, 0.4]], ["a", "c"], ["a", "b"])
    >>> found.mated.tolist(), found.mate_rank[0], found.best_other.tolist()
    ([True, False], np.int64(1), [0.2, 0.4])

    Args:
        scores: (Q, G) similarities; -inf where a comparison could not be made. A row of -inf is a probe that failed, a
            column of -inf a template of the gallery that failed.
        probe_subjects: (Q,) name or number of the subject of each probe.
        gallery_subjects: (G,) of each template of the gallery; a subject may have several.
        failed_probes: (Q,) bool, probes whose row is to be ignored.
        failed_gallery: (G,) bool, templates whose column is to be ignored.

    Raises:
        InputError: shapes that do not fit, an empty gallery or no probes, NaN or +inf in what is not ignored.
    """
    matrix = np.asarray(scores)
    matrix = matrix if matrix.dtype == np.float32 else matrix.astype(np.float64, copy=False)
    probes, gallery = np.asarray(probe_subjects), np.asarray(gallery_subjects)
    if matrix.ndim != 2 or 0 in matrix.shape or matrix.shape != (probes.size, gallery.size):
        raise InputError(
            f"scores must have shape (probes, gallery templates) = ({probes.size}, {gallery.size}), at least (1, 1), "
            f"but got {matrix.shape}"
        )
    if (probes.dtype.kind in "iu") != (gallery.dtype.kind in "iu"):
        raise InputError(f"subjects must be names or numbers on both sides, but got {probes.dtype} and {gallery.dtype}")
    Q, G = matrix.shape
    skip_rows, skip_columns = _mask(failed_probes, Q, "failed_probes"), _mask(failed_gallery, G, "failed_gallery")
    names, columns = np.unique(gallery, return_inverse=True)
    mate = np.searchsorted(names, probes)  # column of each probe's subject
    mate[mate == names.size] = 0
    mated = names[mate] == probes
    order = np.argsort(columns, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(columns[order]) != 0])

    low = matrix.dtype.type(-np.inf)
    best_other, mate_score = np.full(Q, low), np.full(Q, low)
    mate_rank = np.full(Q, UNRANKED, dtype=np.int64)
    reached = np.zeros(names.size, dtype=bool)
    step = max(1, _BLOCK_NUMBERS // G)
    for at in range(0, Q, step):
        part = slice(at, at + step)
        best = _by_subject(matrix[part], order, starts, skip_rows[part], skip_columns, at)
        reached |= (best > low).any(axis=0)
        rows = np.flatnonzero(mated[part])
        own = best[rows, mate[part][rows]]
        mate_score[at + rows] = own
        above = np.count_nonzero(best[rows] >= own[:, None], axis=1)  # itself is one of them
        mate_rank[at + rows] = np.where(own > low, above, UNRANKED)
        best[rows, mate[part][rows]] = low
        best_other[part] = best.max(axis=1)
    failed = np.isneginf(best_other) & np.isneginf(mate_score)
    return Searches(mated, mate_score, mate_rank, best_other, failed, names.size, int(np.count_nonzero(~reached)))


def _by_subject(
    block: npt.NDArray[Any], order: Ints, starts: Ints, skip_rows: Bools, skip_columns: Bools, at: int
) -> npt.NDArray[Any]:
    """(q, N) best score of each subject of the gallery, in a new array."""
    block = block[:, order]
    block[:, skip_columns[order]] = -np.inf
    block[skip_rows] = -np.inf
    highest = block.max(axis=1)  # NaN where there is one
    bad = np.flatnonzero(np.isnan(highest) | np.isposinf(highest))
    if bad.size:
        raise InputError(f"scores of probe {at + bad[0]} hold NaN or +inf; where there is no score, give -inf")
    return block if starts.size == order.size else np.maximum.reduceat(block, starts, axis=1)


def _mask(values: npt.ArrayLike | None, size: int, name: str) -> Bools:
    if values is None:
        return np.zeros(size, dtype=bool)
    mask = np.asarray(values)
    if mask.shape != (size,) or mask.dtype != np.bool_:
        raise InputError(f"{name} must be {size} of True or False, but got shape {mask.shape} of {mask.dtype}")
    return mask
