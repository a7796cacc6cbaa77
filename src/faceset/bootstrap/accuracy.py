"""Accuracy over folds under resampling of subjects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceset.bootstrap.drawing import draw_subjects
from faceset.bootstrap.result import Interval, ends, find
from faceset.bootstrap.trials import Trials
from faceset.errors import InputError
from faceset.metrics import Doubles, kfold_accuracy
from faceset.metrics.folds import decisions


@dataclass(frozen=True, slots=True, eq=False)
class AccuracyBootstrap:
    """Accuracy over folds of several score sets, with the same resamples for all.

    Attributes:
        names: (K,) the score sets.
        point: (K,) mean accuracy over the folds, on all subjects.
        draws: (K, R) the same in each resample.
    """

    names: tuple[str, ...]
    point: Doubles
    draws: Doubles

    def interval(self, name: str, level: float = 0.95) -> Interval:
        """Accuracy of one score set, and the lower and upper end of its interval."""
        k = find(name, self.names)
        return (float(self.point[k]), *ends(self.draws[k], level))

    def difference(self, name: str, other: str, level: float = 0.95) -> Interval:
        """Accuracy of ``name`` minus that of ``other``, and the ends of the paired interval."""
        a, b = find(name, self.names), find(other, self.names)
        return (float(self.point[a] - self.point[b]), *ends(self.draws[a] - self.draws[b], level))


def accuracy_bootstrap(
    scores: Mapping[str, npt.ArrayLike],
    trials: Trials,
    folds: npt.ArrayLike,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> AccuracyBootstrap:
    """Resample subjects and give the mean accuracy over folds of each score set.

    The threshold of each fold is the one that :func:`faceset.metrics.kfold_accuracy` chose on all subjects; it is held
    fixed, so the interval is over people and not over the choice of thresholds. A fold's accuracy in a resample is the
    share of the weight of its pairs that is decided rightly; folds of which nothing was drawn are left out of the mean.

    Args:
        scores: name -> (P,) similarity of each trial; -inf where the comparison could not be made.
        trials: the pairs.
        folds: (P,) number of the fold of each pair, from 0.
        resamples: R.
        seed: of the draws.

    Raises:
        InputError: as :func:`faceset.metrics.kfold_accuracy`; or nothing to resample.
    """
    if resamples < 1 or not scores:
        raise InputError(f"at least one score set and one resample are needed, but got {len(scores)} and {resamples}")
    same, fold = trials.same, np.asarray(folds)
    found = {name: kfold_accuracy(values, same, fold) for name, values in scores.items()}
    right = []
    for name, values in scores.items():
        s = np.asarray(values)
        right.append(decisions(s, same, found[name].thresholds[fold]))
    draws = np.empty((len(scores), resamples))
    for r, w in enumerate(draw_subjects(trials.subjects, resamples, seed)):
        weight = w[trials.first_subject] * np.where(same, 1, w[trials.second_subject])
        sizes = np.bincount(fold, weights=weight)
        drawn = sizes > 0
        for k, good in enumerate(right):
            shares = np.bincount(fold, weights=weight * good)[drawn] / sizes[drawn]
            draws[k, r] = shares.mean() if shares.size else np.nan
    return AccuracyBootstrap(tuple(scores), np.array([f.mean for f in found.values()]), draws)
