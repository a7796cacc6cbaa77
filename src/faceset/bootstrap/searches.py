"""TPIR, thresholds and ranks of searches under resampling of the probes' subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from faceset.bootstrap.drawing import Weights, draw_subjects, rates_at, running
from faceset.bootstrap.result import Interval, ends
from faceset.errors import InputError
from faceset.metrics import Doubles, Searches, cmc, mean_tpir, tpir_at_fpir

AnyInts = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class SearchBootstrap:
    """TPIR at several FPIR, and the cumulative match characteristic at several ranks.

    Attributes:
        fpirs: (F,) targets.
        ranks: (K,) ranks.
        tpir: (F,) mean over the galleries of TPIR, on all subjects.
        tpir_draws: (F, R) the same in each resample; NaN where it drew nothing of a kind for one of the galleries.
        hit: (K,) share of mated searches with the mate in the top ranks, galleries summed.
        hit_draws: (K, R) the same in each resample; NaN where it drew no mated search.
        thresholds: (N, F) threshold of each gallery on all subjects.
        threshold_draws: (N, F, R) threshold of each gallery in each resample.
        resolved: (F,) whether the data can show that FPIR, in every gallery.
    """

    fpirs: tuple[float, ...]
    ranks: tuple[int, ...]
    tpir: Doubles
    tpir_draws: Doubles
    hit: Doubles
    hit_draws: Doubles
    thresholds: Doubles
    threshold_draws: Doubles
    resolved: tuple[bool, ...]

    def tpir_interval(self, fpir: float, level: float = 0.95) -> Interval:
        """TPIR at a target FPIR, and the lower and upper end of its interval."""
        f = self._fpir(fpir)
        return (float(self.tpir[f]), *ends(self.tpir_draws[f], level))

    def rank_interval(self, rank: int, level: float = 0.95) -> Interval:
        """Share of mated searches with the mate in the top ranks, and the ends of its interval."""
        k = self._rank(rank)
        return (float(self.hit[k]), *ends(self.hit_draws[k], level))

    def threshold_interval(self, fpir: float, gallery: int = 0, level: float = 0.95) -> Interval:
        """Threshold at a target FPIR in one gallery, and the ends of its interval."""
        f = self._fpir(fpir)
        return (float(self.thresholds[gallery, f]), *ends(self.threshold_draws[gallery, f], level, observed=True))

    def tpir_difference(self, other: SearchBootstrap, fpir: float, level: float = 0.95) -> Interval:
        """TPIR here minus TPIR there, and the ends of the paired interval; both of the same probes and seed."""
        f, g = self._fpir(fpir), other._fpir(fpir)
        return (float(self.tpir[f] - other.tpir[g]), *ends(self.tpir_draws[f] - other.tpir_draws[g], level))

    def _fpir(self, fpir: float) -> int:
        if fpir not in self.fpirs:
            raise InputError(
                f"FPIR {fpir:g} was not measured; {', '.join(f'{f:g}' for f in self.fpirs) or 'none'} were"
            )
        return self.fpirs.index(fpir)

    def _rank(self, rank: int) -> int:
        if rank not in self.ranks:
            raise InputError(f"rank {rank} was not measured; {', '.join(map(str, self.ranks)) or 'none'} were")
        return self.ranks.index(rank)


def search_bootstrap(
    searches: Searches | Sequence[Searches],
    probe_subjects: npt.ArrayLike,
    *,
    fpirs: Sequence[float] = (1e-1, 1e-2),
    ranks: Sequence[int] = (1, 5, 10),
    rank: int | None = 1,
    resamples: int = 1000,
    seed: int = 0,
) -> SearchBootstrap:
    """Resample the subjects of the probes; galleries stay as they are.

    A search counts as often as its probe's subject was drawn, and the threshold is found anew in each resample. The
    interval is thus over who is searched for, not over who is enrolled.

    Args:
        searches: of one gallery, or of the same probes in several.
        probe_subjects: (Q,) name or number of the subject of each probe.
        fpirs: targets, each between 0 and 1; none of them for a close set.
        ranks: of the cumulative match characteristic, each >= 1.
        rank: within which a mate must be for TPIR; None: at any.
        resamples: R.
        seed: of the draws.

    Raises:
        InputError: sizes that do not fit, or as :func:`faceset.metrics.tpir_at_fpir` and :func:`faceset.metrics.cmc`.
    """
    many = [searches] if isinstance(searches, Searches) else list(searches)
    names, subject = np.unique(np.asarray(probe_subjects), return_inverse=True)
    wrong = [s.mated.shape for s in many if s.mated.shape != subject.shape]
    if wrong or not many or resamples < 1:
        raise InputError(
            f"at least one gallery with searches of {subject.shape} probes and one resample are needed, but got "
            f"{len(many)} galleries, {wrong or 'none'} of other shapes, and {resamples} resamples"
        )
    fpirs, ranks = tuple(fpirs), tuple(ranks)
    rates = [[tpir_at_fpir(s, fpir, rank) for s in many] for fpir in fpirs]  # [F][N]
    weights = draw_subjects(names.size, resamples, seed)
    tars = np.empty((len(many), len(fpirs), resamples))
    thresholds = np.empty_like(tars)
    if fpirs:
        for n, s in enumerate(many):
            tars[n], thresholds[n] = _open_set(s, subject, weights, fpirs, rank)
    return SearchBootstrap(
        fpirs=fpirs,
        ranks=ranks,
        tpir=np.array([mean_tpir(row) for row in rates]),
        tpir_draws=tars.mean(axis=0),
        hit=cmc(many, ranks),
        hit_draws=_hits(many, subject, weights, ranks),
        thresholds=np.array([[row[n].threshold for row in rates] for n in range(len(many))]),
        threshold_draws=thresholds,
        resolved=tuple(all(r.resolved for r in row) for row in rates),
    )


def _open_set(
    searches: Searches, subject: AnyInts, weights: Weights, fpirs: Sequence[float], rank: int | None
) -> tuple[Doubles, Doubles]:
    """(F, R) TPIR and threshold in one gallery."""
    mates, others = -searches.hits(rank), -searches.best_other  # negated, so that the highest come first
    own = np.flatnonzero(searches.mated & (mates < np.inf))
    own = own[np.argsort(mates[own])]
    strange = np.flatnonzero(~searches.mated & (others < np.inf))
    strange = strange[np.argsort(others[strange])]
    every = np.bincount(subject[searches.mated], minlength=weights.shape[1])
    tars, thresholds = np.empty((2, len(fpirs), len(weights)))
    impostors, genuine = np.empty(strange.size, np.int64), np.empty(own.size, np.int64)
    for r, w in enumerate(weights):
        running(w, subject[strange], None, impostors)
        running(w, subject[own], None, genuine)
        total, whole = int(impostors[-1]), int(w @ every)
        found = rates_at(fpirs, impostors, others[strange], total, genuine, mates[own], whole, complete=True)
        if found is None:
            raise AssertionError("all searches are always enough")
        tars[:, r], thresholds[:, r] = found
    return tars, thresholds


def _hits(many: Sequence[Searches], subject: AnyInts, weights: Weights, ranks: Sequence[int]) -> Doubles:
    """(K, R) weight of mated searches with the mate in the top ranks, over that of all mated searches."""
    S = weights.shape[1]
    mated = sum((np.bincount(subject[s.mated], minlength=S) for s in many), np.zeros(S, np.int64))
    hits = [
        sum((np.bincount(subject[s.mated & (s.mate_rank <= k)], minlength=S) for s in many), np.zeros(S, np.int64))
        for k in ranks
    ]
    total = (weights @ mated).astype(np.float64)
    total[total == 0] = np.nan
    return np.array([(weights @ h) / total for h in hits]).reshape(len(ranks), len(weights))
