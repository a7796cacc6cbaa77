"""1:1 figures: by hand, against loops over every threshold, and what must not change them."""

from __future__ import annotations

import metric_oracles as naive
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from metric_oracles import FAILED

from faceset import metrics
from faceset.errors import InputError

# Few distinct values, so that ties are the rule; two neighbouring doubles; failures now and then.
VALUES = [-1.0, -0.25, 0.0, 0.1, float(np.nextafter(0.1, 1)), 0.2, 0.3, 0.5, 1.0]
SCORES = st.lists(st.sampled_from(VALUES), min_size=1, max_size=30)
WITH_FAILURES = st.lists(st.sampled_from([*VALUES, FAILED, FAILED]), min_size=1, max_size=30)
FARS = st.sampled_from([1e-6, 0.001, 0.1, 0.25, 1 / 3, 0.5, 0.999])

#   score   0.9  0.8  0.7  0.6  0.5  0.4        + genuine, - impostor
#            +    +    -    +    -    -
#
#   TAR  1 |        5-------6          accept 0.9 and up:  FAR 0/3  TAR 1/3    (1)
#          |        |                         0.8              0/3      2/3    (2)
#      2/3 2--------3                         0.7              1/3      2/3    (3)   FRR 1/3 = FAR: the EER
#          |                                  0.6              1/3      3/3    (5)
#      1/3 1                                  0.5, 0.4   2/3, 3/3       3/3    (6)
#          |                           area: 1 - the corner above 2-3 = 1 - 1/3 * 1/3
#        0 +--------+-------+---- FAR
#          0       1/3     2/3    1
GENUINE, IMPOSTOR = [0.9, 0.8, 0.6], [0.7, 0.5, 0.4]


def test_the_drawn_example():
    curve = metrics.roc(GENUINE, IMPOSTOR)
    assert curve.thresholds.tolist() == [np.inf, 0.8, 0.7, 0.6, 0.4]  # 0.9 and 0.5 lie on straight lines
    assert curve.false_accepts.tolist() == [0, 0, 1, 1, 3]
    assert curve.true_accepts.tolist() == [0, 2, 2, 3, 3]
    assert metrics.eer(GENUINE, IMPOSTOR) == 1 / 3
    assert metrics.auc(GENUINE, IMPOSTOR) == 8 / 9
    strict, loose = metrics.tar_at_fars(GENUINE, IMPOSTOR, [0.1, 0.34])
    assert (strict.tar, strict.measured_far, strict.threshold) == (2 / 3, 0.0, np.nextafter(0.7, 1))
    assert (loose.tar, loose.measured_far, loose.threshold) == (1.0, 1 / 3, np.nextafter(0.5, 1))
    trade = metrics.det(GENUINE, IMPOSTOR)
    assert trade.frr.tolist() == [1, 1 / 3, 1 / 3, 0, 0]
    assert trade.far.tolist() == [0, 0, 1 / 3, 1 / 3, 1]


#   the same, but the pair of 0.8 and an impostor pair could not be compared (x)
#
#            +    x    -    +    -    -    x
#   TAR  1 |
#      2/3 |        3-------4------5   never higher: one of three is a miss at every threshold
#      1/3 1--------2                  FAR is over the three impostor pairs that were compared
#          +--------+-------+------+ FAR
#   FRR is 1/3 at FAR 1/3 to 1; the crossing is on the way from 2 to 3, at FAR 1/3
FAILING_GENUINE, FAILING_IMPOSTOR = [0.9, FAILED, 0.6], [0.7, 0.5, 0.4, FAILED]


def test_the_drawn_example_with_failures():
    curve = metrics.roc(FAILING_GENUINE, FAILING_IMPOSTOR)
    assert curve.far.tolist() == [0, 0, 1 / 3, 1 / 3, 1]
    assert curve.tar.tolist() == [0, 1 / 3, 1 / 3, 2 / 3, 2 / 3]
    assert curve.frr[-1] == 1 / 3
    assert curve.eer == 1 / 3
    assert curve.auc == pytest.approx(1 / 3 * 1 / 3 + 2 / 3 * 2 / 3, abs=1e-15)
    rate = metrics.tar_at_far(FAILING_GENUINE, FAILING_IMPOSTOR, 0.34)
    assert (rate.tar, rate.genuine, rate.impostors) == (2 / 3, 3, 3)
    assert (rate.failed_genuine, rate.failed_impostors) == (1, 1)


def test_failed_impostors_loosen_no_threshold():
    # Counted in FAR's denominator, 90 failures would let one of ten real impostors through at FAR 0.01.
    compared = np.linspace(0, 1, 10)
    alone = metrics.tar_at_far([0.95], compared, 0.01)
    beside = metrics.tar_at_far([0.95], [*compared, *[FAILED] * 90], 0.01)
    assert beside.threshold == alone.threshold
    assert (beside.tar, beside.resolved, beside.impostors) == (alone.tar, alone.resolved, 10)


