"""Rates of correct and false acceptance, and their uncertainty, from scores alone: pure functions of arrays.

``score`` is a similarity: higher = same person, accepted when ``score >= threshold``. Over the impostor scores ``s``
and the genuine scores ``g``::

    FAR(t) = #{s >= t} / #s          TAR(t) = #{g >= t} / #g          FRR(t) = 1 - TAR(t)

**Threshold rule.** The threshold at a target FAR is the lowest one at which FAR does not exceed the target. With ``k``
the largest whole number of impostors that the target allows, it lies just above the ``k + 1``-th highest impostor
score; impostors that tie there are all refused, so ties never raise FAR above the target.

A target is *resolved* when the data could show it: at least :data:`MIN_ACCEPTED` impostors are expected above the
threshold. The uncertainty of rates that differ between score sets is in :mod:`faceset.bootstrap`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError

Doubles = npt.NDArray[np.float64]

MIN_ACCEPTED = 10
"""Fewest impostors that must be expected above a threshold for its FAR to be resolved."""
_SLACK = 1e-9  # 0.001 * 3000 is 3 impostors, not 2.9999999999999996


@dataclass(frozen=True, slots=True)
class Rate:
    """The rate of correct acceptance at one target FAR.

    Attributes:
        far: the target.
        threshold: the lowest threshold with FAR <= target; -inf when the target allows everything.
        tar: share of genuine scores at or above it, in 0..1.
        measured_far: the FAR at that threshold, <= target.
        genuine, impostors: number of scores behind the figure.
        resolved: whether ``impostors * far >= MIN_ACCEPTED``; where not, the figure is an accident of a few pairs.
    """

    far: float
    threshold: float
    tar: float
    measured_far: float
    genuine: int
    impostors: int
    resolved: bool

    def __str__(self) -> str:
        text = f"TAR {100 * self.tar:.1f} % at FAR {self.far:g}"
        return text if self.resolved else f"{text} (not resolved: {self.impostors} impostors)"


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """All operating points, from the strictest to the loosest.

    Attributes:
        thresholds: (K,) falling; the first is inf (nothing accepted), the rest are the distinct scores.
        far, tar: (K,) rising, in 0..1.
    """

    thresholds: Doubles
    far: Doubles
    tar: Doubles


def tar_at_far(genuine: npt.ArrayLike, impostor: npt.ArrayLike, far: float) -> Rate:
    """TAR at a target FAR, by the threshold rule of the module.

    >>> rate = tar_at_far([0.9, 0.5, 0.3], [0.6, 0.4, 0.2, 0.1], far=0.25)
    >>> round(rate.tar, 3), rate.threshold > 0.4, rate.measured_far, rate.resolved
    (0.667, True, 0.25, False)

    Args:
        genuine: (G,) scores of two templates of one person.
        impostor: (I,) scores of two people.
        far: target in 0..1.

    Raises:
        InputError: no scores, a score that is NaN, or ``far`` out of range.
    """
    g, s = _scores(genuine, "genuine"), _scores(impostor, "impostor")
    if not 0.0 <= far <= 1.0:
        raise InputError(f"far must be in 0..1, but got {far!r}")
    allowed = int(np.floor(far * s.size + _SLACK))
    if allowed >= s.size:
        threshold = -np.inf
    else:
        threshold = float(np.nextafter(np.partition(s, s.size - 1 - allowed)[s.size - 1 - allowed], np.inf))
    return Rate(
        far=float(far),
        threshold=threshold,
        tar=float(np.count_nonzero(g >= threshold) / g.size),
        measured_far=float(np.count_nonzero(s >= threshold) / s.size),
        genuine=g.size,
        impostors=s.size,
        resolved=resolved(s.size, far),
    )


def resolved(impostors: int, far: float) -> bool:
    """Whether that many impostor scores can show that FAR."""
    return impostors * far + _SLACK >= MIN_ACCEPTED


def roc(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> Roc:
    """Every operating point; scores that tie make one point.

    >>> curve = roc([0.9, 0.5], [0.5, 0.1])
    >>> curve.far.tolist(), curve.tar.tolist()
    ([0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0])

    Raises:
        InputError: as :func:`tar_at_far`.
    """
    g, s = np.sort(_scores(genuine, "genuine")), np.sort(_scores(impostor, "impostor"))
    thresholds = np.unique(np.concatenate([g, s]))[::-1]
    accepted = [(x.size - np.searchsorted(x, thresholds, side="left")) / x.size for x in (s, g)]
    far, tar = (np.concatenate([[0.0], rate]) for rate in accepted)
    return Roc(np.concatenate([[np.inf], thresholds]), far, tar)


def eer(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> float:
    """Equal error rate: where FAR and FRR cross, on straight lines between the points of :func:`roc`.

    >>> eer([0.9, 0.8], [0.1, 0.2]), eer([0.1], [0.9]), eer([0.5], [0.5])
    (0.0, 1.0, 0.5)

    Raises:
        InputError: as :func:`tar_at_far`.
    """
    curve = roc(genuine, impostor)
    gap = curve.far - (1.0 - curve.tar)  # rises from -1 to 1
    i = int(np.argmax(gap >= 0))
    low, high = gap[i - 1], gap[i]
    return float(curve.far[i - 1] + (curve.far[i] - curve.far[i - 1]) * (0.0 - low) / (high - low))


def _scores(values: npt.ArrayLike, name: str) -> Doubles:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"{name} scores must be a list of at least one number, but got shape {array.shape}")
    if np.isnan(array).any():
        raise InputError(f"{name} scores hold NaN; a template that failed counts as a miss: give it -inf")
    return array
