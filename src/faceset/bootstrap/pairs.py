"""TAR, thresholds, EER and AUC of pairs under resampling of subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from faceset.bootstrap.drawing import Counts, Weights, draw_subjects, pair_totals, rates_at, running
from faceset.bootstrap.result import Bootstrap, Draws
from faceset.bootstrap.trials import AnyInts, Trials
from faceset.errors import InputError
from faceset.metrics import Doubles, Scores
from faceset.metrics.rate import FloatArray
from faceset.metrics.roc import area, equal_error

_FACTOR, _MORE = 4, 1000  # impostors looked at first, over those allowed


def paired_bootstrap(
    scores: Mapping[str, npt.ArrayLike],
    trials: Trials,
    *,
    fars: Sequence[float] = (1e-2, 1e-3, 1e-4),
    resamples: int = 1000,
    seed: int = 0,
    curves: bool = False,
) -> Bootstrap:
    """Resample subjects and give TAR and threshold at each FAR of each score set.

    The resamples depend on ``seed`` and the number of subjects alone, so two calls over the same subjects are paired
    too (:func:`combine`, :func:`joined`). A resample without any genuine or any impostor trial is left to NaN and
    counts in no interval. Failures (-inf) count as in :mod:`faceset.metrics`, in every resample.

    Args:
        scores: name -> (P,) similarity of each trial; -inf where the comparison could not be made.
        trials: the pairs (:func:`all_pairs`, :meth:`Trials.of`).
        fars: targets, each between 0 and 1.
        resamples: R.
        seed: of the draws.
        curves: EER and AUC too. Every pair is then looked at in every resample, not the highest scores only.

    Raises:
        InputError: sizes that do not fit, NaN or +inf in the scores, or no pair of one of the kinds.
    """
    if resamples < 1 or not scores:
        raise InputError(f"at least one score set and one resample are needed, but got {len(scores)} and {resamples}")
    same, fars = trials.same, tuple(fars)
    weights = draw_subjects(trials.subjects, resamples, seed)
    total, whole = _weight(trials, ~same, weights), _weight(trials, same, weights)
    point, found = [], []
    for name, given in scores.items():
        values = np.asarray(given)
        values = values if values.dtype == np.float32 else values.astype(np.float64, copy=False)
        if values.shape != same.shape:
            raise InputError(f"score set {name!r} must have shape {same.shape}, but got {values.shape}")
        whole_set = Scores.of(values[same], values[~same])
        point.append(_Point.of(whole_set, fars, curves))
        made = total - _weight(trials, ~same & np.isneginf(values), weights) if whole_set.failed_impostors else total
        found.append(_resample(values, whole_set.impostor, trials, same, weights, made, whole, fars, curves))
    return Bootstrap(
        names=tuple(scores),
        fars=fars,
        point=np.array([p.tars for p in point]),
        draws=np.stack([f.tars for f in found]),
        resolved=tuple(all(p.resolved[f] for p in point) for f in range(len(fars))),
        thresholds=np.array([p.thresholds for p in point]),
        threshold_draws=np.stack([f.thresholds for f in found]),
        eer=Draws(np.array([p.eer for p in point]), np.stack([f.eers for f in found])) if curves else None,
        auc=Draws(np.array([p.auc for p in point]), np.stack([f.aucs for f in found])) if curves else None,
    )


class _Point(NamedTuple):
    """Figures of one score set on all subjects."""

    tars: list[float]
    thresholds: list[float]
    resolved: list[bool]
    eer: float
    auc: float

    @classmethod
    def of(cls, scores: Scores, fars: Sequence[float], curves: bool) -> _Point:
        rates, curve = scores.rates(fars), scores.roc() if curves else None
        eer, auc = (curve.eer, curve.auc) if curve is not None else (np.nan, np.nan)
        return cls([r.tar for r in rates], [r.threshold for r in rates], [r.resolved for r in rates], eer, auc)


def _weight(trials: Trials, which: npt.NDArray[np.bool_], weights: Weights) -> Counts:
    """(R,) weight of some trials, all genuine or all impostor."""
    a, b = trials.first_subject[which], trials.second_subject[which]
    if a.size and a[0] == b[0]:
        return np.asarray(weights @ np.bincount(a, minlength=trials.subjects))
    return pair_totals(weights, a, b, trials.subjects)


def _resample(
    values: FloatArray,
    rising: FloatArray,
    trials: Trials,
    same: npt.NDArray[np.bool_],
    weights: Weights,
    total: Counts,
    whole: Counts,
    fars: Sequence[float],
    curves: bool,
) -> _Found:
    """Draws of one score set; ``rising`` are its impostor scores that were compared.

    Only the highest impostor scores can lie near a threshold: a few times as many as are allowed nearly always
    suffice, and when they do not, all are taken.
    """
    enough = int(_FACTOR * max(fars, default=0.0) * rising.size) + _MORE
    if not curves and enough < rising.size:
        short = _Sorted.of(values, trials, same, float(rising[-enough]), complete=False)
        found = _draws(short, weights, total, whole, fars, curves)
        if found is not None:
            return found
    found = _draws(
        _Sorted.of(values, trials, same, float(rising[0]), complete=True), weights, total, whole, fars, curves
    )
    if found is None:
        raise AssertionError("all impostors are always enough")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Sorted:
    """The trials of one score set that were compared, highest scores first.

    Attributes:
        impostor, genuine: (n,), (m,) scores *negated*, so that they rise.
        a, b: (n,) subjects of the impostor trials.
        own: (m,) subjects of the genuine trials.
        complete: the n are all impostor trials, not only the highest.
    """

    impostor: FloatArray
    a: AnyInts
    b: AnyInts
    genuine: FloatArray
    own: AnyInts
    complete: bool

    @classmethod
    def of(cls, values: FloatArray, trials: Trials, same: npt.NDArray[np.bool_], cut: float, complete: bool) -> _Sorted:
        """Impostor trials of scores of ``cut`` and above only."""
        high = np.flatnonzero(~same & (values >= np.array(cut, values.dtype)) & (values > -np.inf))
        impostor = -values[high]
        order = np.argsort(impostor)
        impostor, high = impostor[order], high[order]
        genuine = np.flatnonzero(same & (values > -np.inf))
        genuine = genuine[np.argsort(-values[genuine])]
        a, b = (s[high].astype(np.int64) for s in (trials.first_subject, trials.second_subject))
        return cls(impostor, a, b, -values[genuine], trials.first_subject[genuine].astype(np.int64), complete)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Figures of one score set: on all subjects, and in each resample."""

    tars: Doubles
    thresholds: Doubles
    eers: Doubles
    aucs: Doubles


