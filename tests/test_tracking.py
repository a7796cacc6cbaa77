"""Tracks: synthetic people whose boxes and features are known."""

from __future__ import annotations

import gc
import random
import weakref
from collections import defaultdict

import numpy as np
import pytest

from faceset.errors import InputError
from faceset.tracking import Tracker, TrackerOptions
from faceset.tracking.geometry import distance, growth, place_cost
from faceset.tracking.likeness import Likeness
from faceset.types import Face, Frame

PICTURE = np.full((36, 64, 3), 90, np.uint8)

# Embedders as they differ: cosine of one person, of two people, and the published threshold. The first is like dlib's
# (all faces lie close together), the second like an ArcFace network.
EMBEDDERS = {"close": (0.955, 0.87, 0.91), "wide": (0.65, 0.02, 0.3)}


class People:
    """Features of made-up people with the cosines of a real embedder."""

    def __init__(self, embedder, seed=0, D=256):
        self.same, self.other, self.threshold = EMBEDDERS[embedder]
        self.rng = np.random.default_rng(seed)
        self.D = D
        self.common = self._direction()
        self.own = defaultdict(self._direction)

    def _direction(self):
        x = self.rng.standard_normal(self.D)
        return x / np.linalg.norm(x)

    def feature(self, person):
        x = (
            np.sqrt(self.other) * self.common
            + np.sqrt(self.same - self.other) * self.own[person]
            + np.sqrt(1 - self.same) * self._direction()
        )
        return (1.4 * x).astype(np.float32)

    def face(self, person, x, y, size=40.0):
        return Face((x - size / 2, y - size / 2, x + size / 2, y + size / 2), 0.9, feature=self.feature(person))


@pytest.fixture(params=[(e, g) for e in EMBEDDERS for g in ("given", "learnt")], ids="-".join)
def setting(request):
    embedder, how = request.param
    people = People(embedder)
    return people, TrackerOptions(same_score=people.threshold if how == "given" else None)


def track(frames, options=None, shuffle=None, **kwargs):
    """``frames``: per sampled frame (time, {person: face}). Returns per track the people in it, and the face sets."""
    tracker = Tracker("m", options=options or TrackerOptions(same_score=0.91), **kwargs)
    sets, owner = [], {}
    for i, (time, faces) in enumerate(frames):
        listed = list(faces.items())
        if shuffle is not None:
            shuffle.shuffle(listed)
        for person, face in listed:
            owner[i, face.box] = person
        sets += tracker.update(Frame(PICTURE, i, time), [f for _, f in listed])
    sets += tracker.finish()
    sets.sort(key=lambda s: s.track)
    return [[owner[f.frame, f.box] for f in s.faces] for s in sets], sets


def test_two_people_walk_side_by_side(setting):
    people, options = setting
    frames = [
        (i / 5, {"a": people.face("a", 100 + 9 * i, 100), "b": people.face("b", 190 + 9 * i, 104)}) for i in range(20)
    ]
    owners, sets = track(frames, options, media="x.mp4", digest="d", kind="video")
    assert owners == [["a"] * 20, ["b"] * 20]
    assert [s.track for s in sets] == [0, 1]
    assert {(s.media, s.digest, s.kind, s.model_id, s.shot) for s in sets} == {("x.mp4", "d", "video", "m", 0)}
    assert (sets[0].start, sets[0].end) == (0, pytest.approx(19 / 5))


def test_people_who_cross_keep_their_tracks(setting):
    # They meet in the middle, where for four frames only the one in front is seen, then part.
    people, options = setting
    frames = []
    for i in range(30):
        a, b = 100 + 10 * i, 390 - 10 * i
        faces = {"a": people.face("a", a, 100, 42)}
        if abs(a - b) > 35:
            faces["b"] = people.face("b", b, 102, 38)
        frames.append((i / 5, faces))
    assert sum("b" not in faces for _, faces in frames) == 4
    owners, _ = track(frames, options)
    assert owners == [["a"] * 30, ["b"] * 26]


def test_people_who_meet_and_turn_back_keep_their_tracks(setting):
    # The velocity says they pass through each other; only the features say that they do not.
    people, options = setting
    frames = []
    for i in range(30):
        gap = 6 + 8 * abs(i - 15)
        frames.append((i / 5, {"a": people.face("a", 250 - gap, 100), "b": people.face("b", 250 + gap, 100)}))
    owners, _ = track(frames, options)
    assert owners == [["a"] * 30, ["b"] * 30]


