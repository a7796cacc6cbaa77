"""The rate of correct acceptance at a target, and the rule by which its threshold is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError

Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]
"""float32 or float64."""

MIN_ACCEPTED = 10
"""Fewest impostors that must be expected above a threshold for its FAR to be resolved."""
_SLACK = 1e-9  # 0.29 * 100 is 29 impostors, not 28.999999999999996


@dataclass(frozen=True, slots=True)
class Rate:
    """The rate of correct acceptance at one target FAR.

    Attributes:
        far: the target.
        threshold: the lowest threshold with FAR <= target; -inf when the target allows everything that was compared.
            A number of the precision of the scores, so that it means the same to scores of float32.
        tar: share of all genuine trials accepted, in 0..1; those that failed are never accepted.
        measured_far: the FAR at that threshold, <= target.
        genuine: genuine trials behind the figure, those that failed among them.
        impostors: impostor trials that were compared: what FAR is a share of.
        resolved: whether ``impostors * far >= MIN_ACCEPTED``; where not, the figure is an accident of a few pairs.
        failed_genuine: genuine trials that could not be compared (score -inf): each a miss.
        failed_impostors: impostor trials that could not be compared: left out.
    """

    far: float
    threshold: float
    tar: float
    measured_far: float
    genuine: int
    impostors: int
    resolved: bool
    failed_genuine: int = 0
    failed_impostors: int = 0

    def __str__(self) -> str:
        text = f"TAR {100 * self.tar:.1f} % at FAR {self.far:g}"
        return text if self.resolved else f"{text} (not resolved: {self.impostors} impostors)"


def resolved(impostors: int, far: float) -> bool:
    """Whether that many impostor scores can show that FAR."""
    return impostors * far + _SLACK >= MIN_ACCEPTED


def allowed(impostors: int, far: float) -> int:
    """How many of them may be accepted at a target FAR."""
    return min(impostors, int(np.floor(far * impostors + _SLACK)))


def check_far(far: float, name: str = "far") -> float:
    """The target as a number.

    Raises:
        InputError: it is not between 0 and 1, both excluded.
    """
    if not 0.0 < far < 1.0:
        raise InputError(f"{name} must be between 0 and 1, both excluded, but got {far!r}; 0.001 is usual")
    return float(far)