def _draws(
    trials: _Sorted, weights: Weights, total: Counts, whole: Counts, fars: Sequence[float], curves: bool
) -> _Found | None:
    """(F, R) TAR and threshold, (R,) EER and AUC; None where the highest impostors were too few."""
    R, n, m = len(weights), trials.impostor.size, trials.genuine.size
    found = _Found(*np.full((2, len(fars), R), np.nan), *np.full((2, R), np.nan))
    impostors, genuine = np.zeros(n + 1, dtype=np.int64), np.zeros(m + 1, dtype=np.int64)  # the first stays 0
    turns = _Turns.of(trials) if curves else None
    for r, w in enumerate(weights):
        running(w, trials.a, trials.b, impostors[1:])
        running(w, trials.own, None, genuine[1:])
        rates = rates_at(
            fars,
            impostors[1:],
            trials.impostor,
            int(total[r]),
            genuine[1:],
            trials.genuine,
            int(whole[r]),
            trials.complete,
        )
        if rates is None:
            return None
        found.tars[:, r], found.thresholds[:, r] = rates
        if turns is not None and total[r] and whole[r]:
            curve = turns.points(impostors, genuine)
            found.eers[r] = equal_error(*curve, int(total[r]), int(whole[r]))
            found.aucs[r] = area(*curve, int(total[r]), int(whole[r]))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Turns:
    """Where the curve can turn: at each distinct genuine score (D,), falling.

    Attributes:
        above: impostors above it.
        level: impostors at or above it.
        own: genuine trials at or above it.
    """

    above: Counts
    level: Counts
    own: Counts

    @classmethod
    def of(cls, trials: _Sorted) -> _Turns:
        own = np.flatnonzero(np.diff(trials.genuine, append=np.inf) != 0)  # last of each run of ties
        values = trials.genuine[own]
        above = np.searchsorted(trials.impostor, values, side="left")
        level = np.searchsorted(trials.impostor, values, side="right")
        return cls(above, level, own + 1)

    def points(self, impostors: Counts, genuine: Counts) -> tuple[Counts, Counts]:
        """False and true accepts along the curve, from running weights that start with 0."""
        D = self.own.size
        fa, ta = np.zeros((2, 2 * D + 2), dtype=np.int64)
        fa[1:-1:2], fa[2:-1:2], fa[-1] = impostors[self.above], impostors[self.level], impostors[-1]
        ta[2:-1:2] = genuine[self.own]
        ta[3::2] = ta[2:-1:2]
        return fa, ta
