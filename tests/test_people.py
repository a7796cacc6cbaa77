"""Which of the people seen is the one that was promised: each rule on a hand-made case."""

from __future__ import annotations

import math

import pytest
from builders import track, unit

from faceset import people

THRESHOLD = 0.9
NEAR = math.acos(0.95)  # the same person
FAR = math.acos(0.5)  # somebody else


def test_tracks_that_agree_are_one_person() -> None:
    sets = [track(0.0, 4, track=0), track(NEAR, 3, start=10, track=1), track(FAR, 2, start=20, track=2)]
    grouped = people.group_people(sets, THRESHOLD)
    assert [[s.track for s in person] for person in grouped] == [[0, 1], [2]]


def test_tracks_seen_in_the_same_frame_are_never_one_person() -> None:
    sets = [track(0.0, 4, track=0), track(0.0, 4, start=3, track=1)]
    assert len(people.group_people(sets, THRESHOLD)) == 2


def test_the_most_present_person_comes_first() -> None:
    small_but_long = track(0.0, 10, track=0, size=10)
    large = track(FAR, 3, start=20, track=1, size=100)
    grouped = people.group_people([small_but_long, large], THRESHOLD)
    assert [p[0].track for p in grouped] == [1, 0]


def test_one_person_is_sure_whatever_the_reference() -> None:
    choice = people.choose([[track(FAR)]], THRESHOLD, unit(0.0))
    assert choice.reason is None
    assert len(choice.sets) == 1


def test_the_one_who_agrees_with_the_reference_is_taken_though_others_are_larger() -> None:
    other, wanted = track(FAR, 1, size=300), track(NEAR, 1, track=1, media="a.jpg")
    choice = people.choose([[other], [wanted]], THRESHOLD, unit(0.0))
    assert choice.sets == (wanted,)
    assert choice.left_out[0].endswith("left out a face at x 0-300, y 0-300: score 0.500 to the person's other media, "
                                       "the one taken has 0.950")  # fmt: skip


def test_nobody_agrees_with_the_reference() -> None:
    persons = [[track(FAR, 1, media="a.jpg")], [track(-FAR, 1, track=1)]]
    choice = people.choose(persons, THRESHOLD, unit(0.0))
    assert choice.sets == ()
    assert choice.reason is not None
    assert "none of 2 people" in choice.reason
    assert "best score 0.500, threshold 0.900" in choice.reason


@pytest.mark.parametrize(("leading", "taken"), [(8, True), (7, False)])
def test_a_video_without_reference_takes_whoever_dominates(leading: int, taken: bool) -> None:
    persons = [[track(0.0, leading, track=0)], [track(FAR, 4, track=1)]]
    choice = people.choose(persons, THRESHOLD, None)
    assert bool(choice.sets) is taken
    if taken:
        assert "left out a person of 4 faces from 0.00 to 0.60 s" in choice.left_out[0]
        assert "present 50% as much" in choice.left_out[0]
    else:
        assert choice.reason is not None
        assert "nothing says who is meant" in choice.reason


def test_a_still_of_several_is_decided_by_size_only_when_nothing_is_kept() -> None:
    persons = [[track(0.0, 1, size=900)], [track(FAR, 1, track=1, size=10)]]
    assert people.choose(persons, THRESHOLD, None).sets == tuple(persons[0])
    choice = people.choose(persons, THRESHOLD, None, to_enrol=True)
    assert choice.sets == ()
    assert choice.reason is not None
    assert "2 people (a face at x 0-900, y 0-900; a face at x 200-210, y 0-10) were seen" in choice.reason


def test_a_still_of_several_of_one_size_is_refused() -> None:
    choice = people.choose([[track(0.0, 1)], [track(FAR, 1, track=1)]], THRESHOLD, None)
    assert choice.reason is not None
    assert "nothing says who is meant" in choice.reason


def test_a_long_list_is_cut() -> None:
    persons = [[track(i * FAR, 1, track=i)] for i in range(8)]
    choice = people.choose(persons, THRESHOLD, None)
    assert choice.reason is not None
    assert "; and 3 more" in choice.reason
