"""Calibration: hand-worked thresholds, FPIR of independent scores, people who were held out, lookups, files."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceset import aggregation, calibration
from faceset.calibration import CLASSES, Calibration, FarPoint, FpirPoint, SizeClass, SizePair, Thresholds, far, openset
from faceset.calibration import unresolved as rules
from faceset.calibration.draws import Drawn, People
from faceset.calibration.files import load, save, to_text
from faceset.calibration.lookup import for_pair, for_search
from faceset.calibration.places import file_name, user_path
from faceset.errors import CalibrationError, EmbedderMismatchError, InputError, ThresholdError
from faceset.feature_table import FeatureRow, FeatureTable, Labels, table_of

MODEL = "test:1"
FARS = (1e-1, 1e-2, 1e-3)


def people_table(people: int, faces: int, *, seed: int = 0, width: int = 24, spread: float = 0.6) -> FeatureTable:
    """Gaussian identities: each face is its person's centre plus noise; every face is a medium."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people, width)) + 1.0
    rows = []
    for p, f in itertools.product(range(people), range(faces)):
        vector = (centres[p] + spread * rng.normal(size=width)).astype(np.float32)
        rows.append(FeatureRow(f"p{p:04d}", f"p{p:04d}/{f}.jpg", vector, (0.0, 0.0, 9.0, 9.0), 1.0))
    return table_of(rows, MODEL)


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    return people_table(100, 9)


@pytest.fixture(scope="module")
def made(table: FeatureTable) -> Calibration:
    return calibration.fit(table, aggregation.get("mean"), source="100 people of a test", fars=FARS, resamples=50)


# -------------------------------------------------------------------------------------------------- the threshold


def test_a_far_threshold_by_hand() -> None:
    # Three people with one template each at 0, 60 and 90 degrees; a fourth template of the first person at 10.
    #   cos: 0-60 .5   0-90 0   60-90 .866   10-60 .643   10-90 .174   (0-10 is of one person and no impostor)
    angles = np.deg2rad([0.0, 60.0, 90.0, 10.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    drawn = Drawn(vectors, np.array([0, 1, 2, 0]))
    found = far.impostors([(drawn, drawn)], alike=True)
    assert sorted(np.round(found.scores, 3)) == [0.0, 0.174, 0.5, 0.643, 0.866]
    assert found.people_pairs == 3
    # FAR 0.4 of 5 allows 2 of them: the threshold lies just above the third highest, .5
    value = far.threshold(found.scores, 0.4)
    assert value == pytest.approx(0.5, abs=1e-6)
    assert (found.scores >= value).sum() == 2
    # FAR 0.1 allows none of 5
    assert (found.scores >= far.threshold(found.scores, 0.1)).sum() == 0


def test_two_sides_of_different_sizes_meet_in_both_orders() -> None:
    a = Drawn(np.eye(2, dtype=np.float32), np.array([0, 1]))
    b = Drawn(np.eye(2, dtype=np.float32)[::-1].copy(), np.array([0, 1]))
    found = far.impostors([(a, b)], alike=False)
    assert found.scores.tolist() == [1.0, 1.0]  # person 0 of a with person 1 of b, and the other way
    assert found.people_pairs == 1


def test_intervals_of_thresholds_agree_with_a_naive_loop() -> None:
    rng = np.random.default_rng(3)
    P = 12
    first, second = np.triu_indices(P, 1)
    found = far.Impostors(rng.normal(size=first.size).round(1), first, second)
    ends = far.intervals(found, (0.3, 0.1), 200, 7)
    naive = np.empty((2, 200))
    for r, w in enumerate(far.draw_subjects(P, 200, 7)):
        scores = np.repeat(found.scores, (w[first] * w[second]).astype(int))
        for f, rate in enumerate((0.3, 0.1)):
            naive[f, r] = far.tar_at_far(scores[:1], scores, rate).threshold
    np.testing.assert_allclose(ends, np.quantile(naive, [0.025, 0.975], axis=1).T, rtol=0, atol=1e-12)


def test_resamples_of_one_person_alone_say_nothing_of_a_threshold() -> None:
    # Two people: half of the resamples draw one of them twice, and have no comparison of two people.
    found = far.Impostors(np.array([-0.5, 0.1, 0.3]), np.array([0, 0, 0]), np.array([1, 1, 1]))
    ends = far.intervals(found, (0.1,), 50, 0)
    assert ends[0].tolist() == pytest.approx([0.3, 0.3])
    nothing = next(s for s in range(50) if far.draw_subjects(2, 1, s).max() == 2)
    assert far.intervals(found, (0.1,), 1, nothing)[0].tolist() == [-0.5, 0.3]


# ------------------------------------------------------------------------------------------------------ open set


def test_fpir_by_hand() -> None:
    # Person 0 is like person 1 only, person 2 like nobody. Galleries of 1 of the two others: 0 meets 1 in half of them.
    scores = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.2], [0.1, 0.2, 1.0]])
    assert openset.fpir(scores, 1, 0.5) == pytest.approx((0.5 + 0.5 + 0.0) / 3)
    assert openset.fpir(scores, 2, 0.5) == pytest.approx(2 / 3)
    assert openset.fpir(scores, 2, 0.95) == 0.0
    value = openset.threshold(scores, 2, 0.5)
    assert value > 0.9
    assert openset.threshold(scores, 2, 2 / 3) == pytest.approx(0.2)
    assert openset.fpir(scores, 2, openset.threshold(scores, 2, 2 / 3)) == pytest.approx(2 / 3)


