"""What is drawn: thinned curves, histograms, rates by the size of a set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from faceset.evaluation.results import Histogram, Metric, SizeRate
from faceset.evaluation.trials import Bools, Ints
from faceset.metrics import Doubles, resolved

POINTS = 2000
"""Most points of a curve."""
BINS = np.linspace(-1.0, 1.0, 201)
"""Bounds of the bins of score histograms; the same for all, so that reports can be laid over one another."""
SIZES = ((0, 0), (1, 1), (2, 3), (4, 7), (8, 15), (16, 31), (32, None))
"""Sizes of sets that are told apart, in faces; 0: failed to enrol."""


def thin(x: Doubles, points: int = POINTS) -> Ints:
    """Numbers of the points of a curve to keep: rising x in 0..1, at even steps of log x and of x, both ends kept.

    >>> thin(np.array([0.0, 0.1, 0.5, 1.0])).tolist()
    [0, 1, 2, 3]
    """
    if x.size <= points:
        return np.arange(x.size)
    lowest = x[x > 0].min()
    half = points // 2 - 1
    steps = np.concatenate([np.geomspace(lowest, 1.0, half), np.linspace(0.0, 1.0, half)])
    at = np.searchsorted(x, steps, side="right") - 1  # the best that is had at no more than this x
    return np.unique(np.r_[0, at, x.size - 1]).astype(np.int64)


def histogram(genuine: npt.NDArray[Any], impostor: npt.NDArray[Any], edges: Doubles) -> Histogram:
    """Counts in even bins; scores of -inf are in none, those at the ends in the first and the last."""
    return Histogram(edges, _counts(genuine, edges), _counts(impostor, edges))


def shown_target(targets: Sequence[float], trials: int) -> float:
    """The smallest target that so many trials resolve, else the largest: where rates by size are taken.

    >>> shown_target((1e-4, 1e-3, 1e-2), 20_000)
    0.001
    """
    rising = sorted(targets)
    return next((t for t in rising if resolved(trials, t)), rising[-1])


def size_rates(sizes: Ints, accepted: Bools, far: float, threshold: float | None) -> tuple[SizeRate, ...]:
    """Share accepted of the trials of each size.

    Args:
        sizes: (G,) faces of the smaller template of each genuine trial; 0 where one was not enrolled.
        accepted: (G,) whether it was.
        far: the target behind the threshold.
        threshold: the one of all trials; None where there are several.
    """
    out = []
    for low, high in SIZES:
        here = (sizes >= low) & (sizes <= (sizes.max(initial=0) if high is None else high))
        genuine = int(np.count_nonzero(here))
        if low == 0 and not genuine:
            continue
        rate = Metric(int(np.count_nonzero(accepted[here])) / genuine, threshold=threshold) if genuine else None
        out.append(SizeRate(low, high, genuine, far, rate))
    return tuple(out)


def _counts(scores: npt.NDArray[Any], edges: Doubles) -> npt.NDArray[np.int64]:
    bins = edges.size - 1
    total = np.zeros(bins, np.int64)
    for low in range(0, scores.size, 1 << 20):
        part = scores[low : low + (1 << 20)]
        part = part[part > -np.inf].astype(np.float64)
        at = np.floor((part - edges[0]) * (bins / (edges[-1] - edges[0]))).astype(np.int64)
        total += np.bincount(np.clip(at, 0, bins - 1), minlength=bins)
    return total
