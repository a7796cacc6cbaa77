"""Thresholds for a FAR from the impostor scores of one pair of size classes, with intervals over people.

:func:`faceset.bootstrap.paired_bootstrap` gives the same for trials that hold genuine pairs in every resample; the
people of a calibration may have no two media each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceset.bootstrap.drawing import draw_subjects, pair_totals
from faceset.calibration.draws import Drawn
from faceset.metrics import tar_at_far

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEVEL = 0.95
_BLOCK = 4_000_000  # numbers held at a time
_SLACK = 1e-6  # 0.001 * 3000 allows a weight of 3, not of 2.9999999999999996


@dataclass(frozen=True, slots=True, eq=False)
class Impostors:
    """Scores (I,) of templates of two people, and the numbers of the two people (I,) each."""

    scores: Doubles
    first: Ints
    second: Ints

    @property
    def people_pairs(self) -> int:
        """Distinct pairs of people: comparisons of the same two people are nearly one observation."""
        if not self.scores.size:
            return 0
        low, high = np.minimum(self.first, self.second), np.maximum(self.first, self.second)
        return int(np.unique(low * (int(high.max()) + 1) + high).size)


def impostors(draws: list[tuple[Drawn, Drawn]], *, alike: bool) -> Impostors:
    """All comparisons of two people between both sides of each draw; ``alike``: both sides are the same templates."""
    scores, first, second = [], [], []
    for a, b in draws:
        table = a.vectors.astype(np.float64) @ b.vectors.astype(np.float64).T
        keep = a.person[:, None] != b.person[None]
        if alike:
            keep = np.triu(keep, 1)
        i, j = np.nonzero(keep)
        scores.append(np.clip(table[i, j], -1.0, 1.0))
        first.append(a.person[i])
        second.append(b.person[j])
    return Impostors(np.concatenate(scores), np.concatenate(first), np.concatenate(second))


def threshold(scores: Doubles, far: float) -> float:
    """The lowest threshold with FAR at most ``far`` (:mod:`faceset.metrics`)."""
    return float(np.clip(tar_at_far(scores[:1], scores, far).threshold, -1.0, 1.0))


def intervals(found: Impostors, fars: tuple[float, ...], resamples: int, seed: int) -> Doubles:
    """(F, 2) ends of the interval of the threshold of each FAR, people drawn with replacement.

    With ``w_i`` the times person i was drawn, a comparison of the people i and j counts ``w_i w_j`` times. A resample
    without any comparison, as there are of two or three people, counts in no interval; where there are no others, the
    ends are those of the scores.
    """
    people, number = np.unique(np.concatenate([found.first, found.second]), return_inverse=True)
    a, b = number[: found.scores.size], number[found.scores.size :]
    weights = draw_subjects(people.size, resamples, seed)
    total = pair_totals(weights, a, b, people.size)
    top = min(found.scores.size, int(3 * max(fars) * found.scores.size) + 1000)
    order = np.argsort(-found.scores, kind="stable")[:top]
    falling, a, b = found.scores[order], a[order], b[order]
    out = np.empty((len(fars), resamples))
    step = max(1, _BLOCK // top)
    for at in range(0, resamples, step):
        w = weights[at : at + step]
        passed = np.cumsum(w[:, a] * w[:, b], axis=1, dtype=np.int64)
        for r, f in np.ndindex(len(w), len(fars)):
            if not total[at + r]:
                out[f, at + r] = np.nan
                continue
            refused = int(np.searchsorted(passed[r], fars[f] * total[at + r] + _SLACK, side="right"))
            out[f, at + r] = np.nextafter(falling[min(refused, top - 1)], np.inf)
    if not total.any():
        return np.tile([found.scores.min(), found.scores.max()], (len(fars), 1))
    ends: Doubles = np.nanquantile(out, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0], axis=1).T
    return ends