def test_fpir_is_the_mean_over_all_galleries() -> None:
    rng = np.random.default_rng(0)
    P = 7
    scores = rng.random((P, P))
    for gallery, threshold in itertools.product((1, 2, 4, 6), (0.3, 0.7, 0.95)):
        alarms = [
            max(scores[i, list(g)]) >= threshold
            for i in range(P)
            for g in itertools.combinations([j for j in range(P) if j != i], gallery)
        ]
        assert openset.fpir(scores, gallery, threshold) == pytest.approx(np.mean(alarms), abs=1e-12)


def test_independent_scores_follow_the_far_relation() -> None:
    rng = np.random.default_rng(1)
    P = 300
    scores = rng.random((P, P))
    for gallery in (1, 3, 10, 30, 100):
        rate = 0.1 / gallery
        expected = 1 - (1 - rate) ** gallery
        found = openset.fpir(scores, gallery, 1 - rate)
        assert found == pytest.approx(expected, abs=4 * math.sqrt(expected * gallery / P / P * 2) + 1e-3)
    ends = openset.intervals(scores, (10, 200), (0.1,), 100, 0, 0.95)
    for g, gallery in enumerate((10, 200)):
        exact = (1 - 0.1) ** (1 / gallery)  # the uniform threshold with 1 - t^N = 0.1
        assert ends[g, 0, 0] <= exact <= ends[g, 0, 1]
        assert ends[g, 0, 0] <= openset.threshold(scores, gallery, 0.1) <= ends[g, 0, 1]


def test_lambs_make_large_galleries_differ_from_the_far_relation() -> None:
    # One person in ten resembles everybody: their alarms are many, but they are one probe each.
    scores = np.random.default_rng(2).random((100, 100)) * 0.5
    scores[:10] = 0.9
    rate = openset.fpir(scores, 1, 0.8)
    assert rate == pytest.approx(0.1)
    assert openset.fpir(scores, 50, 0.8) == pytest.approx(0.1)
    assert 1 - (1 - rate) ** 50 > 0.99


# ------------------------------------------------------------------------------------------------- drawing people


def test_nothing_depends_on_the_order_of_rows() -> None:
    table = people_table(12, 9)
    shuffled = table.take(np.random.default_rng(5).permutation(len(table)))
    first, second = (
        to_text(calibration.fit(t, aggregation.get("mean"), source="x", fars=FARS, resamples=10))
        for t in (table, shuffled)
    )
    assert first == second


def test_nothing_depends_on_the_order_of_faces_that_only_their_vectors_tell_apart() -> None:
    one = people_table(8, 9)
    alike = dataclasses.replace(one, medium=Labels(one.subject.codes, one.subject.names))  # one medium, frame, box
    shuffled = alike.take(np.random.default_rng(5).permutation(len(alike)))
    first, second = (
        to_text(calibration.fit(t, aggregation.get("mean"), source="x", fars=FARS, resamples=10))
        for t in (alike, shuffled)
    )
    assert first == second


