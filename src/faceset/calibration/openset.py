"""FPIR of searches in galleries of N people, exactly, from a table of impostor scores.

Letters: P people, N people in the gallery. Person i is searched for in galleries drawn from the ``m = P - 1`` others.
Where ``k`` of these score at or above the threshold t, a gallery of N of them holds none with probability
``C(m - k, N) / C(m, N)``, so over all galleries and all probes

    FPIR(N, t) = mean over i of 1 - C(m - k_i(t), N) / C(m, N)

For independent scores that is about ``1 - (1 - FAR)^N``. People who resemble many others (their ``k_i`` is large) keep
their false alarms to themselves, so that the measured FPIR of large galleries is lower; nothing about it is assumed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from faceset.bootstrap import draw_subjects

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

GALLERIES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
SHARE = 0.8
"""Largest gallery that is measured, as a share of the people who can be in it."""
_GRID = 300


def sizes(people: int) -> tuple[int, ...]:
    """The gallery sizes that so many people can show."""
    return tuple(n for n in GALLERIES if n <= SHARE * (people - 1))


def searches(people: int, gallery: int) -> int:
    """Searches that have little in common: one a probe, and more where their galleries are disjoint."""
    return max(people, people * (people - 1) // 2 // gallery)


def fpir(scores: Doubles, gallery: int, threshold: float) -> float:
    """FPIR of a gallery of N people at a threshold.

    Args:
        scores: (P, P) score of the template of person i with that of j; the diagonal is not used.
        gallery: N, at most P - 1.
        threshold: accept from this score on.
    """
    hits = (scores >= threshold).sum(axis=1) - (np.diagonal(scores) >= threshold)
    return float(_alarm(hits, np.full_like(hits, len(scores) - 1), gallery, _log_factorials(len(scores))).mean())


def threshold(scores: Doubles, gallery: int, target: float) -> float:
    """The lowest threshold at which FPIR does not exceed ``target``: just above a score."""
    P = len(scores)
    values = np.unique(scores[~np.eye(P, dtype=bool)])
    low, high = -1, values.size - 1  # FPIR just above values[high] is 0
    while high - low > 1:
        middle = (low + high) // 2
        if fpir(scores, gallery, float(np.nextafter(values[middle], np.inf))) <= target + 1e-12:
            high = middle
        else:
            low = middle
    return float(np.nextafter(values[high], np.inf))


def intervals(
    scores: Doubles, galleries: tuple[int, ...], targets: tuple[float, ...], resamples: int, seed: int, level: float
) -> Doubles:
    """(G, F, 2) ends of the interval of each threshold, people drawn with replacement both as probes and as enrolled.

    Copies of one person are not searched for among each other. A gallery drawn from a resample holds fewer different
    people than one drawn from everybody, which lowers the thresholds of large galleries; so the spread of the resamples
    is laid around the threshold of everybody, not around their own middle. Thresholds are found on a grid over the
    scores that matter, between whose points FPIR is taken to be straight.
    """
    P = len(scores)
    points = [threshold(scores, n, f) for n in galleries for f in targets]
    span = max(points) - min(points)
    off = scores[~np.eye(P, dtype=bool)]
    grid = np.linspace(max(min(points) - 0.25 * span - 0.02, float(off.min())), float(off.max()) + 1e-6, _GRID)
    i, j = np.nonzero((scores >= grid[0]) & ~np.eye(P, dtype=bool))
    bins = i * _GRID + np.searchsorted(grid, scores[i, j], side="right") - 1  # at or above grid[bin]
    logs = _log_factorials(P + 1)
    found = np.empty((len(galleries), len(targets), resamples))
    for r, w in enumerate(draw_subjects(P, resamples, seed)):
        hits = np.bincount(bins, weights=w[j], minlength=P * _GRID).reshape(P, _GRID)
        hits = np.rint(np.cumsum(hits[:, ::-1], axis=1)[:, ::-1]).astype(np.int64)
        drawn = w > 0
        there = np.broadcast_to((P - np.rint(w[drawn]).astype(np.int64))[:, None], (int(drawn.sum()), _GRID))
        for g, n in enumerate(galleries):
            rates = w[drawn] @ _alarm(hits[drawn], there, n, logs) / P  # falls along the grid
            for f, target in enumerate(targets):
                found[g, f, r] = np.interp(-target, -rates, grid)
    low, middle, high = np.quantile(found, [(1.0 - level) / 2.0, 0.5, (1.0 + level) / 2.0], axis=2)
    centre = np.array(points).reshape(middle.shape)
    ends: Doubles = np.stack([centre + low - middle, centre + high - middle], axis=-1)
    return ends


def _alarm(hits: Ints, there: Ints, gallery: int, logs: Doubles) -> Doubles:
    """Probability that N drawn of ``there`` hold at least one of ``hits``."""
    left = there - hits
    none = np.exp(logs[left] - logs[np.maximum(left - gallery, 0)] - logs[there] + logs[np.maximum(there - gallery, 0)])
    return 1.0 - np.where((left >= gallery) & (there >= gallery), none, 0.0)


def _log_factorials(most: int) -> Doubles:
    """(most + 1,) logarithms of 0! to most!."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])
