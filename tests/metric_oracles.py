"""Metrics by the definition: slow loops over every threshold, in exact fractions where that is possible."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

FAILED = -np.inf


def tar(genuine, impostor, far, genuine_weights=None, impostor_weights=None) -> float:
    """Try every threshold that could matter, from the loosest to the strictest; a score of -inf is never accepted."""
    g, s = np.asarray(genuine, float), np.asarray(impostor, float)
    gw = np.ones(len(g)) if genuine_weights is None else genuine_weights
    sw = np.ones(len(s)) if impostor_weights is None else impostor_weights
    g_made, s_made = g > FAILED, s > FAILED
    for t in [FAILED, *(np.nextafter(t, np.inf) for t in sorted(set(s[s_made].tolist())))]:
        if sw[s_made & (s >= t)].sum() <= far * sw[s_made].sum() + 1e-6:
            return gw[g_made & (g >= t)].sum() / gw.sum()
    raise AssertionError("above the highest impostor nothing is accepted")


def points(genuine: Sequence[float], impostor: Sequence[float], gw=None, sw=None) -> list[tuple[Fraction, Fraction]]:
    """(FAR, TAR) at every distinct score, strictest first, after (0, 0)."""
    gw = [1] * len(genuine) if gw is None else [int(w) for w in gw]
    sw = [1] * len(impostor) if sw is None else [int(w) for w in sw]
    compared = sum(w for s, w in zip(impostor, sw, strict=True) if s > FAILED)
    out = [(Fraction(0), Fraction(0))]
    for t in sorted({*genuine, *impostor} - {FAILED}, reverse=True):
        fa = sum(w for s, w in zip(impostor, sw, strict=True) if s >= t)
        ta = sum(w for g, w in zip(genuine, gw, strict=True) if g >= t)
        out.append((Fraction(fa, compared), Fraction(ta, sum(gw))))
    return out


def eer(genuine: Sequence[float], impostor: Sequence[float], gw=None, sw=None) -> Fraction:
    """Where the line through the points meets FAR = 1 - TAR."""
    line = points(genuine, impostor, gw, sw)
    for (x0, y0), (x1, y1) in itertools.pairwise(line):
        if x1 + y1 >= 1:
            return x0 + (x1 - x0) * (1 - x0 - y0) / (x1 + y1 - x0 - y0)
    raise AssertionError("at FAR 1 the curve has crossed")


def auc(genuine: Sequence[float], impostor: Sequence[float], gw=None, sw=None) -> Fraction:
    """Wins of genuine over impostor scores, ties half."""
    gw = [1] * len(genuine) if gw is None else [int(w) for w in gw]
    sw = [1] * len(impostor) if sw is None else [int(w) for w in sw]
    wins, whole = Fraction(0), 0
    for g, a in zip(genuine, gw, strict=True):
        for s, b in zip(impostor, sw, strict=True):
            if s > FAILED:
                wins += a * b * Fraction(2 * int(g > s) + int(g == s), 2)
                whole += a * b
    return wins / whole