def test_mates_share_no_medium_and_sizes_are_in_class() -> None:
    rows = [
        FeatureRow("a", f"a/{m}", np.array([1.0, m + 1.0, f], np.float32), (0, 0, 9, 9), 1.0, frame=f)
        for m in range(3)
        for f in range(4)
    ]
    one = people = People.of(table_of(rows, MODEL))
    seen: list[Any] = []

    class Spy:
        name = "spy"

        def __call__(self, features: Any, offsets: Any, *, media: Any = None, quality: Any = None) -> Any:
            seen.append((set(np.asarray(media).tolist()), int(offsets[-1])))
            return aggregation.get("mean")(features, offsets, media=media, quality=quality)

    for seed in range(20):
        people.draw_mated(Spy(), CLASSES[1], CLASSES[2], (seed,))
        (left, few), (right, many) = seen[-2:]
        assert not left & right
        assert few in CLASSES[1]
        assert many in CLASSES[2]
    first, second = one.draw_mated(Spy(), CLASSES[3], CLASSES[3], (0,))  # 12 faces are not 8 and 8
    assert len(first.vectors) == len(second.vectors) == 0


def test_degraded_faces_are_left_out() -> None:
    rows = [
        FeatureRow("a", "a/1", np.array([1.0, 0.0], np.float32), (0, 0, 9, 9), 1.0, kind=kind)
        for kind in ("clean", "motion-blur")
    ]
    assert [r.size for r in People.of(table_of(rows, MODEL)).rows] == [1]


# ------------------------------------------------------------------------------------------------- what fit gives


def test_held_out_people_have_the_far_that_was_asked_for(made: Calibration) -> None:
    other = people_table(300, 9, seed=99)
    people = People.of(other)
    for sizes in ((0, 0), (0, 2), (3, 3)):
        pair = next(p for p in made.pairs if p.sizes == sizes)
        a, b = (people.draw(aggregation.get("mean"), CLASSES[i], (1, i, n)) for n, i in enumerate(sizes))
        found = far.impostors([(a, b)], alike=False)
        for point in pair.points[:2]:  # the resolved ones
            assert point.resolved
            highest, lowest = (float((found.scores >= t).mean()) for t in (point.low, point.high))
            assert lowest * 0.8 <= point.far <= highest * 1.2


def test_searches_among_held_out_people_have_the_fpir_that_was_asked_for(made: Calibration) -> None:
    vectors = People.of(people_table(300, 1, seed=98)).draw(aggregation.get("mean"), CLASSES[0], (0,)).vectors
    scores = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    for search in made.searches:
        if search.fpir == 0.1:
            assert openset.fpir(scores, search.gallery, search.high) * 0.8 <= 0.1
            assert openset.fpir(scores, search.gallery, search.low) * 1.2 >= 0.1


def test_no_rate_rises_by_rounding(table: FeatureTable, made: Calibration) -> None:
    vectors = People.of(table).draw(aggregation.get("mean"), CLASSES[0], (0, len(CLASSES), 0)).vectors
    scores = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    for search in made.searches:
        assert openset.fpir(scores, search.gallery, search.threshold) <= search.fpir + 1e-12


def test_larger_sets_need_higher_thresholds_here(made: Calibration) -> None:
    by_sizes = {p.sizes: p.points[1].threshold for p in made.pairs}
    assert by_sizes[0, 0] < by_sizes[1, 1] < by_sizes[3, 3]


def test_counts_and_provenance(made: Calibration) -> None:
    assert (made.people, made.media, made.faces, made.aggregator, made.model_id) == (100, 900, 900, "mean", MODEL)
    single = made.pairs[0]
    assert (single.people, single.people_pairs) == ((100, 100), 4950)
    assert single.impostors == 20 * 4950  # drawn again, but no more often
    assert made.galleries == (1, 3, 10, 30)
    assert made.fpirs == (0.1, 0.01)
    assert [p.resolved for p in single.points] == [True, True, False]
    assert {"faceset", "numpy"} <= set(made.versions)


def test_few_people_are_unresolved_and_stricter(made: Calibration) -> None:
    few = calibration.fit(people_table(8, 3), aggregation.get("mean"), source="8", fars=FARS, resamples=20)
    for pair in few.pairs:
        assert not any(p.resolved for p in pair.points[1:])
    exact = made.pairs[0].points[1].threshold
    assert few.pairs[0].points[1].threshold > exact - 0.1
    assert few.pairs[0].points[1].rule == rules.TAIL
    assert next(p for p in few.pairs if p.sizes == (2, 2)).points[0].rule == rules.GROWTH
    assert few.galleries == (1, 3)
    found = for_pair(few, (9, 1), 0.01, "x")
    assert "unresolved" in found.source
    assert "unresolved" in for_search(few, (1, 1), 3, 0.01, "x").source


