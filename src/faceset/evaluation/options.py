"""What an evaluation can be asked for, and what it does unless asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from faceset.errors import InputError
from faceset.metrics.rate import check_far

FARS = (1e-4, 1e-3, 1e-2, 1e-1)
FPIRS = (0.01, 0.1)
RANKS = (1, 5, 10)
MOST_RESAMPLES = 10_000
"""More would need gigabytes and say no more."""


@dataclass(frozen=True, slots=True)
class Options:
    """What an evaluation was asked for; see :func:`evaluate`."""

    fars: tuple[float, ...]
    fpirs: tuple[float, ...]
    ranks: tuple[int, ...]
    resamples: int
    seed: int
    media_first: bool
    missing: str

    def __post_init__(self) -> None:
        for far in self.fars:
            check_far(far)
        for fpir in self.fpirs:
            check_far(fpir, "fpir")
        for name in ("fars", "fpirs", "ranks"):
            values = getattr(self, name)
            if not values or len({f"{value:g}" for value in values}) < len(values):  # figures go by six digits
                raise InputError(f"{name} must be different values, at least one, but got {values}")
        if min(self.ranks) < 1:
            raise InputError(f"ranks must be >= 1, but got {self.ranks}")
        if not 0 <= self.resamples <= MOST_RESAMPLES:
            raise InputError(f"resamples must be 0 to {MOST_RESAMPLES:,}, but got {self.resamples}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the signature."""
        return {name: getattr(self, name) for name in self.__slots__}
