"""Thresholds where the people are too few to show a FAR: always the stricter of what can be known.

Each rule gives a threshold that is at least the one the scores themselves gave. In this order:

* :data:`MEASURED`: the FAR is resolved (:func:`faceset.metrics.resolved`, counted in pairs of people, not templates).
* :data:`LARGER`: the lowest threshold of a resolved pair of classes that are both as large or larger.
* :data:`STEP`: the threshold at the lowest FAR that this pair resolves, plus the step from there to the FAR asked for
  as the nearest resolved smaller pair has it (the tail of larger sets is no heavier, ``docs/calibration.md``).
* :data:`SLOPE`: where nobody resolves that FAR but this pair resolves two others, onward along the logarithm of FAR.
  The slope of a distribution's tail gets less as FAR falls (that of a normal one does), so this is on the strict side.
* :data:`TAIL`: the threshold at which a normal distribution of the scores' mean and deviation has that FAR.
* :data:`GROWTH`: for a pair without any scores, the threshold of the next smaller pair, plus what the last doubling of
  the faces added.

In the end no threshold that is not measured lies below that of a pair of smaller classes, and none falls as FAR falls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

MEASURED, LARGER, STEP, SLOPE, TAIL, GROWTH = "measured", "larger sets", "step", "slope", "tail", "growth"

Doubles = npt.NDArray[np.float64]
Sizes = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Raw:
    """What the scores of one pair of classes say: (F,) thresholds and whether each is resolved; None without scores."""

    thresholds: Doubles | None
    resolved: tuple[bool, ...]
    mean: float = 0.0
    deviation: float = 0.0


def fill(raw: Mapping[Sizes, Raw], fars: tuple[float, ...]) -> dict[Sizes, tuple[Doubles, tuple[str, ...]]]:
    """(F,) thresholds and rules of every pair; ``fars`` falling.

    >>> one = Raw(np.array([0.5, 0.6]), (True, True))
    >>> two = Raw(np.array([0.55, 0.56]), (True, False))
    >>> values, rules = fill({(0, 0): one, (0, 1): two, (1, 1): two}, (0.01, 0.001))[0, 1]
    >>> [round(float(v), 6) for v in values], rules
    ([0.55, 0.65], ('measured', 'step'))
    """
    done: dict[Sizes, tuple[Doubles, tuple[str, ...]]] = {}
    for sizes in sorted(raw, key=lambda s: (s[0] + s[1], s)):
        found = [_one(raw, done, sizes, f, fars) for f in range(len(fars))]
        values = np.array([value for value, _ in found])
        rules = tuple(rule for _, rule in found)
        below = [done[other][0] for other in done if _within(other, sizes)]
        for f, rule in enumerate(rules):
            if rule != MEASURED:
                values[f] = max([values[f], *(float(b[f]) for b in below)])
        done[sizes] = np.minimum(np.maximum.accumulate(values), 1.0), rules
    return done


def _one(
    raw: Mapping[Sizes, Raw],
    done: Mapping[Sizes, tuple[Doubles, tuple[str, ...]]],
    sizes: Sizes,
    f: int,
    fars: tuple[float, ...],
) -> tuple[float, str]:
    mine = raw[sizes]
    if mine.thresholds is not None and mine.resolved[f]:
        return float(mine.thresholds[f]), MEASURED
    own = -1.0 if mine.thresholds is None else float(mine.thresholds[f])
    larger = [float(r.thresholds[f]) for s, r in raw.items()
              if s != sizes and _within(sizes, s) and r.thresholds is not None and r.resolved[f]]  # fmt: skip
    if larger:
        return max(own, min(larger)), LARGER
    if mine.thresholds is None:
        return _grown(done, sizes, f), GROWTH
    known = [g for g in range(f) if mine.resolved[g]]
    near = _nearest_resolved(raw, sizes, f)
    if known and near is not None:
        return max(own, float(mine.thresholds[known[-1]] + near[f] - near[known[-1]])), STEP
    if len(known) > 1:
        slope = (mine.thresholds[known[-1]] - mine.thresholds[known[-2]]) / math.log(fars[known[-2]] / fars[known[-1]])
        return max(own, float(mine.thresholds[known[-1]] + slope * math.log(fars[known[-1]] / fars[f]))), SLOPE
    return max(own, normal_tail(mine.mean, mine.deviation, fars[f])), TAIL


def normal_tail(mean: float, deviation: float, far: float) -> float:
    """The threshold that a share ``far`` of normally distributed scores reach."""
    return mean + NormalDist().inv_cdf(1.0 - far) * deviation


def _nearest_resolved(raw: Mapping[Sizes, Raw], sizes: Sizes, f: int) -> Doubles | None:
    """The thresholds of the smaller pair closest to ``sizes`` that resolves FAR number f."""
    near = [
        s for s, r in raw.items() if s != sizes and _within(s, sizes) and r.thresholds is not None and r.resolved[f]
    ]
    return raw[max(near, key=lambda s: (s[0] + s[1], s))].thresholds if near else None


def _grown(done: Mapping[Sizes, tuple[Doubles, tuple[str, ...]]], sizes: Sizes, f: int) -> float:
    """From the two next smaller pairs along either class; the larger outcome."""
    out = [-1.0]
    for one, two in ((_less(sizes, i, 1), _less(sizes, i, 2)) for i in (0, 1)):
        if one in done:
            value = float(done[one][0][f])
            out.append(value + max(0.0, value - float(done[two][0][f])) if two in done else value)
    return max(out)


def _less(sizes: Sizes, which: int, by: int) -> Sizes:
    pair = list(sizes)
    pair[which] -= by
    return min(pair), max(pair)


def _within(smaller: Sizes, larger: Sizes) -> bool:
    """Whether both classes of one pair are at most those of the other, and the pairs differ."""
    return smaller != larger and smaller[0] <= larger[0] and smaller[1] <= larger[1]
