"""Searches of probes in a gallery (1:N): ranks, and rates at a false positive identification rate.

By the definitions of NIST (FRVT/FRTE 1:N; ISO/IEC 19795-1). A search is *mated* when the probe's subject is in the
gallery of N subjects. At threshold T and rank R::

    FPIR(N, T)    = share of non-mated searches with one or more subjects at or above T
    FNIR(N, R, T) = share of mated searches whose mate is outside the top R ranks or below T
    TPIR = 1 - FNIR          CMC(R) = share of mated searches whose mate is in the top R ranks

A subject with several templates in the gallery scores the best of them. A subject whose score ties with the mate's is
ranked before it: ties count against the mate. The threshold at a target FPIR follows the rule for FAR of
:mod:`faceset.metrics.verification`, over the highest score of each non-mated search.

A probe that failed to enrol is a miss at every rank and threshold when it has a mate, and no search when it has none.
A subject of the gallery that failed is missed by all its probes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faceset.errors import InputError
from faceset.metrics.rate import Bools, Doubles, FloatArray, check_far
from faceset.metrics.roc import Ints
from faceset.metrics.scores import Scores

UNRANKED = int(np.iinfo(np.int64).max)
"""Rank of a mate that is not there or could not be compared: below every rank."""


@dataclass(frozen=True, slots=True, eq=False)
class Searches:
    """What Q searches of one gallery gave.

    Attributes:
        mated: (Q,) whether the probe's subject is in the gallery.
        mate_score: (Q,) best score of a template of the probe's subject; -inf where there is none or it failed.
        mate_rank: (Q,) one more than the number of other subjects that score as high or higher; :data:`UNRANKED` where
            ``mate_score`` is -inf.
        best_other: (Q,) highest score of another subject; -inf where there is none.
        failed: (Q,) probes that could not be compared to anything.
        subjects: number of subjects in the gallery N.
        failed_subjects: how many of them could not be compared to anything.
    """

    mated: Bools
    mate_score: FloatArray
    mate_rank: Ints
    best_other: FloatArray
    failed: Bools
    subjects: int
    failed_subjects: int = 0

    def hits(self, rank: int | None) -> FloatArray:
        """(Q,) the mate's score where it is in the top ranks (None: at any), else -inf."""
        if rank is None:
            return self.mate_score
        return np.where(self.mate_rank <= _rank(rank), self.mate_score, np.array(-np.inf, self.mate_score.dtype))

    def scores(self, rank: int | None = 1) -> Scores:
        """Mates in the top ranks as genuine, the highest score of each non-mated search as impostor scores.

        Raises:
            InputError: there is no mated search, or no non-mated one that was made.
        """
        if not self.mated.any():
            raise InputError("no probe has a mate in the gallery, so there is no rate of identification")
        others = self.best_other[~self.mated]
        if np.isneginf(others).all():
            raise InputError(
                f"of {others.size} searches without a mate in the gallery none was made, so there is no rate of false "
                "identification; where every probe has a mate, only ranks can be measured"
            )
        return Scores.of(self.hits(rank)[self.mated], others)


@dataclass(frozen=True, slots=True)
class SearchRate:
    """The rate of correct identification at one target FPIR.

    Attributes:
        fpir: the target.
        rank: the mate must be among so many; None: at any rank.
        threshold: the lowest threshold with FPIR <= target.
        tpir: share of mated searches whose mate is in the top ranks and at or above the threshold, in 0..1.
        measured_fpir: FPIR at that threshold, <= target.
        mated: mated searches, those that failed among them.
        nonmated: non-mated searches that were made.
        resolved: whether ``nonmated * fpir >= MIN_ACCEPTED``.
        failed_mated: mated searches whose probe failed: each a miss.
        failed_nonmated: non-mated searches whose probe failed: left out.
    """

    fpir: float
    rank: int | None
    threshold: float
    tpir: float
    measured_fpir: float
    mated: int
    nonmated: int
    resolved: bool
    failed_mated: int = 0
    failed_nonmated: int = 0

    def __str__(self) -> str:
        text = f"TPIR {100 * self.tpir:.1f} % at FPIR {self.fpir:g}"
        return text if self.resolved else f"{text} (not resolved: {self.nonmated} non-mated searches)"


@dataclass(frozen=True, slots=True, eq=False)
class OpenSetCurve:
    """TPIR over FPIR, its corners, from the strictest threshold to the loosest.

    Attributes:
        thresholds: (K,) falling; the first is inf.
        fpir, tpir: (K,) rising, in 0..1.
    """

    thresholds: Doubles
    fpir: Doubles
    tpir: Doubles


def tpir_at_fpir(searches: Searches, fpir: float, rank: int | None = 1) -> SearchRate:
    """TPIR = 1 - FNIR(N, rank, T) at the lowest T with FPIR(N, T) at most the target.

    Args:
        searches: of one gallery.
        fpir: target, between 0 and 1, both excluded.
        rank: R >= 1; None: a mate at or above T counts at any rank.

    Raises:
        InputError: a target or rank out of range, no mated search, or no non-mated one that was made.
    """
    check_far(fpir, "fpir")
    rate = searches.scores(rank).rate(fpir)
    failed_mated = int(np.count_nonzero(searches.failed & searches.mated))
    return SearchRate(
        fpir=rate.far,
        rank=rank,
        threshold=rate.threshold,
        tpir=rate.tar,
        measured_fpir=rate.measured_far,
        mated=rate.genuine,
        nonmated=rate.impostors,
        resolved=rate.resolved,
        failed_mated=failed_mated,
        failed_nonmated=rate.failed_impostors,
    )


def mean_tpir(rates: Sequence[SearchRate]) -> float:
    """TPIR over several galleries: their mean, each with its own threshold (IJB-B and IJB-C: two galleries)."""
    if not rates:
        raise InputError("no rates to take the mean of")
    return float(np.mean([r.tpir for r in rates]))


def cmc(searches: Searches | Sequence[Searches], ranks: Sequence[int]) -> Doubles:
    """Cumulative match characteristic: (K,) share of mated searches whose mate is in the top R, for each R.

    Over several galleries, hits and mated searches are summed first. Where each probe has its mate in one of them, as
    in IJB-B and IJB-C, that is the share of all probes.

    Raises:
        InputError: no mated search, or a rank below 1.
    """
    many = [searches] if isinstance(searches, Searches) else list(searches)
    found = np.concatenate([s.mate_rank[s.mated] for s in many]) if many else np.empty(0, np.int64)
    if found.size == 0:
        raise InputError("no probe has a mate in the gallery, so there are no ranks")
    rising = np.sort(found)
    return np.array([np.searchsorted(rising, _rank(r), side="right") for r in ranks]) / found.size


def open_set_curve(searches: Searches, rank: int | None = 1) -> OpenSetCurve:
    """TPIR over FPIR at every threshold.

    Raises:
        InputError: no mated search, or no non-mated one that was made.
    """
    curve = searches.scores(rank).roc()
    return OpenSetCurve(curve.thresholds, curve.far, curve.tar)


def _rank(rank: int) -> int:
    if rank < 1 or rank == UNRANKED:
        raise InputError(f"a rank is 1 or more, but got {rank!r}")
    return int(rank)