def test_a_fast_walker_is_expected_further_on(setting):
    # In the end three face widths a sample, which is out of reach from where the face was last.
    people, options = setting
    frames = []
    x = 100.0
    for i in range(26):
        frames.append((i / 5, {"a": people.face("a", x, 100), "b": people.face("b", 50, 400)}))
        x += min(120, max(0, 12 * (i - 7)))
    assert track(frames, options)[0] == [["b"] * 26, ["a"] * 26]


def test_what_cannot_be_joined_pushes_nobody_out_of_place():
    # Lookalikes. B is gone; somebody new stands where only A's track could reach. If B's track had to take a face, it
    # would take A's, and A's track the new one's.
    def at(x, cosine):
        return Face((x - 20, 80, x + 20, 120), 0.9, feature=np.array([cosine, np.sqrt(1 - cosine**2)]))

    tracker = Tracker("m", options=TrackerOptions(same_score=0.91))
    for i in range(2):
        tracker.update(Frame(PICTURE, i, i / 5), [at(100, 1), at(160, 1)])
    tracker.update(Frame(PICTURE, 2, 0.4), [at(100, 0.94), at(30, 0.94)])
    sets = sorted(tracker.finish(), key=lambda s: s.track)
    assert [[f.box[0] + 20 for f in s.faces] for s in sets] == [[100] * 3, [160] * 2, [30]]


@pytest.mark.parametrize("degrees", [4, 40])
def test_a_turning_head_stays_one_track(degrees):
    # 4: the feature turns slowly and in the end is far from the mean. 40: after it has, it goes to and fro between two
    # looks that alone would be strangers, but both are near the mean.
    slow = [*range(0, 44, 4), *range(40, -4, -4)]
    angles = np.radians(range(0, 80, 4) if degrees == 4 else [*slow, *[0, 40] * 6])
    tracker = Tracker("m", options=TrackerOptions(same_score=0.91))
    for i, angle in enumerate(angles):
        face = Face((80, 80, 120, 120), 0.9, feature=np.array([np.cos(angle), np.sin(angle)]))
        tracker.update(Frame(PICTURE, i, i / 5), [face])
    assert [len(s) for s in tracker.finish()] == [len(angles)]


def test_a_face_mixed_of_two_does_not_hand_the_track_over():
    # A stands still, B walks in front. For one frame the detector sees one face made of both; after it, only B. The
    # cosine of A and B is .2, that of the mixture with either .77. It is where A was, so it is taken as A's.
    people = [np.array([1.0, 0, 0]), np.array([0.2, np.sqrt(1 - 0.04), 0])]
    mixture = (people[0] + people[1]) / np.linalg.norm(people[0] + people[1])

    def at(x, feature):
        return Face((x - 20, 80, x + 20, 120), 0.9, feature=feature)

    tracker = Tracker("m", options=TrackerOptions(same_score=0.8))
    frames = [[at(100, people[0])]] * 5 + [[at(104, mixture)]] + [[at(112, people[1])], [at(130, people[1])]]
    for i, faces in enumerate(frames):
        tracker.update(Frame(PICTURE, i, i / 5), faces)
    assert [len(s) for s in sorted(tracker.finish(), key=lambda s: s.track)] == [6, 2]


def test_another_person_in_the_same_place_begins_a_track(setting):
    # A cut that was not noticed. Some frames with two people before it, so that an unknown embedder can be learnt.
    people, options = setting
    frames = [(i / 5, {p: people.face(p, x, 50) for p, x in (("x", 50), ("y", 400))}) for i in range(10)]
    frames += [(2 + i / 5, {"a" if i < 10 else "b": people.face("a" if i < 10 else "b", 200, 150)}) for i in range(20)]
    owners, _ = track(frames, options)
    assert owners == [["x"] * 10, ["y"] * 10, ["a"] * 10, ["b"] * 10]


def test_the_order_of_the_faces_in_a_frame_does_not_matter(setting):
    people, options = setting
    frames = [
        (i / 5, {p: people.face(p, 60 * k + 7 * i * (-1) ** k, 100) for k, p in enumerate("abcdef")}) for i in range(12)
    ]
    first, sets = track(frames, options)
    for seed in range(3):
        again, other = track(frames, options, random.Random(seed))
        assert again == first
        assert [[f.box for f in s.faces] for s in other] == [[f.box for f in s.faces] for s in sets]


