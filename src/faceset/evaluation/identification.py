"""Figures of a 1:N experiment from the scores of all probes with all templates of each gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faceset.bootstrap import search_bootstrap
from faceset.evaluation.drawn import BINS, histogram, size_rates, thin
from faceset.evaluation.options import Options
from faceset.evaluation.results import Curve, Histogram, Metric, SizeRate
from faceset.evaluation.searching import Plan
from faceset.evaluation.trials import Ints
from faceset.metrics import Searches, SearchRate, cmc, mean_tpir, open_set_curve, tpir_at_fpir

SUBJECTS = "95 % interval over subjects of probes"
RANKS = 100
"""Ranks drawn in the CMC curve, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Identified:
    """What the searches of all galleries say; see :class:`faceset.evaluation.results.Outcome`."""

    metrics: dict[str, Metric]
    counts: dict[str, int]
    curves: dict[str, Curve]
    histogram: Histogram
    by_size: tuple[SizeRate, ...]
    notes: tuple[str, ...]


def identify(plan: Plan, searches: Sequence[Searches], probe_sizes: Ints, options: Options, shown: float) -> Identified:
    """Every figure of the searches of Q probes in one or more galleries.

    Ranks are of mated searches, summed over galleries; TPIR (mate ranked first, and at or above the threshold) has one
    threshold a gallery and is averaged over them. A gallery without a mated or a non-mated search gives no TPIR.

    Args:
        plan: who searches where; a close set has ranks only.
        searches: one a gallery.
        probe_sizes: (Q,) faces of each probe, 0 where it was not enrolled.
        options: targets, resamples and seed.
        shown: the FPIR of the rates by size.

    Raises:
        InputError: no mated search in any gallery.
    """
    fpirs, ranks, resamples = options.fpirs, options.ranks, options.resamples
    probe_subjects = plan.subjects[plan.probes]
    open_set, notes = ([], []) if plan.close_set else _open_set(searches, plan.names)
    whole = len(open_set) == len(searches)  # else the galleries that are left get no interval
    targets = fpirs if open_set else ()
    drawn = None
    if resamples:
        drawn = search_bootstrap(
            searches,
            probe_subjects,
            fpirs=targets if whole else (),
            ranks=ranks,
            resamples=resamples,
            seed=options.seed,
        )
    note = SUBJECTS if drawn else ""
    metrics: dict[str, Metric] = {}
    for rank, value in zip(ranks, cmc(searches, ranks), strict=True):
        low, high = drawn.rank_interval(rank)[1:] if drawn else (None, None)
        metrics[f"rank-{rank}"] = Metric(float(value), _number(low), _number(high), note=note)
    for fpir in targets:
        low, high = drawn.tpir_interval(fpir)[1:] if drawn and whole else (None, None)
        rates = [tpir_at_fpir(s, fpir) for s in open_set]
        metrics[f"tpir@fpir={fpir:g}"] = _tpir(rates, _number(low), _number(high), note if whole else "")
    mated = np.concatenate([s.mated for s in searches])
    curves = {"cmc": _cmc(searches)}
    if open_set:
        curves["open-set"] = _open_curve(open_set)
    return Identified(
        metrics=metrics,
        counts={
            "probes": probe_subjects.size,
            "searches": mated.size,
            "mated": int(np.count_nonzero(mated)),
            "non_mated": int(np.count_nonzero(~mated)),
            "failed_mated": sum(int(np.count_nonzero(s.failed & s.mated)) for s in searches),
            "failed_non_mated": sum(int(np.count_nonzero(s.failed & ~s.mated)) for s in searches),
            "gallery_subjects": sum(s.subjects for s in searches),
            "failed_gallery_subjects": sum(s.failed_subjects for s in searches),
        },
        curves=curves,
        histogram=histogram(
            np.concatenate([s.mate_score[s.mated] for s in searches]),
            np.concatenate([s.best_other[~s.mated] for s in searches]),
            BINS,
        ),
        by_size=_by_size(open_set, probe_sizes, shown) if open_set else (),
        notes=tuple(notes),
    )


def _open_set(searches: Sequence[Searches], names: Sequence[str]) -> tuple[list[Searches], list[str]]:
    """The galleries that a TPIR can be measured in, and a sentence for each of the others."""
    fit, notes = [], []
    for s, name in zip(searches, names, strict=True):
        made = s.best_other[~s.mated] > -np.inf
        if s.mated.any() and made.any():
            fit.append(s)
        else:
            lack = "non-mated search that was made" if s.mated.any() else "mated search"
            notes.append(f"Gallery {name} has no {lack}, so it is left out of TPIR.")
    return fit, notes


def _tpir(rates: Sequence[SearchRate], low: float | None, high: float | None, note: str) -> Metric:
    resolved = all(r.resolved for r in rates)
    parts = [note] if note else []
    if not resolved:
        counts = ", ".join(str(r.nonmated) for r in rates)
        parts.insert(0, f"not resolved: {counts} non-mated searches allow {rates[0].fpir * rates[0].nonmated:.3g}")
    if len(rates) > 1:
        parts.append(f"mean over {len(rates)} galleries, each with its own threshold")
    threshold = rates[0].threshold if len(rates) == 1 else None
    return Metric(mean_tpir(rates), low, high, resolved, threshold, "; ".join(parts))


def _by_size(searches: Sequence[Searches], probe_sizes: Ints, fpir: float) -> tuple[SizeRate, ...]:
    """TPIR by the size of the probe, over all galleries."""
    thresholds = [tpir_at_fpir(s, fpir).threshold for s in searches]
    accepted = [s.hits(1)[s.mated] >= t for s, t in zip(searches, thresholds, strict=True)]
    sizes = np.concatenate([probe_sizes[s.mated] for s in searches])
    threshold = thresholds[0] if len(thresholds) == 1 else None
    return size_rates(sizes, np.concatenate(accepted), fpir, threshold)


def _cmc(searches: Sequence[Searches]) -> Curve:
    ranks = np.arange(1, min(RANKS, max(s.subjects for s in searches)) + 1)
    return Curve(ranks.astype(np.float64), cmc(searches, ranks.tolist()))


def _open_curve(searches: Sequence[Searches]) -> Curve:
    """TPIR over FPIR; over several galleries, the mean TPIR at every FPIR that one of them turns at."""
    curves = [open_set_curve(s) for s in searches]
    x = np.unique(np.concatenate([c.fpir for c in curves]))
    y = np.mean([c.tpir[np.searchsorted(c.fpir, x, side="right") - 1] for c in curves], axis=0)
    kept = thin(x)
    return Curve(x[kept], y[kept])


def _number(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)
