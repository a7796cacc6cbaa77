"""What every aggregator takes and gives."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy.typing as npt

from faceset.types import Floats

NORMS = (1e-20, 1e20)
"""Embeddings have norms around 1 to 100; outside this range a row holds no usable direction."""


class Aggregated(NamedTuple):
    """The outcome of one aggregation of B sets with M faces in all."""

    templates: Floats
    """(B, D) float32, unit length."""
    weights: Floats
    """(M,) float32, >= 0, summing to 1 within each set: the share of each face."""
    consistency: Floats
    """(B,) float32 in 0..1: length of the weighted sum of unit features before it was scaled to 1."""


@runtime_checkable
class Aggregator(Protocol):
    """Turns every set of a ragged batch into one vector and a weight for each face.

    Set ``b`` holds the rows ``offsets[b]`` to ``offsets[b + 1]`` (exclusive) of ``features``. Features come in raw;
    an aggregator scales them to unit length itself, so that one that wants the norm has it.
    """

    @property
    def name(self) -> str:
        """The name under which :func:`faceset.aggregation.get` finds it; it says all that sets the result apart."""
        ...

    def __call__(
        self,
        features: npt.ArrayLike,
        offsets: npt.ArrayLike,
        *,
        media: npt.ArrayLike | None = None,
        quality: npt.ArrayLike | None = None,
    ) -> Aggregated:
        """Aggregate B sets.

        Args:
            features: (M, D) raw embeddings, finite, no row of length zero.
            offsets: (B + 1,) integers, rising from 0 to M.
            media: (M,) integers, equal for faces of one medium; None: each set is one medium.
            quality: (M,) detector scores, finite, >= 0.

        Raises:
            EmptySetError: a set holds no face.
            InputError: anything else above does not hold, the aggregator needs ``quality`` and got none, or the faces
                of a set cancel out.
        """
        ...