def test_gaps_are_bridged_up_to_max_gap(setting):
    people, options = setting
    seen = [i for i in range(60) if not (10 < i < 17 or 30 < i < 41)]  # 1.4 s and 2.2 s out of sight
    frames = [
        (i / 5, {"b": people.face("b", 400, 100)} | ({"a": people.face("a", 100 + 2 * i, 100)} if i in seen else {}))
        for i in range(60)
    ]
    owners, sets = track(frames, options)
    assert owners == [["b"] * 60, ["a"] * 25, ["a"] * 19] or owners == [["a"] * 25, ["b"] * 60, ["a"] * 19]
    assert sum(len(s) for s in sets) == sum(len(f) for _, f in frames)


def test_slow_sampling_is_no_gap():
    people = People("close")
    frames = [(10.0 * i, {"a": people.face("a", 100, 100), "b": people.face("b", 300, 100)}) for i in range(5)]
    owners, _ = track(frames)
    assert owners == [["a"] * 5, ["b"] * 5]


def test_frames_without_faces_and_no_frames():
    people = People("close")
    frames = [(i / 5, {"a": people.face("a", 100, 100)} if i in (3, 4, 40) else {}) for i in range(60)]
    owners, sets = track(frames)
    assert owners == [["a", "a"], ["a"]]
    assert [s.start for s in sets] == [3 / 5, 8.0]
    assert track([])[1] == []
    assert track([(0.0, {}), (0.2, {})])[1] == []


def test_a_track_is_handed_out_once_its_person_is_gone():
    people = People("close")
    tracker = Tracker("m", options=TrackerOptions(same_score=0.91, max_gap=1.0))
    for i in range(5):
        assert tracker.update(Frame(PICTURE, i, i / 5), [people.face("a", 100, 100)]) == []
    ended = [tracker.update(Frame(PICTURE, i, i / 5), []) for i in range(5, 12)]
    assert [len(e) for e in ended] == [0, 0, 0, 0, 0, 1, 0]  # last seen at .8 s, gone at 2.0 s: more than 1 s unseen
    assert tracker.finish() == []
    assert tracker.finish() == []


def test_two_trackers_at_once_count_for_themselves():
    people = People("close")
    trackers = [Tracker("m", media=name) for name in ("one", "two")]
    found = [[], []]
    for i in range(6):
        for k, tracker in enumerate(trackers):
            found[k] += tracker.update(Frame(PICTURE, i, i / 5), [people.face(f"{k}", 100, 100)])
    for k, tracker in enumerate(trackers):
        found[k] += tracker.finish()
    assert [[(s.media, s.track, len(s)) for s in f] for f in found] == [[("one", 0, 6)], [("two", 0, 6)]]


