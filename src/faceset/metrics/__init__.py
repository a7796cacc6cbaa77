"""How well scores tell people apart: 1:1 (verification) and 1:N (identification).

Pure functions of arrays, NumPy only; ``docs/metrics.md`` has the formulas. Intervals are in :mod:`faceset.bootstrap`.
"""

from __future__ import annotations

from faceset.metrics.folds import Folds, accuracy, best_threshold, kfold_accuracy
from faceset.metrics.identification import (
    UNRANKED,
    OpenSetCurve,
    Searches,
    SearchRate,
    cmc,
    mean_tpir,
    open_set_curve,
    tpir_at_fpir,
)
from faceset.metrics.rate import MIN_ACCEPTED, Doubles, Rate, resolved
from faceset.metrics.roc import Det, Roc
from faceset.metrics.scores import Scores
from faceset.metrics.searching import search
from faceset.metrics.verification import auc, det, eer, roc, tar_at_far, tar_at_fars

__all__ = [
    "MIN_ACCEPTED",
    "UNRANKED",
    "Det",
    "Doubles",
    "Folds",
    "OpenSetCurve",
    "Rate",
    "Roc",
    "Scores",
    "SearchRate",
    "Searches",
    "accuracy",
    "auc",
    "best_threshold",
    "cmc",
    "det",
    "eer",
    "kfold_accuracy",
    "mean_tpir",
    "open_set_curve",
    "resolved",
    "roc",
    "search",
    "tar_at_far",
    "tar_at_fars",
    "tpir_at_fpir",
]
