"""Curves over all thresholds, from counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceset.metrics.rate import Doubles

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Det:
    """The detection error trade-off, from the strictest threshold to the loosest.

    Attributes:
        thresholds: (K,) falling; the first is inf (nothing accepted).
        far: (K,) rising, in 0..1.
        frr: (K,) falling, in 0..1; ends at the share of genuine trials that could not be compared.
    """

    thresholds: Doubles
    far: Doubles
    frr: Doubles


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """The receiver operating characteristic: its corners, from the strictest threshold to the loosest.

    The curve is made of straight lines between the operating points of all distinct scores. Points that lie on the
    line between their neighbours are left out, so that there are at most two for each distinct genuine score, and two
    more. The curve ends at FAR 1 and the share of genuine trials that were compared.

    Attributes:
        thresholds: (K,) falling; the first is inf (nothing accepted), the others are scores.
        false_accepts: (K,) impostors at or above each threshold.
        true_accepts: (K,) genuine trials at or above each.
        impostors: impostor trials compared.
        genuine: genuine trials, those that failed among them.
    """

    thresholds: Doubles
    false_accepts: Ints
    true_accepts: Ints
    impostors: int
    genuine: int

    @property
    def far(self) -> Doubles:
        """(K,) rising, in 0..1."""
        return np.asarray(self.false_accepts / self.impostors)

    @property
    def tar(self) -> Doubles:
        """(K,) rising, in 0..1."""
        return np.asarray(self.true_accepts / self.genuine)

    @property
    def frr(self) -> Doubles:
        """(K,) falling, in 0..1: the share of genuine trials refused."""
        return np.asarray((self.genuine - self.true_accepts) / self.genuine)

    @property
    def det(self) -> Det:
        """The same points with FRR for TAR."""
        return Det(self.thresholds, self.far, self.frr)

    @property
    def eer(self) -> float:
        """Equal error rate: where FAR and FRR cross; see :func:`faceset.metrics.eer`."""
        return equal_error(self.false_accepts, self.true_accepts, self.impostors, self.genuine)

    @property
    def auc(self) -> float:
        """Area under the curve: the chance that a genuine score is above an impostor's, a tie counting half."""
        return area(self.false_accepts, self.true_accepts, self.impostors, self.genuine)


def equal_error(fa: Ints, ta: Ints, impostors: int, genuine: int) -> float:
    """EER of a curve through the points (false accepts, true accepts), which start at (0, 0) and rise.

    Worked out in whole numbers and divided once, so that it is the double nearest to the true ratio.
    """
    gap = fa * genuine + ta * impostors - impostors * genuine  # (FAR - FRR) * impostors * genuine
    i = int(np.argmax(gap >= 0))
    low, high, a, b = (int(v) for v in (gap[i - 1], gap[i], fa[i - 1], fa[i]))
    return (a * (high - low) - (b - a) * low) / ((high - low) * impostors)


def area(fa: Ints, ta: Ints, impostors: int, genuine: int) -> float:
    """AUC of such a curve by the trapezoidal rule, in whole numbers divided once."""
    return int(np.diff(fa) @ (ta[1:] + ta[:-1])) / (2 * impostors * genuine)


def corners(g: npt.NDArray[np.floating], s: npt.NDArray[np.floating], failed_genuine: int) -> Roc:
    """The curve of rising genuine (G,) and impostor scores (I,), I >= 1, of trials that were compared.

    Below a genuine score the curve turns only at that score and at the lowest impostor above it; all else lies on a
    level stretch. Of these candidates, those on a straight line are dropped.
    """
    values = g[np.r_[True, g[1:] != g[:-1]]] if g.size else g
    above = np.searchsorted(s, values, side="right")
    lowest = s[:1] if not g.size else np.minimum(s[:1], g[:1])
    t = np.unique(np.concatenate([values, s[above[above < s.size]], lowest]))[::-1]
    fa = np.concatenate([[0], s.size - np.searchsorted(s, t, side="left")]).astype(np.int64)
    ta = np.concatenate([[0], g.size - np.searchsorted(g, t, side="left")]).astype(np.int64)
    dx, dy = np.diff(fa), np.diff(ta)
    keep = np.r_[True, dx[:-1] * dy[1:] != dx[1:] * dy[:-1], True]
    thresholds = np.concatenate([[np.inf], t.astype(np.float64)])
    return Roc(thresholds[keep], fa[keep], ta[keep], s.size, g.size + failed_genuine)
