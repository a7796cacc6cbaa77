"""Mean after outliers were dropped."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from faceset.aggregation.closed_form import ClosedForm
from faceset.aggregation.ragged import Doubles, Ragged
from faceset.errors import InputError


def trimmed(bound: float | None = None, *, factor: float = 2.5, keep: float = 0.7, rounds: int = 5) -> ClosedForm:
    """The mean of the faces that agree with the mean.

    Each round takes the mean ``m`` of the faces still kept and the cosine ``c_k`` of each of them with ``m``, and
    drops those with ``c_k < bound``. Without a bound it is taken from the set: ``1 - factor * median(1 - c)``, so that
    it fits every embedder and every person. Never are more dropped than leaves ``ceil(keep * N)`` of the N faces; the
    furthest go first, the later of equals first. It ends when nothing is dropped, or after ``rounds``. What is left has
    equal weights, what was dropped weight 0. With the default ``keep`` a set of fewer than four faces loses none.

    Args:
        bound: lowest cosine with the mean that is kept, in -1..1; None: from the set.
        factor: multiple of the median distance; > 1.
        keep: share of the faces that is always kept, > 0 and <= 1.
        rounds: most rounds, >= 1.
    """
    if bound is not None and not -1 <= bound <= 1:
        raise InputError(f"bound must be a cosine in -1..1, but got {bound!r}")
    if not (0 < keep <= 1 and factor > 1 and math.isfinite(factor) and rounds >= 1):
        raise InputError(f"need 0 < keep <= 1, factor > 1, rounds >= 1, but got {keep=}, {factor=}, {rounds=}")
    changed = {"bound": (bound, None), "factor": (factor, 2.5), "keep": (keep, 0.7), "rounds": (rounds, 5)}
    options = ", ".join(f"{key}={value:g}" for key, (value, default) in changed.items() if value != default)

    def weigh(batch: Ragged) -> Doubles:
        kept = np.ones(batch.norms.size, dtype=bool)
        least = np.ceil(keep * batch.sizes - 1e-9).astype(np.int64)
        for _ in range(rounds):
            directions, _ = batch.directions(batch.shares(kept))
            gone = _outliers(batch, batch.cosines(directions), kept, least, bound, factor)
            if not gone.any():
                break
            kept &= ~gone
        return batch.shares(kept)

    return ClosedForm(f"trimmed({options})" if options else "trimmed", weigh)


def _outliers(
    batch: Ragged,
    cosines: Doubles,
    kept: npt.NDArray[np.bool_],
    least: npt.NDArray[np.int64],
    bound: float | None,
    factor: float,
) -> npt.NDArray[np.bool_]:
    """(M,) the kept faces that this round drops."""
    start = batch.offsets[:-1]
    count = np.add.reduceat(kept.astype(np.int64), start)
    distance = np.where(kept, 1.0 - cosines, np.inf)
    order = np.lexsort((np.arange(distance.size), distance, batch.set_ids))
    ranked = distance[order]  # within each set: nearest first, what was dropped before last
    if bound is None:
        median = (ranked[start + (count - 1) // 2] + ranked[start + count // 2]) / 2
        limit = factor * median + 1e-6  # the slack is the rounding of a cosine in single precision
    else:
        limit = np.full(count.shape, 1.0 - bound)
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size) - np.repeat(start, batch.sizes)
    return kept & (distance > np.repeat(limit, batch.sizes)) & (rank >= np.repeat(least, batch.sizes))
