"""Resamples of subjects, and sums of the weights of their pairs: whole numbers, so that sums are exact in any order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from faceset.bootstrap.trials import AnyInts
from faceset.metrics.rate import Doubles, FloatArray

Weights = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]

_CHUNK = 1 << 15  # pairs looked at together: what stays in the processor's cache
_SLACK = 1e-6  # 0.29 * 100 allows a weight of 29, not of 28.999999999999996
_DENSE = 1  # numbers that a table of all pairs of subjects may hold, for each pair of templates
_SMALL = 1_000_000


def draw_subjects(subjects: int, resamples: int, seed: int) -> Weights:
    """(R, S) how often each subject is drawn in each resample; every row sums to S."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((resamples, subjects), dtype=np.int32)
    for row in counts:
        row += np.bincount(rng.integers(subjects, size=subjects), minlength=subjects).astype(np.int32)
    return counts


def running(w: Weights, a: AnyInts, b: AnyInts | None, out: Counts) -> Counts:
    """(n,) sums of the weights ``w[a] w[b]`` (without b: ``w[a]``) of the first 1, 2, ... n trials, put into ``out``.

    ``a`` and ``b`` of type int64 are the quickest: others are converted, piece by piece.
    """
    x, y = np.empty((2, min(_CHUNK, max(1, a.size))), dtype=w.dtype)
    before = 0
    for at in range(0, a.size, _CHUNK):
        n = min(_CHUNK, a.size - at)
        part = slice(at, at + n)
        np.take(w, a[part], out=x[:n], mode="clip")  # mode: numbers are known to be good, and are not checked again
        if b is not None:
            np.take(w, b[part], out=y[:n], mode="clip")
            np.multiply(x[:n], y[:n], out=x[:n])
        np.cumsum(x[:n], dtype=np.int64, out=out[part])
        out[part] += before
        before = int(out[at + n - 1])
    return out[: a.size]


def pair_totals(weights: Weights, a: AnyInts, b: AnyInts, subjects: int) -> Counts:
    """(R,) sums of the weights of all pairs of subjects a (n,) and b (n,)."""
    if subjects * subjects > _DENSE * a.size + _SMALL:
        out = np.empty(a.size, dtype=np.int64)
        return np.array([running(w, a, b, out)[-1] if a.size else 0 for w in weights], dtype=np.int64)
    pairs = np.zeros(subjects * subjects, dtype=np.int64)
    for at in range(0, a.size, 1 << 24):
        part = slice(at, at + (1 << 24))
        pairs += np.bincount(a[part].astype(np.int64) * subjects + b[part], minlength=subjects * subjects)
    w = weights.astype(np.float64)  # doubles hold whole numbers to 2**53, so this product is exact too
    found: Doubles = np.einsum("rs,rs->r", w @ pairs.reshape(subjects, subjects).astype(np.float64), w)
    return found.astype(np.int64)


def rates_at(
    targets: Sequence[float],
    impostors: Counts,
    impostor_falling: FloatArray,
    total: int,
    genuine: Counts,
    genuine_falling: FloatArray,
    whole: int,
    complete: bool,
) -> tuple[Doubles, Doubles] | None:
    """TAR and threshold at each target FAR in one resample, (F,) each; NaN where nothing of a kind was drawn.

    Args:
        targets: FAR of each.
        impostors: (n,) running weights of the impostor trials, highest score first.
        impostor_falling: (n,) their scores *negated*, so that they rise.
        total: weight of all impostor trials that were compared.
        genuine: (m,) running weights of the genuine trials that were compared, highest score first.
        genuine_falling: (m,) their scores negated.
        whole: weight of all genuine trials, those that failed too.
        complete: the n are all there are; otherwise None is the answer where they end too early.
    """
    if not total or not whole:
        return np.full(len(targets), np.nan), np.full(len(targets), np.nan)
    tars, thresholds = np.empty((2, len(targets)))
    for f, far in enumerate(targets):
        most = np.int64(far * total + _SLACK)  # a whole number: the running weights are not converted for the search
        refused = int(np.searchsorted(impostors, most, side="right"))
        if refused < impostors.size:  # accepted is what scores above the first impostor that is one too many
            score = impostor_falling[refused]
            accepted = int(np.searchsorted(genuine_falling, score, side="left"))
            thresholds[f] = np.nextafter(-score, np.array(np.inf, dtype=impostor_falling.dtype))
        elif complete:
            accepted, thresholds[f] = genuine.size, -np.inf
        else:
            return None
        tars[f] = genuine[accepted - 1] / whole if accepted else 0.0
    return tars, thresholds
