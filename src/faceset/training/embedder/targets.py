"""What a student is to answer: the teacher's features, centred, and turned into the student's width.

Letters: M faces, W width of the teacher's feature, D width of the student's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceset.errors import InputError
from faceset.training.data import unit
from faceset.training.embedder.config import DistilConfig
from faceset.types import Floats

_FLOOR = 1e-3
"""Least power of a direction, of the mean one, that whitening divides by."""


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """``target = P (t - centre)`` for the teacher's feature t.

    Attributes:
        centre: (W,) float32.
        turn: (D, W) float32; None: nothing is turned (D = W).
        mean: (D,) mean of the targets.
        unit_mean: (D,) mean of the targets' directions.
        spread: mean squared distance of a target from :attr:`mean`: what the best constant answer leaves.
    """

    centre: Floats
    turn: Floats | None
    mean: Floats
    unit_mean: Floats
    spread: float

    def __call__(self, features: Floats) -> Floats:
        """Targets (..., D) of features (..., W)."""
        return _turned(features, self.centre, self.turn)

    def alike(self, students: Floats, goals: Floats) -> tuple[float, float]:
        """Mean cosine of answers (n, D) to targets (n, D): as they are, and of their directions less the mean one.

        The second is 0 for a student that gives the same answer to all faces, however well that is chosen.
        """
        u, v = unit(students), unit(goals)
        plain = float(np.mean(np.sum(u * v, axis=1)))
        return plain, float(np.mean(np.sum(unit(u - self.unit_mean) * unit(v - self.unit_mean), axis=1)))


def fit(features: npt.NDArray[np.float32], dim: int, config: DistilConfig) -> Targets:
    """The targets of a student of width D, from the teacher's features (M, W) of the training faces.

    Where D < W the D principal directions are kept, which keep cosines best.

    Raises:
        InputError: D > W: the teacher says nothing of the rest.
    """
    x = np.asarray(features, np.float64)
    width = x.shape[1]
    if dim > width:
        raise InputError(
            f"the teacher's feature has {width} numbers, so a student of dim {dim} cannot learn them; set dim to "
            f"{width} or less"
        )
    centre = x.mean(axis=0) if config.centre else np.zeros(width)
    turn = None
    if dim < width or config.whiten:
        powers, directions = np.linalg.eigh((x - centre).T @ (x - centre) / len(x))  # rising
        powers, directions = powers[::-1], directions[:, ::-1]
        powers = np.maximum(powers, _FLOOR * powers.mean())  # some teachers leave directions unused
        turn = (directions * (powers / powers.mean()) ** (-config.whiten / 2.0)).T[:dim]
        if dim == width:  # turned back, so that whitening changes lengths only
            turn = directions @ turn
    origin: Floats = centre.astype(np.float32)
    matrix: Floats | None = None if turn is None else turn.astype(np.float32)
    found = _turned(np.asarray(features), origin, matrix)
    mean = found.mean(axis=0, dtype=np.float64)
    spread = float(np.mean(np.sum((found - mean) ** 2, axis=1)))
    if not spread > 0.0:
        raise InputError("the teacher gives the same feature for every face to train on; there is nothing to learn")
    return Targets(origin, matrix, mean.astype(np.float32), unit(found).mean(axis=0), spread)


def _turned(features: Floats, centre: Floats, turn: Floats | None) -> Floats:
    moved = features - centre
    return moved if turn is None else np.asarray(moved @ turn.T, np.float32)
