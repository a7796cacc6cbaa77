"""Intervals by resampling subjects, paired between several ways of making templates of the same faces.

One resample draws S of the S subjects with replacement. With ``w_i`` the times subject i was drawn, a pair of two
people counts ``w_i w_j`` times and a pair of one person ``w_i`` times (two copies of one person are not compared).
Pairs of templates are far from independent, subjects nearly are; that is why subjects are drawn and not pairs.
Every score set meets the same resamples, so a difference keeps only what the sets do not share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.metrics import Doubles, resolved, tar_at_far

Ints = npt.NDArray[np.int64]

_BLOCK_NUMBERS = 4_000_000  # numbers held at a time: bounds the memory
_FACTOR, _MORE = 4, 1000  # impostors looked at first, over those allowed
_SLACK = 1e-6  # 0.001 * 3000 allows a weight of 3, not of 2.9999999999999996


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Pairs of templates.

    Attributes:
        first, second: (P,) numbers of the two templates.
        first_subject, second_subject: (P,) numbers of their subjects, from 0 in sorted order of the names.
        subjects: number of subjects S.
    """

    first: Ints
    second: Ints
    first_subject: Ints
    second_subject: Ints
    subjects: int

    @property
    def same(self) -> npt.NDArray[np.bool_]:
        """(P,) True where both templates are of one person."""
        return np.equal(self.first_subject, self.second_subject)

    def scores(self, templates: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(P,) dot products of unit-length templates (T, D)."""
        T, out = len(templates), np.empty(self.first.size, dtype=np.float32)
        if 4 * out.size >= T * T:  # most pairs are wanted: one product of matrices is the fastest way
            return (templates @ templates.T)[self.first, self.second]
        for i in range(0, out.size, 65536):
            part = slice(i, i + 65536)
            out[part] = np.einsum("pd,pd->p", templates[self.first[part]], templates[self.second[part]])
        return out


def all_pairs(subjects: Sequence[str] | npt.NDArray[np.generic]) -> Trials:
    """Every unordered pair of the templates whose subjects are given, (T,).

    >>> pairs = all_pairs(["a", "b", "a"])
    >>> pairs.first.tolist(), pairs.second.tolist(), pairs.same.tolist()
    ([0, 0, 1], [1, 2, 2], [False, True, False])
    """
    names, codes = np.unique(np.asarray(subjects), return_inverse=True)
    first, second = np.triu_indices(codes.size, k=1)
    return Trials(first, second, codes[first], codes[second], names.size)


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """TAR at several FAR of several score sets, with the same resamples for all.

    Attributes:
        names: (K,) the score sets.
        fars: (F,) targets.
        point: (K, F) TAR on all subjects.
        draws: (K, F, R) TAR in each resample.
        resolved: (F,) whether the data can show that FAR at all (see :mod:`faceset.metrics`).
    """

    names: tuple[str, ...]
    fars: tuple[float, ...]
    point: Doubles
    draws: Doubles
    resolved: tuple[bool, ...]

    def interval(self, name: str, far: float, level: float = 0.95) -> tuple[float, float, float]:
        """TAR of one score set, and the lower and upper end of its interval."""
        k, f = self._find(name), self._far(far)
        return (float(self.point[k, f]), *_ends(self.draws[k, f], level))

    def difference(self, name: str, other: str, far: float, level: float = 0.95) -> tuple[float, float, float]:
        """TAR of ``name`` minus TAR of ``other``, and the ends of the paired interval."""
        a, b, f = self._find(name), self._find(other), self._far(far)
        return (float(self.point[a, f] - self.point[b, f]), *_ends(self.draws[a, f] - self.draws[b, f], level))

    def _find(self, name: str) -> int:
        if name not in self.names:
            raise InputError(f"no score set is called {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)

    def _far(self, far: float) -> int:
        if far not in self.fars:
            raise InputError(f"FAR {far:g} was not measured; {', '.join(f'{f:g}' for f in self.fars)} were")
        return self.fars.index(far)


def combine(parts: Sequence[Bootstrap]) -> Bootstrap:
    """The mean over several draws of the face sets of the same subjects (same names, FAR, subjects and seed)."""
    if not parts or any(p.names != parts[0].names or p.draws.shape != parts[0].draws.shape for p in parts):
        raise InputError("only bootstraps of the same score sets, FAR and number of resamples can be combined")
    return Bootstrap(
        parts[0].names,
        parts[0].fars,
        np.mean([p.point for p in parts], axis=0),
        np.mean([p.draws for p in parts], axis=0),
        tuple(all(p.resolved[f] for p in parts) for f in range(len(parts[0].fars))),
    )


def paired_bootstrap(
    scores: Mapping[str, npt.ArrayLike],
    trials: Trials,
    *,
    fars: Sequence[float] = (1e-2, 1e-3, 1e-4),
    resamples: int = 1000,
    seed: int = 0,
) -> Bootstrap:
    """Resample subjects and give TAR at each FAR of each score set.

    The resamples depend on ``seed`` and the number of subjects alone, so two calls over the same subjects are paired
    too (:func:`combine`). A resample without any genuine pair is left to NaN and counts in no interval.

    Args:
        scores: name -> (P,) similarity of each trial.
        trials: the pairs (:func:`all_pairs`).
        fars: targets, each in 0..1.
        resamples: R.
        seed: of the draws.

    Raises:
        InputError: sizes that do not fit, NaN in the scores, or no pair of one of the kinds.
    """
    same = trials.same
    tables = {name: np.asarray(values, dtype=np.float64) for name, values in scores.items()}
    for name, values in tables.items():
        if values.shape != same.shape:
            raise InputError(f"score set {name!r} must have shape {same.shape}, but got {values.shape}")
    impostors = int(np.count_nonzero(~same))
    point = np.array([[tar_at_far(v[same], v[~same], far).tar for far in fars] for v in tables.values()])
    weights = draw_subjects(trials.subjects, resamples, seed)
    total = _impostor_totals(trials, weights)
    draws = np.stack([_tars(v, trials, weights, total, fars) for v in tables.values()])
    return Bootstrap(tuple(tables), tuple(fars), point, draws, tuple(resolved(impostors, far) for far in fars))


def draw_subjects(subjects: int, resamples: int, seed: int) -> npt.NDArray[np.float32]:
    """(R, S) how often each subject is drawn in each resample; every row sums to S."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((resamples, subjects), dtype=np.float32)
    for row in counts:
        row += np.bincount(rng.integers(subjects, size=subjects), minlength=subjects)
    return counts


def _impostor_totals(trials: Trials, weights: npt.NDArray[np.float32]) -> Doubles:
    """(R,) weight of all impostor pairs: w C w with C the number of pairs of each two subjects, by rows of C."""
    S = trials.subjects
    other = ~trials.same
    a, b = trials.first_subject[other], trials.second_subject[other]
    order = np.argsort(a, kind="stable")
    a, b = a[order], b[order]
    starts = np.flatnonzero(np.r_[True, np.diff(a) != 0])
    total = np.zeros(len(weights))
    for start, stop in zip(starts, [*starts[1:], a.size], strict=True):
        counts = np.bincount(b[start:stop], minlength=S).astype(np.float32)
        total += weights[:, a[start]].astype(np.float64) * (weights @ counts)
    return total


def _tars(
    values: Doubles, trials: Trials, weights: npt.NDArray[np.float32], total: Doubles, fars: Sequence[float]
) -> Doubles:
    """(F, R) TAR of one score set in each resample.

    Only the highest impostor scores can lie near a threshold: a few times as many as are allowed nearly always
    suffice, and when they do not, all are taken.
    """
    own, other = np.flatnonzero(trials.same), np.flatnonzero(~trials.same)
    own = own[np.argsort(-values[own], kind="stable")]
    enough = int(_FACTOR * max(fars) * other.size) + _MORE
    for top in (min(enough, other.size), other.size):
        high = other if top == other.size else other[np.argpartition(-values[other], top)[:top]]
        high = high[np.argsort(-values[high], kind="stable")]
        out = _tars_of(values, own, high, trials, weights, total, fars, top == other.size)
        if out is not None:
            return out
    raise AssertionError("the last round takes every pair")


def _tars_of(
    values: Doubles,
    own: Ints,
    high: Ints,
    trials: Trials,
    weights: npt.NDArray[np.float32],
    total: Doubles,
    fars: Sequence[float],
    complete: bool,
) -> Doubles | None:
    """(F, R) from falling genuine (``own``) and impostor (``high``) scores; None when ``high`` ends too early."""
    out = np.empty((len(fars), len(weights)))
    falling, genuine_falling = -values[high], -values[own]
    rows = max(1, _BLOCK_NUMBERS // max(high.size, own.size))
    for at in range(0, len(weights), rows):
        w = weights[at : at + rows]
        genuine = np.cumsum(w[:, trials.first_subject[own]], axis=1, dtype=np.float64)  # (r, G)
        pairs = w[:, trials.first_subject[high]] * w[:, trials.second_subject[high]]
        impostor = np.cumsum(pairs, axis=1, dtype=np.float64)  # (r, top)
        for r, f in np.ndindex(len(w), len(fars)):
            refused = int(np.searchsorted(impostor[r], fars[f] * total[at + r] + _SLACK, side="right"))
            if refused < high.size:  # accepted are the scores above the first impostor that is one too many
                accepted = int(np.searchsorted(genuine_falling, falling[refused], side="left"))
            elif complete:
                accepted = own.size
            else:
                return None
            whole = genuine[r, -1]
            out[f, at + r] = (genuine[r, accepted - 1] if accepted else 0.0) / whole if whole else np.nan
    return out


def _ends(draws: Doubles, level: float) -> tuple[float, float]:
    if not 0.0 < level < 1.0:
        raise InputError(f"level must be between 0 and 1, but got {level!r}")
    low, high = np.nanquantile(draws, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)
