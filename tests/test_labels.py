"""The hand labels hold their own rules and belong to the clips; scoring agrees with tables worked out by hand."""

from __future__ import annotations

import copy
import hashlib
import itertools
import math
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labels import LabelledFace, Labels, id_switches, load, match, parse, score, size

CLIPS = ["people_walking", "short_hamilton_clip"]


def face(x: int, y: int, side: int, person: str, why: str | None = None) -> LabelledFace:
    return LabelledFace((x, y, x + side, y + side), person, why is not None, why)


def table(**frames: list[LabelledFace]) -> Labels:
    """Labels of one made clip with a cut at 15; ``f0=..., f10=...`` name the frames."""
    return Labels("made.mp4", "", 31, (15,), "", {int(key[1:]): tuple(faces) for key, faces in frames.items()})


def square(x: float, y: float, side: float) -> tuple[float, float, float, float]:
    return (x, y, x + side, y + side)


# The files


@pytest.mark.parametrize("name", CLIPS)
def test_files_are_valid_and_full(name: str) -> None:
    labels = load(name)
    assert sorted(labels.frames) == list(range(0, labels.frames_total, 10))
    assert labels.counted > 40


def test_hamilton_shots_and_people() -> None:
    labels = load("short_hamilton_clip")
    assert labels.cuts == (20, 82, 211)
    assert [labels.shot(index) for index in (0, 19, 20, 81, 82, 210, 211, 274)] == [0, 0, 1, 1, 2, 2, 3, 3]
    for index, faces in labels.frames.items():
        people = {f.person for f in faces}
        assert ("Lin-Manuel Miranda" in people) == (labels.shot(index) in (0, 2))
        assert ("Barack Obama" in people) == (labels.shot(index) == 3)


@pytest.mark.data
@pytest.mark.parametrize("name", CLIPS)
def test_files_belong_to_the_clips(name: str, data_dir: Path) -> None:
    labels = load(name)
    path = data_dir / "clips" / labels.clip
    assert hashlib.sha256(path.read_bytes()).hexdigest() == labels.sha256
    with av.open(str(path)) as container:
        count = sum(1 for _ in container.decode(video=0))
        width, height = container.streams.video[0].width, container.streams.video[0].height
    assert count == labels.frames_total
    for faces in labels.frames.values():
        assert all(f.box[2] <= width and f.box[3] <= height for f in faces)


GOOD: dict[str, Any] = {
    "clip": "a.mp4",
    "sha256": "0" * 64,
    "frames_total": 12,
    "cuts": [5],
    "convention": "",
    "frames": {
        "0": [
            {"box": [0, 0, 40, 40], "person": "a", "ignore": False},
            {"box": [50, 0, 60, 10], "person": "b", "ignore": True, "why": "small"},
        ],
        "10": [],
    },
}


def test_parse_reads_a_good_table() -> None:
    labels = parse(GOOD)
    assert labels.frames == {
        0: (LabelledFace((0, 0, 40, 40), "a"), LabelledFace((50, 0, 60, 10), "b", True, "small")),
        10: (),
    }
    assert labels.counted == 1


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["extra"], 1, "the keys must be"),
        (["sha256"], "ab", "64 digits"),
        (["cuts"], [7, 5], "must ascend"),
        (["cuts"], [12], r"within 1\.\.11"),
        (["frames", "20"], [], "every 10th frame"),
        (["frames", "0", 1, "person"], "a", "frame 0: one person has two faces"),
        (["frames", "0", 0, "person"], "", "must be a name"),
        (["frames", "0", 0, "note"], "x", "unknown keys"),
        (["frames", "0", 0, "box"], [0, 0, 40], "four integers"),
        (["frames", "0", 0, "box"], [0, 0, 40.5, 40], "four integers"),
        (["frames", "0", 0, "box"], [0, 40, 40, 0], "x0 < x1"),
        (["frames", "0", 0, "ignore"], 0, "true or false"),
        (["frames", "0", 0, "why"], "blurred", "why must fit"),
        (["frames", "0", 1, "why"], "ugly", "why must fit"),
        (["frames", "0", 0, "box"], [0, 0, 40, 39], "below 40 pixels"),
        (["frames", "0", 1, "box"], [50, 0, 90, 40], "not small"),
    ],
)
def test_parse_refuses_a_broken_table(path: list[Any], value: Any, message: str) -> None:
    broken = copy.deepcopy(GOOD)
    place: Any = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=message):
        parse(broken)


