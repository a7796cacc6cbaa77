"""What a bootstrap over pairs found, and the intervals read off it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faceset.errors import InputError
from faceset.metrics import Doubles

Interval = tuple[float, float, float]
"""A figure, and the lower and upper end of its interval."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """A figure of K score sets: ``point`` (K,) on all subjects, ``draws`` (K, R) in each resample."""

    point: Doubles
    draws: Doubles


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """TAR at several FAR of several score sets, with the same resamples for all.

    Attributes:
        names: (K,) the score sets.
        fars: (F,) targets.
        point: (K, F) TAR on all subjects.
        draws: (K, F, R) TAR in each resample; NaN where it drew no genuine or no impostor trial.
        resolved: (F,) whether the data can show that FAR at all (see :mod:`faceset.metrics`).
        thresholds: (K, F) threshold on all subjects.
        threshold_draws: (K, F, R) threshold in each resample.
        eer, auc: those figures; None where they were not asked for.
    """

    names: tuple[str, ...]
    fars: tuple[float, ...]
    point: Doubles
    draws: Doubles
    resolved: tuple[bool, ...]
    thresholds: Doubles
    threshold_draws: Doubles
    eer: Draws | None = None
    auc: Draws | None = None

    def interval(self, name: str, far: float, level: float = 0.95) -> Interval:
        """TAR of one score set, and the lower and upper end of its interval."""
        k, f = self._find(name), self._far(far)
        return (float(self.point[k, f]), *ends(self.draws[k, f], level))

    def threshold_interval(self, name: str, far: float, level: float = 0.95) -> Interval:
        """Threshold of one score set at a target FAR, and the ends of its interval: two of the draws."""
        k, f = self._find(name), self._far(far)
        return (float(self.thresholds[k, f]), *ends(self.threshold_draws[k, f], level, observed=True))

    def difference(self, name: str, other: str, far: float, level: float = 0.95) -> Interval:
        """TAR of ``name`` minus TAR of ``other``, and the ends of the paired interval."""
        a, b, f = self._find(name), self._find(other), self._far(far)
        return (float(self.point[a, f] - self.point[b, f]), *ends(self.draws[a, f] - self.draws[b, f], level))

    def eer_interval(self, name: str, level: float = 0.95) -> Interval:
        """EER of one score set, and the ends of its interval."""
        return self._of(self.eer, name, level)

    def auc_interval(self, name: str, level: float = 0.95) -> Interval:
        """AUC of one score set, and the ends of its interval."""
        return self._of(self.auc, name, level)

    def _of(self, figure: Draws | None, name: str, level: float) -> Interval:
        k = self._find(name)
        if figure is None:
            raise InputError("EER and AUC were not drawn; ask for them with curves=True")
        return (float(figure.point[k]), *ends(figure.draws[k], level))

    def _find(self, name: str) -> int:
        return find(name, self.names)

    def _far(self, far: float) -> int:
        if far not in self.fars:
            raise InputError(f"FAR {far:g} was not measured; {', '.join(f'{f:g}' for f in self.fars)} were")
        return self.fars.index(far)


def combine(parts: Sequence[Bootstrap]) -> Bootstrap:
    """The mean over several draws of the face sets of the same subjects (same names, FAR, subjects and seed)."""
    if not parts or any(p.names != parts[0].names or p.draws.shape != parts[0].draws.shape for p in parts):
        raise InputError("only bootstraps of the same score sets, FAR and number of resamples can be combined")

    def mean(figures: list[Draws | None]) -> Draws | None:
        there = [f for f in figures if f is not None]
        if len(there) < len(figures):
            return None
        return Draws(np.mean([f.point for f in there], axis=0), np.mean([f.draws for f in there], axis=0))

    return Bootstrap(
        names=parts[0].names,
        fars=parts[0].fars,
        point=np.mean([p.point for p in parts], axis=0),
        draws=np.mean([p.draws for p in parts], axis=0),
        resolved=tuple(all(p.resolved[f] for p in parts) for f in range(len(parts[0].fars))),
        thresholds=np.mean([p.thresholds for p in parts], axis=0),
        threshold_draws=np.mean([p.threshold_draws for p in parts], axis=0),
        eer=mean([p.eer for p in parts]),
        auc=mean([p.auc for p in parts]),
    )


def joined(parts: Sequence[Bootstrap]) -> Bootstrap:
    """Score sets that were resampled one after the other, as one: differences between them stay paired.

    All must come from the same trials, FAR, number of resamples and seed.

    Raises:
        InputError: no parts, parts that differ in FAR or resamples, or a name twice.
    """
    if not parts or any(p.fars != parts[0].fars or p.draws.shape[1:] != parts[0].draws.shape[1:] for p in parts):
        raise InputError("only bootstraps of the same FAR and number of resamples can be joined")
    names = tuple(name for p in parts for name in p.names)
    if len(set(names)) < len(names):
        raise InputError(f"a score set is there twice: {', '.join(names)}")

    def stack(figures: list[Draws | None]) -> Draws | None:
        there = [f for f in figures if f is not None]
        if len(there) < len(figures):
            return None
        return Draws(np.concatenate([f.point for f in there]), np.concatenate([f.draws for f in there]))

    return Bootstrap(
        names=names,
        fars=parts[0].fars,
        point=np.concatenate([p.point for p in parts]),
        draws=np.concatenate([p.draws for p in parts]),
        resolved=tuple(all(p.resolved[f] for p in parts) for f in range(len(parts[0].fars))),
        thresholds=np.concatenate([p.thresholds for p in parts]),
        threshold_draws=np.concatenate([p.threshold_draws for p in parts]),
        eer=stack([p.eer for p in parts]),
        auc=stack([p.auc for p in parts]),
    )


def find(name: str, names: tuple[str, ...]) -> int:
    """Number of a score set."""
    if name not in names:
        raise InputError(f"no score set is called {name!r}; there are {', '.join(names)}")
    return names.index(name)


def ends(draws: Doubles, level: float, *, observed: bool = False) -> tuple[float, float]:
    """Lower and upper end of the percentile interval; draws of NaN do not count, NaN where there are no others.

    Args:
        draws: (R,).
        level: share of the draws inside.
        observed: give draws themselves, not numbers between them (which thresholds of -inf do not have).

    Raises:
        InputError: ``level`` is not between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise InputError(f"level must be between 0 and 1, but got {level!r}")
    there = draws[~np.isnan(draws)]
    if there.size == 0:
        return float("nan"), float("nan")
    q = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    low, high = np.quantile(there, q, method="inverted_cdf" if observed else "linear")
    return float(low), float(high)