def test_a_cut_ends_all_tracks_and_begins_a_shot():
    people = People("close")
    rng = np.random.default_rng(0)
    shots = [np.kron(rng.integers(0, 255, (9, 16, 3)), np.ones((20, 20, 1))).astype(np.uint8) for _ in range(2)]
    tracker = Tracker("m", options=TrackerOptions(same_score=0.91))
    out = []
    for i in range(12):
        ended = tracker.update(Frame(shots[i // 6], i, i / 5), [people.face("a", 100, 100)])
        assert len(ended) == (i == 6)
        out += ended
    out += tracker.finish()
    assert [(s.track, s.shot, len(s)) for s in out] == [(0, 0, 6), (1, 1, 6)]
    assert tracker.shot == 1
    blind = Tracker("m", options=TrackerOptions(same_score=0.91, detect_cuts=False))
    for i in range(12):
        assert blind.update(Frame(shots[i // 6], i, i / 5), [people.face("a", 100, 100)]) == []
    assert [len(s) for s in blind.finish()] == [12]


def test_time_that_runs_backwards_begins_a_shot():
    people = People("close")
    owners, sets = track([(t, {"a": people.face("a", 100, 100)}) for t in (5.0, 5.2, 5.2, 0.0, 0.2)])
    assert owners == [["a"] * 3, ["a"] * 2]
    assert [s.shot for s in sets] == [0, 1]


def test_a_face_carries_the_time_of_its_frame():
    people = People("close")
    _, sets = track([(3.0, {"a": people.face("a", 100, 100)})])
    assert (sets[0].faces[0].time, sets[0].faces[0].frame) == (3.0, 0)


def test_short_tracks_are_dropped_and_counted():
    people = People("close")
    tracker = Tracker("m", options=TrackerOptions(same_score=0.91, min_faces=3))
    for i in range(6):
        faces = [people.face("a", 100, 100)] + ([people.face("b", 300, 100)] if i < 2 else [])
        tracker.update(Frame(PICTURE, i, i / 5), faces)
    assert [(s.track, len(s)) for s in tracker.finish()] == [(0, 6)]
    assert tracker.dropped == 1


@pytest.mark.parametrize("count", [7, 8, 9, 63, 64, 65, 300])
def test_a_long_track_is_thinned_evenly(count):
    people = People("close")
    frames = [(i / 5, {"a": people.face("a", 100, 100)}) for i in range(count)]
    _, sets = track(frames, TrackerOptions(same_score=0.91, max_faces=8))
    kept = [f.frame for f in sets[0].faces]
    assert len(sets) == 1
    assert min(4, count) <= len(kept) <= 9
    assert (kept[0], kept[-1]) == (0, count - 1)
    steps = np.diff(kept[:-1])
    assert steps.size == 0 or steps.min() == steps.max()


def test_no_picture_outlives_its_frame():
    people = People("close")
    tracker = Tracker("m")
    seen = []
    for i in range(5):
        picture = PICTURE.copy()
        seen.append(weakref.ref(picture))
        tracker.update(Frame(picture, i, i / 5), [people.face("a", 100, 100)])
        del picture
    gc.collect()
    assert [ref() for ref in seen] == [None] * 5
    assert len(tracker.finish()) == 1


def test_refused():
    people = People("close")
    face = people.face("a", 100, 100)
    tracker = Tracker("m")
    with pytest.raises(InputError, match="without a feature cannot be tracked; embed"):
        tracker.update(Frame(PICTURE), [face.replace(feature=None)])
    tracker.update(Frame(PICTURE), [face])
    with pytest.raises(InputError, match="one width, but got 3 after 256"):
        tracker.update(Frame(PICTURE, 1, 0.2), [face.replace(feature=np.ones(3))])
    tracker.finish()
    with pytest.raises(InputError, match="has finished; make a new one"):
        tracker.update(Frame(PICTURE, 1, 0.2), [])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"same_score": 1.0}, "same_score"),
        ({"max_gap": -1}, "max_gap"),
        ({"max_gap": float("nan")}, "max_gap"),
        ({"motion_weight": 1.5}, "motion_weight"),
        ({"speed": float("inf")}, "speed"),
        ({"min_faces": 0}, "min_faces"),
        ({"max_faces": 1}, "max_faces"),
        ({"min_faces": 9, "max_faces": 8}, "max_faces"),
    ],
)
def test_options_are_checked(wrong, words):
    with pytest.raises(InputError, match=words):
        TrackerOptions(**wrong)


def test_boxes_by_hand():
    a = np.array([[0.0, 0, 10, 10]])
    b = np.array([[0.0, 0, 10, 10], [10, 0, 20, 10], [5, 0, 15, 10], [20, 0, 30, 10], [0, 0, 20, 20]])
    # GIoU: 1; 0 (touching in a row); 1/3; -(30 - 20)/30; 1/4
    np.testing.assert_allclose(place_cost(a, b), [[0, 0.5, 1 / 3, 2 / 3, 3 / 8]])
    np.testing.assert_allclose(distance(a, b), [[0, 1, 0.5, 2, np.hypot(5, 5) / 15]])
    np.testing.assert_allclose(growth(a, b), [[1, 1, 1, 1, 2]])
    np.testing.assert_allclose(growth(b, a).T, growth(a, b))


def test_likeness_learns_the_unit():
    given = Likeness(0.91)
    assert given.unit == pytest.approx(0.09)
    assert given.stranger == pytest.approx(1.25 * 0.09)
    learnt = Likeness(None)
    assert learnt.unit is None
    assert learnt.stranger is None
    for unlike in np.linspace(0, 0.1, 11):
        learnt.saw_again(unlike)
    assert learnt.unit == pytest.approx(4 * 0.09)  # nine of ten distances are within .09
    learnt.saw_in_one_picture(np.eye(5))  # ten pairs at distance 1
    assert learnt.unit == pytest.approx(1)
    assert learnt.stranger == pytest.approx(1)