# Matching


def test_size_is_the_geometric_mean() -> None:
    assert size((10, 20, 30, 100)) == 40.0
    assert size((10, 20, 5, 100)) == 0.0


def test_match_needs_half_an_overlap() -> None:
    # 10 x 10 against 10 x 20: 100 / 200, exactly the bar; one pixel taller falls below it.
    assert match([(0, 0, 10, 10)], [(0, 0, 10, 20)]) == [(0, 0)]
    assert match([(0, 0, 10, 10)], [(0, 0, 10, 21)]) == []
    assert match([(0, 0, 10, 10)], [(0, 0, 10, 40), (0, 0, 10, 20)]) == [(0, 1)]
    assert match([(0, 0, 10, 10)], [(0, 0, 10, 21)], iou=0.4) == [(0, 0)]
    assert match([], [square(0, 0, 9)]) == match([square(0, 0, 9)], []) == []


def test_match_prefers_two_pairs_to_one_better_pair() -> None:
    # Box 0 is label 0 and overlaps label 1 by 50/150; box 1 reaches label 0 only, by 40/100.
    labelled = [(0, 0, 10, 10), (0, 5, 10, 15)]
    boxes = [(0, 0, 10, 10), (0, 0, 10, 4)]
    assert match(labelled, boxes, iou=0.3) == [(0, 1), (1, 0)]
    assert match(labelled, boxes) == [(0, 0)]


def test_match_prefers_the_tighter_of_two_boxes() -> None:
    assert match([square(0, 0, 10)], [(0, 0, 10, 8), (0, 0, 10, 9), (0, 0, 10, 7)]) == [(0, 1)]


def _iou(a: Any, b: Any) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(wide, 0) * max(high, 0)
    return float(common) / float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


_BOXES = st.lists(
    st.builds(lambda x, y, w, h: (x, y, x + w, y + h), *[st.integers(0, 4)] * 2, st.integers(1, 9), st.integers(1, 9)),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(_BOXES, _BOXES)
def test_match_is_the_best_of_all_assignments(labelled: list[Any], boxes: list[Any]) -> None:
    def worth(pairs: list[tuple[int, int]]) -> tuple[int, float]:
        return len(pairs), round(sum(_iou(labelled[r], boxes[c]) for r, c in pairs), 9)

    best = (0, 0.0)
    slots: list[int | None] = [*range(len(boxes)), *[None] * len(labelled)]
    for chosen in itertools.permutations(slots, len(labelled)):
        pairs = [(r, c) for r, c in enumerate(chosen) if c is not None and _iou(labelled[r], boxes[c]) >= 0.5]
        best = max(best, worth(pairs))
    got = match(labelled, boxes)
    assert len({r for r, _ in got}) == len({c for _, c in got}) == len(got)
    assert worth(got) == best


# Scores


def test_score_by_hand() -> None:
    labels = table(
        f0=[face(0, 0, 50, "a"), face(100, 0, 50, "b"), face(200, 0, 60, "c", "blurred")],
        f10=[face(0, 0, 50, "a")],
    )
    detections = {
        0: [
            square(2, 2, 50),  # a: found
            square(1, 1, 44),  # a again: false, each face is taken once
            square(205, 5, 60),  # on the ignored c: dropped
            square(300, 0, 39),  # on nothing, but small: dropped
            square(300, 0, 40),  # on nothing: false
        ],
        5: [square(0, 0, 50)],  # not a labelled frame: not looked at
    }
    result = score(labels, detections)
    assert (result.found, result.missed, result.false, result.dropped) == (1, 2, 2, 2)
    assert result.recall == pytest.approx(1 / 3)
    assert result.precision == pytest.approx(1 / 3)


def test_small_detection_on_a_counted_face_is_found() -> None:
    result = score(table(f0=[face(0, 0, 45, "a")]), {0: [square(2, 2, 38)]})
    assert (result.found, result.missed, result.false, result.dropped) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("box", "dropped"),
    [
        ((100, 100, 200, 200), True),
        ((100, 100, 200, 300), True),  # IoU 1/2, half of it inside: its centre (150, 200) is on the border
        ((100, 100, 200, 301), False),  # a little more: (150, 200.5)
        ((60, 100, 140, 180), True),  # (100, 140)
        ((59, 100, 139, 180), False),  # (99, 140)
        ((100, 60, 180, 140), True),  # (140, 100)
        ((100, 59, 180, 139), False),  # (140, 99)
        ((160, 100, 240, 180), True),  # (200, 140)
        ((161, 100, 241, 180), False),  # (201, 140)
    ],
)
def test_what_lies_on_an_ignored_face(box: tuple[int, int, int, int], dropped: bool) -> None:
    labels = table(f0=[face(100, 100, 100, "a", "turned")])
    result = score(labels, {0: [box]})
    assert (result.dropped, result.false) == ((1, 0) if dropped else (0, 1))


