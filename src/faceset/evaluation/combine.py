"""Several experiments of one aggregator (splits) as one curve, one histogram, one rate by size to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from faceset.evaluation.results import Curve, Doubles, Histogram, Metric, Outcome, SizeRate

_POINTS = 2000


def curve_of(outcomes: Sequence[Outcome], name: str) -> Curve | None:
    """The curve of that name; of several experiments the mean of y at every x (vertical averaging).

    Vertical averaging as in Fawcett, "An introduction to ROC analysis", 2006, section 9.1, with the curves as
    steps: y at x is that of the last point at or before x. None where no experiment has the curve.
    """
    curves = [_by_x(o.curves[name]) for o in outcomes if name in o.curves and o.curves[name].x.size]
    if len(curves) <= 1:
        return curves[0] if curves else None
    start = max(float(c.x[0]) for c in curves)
    grid = np.unique(np.concatenate([c.x for c in curves]))
    grid = grid[grid >= start]
    if grid.size > _POINTS:
        grid = grid[np.unique(np.linspace(0, grid.size - 1, _POINTS).round().astype(np.int64))]
    return Curve(grid, np.mean([_at(c, grid) for c in curves], axis=0))


def histogram_of(outcomes: Sequence[Outcome]) -> Histogram | None:
    """Counts summed over the experiments whose bins are those of the first."""
    found = [o.histogram for o in outcomes if o.histogram is not None]
    same = [h for h in found if np.array_equal(h.edges, found[0].edges)]
    if not same:
        return None
    genuine, impostor = (np.sum([getattr(h, side) for h in same], axis=0) for side in ("genuine", "impostor"))
    return Histogram(same[0].edges, genuine, impostor)


def sizes_of(outcomes: Sequence[Outcome]) -> list[SizeRate]:
    """Rates by size; of several experiments the share of all trials together.

    A rate without an interval gets Wilson's (1927), as if the trials were independent; of one person they are not, so
    that it is rather too short.
    """
    if len(outcomes) == 1:
        return [_with_interval(rate) for rate in outcomes[0].by_size]
    bins: dict[tuple[int, int | None, float], list[SizeRate]] = {}
    for rate in (r for o in outcomes for r in o.by_size):
        bins.setdefault((rate.low, rate.high, rate.far), []).append(rate)
    found = []
    for (low, high, far), rates in sorted(bins.items(), key=lambda item: (item[0][2], item[0][0])):
        counted = [(r.genuine, r.rate.value) for r in rates if r.rate is not None and r.genuine]
        total = sum(n for n, _ in counted)
        value = Metric(sum(n * v for n, v in counted) / total, note="over all experiments") if total else None
        found.append(_with_interval(SizeRate(low, high, sum(r.genuine for r in rates), far, value)))
    return found


def size_name(rate: SizeRate) -> str:
    """The range of a size in words.

    >>> size_name(SizeRate(1, 1, 5, 0.01, None)), size_name(SizeRate(8, None, 5, 0.01, None))
    ('1', '8 or more')
    """
    if rate.high == 0:
        return "not enrolled"
    if rate.high is None:
        return f"{rate.low} or more"
    return str(rate.low) if rate.low == rate.high else f"{rate.low} to {rate.high}"


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of ``count`` independent trials (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927).

    >>> [round(end, 4) for end in wilson(0.5, 10)]
    [0.2366, 0.7634]
    """
    z2 = 1.959963984540054**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = np.sqrt(z2 * (share * (1 - share) / count + z2 / (4 * count**2))) / (1 + z2 / count)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _with_interval(rate: SizeRate) -> SizeRate:
    if rate.rate is None or rate.rate.low is not None or not rate.genuine or rate.high == 0:  # not enrolled: 0 for sure
        return rate
    low, high = wilson(rate.rate.value, rate.genuine)
    note = ", ".join(filter(None, (rate.rate.note, "interval of Wilson, as of independent trials")))
    return replace(rate, rate=replace(rate.rate, low=low, high=high, note=note))


def _by_x(curve: Curve) -> Curve:
    order = np.argsort(curve.x, kind="stable")
    return Curve(np.asarray(curve.x, np.float64)[order], np.asarray(curve.y, np.float64)[order])


def _at(curve: Curve, grid: Doubles) -> Doubles:
    return curve.y[np.maximum(np.searchsorted(curve.x, grid, side="right") - 1, 0)]