@pytest.mark.parametrize("people", [3, 5, 8])
def test_a_search_of_few_people_is_no_looser_than_a_comparison(people: int) -> None:
    # Nobody's search among N is safer than one comparison: FPIR(N, t) >= FPIR(1, t) = FAR(t).
    few = calibration.fit(people_table(people, 3), aggregation.get("mean"), source="few", fars=FARS, resamples=20)
    single = {p.far: p.threshold for p in few.pairs[0].points}
    assert few.searches
    for s in few.searches:
        assert s.resolved or s.threshold >= single[s.fpir]


def test_what_cannot_be_fitted() -> None:
    mean = aggregation.get("mean")
    with pytest.raises(CalibrationError, match="only 1 have clean faces"):
        calibration.fit(people_table(1, 4), mean, source="x")
    with pytest.raises(CalibrationError, match="only 0 have clean faces"):
        calibration.fit(table_of([], MODEL, width=3), mean, source="x")
    blank = people_table(3, 2)
    blank = dataclasses.replace(blank, vectors=blank.vectors * (np.arange(6) != 3)[:, None])
    blank = dataclasses.replace(blank, norm=np.linalg.norm(blank.vectors, axis=1))
    with pytest.raises(CalibrationError, match=r"p0001/1\.jpg' has length 0"):
        calibration.fit(blank, mean, source="x")
    for bad in (0.0, 1.0, float("nan"), -1.0):
        with pytest.raises(InputError, match="between 0 and 1"):
            calibration.fit(people_table(3, 2), mean, source="x", fars=[bad])
    with pytest.raises(EmbedderMismatchError, match="was trained for embedder dlib-resnet"):
        calibration.fit(
            people_table(3, 2), aggregation.get("anchored", model_id="dlib-resnet:aae79f758fb292a9"), source="x"
        )


# -------------------------------------------------------------------------------------------- rules for unresolved


def test_rules_by_hand() -> None:
    small = rules.Raw(np.array([0.5, 0.6, 0.7]), (True, True, True))
    mixed = rules.Raw(np.array([0.55, 0.64, 0.64]), (True, False, False), 0.3, 0.1)
    large = rules.Raw(np.array([0.6, 0.66, 0.66]), (True, True, False), 0.3, 0.1)
    done = rules.fill({(0, 0): small, (0, 1): mixed, (1, 1): large}, FARS)
    values, used = done[0, 1]
    # FAR .01: the larger pair resolves it: max(.64, .66). FAR .001: nobody larger does; .55 + (.7 - .5)
    np.testing.assert_allclose(values, [0.55, 0.66, 0.75])
    assert used == (rules.MEASURED, rules.LARGER, rules.STEP)
    values, used = done[1, 1]
    # .66 + (.7 - .6), but no lower than the smaller pair
    np.testing.assert_allclose(values, [0.6, 0.66, 0.76])
    assert used == (rules.MEASURED, rules.MEASURED, rules.STEP)


def test_the_lowest_of_the_larger_counts_and_none_lies_below_smaller_sets() -> None:
    raw = {
        (0, 0): rules.Raw(np.array([0.50, 0.60]), (True, True)),
        (0, 1): rules.Raw(np.array([0.55, 0.56]), (True, False)),
        (1, 1): rules.Raw(np.array([0.60, 0.62]), (True, True)),
        (0, 2): rules.Raw(np.array([0.58, 0.70]), (True, True)),
        (1, 2): rules.Raw(np.array([0.62, 0.75]), (True, True)),
        (2, 2): rules.Raw(np.array([0.60, 0.60]), (False, False), 0.1, 0.01),
    }
    done = rules.fill(raw, FARS[:2])
    assert done[0, 1] == (pytest.approx([0.55, 0.62]), (rules.MEASURED, rules.LARGER))  # of .62, .70 and .75
    assert done[2, 2] == (pytest.approx([0.62, 0.75]), (rules.TAIL, rules.TAIL))  # as the pair (1, 2)


