"""Accuracy over folds: the threshold comes from the other folds, the accuracy from the one held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.metrics.rate import Bools, Doubles, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Folds:
    """Accuracy by fold.

    Attributes:
        accuracies: (K,) share of right decisions in each fold, in 0..1.
        thresholds: (K,) the threshold used in each, chosen on the others.
        pairs: number of pairs P.
        failed_genuine, failed_impostors: pairs that could not be compared; each counted as wrong.
    """

    accuracies: Doubles
    thresholds: Doubles
    pairs: int
    failed_genuine: int = 0
    failed_impostors: int = 0

    @property
    def mean(self) -> float:
        """Mean of the accuracies; every fold counts the same."""
        return float(self.accuracies.mean())

    @property
    def std(self) -> float:
        """Sample standard deviation of the accuracies (divisor K - 1)."""
        return float(self.accuracies.std(ddof=1))

    @property
    def standard_error(self) -> float:
        """Standard error of the mean, ``std / sqrt(K)``: what LFW asks for (Huang et al. 2007, section "Reporting")."""
        return self.std / float(np.sqrt(self.accuracies.size))


def kfold_accuracy(scores: npt.ArrayLike, same: npt.ArrayLike, folds: npt.ArrayLike) -> Folds:
    """Accuracy on each fold with the threshold that is best on the other folds (:func:`best_threshold`).

    >>> found = kfold_accuracy([0.9, 0.1, 0.8, 0.2], [True, False, True, False], [0, 0, 1, 1])
    >>> found.mean, found.thresholds.tolist()
    (1.0, [0.5, 0.5])

    Args:
        scores: (P,) similarities; -inf where the comparison could not be made. Such a pair is wrong whichever its
            label, and no threshold is chosen by it.
        same: (P,) whether both templates are of one person.
        folds: (P,) number of the fold of each pair, from 0.

    Raises:
        InputError: shapes that do not fit, NaN or +inf, fewer than two folds, a fold without pairs, or no pair to
            choose a threshold by.
    """
    s, y = _pairs(scores, same)
    f = np.asarray(folds)
    if f.shape != s.shape or not np.issubdtype(f.dtype, np.integer):
        raise InputError(f"folds must be {s.size} whole numbers, but got shape {f.shape} of {f.dtype}")
    if f.min() < 0:
        raise InputError(f"folds are numbered from 0, but got {f.min()}")
    sizes = np.bincount(f)
    if sizes.size < 2:
        raise InputError("accuracy over folds needs at least two folds, but all pairs are of fold 0")
    if not sizes.all():
        raise InputError(f"fold {int(np.argmin(sizes))} has no pairs; folds are numbered from 0 to {sizes.size - 1}")
    thresholds = np.array([best_threshold(s[f != k], y[f != k]) for k in range(sizes.size)])
    right = decisions(s, y, thresholds[f])
    failed = np.isneginf(s)
    return Folds(
        accuracies=np.bincount(f, weights=right) / sizes,
        thresholds=thresholds,
        pairs=s.size,
        failed_genuine=int(np.count_nonzero(failed & y)),
        failed_impostors=int(np.count_nonzero(failed & ~y)),
    )


def best_threshold(scores: npt.ArrayLike, same: npt.ArrayLike) -> float:
    """The threshold with the most right decisions on these pairs.

    All thresholds between two neighbouring scores decide alike. Of the gaps that are equally good the middle one is
    taken (the lower of two), and of that gap the midpoint. Where it is best to accept everything the threshold is the
    lowest score, and where it is best to accept nothing it is just above the highest.

    >>> best_threshold([0.9, 0.6, 0.4, 0.1], [True, True, False, False])
    0.5

    Args:
        scores: (P,) similarities; those of -inf are left out.
        same: (P,) whether both templates are of one person.

    Raises:
        InputError: shapes that do not fit, NaN or +inf, or no pair that was compared.
    """
    s, y = _pairs(scores, same)
    made = ~np.isneginf(s)
    if not made.any():
        raise InputError(f"none of {s.size} pairs was compared, so no threshold can be chosen")
    order = np.argsort(s[made])
    s, y = s[made][order], y[made][order]
    starts = np.flatnonzero(np.r_[True, s[1:] != s[:-1]])
    genuine_below = np.r_[0, np.cumsum(y)][np.r_[starts, s.size]]  # before each distinct score, and after all
    impostors_below = np.r_[starts, s.size] - genuine_below
    right = impostors_below + (genuine_below[-1] - genuine_below)
    best = np.flatnonzero(right == right.max())
    at = int(best[(best.size - 1) // 2])
    values = s[starts]
    if at == 0:
        return float(values[0])
    below = values[at - 1]
    if at == values.size:
        return float(np.nextafter(below, np.array(np.inf, dtype=s.dtype)))
    middle = below + (values[at] - below) / s.dtype.type(2)
    return float(middle if middle > below else values[at])


def accuracy(scores: npt.ArrayLike, same: npt.ArrayLike, threshold: float) -> float:
    """Share of right decisions at a threshold; a pair that could not be compared (-inf) is wrong.

    >>> accuracy([0.9, 0.4, 0.1, float("-inf")], [True, True, False, False], 0.5)
    0.5

    Raises:
        InputError: shapes that do not fit, NaN or +inf.
    """
    s, y = _pairs(scores, same)
    return float(np.count_nonzero(decisions(s, y, np.float64(threshold))) / s.size)


def decisions(scores: FloatArray, same: Bools, threshold: Doubles | np.float64) -> Bools:
    """(P,) which decisions are right, at one threshold or one for each pair."""
    return np.asarray(((scores >= threshold) == same) & ~np.isneginf(scores))


def _pairs(scores: npt.ArrayLike, same: npt.ArrayLike) -> tuple[FloatArray, Bools]:
    s = np.asarray(scores)
    s = s if s.dtype == np.float32 else s.astype(np.float64)
    y = np.asarray(same)
    if s.ndim != 1 or s.size == 0 or y.shape != s.shape:
        raise InputError(f"scores and same must be lists of one length, but got shapes {s.shape} and {y.shape}")
    if y.dtype != np.bool_:
        raise InputError(f"same must be True or False for each pair, but got {y.dtype}")
    if np.isnan(s).any() or np.isposinf(s).any():
        raise InputError("scores hold NaN or +inf; where a comparison could not be made, give -inf")
    return s, y
