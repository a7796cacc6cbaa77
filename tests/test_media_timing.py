"""Which frames are taken and at what times: the pure part, against a naive reading of the definition."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceset.media.timing import Clock, Ticks


def naive(times: list[Fraction], fps: int) -> list[int]:
    """For each tick k / fps the first frame at or after it; each frame once."""
    chosen: list[int] = []
    for k in range(int(times[-1] * fps) + 1):
        first = next((i for i, t in enumerate(times) if t >= Fraction(k, fps)), None)
        if first is not None and first not in chosen:
            chosen.append(first)
    return chosen


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60), st.integers(1, 40))
def test_ticks_agree_with_the_definition(gaps: list[int], fps: int) -> None:
    times = [Fraction(sum(gaps[: i + 1]) - gaps[0], 1000) for i in range(len(gaps))]
    ticks = Ticks(fps)
    assert [i for i, t in enumerate(times) if ticks.wants(float(t))] == naive(times, fps)


def test_ticks_by_hand() -> None:
    ticks = Ticks(5)
    times = [0.0, 0.04, 0.19, 0.2, 0.21, 1.0, 1.1, 1.21]  # a long pause from 0.21 to 1.0
    assert [t for t in times if ticks.wants(t)] == [0.0, 0.2, 1.0, 1.21]


def test_no_fps_takes_every_frame() -> None:
    ticks = Ticks(None)
    assert all(ticks.wants(t) for t in (0.0, 0.0, 0.001))


def test_times_rounded_to_milliseconds_are_not_before_their_tick() -> None:
    times = [round(i / 30, 3) for i in range(60)]  # 0.033 instead of 0.0333...
    assert sum(map(Ticks(30, slack=0.0005).wants, times)) == 60
    assert sum(map(Ticks(30).wants, times)) < 60  # what the slack is for


def test_times_of_stamps_by_hand() -> None:
    notes: list[str] = []
    clock = Clock(Fraction(1, 1000), 500, Fraction(10), notes.append)
    assert [clock.seconds(s) for s in (500, 540, 1500)] == [0.0, 0.04, 1.0]
    assert notes == []


def test_missing_stamps_follow_at_the_average_rate() -> None:
    notes: list[str] = []
    clock = Clock(Fraction(1, 1000), None, Fraction(10), notes.append)
    assert [clock.seconds(s) for s in (None, None, 300, None)] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert set(notes) == {"frames without a time stamp: times derived from the average rate of 10 a second"}


def test_stamps_that_jump_back_go_on() -> None:
    notes: list[str] = []
    clock = Clock(Fraction(1, 10), 0, Fraction(10), notes.append)
    assert [clock.seconds(s) for s in (0, 10, 20, 0, 10)] == pytest.approx([0, 1, 2, 2.1, 3.1])
    assert notes == ["time stamps jump back: the times after that go on from the frame before"]


def test_disorder_moves_no_later_time() -> None:
    notes: list[str] = []
    clock = Clock(Fraction(1, 10), 0, Fraction(10), notes.append)
    assert [clock.seconds(s) for s in (0, 1, 4, 2, 3, 5)] == pytest.approx([0, 0.1, 0.4, 0.4, 0.4, 0.5])
    assert notes[0] == "some frames came out of order; they have the time of the frame before"


@given(st.lists(st.one_of(st.none(), st.integers(-(2**33), 2**33)), min_size=1, max_size=50))
def test_a_clock_never_runs_backwards(stamps: list[int | None]) -> None:
    clock = Clock(Fraction(1, 90_000), 0, None, lambda _: None)
    times = [clock.seconds(s) for s in stamps]
    assert times == sorted(times)
    assert times[0] >= 0