def test_where_nobody_resolves_a_far_the_own_slope_goes_on() -> None:
    one = rules.Raw(np.array([0.50, 0.58, 0.59]), (True, True, False), 0.3, 0.2)
    values, used = rules.fill({(0, 0): one}, (0.1, 0.01, 0.0001))[0, 0]
    # .08 for one power of ten, so .16 for the next two
    np.testing.assert_allclose(values, [0.50, 0.58, 0.74])
    assert used == (rules.MEASURED, rules.MEASURED, rules.SLOPE)
    alone = rules.Raw(np.array([0.50, 0.58, 0.59]), (True, False, False), 0.3, 0.1)
    assert rules.fill({(0, 0): alone}, (0.1, 0.01, 0.0001))[0, 0][1][2] == rules.TAIL


def test_growth_by_hand() -> None:
    one, two = (rules.Raw(np.array([v]), (True,)) for v in (0.5, 0.6))
    nothing = rules.Raw(None, (False,))
    raw = {(0, 0): one, (0, 1): two, (0, 2): nothing, (1, 1): two, (1, 2): nothing, (2, 2): nothing}
    done = rules.fill(raw, (0.1,))
    assert done[0, 2][0][0] == pytest.approx(0.7)  # .6 and again the .1 that the last class added
    assert done[0, 2][1] == (rules.GROWTH,)
    assert done[2, 2][0][0] >= done[1, 2][0][0] >= done[0, 2][0][0]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_filled_thresholds_never_fall_as_far_falls(data: st.DataObject) -> None:
    raw = {}
    for sizes in itertools.combinations_with_replacement(range(3), 2):
        if data.draw(st.booleans()) or sizes == (0, 0):
            thresholds = np.sort(data.draw(st.lists(st.floats(0, 1), min_size=3, max_size=3)))
            count = data.draw(st.integers(0, 3))
            raw[sizes] = rules.Raw(thresholds, tuple(i < count for i in range(3)), 0.2, 0.1)
        else:
            raw[sizes] = rules.Raw(None, (False,) * 3)
    for sizes, (values, used) in rules.fill(raw, FARS).items():
        assert (np.diff(values) >= 0).all()
        assert values.max() <= 1.0
        own = raw[sizes]
        for f in range(3):
            if own.thresholds is not None:
                assert values[f] >= own.thresholds[f] - 1e-12
                if own.resolved[f]:
                    assert used[f] == rules.MEASURED


# --------------------------------------------------------------------------------------------------------- lookups


def tiny(**changes: Any) -> Calibration:
    """Two classes, FAR .1 and .01, galleries of 1 and 100: numbers to reckon with."""

    def points(*values: float, resolved: bool = True) -> tuple[FarPoint, ...]:
        rule = "measured" if resolved else "step"
        return tuple(FarPoint(rate, v, v, v, None, resolved, rule) for rate, v in zip((0.1, 0.01), values, strict=True))

    fields: dict[str, Any] = {
        "model_id": MODEL,
        "aggregator": "mean",
        "source": "9 people of nowhere",
        "people": 9,
        "media": 9,
        "faces": 9,
        "classes": (SizeClass(1, 1), SizeClass(2, None)),
        "pairs": (
            SizePair((0, 0), (9, 9), 36, 9, 36, points(0.5, 0.6)),
            SizePair((0, 1), (9, 9), 36, 9, 36, points(0.55, 0.63)),
            SizePair((1, 1), (9, 9), 36, 9, 36, points(0.6, 0.7, resolved=False)),
        ),
        "searches": tuple(
            FpirPoint(n, p, v, v, v, n == 1)
            for n, p, v in ((1, 0.1, 0.5), (1, 0.01, 0.6), (100, 0.1, 0.6), (100, 0.01, 0.72))
        ),
    }
    return Calibration(**{**fields, **changes})


@pytest.mark.parametrize(("faces", "value"), [((1, 1), 0.6), ((1, 7), 0.63), ((7, 1), 0.63), ((2, 99), 0.7)])
def test_the_size_class_decides(faces: tuple[int, int], value: float) -> None:
    found = for_pair(tiny(), faces, 0.01, "here")
    assert (found.value, found.far, found.fpir) == (value, 0.01, None)
    names = ["1" if n == 1 else "2+" for n in faces]
    assert f"FAR 0.01; 9 people of nowhere; templates of {names[0]} and {names[1]} faces" in found.source
    assert found.source.endswith("; here")
    assert ("unresolved" in found.source) == (faces == (2, 99))