def test_counted_faces_take_their_detection_before_ignored_ones() -> None:
    labels = table(f0=[face(0, 0, 100, "a", "occluded"), face(0, 20, 100, "b")])
    result = score(labels, {0: [square(0, 5, 100)]})
    assert (result.found, result.missed, result.false, result.dropped) == (1, 0, 0, 0)


def test_empty_scores_are_not_a_number() -> None:
    nothing = score(table(f0=[]), {})
    assert math.isnan(nothing.recall)
    assert math.isnan(nothing.precision)
    missed = score(table(f0=[face(0, 0, 50, "a")]), {})
    assert missed.recall == 0.0
    assert math.isnan(missed.precision)


@pytest.mark.parametrize("name", CLIPS)
def test_labels_score_themselves(name: str) -> None:
    labels = load(name)
    perfect = score(labels, {index: [f.box for f in faces] for index, faces in labels.frames.items()})
    assert (perfect.recall, perfect.precision) == (1.0, 1.0)
    assert perfect.found == labels.counted
    assert perfect.dropped == sum(len(faces) for faces in labels.frames.values()) - labels.counted


# Tracks

TWO = table(
    f0=[face(0, 0, 50, "a"), face(100, 0, 50, "b")],
    f10=[face(0, 0, 50, "a"), face(100, 0, 50, "b")],
    f20=[face(0, 0, 50, "a"), face(100, 0, 50, "b", "turned")],
    f30=[face(0, 0, 50, "a")],
)
LEFT, RIGHT = square(0, 0, 50), square(100, 0, 50)


def test_good_tracks_have_no_switch() -> None:
    # The cut at 15 asks for a new track; frame 5 is not labelled and its odd box is not looked at.
    tracks = {1: {0: LEFT, 5: RIGHT, 10: LEFT}, 2: {0: RIGHT, 10: RIGHT}, 3: {20: LEFT, 30: LEFT}}
    result = id_switches(TWO, tracks)
    assert (result.switches, result.fragments, result.matched) == (0, 0, 6)
    assert result.switched == {}


def test_a_switch_is_a_track_on_two_people() -> None:
    tracks = {1: {0: LEFT, 10: RIGHT, 20: LEFT}, "x": {0: RIGHT, 10: LEFT}}
    result = id_switches(TWO, tracks)
    assert result.switches == 2  # a, b, a is one switch; b, a the other
    assert result.switched == {1: ("a", "b"), "x": ("b", "a")}
    assert result.fragments == 2  # before the cut two tracks cover a and two cover b; after it one covers a
    assert result.matched == 5


def test_fragments_are_counted_within_a_shot() -> None:
    tracks = {1: {0: LEFT}, 2: {10: LEFT}, 3: {20: LEFT}, 4: {30: LEFT}}
    result = id_switches(TWO, tracks)
    assert (result.switches, result.fragments, result.matched) == (0, 2, 4)


def test_each_further_person_of_a_track_is_a_switch_in_order_of_time() -> None:
    labels = table(f20=[face(0, 0, 50, "c")], f0=[face(0, 0, 50, "b")], f10=[face(0, 0, 50, "a")])
    result = id_switches(labels, {1: {0: LEFT, 10: LEFT, 20: LEFT}})
    assert (result.switches, result.switched) == (2, {1: ("b", "a", "c")})


def test_ignored_faces_tell_nothing_unless_asked_for() -> None:
    tracks = {1: {20: RIGHT, 30: LEFT}}
    assert id_switches(TWO, tracks).switches == 0
    asked = id_switches(TWO, tracks, ignored=True)
    assert (asked.switches, asked.matched) == (1, 2)


def test_two_tracks_on_one_face_match_once() -> None:
    result = id_switches(TWO, {1: {0: LEFT}, 2: {0: (0, 0, 50, 45)}})
    assert (result.matched, result.fragments) == (1, 0)