def test_a_failure_is_a_miss_even_where_the_threshold_allows_all():
    rate = metrics.tar_at_far([0.1, FAILED], [0.9, 0.8], 1 - 1e-12)
    assert rate.threshold == -np.inf
    assert rate.tar == 0.5
    scores = metrics.Scores.of([0.1, FAILED], [0.9, FAILED])
    assert (scores.tar(-np.inf), scores.far(-np.inf)) == (0.5, 1.0)


def test_when_all_genuine_failed_nothing_is_ever_accepted():
    curve = metrics.roc([FAILED] * 3, [0.2, 0.4])
    assert (curve.far[-1], curve.tar[-1]) == (1.0, 0.0)
    assert (curve.eer, curve.auc) == (1.0, 0.0)
    assert metrics.tar_at_far([FAILED], [0.5], 0.5).tar == 0.0


def test_when_all_impostors_failed_there_is_no_far():
    with pytest.raises(InputError, match=r"all 2 impostor scores are -inf"):
        metrics.roc([0.5], [FAILED, FAILED])


def test_tar_by_hand():
    impostor = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    genuine = [0.95, 0.85, 0.75, 0.65]
    rate = metrics.tar_at_far(genuine, impostor, 0.2)  # 0.9 and 0.8 may pass, 0.7 may not
    assert rate.tar == 0.75
    assert 0.7 < rate.threshold < 0.7000001
    assert rate.measured_far == 0.2
    assert (rate.genuine, rate.impostors) == (4, 10)


def test_genuine_equal_to_the_refused_impostor_is_refused():
    assert metrics.tar_at_far([0.5, 0.6], [0.5, 0.1], 0.4).tar == 0.5


def test_impostors_that_tie_are_all_refused():
    rate = metrics.tar_at_far([0.6, 0.5], [0.5, 0.5, 0.5, 0.1], 0.5)
    assert rate.measured_far == 0.0
    assert rate.tar == 0.5


def test_share_that_rounds_below_a_whole_number():
    assert 0.29 * 100 < 29
    assert metrics.tar_at_far([1.0], np.arange(100) / 100, 0.29).measured_far == 0.29


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_threshold_means_the_same_to_the_scores_it_came_from(kind):
    # The double just above a float32 score would be rounded back to it when compared with float32 scores.
    impostor = np.array([0.1, 0.3, 0.7], dtype=kind)
    rate = metrics.tar_at_far(np.array([0.7, 0.8], dtype=kind), impostor, 0.1)
    assert np.count_nonzero(impostor >= rate.threshold) == 0
    assert rate.tar == 0.5


def test_a_threshold_between_two_numbers_of_float32():
    genuine = np.array([0.5, 0.75], dtype=np.float32)
    scores = metrics.Scores.of(genuine, genuine)
    for kind in (float, np.float64):  # NumPy rounds a plain float to the precision of what it is compared with
        at = [kind(t) for t in (np.nextafter(0.5, 0), 0.5, np.nextafter(0.5, 1))]
        assert [scores.tar(t) for t in at] == [1.0, 1.0, 0.5]
        assert [scores.far(t) for t in at] == [1.0, 1.0, 0.5]


def test_float32_is_not_copied_to_float64():
    g, s = np.float32([0.5]), np.float32([0.1, 0.2])
    scores = metrics.Scores.of(g, s)
    assert (scores.genuine.dtype, scores.impostor.dtype) == (np.float32, np.float32)
    assert metrics.Scores.of(g, s.astype(float)).genuine.dtype == np.float64
    assert metrics.Scores.of([1], [0]).impostor.dtype == np.float64


@pytest.mark.parametrize(("count", "far", "expected"), [(10_000, 1e-3, True), (9_999, 1e-3, False), (1000, 1e-2, True)])
def test_resolution(count, far, expected):
    assert metrics.resolved(count, far) is expected
    assert metrics.tar_at_far([2.0], np.linspace(0, 1, count), far).resolved is expected


def test_unresolved_says_so():
    assert "not resolved: 2 impostors" in str(metrics.tar_at_far([0.5], [0.1, 0.2], 0.001))


@given(WITH_FAILURES, WITH_FAILURES, FARS)
def test_tar_equals_naive(genuine, impostor, far):
    assume(max(impostor) > FAILED)
    rate = metrics.tar_at_far(genuine, impostor, far)
    assert rate.tar == naive.tar(genuine, impostor, far)
    assert rate.measured_far <= far + 1e-9


@given(WITH_FAILURES, WITH_FAILURES)
def test_roc_equals_naive(genuine, impostor):
    assume(max(impostor) > FAILED)
    curve = metrics.roc(genuine, impostor)
    every = naive.points(genuine, impostor)
    corners = list(zip(curve.far.tolist(), curve.tar.tolist(), strict=True))
    assert {(float(x), float(y)) for x, y in every} >= set(corners)
    assert corners[0] == (0.0, 0.0)
    assert corners[-1] == (1.0, float(every[-1][1]))
    # Along the curve FAR + TAR rises, so that the points left out can be looked up: they lie on it.
    along = curve.far + curve.tar
    for x, y in every:
        assert np.interp(float(x + y), along, curve.far) == pytest.approx(float(x), abs=1e-12)
    for t, far, tar in zip(curve.thresholds, curve.far, curve.tar, strict=True):
        compared = np.array([s for s in impostor if s > FAILED])
        assert (far, tar) == (np.mean(compared >= t), np.mean(np.asarray(genuine) >= t))
    assert (np.diff(curve.thresholds) < 0).all()
    assert curve.thresholds.size <= 2 * len(set(genuine)) + 2