def test_far_between_is_straight_over_its_logarithm() -> None:
    found = for_pair(tiny(), (1, 1), math.sqrt(0.1 * 0.01), "here")
    assert found.value == pytest.approx(0.55)
    assert "interpolated between FAR 0.1 and 0.01" in found.source


def test_far_outside() -> None:
    loose = for_pair(tiny(), (1, 1), 0.5, "here")
    assert (loose.value, loose.far) == (0.5, 0.1)
    assert "FAR 0.1 (asked for 0.5; nothing looser was calibrated)" in loose.source
    with pytest.raises(ThresholdError, match=r"FAR 0\.001 is below 0\.01, the smallest of here"):
        for_pair(tiny(), (1, 1), 0.001, "here")
    with pytest.raises(ThresholdError, match=r"FPIR 0\.001 is below 0\.01"):
        for_search(tiny(), (1, 1), 5, 0.001, "here")
    for bad in (0, 1, -0.1, float("nan"), True, "0.1"):
        with pytest.raises(InputError, match="between 0 and 1"):
            for_pair(tiny(), (1, 1), bad, "here")  # type: ignore[arg-type]


def test_the_gallery_decides() -> None:
    found = for_search(tiny(), (1, 1), 10, 0.01, "here")
    assert found.value == pytest.approx(0.66)  # half way between ln 1 and ln 100
    assert (found.far, found.fpir) == (None, 0.01)
    assert "FPIR 0.01 among 10 people" in found.source
    assert "interpolated between 1 and 100 people" in found.source
    assert "unresolved" in found.source
    exact = for_search(tiny(), (1, 1), 1, 0.01, "here")
    assert exact.value == 0.6
    assert "interpolated" not in exact.source
    assert for_search(tiny(), (1, 1), 0, 0.01, "here").value == 0.6


def test_beyond_the_largest_gallery_the_steeper_slope_goes_on() -> None:
    found = for_search(tiny(), (1, 1), 1000, 0.01, "here")
    # of the galleries: .12 over ln 100; of independent scores: .1 over ln 10, which is steeper
    assert found.value == pytest.approx(0.72 + 0.1)
    assert "extrapolated from 100 people" in found.source
    flat = tiny(pairs=tuple(
        SizePair(p.sizes, p.people, 36, 9, 36, tuple(FarPoint(q.far, 0.6, 0.6, 0.6, None, True, "measured")
                                                      for q in p.points)) for p in tiny().pairs))  # fmt: skip
    assert for_search(flat, (1, 1), 1000, 0.01, "here").value == pytest.approx(0.72 + 0.06)
    assert for_search(tiny(), (1, 1), 10**30, 0.01, "here").value == 1.0


def test_sets_raise_the_threshold_of_a_search() -> None:
    # the pair (1, 2+) exceeds the singles by .05 at FAR .1 and by .03 at .01; the larger counts
    found = for_search(tiny(), (1, 4), 1, 0.01, "here")
    assert found.value == pytest.approx(0.65)
    assert "templates of 1 and 2+ faces" in found.source


def test_a_calibration_without_searches() -> None:
    with pytest.raises(ThresholdError, match="holds no thresholds for searches"):
        for_search(tiny(searches=()), (1, 1), 5, 0.01, "here")


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)), st.floats(0.001, 0.9), st.floats(0.001, 0.9),
    st.integers(0, 5000), st.integers(0, 5000),
)  # fmt: skip
def test_thresholds_are_monotone(
    made: Calibration, faces: tuple[int, int], rate: float, other: float, people: int, more: int
) -> None:
    low, high = sorted((rate, other))
    assert for_pair(made, faces, low, "x").value >= for_pair(made, faces, high, "x").value
    assert for_pair(made, faces, low, "x").value == for_pair(made, faces[::-1], low, "x").value
    low, high = max(low, 0.01), max(high, 0.01)
    small, large = sorted((people, more))
    assert for_search(made, faces, large, low, "x").value >= for_search(made, faces, small, low, "x").value
    assert for_search(made, faces, small, low, "x").value >= for_search(made, faces, small, high, "x").value


# ----------------------------------------------------------------------------------------------------------- files


def test_round_trip(made: Calibration, tmp_path: Path) -> None:
    save(made, tmp_path / "a.json")
    assert load(tmp_path / "a.json") == made
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == to_text(made)
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    with pytest.raises(CalibrationError, match=r"a\.json cannot be written .*choose another place"):
        save(made, tmp_path / "no" / "a.json")


