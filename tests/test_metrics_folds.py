"""Accuracy over folds: by hand, against a loop over every threshold, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceset import metrics
from faceset.errors import InputError

FAILED = -np.inf
VALUES = [-0.5, 0.0, 0.1, 0.25, 0.5, 1.0]
PAIR = st.tuples(st.sampled_from(VALUES), st.booleans())
PAIRS = st.lists(PAIR, min_size=1, max_size=25)


#   fold 0               fold 1                + one person, - two people
#   2-  4+  6-  8+       1-  5-  7+  9+
#
#   fold 1 is decided rightly by all between 5 and 7: threshold 6; on fold 0 right: 2-, 8+         2 of 4
#   fold 0 has one wrong at best, by 2 to 4 or by 6 to 8: equally good, so the lower of the two,
#   threshold 3; on fold 1 right: 1-, 7+, 9+                                                       3 of 4
def test_the_drawn_example():
    scores = [2, 4, 6, 8, 1, 5, 7, 9]
    same = [False, True, False, True, False, False, True, True]
    found = metrics.kfold_accuracy(scores, same, [0, 0, 0, 0, 1, 1, 1, 1])
    assert found.thresholds.tolist() == [6, 3]
    assert found.accuracies.tolist() == [0.5, 0.75]
    assert (found.mean, found.pairs) == (0.625, 8)


def test_mean_std_and_standard_error_by_hand():
    #  accuracies 1, 1/2, 1/2, 0: mean 1/2; squares 1/4 + 0 + 0 + 1/4 over K - 1 = 3: std sqrt(1/6); over sqrt(4)
    found = metrics.Folds(np.array([1.0, 0.5, 0.5, 0.0]), np.zeros(4), 8)
    assert found.mean == 0.5
    assert found.std == pytest.approx(np.sqrt(1 / 6), abs=1e-15)
    assert found.standard_error == pytest.approx(np.sqrt(1 / 6) / 2, abs=1e-15)


def test_the_middle_of_equally_good_gaps_is_taken():
    #   -    +    -    +    -    +      accept above the 1st, 3rd or 5th score: 2 wrong each
    #   0    1    2    3    4    5      the middle of the three gaps: 2 to 3
    assert metrics.best_threshold([0, 1, 2, 3, 4, 5], [False, True, False, True, False, True]) == 2.5
    assert metrics.best_threshold([0, 1, 2, 3], [False, True, False, True]) == 0.5  # of two, the lower


def test_one_sided_pairs():
    assert metrics.best_threshold([0.4, 0.6], [True, True]) == 0.4  # accept everything
    assert metrics.best_threshold([0.4, 0.6], [False, False]) == np.nextafter(0.6, 1)  # accept nothing
    assert metrics.best_threshold(np.float32([0.4, 0.6]), [False, False]) == np.nextafter(
        np.float32(0.6), np.float32(1)
    )


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_midpoint_of_neighbouring_numbers_separates_them(kind):
    low = kind(0.1)
    high = np.nextafter(low, kind(1))
    scores = np.array([low, high])
    threshold = metrics.best_threshold(scores, [False, True])
    assert (scores >= threshold).tolist() == [False, True]


@given(PAIRS)
def test_best_threshold_equals_naive(pairs):
    scores, same = np.array([s for s, _ in pairs]), np.array([y for _, y in pairs])
    best = metrics.accuracy(scores, same, metrics.best_threshold(scores, same))
    assert best == max(np.mean((scores >= t) == same) for t in [-1.0, *(v + 1e-3 for v in VALUES)])


@given(st.lists(st.tuples(PAIR, st.integers(0, 2)), min_size=6, max_size=40), st.randoms(use_true_random=False))
def test_kfold_equals_naive_in_any_order(rows, random):
    rows = [*rows, ((0.1, True), 0), ((0.2, False), 1), ((0.5, True), 2)]

    def measure(rows):
        return metrics.kfold_accuracy([s for (s, _), _ in rows], [y for (_, y), _ in rows], [f for _, f in rows])

    found = measure(rows)
    for k in range(3):
        rest, held = [p for p, f in rows if f != k], [p for p, f in rows if f == k]
        t = metrics.best_threshold([s for s, _ in rest], [y for _, y in rest])
        assert found.thresholds[k] == t
        assert found.accuracies[k] == sum((s >= t) == y for s, y in held) / len(held)
    again = measure(random.sample(rows, len(rows)))
    np.testing.assert_array_equal(found.accuracies, again.accuracies)
    np.testing.assert_array_equal(found.thresholds, again.thresholds)


def test_a_failed_pair_is_wrong_whichever_its_label_and_chooses_no_threshold():
    scores = [0.9, 0.1, FAILED, FAILED, 0.8, 0.2, 0.8, 0.2]
    same = [True, False, True, False, True, False, True, False]
    found = metrics.kfold_accuracy(scores, same, [0, 0, 0, 0, 1, 1, 1, 1])
    assert found.accuracies.tolist() == [0.5, 1.0]
    assert (found.failed_genuine, found.failed_impostors) == (1, 1)
    assert found.thresholds.tolist() == [0.5, 0.5]
    assert metrics.accuracy([FAILED, FAILED], [True, False], -np.inf) == 0.0


@pytest.mark.parametrize(
    ("scores", "same", "folds", "reason"),
    [
        ([0.1, 0.2], [True, False], [0, 0], "at least two folds"),
        ([0.1, 0.2], [True, False], [0, 2], r"fold 1 has no pairs; folds are numbered from 0 to 2"),
        ([0.1, 0.2], [True, False], [-1, 0], "numbered from 0, but got -1"),
        ([0.1, 0.2], [True, False], [0.0, 1.0], "whole numbers"),
        ([0.1, 0.2], [True, False], [0], r"2 whole numbers, but got shape \(1,\)"),
        ([0.1, 0.2], [True], [0, 1], r"shapes \(2,\) and \(1,\)"),
        ([0.1, 0.2], [1, 0], [0, 1], "True or False"),
        ([0.1, np.nan], [True, False], [0, 1], "NaN"),
        ([0.1, np.inf], [True, False], [0, 1], r"\+inf"),
        ([0.1, FAILED], [True, False], [0, 1], "none of 1 pairs was compared"),
        ([], [], [], "one length"),
    ],
)
def test_bad_input(scores, same, folds, reason):
    with pytest.raises(InputError, match=reason):
        metrics.kfold_accuracy(scores, same, folds)
