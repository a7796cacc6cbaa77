"""Scores sorted once, from which every figure of a 1:1 comparison is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.metrics.rate import FloatArray, Rate, allowed, check_far, resolved
from faceset.metrics.roc import Roc, corners


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Genuine and impostor scores, sorted; make them with :meth:`of`.

    Attributes:
        genuine: (G',) rising scores of the genuine trials that were compared; may be empty.
        impostor: (I,) rising scores of the impostor trials that were compared; I >= 1.
        failed_genuine: genuine trials that were not (score -inf).
        failed_impostors: impostor trials that were not.
    """

    genuine: FloatArray
    impostor: FloatArray
    failed_genuine: int = 0
    failed_impostors: int = 0

    @classmethod
    def of(cls, genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> Scores:
        """Sort them. Two arrays of float32 stay float32, all else becomes float64; one copy of each is made.

        Args:
            genuine: (G,) scores of two templates of one person; -inf where the comparison could not be made.
            impostor: (I,) scores of two people; likewise.

        Raises:
            InputError: no scores, NaN or +inf among them, or no impostor trial that was compared.
        """
        g, s = _array(genuine, "genuine"), _array(impostor, "impostor")
        if g.dtype != s.dtype:
            g, s = g.astype(np.float64), s.astype(np.float64)
        g, failed_genuine = _compared(g, "genuine")
        s, failed_impostors = _compared(s, "impostor")
        if s.size == 0:
            raise InputError(f"all {failed_impostors} impostor scores are -inf (not compared): no FAR can be measured")
        return cls(g, s, failed_genuine, failed_impostors)

    @property
    def count(self) -> int:
        """Genuine trials, those that failed among them."""
        return self.genuine.size + self.failed_genuine

    def rate(self, far: float) -> Rate:
        """TAR at a target FAR; see :func:`faceset.metrics.tar_at_far`."""
        far = check_far(far)
        s = self.impostor
        accepted = allowed(s.size, far)
        if accepted == s.size:
            threshold = -np.inf
        else:
            refused = s[s.size - 1 - accepted]
            threshold = float(np.nextafter(refused, np.array(np.inf, dtype=s.dtype)))
        return Rate(
            far=far,
            threshold=threshold,
            tar=self.tar(threshold),
            measured_far=self.far(threshold),
            genuine=self.count,
            impostors=s.size,
            resolved=resolved(s.size, far),
            failed_genuine=self.failed_genuine,
            failed_impostors=self.failed_impostors,
        )

    def rates(self, fars: Sequence[float]) -> list[Rate]:
        """TAR at several targets."""
        return [self.rate(far) for far in fars]

    def tar(self, threshold: float) -> float:
        """Share of genuine trials at or above a threshold; those that failed are below every threshold."""
        return _at_least(self.genuine, threshold) / self.count

    def far(self, threshold: float) -> float:
        """Share of compared impostor trials at or above a threshold."""
        return _at_least(self.impostor, threshold) / self.impostor.size

    def roc(self) -> Roc:
        """The curve over all thresholds."""
        return corners(self.genuine, self.impostor, self.failed_genuine)


def _at_least(rising: FloatArray, threshold: float) -> int:
    # The lowest number of the scores' own precision that is no lower: rounded down, it would accept a score below it.
    t = np.array(threshold).astype(rising.dtype)
    t = np.nextafter(t, np.array(np.inf, rising.dtype)) if float(t) < float(threshold) else t
    return rising.size - int(np.searchsorted(rising, t, side="left"))


def _array(values: npt.ArrayLike, name: str) -> FloatArray:
    try:
        array = np.asarray(values)
        array = array if array.dtype == np.float32 else array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} scores must be a list of numbers, but {error}") from None
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"{name} scores must be a list of at least one number, but got shape {array.shape}")
    return array


def _compared(scores: FloatArray, name: str) -> tuple[FloatArray, int]:
    """The scores, sorted, without those of -inf, and the number of these."""
    rising = np.sort(scores)  # NaN goes last
    if np.isnan(rising[-1]):
        raise InputError(f"{name} scores hold NaN; where a comparison could not be made, give -inf")
    if np.isposinf(rising[-1]):
        raise InputError(f"{name} scores hold +inf, which no similarity is; where there is no score, give -inf")
    failed = int(np.searchsorted(rising, -np.inf, side="right"))
    return rising[failed:], failed
