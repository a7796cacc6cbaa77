"""Rates of correct and false acceptance from the scores of pairs (1:1): pure functions of arrays.

``score`` is a similarity: higher = same person, accepted when ``score >= threshold``. Over the impostor scores ``s``
and the genuine scores ``g``::

    FAR(t) = #{s >= t} / #s          TAR(t) = #{g >= t} / #g          FRR(t) = 1 - TAR(t)

**Threshold rule.** The threshold at a target FAR is the lowest one at which FAR does not exceed the target. With ``k``
the largest whole number of impostors that the target allows, it lies just above the ``k + 1``-th highest impostor
score; impostors that tie there are all refused, so ties never raise FAR above the target.

**Failures.** A score of -inf says that the comparison could not be made, because a template failed to enrol. A genuine
trial that failed is a miss at every threshold, -inf included. An impostor trial that failed says nothing of the
recogniser, and is left out of FAR (ISO/IEC 19795-1: the false match rate is over comparisons that were made), so that
failures never loosen a threshold. NaN and +inf are errors.

A target is *resolved* when the data could show it: at least :data:`MIN_ACCEPTED` impostors are expected above the
threshold. The uncertainty of rates is in :mod:`faceset.bootstrap`. To read several figures off the same scores, sort
them once: :class:`faceset.metrics.Scores`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt

from faceset.metrics.rate import Rate
from faceset.metrics.roc import Det, Roc
from faceset.metrics.scores import Scores


def tar_at_far(genuine: npt.ArrayLike, impostor: npt.ArrayLike, far: float) -> Rate:
    """TAR at a target FAR, by the threshold rule of the module.

    >>> rate = tar_at_far([0.9, 0.5, 0.3], [0.6, 0.4, 0.2, 0.1], far=0.25)
    >>> round(rate.tar, 3), rate.threshold > 0.4, rate.measured_far, rate.resolved
    (0.667, True, 0.25, False)

    Args:
        genuine: (G,) scores of two templates of one person; -inf where the comparison could not be made.
        impostor: (I,) scores of two people; likewise.
        far: target, between 0 and 1, both excluded.

    Raises:
        InputError: no scores, NaN or +inf among them, no impostor that was compared, or ``far`` out of range.
    """
    return Scores.of(genuine, impostor).rate(far)


def tar_at_fars(genuine: npt.ArrayLike, impostor: npt.ArrayLike, fars: Sequence[float]) -> list[Rate]:
    """:func:`tar_at_far` at several targets, with one sort."""
    return Scores.of(genuine, impostor).rates(fars)


def roc(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> Roc:
    """The corners of the curve of TAR over FAR; scores that tie make one point.

    >>> curve = roc([0.9, 0.5], [0.5, 0.1])
    >>> curve.far.tolist(), curve.tar.tolist()
    ([0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0])

    Raises:
        InputError: as :func:`tar_at_far`.
    """
    return Scores.of(genuine, impostor).roc()


def det(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> Det:
    """The corners of the curve of FRR over FAR.

    >>> det([0.9, 0.5], [0.5, 0.1]).frr.tolist()
    [1.0, 0.5, 0.0, 0.0]

    Raises:
        InputError: as :func:`tar_at_far`.
    """
    return roc(genuine, impostor).det


def eer(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> float:
    """Equal error rate: where FAR and FRR cross, on straight lines between the points of :func:`roc`.

    >>> eer([0.9, 0.8], [0.1, 0.2]), eer([0.1], [0.9]), eer([0.5], [0.5])
    (0.0, 1.0, 0.5)

    Raises:
        InputError: as :func:`tar_at_far`.
    """
    return roc(genuine, impostor).eer


def auc(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> float:
    """Area under :func:`roc`: the chance that a genuine score is above an impostor's, a tie counting half.

    >>> auc([0.9, 0.8], [0.1, 0.2]), auc([0.1], [0.9]), auc([0.5], [0.5])
    (1.0, 0.0, 0.5)

    Raises:
        InputError: as :func:`tar_at_far`.
    """
    return roc(genuine, impostor).auc
