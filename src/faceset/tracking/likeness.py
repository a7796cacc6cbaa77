"""What distance of two features means "the same person", for embedders whose cosines have quite different ranges.

Single faces of one person have cosines around .95 with one embedder and .5 with another, and of two people around .85
and 0. So distances ``1 - cosine`` are measured in units of the distance at which two faces are only just one person.
Where nobody has told it, that unit is learnt from the medium: two faces in one picture are two people, and a face in
nearly the same place a moment later is the same one.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from faceset.tracking.geometry import Doubles

MEMORY = 400
"""Distances remembered of each kind."""
ENOUGH = 8
"""Fewer than this say nothing."""
OTHER = 20
"""Percentile of the distances between faces in one picture that is only just one person."""
ALONE = 4.0
"""Multiple of the distances within one track that is, where never two faces were in one picture."""
STRANGER, STRANGER_UNITS = 50, 1.25
"""Percentile of the same distances that is never one person, and what stands in for it, in units."""
FLOOR = 1e-3
"""Keeps copies of one face from making the unit zero."""


class Likeness:
    """The unit of feature distance; see the module.

    Args:
        same_score: the cosine that makes the unit; None: learn it.
    """

    def __init__(self, same_score: float | None) -> None:
        self._given = None if same_score is None else 1.0 - same_score
        self._same: deque[float] = deque(maxlen=MEMORY)
        self._other: deque[float] = deque(maxlen=MEMORY)

    @property
    def unit(self) -> float | None:
        """``1 - cosine`` of two faces that are only just one person; None while it is not known."""
        if self._given is not None:
            return self._given
        if len(self._other) >= ENOUGH:
            return max(float(np.percentile(self._other, OTHER)), FLOOR)
        if len(self._same) >= ENOUGH:
            return max(ALONE * float(np.percentile(self._same, 90)), FLOOR)
        return None

    @property
    def stranger(self) -> float | None:
        """``1 - cosine`` from which on two faces are never one person, wherever they are; None while it is not known.

        It is the distance of two typical people in one picture of this medium, or a multiple of the unit.
        """
        if len(self._other) >= ENOUGH:
            return max(float(np.percentile(self._other, STRANGER)), FLOOR)
        return None if self.unit is None else STRANGER_UNITS * self.unit

    def saw_in_one_picture(self, units: Doubles) -> None:
        """Learn from unit features (F, D) of one frame: they are of different people."""
        if len(units) > 1:
            cosines = units @ units.T
            self._other.extend(1.0 - cosines[np.triu_indices(len(units), 1)])

    def saw_again(self, unlike: float) -> None:
        """Learn from one face seen twice in nearly the same place, at this distance ``1 - cosine``."""
        if self._given is None:
            self._same.append(unlike)
