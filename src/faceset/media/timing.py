"""Times of frames, and which of them to take."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

DEFAULT_RATE = Fraction(25)
"""Frames a second assumed where a file says nothing."""

DISORDER_SECONDS = 1
"""A step back of at most this is disorder after damage; a longer one means that the source began anew."""


class Ticks:
    """Chooses the first frame at or after each tick k / fps, and none twice.

    Args:
        fps: ticks a second; None takes every frame.
        slack: half the unit of the file's clock in seconds. A file that rounds its times to milliseconds says 0.033
            for 1/30 s; without slack that frame would count as before its tick, and every third one would be missed.
    """

    def __init__(self, fps: float | None, slack: float = 0.0) -> None:
        self._fps = fps
        self._slack = 0.0 if fps is None else min(slack, 0.25 / fps)
        self._next = 0

    def wants(self, time: float) -> bool:
        """Whether the frame at ``time`` seconds is to be taken; call it once for each frame, in order."""
        if self._fps is None:
            return True
        reached = math.floor((time + self._slack) * self._fps + 1e-9)
        if reached < self._next:
            return False
        self._next = reached + 1
        return True


class Clock:
    """Turns the time stamps of a stream into seconds from its start, never running backwards.

    Args:
        unit: seconds of one step of the time stamps.
        start: time stamp of the start; None = that of the first frame.
        rate: average frames a second, for frames without a time stamp.
        note: called with a sentence when a time had to be made up.
    """

    def __init__(self, unit: Fraction, start: int | None, rate: Fraction | None, note: Callable[[str], None]) -> None:
        self._unit = unit
        self._start = start
        self._rate = rate or DEFAULT_RATE
        self._known_rate = bool(rate)
        self._note = note
        self._shift = Fraction(0)
        self.last: Fraction | None = None
        """Seconds of the latest frame; None before the first."""

    @property
    def step(self) -> Fraction:
        """Seconds between two frames at the average rate."""
        return 1 / self._rate

    def seconds(self, stamp: int | None) -> float:
        """Seconds from the start of the frame with this time stamp (None = it has none)."""
        following = Fraction(0) if self.last is None else self.last + self.step
        if stamp is None:
            source = "the average rate of" if self._known_rate else "an assumed rate of"
            self._note(f"frames without a time stamp: times derived from {source} {float(self._rate):.3g} a second")
            now = following
        else:
            if self._start is None or (self.last is None and stamp < self._start):
                self._start, self._shift = stamp, following
            now = (stamp - self._start) * self._unit + self._shift
            if self.last is not None and now < self.last:
                if self.last - now > DISORDER_SECONDS:
                    self._note("time stamps jump back: the times after that go on from the frame before")
                    self._shift += following - now
                    now = following
                else:
                    self._note("some frames came out of order; they have the time of the frame before")
                    now = self.last
        self.last = now
        return float(now)