def broken(**changes: Any) -> bytes:
    values = {"format": "faceset calibration", "version": 1, **tiny().to_dict(), **changes}
    return json.dumps({k: v for k, v in values.items() if v is not ...}).encode()


def point(**changes: Any) -> dict[str, Any]:
    pairs = tiny().to_dict()["pairs"]
    pairs[0]["points"][1].update(changes)
    return {"pairs": pairs}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (to_text(tiny()).encode()[:-40], "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[1]", "is not a faceset calibration"),
        (b'{"format": "faceset template", "version": 1}', "is not a faceset calibration"),
        (broken(version=2), "has version 2, but this faceset reads up to 1; upgrade"),
        (broken(version="1"), "damaged"),
        (broken(version=True), "damaged"),
        (broken(people=...), "lacks ..people"),
        (broken(extra=1), "unknown ..extra"),
        (broken(people=-1), "people must be a whole number"),
        (broken(people=True), "people must be a whole number"),
        (broken(source=""), "source must be a text"),
        (broken(classes=[[1, 1]]), "size classes must begin at 1"),
        (broken(classes=[[1, 1], [3, None]]), "size classes must begin at 1"),
        (broken(classes=[]), "at least one size class"),
        (broken(pairs=tiny().to_dict()["pairs"][:2]), "every pair of the 2 size classes"),
        (broken(searches=tiny().to_dict()["searches"][:3]), "every FPIR for every gallery size"),
        (broken(**point(threshold=0.4, low=0.4)), "must not fall"),
        (broken(**point(threshold=1.5, high=1.5)), "cosines"),
        (broken(**point(threshold="0.6")), "threshold must be a number"),
        (broken(**point(threshold=None)), "threshold must be a number"),
        (broken(**point(low=0.65)), "low <= high"),
        (broken(**point(high=0.7, low=0.65)), "outside its interval"),
        (broken(**point(far=0.1)), "must fall from point to point"),
        (broken(**point(far=0.0)), "between 0 and 1"),
        (broken(**point(far=0.02)), "has other FAR than size pair"),
        (broken(**point(tar=2)), "tar must be in 0..1"),
        (broken(**point(resolved=1)), "resolved must be true or false"),
        (broken().replace(b"0.72", b"0.55"), "thresholds of .* must not fall"),
        (broken().replace(b"0.72", b"NaN"), "cosines"),
    ],
)
def test_a_bad_file_names_itself_and_the_cure(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(data)
    with pytest.raises(CalibrationError, match=reason) as caught:
        load(path)
    assert "bad.json" in str(caught.value)
    assert "calibrate" in str(caught.value) or "upgrade" in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"none\.json cannot be read .*check the name"):
        load(tmp_path / "none.json")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=3))
def test_a_damaged_file_is_an_error_or_another_calibration(at: int, bytes_: bytes) -> None:
    from faceset.calibration.files import parse

    data = to_text(tiny()).encode()
    at %= len(data)
    with contextlib.suppress(CalibrationError):  # and no other kind of error
        parse(data[:at] + bytes_ + data[at + len(bytes_) :], "f.json")


# ------------------------------------------------------------------------------------------- which one is used


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACESET_CALIBRATIONS", str(tmp_path / "own"))
    return tmp_path / "own"


def test_a_given_threshold_overrides_all(own_folder: Path) -> None:
    found = Thresholds(MODEL, calibration=tiny(), given=0.3).pair(("mean", "mean"), (1, 1))
    assert (found.value, found.source, found.far) == (0.3, "given by the caller", None)
    assert Thresholds(MODEL, calibration=tiny(), given=0.3).search(("mean", "mean"), (1, 1), 5).value == 0.3


def test_ones_own_comes_before_the_manifest_and_is_named(own_folder: Path) -> None:
    thresholds = Thresholds(MODEL, far=0.01, manifest=0.9, manifest_source="maker")
    before = thresholds.pair(("mean", "mean"), (1, 1))
    assert (before.value, before.far) == (0.9, None)
    assert before.source == "maker; no calibration for aggregator mean"
    own_folder.mkdir()
    save(tiny(), user_path(MODEL, "mean"))
    after = Thresholds(MODEL, far=0.01, manifest=0.9).pair(("mean", "mean"), (1, 1))
    assert (after.value, after.far) == (0.6, 0.01)
    assert after.source.endswith("your own calibration test_1--mean.json")
    none = Thresholds(MODEL, calibration="none", manifest=0.9, manifest_source="maker").pair(("mean", "mean"), (1, 1))
    assert (none.value, none.source) == (0.9, "maker")


