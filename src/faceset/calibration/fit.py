"""From the features of people to a calibration; ``docs/calibration.md`` has the method and what it was checked on."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from faceset import metrics
from faceset.aggregation import Aggregator
from faceset.aggregation.base import NORMS
from faceset.calibration import far as rates
from faceset.calibration import openset, unresolved
from faceset.calibration.draws import Drawn, People
from faceset.calibration.records import CLASSES, Calibration, FarPoint, FpirPoint, SizeClass, SizePair
from faceset.errors import CalibrationError, EmbedderMismatchError, InputError
from faceset.feature_table import FeatureTable

Doubles = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]

FARS = (1e-1, 1e-2, 1e-3, 1e-4)
FPIRS = (1e-1, 1e-2)
RESAMPLES = 200
_COMPARISONS = 200_000  # templates are drawn again until a pair of classes has about so many
_DRAWS = 20
_DIGITS: int = 5
"""Thresholds are rounded up to so many decimals: the last bits depend on the machine."""


def fit(
    table: FeatureTable,
    aggregator: Aggregator,
    *,
    source: str,
    fars: Sequence[float] = FARS,
    fpirs: Sequence[float] = FPIRS,
    seed: int = 0,
    resamples: int = RESAMPLES,
    classes: Sequence[SizeClass] = CLASSES,
    progress: Progress | None = None,
) -> Calibration:
    """Thresholds for several FAR and FPIR with 95 % intervals, from the clean faces of a feature table.

    Args:
        table: features of at least two people.
        aggregator: makes the templates.
        source: whom the table shows, such as ``42 people of staff``; it is part of every answer.
        fars, fpirs: targets, each between 0 and 1.
        seed: of all draws.
        resamples: of the people, for the intervals.
        classes: the size classes.
        progress: called with what is being done, steps done, and steps in all.

    Raises:
        CalibrationError: fewer than two people, or features an aggregate cannot be made of.
        EmbedderMismatchError: the aggregator was trained for another embedder.
        InputError: a target outside (0, 1), or none.
    """
    targets, openings = _targets(fars, "far"), _targets(fpirs, "fpir")
    if resamples < 1:
        raise InputError(f"resamples must be at least 1, but got {resamples}")
    trained_for = getattr(aggregator, "embedder_id", "")
    if trained_for and trained_for != table.embedder:
        raise EmbedderMismatchError(
            f"aggregator {aggregator.name!r} was trained for embedder {trained_for}, but the features are of "
            f"{table.embedder}; take another aggregator or other features"
        )
    _check_lengths(table)
    people = People.of(table)
    if len(people) < 2:
        raise CalibrationError(
            f"a calibration compares people, but only {len(people)} have clean faces in the features; give at least "
            "two, better hundreds"
        )
    pairs = [(a, b) for a in range(len(classes)) for b in range(a, len(classes))]
    steps = len(pairs) + 1
    measured = {}
    for at, sizes in enumerate(pairs):
        if progress is not None:
            progress(f"templates of {classes[sizes[0]]} and {classes[sizes[1]]} faces", at, steps)
        measured[sizes] = _Measured(people, aggregator, tuple(classes), sizes, targets, seed, resamples)
    filled = unresolved.fill({sizes: m.raw for sizes, m in measured.items()}, targets)
    done = tuple(measured[sizes].pair(*filled[sizes]) for sizes in pairs)
    if progress is not None:
        progress("searches", steps - 1, steps)
    rows = np.concatenate(people.rows)
    return Calibration(
        model_id=table.embedder,
        aggregator=aggregator.name,
        source=source,
        people=len(people),
        media=int(np.unique(table.medium.codes[rows]).size),
        faces=int(rows.size),
        classes=tuple(classes),
        pairs=done,
        searches=_searches(people, aggregator, classes[0], openings, done[0].points, seed, resamples),
        seed=seed,
        resamples=resamples,
        versions={"faceset": importlib.metadata.version("faceset"), "numpy": np.__version__},
    )


class _Measured:
    """The comparisons of one pair of classes."""

    def __init__(
        self,
        people: People,
        aggregator: Aggregator,
        classes: tuple[SizeClass, ...],
        sizes: tuple[int, int],
        fars: tuple[float, ...],
        seed: int,
        resamples: int,
    ) -> None:
        first, second = classes[sizes[0]], classes[sizes[1]]
        self.sizes, self.fars = sizes, fars
        self.people = (
            sum(rows.size >= first.low for rows in people.rows),
            sum(rows.size >= second.low for rows in people.rows),
        )
        self.genuine: Doubles = np.empty(0)
        self.ends: Doubles | None = None
        P, Q = self.people
        comparisons = P * (P - 1) // 2 if sizes[0] == sizes[1] else P * Q
        self.people_pairs = self.impostors = 0
        if min(P, Q) < 1 or P < 2:
            self.raw = unresolved.Raw(None, (False,) * len(fars))
            return
        draws, own = [], []
        for n in range(min(_DRAWS, max(1, _COMPARISONS // comparisons))):
            a = people.draw(aggregator, first, (seed, *sizes, n, 0))
            b = a if sizes[0] == sizes[1] else people.draw(aggregator, second, (seed, *sizes, n, 1))
            draws.append((a, b))
            own.append(_genuine(*people.draw_mated(aggregator, first, second, (seed, *sizes, n, 2))))
        self.genuine = np.concatenate(own)
        found = rates.impostors(draws, alike=sizes[0] == sizes[1])
        self.impostors, self.people_pairs = found.scores.size, found.people_pairs
        self.ends = rates.intervals(found, fars, resamples, seed)
        self.raw = unresolved.Raw(
            np.array([rates.threshold(found.scores, far) for far in fars]),
            tuple(metrics.resolved(self.people_pairs, far) for far in fars),
            float(found.scores.mean()),
            float(found.scores.std()),
        )

    def pair(self, thresholds: Doubles, rules: tuple[str, ...]) -> SizePair:
        """With the thresholds that the rules for unresolved FAR left."""
        points = []
        for f, (far, value, rule) in enumerate(zip(self.fars, thresholds, rules, strict=True)):
            value = _up(float(value))
            low, high = (value, value) if self.ends is None else map(float, self.ends[f])
            points.append(
                FarPoint(
                    far=far,
                    threshold=value,
                    low=min(_up(low), value),
                    high=max(_up(high), value),
                    tar=round(float(np.mean(self.genuine >= value)), 6) if self.genuine.size else None,
                    resolved=rule == unresolved.MEASURED,
                    rule=rule,
                )
            )
        return SizePair(self.sizes, self.people, self.people_pairs, self.genuine.size, self.impostors, tuple(points))


def _genuine(a: Drawn, b: Drawn) -> Doubles:
    scores: Doubles = np.einsum("td,td->t", a.vectors.astype(np.float64), b.vectors.astype(np.float64))
    return scores


def _searches(
    people: People,
    aggregator: Aggregator,
    size: SizeClass,
    fpirs: tuple[float, ...],
    single: Sequence[FarPoint],
    seed: int,
    resamples: int,
) -> tuple[FpirPoint, ...]:
    """Thresholds by gallery size, of templates of the smallest class; see :mod:`faceset.calibration.openset`.

    One that is not resolved is no lower than that of a single comparison (``single``) at a FAR of the same size, since
    a search among N people is at least as often false.
    """
    vectors = people.draw(aggregator, size, (seed, len(CLASSES), 0)).vectors.astype(np.float64)
    scores = np.clip(vectors @ vectors.T, -1.0, 1.0)
    P = len(scores)
    galleries = openset.sizes(P)
    if not galleries:
        return ()
    others = scores[~np.eye(P, dtype=bool)]
    ends = openset.intervals(scores, galleries, fpirs, resamples, seed, rates.LEVEL)
    values = np.empty(ends.shape[:2])
    resolved = np.empty(ends.shape[:2], dtype=bool)
    for g, n in enumerate(galleries):
        for f, target in enumerate(fpirs):
            values[g, f] = openset.threshold(scores, n, target)
            resolved[g, f] = metrics.resolved(openset.searches(P, n), target)
            if not resolved[g, f]:
                far = -math.expm1(math.log1p(-target) / n)  # 1 - (1 - FPIR)^(1/N)
                strict = unresolved.normal_tail(float(others.mean()), float(others.std()), far)
                if f and g and resolved[g, f - 1]:  # steps from one FPIR to the next get no larger in larger galleries
                    strict = values[g, f - 1] + values[g - 1, f] - values[g - 1, f - 1]
                values[g, f] = max([values[g, f], strict, *(p.threshold for p in single if p.far >= target)])
    values = np.minimum(np.maximum.accumulate(np.maximum.accumulate(values, axis=0), axis=1), 1.0)
    return tuple(
        FpirPoint(n, target, _up(values[g, f]), min(_up(ends[g, f, 0]), _up(values[g, f])),
                  max(_up(ends[g, f, 1]), _up(values[g, f])), bool(resolved[g, f]))
        for g, n in enumerate(galleries) for f, target in enumerate(fpirs)
    )  # fmt: skip


def _check_lengths(table: FeatureTable) -> None:
    wrong = np.flatnonzero(~table.degraded & ~((table.norm >= NORMS[0]) & (table.norm <= NORMS[1])))
    if wrong.size:
        name = table.medium.names[table.medium.codes[wrong[0]]]
        raise CalibrationError(
            f"the feature of {name!r} has length {table.norm[wrong[0]]:.3g}, "
            "and no template can be made of it; extract it again, or leave it out of the table"
        )


def _up(value: float) -> float:
    """Rounded up, so that no rate rises by it; never above 1."""
    scale: int = 10**_DIGITS
    return min(1.0, math.ceil(float(value) * scale) / scale)


def _targets(values: Sequence[Any], name: str) -> tuple[float, ...]:
    """Falling, each once."""
    wanted = sorted({float(v) for v in values}, reverse=True)
    if not wanted or not all(0.0 < v < 1.0 for v in wanted):
        raise InputError(f"{name} must be one or more numbers between 0 and 1, but got {list(values)}")
    return tuple(wanted)
