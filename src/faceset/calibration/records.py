"""What a calibration holds: thresholds for a FAR by set sizes, and for an FPIR by the size of a gallery."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from faceset.errors import InputError


@dataclass(frozen=True, slots=True)
class SizeClass:
    """Templates of ``low`` to ``high`` faces, inclusive; ``high`` None: no bound."""

    low: int
    high: int | None

    def __contains__(self, faces: int) -> bool:
        return faces >= self.low and (self.high is None or faces <= self.high)

    def __str__(self) -> str:
        if self.high is None:
            return f"{self.low}+"
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


CLASSES = (SizeClass(1, 1), SizeClass(2, 3), SizeClass(4, 7), SizeClass(8, None))
"""The classes that are fitted: each begins where the one before it has doubled."""


@dataclass(frozen=True, slots=True)
class FarPoint:
    """The threshold for one FAR.

    Attributes:
        far: the target.
        threshold: the score from which on two templates are accepted.
        low, high: ends of the 95 % interval of the threshold, people resampled.
        tar: share of genuine comparisons accepted at ``threshold``; None where there is none.
        resolved: whether the people suffice to show that FAR.
        rule: how the threshold was found, see :mod:`faceset.calibration.unresolved`.
    """

    far: float
    threshold: float
    low: float
    high: float
    tar: float | None
    resolved: bool
    rule: str


@dataclass(frozen=True, slots=True)
class SizePair:
    """The thresholds for two templates of these size classes, in either order.

    Attributes:
        sizes: numbers of two classes, the smaller first.
        people: people with templates of either class.
        people_pairs: pairs of two people that the impostor comparisons are between.
        genuine, impostors: comparisons.
        points: by falling FAR.
    """

    sizes: tuple[int, int]
    people: tuple[int, int]
    people_pairs: int
    genuine: int
    impostors: int
    points: tuple[FarPoint, ...]


@dataclass(frozen=True, slots=True)
class FpirPoint:
    """The threshold for one FPIR in a gallery of ``gallery`` people, all templates of one face."""

    gallery: int
    fpir: float
    threshold: float
    low: float
    high: float
    resolved: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds measured on people, for one embedder and one aggregator.

    Attributes:
        model_id: id of the embedder.
        aggregator: full name of the aggregator.
        source: whom it was measured on, in words.
        people, media, faces: how many.
        classes: the size classes, rising.
        pairs: one for every unordered pair of classes.
        searches: by rising gallery, then falling FPIR; empty where too few people were there.
        seed, resamples: of the draws and of the intervals.
        versions: of what made it.
    """

    model_id: str
    aggregator: str
    source: str
    people: int
    media: int
    faces: int
    classes: tuple[SizeClass, ...]
    pairs: tuple[SizePair, ...]
    searches: tuple[FpirPoint, ...]
    seed: int = 0
    resamples: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_classes(self.classes)
        wanted = [(a, b) for a in range(len(self.classes)) for b in range(a, len(self.classes))]
        if sorted(pair.sizes for pair in self.pairs) != wanted:
            raise InputError(f"every pair of the {len(self.classes)} size classes must be there once")
        for pair in self.pairs:
            fars = [p.far for p in pair.points]
            if not fars or fars != sorted(set(fars), reverse=True):
                raise InputError(f"the FAR of size pair {pair.sizes} must fall from point to point")
            if fars != [p.far for p in self.pairs[0].points]:
                raise InputError(f"size pair {pair.sizes} has other FAR than size pair {self.pairs[0].sizes}")
            _check_rising([p.threshold for p in pair.points], f"the thresholds of size pair {pair.sizes}")
            for p in pair.points:
                _check_point(p.far, p.threshold, p.low, p.high, "FAR")
        for point in self.searches:
            _check_point(point.fpir, point.threshold, point.low, point.high, "FPIR")
            if point.gallery < 1:
                raise InputError(f"a gallery holds at least one person, but got {point.gallery}")
        self._check_searches()

    def _check_searches(self) -> None:
        galleries, fpirs = self.galleries, self.fpirs
        grid = [(n, p) for n in galleries for p in fpirs]
        if [(s.gallery, s.fpir) for s in self.searches] != grid:
            raise InputError("the searches must hold every FPIR for every gallery size, in order")
        for p in fpirs:
            _check_rising([s.threshold for s in self.searches if s.fpir == p], f"the thresholds of FPIR {p:g}")
        for n in galleries:
            _check_rising([s.threshold for s in self.searches if s.gallery == n], f"the thresholds of {n} people")

    @property
    def galleries(self) -> tuple[int, ...]:
        """Gallery sizes that were measured, rising."""
        return tuple(sorted({s.gallery for s in self.searches}))

    @property
    def fpirs(self) -> tuple[float, ...]:
        """FPIR that were measured, falling."""
        return tuple(sorted({s.fpir for s in self.searches}, reverse=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; :mod:`faceset.calibration.files` reads them back."""
        return {
            "model_id": self.model_id,
            "aggregator": self.aggregator,
            "source": self.source,
            "people": self.people,
            "media": self.media,
            "faces": self.faces,
            "classes": [[c.low, c.high] for c in self.classes],
            "pairs": [
                {
                    "sizes": list(pair.sizes),
                    "people": list(pair.people),
                    "people_pairs": pair.people_pairs,
                    "genuine": pair.genuine,
                    "impostors": pair.impostors,
                    "points": [{name: getattr(p, name) for name in FarPoint.__slots__} for p in pair.points],
                }
                for pair in self.pairs
            ],
            "searches": [{name: getattr(s, name) for name in FpirPoint.__slots__} for s in self.searches],
            "seed": self.seed,
            "resamples": self.resamples,
            "versions": dict(self.versions),
        }


def _check_classes(classes: tuple[SizeClass, ...]) -> None:
    ends = [0, *((c.high if c.high is not None else 0) for c in classes)]
    for i, one in enumerate(classes):
        last = i == len(classes) - 1
        if one.low != ends[i] + 1 or (one.high is None) != last or (one.high is not None and one.high < one.low):
            raise InputError("size classes must begin at 1 face, follow each other, and end without a bound")
    if not classes:
        raise InputError("a calibration needs at least one size class")


def _check_rising(thresholds: list[float], what: str) -> None:
    if any(b < a for a, b in itertools.pairwise(thresholds)):
        raise InputError(f"{what} must not fall, but are {thresholds}")


def _check_point(rate: float, threshold: float, low: float, high: float, what: str) -> None:
    if not 0.0 < rate < 1.0:
        raise InputError(f"{what} must lie between 0 and 1, but got {rate!r}")
    if not all(math.isfinite(v) and -1.0 <= v <= 1.0 for v in (threshold, low, high)) or low > high:
        raise InputError(f"thresholds are cosines in -1..1 with low <= high, but got {low!r}, {threshold!r}, {high!r}")
    if not low <= threshold <= high:
        raise InputError(f"threshold {threshold!r} at {what} {rate:g} lies outside its interval {low!r} to {high!r}")