@given(SCORES, SCORES)
def test_only_corners_are_kept(genuine, impostor):
    curve = metrics.roc(genuine, impostor)
    dx, dy = np.diff(curve.false_accepts), np.diff(curve.true_accepts)
    assert (dx[1:] * dy[:-1] != dx[:-1] * dy[1:]).all()


@given(WITH_FAILURES, WITH_FAILURES)
def test_eer_and_auc_equal_naive_to_the_last_bit(genuine, impostor):
    assume(max(impostor) > FAILED)
    assert metrics.eer(genuine, impostor) == float(naive.eer(genuine, impostor))
    assert metrics.auc(genuine, impostor) == float(naive.auc(genuine, impostor))


@given(SCORES, SCORES)
def test_perfect_reversed_and_tied(low, high):
    high = [3.0 + v for v in high]
    assert (metrics.eer(high, low), metrics.auc(high, low)) == (0.0, 1.0)
    assert (metrics.eer(low, high), metrics.auc(low, high)) == (1.0, 0.0)
    tied = [0.3] * len(low)
    assert (metrics.eer(tied, [0.3] * len(high)), metrics.auc(tied, [0.3] * len(high))) == (0.5, 0.5)


@given(SCORES, SCORES, FARS)
def test_an_increasing_transform_changes_nothing(genuine, impostor, far):
    g, s = (np.searchsorted(VALUES, x) ** 3 - 7.0 for x in (genuine, impostor))
    assert metrics.eer(g, s) == metrics.eer(genuine, impostor)
    assert metrics.auc(g, s) == metrics.auc(genuine, impostor)
    assert metrics.tar_at_far(g, s, far).tar == metrics.tar_at_far(genuine, impostor, far).tar


@given(SCORES, SCORES)
def test_swapping_and_negating_changes_nothing(genuine, impostor):
    g, s = -np.array(impostor), -np.array(genuine)
    assert metrics.eer(g, s) == metrics.eer(genuine, impostor)
    assert metrics.auc(g, s) == metrics.auc(genuine, impostor)


@given(WITH_FAILURES, WITH_FAILURES, st.randoms(use_true_random=False))
def test_the_order_of_scores_changes_nothing(genuine, impostor, random):
    assume(max(impostor) > FAILED)
    g, s = random.sample(genuine, len(genuine)), random.sample(impostor, len(impostor))
    one, two = metrics.roc(genuine, impostor), metrics.roc(g, s)
    np.testing.assert_array_equal(one.thresholds, two.thresholds)
    np.testing.assert_array_equal(one.false_accepts, two.false_accepts)
    assert metrics.tar_at_far(genuine, impostor, 0.1) == metrics.tar_at_far(g, s, 0.1)


@given(SCORES, SCORES, st.integers(1, 30))
def test_a_failure_never_makes_a_figure_better(genuine, impostor, many):
    worse = [FAILED] * min(many, len(genuine)) + genuine[many:]
    assert metrics.eer(worse, impostor) >= metrics.eer(genuine, impostor)
    assert metrics.auc(worse, impostor) <= metrics.auc(genuine, impostor)
    assert metrics.tar_at_far(worse, impostor, 0.1).tar <= metrics.tar_at_far(genuine, impostor, 0.1).tar


@pytest.mark.parametrize(
    ("genuine", "impostor", "reason"),
    [
        ([], [0.1], r"genuine .* at least one number, but got shape \(0,\)"),
        ([0.1], [], r"impostor .* at least one number"),
        ([[0.1]], [0.1], r"genuine .* shape \(1, 1\)"),
        ([np.nan], [0.1], r"genuine scores hold NaN; .* give -inf"),
        ([0.1], [0.1, np.nan, FAILED], r"impostor scores hold NaN"),
        ([0.1, np.inf], [0.1], r"genuine scores hold \+inf"),
        (["high"], [0.1], r"genuine scores must be a list of numbers"),
    ],
)
def test_bad_scores(genuine, impostor, reason):
    with pytest.raises(InputError, match=reason):
        metrics.tar_at_far(genuine, impostor, 0.1)
    with pytest.raises(InputError, match=reason):
        metrics.roc(genuine, impostor)


@pytest.mark.parametrize("far", [0, 1, 2, -0.1, float("nan")])
def test_bad_far(far):
    with pytest.raises(InputError, match=r"far must be between 0 and 1, both excluded, but got"):
        metrics.tar_at_far([1], [0], far)
