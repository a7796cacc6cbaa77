"""How tracking is done."""

from __future__ import annotations

import math
from dataclasses import dataclass

from faceset.errors import InputError


@dataclass(frozen=True, slots=True)
class TrackerOptions:
    """Options of :class:`faceset.tracking.Tracker`.

    Attributes:
        same_score: cosine from which on two single faces count as one person for the embedder in use, usually its
            threshold. None: learnt from the medium itself (two faces in one picture are two people).
        max_gap: longest time in seconds that a face may be out of sight and still be the same track. A face that was
            there in the frame sampled before is looked for however long ago that was.
        motion_weight: share of place and size in the cost of joining a face to a track, in 0..1; the rest is likeness.
        max_cost: cost above which they are not joined. 0 is the same place and the same feature; a face beside where it
            was expected has 0.5 in place, one that is only just the same person 1 in likeness.
        speed: face widths a second that a face may be from where it was expected.
        min_faces: a track of fewer faces is dropped, and counted in :attr:`Tracker.dropped`.
        max_faces: most faces a track keeps. A longer one is thinned evenly over its time (every second face goes), so
            that somebody on a screen for hours takes no more memory than for minutes.
        detect_cuts: whether tracks end at camera cuts.
    """

    same_score: float | None = None
    max_gap: float = 1.5
    motion_weight: float = 0.5
    max_cost: float = 0.85
    speed: float = 6.0
    min_faces: int = 1
    max_faces: int = 2000
    detect_cuts: bool = True

    def __post_init__(self) -> None:
        if self.same_score is not None and not -1 <= self.same_score < 1:
            raise InputError(f"same_score must be a cosine, >= -1 and < 1, but got {self.same_score!r}")
        for name in ("max_gap", "max_cost", "speed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} must be finite and >= 0, but got {getattr(self, name)!r}")
        if not 0 <= self.motion_weight <= 1:
            raise InputError(f"motion_weight must be in 0..1, but got {self.motion_weight!r}")
        if self.min_faces < 1 or self.max_faces < max(2, self.min_faces):
            raise InputError(
                f"need min_faces >= 1, max_faces >= 2 and >= min_faces, but got {self.min_faces} and {self.max_faces}"
            )