def test_a_calibration_of_another_aggregator_or_embedder_is_not_used_and_said(own_folder: Path, tmp_path: Path) -> None:
    save(tiny(), tmp_path / "mine.json")
    given = Thresholds(MODEL, calibration=str(tmp_path / "mine.json"), manifest=0.9, manifest_source="maker")
    other = given.pair(("norm", "norm"), (1, 1))
    assert other.value == 0.9
    assert other.source == "maker; calibration mine.json was made for aggregator mean, not used"
    both = given.search(("norm", "mean"), (1, 1), 3)
    assert "no calibration fits templates of two aggregators, norm and mean" in both.source
    foreign = Thresholds("other:2", calibration=tiny(), manifest=0.9, manifest_source="maker")
    assert "was made for embedder test:1, not used" in foreign.pair(("mean", "mean"), (1, 1)).source
    with pytest.raises(ThresholdError, match=r"no threshold is known .*made for aggregator mean, not used.*calibrate"):
        Thresholds(MODEL, calibration=tiny()).pair(("norm", "norm"), (1, 1))
    with pytest.raises(ThresholdError, match=r"pass threshold="):
        Thresholds(MODEL, calibration="none").pair(("norm", "norm"), (1, 1))


def test_a_newcomer_is_measured_as_a_large_set_and_never_refused(own_folder: Path) -> None:
    # FPIR .01 of one person: .6, and the largest excess of two large sets, .7 - .6
    assert Thresholds(MODEL, calibration=tiny(), manifest=0.3).alike("mean", 1) == pytest.approx(0.7)
    assert Thresholds(MODEL, calibration=tiny(), manifest=0.3, fpir=0.001).alike("mean", 1) == 0.3
    assert Thresholds(MODEL, calibration="shipped", manifest=0.3).alike("mean", 1) == 0.3
    assert Thresholds(MODEL).alike("mean", 1) is None


def test_a_file_under_the_wrong_name_is_an_error(own_folder: Path) -> None:
    own_folder.mkdir()
    save(tiny(aggregator="norm"), user_path(MODEL, "mean"))
    with pytest.raises(CalibrationError, match="was made for embedder test:1 and aggregator norm"):
        Thresholds(MODEL).pair(("mean", "mean"), (1, 1))


def test_wrong_requests(own_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="cannot be read"):
        Thresholds(MODEL, calibration=tmp_path / "none.json")
    with pytest.raises(InputError, match="must be 'none', 'shipped', a file or a Calibration"):
        Thresholds(MODEL, calibration=3)  # type: ignore[arg-type]
    with pytest.raises(CalibrationError, match="no calibration ships for embedder test:1"):
        Thresholds(MODEL, calibration="shipped").pair(("mean", "mean"), (1, 1))
    for name in ("far", "fpir"):
        with pytest.raises(InputError, match=f"{name} must be a number between 0 and 1"):
            Thresholds(MODEL, **{name: 1.0})


# --------------------------------------------------------------------------------------------------------- shipped

DLIB = "dlib-resnet:aae79f758fb292a9"


@pytest.mark.parametrize("name", ["anchored", "mean", "nan", "ers", "norm"])
def test_the_shipped_ones_fit_what_ships(name: str, own_folder: Path) -> None:
    maker = aggregation.get(name, model_id=DLIB)
    made = calibration.shipped(DLIB, maker.name)
    assert made is not None
    assert (made.model_id, made.aggregator, made.people, made.seed) == (DLIB, maker.name, 1338, 0)
    assert made.source == "1,338 people of LFW that no training saw"
    assert made.pairs[0].points[2].resolved
    found = Thresholds(DLIB).pair((maker.name, maker.name), (1, 5))
    assert found.source == (
        "FAR 0.001; 1,338 people of LFW that no training saw; templates of 1 and 4-7 faces; shipped calibration"
    )
    single = Thresholds(DLIB).pair((maker.name, maker.name), (1, 1))
    many = Thresholds(DLIB).pair((maker.name, maker.name), (30, 30))
    assert 0.912 < single.value < found.value < many.value < 0.97


def test_file_names_are_plain() -> None:
    assert file_name("a/b:c", "../x y") == "a_b_c--.._x_y.json"
